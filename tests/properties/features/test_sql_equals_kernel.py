"""The same folds on SQL engines as in the kernel: raw columns are equal, cell by cell."""

from __future__ import annotations

import random
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from quanheng.features.fold import BUILT, Fold
from quanheng.features.kinds import CALENDAR_KINDS
from quanheng.features.kinds import KINDS as EVERY_KIND
from quanheng.features.sql.reasons import BACKENDS, reason
from quanheng.features.sql.rules import RULES
from quanheng.features.sql.run import connect

sys.path.insert(0, str(Path(__file__).parent))
from feature_worlds import PAYMENT, random_events, random_folds, settings
from sql_worlds import compared, sql_world, unequal

pytest.importorskip("ibis", reason="needs the extra `offline`")
KINDS = [kind for kind in BUILT if kind in RULES]
BY_RANGE = [kind for kind in KINDS if RULES[kind].by_range]


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


def usable(folds, backend):
    return [fold for fold in folds if reason(fold, backend) is None and set(fold.by) <= set(PAYMENT.keys)]


@pytest.mark.parametrize("seed", range(6))
def test_duckdb_equals_the_kernel_with_ties_and_late_events(duckdb, seed):
    rng = random.Random(seed)
    folds = usable(random_folds(rng, 14, KINDS), "duckdb")
    events = random_events(rng, 300, keys=4, jump_ms=rng.choice([3, 40]), late_ms=rng.choice([0, 5, 40]))
    assert not unequal(compared(duckdb, "duckdb", events, folds, rng.choice([0, 10, 1000])))


@pytest.mark.parametrize("seed", range(6))
def test_duckdb_says_histories_in_order_by_ranges(duckdb, seed):
    rng = random.Random(seed)
    events = sorted(random_events(rng, 300, keys=4, jump_ms=4, late_ms=0), key=lambda one: one.time_ms)
    folds = usable(random_folds(rng, 14, BY_RANGE), "duckdb")
    folds = [replace(fold, age_ms_max=rng.choice([None, 0, 3, 12])) for fold in folds]
    found = compared(duckdb, "duckdb", events, folds, 1000)
    assert not unequal(found)
    assert set(found.by_range) >= {fold.name for fold in folds if not fold.delay_ms and fold.of == "payment"}
    assert found.by_range


def with_matches(rng, folds):
    """Some folds ask under other key fields of the payment than those they fold by."""
    found = []
    for fold in folds:
        if fold.by and rng.random() < 0.4:
            fold = replace(fold, match=tuple(rng.sample(PAYMENT.keys, len(fold.by))))  # noqa: PLW2901
        found.append(fold)
    return found


@pytest.mark.parametrize("kind", sorted(RULES))
def test_each_kind_that_sql_says_equals_the_kernel_on_duckdb(duckdb, kind):
    """Ties, late events, delays, other keys asked; in the order of time and not."""
    rng = random.Random(sorted(RULES).index(kind))
    for in_order in (False, True):
        folds = with_matches(rng, usable(random_folds(rng, 20, [kind, "count"]), "duckdb"))
        assert sum(fold.fold == kind for fold in folds) > 1
        events = random_events(rng, 200, keys=3, jump_ms=rng.choice([3, 40]), late_ms=0 if in_order else 30)
        if in_order:
            events.sort(key=lambda one: one.time_ms)
        found = compared(duckdb, "duckdb", events, folds, rng.choice([0, 10, 1000]))
        assert not unequal(found)
        assert not in_order or found.by_range


def test_sums_of_squares_and_cubes_of_64_bits_are_exact(duckdb):
    rng = random.Random(4)
    kinds = ["variance", "stddev", "skew", "zscore", "trend", "count"]
    folds = [one for one in usable(random_folds(rng, 16, kinds), "duckdb") if not one.match]
    events = random_events(rng, 200, keys=2, jump_ms=3, late_ms=10, big=True)
    assert not unequal(compared(duckdb, "duckdb", events, folds, 10))


def test_a_sum_that_does_not_fit_64_bits_is_unknown(duckdb):
    """Of sums, of both columns of ratio and change, and of a range: the same cells as in the kernel."""
    rng = random.Random(6)
    folds = usable(random_folds(rng, 20, ["sum", "mean", "ratio", "change", "range", "count"]), "duckdb")
    events = random_events(rng, 150, keys=1, jump_ms=3, late_ms=0, big=True)
    found = compared(duckdb, "duckdb", events, folds, 10)
    assert found.overflows > 20
    assert not unequal(found)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", sorted(EVERY_KIND))
def test_each_kind_is_said_or_refused_with_a_reason(kind, backend):
    """What has a rule is compared with the kernel above, calendar kinds below; so no kind escapes."""
    rng, shape = random.Random(1), EVERY_KIND[kind]
    fold = Fold(
        "f", "payment", ("customer",), kind, None if shape.reads == "nothing" else "amount", window_ms=10,
        other="flag" if shape.other else None, **settings(rng, kind, 10),
    )  # fmt: skip
    assert reason(fold, backend) is None
    assert (kind in RULES) != (kind in CALENDAR_KINDS)
    assert set(RULES) <= set(BUILT)


@pytest.mark.parametrize("seed", range(4))
def test_spark_equals_the_kernel(spark, seed):
    rng = random.Random(seed)
    kinds = [["variance", "stddev", "skew", "zscore", "trend"], KINDS, BY_RANGE, KINDS[18:]][seed]
    folds = with_matches(rng, usable(random_folds(rng, 8, [*kinds, "count"]), "pyspark"))
    events = random_events(rng, 120, keys=3, jump_ms=5, late_ms=rng.choice([0, 20]))
    if seed == 2:
        events.sort(key=lambda one: one.time_ms)
    assert not unequal(compared(spark, "pyspark", events, folds, 10))


@pytest.mark.parametrize("seed", [2, 13])
def test_spark_says_windows_conditions_and_calendars(spark, seed):
    rng, folds, events, calendars = sql_world(seed, "pyspark", 60, 4)
    assert not unequal(compared(spark, "pyspark", events, folds, rng.choice([0, 3]), calendars))
