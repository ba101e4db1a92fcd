"""The register of holders as of any time, and proportions of whole units."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """What an owner held after a change, and when that was."""

    at_ms: int
    units: int


class Register:
    """Who held how many units when.

    Complexity: O(log n) for one owner as of a time, n changes of the owner; O(owners log n) for all.
    """

    def __init__(self) -> None:
        self.entries: dict[int, list[Entry]] = {}

    def __iter__(self) -> Iterator[tuple[int, list[Entry]]]:
        return iter(sorted(self.entries.items()))

    def change(self, owner: int, units: int, now_ms: int) -> None:
        """Add units to what an owner holds from a time on, or take them away if negative.

        The time is before a known one where the change was missed in a crash and is folded late: what was held since
        is then other than was thought.
        """
        if units:
            known = self.entries.setdefault(owner, [])
            place = bisect_right(known, now_ms, key=lambda one: one.at_ms)
            before = known[place - 1].units if place else 0
            later = [Entry(one.at_ms, one.units + units) for one in known[place:]]
            known[place:] = [Entry(now_ms, before + units), *later]

    def units(self, owner: int, at_ms: int | None = None) -> int:
        """What an owner holds: after all changes, or after those up to a time, that time included."""
        known = self.entries.get(owner, [])
        count = len(known) if at_ms is None else bisect_right(known, at_ms, key=lambda one: one.at_ms)
        return known[count - 1].units if count else 0

    def holders(self, at_ms: int | None = None) -> dict[int, int]:
        """Owner -> units, of those who hold any, in the order of their first entry."""
        found = {owner: self.units(owner, at_ms) for owner in self.entries}
        return {owner: units for owner, units in found.items() if units}


def in_proportion(total: int, weights: Sequence[int], give_residue: bool = True) -> list[int]:
    """Whole units of a total in proportion to weights, sum of weights >= total.

    Each gets floor(total w / W). With `give_residue` what is left goes to the largest remainders, one unit each, ties
    to the earlier one (largest remainder method, Hamilton 1792). None gets more than its weight.
    """
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    shares, remainders = zip(*(divmod(total * weight, whole) for weight in weights), strict=True)
    given = list(shares)
    if give_residue:
        by_remainder = sorted(range(len(weights)), key=lambda place: (-remainders[place], place))
        for place in by_remainder[: total - sum(shares)]:
            given[place] += 1
    return given
