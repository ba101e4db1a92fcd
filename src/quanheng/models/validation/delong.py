"""Intervals of areas under ROC curves without drawing: DeLong, DeLong and Clarke-Pearson (1988).

Computed from mid-ranks in n log n, as Sun and Xu (2014, "Fast implementation of DeLong's algorithm", IEEE Signal
Processing Letters 21) show.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.models.chance import Z_95
from quanheng.models.metrics import Labels, Scores, check_ranked


class Area(NamedTuple):
    """An area under the ROC curve, its variance, and its 95 % interval, cut to [0, 1]."""

    auc: float
    variance: float
    low: float
    high: float


def delong(labels: Labels, scores: Scores) -> Area:
    """The area under the ROC curve with DeLong's variance.

    Raises
    ------
    InputError : all rows have the same label
    """
    auc, parts = components(labels, np.asarray(scores))
    variance = _variance(parts[labels]) + _variance(parts[~labels])
    reach = Z_95 * math.sqrt(variance)
    return Area(auc, variance, max(0.0, auc - reach), min(1.0, auc + reach))


def midranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1 in ascending order; ties share their mean."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    counts = np.diff(np.concatenate(([-1], last)))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(last + 1 - (counts - 1) / 2, counts)
    return ranks


def components(labels: Labels, scores: Scores) -> tuple[float, NDArray[np.float64]]:
    """The area, and the structural component of each row, f8[n]: of a positive the share of negatives below it, of a
    negative the share of positives above it; ties count half.

    Raises
    ------
    InputError : all rows have the same label
    """
    positives = check_ranked(labels, scores)
    ranks, found = midranks(scores), np.empty(len(scores))
    found[labels] = (ranks[labels] - midranks(scores[labels])) / (len(labels) - positives)
    found[~labels] = 1 - (ranks[~labels] - midranks(scores[~labels])) / positives
    return float(found[labels].mean()), found


def _variance(values: NDArray[np.float64]) -> float:
    """Of the mean of some components; one alone has none of its own."""
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.0
