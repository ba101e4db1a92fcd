"""What chance alone makes of a statistic: tails of the normal, chi-square and hypergeometric laws, and intervals.

Finite sums of the standard library, exact to double precision, so that watching a model needs no statistics package.
"""

from __future__ import annotations

from math import comb, erfc, exp, inf, lgamma, log, nan, sqrt
from typing import NamedTuple

Z_95 = 1.959963984540054
"""The 97.5 % point of the normal law: half the width of a 95 % interval in standard errors."""
FISHER_MAX = 200_000
"""Tables whose smallest margin is larger than this are not summed cell by cell: the normal law holds for them."""


class Interval(NamedTuple):
    """A figure with its 95 % interval; NaN where it cannot be computed."""

    value: float
    low: float
    high: float


UNKNOWN = Interval(nan, nan, nan)


def normal_two_sided(z: float) -> float:
    """Probability that a standard normal value is at least |z| away from zero; NaN stays NaN."""
    return erfc(abs(z) / sqrt(2.0))


def chi_square_above(value: float, degrees: int) -> float:
    """Probability that chi-square of so many degrees of freedom is at least `value`.

    The finite sums of Abramowitz and Stegun (1964), 26.4.4 (odd degrees) and 26.4.5 (even degrees). Zero degrees: 1.
    """
    if degrees < 1 or value <= 0.0:
        return 1.0
    half = value / 2.0
    if degrees % 2 == 0:
        total, first = 0.0, 0.0
    else:
        total, first = erfc(sqrt(half)), 0.5
    for step in range(degrees // 2):
        power = step + first
        total += exp(power * log(half) - half - lgamma(power + 1.0))
    return min(total, 1.0)


def wilson(successes: int, trials: int) -> Interval:
    """A share with its 95 % score interval (E. B. Wilson, 1927); it never leaves [0, 1]."""
    if trials < 1:
        return UNKNOWN
    share, square = successes / trials, Z_95 * Z_95
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    half = Z_95 * sqrt(share * (1 - share) / trials + square / (4 * trials * trials)) / (1 + square / trials)
    low, high = max(middle - half, 0.0), min(middle + half, 1.0)
    return Interval(share, min(low, share), max(high, share))  # At 0 and 1 an end is the share, but for rounding.


def two_shares(first: int, of_first: int, second: int, of_second: int) -> tuple[float, float]:
    """z and two-sided p of two shares being equal, by the pooled standard error.

    z is positive where the first share is larger; (NaN, NaN) where a side is empty, (0, 1) where all are alike.
    """
    if of_first < 1 or of_second < 1:
        return nan, nan
    pooled = (first + second) / (of_first + of_second)
    error = sqrt(pooled * (1 - pooled) * (1 / of_first + 1 / of_second))
    if error == 0.0:
        return 0.0, 1.0
    z = (first / of_first - second / of_second) / error
    return z, normal_two_sided(z)


def fisher(first: int, of_first: int, second: int, of_second: int) -> float:
    """Two-sided p of Fisher's exact test for two shares (R. A. Fisher, 1934).

    The sum over all tables with the same margins that are no likelier than the one that was seen. NaN where a side is
    empty, and where the margins are so large that `two_shares` is as good (more than FISHER_MAX tables).
    """
    if of_first < 1 or of_second < 1:
        return nan
    total, chosen = of_first + of_second, first + second
    least, most = max(0, chosen - of_second), min(chosen, of_first)
    if most - least > FISHER_MAX:
        return nan
    whole = _log_comb(total, chosen)

    def weight(count: int) -> float:
        return _log_comb(of_first, count) + _log_comb(of_second, chosen - count) - whole

    seen = weight(first)
    slack = 1e-7  # Tables of equal probability must not be lost to rounding.
    return min(sum(exp(one) for count in range(least, most + 1) if (one := weight(count)) <= seen + slack), 1.0)


def _log_comb(n: int, k: int) -> float:
    """Logarithm of n choose k, exact below 60."""
    if n < 60:
        return log(comb(n, k)) if 0 <= k <= n else -inf
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
