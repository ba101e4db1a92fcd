"""Powers of two for decayed folds: three tables of whole numbers, from which the kernel multiplies 2^(r/h).

They are computed from square roots of whole numbers, so they are the same on every machine.
"""

from __future__ import annotations

from functools import cache
from math import isqrt

DIGITS = 11  # Binary digits of the exponent that one table reads.
TABLES = 3
HALF_LIVES = 64
"""Events older than so many half-lives count nothing: their weight is below 2^-64."""
HALF_LIFE_MAX_MS = 2**52
_GUARD = 192  # Binary digits that roots are computed with; 63 are kept.


@cache
def decay_tables() -> tuple[int, ...]:
    """2^63 * 2^(i / 2^(11 k)) to the nearest whole number, for the tables k = 1, 2, 3 and i = 0 .. 2^11 - 1."""
    roots, root = [], 2 << _GUARD
    for _ in range(DIGITS * TABLES):
        root = isqrt(root << _GUARD)
        roots.append(root)  # 2^(1/2), 2^(1/4), ...
    numbers: list[int] = []
    for table in range(TABLES):
        own = roots[table * DIGITS : (table + 1) * DIGITS]
        for place in range(2**DIGITS):
            power = 1 << _GUARD
            for digit, root in enumerate(own):
                if place >> (DIGITS - 1 - digit) & 1:
                    power = power * root >> _GUARD
            numbers.append((power + (1 << (_GUARD - 64))) >> (_GUARD - 63))
    return tuple(numbers)


def weight_of(time_ms: int, half_life_ms: int) -> tuple[int, int]:
    """(q, m) of a moment: its weight 2^(t/h) is m * 2^(q - 32), 2^32 <= m < 2^33.

    r/h is cut off to 33 binary digits and m is a whole number, so a weight is off by at most 0.7 + 1 parts in 2^33
    (2 * 10^-10); sums of weights are exact.
    """
    turn, rest = divmod(time_ms, half_life_ms)
    exponent = (rest << (DIGITS * TABLES)) // half_life_ms
    mask, tables = 2**DIGITS - 1, decay_tables()
    one = tables[exponent >> (2 * DIGITS)]
    two = tables[2**DIGITS + (exponent >> DIGITS & mask)]
    three = tables[2 * 2**DIGITS + (exponent & mask)]
    power = ((one * two >> 64) << 1) * three >> 64
    return turn, (power + 2**29) >> 30
