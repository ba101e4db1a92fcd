"""Random draws that are the same on every machine: raw 64-bit words of PCG64 and integer arithmetic, no floats.

Only the stream of the bit generator is used, which numpy guarantees; its distributions may change between versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
ONE = 2**32
"""Shares are compared as 32-bit numbers: 2**32 is certain."""

_SIGMA = 65_536
_HALF_SUM = 6 * 65_535
_EXACT = Context(prec=40)


class Draws:
    """One stream of draws. Streams with different keys do not depend on one another.

    Parameters
    ----------
    key : non-negative integers that name the stream, the seed first
    """

    def __init__(self, *key: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(list(key)))

    def _words(self, count: int) -> NDArray[np.uint64]:
        return np.atleast_1d(np.asarray(self._bits.random_raw(count), np.uint64))

    def below(self, bound: int | Integers, count: int) -> Integers:
        """`count` integers in [0, bound), bound at most 2**31, one for all or one each.

        The high half of a 32-bit product: off uniform by less than bound / 2**32.
        """
        high = self._words(count) >> np.uint64(32)
        return ((high * np.asarray(bound, np.uint64)) >> np.uint64(32)).astype(np.int64)

    def between(self, ends: tuple[int, int], count: int) -> Integers:
        """`count` integers in [low, high], both ends included."""
        return ends[0] + self.below(ends[1] - ends[0] + 1, count)

    def chance(self, share: Decimal, count: int) -> NDArray[np.bool_]:
        """`count` answers, true with probability `share` (to 2**-32)."""
        return (self._words(count) >> np.uint64(32)).astype(np.int64) < int(share * ONE)

    def uniform(self, count: int) -> Integers:
        """`count` integers in [0, 2**32)."""
        return (self._words(count) >> np.uint64(32)).astype(np.int64)

    def pick(self, weights: Sequence[int], count: int) -> Integers:
        """`count` positions, each with the probability of its weight."""
        ends = np.cumsum(np.asarray(weights, np.int64))
        picked: Integers = np.searchsorted(ends, self.below(int(ends[-1]), count), side="right").astype(np.int64)
        return picked

    def bell(self, mean: Integers, deviation: Integers) -> Integers:
        """Integers around `mean`: the sum of twelve uniform numbers, which has variance 1, scaled by `deviation`."""
        words = self._words(3 * len(mean)).view(np.uint16).reshape(len(mean), 12)
        total: Integers = words.sum(axis=1, dtype=np.int64) - _HALF_SUM
        return mean + (deviation * total) // _SIGMA


@lru_cache(maxsize=4096)
def poisson_ends(rate: Decimal) -> tuple[int, ...]:
    """Ends of Poisson probabilities as 32-bit numbers: a draw u means as many events as there are ends at or below u.

    P(k) = rate**k * exp(-rate) / k!, summed in 40-digit decimals, so the table is the same everywhere.
    """
    ends, probability = [], _EXACT.exp(-rate)
    total = Decimal(0)
    for number in range(1, 400):
        total = _EXACT.add(total, probability)
        ends.append(int(total * ONE))
        if ends[-1] >= ONE - 1:
            break
        probability = _EXACT.divide(_EXACT.multiply(probability, rate), Decimal(number))
    return tuple(ends)
