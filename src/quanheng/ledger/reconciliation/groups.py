"""Which few of some numbers sum to another."""

from __future__ import annotations

from collections.abc import Sequence


def subset(amounts: Sequence[int], total: int, size_max: int, size_min: int = 2) -> tuple[int, ...]:
    """Places of `size_min` to `size_max` amounts that sum to `total`: the fewest, then the first in order; or nothing.

    The last of a choice is looked up, so n amounts cost O(n ** (size_max - 1)).
    """
    places: dict[int, list[int]] = {}
    for place, amount in enumerate(amounts):
        places.setdefault(amount, []).append(place)
    for size in range(size_min, min(size_max, len(amounts)) + 1):
        if found := _first(amounts, places, total, size, 0):
            return found
    return ()


def _first(
    amounts: Sequence[int], places: dict[int, list[int]], total: int, size: int, start: int
) -> tuple[int, ...]:  # fmt: skip
    if size == 1:
        last = next((place for place in places.get(total, ()) if place >= start), None)
        return () if last is None else (last,)
    for place in range(start, len(amounts) - size + 1):
        if rest := _first(amounts, places, total - amounts[place], size - 1, place + 1):
            return (place, *rest)
    return ()
