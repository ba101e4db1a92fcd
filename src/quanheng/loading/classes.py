"""Data classes of what is computed: a feature is as sensitive as the most sensitive thing it reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from quanheng.events.schema import EventDeclaration
from quanheng.features.conditions import fields_of
from quanheng.features.fold import layout_of
from quanheng.features.kinds import CALENDAR_KINDS
from quanheng.loading.checks.events import DATA_CLASSES
from quanheng.loading.declared import Declared, Fold

FINANCIAL = "financial"


def highest_class(classes: Iterable[str]) -> str:
    """The most sensitive of some classes, in the order of `DATA_CLASSES`; "" where none is declared."""
    return max(classes, key=lambda one: DATA_CLASSES.index(one) if one in DATA_CLASSES else -1, default="")


def fields_read(fold: Fold, event: EventDeclaration) -> tuple[str, ...]:
    """Fields of its event that a fold reads: value, other, keys, those of its condition, and its time."""
    names = {fold.value, fold.other, *fold.by, event.time}
    if fold.where and fold.fold not in CALENDAR_KINDS:
        names.update(fields_of(layout_of(event, 0), fold.where))
    return tuple(name for name in event.fields if name in names)


def data_classes(declared: Declared, events: Mapping[str, EventDeclaration]) -> dict[str, str]:
    """The data class of every fold, balance and formula of a pack.

    Parameters
    ----------
    declared : a checked pack
    events : events that its folds read and that it decides, by name: of this pack and of required packs

    Returns
    -------
    By name; "" where nothing that is read has a class. A fold has the highest class of the fields it reads (`value`,
    `other`, `by`, `where`, the event's time), of the decided event's fields of `match`, and of the fold it goes
    `through`. A balance is financial, or higher where its keys are. A formula has the highest of what it uses; of a
    field that several decided events have, the highest. Columns of sources have no class of their own.
    """
    deciding = [events[flow.when] for flow in declared.flows if flow.when in events]
    fields = {name: highest_class(_of(deciding, [name])) for one in deciding for name in one.fields}
    folds = {fold.name: fold for fold in declared.folds}
    found: dict[str, str] = {}

    def of_fold(fold: Fold, above: frozenset[str]) -> str:
        classes = [*_of([events[fold.of]], fields_read(fold, events[fold.of])), *_of(deciding, fold.match)]
        following = folds.get(fold.through)
        if following is not None and following.name not in above:
            classes.append(of_fold(following, above | {fold.name}))
        return highest_class(classes)

    for fold in declared.folds:
        if fold.of in events:
            found[fold.name] = of_fold(fold, frozenset())
    for balance in declared.accounts.balances:
        found[balance.name] = highest_class([FINANCIAL, *_of(deciding, balance.account.keys)])
    for formula in declared.formulas:  # In an order that can be computed.
        found[formula.name] = highest_class(found.get(name, fields.get(name, "")) for name in formula.uses)
    return found


def _of(events: Iterable[EventDeclaration], names: Iterable[str]) -> list[str]:
    """Classes of these fields in these events."""
    return [one.fields[name].data_class for one in events for name in names if name in one.fields]
