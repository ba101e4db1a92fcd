"""`where` with any FEEL: every way into the windows == the slow twin, which asks the judge of FEEL about each event."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from quanheng.features.backfill import backfill
from quanheng.features.bounded import BoundedState, Memory
from quanheng.features.conditions import compile_condition
from quanheng.features.fold import Fold
from quanheng.features.kernel import words as w
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureState
from quanheng.kernel.errors import DeclarationError
from quanheng.testing.slow_conditions import true_of
from quanheng.testing.slow_features import Event, SlowFeatures, as_arrays

sys.path.insert(0, str(Path(__file__).parent))
from filters import ASK, CALENDARS, PAY, events_of, extreme, random_filter
from test_conditions_equal_twin import ZONES

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # A seed does not shrink.
LAYOUTS = [PAY, ASK]
KEYS_N, NUMBERS_N = 3, len(PAY.numbers)
LATE_MS = 10**8


def world(rng, folds_n=6):
    zone = rng.choice(ZONES)
    folds = [
        Fold(
            f"f{place}", "pay", rng.choice([("customer",), ("customer", "peer"), ()]), kind,
            "paid_ms" if kind != "count" else None, rng.choice([None, 10**7, 10**9]), rng.choice([0, 0, 10**6]),
            rng.choice(["in", "out"]), where=random_filter(rng), zone=zone, calendar="days",
        )
        for place, kind in enumerate(rng.choice(["count", "sum", "max", "last", "distinct"]) for _ in range(folds_n))
    ]  # fmt: skip
    return Plan.compile(LAYOUTS, folds, ["pay", "ask"], LATE_MS, calendars=CALENDARS)


def one_of(state, event):
    """`one` of an event, as the engine calls it."""
    key = b"".join(half.to_bytes(8, "little") for pair in event.keys for half in pair)
    return state.one(event.code, event.time_ms, key, (*event.numbers, *[w.NULL] * (NUMBERS_N - len(event.numbers))))


def arrays_of(events):
    return as_arrays(events, KEYS_N, NUMBERS_N)


@settings(max_examples=60, deadline=None, phases=PHASES)
@given(st.integers(0, 2**32))
def test_a_filter_is_true_of_the_events_that_the_judge_says(seed):
    rng = random.Random(seed)
    zone = rng.choice(ZONES)
    texts = [random_filter(rng) for _ in range(12)]
    folds = [Fold(f"f{i}", "pay", (), "count", where=one, zone=zone, calendar="days") for i, one in enumerate(texts)]
    state = FeatureState(Plan.compile([PAY], folds, ["pay"], 2**50, calendars=CALENDARS))
    events = [one for one in events_of(rng, 30) if one.code == PAY.code]
    events = sorted([one._replace(numbers=extreme(rng)) if rng.random() < 0.2 else one for one in events],
                    key=lambda one: one.time_ms)  # fmt: skip
    held = np.diff(state.run(*arrays_of(events)), axis=0, prepend=0)
    for event, counted in zip(events, held.tolist(), strict=True):
        for fold, found in zip(folds, counted, strict=True):
            expected = true_of(PAY, fold, event.time_ms, event.numbers, CALENDARS, event.keys)
            assert found == expected, f"seed={seed} {zone} {fold.where} {event}"


@settings(max_examples=30, deadline=None, phases=PHASES)
@given(st.integers(0, 2**32))
def test_every_way_into_the_windows_equals_the_twin(seed):
    """One by one, in groups, dry runs between them, restarts from a snapshot, bounded memory."""
    rng = random.Random(seed)
    plan, events = world(rng), events_of(rng, 120)
    twin = SlowFeatures(LAYOUTS, plan.folds, plan.decide, LATE_MS, CALENDARS)
    expected = [twin.run(event) for event in events]
    single, grouped = FeatureState(plan), FeatureState(plan)
    for event, row in zip(events, expected, strict=True):
        if rng.random() < 0.3:
            before = single.digest()
            assert single.peek(*arrays_of([event])).tolist() == [row], f"seed={seed} {event}"
            assert single.digest() == before
        if rng.random() < 0.1:
            single = FeatureState.load(plan, single.dump())
        found = one_of(single, event) if rng.random() < 0.6 else single.run(*arrays_of([event]))[0]
        assert found.tolist() == row, f"seed={seed} {event} {[one.where for one in plan.folds]}"
    first = 0
    while first < len(events):
        last = first + rng.choice([1, 3, 40])
        part = arrays_of(events[first:last])
        if rng.random() < 0.5:
            assert grouped.peek(*part).tolist() == expected[first:last], f"seed={seed} dry run at {first}"
        assert grouped.run(*part).tolist() == expected[first:last], f"seed={seed} at {first}"
        first = last
    assert single.digest() == grouped.digest(), f"seed={seed}"
    assert single.late == grouped.late == twin.late, f"seed={seed}"


@pytest.mark.parametrize("seed", range(3))
def test_large_groups_backfill_and_threads_equal_single_events(seed, tmp_path):
    rng = random.Random(seed)
    plan, events = world(rng, 8), events_of(rng, w.LARGE + 500, 10**6)
    arrays, single = arrays_of(events), FeatureState(plan)
    expected = np.array([one_of(single, event).copy() for event in events])
    large = FeatureState(plan)
    assert (large.run(*arrays) == expected).all()
    assert large.digest() == single.digest()
    floats = FeatureState(plan).run_floats(*arrays)
    assert np.array_equal(floats, plan.floats(expected), equal_nan=True)
    bound = BoundedState(plan, Memory(plan.state_words * 8 + 200_000, tmp_path))
    assert (bound.run(*arrays) == expected).all()
    frame = frame_of(events)
    for threads in (1, 3):
        found = backfill(plan, frame, values="raw", threads=threads, chunk_rows=4_200)
        assert (found.drop("row").to_numpy() == expected).all(), threads


def frame_of(events):
    """The events as a table, with pseudonyms for keys."""
    columns = {"type": [one.code for one in events], "time": [one.time_ms for one in events]}
    for place, name in enumerate(PAY.keys):
        keys = [one.keys[place] for one in events]
        columns[name] = pl.Series([None if key == (0, 0) else np.array(key, np.uint64).tobytes() for key in keys],
                                  dtype=pl.Binary)  # fmt: skip
    for place, name in enumerate(PAY.numbers):
        values = [one.numbers[place] if place < len(one.numbers) else w.NULL for one in events]
        columns[name] = pl.Series([None if value == w.NULL else value for value in values], dtype=pl.Int64)
    return pl.DataFrame(columns)


def test_a_group_without_its_events_and_an_empty_one():
    fold = Fold("f", "pay", ("customer",), "count", where="modulo(units, 2) = 0 or customer = peer")
    state = FeatureState(Plan.compile(LAYOUTS, [fold], ["pay", "ask"], 0))
    assert state.run(*arrays_of([])).shape == (0, 1)
    ask = Event(ASK.code, 5, ((1, 1), (1, 1), (0, 0)), (2,))
    assert state.run(*arrays_of([ask])).tolist() == [[0]]
    assert one_of(state, ask).tolist() == [0]
    pay = Event(PAY.code, 5, ((1, 1), (1, 1), (0, 0)), (1, 1, 1, 1, 1, 1, 1))
    assert state.run(*arrays_of([ask, pay, ask])).tolist() == [[0], [1], [1]]


def test_what_a_refused_group_left_behind_is_not_seen():
    """A number that is reserved refuses the group; FEEL has looked at it by then."""
    fold = Fold("f", "pay", ("customer",), "count", where="units / 2 > 1")
    plan = Plan.compile([PAY], [fold], ["pay"], 0)
    state, good = FeatureState(plan), Event(3, 5, ((1, 1), (1, 1), (0, 0)), (9, 1, 1, 1, 1, 1, 1))
    bad = good._replace(numbers=(w.UNKNOWN, *good.numbers[1:]))
    for _ in range(2):
        with pytest.raises(Exception, match="the number is reserved"):
            one_of(state, bad)
        with pytest.raises(Exception, match="the number is reserved"):
            state.run(*arrays_of([good, bad]))
    assert one_of(state, good).tolist() == [1]


def test_random_filters_are_of_every_kind():
    """The generator is of use: the machine says some, FEEL others, both some; they are true of some events."""
    rng, seen, counted = random.Random(5), {"machine": 0, "flag": 0, "both": 0}, 0
    for _ in range(400):
        text = random_filter(rng)
        found = compile_condition(PAY, text, "UTC", "days")
        seen["machine" if found.flag is None else "flag" if len(found.instructions) == 1 else "both"] += 1
        fold = Fold("f", "pay", (), "count", where=text, calendar="days")
        [event] = [one for one in events_of(rng, 20) if one.code == PAY.code][:1]
        counted += true_of(PAY, fold, event.time_ms, event.numbers, CALENDARS, event.keys)
    assert all(count > 20 for count in seen.values()), seen
    assert 40 < counted < 360
    with pytest.raises(
        DeclarationError, match="the condition cannot be used at line 1, column 1: a condition of a fold"
    ):
        Plan.compile([PAY], [Fold("f", "pay", (), "count", where="now() > moment")], ["pay"], 0)
