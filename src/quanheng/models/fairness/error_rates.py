"""Errors by group: who is refused though good, who is approved though bad, and whether a probability means the same.

No decision rule is right in all three ways at once where groups differ in their rate of events, unless it predicts
perfectly (J. Kleinberg, S. Mullainathan and M. Raghavan, 2016; A. Chouldechova, 2017): all are shown, none is called
the right one.
"""

from __future__ import annotations

from math import nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.models.chance import Interval, two_shares, wilson
from quanheng.models.fairness.groups import Groups
from quanheng.models.monitoring.calibration import Calibration, calibration


class GroupErrors(NamedTuple):
    """Errors of one group, among rows whose outcome is known.

    base : share of events
    good_approved : share of good rows that are approved (equal opportunity compares these)
    bad_approved : share of bad rows that are approved (with the former: equalised odds)
    bad_among_approved : share of events among the approved
    calibration : of the probabilities within the group; None where there are none
    """

    group: str
    rows: int
    events: int
    base: Interval
    good_approved: Interval
    bad_approved: Interval
    bad_among_approved: Interval
    calibration: Calibration | None


class Errors(NamedTuple):
    """All groups of one attribute.

    opportunity : largest difference of `good_approved` between two groups, with its probability by chance
    odds : the larger of the differences of `good_approved` and `bad_approved`
    calibration_gap : largest difference of observed / expected between two groups; NaN where not measured
    """

    attribute: str
    groups: tuple[GroupErrors, ...]
    opportunity: float
    opportunity_chance: float
    odds: float
    calibration_gap: float


def errors(
    groups: Groups,
    approved: NDArray[np.bool_],
    labels: NDArray[np.bool_],
    probabilities: NDArray[np.float64] | None = None,
    known: NDArray[np.bool_] | None = None,
) -> Errors:
    """Measure every group.

    Equal opportunity and equalised odds as M. Hardt, E. Price and N. Srebro (NIPS 2016) define them, the favourable
    outcome being the approval of a row that turns out good; calibration within groups as Kleinberg and others.

    Parameters
    ----------
    approved, labels : bool[n]; labels true = the event
    probabilities : f8[n] of the event
    known : bool[n], rows whose outcome is known; None = all
    """
    here = np.ones(len(labels), bool) if known is None else known
    found = tuple(_group(name, groups.of(name) & here, approved, labels, probabilities) for name in groups.judged)
    good = [one.good_approved for one in found]
    bad = [one.bad_approved for one in found]
    ratios = [one.calibration.ratio.value for one in found if one.calibration is not None]
    gap = _spread(good)
    return Errors(
        groups.attribute, found, gap, _chance(groups, here & ~labels, approved, found),
        max((one for one in (gap, _spread(bad)) if one == one), default=nan),  # noqa: PLR0124  (NaN is no spread)
        max(ratios) - min(ratios) if len(ratios) > 1 else nan,
    )  # fmt: skip


def _group(
    name: str,
    rows: NDArray[np.bool_],
    approved: NDArray[np.bool_],
    labels: NDArray[np.bool_],
    probabilities: NDArray[np.float64] | None,
) -> GroupErrors:
    good, bad, passed = rows & ~labels, rows & labels, rows & approved
    measured = None
    if probabilities is not None:
        given = rows & ~np.isnan(probabilities)
        measured = calibration(labels[given], probabilities[given])
    return GroupErrors(
        name, int(rows.sum()), int(bad.sum()), _share(bad, rows), _share(good & approved, good),
        _share(bad & approved, bad), _share(bad & approved, passed), measured,
    )  # fmt: skip


def _share(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> Interval:
    return wilson(int(part.sum()), int(whole.sum()))


def _spread(shares: list[Interval]) -> float:
    values = [one.value for one in shares if one.value == one.value]
    return max(values) - min(values) if len(values) > 1 else nan


def _chance(
    groups: Groups, good: NDArray[np.bool_], approved: NDArray[np.bool_], found: tuple[GroupErrors, ...]
) -> float:
    """Of the largest difference of `good_approved`: z of the two groups at its ends."""
    having = [one for one in found if one.good_approved.value == one.good_approved.value]
    if len(having) < 2:
        return nan
    ends = [choose(having, key=lambda one: one.good_approved.value) for choose in (max, min)]
    counts = []
    for one in ends:
        rows = groups.of(one.group) & good
        counts += [int((rows & approved).sum()), int(rows.sum())]
    return two_shares(*counts)[1]
