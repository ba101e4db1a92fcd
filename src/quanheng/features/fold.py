"""What a pack declares about features: layouts of events and folds over them, checked all at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from quanheng.kernel.errors import Problem

KINDS = ("count", "sum", "mean", "min", "max", "distinct", "last", "time_since")
WINDOW_MAX_MS = 2**60
_EMPTY_ZERO = ("count", "sum", "distinct")


@dataclass(frozen=True, slots=True)
class EventLayout:
    """How the rows of one event type are laid out.

    name, code : as declared; the code is the type code of the log record
    keys : names of the key columns, in the order of the record (16-byte pseudonyms; all zeros = null)
    numbers : names of the number columns, in the order of the record (scaled int64; NULL = -2**63)
    scales : decimal places of each number column; empty = all are integers
    """

    name: str
    code: int
    keys: tuple[str, ...]
    numbers: tuple[str, ...]
    scales: tuple[int, ...] = ()

    def scale(self, number: str) -> int:
        """Decimal places of a number column."""
        return self.scales[self.numbers.index(number)] if self.scales else 0


@dataclass(frozen=True, slots=True)
class Fold:
    """One aggregate over the events of one type with the same key; see docs/reference/features.md.

    name : column name
    of : event type that is folded
    by : key fields that must be equal; empty = all events of the type
    fold : one of KINDS
    value : number field, or for `distinct` and `last` also a key field; none for `count` and `time_since`
    window_ms : the window is (t-delay-window, t-delay]; None = all history up to t-delay
    delay_ms : how far the window ends before the moment of decision
    current : "in" | "out": whether the event being decided belongs to its own undelayed window
    empty : value where the window holds nothing; None = 0 for count, sum and distinct, null for the others
    """

    name: str
    of: str
    by: tuple[str, ...]
    fold: str
    value: str | None = None
    window_ms: int | None = None
    delay_ms: int = 0
    current: str = "in"
    empty: int | Decimal | None = None

    @classmethod
    def of_pack(cls, declared: Any, name: str) -> Fold:
        """The fold that a pack declares (`loading.declared.Fold`), with the name of its column."""
        return cls(
            name=name,
            of=declared.of,
            by=declared.by,
            fold=declared.fold,
            value=declared.value or None,
            window_ms=declared.window_ms,
            delay_ms=declared.delay_ms,
            current=declared.current,
            empty=declared.empty,
        )

    @property
    def empty_value(self) -> int | Decimal | None:
        """`empty` with the default of the kind of fold put in."""
        return 0 if self.empty is None and self.fold in _EMPTY_ZERO else self.empty


def check_folds(
    layouts: Mapping[str, EventLayout], folds: Sequence[Fold], decide: Iterable[str], file: str
) -> list[Problem]:
    """Every problem of the declared folds; empty if they can be compiled."""
    problems = [
        Problem(file, "decide", "no such event type", repr(name), ", ".join(sorted(layouts)), "Declare the event.")
        for name in decide
        if name not in layouts
    ]
    seen: set[str] = set()
    for fold in folds:
        where = f"fold {fold.name}"
        if fold.name in seen:
            cure = "Rename one of the two."
            problems.append(Problem(file, where, "the name is used twice", repr(fold.name), "", cure))
        seen.add(fold.name)
        problems += [Problem(file, where, *rest) for rest in _check(layouts, fold)]
        reads = [name for name in decide if name in layouts and set(fold.by) <= set(layouts[name].keys)]
        if not reads and fold.of in layouts and set(fold.by) <= set(layouts[fold.of].keys):
            problems.append(
                Problem(
                    file, where, "no event that is decided has these key fields", ", ".join(fold.by),
                    "; ".join(f"{name}: {', '.join(layouts[name].keys)}" for name in decide if name in layouts),
                    "Fold by keys that a decided event carries, or remove the fold.",
                )
            )  # fmt: skip
    return problems


def _check(layouts: Mapping[str, EventLayout], fold: Fold) -> list[tuple[str, str, str, str]]:
    """(message, found, known, cure) of each problem within one fold."""
    found: list[tuple[str, str, str, str]] = []
    if fold.fold not in KINDS:
        found.append(("no such kind of fold", repr(fold.fold), ", ".join(KINDS), "Use one of the known kinds."))
    if fold.current not in {"in", "out"}:
        found.append(("`current` is neither in nor out", repr(fold.current), "in, out", "Use one of the two."))
    if fold.window_ms is not None and not 0 < fold.window_ms <= WINDOW_MAX_MS:
        found.append(("`window` is out of range", f"{fold.window_ms} ms", f"1 to {WINDOW_MAX_MS} ms", "Shorten it."))
    if not 0 <= fold.delay_ms <= WINDOW_MAX_MS:
        found.append(("`delay` is out of range", f"{fold.delay_ms} ms", f"0 to {WINDOW_MAX_MS} ms", "Shorten it."))
    layout = layouts.get(fold.of)
    if layout is None:
        found.append(("no such event type", repr(fold.of), ", ".join(sorted(layouts)), "Declare it in events.toml."))
        return found
    for key in fold.by:
        if key not in layout.keys:
            found.append(("no such key field", repr(key), ", ".join(layout.keys), "Fold by a key field of the event."))
    if len(set(fold.by)) != len(fold.by):
        found.append(("a key field is named twice in `by`", ", ".join(fold.by), "", "Name it once."))
    return found + _check_value(layout, fold)


def _check_value(layout: EventLayout, fold: Fold) -> list[tuple[str, str, str, str]]:
    if fold.fold in {"count", "time_since"}:
        if fold.value is None:
            return []
        return [(f"{fold.fold} takes no value", repr(fold.value), "", "Remove `value`.")]
    known = layout.numbers + (layout.keys if fold.fold in {"distinct", "last"} else ())
    if fold.value is None:
        return [(f"{fold.fold} needs a value", "none", ", ".join(known), "Add `value`.")]
    if fold.value not in known:
        return [(f"{fold.fold} cannot read this field", repr(fold.value), ", ".join(known), "Use a known field.")]
    return []
