"""Approvals by group: rates, disparate impact with the four-fifths rule, significance, and how far scores lie apart.

The four-fifths rule: a selection rate of less than four fifths of that of the group with the highest rate is generally
regarded as evidence of adverse impact; smaller differences may be where they are significant, and greater ones may not
where they rest on small numbers (Uniform Guidelines on Employee Selection Procedures, 29 CFR 1607.4(D)). It is law of
employment; in credit it is the usual first screen, and no safe harbour (12 CFR 1002, comment 6(a)-2 on effects).
"""

from __future__ import annotations

from math import exp, log, nan, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.models.chance import Z_95, Interval, fisher, two_shares, wilson
from quanheng.models.fairness.groups import Groups

FOUR_FIFTHS = 0.8
EXPECTED_LEAST = 5.0
"""Where fewer are expected in a cell of the table, Fisher's exact test stands for z (W. Cochran, 1954)."""
SIGNIFICANCE = 0.05


class Impact(NamedTuple):
    """One group against the reference group.

    share : approved; ratio : its share over that of the reference group, with the interval of its logarithm
        (D. Katz and others, Biometrics 34, 1978)
    difference : share - share of the reference group
    test : "z" or "fisher"; chance : two-sided probability of such a difference by chance
    standardised : difference of mean scores over the pooled standard deviation, positive = scores higher (riskier)
    adverse : below four fifths and significant; small : below four fifths, and chance explains it
    """

    group: str
    rows: int
    approved: int
    share: Interval
    ratio: Interval
    difference: float
    z: float
    test: str
    chance: float
    standardised: float

    @property
    def below(self) -> bool:
        """Whether the ratio is below four fifths."""
        return self.ratio.value < FOUR_FIFTHS

    @property
    def adverse(self) -> bool:
        """Whether that is more than chance."""
        return self.below and self.chance < SIGNIFICANCE


class Impacts(NamedTuple):
    """All groups of one attribute.

    reference : the group that others are compared with
    lowest : the least ratio of a group that is judged: the disparate impact ratio
    """

    attribute: str
    reference: str
    groups: tuple[Impact, ...]
    lowest: float
    unknown: int


def impacts(
    groups: Groups, approved: NDArray[np.bool_], scores: NDArray[np.float64] | None = None, reference: str = ""
) -> Impacts:
    """Compare every group with the reference group.

    Parameters
    ----------
    approved : bool[n]
    scores : f8[n], NaN = none
    reference : name of a group; "" = the one with the highest share, as the rule says (of equal ones the largest)
    """
    judged = groups.judged
    counts = {name: (int(groups.of(name).sum()), int((groups.of(name) & approved).sum())) for name in judged}
    chosen = reference or max(judged, key=lambda name: (counts[name][1] / counts[name][0], counts[name][0]))
    found = tuple(_impact(name, counts[name], counts[chosen], groups, chosen, scores) for name in groups.judged)
    lowest = min((one.ratio.value for one in found if one.group != chosen), default=nan)
    return Impacts(groups.attribute, chosen, found, lowest, int((groups.codes < 0).sum()))


def _impact(
    name: str,
    counts: tuple[int, int],
    against: tuple[int, int],
    groups: Groups,
    reference: str,
    scores: NDArray[np.float64] | None,
) -> Impact:
    (rows, chosen), (others, theirs) = counts, against
    z, chance = two_shares(chosen, rows, theirs, others)
    test, total = "z", rows + others
    least = min(rows, others) * min(chosen + theirs, total - chosen - theirs) / total
    if least < EXPECTED_LEAST and name != reference:
        exact = fisher(chosen, rows, theirs, others)
        if exact == exact:  # noqa: PLR0124  (NaN where the table is too large, and then z holds)
            test, chance = "fisher", exact
    apart = nan
    if scores is not None:
        apart = standardised_difference(scores[groups.of(name)], scores[groups.of(reference)])
    return Impact(
        name, rows, chosen, wilson(chosen, rows), _ratio(chosen, rows, theirs, others),
        chosen / rows - theirs / others, z, test, chance, apart,
    )  # fmt: skip


def _ratio(chosen: int, rows: int, theirs: int, others: int) -> Interval:
    if not theirs:
        return Interval(nan, nan, nan)
    value = (chosen / rows) / (theirs / others)
    if not chosen:
        return Interval(0.0, 0.0, nan)
    error = sqrt(1 / chosen - 1 / rows + 1 / theirs - 1 / others)
    return Interval(value, exp(log(value) - Z_95 * error), exp(log(value) + Z_95 * error))


def standardised_difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Difference of means over the root of the mean variance (P. Austin, Statistics in Medicine 28, 2009); NaN where
    it is not defined. Missing values are left out."""
    one, two = first[~np.isnan(first)], second[~np.isnan(second)]
    if len(one) < 2 or len(two) < 2:
        return nan
    spread = sqrt((float(one.var(ddof=1)) + float(two.var(ddof=1))) / 2)
    return (float(one.mean()) - float(two.mean())) / spread if spread else nan
