"""Student's t in the standard library: tails and quantiles to about twelve digits, so that a comparison needs no
statistics package."""

from __future__ import annotations

from math import exp, inf, isfinite, isnan, lgamma, log, log1p, nan, pi, sqrt

_TINY = 1e-300
_STEPS_MAX = 10_000


def t_two_sided(t: float, degrees: float) -> float:
    """Probability that Student's t of so many degrees of freedom is at least |t| away from zero; NaN stays NaN.

    The regularised incomplete beta function I_x(degrees / 2, 1 / 2) at x = degrees / (degrees + t²), Abramowitz and
    Stegun (1964), 26.7.1.
    """
    if isnan(t) or not degrees > 0.0:
        return nan
    if t == 0.0 or not isfinite(t):
        return 1.0 if t == 0.0 else 0.0
    square = t * t
    x = degrees / (degrees + square)
    front = exp(
        lgamma((degrees + 1.0) / 2.0) - lgamma(degrees / 2.0) - lgamma(0.5)
        + degrees / 2.0 * -log1p(square / degrees) + 0.5 * (log(square) - log(degrees + square))
    )  # fmt: skip
    first, second = degrees / 2.0, 0.5
    if x < (first + 1.0) / (first + second + 2.0):
        return min(front * _fraction(x, first, second) / first, 1.0)
    return max(1.0 - front * _fraction(square / (degrees + square), second, first) / second, 0.0)


def t_quantile(two_sided: float, degrees: float) -> float:
    """|t| that is passed with this probability on both sides together; NaN outside (0, 1).

    Newton's steps on the logarithm of the tail, from below: there the tail is convex enough that none overshoots far;
    a step that leaves what is known to hold the answer is replaced by halving.
    """
    if not 0.0 < two_sided < 1.0 or not degrees > 0.0:
        return nan
    low, high = 0.0, inf
    t = normal_quantile(two_sided)
    for _ in range(200):
        tail = t_two_sided(t, degrees)
        low, high = (t, high) if tail > two_sided else (low, t)
        following = t + tail * log(tail / two_sided) / (2.0 * _density(t, degrees)) if tail > 0.0 else low
        if not low < following < high:
            following = (low + high) / 2.0 if isfinite(high) else 2.0 * t + 1.0
        if abs(following - t) <= 1e-13 * t:
            return following
        t = following
    return t


def _density(t: float, degrees: float) -> float:
    """Of Student's t."""
    half = (degrees + 1.0) / 2.0
    return exp(lgamma(half) - lgamma(degrees / 2.0) - 0.5 * log(degrees * pi) - half * log1p(t * t / degrees))


def normal_quantile(two_sided: float) -> float:
    """|z| that is passed with this probability on both sides together."""
    from statistics import NormalDist

    return -NormalDist().inv_cdf(two_sided / 2.0) if 0.0 < two_sided < 1.0 else nan


def _fraction(x: float, first: float, second: float) -> float:
    """The continued fraction of the incomplete beta function (A. and S. 26.5.8), by the method of Lentz (1976)."""
    total = first + second
    c, d = 1.0, _away(1.0 - total * x / (first + 1.0))
    d = 1.0 / d
    value = d
    for step in range(1, _STEPS_MAX):
        even = step * (second - step) * x / ((first + 2 * step - 1) * (first + 2 * step))
        d, c = 1.0 / _away(1.0 + even * d), _away(1.0 + even / c)
        value *= d * c
        odd = -(first + step) * (total + step) * x / ((first + 2 * step) * (first + 2 * step + 1))
        d, c = 1.0 / _away(1.0 + odd * d), _away(1.0 + odd / c)
        change = d * c
        value *= change
        if abs(change - 1.0) < 1e-15:
            break
    return value


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def spread(variance: float, n: int) -> float:
    """Standard error of a mean of n values of this variance; NaN of none."""
    return sqrt(variance / n) if n > 0 else nan
