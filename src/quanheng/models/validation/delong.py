"""Interval and comparison of areas under ROC curves without drawing: DeLong, DeLong and Clarke-Pearson (1988).

Computed from mid-ranks in n log n, as Sun and Xu (2014, "Fast implementation of DeLong's algorithm", IEEE Signal
Processing Letters 21) show.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.models.metrics import Labels, Scores, check_ranked

Z_95 = 1.959963984540054


class Area(NamedTuple):
    """An area under the ROC curve, its variance, and its 95 % interval, cut to [0, 1]."""

    auc: float
    variance: float
    low: float
    high: float


class Difference(NamedTuple):
    """Two scores of the same rows: difference of their areas, its variance, z, and the two-sided p value."""

    difference: float
    variance: float
    z: float
    p: float


def delong(labels: Labels, scores: Scores) -> Area:
    """The area under the ROC curve with DeLong's variance.

    Raises
    ------
    InputError : all rows have the same label
    """
    areas, covariance = _areas(labels, np.asarray(scores)[np.newaxis])
    auc, variance = float(areas[0]), float(covariance[0, 0])
    reach = Z_95 * math.sqrt(max(variance, 0.0))
    return Area(auc, variance, max(0.0, auc - reach), min(1.0, auc + reach))


def delong_difference(labels: Labels, one: Scores, other: Scores) -> Difference:
    """Whether `one` ranks the same rows better than `other`.

    Raises
    ------
    InputError : all rows have the same label
    """
    areas, covariance = _areas(labels, np.vstack([one, other]))
    difference = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if variance <= 0:  # Both rank alike, or both perfectly.
        return Difference(difference, 0.0, 0.0, 1.0)
    z = difference / math.sqrt(variance)
    return Difference(difference, variance, z, math.erfc(abs(z) / math.sqrt(2)))


def midranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1 in ascending order; ties share their mean."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    counts = np.diff(np.concatenate(([-1], last)))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(last + 1 - (counts - 1) / 2, counts)
    return ranks


def _areas(labels: Labels, scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(areas f8[k], their covariance f8[k, k]) of k scores of the same rows."""
    for one in scores:
        check_ranked(labels, one)
    positive, negative = scores[:, labels], scores[:, ~labels]
    m, n = positive.shape[1], negative.shape[1]
    events, others = np.empty_like(positive), np.empty_like(negative)
    for at in range(len(scores)):
        both = midranks(np.concatenate((positive[at], negative[at])))
        events[at] = (both[:m] - midranks(positive[at])) / n  # Share of negatives below each positive.
        others[at] = 1 - (both[m:] - midranks(negative[at])) / m  # Share of positives above each negative.
    areas = events.mean(axis=1)
    return areas, _covariance(events) / m + _covariance(others) / n


def _covariance(values: NDArray[np.float64]) -> NDArray[np.float64]:
    if values.shape[1] < 2:
        return np.zeros((len(values), len(values)))
    return np.atleast_2d(np.cov(values))
