"""How well scores separate events from the rest, with intervals: AUC and KS of the rows whose outcome is known."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.models.chance import Interval, normal_two_sided
from quanheng.models.metrics import kolmogorov_smirnov
from quanheng.models.validation.delong import delong


class Separation(NamedTuple):
    """auc : with its 95 % interval, error : its standard error; rows, events : behind both figures"""

    auc: Interval
    ks: float
    rows: int
    events: int
    error: float


def separation(labels: NDArray[np.bool_], scores: NDArray[np.float64]) -> Separation | None:
    """AUC with the interval of DeLong, and KS; None where the rows are all of one kind.

    Parameters
    ----------
    labels : bool[n], true = the event; scores : f8[n] without NaN, higher = more likely
    """
    if not labels.any() or labels.all():
        return None
    area = delong(labels, scores)
    ks = kolmogorov_smirnov(labels, scores)
    auc = Interval(area.auc, area.low, area.high)
    return Separation(auc, ks, len(labels), int(labels.sum()), sqrt(max(area.variance, 0.0)))


def drop_chance(reference_auc: float, reference_error: float, now: Separation) -> float:
    """Two-sided probability of such a difference of areas by chance: z of independent areas, for the rows are others
    (J. Hanley and B. McNeil, Radiology 143, 1982)."""
    error = sqrt(reference_error**2 + now.error**2)
    return 1.0 if error == 0.0 else normal_two_sided((reference_auc - now.auc.value) / error)


def error_of(auc: float, events: int, others: int) -> float:
    """Standard error of an area of which only size and counts are known (Hanley and McNeil, Radiology 143, 1982)."""
    if events < 1 or others < 1:
        return 0.0
    first, second = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    total = auc * (1 - auc) + (events - 1) * (first - auc * auc) + (others - 1) * (second - auc * auc)
    return sqrt(max(total, 0.0) / (events * others))
