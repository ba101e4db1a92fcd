"""Bins weighed together: what each adds to the log-odds beside the others, drawn towards its weight of evidence.

A weight of evidence looks at a column alone; one coefficient stretches all bins of a column alike. Where columns
overlap (six months of payment status) single bins are then off. Here every bin has a deviation d of its own:

    log-odds = a + Σ (b · woe + d);  maximised:  log-likelihood − ridge/2 · Σ d²

Ridge as a normal prior around the classic scorecard (Hoerl and Kennard 1970; le Cessie and van Houwelingen 1992), by
Newton's method. Behind it bins of a column with a rising or falling trend are put back in order by pooling neighbours
that break it (Ayer et al. 1955), weighted by rows; so the trend that a person sees in the bins holds in the points too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quanheng.models.scorecard.binning import Characteristic

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

STEPS_MAX = 25
TOLERANCE = 1e-8


def refine_bins(
    ones: Sequence[Characteristic],
    places: Sequence[Places],
    parts: Sequence[Floats],
    base: float,
    target: NDArray[np.bool_],
    ridge: float,
) -> list[Floats]:
    """What each bin adds to the log-odds, per characteristic f8[bins].

    Parameters
    ----------
    places : bin of each row, intp[n], per characteristic
    parts : what each bin adds before, coefficient · weight of evidence
    """
    sizes = [len(one) for one in parts]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    rows = [start + one for start, one in zip(starts, places, strict=False)]
    known = np.concatenate(parts)
    y = target.astype(np.float64)
    moved = np.zeros(len(known))
    for _ in range(STEPS_MAX):
        worth = known + moved
        log_odds = base + sum(worth[one] for one in rows)
        with np.errstate(over="ignore"):
            p = 1.0 / (1.0 + np.exp(-log_odds))
        gradient = _sums(rows, y - p, len(known)) - ridge * moved
        step = np.linalg.solve(_information(rows, p * (1 - p), len(known)) + ridge * np.eye(len(known)), gradient)
        moved = moved + step
        if np.abs(step).max() < TOLERANCE:
            break
    worth = known + moved
    found = [worth[start : start + size] for start, size in zip(starts, sizes, strict=False)]
    return [_in_order(one, part) for one, part in zip(ones, found, strict=True)]


def _sums(rows: Sequence[Places], weights: Floats, bins: int) -> Floats:
    total = np.zeros(bins)
    for one in rows:
        total += np.bincount(one, weights, bins)
    return total


def _information(rows: Sequence[Places], weights: Floats, bins: int) -> Floats:
    """X'WX of the indicators of bins, from two-way tables: no matrix of rows times bins is ever made."""
    found = np.zeros((bins, bins))
    for at, one in enumerate(rows):
        for other in rows[at:]:
            table = np.bincount(one * bins + other, weights, bins * bins).reshape(bins, bins)
            found += table
            if other is not one:
                found += table.T
    return found


def _in_order(one: Characteristic, worth: Floats) -> Floats:
    """Ranges or groups whose trend rises or falls, pooled where they break it; all other bins as they are."""
    if one.trend not in ("ascending", "descending"):
        return worth
    ordered = [at for at, bin in enumerate(one.bins) if bin.kind in ("range", "categories")]
    sign = 1.0 if one.trend == "ascending" else -1.0
    pools: list[tuple[float, float, int]] = []  # (mean, rows, bins)
    for at in ordered:
        pools.append((sign * float(worth[at]), max(one.bins[at].rows, 1), 1))
        while len(pools) > 1 and pools[-1][0] < pools[-2][0]:
            mean, weight, count = pools.pop()
            before, heavy, many = pools.pop()
            total = weight + heavy
            pools.append(((mean * weight + before * heavy) / total, total, count + many))
    found = worth.copy()
    found[ordered] = [sign * mean for mean, _, count in pools for _ in range(count)]
    return found
