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
    """Who held how many units when. Times never decrease.

    Complexity: O(log n) for one owner as of a time, n changes of the owner; O(owners log n) for all.
    """

    def __init__(self) -> None:
        self.entries: dict[int, list[Entry]] = {}

    def __iter__(self) -> Iterator[tuple[int, list[Entry]]]:
        return iter(sorted(self.entries.items()))

    def change(self, owner: int, units: int, now_ms: int) -> None:
        """Add units to what an owner holds, or take them away if negative."""
        if units:
            after = Entry(now_ms, self.units(owner) + units)
            self.entries.setdefault(owner, []).append(after)

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
