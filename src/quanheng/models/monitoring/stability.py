"""Whether those who are scored today are those the model was made for: score bands (PSI) and inputs (CSI).

PSI over the bands of the score and CSI over the bins of an input are one formula (`features.drift.measures`), here over
the bins of the reference, missing and special values among them. Small samples make large indices by chance: under no
shift, PSI is about (1/n + 1/m) times chi-square of B - 1 degrees of freedom (B. Yurdakul and J. Naranjo, Statistical
properties of the population stability index, Journal of Risk Model Validation 14, 2020), so each index comes with the
probability that chance alone makes it as large.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.features.drift.measures import Bin, stability_index
from quanheng.models.chance import chi_square_above
from quanheng.models.monitoring.bins import Bins


class Shift(NamedTuple):
    """How far a column lies from the reference.

    psi : PSI of a score, CSI of an input; None where a side has no rows
    chance : probability of such an index without any shift
    bins : rows of the reference and of now in each bin
    missing : share of missing values, (reference, now)
    points : of a scorecard, by how many points the mean score moved through this input alone; None elsewhere
    """

    name: str
    psi: float | None
    chance: float
    bins: tuple[Bin, ...]
    missing: tuple[float, float]
    points: float | None = None

    @property
    def rows(self) -> int:
        """Rows that are compared with the reference."""
        return sum(one.served for one in self.bins)


def shift(reference: Bins, counts: NDArray[np.int64]) -> Shift:
    """Compare i8[bins] of now with the reference.

    The shift in points is the characteristic analysis of N. Siddiqi, Credit Risk Scorecards (2006), chapter 9: the sum
    over bins of (share now - share of the reference) times the points of the bin.
    """
    was, now = np.array(reference.counts, np.int64), counts
    bins = tuple(
        Bin(label, 0.0, 0.0, before, after)
        for label, before, after in zip(reference.labels(), was.tolist(), now.tolist(), strict=True)
    )
    n, m = int(was.sum()), int(now.sum())
    if not n or not m:
        return Shift(reference.name, None, 1.0, bins, (0.0, 0.0))
    index = stability_index(bins)
    seen = int(((was > 0) | (now > 0)).sum())
    chance = chi_square_above(index / (1 / n + 1 / m), seen - 1)
    points = None
    if reference.points:
        points = float(((now / m - was / n) * np.array(reference.points)).sum())
    return Shift(reference.name, index, chance, bins, (float(was[-1] / n), float(now[-1] / m)), points)
