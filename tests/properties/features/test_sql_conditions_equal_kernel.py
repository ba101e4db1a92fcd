"""`where` as SQL is true of the same events as the kernel's stack machine, with nulls, extremes and clocks."""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from quanheng.features.conditions import compile_condition
from quanheng.features.fold import Fold
from quanheng.features.kernel import words as w
from quanheng.features.plan import Plan
from quanheng.features.sql.columns import Columns
from quanheng.features.sql.conditions import holds
from quanheng.features.sql.run import connect, table_of, whole_expressions
from quanheng.features.state import FeatureState
from quanheng.kernel.calendars import Calendars
from quanheng.testing.slow_features import Event, as_arrays

sys.path.insert(0, str(Path(__file__).parent))
import filters
from test_conditions_equal_twin import DAYS, MOST, PAY, ZONES, boolean, row

pytest.importorskip("duckdb", reason="needs the extra `offline`")
pytest.importorskip("ibis", reason="needs the extra `offline`")
CALENDARS: Calendars = {"days": DAYS}
START_MS = int(datetime(2024, 2, 8, tzinfo=UTC).timestamp()) * 1000


@pytest.fixture(scope="module")
def duckdb():
    return connect("duckdb")


def by_kernel(text, zone, events, layout=PAY):
    """Of each event whether the kernel folds it: what has been counted of the type, less what was before."""
    fold = Fold("f", "pay", (), "count", where=text, zone=zone, calendar="days")
    plan = Plan.compile([layout], [fold], ["pay"], 2**50, calendars=CALENDARS)
    arrays = as_arrays(events, len(layout.keys), len(layout.numbers))
    return np.diff(FeatureState(plan).run(*arrays)[:, 0], prepend=0).tolist()


def by_sql(connection, texts, zones, events, folder, layout=PAY):
    """The same by SQL: a column for each condition."""
    keys = [tuple(one.keys) for one in events]
    frame = pl.DataFrame({
        "_row": range(len(events)), "_time": [one.time_ms for one in events],
        **{
            f"value:{name}": pl.Series([None if one.numbers[place] == w.NULL else one.numbers[place] for one in events],
                                       dtype=pl.Int64)
            for place, name in enumerate(layout.numbers)
        },
        **{
            f"key:{name}": pl.Series([None if one[place] == (0, 0) else str(one[place]) for one in keys],
                                     dtype=pl.String)
            for place, name in enumerate(layout.keys)
        },
    })  # fmt: skip
    columns = Columns(table_of(connection, frame, folder, "events"))
    with whole_expressions():
        for number, (text, zone) in enumerate(zip(texts, zones, strict=True)):
            condition = compile_condition(layout, text, zone, "days")
            columns.keep(holds(columns, layout, condition, CALENDARS).cast("int64"), f"c{number}")
        found = pl.DataFrame(pl.from_arrow(columns.table.to_pyarrow())).sort("_row")
    return [found[f"c{number}"].to_list() for number in range(len(texts))]


def events_of(rng, count):
    times = sorted(START_MS + rng.randrange(-(10**8), 4 * 10**8) for _ in range(count))
    return [Event(PAY.code, time, ((number + 1, 1),), row(rng)) for number, time in enumerate(times)]


@pytest.mark.parametrize("seed", range(12))
def test_random_conditions(duckdb, seed, tmp_path):
    rng = random.Random(seed)
    events, texts = events_of(rng, 120), [boolean(rng) for _ in range(5)]
    zones = [rng.choice(ZONES[:2] if seed % 3 else ZONES)] * len(texts)
    found = by_sql(duckdb, texts, zones, events, tmp_path)
    for text, zone, sql in zip(texts, zones, found, strict=True):
        kernel = by_kernel(text, zone, events)
        assert sql == kernel, (
            f"{text} in {zone}: {[e for e, a, b in zip(events, sql, kernel, strict=True) if a != b][:3]}"
        )


@pytest.mark.parametrize(
    "text",
    [
        "units + units > 0", "units * units >= 0", "-units < 0", "units - units = 0", "units * -1 = -units",
        "units + 1 = null", "units * price != null", "units + 2 - 2 = units", "price > rate",
        "rate * 0.000001 >= price",
        "units = price", "units in (price, 3)", "not(units > 0) or vip", "(vip and null) = null", "null or vip",
        "vip", "not(vip)", "(units > 1) = (price > 1)", "units between -1 and 9223372036854775805",
        'channel = before and channel != "chip"', "null", "true", "hour + weekday > 9", "holiday = null or workday",
    ],
)  # fmt: skip
def test_limits_of_64_bits_nulls_and_scales(duckdb, text, tmp_path):
    ends = [0, 1, -1, 3, w.NULL, MOST, -MOST, MOST - 1, 1 - MOST, w.NUMBER_MAX, 2**62, -(2**62), 2**32, 3_037_000_500]
    rows = [(a, b, c, rng_vip, 5, a % 3, b % 3) for a in ends for b in ends[:6] for c, rng_vip in ((1, 1), (w.NULL, 0))]
    rows = [(*one[:3], one[3] if one[2] != 1 or one[0] != 3 else w.NULL, *one[4:]) for one in rows]
    events = [Event(PAY.code, START_MS + at, ((at + 1, 1),), one) for at, one in enumerate(rows)]
    [found] = by_sql(duckdb, [text], ["Asia/Shanghai"], events, tmp_path)
    assert found == by_kernel(text, "Asia/Shanghai", events)


@pytest.mark.parametrize("seed", range(6))
def test_random_filters_of_feel_that_instructions_say(duckdb, seed, tmp_path):
    """`if`, functions of choices and of words of the time, key fields: what is not a flag is said, and alike."""
    rng, texts = random.Random(seed), []
    while len(texts) < 6:
        text = filters.random_filter(rng)
        condition = compile_condition(filters.PAY, text, "UTC", "days")
        if condition.flag is None and len(condition.instructions) > 3:
            texts.append(text)
    texts += ['if vip then units > 2 else starts with(channel, "w")', "customer = peer or shop in (null, peer)"]
    events = sorted((one for one in filters.events_of(rng, 150) if one.code == PAY.code), key=lambda one: one.time_ms)
    zones = [rng.choice(ZONES)] * len(texts)
    found = by_sql(duckdb, texts, zones, events, tmp_path, filters.PAY)
    for text, zone, sql in zip(texts, zones, found, strict=True):
        assert sql == by_kernel(text, zone, events, filters.PAY), f"{text} in {zone}"


def test_a_condition_of_the_greatest_length(duckdb, tmp_path):
    """Deep trees become columns on the way, so that an engine can read them."""
    rng = random.Random(3)
    text = " or ".join(f"(units = {number} and price < {number})" for number in range(55))
    deep = "not(" * 50 + "units > 1" + ")" * 50
    events = events_of(rng, 40)
    found = by_sql(duckdb, [text, deep], ["UTC", "UTC"], events, tmp_path)
    assert found == [by_kernel(one, "UTC", events) for one in (text, deep)]
