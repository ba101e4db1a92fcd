"""Windows spread over machines that break, move and come back, against the windows of one process, bit for bit."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from breaking_field import BreakingField, append_events

from quanheng.cluster.partition import Spec
from quanheng.cluster.spread import SpreadWindows
from quanheng.features.fold import Fold
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureOverflow, FeatureState
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.testing.slow_features import as_arrays

sys.path.insert(0, str(Path(__file__).parents[2] / "properties" / "features"))
import filters
from feature_worlds import LAYOUTS, random_events, random_folds


def run(windows, arrays, **more):
    """Rows, and the cells of an overflow."""
    try:
        return windows.run(*arrays, **more), []
    except FeatureOverflow as overflow:
        return overflow.raw, overflow.cells


def run_at(windows, first, arrays, **more):
    try:
        return windows.run_at(first, *arrays, **more), []
    except FeatureOverflow as overflow:
        return overflow.raw, overflow.cells


def simulate(seed, folder, groups, *, breaks, big=False):
    """A stream in groups: each is asked, then made durable one group later, as the writer does."""
    rng = random.Random(seed)
    plan = Plan.compile(LAYOUTS, random_folds(rng, 14), ["payment", "login"] if rng.random() < 0.5 else ["payment"], 30)
    log = Log.open(SqliteLogStore(folder / "log.db"), "simulation")
    one, field = FeatureState(plan), BreakingField(seed, ["a", "b"], breaks)
    spec = Spec.of(plan, rng.choice([1, 3, 5]), f"sqlite:{folder / 'log.db'}", str(folder / "snapshots"))
    spread = SpreadWindows(plan, spec, field, lambda: log.head)
    waiting, head = [], 0
    for _ in range(groups):
        events = random_events(rng, rng.choice([1, 3, 40, 150]), keys=6, jump_ms=4, late_ms=40, big=big)
        arrays = as_arrays([event._replace(time_ms=event.time_ms + head) for event in events], 3, 2)
        read = rng.random() < 0.9
        if rng.random() < 0.2 and not big:
            assert (spread.peek_at(head, *arrays) == one.peek(*arrays)).all(), f"{seed=} dry run at {head}"
        mine, cells = run(one, arrays, read=read)
        theirs, their_cells = run_at(spread, head, arrays, read=read)
        assert (mine == theirs).all(), f"{seed=} at {head}: {np.argwhere(mine != theirs)[:5]}"
        assert cells == their_cells, f"{seed=} at {head}"
        moved = [event._replace(time_ms=event.time_ms + head) for event in events]
        waiting.append(moved)
        head += len(events)
        if len(waiting) > 1:
            append_events(log, waiting.pop(0))
        chance = rng.random()
        if chance < 0.05:
            field.alive = rng.choice([["a"], ["b"], ["a", "b"], ["a", "b", "c"]])
        elif chance < 0.1:
            spread.rebalance()
        elif chance < 0.2:
            spread.snapshot()
    append_events(log, waiting.pop(0))
    field.breaks = 0.0
    spread.run_at(head, *as_arrays([], 3, 2))
    spread.heal()
    assert spread.late == one.late, f"{seed=}"
    again = SpreadWindows(plan, spec, BreakingField(seed, ["z"]), lambda: log.head)
    again.follow(head)  # From snapshots and the log alone, as after a restart of the sequencer.
    assert [figures.head for figures in again.figures()] == [head] * spec.partitions
    assert again.late == one.late, f"{seed=}"
    events = random_events(rng, 60, keys=6, jump_ms=4, late_ms=9)
    arrays = as_arrays([event._replace(time_ms=event.time_ms + head) for event in events], 3, 2)
    assert (again.run_at(head, *arrays) == one.run(*arrays)).all() if not big else True
    for windows in (spread, again):
        windows.close()
    log.close()
    return field.broken, len(spread.recoveries)


@pytest.mark.parametrize("seed", range(12))
def test_spread_equals_one_process_while_nothing_breaks(seed, tmp_path):
    assert simulate(seed, tmp_path, 30, breaks=0.0)[0] == 0


def test_spread_equals_one_process_while_partitions_break(tmp_path):
    broken = 0
    for seed in range(30):
        folder = tmp_path / str(seed)
        folder.mkdir()
        broken += simulate(100 + seed, folder, 30, breaks=0.03)[0]
    assert broken > 60


@pytest.mark.parametrize("seed", range(4))
def test_sums_that_do_not_fit_are_the_same_cells(seed, tmp_path):
    simulate(200 + seed, tmp_path, 20, breaks=0.01, big=True)


def test_filters_of_feel_are_the_same_in_partitions(tmp_path):
    """What only FEEL can say is found by each partition for its own events; calendars and zones go there, too."""
    rng = random.Random(4)
    folds = [
        Fold(
            f"f{number}", "pay", rng.choice([("customer",), ("customer", "peer"), ()]), rng.choice(["count", "last"]),
            where=filters.random_filter(rng), zone=rng.choice(["UTC", "Asia/Shanghai"]), calendar="days",
        )
        for number in range(20)
    ]  # fmt: skip
    folds = [replace(one, value="paid_ms" if one.fold == "last" else None) for one in folds]
    layouts, calendars = [filters.PAY, filters.ASK], filters.CALENDARS
    plan = Plan.compile(layouts, folds, ["pay", "ask"], 10**8, calendars=calendars)
    assert any("holiday" in one.where or "workday" in one.where for one in folds)
    assert len(plan.flags) > 8
    log = Log.open(SqliteLogStore(tmp_path / "log.db"), "simulation")
    one = FeatureState(plan)
    spec = Spec.of(plan, 3, f"sqlite:{tmp_path / 'log.db'}", str(tmp_path / "snapshots"))
    spread = SpreadWindows(plan, spec, BreakingField(1, ["a", "b"], 0.05), lambda: log.head)
    events, head = filters.events_of(rng, 400), 0
    for first in range(0, len(events), 25):
        group = events[first : first + 25]
        arrays = as_arrays(group, 3, len(filters.PAY.numbers))
        assert (spread.peek_at(head, *arrays) == one.peek(*arrays)).all(), head
        assert (spread.run_at(head, *arrays) == one.run(*arrays)).all(), head
        append_events(log, group)
        head += len(group)
        if first == 200:
            spread.snapshot()
    again = SpreadWindows(plan, spec, BreakingField(2, ["z"]), lambda: log.head)
    again.follow(head)
    arrays = as_arrays(filters.events_of(rng, 60), 3, len(filters.PAY.numbers))
    assert (again.run_at(head, *arrays) == one.run(*arrays)).all()
    for windows in (spread, again):
        windows.close()
    log.close()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(200))
def test_long_simulation(seed, tmp_path):
    simulate(1000 + seed, tmp_path, 120, breaks=0.03)
