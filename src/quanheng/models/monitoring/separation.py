"""How well scores separate events from the rest, with intervals: AUC and KS of the rows whose outcome is known."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.models.chance import Z_95, Interval, normal_two_sided


class Separation(NamedTuple):
    """auc, ks : 95 % intervals; rows, events : behind them"""

    auc: Interval
    ks: float
    rows: int
    events: int
    error: float


def separation(labels: NDArray[np.bool_], scores: NDArray[np.float64]) -> Separation | None:
    """AUC with the interval of DeLong, and KS; None where the rows are all of one kind.

    The area is the share of pairs that stand in the right order, ties half; its variance is that of the placements of
    events among the rest and the other way round (E. DeLong, D. DeLong and D. Clarke-Pearson, Biometrics 44, 1988),
    here from mid-ranks. KS is the largest distance between the two distribution functions of the score.

    Parameters
    ----------
    labels : bool[n], true = the event; scores : f8[n] without NaN, higher = more likely
    """
    events, n = int(labels.sum()), len(labels)
    others = n - events
    if not events or not others:
        return None
    bad, good = scores[labels], scores[~labels]
    every = _mid_ranks(np.concatenate([bad, good]))
    of_bad = (every[:events] - _mid_ranks(bad)) / others  # Share of the rest below each event.
    of_good = 1.0 - (every[events:] - _mid_ranks(good)) / events
    area = float(of_bad.mean())
    variance = (of_bad.var(ddof=1) / events if events > 1 else 0.0) + (
        of_good.var(ddof=1) / others if others > 1 else 0
    )
    error = sqrt(float(variance))
    auc = Interval(area, max(area - Z_95 * error, 0.0), min(area + Z_95 * error, 1.0))
    cuts = np.unique(scores)
    below_bad = np.searchsorted(np.sort(bad), cuts, side="right") / events
    below_good = np.searchsorted(np.sort(good), cuts, side="right") / others
    return Separation(auc, float(np.abs(below_bad - below_good).max()), n, events, error)


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


def _mid_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; ties share their mean."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    counts = np.diff(np.concatenate(([-1], last)))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(last + 1 - (counts - 1) / 2, counts)
    return ranks
