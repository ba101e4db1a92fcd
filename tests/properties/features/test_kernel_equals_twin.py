"""One by one == groups of any size == large groups by key == the slow twin, bit for bit; dry runs change nothing."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from quanheng.features.kernel import words as w
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureOverflow, FeatureState
from quanheng.testing.slow_features import SlowFeatures, SlowOverflow, as_arrays

sys.path.insert(0, str(Path(__file__).parent))
from feature_worlds import LAYOUTS, PLAIN, random_events, random_folds

SEEDS = st.integers(0, 2**32)
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # A seed does not shrink.


def world(seed, events_n, folds_n=14):
    rng = random.Random(seed)
    folds = random_folds(rng, folds_n)
    decide = rng.choice([["payment"], ["payment", "login"], ["report", "payment"]])
    lateness = rng.choice([0, 3, 15, 40])
    folds = [fold for fold in folds if any(set(fold.by) <= set(one.keys) for one in LAYOUTS if one.name in decide)]
    plan = Plan.compile(LAYOUTS, folds, decide, lateness)
    events = random_events(
        rng, events_n, keys=rng.choice([1, 2, 6]), jump_ms=rng.choice([2, 9, 70]), late_ms=rng.choice([0, 5, 50])
    )
    return rng, plan, events, as_arrays(events, 3, 2)


def twin_rows(plan, events):
    twin = SlowFeatures(plan.layouts, plan.folds, plan.decide, plan.lateness_ms)
    rows = [twin.run(event) for event in events]
    empty = [w.NULL] * len(plan.columns)
    return np.array([empty if row is None else row for row in rows], dtype=np.int64).reshape(len(events), -1), twin


def by_groups(rng, state, arrays, sizes, peek=0.0):
    rows, first = [], 0
    while first < len(arrays[0]):
        size = rng.choice(sizes)
        group = tuple(part[first : first + size] for part in arrays)
        if rng.random() < peek:
            before = state.digest()
            seen = state.peek(*group)
            assert state.digest() == before, "a dry run changed the state"
            rows.append(state.run(*group))
            assert (seen == rows[-1]).all(), "a dry run answered otherwise"
        else:
            rows.append(state.run(*group))
        first += len(group[0])
    return np.concatenate(rows)


@settings(max_examples=60, deadline=None, phases=PHASES)
@given(SEEDS)
def test_one_by_one_equals_groups_equals_twin(seed):
    rng, plan, events, arrays = world(seed, 160)
    expected, twin = twin_rows(plan, events)
    single, grouped = FeatureState(plan), FeatureState(plan)
    rows = by_groups(rng, single, arrays, [1])
    wrong = np.argwhere(rows != expected)
    assert not len(wrong), f"seed={seed} {wrong[:3]} {plan.folds[plan.columns[wrong[0][1]].fold]}"
    assert (by_groups(rng, grouped, arrays, [1, 2, 7, 30, 90]) == expected).all(), f"seed={seed}"
    assert single.digest() == grouped.digest(), f"seed={seed}"
    assert single.late == grouped.late == twin.late, f"seed={seed}"


@settings(max_examples=40, deadline=None, phases=PHASES)
@given(SEEDS)
def test_dry_runs_and_dumps_in_between_change_nothing(seed):
    rng, plan, events, arrays = world(seed, 120)
    expected, _ = twin_rows(plan, events)
    state = FeatureState(plan)
    half = tuple(part[:60] for part in arrays)
    rows = by_groups(rng, state, half, [1, 3, 20], peek=0.7)
    state = FeatureState.load(plan, state.dump())
    rows = np.concatenate([rows, by_groups(rng, state, tuple(part[60:] for part in arrays), [1, 5, 40], peek=0.7)])
    assert (rows == expected).all(), f"seed={seed}"
    plain = FeatureState(plan)
    plain.run(*arrays)
    assert state.digest() == plain.digest(), f"seed={seed}"


@settings(max_examples=12, deadline=None, phases=PHASES)
@given(SEEDS)
def test_large_groups_by_key_equal_log_order(seed):
    rng, plan, events, arrays = world(seed, w.LARGE + 500)
    large, ordered = FeatureState(plan), FeatureState(plan)
    mask = np.array([rng.random() < 0.8 for _ in events])
    ordered_rows = np.concatenate(
        [
            ordered.run(*(part[first : first + 900] for part in arrays), read=mask[first : first + 900])
            for first in range(0, len(events), 900)
        ]
    )
    rows = np.empty((len(plan.columns), len(events)), dtype=np.int64)
    large.run(*arrays, read=mask, out=rows.T)
    assert (ordered_rows == rows.T).all(), f"seed={seed}"
    assert large.digest() == ordered.digest()
    assert large.late == ordered.late


def run_or_overflow(state, arrays, **more):
    """Raw columns, with the cells that do not fit beside them."""
    try:
        return state.run(*arrays, **more), []
    except FeatureOverflow as overflow:
        return overflow.raw, overflow.cells


@settings(max_examples=30, deadline=None, phases=PHASES)
@given(SEEDS)
def test_runs_equal_log_order(seed):
    """Tables of counts, sums and means, some beside tables of other folds: runs broken by late events, ties, nulls,
    sums that do not fit, events that are read but not put in, moments far ahead, and the borders of groups."""
    rng = random.Random(seed)
    folds = random_folds(rng, 10, PLAIN) + [replace(fold, name=f"any {fold.name}") for fold in random_folds(rng, 3)]
    decide = rng.choice([["payment"], ["payment", "login"], ["report", "payment"]])
    folds = [fold for fold in folds if any(set(fold.by) <= set(one.keys) for one in LAYOUTS if one.name in decide)]
    plan = Plan.compile(LAYOUTS, folds, decide, rng.choice([0, 15, 1000]))
    sizes = [w.LARGE + rng.randrange(500) for _ in range(2)]
    events = random_events(
        rng, sum(sizes), keys=rng.choice([1, 3, 30, 400]), jump_ms=rng.choice([2, 9, 400]),
        late_ms=rng.choice([0, 0, 1, 50]), big=rng.random() < 0.3,
    )  # fmt: skip
    arrays = as_arrays(events, 3, 2)
    read = rng.choice([1.0, 0.7, 0.0])
    mask = np.array([rng.random() < read for _ in events])
    large, ordered, first = FeatureState(plan), FeatureState(plan), 0
    for size in sizes:
        part, wanted = tuple(one[first : first + size] for one in arrays), mask[first : first + size]
        rows, cells = run_or_overflow(large, part, read=wanted)
        expected, expected_cells = [], []
        for start in range(0, size, 900):
            group = tuple(one[start : start + 900] for one in part)
            some, found = run_or_overflow(ordered, group, read=wanted[start : start + 900])
            expected.append(some)
            expected_cells += [(start + event, fold) for event, fold in found]
        assert (rows == np.concatenate(expected)).all(), f"seed={seed}"
        assert cells == expected_cells
        assert large.digest() == ordered.digest(), f"seed={seed}"
        assert large.late == ordered.late
        first += size


@settings(max_examples=40, deadline=None, phases=PHASES)
@given(SEEDS)
def test_overflow_is_found_exactly_where_the_twin_finds_it(seed):
    rng = random.Random(seed)
    _, plan, _, _ = world(seed, 1)
    events = random_events(rng, 60, keys=1, jump_ms=5, late_ms=5, big=True)
    twin, state = SlowFeatures(plan.layouts, plan.folds, plan.decide, plan.lateness_ms), FeatureState(plan)
    for event in events:
        arrays = as_arrays([event], 3, 2)
        expected, overflown = None, ""
        try:
            expected = twin.run(event)
        except SlowOverflow as overflow:
            overflown = str(overflow)
        if overflown:
            with pytest.raises(FeatureOverflow, match=f"fold {overflown}, event 0 of the group"):
                state.run(*arrays)
        else:
            row = state.run(*arrays)[0].tolist()
            assert expected is None or row == expected, f"seed={seed}"
