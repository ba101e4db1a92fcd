"""Windows of every kind as SQL equal the kernel's: `since` when clocks change, `last`, sessions, freshness."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quanheng.features.fold import Fold
from quanheng.features.kernel.words import UNKNOWN
from quanheng.features.kinds import CALENDAR_KINDS, KINDS, STARTS
from quanheng.features.sql.columns import Columns
from quanheng.features.sql.run import connect, table_of, whole_expressions
from quanheng.testing.slow_conditions import asked as slowly_asked
from quanheng.testing.slow_features import Event
from quanheng.testing.slow_windows import unit_start_ms

sys.path.insert(0, str(Path(__file__).parent))
from sql_worlds import DAYS, compared, sql_world, unequal
from window_worlds import HOUR, MOMENTS

pl = pytest.importorskip("polars")
pytest.importorskip("ibis", reason="needs the extra `offline`")
pytest.importorskip("duckdb", reason="needs the extra `offline`")


@pytest.fixture(scope="module")
def duckdb():
    return connect("duckdb")


@pytest.mark.parametrize("seed", range(12))
def test_every_kind_of_fold_over_every_kind_of_window(duckdb, seed):
    """Late, tied and null events around a change of clocks; with conditions, other keys and largest ages."""
    rng, folds, events, calendars = sql_world(seed, "duckdb", 120, 8)
    lateness_ms = rng.choice([0, 3, 40]) * rng.choice([1, HOUR])
    assert not unequal(compared(duckdb, "duckdb", events, folds, lateness_ms, calendars))


@pytest.mark.parametrize(
    "more",
    [
        {"since": "day", "zone": "America/St_Johns"}, {"since": "month", "zone": "Asia/Shanghai", "last": 3},
        {"last": 1}, {"last": 4, "delay_ms": 2 * HOUR}, {"last": 2, "current": "out"}, {"age_ms_max": 0},
        {"age_ms_max": HOUR, "delay_ms": HOUR}, {"gap_ms": HOUR, "window_ms": 9 * HOUR},
        {"gap_ms": 2 * HOUR, "window_ms": 20 * HOUR, "last": 3, "current": "out", "age_ms_max": HOUR},
    ],
)  # fmt: skip
def test_each_setting_with_ties_late_events_and_windows_that_fill_late(duckdb, more):
    """Keys whose delayed windows hold nothing at first and something later."""
    rng = random.Random(repr(more))
    start = int(datetime(2006, 10, 29, 2, 31, tzinfo=UTC).timestamp()) * 1000
    kinds = ["count", "sum", "min", "last", "first_time", "streak", "top", "stddev"]
    folds = [
        Fold(f"{kind}{delay}", "payment", ("customer",), kind,
             None if KINDS[kind].reads == "nothing" else "amount", delay_ms=delay)
        for kind in kinds for delay in (0, 3 * HOUR)
    ]  # fmt: skip
    folds = [replace(fold, **{"delay_ms": fold.delay_ms} | more) for fold in folds]
    clock, events = start - 20 * HOUR, []
    for _ in range(120):
        clock += rng.choice([0, 0, 1, HOUR // 2, HOUR])
        time = clock - rng.choice([0, 0, 0, 1, HOUR])
        events.append(Event(1, time, ((rng.randrange(1, 4), 1),) * 3, (rng.choice([-(2**63), 0, 1, 2]), 1)))
    found = compared(duckdb, "duckdb", events, folds, 2 * HOUR)
    assert not unequal(found)
    assert "age_ms_max" not in more or (found.kernel == UNKNOWN).any()


@pytest.mark.parametrize(("zone", "around"), MOMENTS)
def test_units_and_clocks_of_a_zone(duckdb, zone, around, tmp_path):
    """Days that have 23, 24½ or 25 hours, no midnight, two of them, or that are left out."""
    from quanheng.features.sql.clock import asked, unit_start

    rng = random.Random(zone)
    start = int(datetime.fromisoformat(around).replace(tzinfo=UTC).timestamp()) * 1000
    times = [start + rng.randrange(-60 * HOUR, 60 * HOUR) for _ in range(60)]
    columns = Columns(table_of(duckdb, pl.DataFrame({"_time": times}), tmp_path, "times"))
    units = ["day", rng.choice(STARTS[1:])]
    days = [kind for kind in CALENDAR_KINDS if rng.random() < 0.6 or kind == "hour"]
    with whole_expressions():
        for unit in units:
            columns.keep(unit_start(columns, columns["_time"], "moment", unit, zone), unit)
        for kind in days:
            columns.keep(asked(columns, columns["_time"], "moment", kind, zone, DAYS), f"at {kind}")
        frame = pl.DataFrame(pl.from_arrow(columns.table.to_pyarrow()))
    for row in frame.iter_rows(named=True):
        assert [row[unit] for unit in units] == [unit_start_ms(unit, zone, row["_time"]) for unit in units]
        said = [row[f"at {kind}"] for kind in days]
        assert said == [slowly_asked(kind, row["_time"], zone, DAYS) for kind in days]
