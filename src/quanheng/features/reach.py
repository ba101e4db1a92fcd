"""Which folds a vector holds: those that can be asked at the moment of an event of some type."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from quanheng.features.kinds import CALENDAR_KINDS


class Named(Protocol):
    """What is asked of a fold, as declared by a pack or compiled."""

    @property
    def name(self) -> str: ...
    @property
    def of(self) -> str: ...
    @property
    def fold(self) -> str: ...
    @property
    def by(self) -> tuple[str, ...]: ...
    @property
    def match(self) -> tuple[str, ...]: ...
    @property
    def through(self) -> str | None: ...


def reaches(fold: Named, folds: Iterable[Named], event: str, keys: Collection[str]) -> bool:
    """Whether an event of type `event` with these key fields can ask a fold.

    A fold of a calendar kind is asked by its own type alone. One that is asked `through` another needs that other;
    every other needs key fields for `match`, or for `by`. A circle of `through` reaches nothing.
    """
    seen: set[str] = set()
    by_name = {one.name: one for one in folds}
    while fold.through:
        following = by_name.get(fold.through) or by_name.get(f"{fold.name.rpartition('.')[0]}.{fold.through}")
        if following is None or following.name in seen:
            return False
        seen.add(following.name)
        fold = following
    if fold.fold in CALENDAR_KINDS:
        return fold.of == event
    return set(fold.match or fold.by) <= set(keys)


def way_back(fold: Named, folds: Mapping[str, Named]) -> list[str]:
    """The circle of `through` from a fold back to itself, by names; empty where its way ends or circles elsewhere."""
    way = [fold.name]
    while (following := folds[way[-1]].through) and following in folds:
        if following == fold.name:
            return [*way, following]
        if following in way:
            break
        way.append(following)
    return []
