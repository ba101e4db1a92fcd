"""models.stability: rows a second that are counted into the bins of a reference and compared with it, thirty inputs.

Peers do the same arithmetic over the same cuts: numpy's digitize and bincount, and Polars' cut with counts of values.
Every way must give the same index to nine digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import log

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.features.drift.measures import SHARE_LEAST
from quanheng.models.monitoring.bins import Bins, number_bins
from quanheng.models.monitoring.stability import shift
from quanheng.testing.bench import Measured, interleaved_seconds

INPUTS = 30
MISSING = 0.05


def columns(count: int, seed: int) -> list[NDArray[np.float64]]:
    """Inputs with missing values, a little apart from those of another seed."""
    chance = np.random.default_rng(seed)
    made = []
    for _ in range(INPUTS):
        values = chance.normal(0.02 * seed, 1.0, count)
        values[chance.random(count) < MISSING] = np.nan
        made.append(values)
    return made


def ours(reference: Sequence[Bins], given: Sequence[NDArray[np.float64]]) -> list[float]:
    """CSI of every input."""
    return [shift(one, one.count(values)).psi or 0.0 for one, values in zip(reference, given, strict=True)]


def by_numpy(reference: Sequence[Bins], given: Sequence[NDArray[np.float64]]) -> list[float]:
    """The same by digitize and bincount."""
    found = []
    for one, values in zip(reference, given, strict=True):
        places = np.digitize(values, one.cuts, right=True)
        places[np.isnan(values)] = one.size - 1
        found.append(_index(one.counts, np.bincount(places, minlength=one.size)))
    return found


def by_polars(reference: Sequence[Bins], given: Sequence[NDArray[np.float64]]) -> list[float]:
    """The same by cut and value_counts."""
    found = []
    for one, values in zip(reference, given, strict=True):
        series = pl.Series("v", values, nan_to_null=True)
        labels = [str(at) for at in range(len(one.cuts) + 1)]
        counted = series.cut(list(one.cuts), labels=labels).cast(pl.String).value_counts()
        counts = dict(counted.iter_rows())
        found.append(_index(one.counts, [counts.get(label, 0) for label in labels] + [counts.get(None, 0)]))
    return found


def _index(was: Sequence[int], now: Sequence[int] | NDArray[np.int64]) -> float:
    first, second = sum(was), sum(map(int, now))
    pairs = [
        (max(n / second, SHARE_LEAST), max(w / first, SHARE_LEAST)) for w, n in zip(was, now, strict=True) if w or n
    ]
    return sum((p - q) * log(p / q) for p, q in pairs)


def run(quick: bool = False) -> Measured:
    """Rows a second, all inputs of a row counted."""
    count = 40_000 if quick else 400_000
    reference = [number_bins(f"x{at}", values) for at, values in enumerate(columns(100_000, 1))]
    given = columns(count, 2)
    ways = {"ours": ours, "numpy": by_numpy, "polars": by_polars}
    told = {name: way(reference, given) for name, way in ways.items()}
    for name, found in told.items():
        assert np.allclose(found, told["ours"], rtol=0, atol=1e-9), name
    calls = {name: partial(way, reference, given) for name, way in ways.items()}
    rates = {name: round(count / seconds) for name, seconds in interleaved_seconds(calls, 3).items()}
    return Measured(
        rates.pop("ours"), "rows/s", dict(rates), {"inputs": INPUTS, "worst_csi": round(max(told["ours"]), 6)}
    )
