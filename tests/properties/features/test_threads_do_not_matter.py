"""A history folded by several threads: the bits of one thread, and its errors."""

import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.features.backfill import backfill
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel.words import LARGE
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureOverflow
from quanheng.kernel.errors import InputError

PAY = EventLayout("pay", 1, ("card", "shop"), ("amount", "flag"), (2, 0))
REPORT = EventLayout("report", 2, ("card",), ("loss",))
FOLDS = [
    Fold("n", "pay", ("card",), "count", None, 40),
    Fold("mean", "pay", ("card", "shop"), "mean", "amount", 90),
    Fold("losses", "report", ("card",), "sum", "loss", None),
    Fold("flags", "pay", ("shop",), "sum", "flag", 50, 20),
    Fold("shops", "pay", ("card",), "distinct", "shop", 50),
    Fold("amount", "pay", (), "sum", "amount", 30),
    Fold("top", "pay", ("shop",), "max", "amount", 70),
]
PLAN = Plan.compile([PAY, REPORT], FOLDS, ["pay"], lateness_ms=4)


def history(seed: int, rows: int) -> pl.DataFrame:
    """Payments and reports, some late, some without a shop or an amount."""
    rng, clock, held = random.Random(seed), 0, []
    keys = rng.choice([3, 40, 2000])
    for _ in range(rows):
        clock += rng.randrange(3)
        pay = rng.random() < 0.9
        held.append((
            "pay" if pay else "report", clock - rng.randrange(7) * (rng.random() < 0.1), rng.randrange(keys),
            rng.choice([1, 2, 3, None]) if pay else None, rng.choice([-500, 7, 900, None]) if pay else None,
            rng.randrange(2) if pay else None, None if pay else rng.randrange(9), rng.random() < 0.8,
        ))  # fmt: skip
    names = ["type", "time", "card", "shop", "amount", "flag", "loss", "wanted"]
    return pl.DataFrame(held, schema=names, orient="row", infer_schema_length=None)


def bits(frame: pl.DataFrame) -> list[tuple[str, bytes]]:
    """Columns with their exact content: NaN equals NaN."""
    return [(name, frame[name].to_numpy().tobytes()) for name in frame.columns]


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    rows=st.integers(LARGE, 3 * LARGE),
    chunk=st.integers(LARGE, 3 * LARGE),
    threads=st.integers(2, 9),
    values=st.sampled_from(["float", "raw"]),
    masked=st.booleans(),
)
def test_any_number_of_threads_gives_the_bits_of_one(seed, rows, chunk, threads, values, masked):
    events = history(seed, rows)
    read = "wanted" if masked else None
    one = backfill(PLAN, events, values=values, read=read, threads=1)
    seen = []
    many = backfill(
        PLAN, events, values=values, read=read, threads=threads, chunk_rows=chunk,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert bits(many) == bits(one)
    assert seen[-1] == (rows, rows)
    assert seen == sorted(set(seen))


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), rows=st.integers(LARGE, 3 * LARGE), order=st.booleans())
def test_the_floats_of_runs_are_those_of_their_raw_columns(seed, rows, order):
    """Counts, sums and means of scaled and whole numbers, with nulls, windows before and without the event."""
    folds = [
        Fold(f"{fold}_{key}_{value}_{window}", "pay", (key,), fold, None if fold == "count" else value, window, delay)
        for key in ("card", "shop")
        for fold in ("count", "sum", "mean")
        for value in ("amount", "flag")
        for window, delay in ((20, 0), (90, 30), (None, 0))
        if fold != "count" or value == "flag"
    ]
    plan = Plan.compile([PAY, REPORT], folds, ["pay"], lateness_ms=4)
    events = history(seed, rows)
    events = events.sort("time", maintain_order=True) if order else events
    raw = backfill(plan, events, values="raw", threads=1).drop("row").to_numpy(order="c")
    floats = backfill(plan, events, threads=1).drop("row").to_numpy(order="c")
    assert floats.tobytes() == plan.floats(raw).tobytes()


@pytest.mark.parametrize("values", ["float", "raw"])
def test_several_threads_tell_the_overflow_that_one_tells(values):
    """Sums of two tables do not fit, in the second chunk: all cells of that chunk, in the order of its events."""
    events = history(3, 3 * LARGE)
    amounts = events["amount"].to_list()
    for row in range(LARGE + 500, LARGE + 520):
        amounts[row] = 2**62
    events = events.with_columns(amount=pl.Series(amounts, dtype=pl.Int64), type=pl.lit("pay"))
    raised = []
    for threads in (1, 2, 5):
        with pytest.raises(FeatureOverflow) as found:
            backfill(PLAN, events, values=values, threads=threads, chunk_rows=LARGE)
        raised.append((found.value.cells, str(found.value), found.value.raw.tobytes()))
    assert {fold for _, fold in raised[0][0]} >= {"mean", "amount"}
    assert min(event for event, _ in raised[0][0]) >= LARGE + 500
    assert raised[1] == raised[0]
    assert raised[2] == raised[0]


def test_several_threads_refuse_what_one_refuses():
    events = history(4, 2 * LARGE).with_columns(
        time=pl.when(pl.int_range(pl.len()) == LARGE + 7).then(2**62).otherwise("time")
    )
    texts = []
    for threads in (1, 3):
        with pytest.raises(InputError, match="the time is out of range") as found:
            backfill(PLAN, events, threads=threads)
        texts.append(str(found.value))
    assert texts[0] == texts[1]


def test_no_thread_is_not_allowed():
    with pytest.raises(InputError, match="number of threads is out of range; was 0; allowed: 1") as raised:
        backfill(PLAN, history(1, 5), threads=0)
    assert "use every core" in str(raised.value)
