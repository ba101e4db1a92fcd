"""Where each serial number is: blocks of consecutive numbers that share an issuance and a place."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import pairwise

import msgspec
from msgspec.structs import replace

SERIAL_MAX = 2**63 - 2


class Status(StrEnum):
    """What became of a unit. Only a unit that is held can move; a retired or cancelled one never does again."""

    HELD = "held"
    RETIRED = "retired"
    CANCELLED = "cancelled"
    EXPORTED = "exported"


class Place(msgspec.Struct, frozen=True):
    """Where a unit is.

    of : the owner that holds it, or the id of the action that retired, cancelled or exported it
    """

    status: Status
    of: int


class Range(msgspec.Struct, frozen=True):
    """Serial numbers `first` .. `last` of the registry `origin`, both included."""

    origin: str
    first: int
    last: int

    @property
    def quantity(self) -> int:
        """How many units, each of one tonne of CO2 equivalent."""
        return self.last - self.first + 1

    def __str__(self) -> str:
        return f"{self.origin}-{self.first}-{self.last}"


class Block(msgspec.Struct, frozen=True):
    """Consecutive serial numbers of one issuance in one place. `issuance` is the id of the action that issued them or,
    for those of another registry, first imported them."""

    first: int
    last: int
    issuance: int
    place: Place

    @property
    def quantity(self) -> int:
        """How many units."""
        return self.last - self.first + 1


class SerialMap:
    """The blocks of one origin, in order, none adjacent to another with the same issuance and place.

    Complexity: O(log n + k) to find the k blocks of a range, O(n) to change one, n blocks.
    """

    def __init__(self) -> None:
        self._blocks: list[Block] = []

    def __iter__(self) -> Iterator[Block]:
        return iter(self._blocks)

    def __len__(self) -> int:
        return len(self._blocks)

    def pieces(self, first: int, last: int) -> list[Block]:
        """What is known of serial numbers `first` .. `last`: blocks, cut at the ends. Unknown numbers have none."""
        low, high = self._span(first, last)
        return [replace(one, first=max(one.first, first), last=min(one.last, last)) for one in self._blocks[low:high]]

    def put(self, pieces: Sequence[Block]) -> None:
        """Say where serial numbers are from now on, whatever was known of them. A block that is cut is split."""
        for piece in pieces:
            low, high = self._span(piece.first, piece.last)
            kept = [piece]
            if low < high:
                head, tail = self._blocks[low], self._blocks[high - 1]
                if head.first < piece.first:
                    kept.insert(0, replace(head, last=piece.first - 1))
                if tail.last > piece.last:
                    kept.append(replace(tail, first=piece.last + 1))
            low, high = max(low - 1, 0), min(high + 1, len(self._blocks))
            around = [one for one in self._blocks[low:high] if one.last < kept[0].first or one.first > kept[-1].last]
            self._blocks[low:high] = merged(sorted([*around, *kept], key=lambda one: one.first))

    def _span(self, first: int, last: int) -> tuple[int, int]:
        low = bisect_right(self._blocks, first, key=lambda one: one.first)
        low -= low > 0 and self._blocks[low - 1].last >= first
        return low, bisect_right(self._blocks, last, key=lambda one: one.first)


def merged(blocks: Sequence[Block]) -> list[Block]:
    """Blocks in order, with neighbours joined that have the same issuance and place."""
    joined: list[Block] = []
    for one in blocks:
        if joined and joined[-1].last + 1 == one.first and same_kind(joined[-1], one):
            joined[-1] = replace(joined[-1], last=one.last)
        else:
            joined.append(one)
    return joined


def same_kind(one: Block, other: Block) -> bool:
    """Whether two blocks have the same issuance and place."""
    return (one.issuance, one.place) == (other.issuance, other.place)


def ranges_are_wrong(ranges: Sequence[Range], ranges_max: int) -> bool:
    """Whether ranges are none, too many, empty, outside what a serial number can be, or overlap."""
    if not 0 < len(ranges) <= ranges_max or any(not 0 < one.first <= one.last <= SERIAL_MAX for one in ranges):
        return True
    ordered = sorted(ranges, key=lambda one: (one.origin, one.first))
    return any(a.origin == b.origin and a.last >= b.first for a, b in pairwise(ordered))
