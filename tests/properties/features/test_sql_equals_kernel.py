"""The same folds on SQL engines as in the kernel: raw columns are equal, cell by cell."""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from feature_worlds import LAYOUTS, PAYMENT, random_events, random_folds

from quanheng.features.fold import BUILT
from quanheng.features.plan import Plan
from quanheng.features.sql.frames import event_frame, key_columns, moment_frame
from quanheng.features.sql.reasons import SAID, reason
from quanheng.features.sql.run import connect, raw_columns, table_of
from quanheng.features.state import FeatureState
from quanheng.testing.slow_features import as_arrays

pytest.importorskip("ibis", reason="needs the extra `offline`")
KINDS = [kind for kind in BUILT if kind in SAID]


@pytest.fixture(scope="module")
def duckdb():
    pytest.importorskip("duckdb", reason="needs the extra `offline`")
    return connect("duckdb")


@pytest.fixture(scope="module")
def spark():
    pytest.importorskip("pyspark", reason="needs the extra `spark`")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java, which this machine does not have")
    connection = connect("pyspark", **{"spark.sql.shuffle.partitions": "1", "spark.default.parallelism": "1"})
    yield connection
    connection._session.stop()


def compared(connection, backend, events, folds, lateness_ms):
    """Raw columns of every payment: (of SQL, of the kernel, folds that were asked by RANGE windows)."""
    plan = Plan.compile(LAYOUTS, folds, [PAYMENT.name], lateness_ms)
    types, times, keys, numbers = as_arrays(events, 3, 2)
    kernel = FeatureState(plan).run(types, times, keys, numbers)
    rows = np.flatnonzero(types == PAYMENT.code)
    table = event_frame(LAYOUTS, np.arange(len(types)), types, times, keys, numbers)
    moments = moment_frame(rows, times[rows], rows, rows, key_columns(PAYMENT, keys[rows]))
    with tempfile.TemporaryDirectory() as folder:
        asked = [table_of(connection, frame, Path(folder), name) for name, frame in (("e", table), ("m", moments))]
        found, by_range = raw_columns(plan, *asked, backend)
    return found.drop("_row").to_numpy(), kernel[rows], by_range


def usable(folds, backend):
    return [fold for fold in folds if reason(fold, backend) is None and set(fold.by) <= set(PAYMENT.keys)]


@pytest.mark.parametrize("seed", range(6))
def test_duckdb_equals_the_kernel_with_ties_and_late_events(duckdb, seed):
    rng = random.Random(seed)
    folds = usable(random_folds(rng, 14, KINDS), "duckdb")
    events = random_events(rng, 300, keys=4, jump_ms=rng.choice([3, 40]), late_ms=rng.choice([0, 5, 40]))
    sql, kernel, _ = compared(duckdb, "duckdb", events, folds, rng.choice([0, 10, 1000]))
    assert np.array_equal(sql, kernel)


@pytest.mark.parametrize("seed", range(6))
def test_duckdb_says_histories_in_order_by_ranges(duckdb, seed):
    rng = random.Random(seed)
    events = sorted(random_events(rng, 300, keys=4, jump_ms=4, late_ms=0), key=lambda one: one.time_ms)
    folds = usable(random_folds(rng, 14, [kind for kind in KINDS if kind != "distinct"]), "duckdb")
    sql, kernel, by_range = compared(duckdb, "duckdb", events, folds, 1000)
    assert np.array_equal(sql, kernel)
    assert set(by_range) >= {fold.name for fold in folds if not fold.delay_ms and fold.of == "payment"}
    assert by_range


def test_spark_equals_the_kernel(spark):
    for seed in (1, 2):
        rng = random.Random(seed)
        folds = usable(random_folds(rng, 8, KINDS), "pyspark")
        events = random_events(rng, 120, keys=3, jump_ms=5, late_ms=rng.choice([0, 20]))
        if seed == 2:
            events.sort(key=lambda one: one.time_ms)
        sql, kernel, _ = compared(spark, "pyspark", events, folds, 10)
        assert np.array_equal(sql, kernel)
