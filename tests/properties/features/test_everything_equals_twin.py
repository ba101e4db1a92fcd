"""All kinds x all windows x all ways to a key in one plan: one by one == groups == large groups == dry runs == dumps ==
keys on disk == the slow twin, bit for bit, in arenas that grow at every block."""

from __future__ import annotations

import random
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from quanheng.features.bounded import BoundedState, Memory
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel import words as w
from quanheng.features.kinds import CALENDAR_KINDS, KINDS
from quanheng.features.plan import Plan
from quanheng.features.reach import reaches
from quanheng.features.state import FeatureOverflow, FeatureState
from quanheng.kernel.calendars import Calendar, CalendarYear
from quanheng.testing.slow_features import Event, SlowFeatures, SlowOverflow, as_arrays

sys.path.insert(0, str(Path(__file__).parent))
from window_worlds import LAYOUTS, everything

DAYS = Calendar("days", (5, 6), (CalendarYear(2024, (date(2024, 4, 1),), (date(2024, 4, 19),), "invented"),))
CALENDARS = {"days": DAYS}


class Tighten:
    """An arena without room to spare: the kernel stops at every new block."""

    def __init__(self, plan, *more):
        super().__init__(plan, *more)
        room_words = more[-1] if more and isinstance(more[-1], int) else 0
        self._arena = self._room.words = self._room.words[: max(self.plan.state_words + 16, room_words)]
        self._desk.place(self._arena)

    def _grow(self):
        self._room.grow(len(self._arena) + int(self._arena[w.A_NEED]))
        self._arena = self._room.words
        self._desk.place(self._arena)


class Tight(Tighten, FeatureState):
    pass


class TightBound(Tighten, BoundedState):
    pass


def world(seed, events_n, *, keys=0, ordered=True):
    rng, folds, events = everything(seed, events_n, keys)
    if not ordered:  # Folds by the own key of an event alone, so that large groups are sorted by key.
        folds = [replace(fold, match=()) for fold in folds if fold.through is None]
    decide = rng.choice([["payment"], ["payment", "login"], ["report", "payment"]])
    decided = [one for one in LAYOUTS if one.name in decide]
    folds = [fold for fold in folds if any(reaches(fold, folds, one.name, one.keys) for one in decided)]
    lateness = rng.choice([0, 3, 40]) * rng.choice([1, 3_600_000])
    return rng, Plan.compile(LAYOUTS, folds, decide, lateness, calendars=CALENDARS), events


def answers(call, *arrays, **more):
    try:
        return call(*arrays, **more).copy()
    except FeatureOverflow as overflow:
        return overflow.raw


def expected_of(twin, plan, event):
    """Raw columns by the twin; None in those of a sum that does not fit."""
    twin.apply(event)
    layout = twin.layouts.get(event.code)
    if layout is None or layout.name not in twin.decide:
        return [w.NULL] * len(plan.columns)
    columns = []
    for number, fold in enumerate(plan.folds):
        try:
            columns += twin._read(layout, fold, number, event)
        except SlowOverflow:
            columns += [None] * len(KINDS[fold.fold].parts)
    return columns


def single(plan, seed, rng, events, state):
    """One by one against the twin, by both ways in, with dry runs and dumps in between."""
    twin = SlowFeatures(plan.layouts, plan.folds, plan.decide, plan.lateness_ms, CALENDARS)
    decides, seen = {layout.code for layout in LAYOUTS if layout.name in plan.decide}, []
    for number, event in enumerate(events):
        one, where = as_arrays([event], 3, 2), f"seed={seed} event {number}"
        expected = expected_of(twin, plan, event)
        peeked = answers(state.peek, *one)[0] if rng.random() < 0.2 else None
        if rng.random() < 0.1:  # A moment further on or back, which must leave no trace.
            moved = event.time_ms + rng.choice([-1, 1]) * rng.choice([1, 3_600_000, 10**9, 10**11])
            if abs(moved) < w.TIME_MAX:
                answers(state.peek, *as_arrays([event._replace(time_ms=moved)], 3, 2))
        if rng.random() < 0.03:
            state = type(state).load(plan, state.dump())
        if rng.random() < 0.3 and event.code in decides:
            row = answers(state.one, event.code, event.time_ms, one[2][0].tobytes(), one[3][0].tolist()).reshape(-1)
        else:
            row = answers(state.run, *one)[0]
        assert peeked is None or (peeked == row).all(), where
        for place, value in enumerate(expected):
            fold = plan.folds[plan.columns[place].fold]
            if value is not None:
                assert row[place] == value, f"{where}: {row[place]}, not {value}: {fold}"
            elif len(KINDS[fold.fold].parts) == 1:
                assert row[place] == w.UNKNOWN, f"{where}: {row[place]} fits: {fold}"
        seen.append(row)
    assert state.late == twin.late, f"seed={seed}"
    return state, np.array(seen).reshape(len(events), -1)


def check(seed, events_n=130):
    rng, plan, events = world(seed, events_n)
    state, seen = single(plan, seed, rng, events, Tight(plan))
    arrays, grouped, first = as_arrays(events, 3, 2), Tight(plan), 0
    while first < len(events):
        last = first + rng.choice([1, 2, 7, 30, 90])
        part = tuple(one[first:last] for one in arrays)
        rows = seen[first : first + len(part[0])]
        if rng.random() < 0.4:
            before = grouped.digest()
            assert (answers(grouped.peek, *part) == rows).all(), f"seed={seed} dry run at {first}"
            assert grouped.digest() == before, f"seed={seed} dry run at {first}"
        if rng.random() < 0.1:
            grouped = Tight.load(plan, grouped.dump())
        if rng.random() < 0.3:
            mask = np.array([rng.random() < 0.5 for _ in rows])
            found = answers(grouped.run, *part, read=mask)
            assert (found[mask] == rows[mask]).all(), f"seed={seed} at {first}"
        else:
            assert (answers(grouped.run, *part) == rows).all(), f"seed={seed} at {first}"
        first += len(rows)
    assert state.digest() == grouped.digest(), f"seed={seed}"
    assert state.late == grouped.late, f"seed={seed}"


def check_ends(seed, events_n=60):
    """Windows as wide as they may be, at the ends of time. (Calendars of the twin do not reach there.)"""
    rng, folds, events = everything(seed, events_n)
    wide, folds = 2**60, [fold for fold in folds if fold.fold not in CALENDAR_KINDS]
    folds = [
        replace(
            fold, since=None, where=None, delay_ms=rng.choice([0, 0, 1, wide]),
            window_ms=None if fold.window_ms is None else rng.choice([wide, wide - 1, fold.window_ms]),
            age_ms_max=None if fold.age_ms_max is None else rng.choice([0, wide]),
            gap_ms=None if fold.gap_ms is None else rng.choice([1, fold.gap_ms]),
        )
        for fold in folds
    ]  # fmt: skip
    decided = [one for one in LAYOUTS if one.name == "payment"]
    folds = [fold for fold in folds if any(reaches(fold, folds, one.name, one.keys) for one in decided)]
    plan = Plan.compile(LAYOUTS, folds, ["payment"], rng.choice([0, 5, w.TIME_MAX // 2]))
    ends = [-w.TIME_MAX, 1 - w.TIME_MAX, wide - w.TIME_MAX, -wide, 0, wide, w.TIME_MAX - wide, w.TIME_MAX]
    times = sorted(rng.choice(ends) for _ in events)
    events = [event._replace(time_ms=time) for event, time in zip(events, times, strict=True)]
    for _ in range(rng.choice([0, 5])):
        place = rng.randrange(len(events))
        events[place] = events[place]._replace(time_ms=rng.choice(ends))
    state, seen = single(plan, seed, rng, events, Tight(plan))
    grouped, first = Tight(plan), 0
    while first < len(events):
        last = first + rng.choice([1, 7, 30])
        part = tuple(one[first:last] for one in as_arrays(events, 3, 2))
        assert (answers(grouped.run, *part) == seen[first:last]).all(), f"seed={seed} at {first}"
        grouped.digest()
        first = last
    assert state.digest() == grouped.digest(), f"seed={seed}"


def check_large(seed, events_n=w.LARGE + 200):
    rng, plan, events = world(seed, events_n, keys=random.Random(seed).choice([1, 3, 40]), ordered=seed % 4 == 0)
    arrays = as_arrays(events, 3, 2)
    large, ordered = Tight(plan), FeatureState(plan)
    mask = np.array([rng.random() < 0.8 for _ in events])
    parts = []
    for first in range(0, len(events), 700):
        part = tuple(one[first : first + 700] for one in arrays)
        parts.append(answers(ordered.run, *part, read=mask[first : first + 700]))
    if rng.random() < 0.5:
        assert (answers(large.peek, *arrays, read=mask) == np.concatenate(parts)).all(), f"seed={seed}"
    rows = answers(large.run, *arrays, read=mask)
    wrong = np.argwhere(np.concatenate(parts) != rows)
    assert not len(wrong), f"seed={seed} {wrong[0]} {plan.folds[plan.columns[wrong[0][1]].fold]}"
    assert large.digest() == ordered.digest(), f"seed={seed}"
    assert large.late == ordered.late, f"seed={seed}"
    floats, out = Tight(plan), np.empty((len(events), len(plan.folds)))
    with suppress(FeatureOverflow):
        floats.run_floats(*arrays, read=mask, out=out)
    assert np.array_equal(out, plan.floats(rows), equal_nan=True), f"seed={seed}"
    assert floats.digest() == ordered.digest(), f"seed={seed}"


def check_bounded(seed, events_n=2500):
    keys = random.Random(seed).choice([3, 60, 400])
    rng, plan, events = world(seed, events_n, keys=keys)
    arrays, first, plain = as_arrays(events, 3, 2), 0, FeatureState(plan)
    with tempfile.TemporaryDirectory() as folder:
        memory = Memory(rng.choice([0, 0, plan.state_words * 8 + 100_000]), Path(folder))
        bound = TightBound(plan, memory)
        while first < events_n:
            last = first + rng.choice([1, 5, 60, 300])
            part = tuple(one[first:last] for one in arrays)
            where = f"seed={seed} at {first}"
            if rng.random() < 0.3:
                assert (answers(bound.peek, *part) == answers(plain.peek, *part)).all(), where
            rows = answers(plain.run, *part)
            wrong = np.argwhere(answers(bound.run, *part) != rows)
            assert not len(wrong), f"{where} {wrong[0]} {plan.folds[plan.columns[wrong[0][1]].fold]}"
            if rng.random() < 0.05:
                assert bound.digest() == plain.digest(), where
            if rng.random() < 0.05:
                assert FeatureState.load(plan, bound.dump()).digest() == plain.digest(), where
                bound = rng.choice([TightBound, BoundedState]).restored(plan, memory, bound.dump())
            first += len(rows)
        assert bound.digest() == plain.digest(), f"seed={seed}"
        assert bound.late == plain.late, f"seed={seed}"
        assert bound.keys == plain.keys, f"seed={seed}"


@pytest.mark.parametrize("seed", range(4))
def test_everything(seed):
    check(seed)


@pytest.mark.parametrize("seed", range(4))
def test_everything_at_the_ends_of_time(seed):
    check_ends(seed)


def test_everything_in_large_groups():
    check_large(1)


def test_everything_on_disk():
    check_bounded(1, 800)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 140))
def test_everything_long(seed):
    check(seed)
    check_ends(seed)
    check_bounded(seed)
    if seed % 4 == 1:
        check_large(seed)


def test_calendar_columns_are_there_where_a_sum_does_not_fit():
    for seed in (1034, 1071):
        check(seed)


def test_floats_are_there_where_a_sum_does_not_fit():
    check_large(3060, w.LARGE + 1)


def test_a_digest_leaves_the_widest_windows_at_the_ends_of_time_as_they_are():
    layout, wide = EventLayout("pay", 1, ("card",), ("amount",)), 2**60
    folds = [
        Fold("all", "pay", ("card",), "sum", "amount"),
        Fold("sum", "pay", ("card",), "sum", "amount", wide, wide),
        Fold("change", "pay", ("card",), "change", "amount", wide, wide),
    ]
    plan = Plan.compile([layout], folds, ["pay"], 0)
    twin, state = SlowFeatures(plan.layouts, plan.folds, plan.decide, 0), FeatureState(plan)
    for number, time in enumerate([-w.TIME_MAX, -w.TIME_MAX, wide - w.TIME_MAX, 0, w.TIME_MAX, w.TIME_MAX]):
        event = Event(1, time, ((1, 1),), (number + 3,))
        assert state.run(*as_arrays([event], 1, 1))[0].tolist() == twin.run(event)
        state.digest()


def test_dry_runs_of_new_keys_take_no_room():
    """Slots that a dry run makes are given back with all that hangs on them."""
    _, plan, events = world(3, 60, keys=60)
    state = FeatureState(plan)
    arrays = as_arrays(events, 3, 2)
    used = []
    for number in range(400):
        keys = arrays[2].copy()
        keys[..., 0] += np.uint64(1000 * number) * (keys[..., 1] != 0)
        answers(state.peek, arrays[0], arrays[1], keys, arrays[3])
        used.append(state.used_bytes)
    assert used[-1] == used[5]
    assert set(state.keys.values()) == {0}
