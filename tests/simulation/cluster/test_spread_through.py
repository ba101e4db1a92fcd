"""Folds whose key another fold answers, over machines that break, move and come back: the bits of one process."""

from __future__ import annotations

import random
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from breaking_field import BreakingField, append_events

from quanheng.cluster.field import ClusterLost
from quanheng.cluster.partition import Spec
from quanheng.cluster.spread import SpreadWindows
from quanheng.features.fold import Fold
from quanheng.features.plan import Plan
from quanheng.features.reach import reaches
from quanheng.features.state import FeatureOverflow, FeatureState
from quanheng.kernel.calendars import Calendar, CalendarYear
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.testing.slow_features import Event, as_arrays

sys.path.insert(0, str(Path(__file__).parents[2] / "properties" / "features"))
from feature_worlds import LAYOUTS
from window_worlds import everything, window_world

DAYS = Calendar("days", (5, 6), (CalendarYear(2024, (date(2024, 4, 1),), (date(2024, 4, 19),), "invented"),))
CALENDARS = {"days": DAYS}
PARTITIONS = (1, 2, 3, 5)


def world(seed: int, events_n: int, *, every_kind: bool = False) -> tuple[random.Random, Plan, list[Event]]:
    """A plan in which folds are read through others, up to two deep."""
    while True:
        rng, folds, events = (everything if every_kind else window_world)(seed, events_n)
        decide = rng.choice([["payment"], ["payment", "login"], ["report", "payment"]])
        decided = [one for one in LAYOUTS if one.name in decide]
        folds = [one for one in folds if any(reaches(one, folds, kind.name, kind.keys) for kind in decided)]
        if any(one.through for one in folds):
            lateness_ms = rng.choice([0, 3, 40]) * rng.choice([1, 3_600_000])
            return rng, Plan.compile(LAYOUTS, folds, decide, lateness_ms, calendars=CALENDARS), events
        seed += 100_000


def answers(call, *arrays, **more):
    """Rows, and the cells of an overflow."""
    try:
        return call(*arrays, **more), []
    except FeatureOverflow as overflow:
        return overflow.raw, overflow.cells


def same(one, spread, where):
    wrong = np.argwhere(one[0] != spread[0])
    assert not len(wrong), f"{where}: {wrong[:5]}"
    assert one[1] == spread[1], where


def simulate(seed, folder, events_n, *, breaks=0.0, shifts=0.0, every_kind=False):
    """A stream in groups, each made durable one group later, as the writer does it."""
    rng, plan, events = world(seed, events_n, every_kind=every_kind)
    log = Log.open(SqliteLogStore(folder / "log.db"), "simulation")
    one, field = FeatureState(plan), BreakingField(seed, ["a", "b"], breaks, shifts)
    spec = Spec.of(plan, rng.choice(PARTITIONS), f"sqlite:{folder / 'log.db'}", str(folder / "snapshots"))
    spread, waiting, head = SpreadWindows(plan, spec, field, lambda: log.head), None, 0
    while head < events_n:
        group = events[head : head + rng.choice([1, 1, 3, 17, 60])]
        arrays, where = as_arrays(group, 3, 2), f"{seed=} at {head}"
        if rng.random() < 0.2:
            same(answers(one.peek, *arrays), answers(spread.peek_at, head, *arrays), f"{where}, dry run")
        read = rng.random() < 0.9
        same(answers(one.run, *arrays, read=read), answers(spread.run_at, head, *arrays, read=read), where)
        if rng.random() < 0.1:  # Nothing but requests that were answered before.
            assert spread.run_at(head + len(group), *as_arrays([], 3, 2)).shape == (0, len(plan.columns))
        if waiting is not None:
            append_events(log, waiting)
        waiting, head = group, head + len(group)
        chance = rng.random()
        if chance < 0.1:
            field.alive = rng.choice([["a"], ["b"], ["a", "b"], ["a", "b", "c"]])
            spread.rebalance()
        elif chance < 0.2:
            spread.snapshot()
    append_events(log, waiting)
    field.breaks = field.shifts = 0.0
    spread.heal()
    assert spread.late == one.late, f"{seed=}"
    check_begun_anew(seed, plan, spec, log, spread, one, events[-60:])
    spread.close()
    log.close()
    return field.broken, len(spread.recoveries), len(spread.moves)


def check_begun_anew(seed, plan, spec, log, spread, one, events):
    """From snapshots and the log, and from the log alone: the same windows, and the same answers to what follows."""
    arrays = as_arrays(events, 3, 2)
    expected = answers(one.peek, *arrays)
    for kept in (spec, spec._replace(snapshots="")):
        again = SpreadWindows(plan, kept, BreakingField(seed, ["z"]), lambda: log.head)
        again.follow(log.head)
        assert again.digest() == spread.digest(), f"{seed=} {kept.snapshots=}"
        same(expected, answers(again.peek_at, log.head, *arrays), f"{seed=} begun anew")
        again.close()


@pytest.mark.parametrize("seed", range(8))
def test_through_equals_one_process_while_nothing_breaks(seed, tmp_path):
    assert simulate(seed, tmp_path, 400)[0] == 0


def test_through_equals_one_process_while_partitions_break(tmp_path):
    totals = np.zeros(3, int)
    for seed in range(100, 118):
        folder = tmp_path / str(seed)
        folder.mkdir()
        totals += simulate(seed, folder, 400, breaks=0.03)
    assert (totals > (40, 40, 5)).all(), totals


def test_through_equals_one_process_while_nodes_come_and_go_between_the_rounds(tmp_path):
    totals = np.zeros(3, int)
    for seed in range(200, 212):
        folder = tmp_path / str(seed)
        folder.mkdir()
        totals += simulate(seed, folder, 400, shifts=0.05)
    assert (totals[1:] > (40, 5)).all(), totals


@pytest.mark.parametrize("seed", [300, 301])
def test_every_kind_of_fold_through_others(seed, tmp_path):
    simulate(seed, tmp_path, 150, breaks=0.01, every_kind=True)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1000, 1150))
def test_long_simulation(seed, tmp_path):
    simulate(seed, tmp_path, 1200, breaks=0.02, shifts=0.01, every_kind=seed % 10 == 0)


def through_plan() -> Plan:
    shop = Fold("shop", "payment", ("customer",), "last", "terminal", current="out")
    weight = Fold("weight", "report", ("terminal",), "sum", "weight", through="shop")
    owner = Fold("owner", "payment", ("terminal",), "last", "customer", through="shop")
    spent = Fold("spent", "payment", ("customer",), "sum", "amount", through="owner")
    return Plan.compile(LAYOUTS, [shop, weight, owner, spent], ["payment"], 50)


@pytest.mark.parametrize("what", ["take", "peek"])
@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("round_n", [0, 1, 2])
def test_every_partition_is_lost_in_every_round(round_n, answered, what, tmp_path):
    """Before it is asked, or once it has folded and its answer is lost; a node joins or goes at the same moment."""
    plan, rng = through_plan(), random.Random(5)
    log = Log.open(SqliteLogStore(tmp_path / "log.db"), "simulation")
    one, field = FeatureState(plan), BreakingField(1, ["a", "b"])
    spread = SpreadWindows(plan, Spec.of(plan, 3, f"sqlite:{tmp_path / 'log.db'}"), field, lambda: log.head)
    groups = [[event(rng, 100 * group + row) for row in range(40)] for group in range(8)]
    for number, group in enumerate(groups):
        first, arrays = 40 * number, as_arrays(group, 3, 2)
        victim = spread.slots[number % 3].hold
        ask = victim.ask

        def breaking(asked_what, *arguments, victim=victim, ask=ask, number=number):
            mine = asked_what == what and arguments[0].round_n == round_n and arguments[0].first == 40 * number
            if mine and number > 1:
                field.alive = [["a", "c"], ["b", "c"], ["a", "b", "c"]][number % 3]
                if answered:
                    ask(asked_what, *arguments)
                victim.kill()
            return ask(asked_what, *arguments)

        victim.ask = breaking
        if what == "peek":
            assert (spread.peek_at(first, *arrays) == one.peek(*arrays)).all()
        assert (spread.run_at(first, *arrays) == one.run(*arrays)).all(), number
        if number > 1:
            assert victim is not spread.slots[number % 3].hold
            append_events(log, groups[number - 2])
        spread.rebalance()
    assert len(spread.recoveries) >= 6
    for group in groups[-2:]:
        append_events(log, group)
    spread.heal()
    fresh = SpreadWindows(plan, spread.spec, BreakingField(1, ["z"]), lambda: log.head)
    fresh.follow(log.head)
    assert fresh.digest() == spread.digest()
    for windows in (spread, fresh):
        windows.close()
    log.close()


@pytest.mark.parametrize("partitions", [1, 2])
def test_large_groups_and_long_chains(partitions, tmp_path):
    """Groups that the kernel folds key by key where it may, and a key that is found at the fifth look."""
    ways = [Fold("way0", "payment", ("customer",), "last", "terminal", current="out")]
    fields = ["terminal", "customer"]
    for number in range(1, 5):
        by, value = fields[(number + 1) % 2], fields[number % 2]
        ways.append(Fold(f"way{number}", "payment", (by,), "last", value, through=f"way{number - 1}"))
    read = [Fold(f"read{n}", "payment", (way.value,), "sum", "amount", through=way.name) for n, way in enumerate(ways)]
    plan = Plan.compile(LAYOUTS, [*read, *ways], ["payment"], 50)
    rng, one, field = random.Random(3), FeatureState(plan), BreakingField(1, ["a"])
    spread = SpreadWindows(plan, Spec.of(plan, partitions, "sqlite:/nowhere"), field, lambda: 0)
    for number in range(3):
        arrays = as_arrays([event(rng, 5_000 * number + row) for row in range(5_000)], 3, 2)
        if number == 1:
            assert (spread.peek_at(5_000 * number, *arrays) == one.peek(*arrays)).all()
        rows = spread.run_at(5_000 * number, *arrays)
        assert (rows == one.run(*arrays)).all()
        assert len(np.unique(rows[:, 4])) > 50
    assert {hold.asked.count("take") for hold in field.holds} == {3 * 6}
    assert spread.metrics()["feature_keys"].keys() == one.metrics()["feature_keys"].keys()
    spread.close()


def test_a_group_that_was_cut_off_between_two_rounds_is_in_no_snapshot(tmp_path):
    plan, rng = through_plan(), random.Random(5)
    field = BreakingField(1, ["a"])
    spread = SpreadWindows(plan, Spec.of(plan, 2, f"sqlite:{tmp_path / 'log.db'}"), field, lambda: 0)
    spread.run_at(0, *as_arrays([event(rng, row) for row in range(40)], 3, 2))
    spread.snapshot()
    assert [hold.asked.count("snapshot") for hold in field.holds] == [1, 1]
    collect = spread._collect

    def collect_last(what, asked):
        found = collect(what, asked)
        field.alive = []
        return found

    spread._collect = collect_last
    with pytest.raises(ClusterLost, match="the cluster has no machine that holds partitions"):
        spread.run_at(40, *as_arrays([event(rng, row) for row in range(40, 80)], 3, 2))
    spread.snapshot()
    assert [hold.asked.count("snapshot") for hold in field.holds] == [1, 1]
    spread.close()


def event(rng: random.Random, time_ms: int) -> Event:
    pair = (rng.randrange(1, 40), 1)
    if rng.random() < 0.2:
        return Event(7, time_ms, ((rng.randrange(1, 30), 1), pair), (rng.randrange(9), 1))
    return Event(1, time_ms - rng.randrange(3), (pair, (rng.randrange(1, 30), 1), (0, 0)), (rng.randrange(9), 0))
