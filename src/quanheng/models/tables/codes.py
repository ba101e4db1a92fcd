"""Codes among numbers: values that stand for something else than a quantity (-9 = no account, 9998 = refused).

A code is found where a known spelling of codes stands apart from all quantities of its column, or where many rows
share one value far outside of the others. A value inside the range of the quantities is never taken for a code.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SPIKE_SHARE_MIN = 0.01
SPIKE_ROWS_MIN = 20
KINDS_MAX = 6
_NEGATIVE = frozenset(
    (*(float(-one) for one in range(1, 10)), *(float(-(10**e - k)) for e in range(2, 10) for k in (1, 2, 3, 4)))
)
_POSITIVE = frozenset(
    (
        *(float(10**e - k) for e in range(2, 10) for k in range(1, 5)),
        *(float(int(str(d) * n)) for d in (7, 8) for n in range(2, 9)),
    )
)


def special_codes(values: NDArray[np.float64]) -> tuple[float, ...]:
    """Codes in a column of numbers, ascending; NaN = missing.

    Parameters
    ----------
    values : f8[n]
    """
    levels, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    if len(levels) < 3:
        return ()
    codes = _below_zero(levels) | _above_all(levels, counts)
    rest = np.array([level not in codes for level in levels])
    codes |= _spikes(levels[rest], counts[rest])
    return tuple(sorted(codes)) if len(codes) <= KINDS_MAX else ()


def _below_zero(levels: NDArray[np.float64]) -> set[float]:
    """Negative values where nothing else is negative and each is a spelling of a code."""
    negative = levels[levels < 0]
    others = levels[levels >= 0]
    if not 0 < len(negative) <= KINDS_MAX or len(others) < 3:
        return set()
    small = negative[negative > -10]
    # -1 beside -0.5 is a quantity; -3, -2, -1 beside 0, 1, 2, 3 may be a scale.
    if len(small) > 2 and -1.0 in small and others.max() <= -small.min():
        return set()
    return {float(one) for one in negative} if set(negative.tolist()) <= _NEGATIVE else set()


def _above_all(levels: NDArray[np.float64], counts: NDArray[np.intp]) -> set[float]:
    """Nines and their like above twice all that is no such spelling, met at least twice."""
    quantities = np.array([level for level in levels if level not in _POSITIVE or level < 90])
    if len(quantities) < 3:
        return set()
    top = quantities.max()
    found = {
        float(level)
        for level, rows in zip(levels, counts, strict=True)
        if level in _POSITIVE and level > 2 * max(top, 1) and rows > 1
    }
    return found if len(found) <= KINDS_MAX else set()


def _spikes(levels: NDArray[np.float64], counts: NDArray[np.intp]) -> set[float]:
    """The highest or lowest value, where many rows share it and it is farther off than the others are wide."""
    if len(levels) < 12:
        return set()
    total, found = counts.sum(), set()
    for at, rest in ((-1, levels[:-1]), (0, levels[1:])):
        gap = abs(levels[at] - rest[at])
        enough = counts[at] >= max(SPIKE_ROWS_MIN, SPIKE_SHARE_MIN * total)
        if enough and levels[at] != 0 and gap > rest[-1] - rest[0]:
            found.add(float(levels[at]))
    return found
