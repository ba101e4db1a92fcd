"""The difference of two areas under the ROC curve on the same rows, with its interval.

DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44, for rows that stand for themselves; Obuchowski (1997),
Biometrics 53, where rows of one customer go together. With a group per row the second is the first. Midranks as in Sun
and Xu (2014), IEEE Signal Processing Letters 21: O(n log n).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.models.chance import Z_95
from quanheng.models.registry.evidence import Evidence
from quanheng.models.validation.delong import components


class Difference(NamedTuple):
    """AUC of the second less that of the first, on the same rows.

    low, high : 95 % interval; p_value : of no difference, two-sided (normal approximation)
    rows, positives, groups : what it was computed on
    """

    first: float
    second: float
    value: float
    low: float
    high: float
    p_value: float
    rows: int
    positives: int
    groups: int


def auc_difference(first: Evidence, second: Evidence) -> Difference:
    """Compare two models on the rows that both scored.

    Raises
    ------
    InputError : they were measured on other rows, or all rows have one label
    """
    if first.rows_digest != second.rows_digest or len(first.labels) != len(second.labels):
        raise InputError(
            "the two were not measured on the same rows", where="evidence", found=second.rows_digest[:19],
            allowed=first.rows_digest[:19], cure="Measure both on the same test rows.",
        )  # fmt: skip
    labels, groups = first.labels, first.groups
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if not positives or not negatives:
        raise InputError(
            "an area under the curve needs rows of both kinds", where="evidence",
            found=f"{positives} of {len(labels)} rows",
        )  # fmt: skip
    areas, parts = zip(*(components(labels, one.scores) for one in (first, second)), strict=True)
    value = areas[1] - areas[0]
    # Of the difference itself: one variance instead of three that cancel.
    deviation = parts[1] - parts[0] - value
    spread = math.sqrt(_variance(deviation, labels, groups))
    p_value = math.erfc(abs(value) / spread / math.sqrt(2)) if spread else float(value == 0)
    low, high = value - Z_95 * spread, value + Z_95 * spread
    many = len(np.unique(groups))
    return Difference(areas[0], areas[1], value, low, high, p_value, len(labels), positives, many)


def _variance(deviation: NDArray[np.float64], labels: NDArray[np.bool_], groups: NDArray[np.int32]) -> float:
    """Variance of the area whose components deviate so from it (Obuchowski 1997, equations 3 to 5)."""
    _, of = np.unique(groups, return_inverse=True)
    many = int(of.max()) + 1
    sums, holding = [], []
    for kind in (labels, ~labels):
        sums.append(np.bincount(of[kind], deviation[kind], many))
        holding.append(int(np.count_nonzero(np.bincount(of[kind], minlength=many))))
    (above, below), (with_positive, with_negative) = sums, holding
    m, n = int(labels.sum()), int((~labels).sum())
    parts = (
        _unbiased(with_positive) * float(above @ above) / m**2
        + _unbiased(with_negative) * float(below @ below) / n**2
        + 2 * _unbiased(many) * float(above @ below) / (m * n)
    )
    return max(parts, 0.0)


def _unbiased(groups: int) -> float:
    return groups / (groups - 1) if groups > 1 else 1.0
