"""The twelve aggregates of the reproducible card-fraud handbook on all its payments, against prefix sums in numpy.

The handbook's own recipe puts a window's end at the payment's second and counts in every payment of that second; a
vector at a moment holds only what is in the log. So the two differ where a customer (or, unseen for a week, a terminal)
has another payment in the same second that lies later, and nowhere else.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from bench.features_backfill import DAY_MS, DAYS, DELAY, ours

ROOT = Path(__file__).resolve().parents[3]
FILE = Path(os.environ.get("QUANHENG_SHARED", ROOT.parent / "shared")) / "data" / "card_transactions.parquet"
TIES = 58
"""Payments that share customer and second with another one: 29 pairs, and the first of each pair differs."""


class Prefixes:
    """Sums of a value over the payments of a key up to a moment, that moment's own included."""

    def __init__(self, key: np.ndarray, time_ms: np.ndarray, value: np.ndarray) -> None:
        self.key, self.time_ms, self.span = key.astype(np.int64), time_ms - time_ms.min() + 60 * DAY_MS, 2**40
        place = self.key * self.span + self.time_ms
        order = np.argsort(place, kind="stable")
        self.sorted, self.sums = place[order], np.concatenate([[0], np.cumsum(value[order].astype(np.int64))])

    def upto(self, before_ms: int) -> np.ndarray:
        """At each payment, the sum up to so long before it."""
        return self.sums[np.searchsorted(self.sorted, self.key * self.span + self.time_ms - before_ms, side="right")]


@pytest.fixture(scope="module")
def frame():
    if not FILE.is_file():
        pytest.skip("the handbook's payments are not beside the tree (../shared/data/card_transactions.parquet)")
    return pl.read_parquet(FILE).select("time", "customer_id", "terminal_id", "amount_minor", "is_fraud")


def test_the_twelve_aggregates_differ_on_ties_alone(frame):
    mine = ours(frame)
    assert len(mine) == 1_754_155
    time_ms = frame["time"].dt.epoch("ms").to_numpy()
    ones = np.ones(len(frame), np.int64)
    differ = np.zeros(len(frame), bool)
    for key, value, delay, named in (
        ("customer_id", "amount_minor", 0, "customer_count_{}d customer_mean_{}d"),
        ("terminal_id", "is_fraud", DELAY, "terminal_count_{}d terminal_fraud_{}d"),
    ):
        keys = frame[key].to_numpy()
        counts, sums = Prefixes(keys, time_ms, ones), Prefixes(keys, time_ms, frame[value].to_numpy())
        for days in DAYS:
            edges = delay * DAY_MS, (delay + days) * DAY_MS
            count = counts.upto(edges[0]) - counts.upto(edges[1])
            with np.errstate(invalid="ignore"):
                mean = (sums.upto(edges[0]) - sums.upto(edges[1])) / count
            for column, expected in zip(named.format(days, days).split(), (count, mean), strict=True):
                found = mine[column].to_numpy()
                unequal = ~((found == expected) | (np.isnan(expected) & np.isnan(found)))
                assert not unequal.any() or key == "customer_id", column
                differ |= unequal
    later = frame.with_row_index().select(pl.col("index") != pl.col("index").max().over("customer_id", "time"))
    assert not (differ & ~later.to_series().to_numpy()).any()
    listed = frame.with_row_index("row").filter(later.to_series()).select("row", "customer_id", "time")
    assert 2 * len(listed) == TIES, listed
    tied = frame.select(pl.len().over("customer_id", "time") > 1).to_series()
    assert int(tied.sum()) == TIES
    assert np.array_equal(np.flatnonzero(differ), listed["row"].to_numpy())
