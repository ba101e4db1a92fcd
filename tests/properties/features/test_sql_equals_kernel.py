"""The same folds on SQL engines as in the kernel: raw columns are equal, cell by cell."""

from __future__ import annotations

import random
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from feature_worlds import LAYOUTS, PAYMENT, random_events, random_folds, settings

from quanheng.features.fold import BUILT, Fold
from quanheng.features.kinds import KINDS as EVERY_KIND
from quanheng.features.plan import Plan
from quanheng.features.sql.frames import event_frame, key_columns, moment_frame
from quanheng.features.sql.reasons import BACKENDS, SAID, reason
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


def with_matches(rng, folds):
    """Some folds ask under other key fields of the payment than those they fold by."""
    found = []
    for fold in folds:
        if fold.by and rng.random() < 0.4:
            fold = replace(fold, match=tuple(rng.sample(PAYMENT.keys, len(fold.by))))  # noqa: PLW2901
        found.append(fold)
    return found


@pytest.mark.parametrize("kind", sorted(SAID))
def test_each_kind_that_sql_says_equals_the_kernel_on_duckdb(duckdb, kind):
    """Ties, late events, delays, other keys asked; in the order of time and not."""
    rng = random.Random(sorted(SAID).index(kind))
    for in_order in (False, True):
        folds = with_matches(rng, usable(random_folds(rng, 20, [kind, "count"]), "duckdb"))
        assert sum(fold.fold == kind for fold in folds) > 1
        events = random_events(rng, 200, keys=3, jump_ms=rng.choice([3, 40]), late_ms=0 if in_order else 30)
        if in_order:
            events.sort(key=lambda one: one.time_ms)
        sql, kernel, by_range = compared(duckdb, "duckdb", events, folds, rng.choice([0, 10, 1000]))
        assert np.array_equal(sql, kernel)
        assert not in_order or kind == "distinct" or by_range


def test_sums_of_squares_of_64_bits_are_exact(duckdb):
    rng = random.Random(4)
    folds = [one for one in usable(random_folds(rng, 12, ["variance", "stddev", "count"]), "duckdb") if not one.match]
    events = random_events(rng, 200, keys=2, jump_ms=3, late_ms=10, big=True)
    sql, kernel, _ = compared(duckdb, "duckdb", events, folds, 10)
    assert np.array_equal(sql, kernel)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", sorted(EVERY_KIND))
def test_each_kind_is_said_or_refused_with_a_reason(kind, backend):
    """What is in SAID is compared with the kernel above; so no kind escapes."""
    rng, shape = random.Random(1), EVERY_KIND[kind]
    fold = Fold(
        "f", "payment", ("customer",), kind, None if shape.reads == "nothing" else "amount", window_ms=10,
        other="flag" if shape.other else None, **settings(rng, kind, 10),
    )  # fmt: skip
    why = reason(fold, backend)
    assert (why is None) == (kind in SAID)
    assert why is None or len(why) > 20
    assert not SAID - set(BUILT)


def test_spark_equals_the_kernel(spark):
    for seed in (1, 2, 3):
        rng = random.Random(seed)
        folds = with_matches(rng, usable(random_folds(rng, 8, KINDS), "pyspark"))
        if seed == 3:
            folds = usable(random_folds(rng, 10, ["variance", "stddev", "ratio", "change", "count"]), "pyspark")
        events = random_events(rng, 120, keys=3, jump_ms=5, late_ms=rng.choice([0, 20]))
        if seed == 2:
            events.sort(key=lambda one: one.time_ms)
        sql, kernel, _ = compared(spark, "pyspark", events, folds, 10)
        assert np.array_equal(sql, kernel)
