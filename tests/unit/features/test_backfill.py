"""A frame in log order through the kernel: keys of each type, exact numbers, chunks, refusals."""

import datetime as dt
import random
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from quanheng.features.backfill import backfill
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel.words import LARGE, NULL, UNKNOWN
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureOverflow, FeatureState
from quanheng.kernel.errors import InputError

PAY = EventLayout("pay", 1, ("card", "shop"), ("amount", "flag"), (2, 0))
REPORT = EventLayout("report", 2, ("card",), ("loss",))
PLAN = Plan.compile(
    [PAY, REPORT],
    [
        Fold("n", "pay", ("card",), "count", None, 10),
        Fold("mean", "pay", ("card", "shop"), "mean", "amount", 10),
        Fold("losses", "report", ("card",), "sum", "loss", None),
        Fold("flags", "pay", ("shop",), "sum", "flag", 5, 2),
        Fold("shops", "pay", ("card",), "distinct", "shop", 50),
    ],
    ["pay"], lateness_ms=4,
)  # fmt: skip


def frame(count, seed=1):
    rng, rows, clock = random.Random(seed), [], 0
    for _ in range(count):
        clock += rng.randrange(3)
        pay = rng.random() < 0.8
        rows.append({
            "type": "pay" if pay else "report", "time": clock - rng.randrange(6), "card": rng.randrange(5),
            "shop": rng.choice(["a", "b", None]) if pay else None,
            "amount": Decimal(rng.randrange(1000)).scaleb(-2) if pay else None,
            "flag": rng.random() < 0.5 if pay else None,
            "loss": None if pay else rng.randrange(100),
        })  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"amount": pl.Decimal(10, 2), "loss": pl.Int32})


def test_chunks_and_columns_do_not_matter():
    events = frame(700)
    whole = backfill(PLAN, events)
    seen = []
    parts = backfill(PLAN, events, chunk_rows=33, progress=lambda done, total: seen.append((done, total)))
    assert whole.equals(parts)
    assert (seen[-1], len(seen)) == ((700, 700), 22)
    assert whole.columns == ["row", "n", "mean", "losses", "flags", "shops"]
    assert whole["row"].to_list() == events.with_row_index()["index"].filter(events["type"] == "pay").to_list()
    renamed = events.rename({"card": "c"}).with_columns(pl.col("type").replace_strict({"pay": 1, "report": 2}))
    assert backfill(PLAN, renamed, columns={"card": "c"}).equals(whole)


def test_backfill_equals_live_and_goes_on_from_a_state():
    events, state = frame(300), FeatureState(PLAN)
    first = backfill(PLAN, events.head(120), state=state, values="raw")
    rest = backfill(PLAN, events.slice(120), state=state, values="raw")
    whole = backfill(PLAN, events, values="raw")
    names = whole.columns[1:]
    assert pl.concat([first, rest])[names].equals(whole[names])
    assert (whole["losses"] == NULL).any(), "raw columns keep NULL"
    fresh = FeatureState(PLAN)
    backfill(PLAN, events, state=fresh)
    assert fresh.digest() == state.digest()


def test_read_mask_datetimes_and_pseudonyms():
    keys = [bytes([card]) * 16 for card in (1, 1, 2)]
    start = dt.datetime(2026, 1, 1)
    events = pl.DataFrame({
        "time": [start, start + dt.timedelta(milliseconds=9), start], "card": keys, "shop": ["x", "x", "y"],
        "amount": [1, 2, 3], "flag": [0, 1, 0], "wanted": [False, True, None],
    })  # fmt: skip
    plan = Plan.compile([PAY], [PLAN.folds[0]], ["pay"], 0)
    found = backfill(plan, events, read="wanted")
    assert found.to_dicts() == [{"row": 1, "n": 2.0}]
    state = FeatureState(plan)
    backfill(plan, events, state=state)
    row = state.one(1, int(start.replace(tzinfo=dt.UTC).timestamp() * 1000) + 9, keys[0], (0, 0))
    assert row.tolist() == [3], "Binary keys are taken as they are: live pseudonyms meet them"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pl.col("amount").cast(pl.Float64), "field amount of pay: the column cannot be used; was Float64"),
        (pl.col("amount").cast(pl.Decimal(12, 3)), r"allowed: integer, boolean, Decimal\(scale <= 2\)"),
        (pl.col("time").cast(pl.Float64), "column time: the column cannot be used; was Float64"),
        (pl.lit(None, pl.Int64).alias("time"), "allowed: no nulls. Remove the rows without a time"),
        (pl.col("card").cast(pl.Float64), "field card: the column cannot be a key; was Float64"),
        (pl.lit(b"short").alias("card"), "field card: the key has another length; was 5 bytes"),
    ],
)
def test_a_column_that_cannot_be_used(change, message):
    with pytest.raises(InputError, match=message):
        backfill(PLAN, frame(40).with_columns(change))


def test_a_missing_column():
    with pytest.raises(InputError, match="field shop of pay: the frame lacks a column; was no 'shop'"):
        backfill(PLAN, frame(40).drop("shop"))
    with pytest.raises(InputError, match="event types: the frame lacks a column"):
        backfill(PLAN, frame(40).drop("type"))


def test_overflow_names_the_row_of_the_frame():
    events = pl.DataFrame(
        {"time": [1, 2, 3], "card": [1, 1, 1], "shop": ["a", "a", "a"], "amount": [1, 2**62, 2**62], "flag": [0, 0, 0]}
    )
    plan = Plan.compile([PAY], [PLAN.folds[1]], ["pay"], 0)
    with pytest.raises(FeatureOverflow, match="fold mean, event 2 of the group"):
        backfill(plan, events, chunk_rows=1)


def test_overflow_gives_the_rest_in_the_order_of_the_plan():
    """Folds of one table are worked side by side; what comes back has the declared order."""
    folds = [
        Fold("by_card", "pay", ("card",), "sum", "flag", 10),
        Fold("by_shop", "pay", ("shop",), "mean", "amount", 10),
        Fold("n", "pay", ("card",), "count", None, 10),
    ]
    events = pl.DataFrame(
        {"time": [1, 2], "card": [1, 2], "shop": ["a", "a"], "amount": [2**62, 2**62], "flag": [4, 5]}
    )
    plan = Plan.compile([PAY], folds, ["pay"], 0)
    with pytest.raises(FeatureOverflow, match="fold by_shop, event 1 of the group") as raised:
        backfill(plan, events, values="raw")
    assert raised.value.cells == [(1, "by_shop")]
    assert raised.value.raw.tolist() == [[4, 2**62, 1, 1], [5, UNKNOWN, 2, 1]]
    few = backfill(plan, events.with_columns(amount=pl.lit(7)), values="raw")
    assert few.rows() == [(0, 4, 7, 1, 1), (1, 5, 14, 2, 1)]
    assert few.columns == ["row", "by_card", "by_shop.sum", "by_shop.count", "n"]


def test_empty_frame():
    assert len(backfill(PLAN, frame(5).head(0))) == 0


def test_integer_keys_never_collide():
    from quanheng.features.kernel.hashing import hash_integers

    pairs = np.empty((100_000, 2), dtype=np.uint64)
    hash_integers(np.arange(-50_000, 50_000), pairs)
    assert len({tuple(pair) for pair in pairs.tolist()}) == 100_000
    assert not (pairs == 0).all(axis=1).any()


@pytest.mark.parametrize("wanted", [1.0, 0.6])
def test_a_large_frame_gives_the_floats_of_its_raw_columns(wanted):
    """Late events, keys that are null or new, rows that are not read: the same bits as chunk by chunk."""
    rng = random.Random(7)
    events = frame(2 * LARGE).with_columns(wanted=pl.Series([rng.random() < wanted for _ in range(2 * LARGE)]))
    large, small = FeatureState(PLAN), FeatureState(PLAN)
    whole = backfill(PLAN, events, read="wanted", state=large)
    parts = backfill(PLAN, events, read="wanted", state=small, chunk_rows=LARGE - 1)
    for name in whole.columns:
        assert whole[name].to_numpy().tobytes() == parts[name].to_numpy().tobytes(), name
    assert large.digest() == small.digest()
    raw = backfill(PLAN, events, read="wanted", values="raw")
    held = (raw["mean.sum"] > UNKNOWN).to_numpy()
    mean = raw["mean.sum"].to_numpy()[held] / 100 / raw["mean.count"].to_numpy()[held]
    assert (whole["mean"].to_numpy()[held] == mean).all()
    assert np.isnan(whole["mean"].to_numpy()[~held]).all()


def test_overflow_in_a_large_frame_of_floats_names_its_cells():
    count = LARGE + 10
    amounts = [2**62 if row in {4000, 4001} else 1 for row in range(count)]
    events = pl.DataFrame({
        "time": range(count), "card": [row % 3 for row in range(count)], "shop": ["a"] * count, "amount": amounts,
        "flag": [0] * count,
    })  # fmt: skip
    folds = [Fold("n", "pay", ("card",), "count", None, 9), Fold("s", "pay", (), "sum", "amount", 3)]
    plan = Plan.compile([PAY], folds, ["pay"], 0)
    with pytest.raises(FeatureOverflow, match="fold s, event 4001 of the group") as raised:
        backfill(plan, events)
    assert raised.value.cells == [(4001, "s"), (4002, "s")]
    assert raised.value.raw.shape == (count, 0)


def test_a_large_group_fills_the_floats_it_is_given():
    events, count = frame(LARGE + 1), LARGE + 1
    state = FeatureState(PLAN)
    types = np.where(events["type"] == "pay", 1, 2).astype(np.int32)
    keys = np.ones((count, 2, 2), dtype=np.uint64)
    numbers = np.ones((count, 2), dtype=np.int64)
    mask = np.arange(count) % 2 == 0
    found = state.run_floats(types, events["time"].to_numpy(), keys, numbers, mask)
    other = FeatureState(PLAN)
    raw = other.run(types, events["time"].to_numpy(), keys, numbers, mask)
    assert found.tobytes() == PLAN.floats(raw).tobytes()
    assert found.shape == (count, 5)
    few = FeatureState(PLAN).run_floats(types[:50], events["time"].to_numpy()[:50], keys[:50], numbers[:50], mask[:50])
    assert few.tobytes() == found[:50].tobytes()
