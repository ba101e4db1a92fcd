"""How the rows of today spread over the bins of a scorecard, against those it was fitted on.

    PSI = Σ (actual − expected) · ln(actual / expected)

over shares of bins (Siddiqi 2017, chapter 14; Yurdakul 2018): the divergence of Kullback and Leibler both ways.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.models.scorecard.scorecard import Scorecard


class Stability(NamedTuple):
    """Of one characteristic.

    psi : over its bins; shift : mean points today less mean points in training
    expected, actual : share of the rows in each bin
    """

    name: str
    psi: float
    shift: float
    labels: tuple[str, ...]
    expected: NDArray[np.float64]
    actual: NDArray[np.float64]


def stability(scorecard: Scorecard, rows: pl.DataFrame) -> list[Stability]:
    """Of each characteristic, in order. An empty bin counts half a row, so that its logarithm exists."""
    places = scorecard.places(rows)
    found = []
    for at, one in enumerate(scorecard.weights.characteristics):
        before = np.array([bin.rows for bin in one.bins], np.float64)
        now = np.bincount(places[:, at], minlength=len(one.bins)).astype(np.float64)
        points = np.array([bin.points for bin in one.bins], np.float64)
        expected, actual = before / max(before.sum(), 1), now / max(now.sum(), 1)
        shift = float((actual - expected) @ points)
        labels = tuple(bin.label for bin in one.bins)
        found.append(Stability(one.column.name, index(before, now), shift, labels, expected, actual))
    return found


def index(before: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    """PSI of two rows of counts; bins that both leave empty say nothing."""
    used = (before > 0) | (now > 0)
    if not used.any() or not before.sum() or not now.sum():
        return 0.0
    b, n = np.where(before == 0, 0.5, before)[used], np.where(now == 0, 0.5, now)[used]
    expected, actual = b / before.sum(), n / now.sum()
    return float(((actual - expected) * np.log(actual / expected)).sum())
