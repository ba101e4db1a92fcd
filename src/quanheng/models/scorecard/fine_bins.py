"""Fine bins of a number: where a column may be cut at all, and how many events fall between two cuts.

Cuts stand between distinct values, so a value that many rows share is never torn apart. Each is the shortest decimal
between its neighbours: people read 0.25, not 0.249999762.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def fine_cuts(values: Floats, bins_max: int) -> Floats:
    """Rising cut points that leave about as many rows in each of at most `bins_max` bins `[cut, next cut)`.

    Parameters
    ----------
    values : f8[n], no NaN; infinities stay in the outer bins

    A distinct value with more rows than a bin should hold has a bin of its own. Where there are no more distinct values
    than bins, every value has one.
    """
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) < 2:
        return np.empty(0)
    if len(distinct) <= bins_max:
        places = np.arange(1, len(distinct))
    else:
        places = _quantile_places(np.cumsum(counts), bins_max)
    cuts = [short_between(float(distinct[at - 1]), float(distinct[at])) for at in places.tolist()]
    return np.array(cuts)


def _quantile_places(below: Counts, bins_max: int) -> NDArray[np.intp]:
    """Places in the distinct values before which to cut: nearest to equal shares of the rows."""
    wanted = below[-1] * np.arange(1, bins_max) / bins_max
    upper = np.searchsorted(below, wanted, side="left")
    under = np.where(upper > 0, below[np.maximum(upper - 1, 0)], 0)
    # A cut stands behind value `upper` or before it, whichever leaves the share nearer to what is wanted.
    nearer = np.where(wanted - under < below[upper] - wanted, upper, upper + 1)
    return np.unique(nearer[(nearer > 0) & (nearer < len(below))])


def short_between(low: float, high: float) -> float:
    """The decimal with fewest digits in `(low, high]`; `high` itself where the numbers end or none is shorter.

    Of several with as few digits the greatest is taken, so the answer is one.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return high if math.isfinite(high) else math.nextafter(low, math.inf)
    if low < 0.0 <= high:
        return 0.0
    start = -math.floor(math.log10(high - low)) - 1
    for digits in range(start, start + 3):
        if digits > 300:
            break
        scaled = 10.0**digits if digits >= 0 else 1.0 / 10.0**-digits
        found = round(math.floor(high * scaled) / scaled, max(digits, 0)) if math.isfinite(high * scaled) else high
        if low < found <= high:
            return found
    return high


def place(values: Floats, cuts: Floats) -> NDArray[np.intp]:
    """The bin of each value: 0 below the first cut, k in `[cut k-1, cut k)`."""
    return np.searchsorted(cuts, values, side="right")


def count(places: NDArray[np.intp], target: NDArray[np.bool_], bins: int) -> tuple[Counts, Counts]:
    """Events and other rows of each bin, i8[bins] both."""
    rows = np.bincount(places, minlength=bins)
    events = np.bincount(places[target], minlength=bins)
    return events.astype(np.int64), (rows - events).astype(np.int64)
