"""The difference between two arms: of means, of shares, of ratios, and adjusted by what was known before.

Every function takes columns of one value per subject, the unit that was drawn into an arm: rows that are drawn together
are summed first, or the intervals would be too narrow. Values are floats; NaN is not allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, nan, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.models.chance import UNKNOWN, Interval, fisher, normal_two_sided, two_shares, wilson
from quanheng.models.effect.student import normal_quantile, t_quantile, t_two_sided

Floats = NDArray[np.float64]
ALPHA = 0.05


class Effect(NamedTuple):
    """Treated minus control.

    value, low, high : with its two-sided interval of 1 - alpha; NaN where it cannot be computed
    p : two-sided probability of such a difference, or a larger one, where there is none
    error : standard error
    degrees : of freedom; infinite where the normal law is used
    method : by which it was found
    """

    value: float
    low: float
    high: float
    p: float
    error: float
    degrees: float
    method: str


def unknown(method: str) -> Effect:
    """A difference that cannot be computed."""
    return Effect(nan, nan, nan, nan, nan, nan, method)


def by_t(value: float, error: float, degrees: float, method: str, alpha: float = ALPHA) -> Effect:
    """An effect by Student's t; an error of zero gives an interval of one point, and p 0 or 1."""
    if isnan(value) or isnan(error):
        return unknown(method)
    if error == 0.0:
        return Effect(value, value, value, 0.0 if value else 1.0, 0.0, degrees, method)
    half = t_quantile(alpha, degrees) * error
    return Effect(value, value - half, value + half, t_two_sided(value / error, degrees), error, degrees, method)


def welch(treated: Floats, control: Floats, alpha: float = ALPHA) -> Effect:
    """Difference of two means, variances of their own (B. L. Welch, 1947; degrees by Satterthwaite, 1946).

    Unknown where an arm has fewer than two subjects.
    """
    sizes = len(treated), len(control)
    if min(sizes) < 2:
        return unknown("welch")
    parts = [float(one.var(ddof=1)) / len(one) for one in (treated, control)]
    value = float(treated.mean() - control.mean())
    return by_t(value, sqrt(sum(parts)), _satterthwaite(parts, [n - 1 for n in sizes]), "welch", alpha)


def _satterthwaite(parts: Sequence[float], degrees: Sequence[float]) -> float:
    under = sum(part * part / each for part, each in zip(parts, degrees, strict=True))
    return sum(parts) ** 2 / under if under > 0.0 else float(sum(degrees))


def shares(treated: int, of_treated: int, control: int, of_control: int) -> Effect:
    """Difference of two shares: interval by R. G. Newcombe (1998), method 10, from the score intervals of both; p exact
    by Fisher (1934), by the normal law where the tables are too many to sum.

    The interval is one of 95 %. It never leaves [-1, 1], and holds where no or all subjects succeed.
    """
    if min(of_treated, of_control) < 1:
        return unknown("newcombe")
    one, two = wilson(treated, of_treated), wilson(control, of_control)
    value = one.value - two.value
    low = value - sqrt((one.value - one.low) ** 2 + (two.high - two.value) ** 2)
    high = value + sqrt((one.high - one.value) ** 2 + (two.value - two.low) ** 2)
    exact = fisher(treated, of_treated, control, of_control)
    p = two_shares(treated, of_treated, control, of_control)[1] if isnan(exact) else exact
    error = sqrt(one.value * (1 - one.value) / of_treated + two.value * (1 - two.value) / of_control)
    return Effect(value, max(low, -1.0), min(high, 1.0), p, error, float("inf"), "newcombe")


def ratio(numerator: Floats, denominator: Floats, alpha: float = ALPHA) -> Interval:
    """A ratio of sums over subjects, such as cost per unit recovered, with its interval by E. C. Fieller (1954).

    Unlike the delta method it holds where the denominator is small. The interval is (-inf, inf) where the denominator
    cannot be told from zero: any ratio is then possible.
    """
    n = len(numerator)
    if n < 2 or not denominator.sum():
        return UNKNOWN
    over, under = float(numerator.mean()), float(denominator.mean())
    covariance = np.cov(numerator, denominator, ddof=1) / n
    square = t_quantile(alpha, n - 1) ** 2
    a = under * under - square * float(covariance[1, 1])
    b = over * under - square * float(covariance[0, 1])
    c = over * over - square * float(covariance[0, 0])
    value = over / under
    if a <= 0.0:
        return Interval(value, float("-inf"), float("inf"))
    half = sqrt(max(b * b - a * c, 0.0)) / a
    return Interval(value, b / a - half, b / a + half)


def ratios(treated: tuple[Floats, Floats], control: tuple[Floats, Floats], alpha: float = ALPHA) -> Effect:
    """Difference of two ratios of sums (numerator, denominator), by the delta method: the variance of a ratio is that
    of its residuals, numerator - ratio × denominator, over the square of the mean denominator.

    Unknown where a denominator sums to zero, or an arm has fewer than two subjects.
    """
    found = []
    for numerator, denominator in (treated, control):
        if len(numerator) < 2 or not denominator.sum():
            return unknown("delta")
        value = float(numerator.sum() / denominator.sum())
        residuals = (numerator - value * denominator) / float(denominator.mean())
        found.append((value, float(residuals.var(ddof=1)) / len(residuals)))
    (one, var_one), (two, var_two) = found
    value, error = one - two, sqrt(var_one + var_two)
    if error == 0.0:
        return Effect(value, value, value, 0.0 if value else 1.0, 0.0, float("inf"), "delta")
    half = normal_quantile(alpha) * error
    return Effect(value, value - half, value + half, normal_two_sided(value / error), error, float("inf"), "delta")


def cuped(
    treated: Floats, control: Floats, before_treated: Floats, before_control: Floats, alpha: float = ALPHA
) -> Effect:
    """Difference of means, adjusted by a value that was known before the draw (Deng, Xu, Kohavi, Walker, 2013).

    value - theta × (before - mean of before over both arms), theta by least squares within the arms. It takes off the
    part of the spread that was there before; a column that the treatment could have changed must not be used.
    """
    if min(len(treated), len(control)) < 3:
        return unknown("cuped")
    arms = [(treated, before_treated), (control, before_control)]
    within = sum(float(((x - x.mean()) ** 2).sum()) for _, x in arms)
    shared = sum(float(((x - x.mean()) * (y - y.mean())).sum()) for y, x in arms)
    theta = shared / within if within > 0.0 else 0.0
    middle = float(np.concatenate([before_treated, before_control]).mean())
    made = [y - theta * (x - middle) for y, x in arms]
    return welch(made[0], made[1], alpha)._replace(method="cuped")


def stratified(treated: Floats, control: Floats, in_treated: Sequence[str], in_control: Sequence[str]) -> Effect:
    """Difference of means, weighed by strata that were known before the draw: the sum of share of stratum × difference
    within it (post-stratification, Miratrix, Sekhon, Yu, 2013).

    Unknown where a stratum has fewer than two subjects of an arm: join such strata first.
    """
    names = sorted({*in_treated, *in_control})
    left, right = np.asarray(in_treated, object), np.asarray(in_control, object)
    total, value, parts, degrees = len(treated) + len(control), 0.0, [], []
    for name in names:
        one, two = treated[left == name], control[right == name]
        if min(len(one), len(two)) < 2:
            return unknown("stratified")
        weight = (len(one) + len(two)) / total
        value += weight * float(one.mean() - two.mean())
        for part in (one, two):
            parts.append(weight * weight * float(part.var(ddof=1)) / len(part))
            degrees.append(len(part) - 1)
    if not parts:
        return unknown("stratified")
    return by_t(value, sqrt(sum(parts)), _satterthwaite(parts, degrees), "stratified")
