"""Every kind of window and every way to a key: one by one == groups == large groups == the slow twin, bit for bit."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from quanheng.features.kernel import words as w
from quanheng.features.plan import Plan
from quanheng.features.reach import reaches
from quanheng.features.state import FeatureOverflow, FeatureState
from quanheng.testing.slow_features import SlowFeatures, SlowOverflow, as_arrays

sys.path.insert(0, str(Path(__file__).parent))
from window_worlds import LAYOUTS, window_world

SEEDS = st.integers(0, 2**32)
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # A seed does not shrink.


def world(seed, events_n, folds_n=10):
    rng, folds, events = window_world(seed, events_n, folds_n)
    decide = rng.choice([["payment"], ["payment", "login"], ["report", "payment"]])
    decided = [one for one in LAYOUTS if one.name in decide]
    folds = [fold for fold in folds if any(reaches(fold, folds, one.name, one.keys) for one in decided)]
    lateness = rng.choice([0, 3, 40]) * rng.choice([1, 3_600_000])
    return rng, Plan.compile(LAYOUTS, folds, decide, lateness), events


def check(seed, events_n=140):
    rng, plan, events = world(seed, events_n)
    arrays = as_arrays(events, 3, 2)
    twin = SlowFeatures(plan.layouts, plan.folds, plan.decide, plan.lateness_ms)
    state, grouped = FeatureState(plan), FeatureState(plan)
    empty = [w.NULL] * len(plan.columns)
    seen = []
    for number, event in enumerate(events):
        one = as_arrays([event], 3, 2)
        if rng.random() < 0.2:
            before = state.digest()
            with suppress(FeatureOverflow):
                state.peek(*one)
            assert state.digest() == before, f"seed={seed}: a dry run changed the state"
        if rng.random() < 0.02:
            state = FeatureState.load(plan, state.dump())
        overflown, expected = False, empty
        try:
            expected = twin.run(event) or empty
        except SlowOverflow:
            overflown = True
        try:
            row = state.run(*one)[0]
            assert not overflown, f"seed={seed}"
            wrong = np.nonzero(row != np.array(expected))[0]
            assert not len(wrong), (
                f"seed={seed} event {number}: {row[wrong[0]]}, not {expected[wrong[0]]}: "
                f"{plan.folds[plan.columns[wrong[0]].fold]}"
            )
        except FeatureOverflow as overflow:
            assert overflown, f"seed={seed}"
            row = overflow.raw[0]
        seen.append(row)
    rows, first = [], 0
    while first < len(events):
        size = rng.choice([1, 2, 7, 30, 90])
        part = tuple(one[first : first + size] for one in arrays)
        try:
            rows.append(grouped.run(*part))
        except FeatureOverflow as overflow:
            rows.append(overflow.raw)
        first += size
    assert (np.concatenate(rows) == np.array(seen)).all(), f"seed={seed}"
    assert state.digest() == grouped.digest(), f"seed={seed}"
    assert state.late == grouped.late == twin.late, f"seed={seed}"


@settings(max_examples=60, deadline=None, phases=PHASES)
@given(SEEDS)
def test_one_by_one_equals_groups_equals_twin(seed):
    check(seed)


@settings(max_examples=10, deadline=None, phases=PHASES)
@given(SEEDS)
def test_large_groups_equal_log_order(seed):
    rng, plan, events = world(seed, w.LARGE + 300)
    arrays = as_arrays(events, 3, 2)
    large, ordered = FeatureState(plan), FeatureState(plan)
    mask = np.array([rng.random() < 0.8 for _ in events])
    parts = []
    for first in range(0, len(events), 900):
        part = tuple(one[first : first + 900] for one in arrays)
        try:
            parts.append(ordered.run(*part, read=mask[first : first + 900]))
        except FeatureOverflow as overflow:
            parts.append(overflow.raw)
    try:
        rows = large.run(*arrays, read=mask)
    except FeatureOverflow as overflow:
        rows = overflow.raw
    assert (np.concatenate(parts) == rows).all(), f"seed={seed}"
    assert large.digest() == ordered.digest()
    assert large.late == ordered.late
    floats = FeatureState(plan)
    try:
        found = floats.run_floats(*arrays, read=mask)
    except FeatureOverflow:
        return
    assert np.array_equal(found, plan.floats(rows), equal_nan=True), f"seed={seed}"
