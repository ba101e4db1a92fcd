"""Looking a value up in the index of a column: the place it falls into, and the rules let through there."""

from __future__ import annotations

from bisect import bisect_left
from decimal import Decimal
from typing import Any

from quanheng.decisions.dmn.index import Column
from quanheng.feel.floats import least_above, least_from
from quanheng.feel.types import NUMBER


class Placed:
    """Looks up values that are not whole numbers: decimals, texts, null."""

    __slots__ = ("cuts", "null", "rules")

    def __init__(self, column: Column) -> None:
        cuts: tuple[Any, ...] = column.cuts
        self.cuts: list[Any] = [Decimal(cut) for cut in cuts] if column.kind is NUMBER else list(cuts)
        self.rules, self.null = column.rules[:-1], column.rules[-1]

    def __call__(self, value: Any) -> int:
        if value is None:
            return self.null
        cuts = self.cuts
        at = bisect_left(cuts, value)
        return self.rules[2 * at + 1 if at < len(cuts) and cuts[at] == value else 2 * at]


def whole_steps(column: Column) -> tuple[list[int], list[int]]:
    """Bounds and rules for whole numbers: `rules[bisect_right(bounds, value)]`; neighbours that agree are one."""
    bounds: list[int] = []
    rules = [column.rules[0]]
    for index, cut in enumerate(column.cuts):
        exact = cut == int(cut)  # type: ignore[call-overload]
        least = int(cut) if exact else int(Decimal(cut).to_integral_value("ROUND_CEILING"))  # type: ignore[call-overload, arg-type]
        steps = [(least, column.rules[2 * index + 1])] if exact else []
        steps.append((least + 1 if exact else least, column.rules[2 * index + 2]))
        for bound, those in steps:
            if bounds and bounds[-1] == bound:  # constants with no whole number between them
                rules[-1] = those
            elif rules[-1] != those:
                bounds.append(bound)
                rules.append(those)
    return bounds, rules


def float_steps(column: Column) -> tuple[list[float], list[int]]:
    """Bounds and rules for declared floats: `rules[bisect_right(bounds, value)]`; neighbours that agree are one."""
    bounds: list[float] = []
    rules = [column.rules[0]]
    for index, cut in enumerate(column.cuts):
        here, above = least_from(cut), least_above(cut)  # type: ignore[arg-type]
        for bound, those in ((here, column.rules[2 * index + 1]), (above, column.rules[2 * index + 2])):
            if bounds and bounds[-1] == bound:  # no float stands for the constant, or for what lies between two
                rules[-1] = those
            elif rules[-1] != those:
                bounds.append(bound)
                rules.append(those)
    return bounds, rules


def sided(column: Column) -> tuple[bool, list[Decimal], list[int]] | None:
    """Bounds and rules for decimals where every bound lies on the same side of its constant; else None.

    The flag tells that it lies before it (`>=`, `<`): `rules[bisect_right(bounds, value)]`, otherwise `bisect_left`.
    """
    steps: list[tuple[bool, object, int]] = []
    for index, cut in enumerate(column.cuts):
        below, here, above = column.rules[2 * index : 2 * index + 3]
        steps += [(True, cut, here)] if below != here else []
        steps += [(False, cut, above)] if here != above else []
    if len({before for before, _, _ in steps}) != 1:
        return None
    bounds = [Decimal(cut) for _, cut, _ in steps]  # type: ignore[arg-type]
    return steps[0][0], bounds, [column.rules[0], *(rules for _, _, rules in steps)]
