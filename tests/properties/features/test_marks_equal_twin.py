"""Folds that are read from marks: equal to the twin bit for bit, whatever arrives, in whatever order and groups."""

from __future__ import annotations

import random
import statistics
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel import words as w
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureOverflow, FeatureState
from quanheng.testing.slow_features import Event, SlowFeatures, SlowOverflow, as_arrays

sys.path.insert(0, str(Path(__file__).parent))
from feature_worlds import LAYOUTS, random_events, random_folds

KINDS = (
    "variance", "stddev", "skew", "zscore", "ratio", "change", "trend", "decayed_count", "decayed_sum", "decayed_mean",
)  # fmt: skip
SEEDS = st.integers(0, 2**32)
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # A seed does not shrink.
PAY = EventLayout("pay", 1, ("card",), ("amount", "fee"), (2, 1))


def every_kind(window_ms=40, value="amount", **more):
    """One fold of each kind over one field."""
    own = {"trend": {"per_ms": 1000}, "ratio": {"other": "fee"}}
    folds = []
    for kind in KINDS:
        settings = {"half_life_ms": 7} if kind.startswith("decayed") else own.get(kind, {})
        field = None if kind == "decayed_count" else value
        folds.append(Fold(kind, "pay", ("card",), kind, field, window_ms, **settings, **more))
    return folds


def pay(time, amount, fee=1, card=1):
    return Event(1, time, ((card, 1),), (amount, fee))


def raw_of(plan, events, state=None):
    return (state or FeatureState(plan)).run(*as_arrays(events, 1, 2))


@settings(max_examples=60, deadline=None, phases=PHASES)
@given(SEEDS)
def test_equal_to_the_twin_with_huge_numbers_and_times(seed):
    """Sums of two raw columns may not fit 64 bits, which both must say; nothing else overflows."""
    rng = random.Random(seed)
    folds = random_folds(rng, 9, KINDS)
    plan = Plan.compile(LAYOUTS, folds, ["payment", "login", "report"], rng.choice([0, 3, 40]))
    jump, big = rng.choice([2, 9, 300]), rng.random() < 0.4
    events = random_events(rng, 70, keys=rng.choice([1, 3]), jump_ms=jump, late_ms=rng.choice([0, 30]), big=big)
    if rng.random() < 0.3:
        events = [one._replace(time_ms=one.time_ms * 2**50) for one in events if abs(one.time_ms) < 2**11]
    twin, state = SlowFeatures(LAYOUTS, folds, plan.decide, plan.lateness_ms), FeatureState(plan)
    for event in events:
        arrays = as_arrays([event], 3, 2)
        try:
            expected = twin.run(event)
        except SlowOverflow as overflow:
            with pytest.raises(FeatureOverflow, match=f"fold {overflow}, event 0 of the group"):
                state.run(*arrays)
            continue
        found = state.run(*arrays)[0].tolist()
        assert expected is None or found == expected, f"seed={seed} {event}"


@settings(max_examples=6, deadline=None, phases=PHASES)
@given(SEEDS)
def test_large_groups_dry_runs_and_dumps(seed):
    """A large group, and its floats, equal small ones, dry runs and a dump in between; digests too."""
    rng = random.Random(seed)
    folds = random_folds(rng, 9, KINDS)
    plan = Plan.compile(LAYOUTS, folds, ["payment", "report"], 15)
    events = random_events(rng, w.LARGE + 200, keys=rng.choice([2, 50]), jump_ms=9, late_ms=rng.choice([5, 50]))
    arrays = as_arrays(events, 3, 2)
    large, floats, small, rows = FeatureState(plan), FeatureState(plan), FeatureState(plan), []
    whole = large.run(*arrays)
    assert np.array_equal(floats.run_floats(*arrays), plan.floats(whole), equal_nan=True), f"seed={seed}"
    for first in range(0, len(events), 700):
        group = tuple(part[first : first + 700] for part in arrays)
        before = small.digest()
        seen = small.peek(*group)
        assert small.digest() == before, f"seed={seed}"
        small = FeatureState.load(plan, small.dump())
        rows.append(small.run(*group))
        assert (seen == rows[-1]).all(), f"seed={seed}"
    assert (whole == np.concatenate(rows)).all(), f"seed={seed}"
    assert large.digest() == small.digest() == floats.digest(), f"seed={seed}"


@settings(max_examples=30, deadline=None, phases=PHASES)
@given(SEEDS)
def test_order_of_arrival_within_the_lateness_has_no_meaning(seed):
    rng = random.Random(seed)
    plan = Plan.compile([PAY], [*every_kind(), *(replace(one, name=f"{one.name} of all", window_ms=None)
                                                 for one in every_kind() if one.fold != "change")],
                        ["pay"], 200)  # fmt: skip
    events = [pay(time, rng.choice([rng.randrange(-999, 999), w.NULL, 2**55 + 1]), rng.randrange(1, 9))
              for time in rng.sample(range(100), 40)]  # fmt: skip
    last = [pay(101, 5), pay(1000, 6)]  # The second lets all rows go, into the sums over all history.
    answers = set()
    for _ in range(3):
        rng.shuffle(events)
        state = FeatureState(plan)
        raw_of(plan, events, state)
        answers.add((tuple(map(tuple, raw_of(plan, last, state).tolist())), state.digest()))
    assert len(answers) == 1, f"seed={seed}"


@pytest.mark.parametrize("outlier", [2**62 + 9, -(2**62) - 9, w.NUMBER_MAX, w.NUMBER_MIN])
def test_an_outlier_that_came_and_went_leaves_no_trace(outlier):
    """Nothing but the window counts: sums of floats would have lost the small numbers beside the large one."""
    plan = Plan.compile([PAY], every_kind(), ["pay"], 0)
    small = [pay(100 + place, 10 + place % 7, 2) for place in range(60)]
    without = raw_of(plan, small)
    with_it = FeatureState(plan)
    with pytest.raises(FeatureOverflow, match="fold ratio, event 1 of the group"):  # Of the sums of two raw columns.
        raw_of(plan, [pay(3, outlier), pay(5, outlier - 1 if outlier > 0 else outlier + 1)], with_it)
    assert (raw_of(plan, small, with_it)[10:] == without[10:]).all()


@settings(max_examples=40, deadline=None, phases=PHASES)
@given(SEEDS)
def test_moderate_numbers_agree_with_statistics_and_numpy(seed):
    rng = random.Random(seed)
    folds = [*every_kind(None if rng.random() < 0.5 else 10**6, current="out")[:4], every_kind(10**6)[6]]
    plan = Plan.compile([PAY], folds, ["pay"], 0)
    times = sorted(rng.sample(range(10**5), 30))
    values = [rng.randrange(-(10**5), 10**5) for _ in times]
    floats = plan.floats(raw_of(plan, [pay(time, value) for time, value in zip(times, values, strict=True)]))[-1]
    numbers = np.array(values) / 100
    past = numbers[:-1].tolist()
    mean, deviation, n = statistics.fmean(past), statistics.stdev(past), len(past)
    third = n / (n - 1) / (n - 2) * sum(((one - mean) / deviation) ** 3 for one in past)
    slope = np.polyfit(np.array(times) - times[0], numbers, 1)[0] * 1000
    expected = [statistics.variance(past), deviation, third, (numbers[-1] - mean) / deviation, slope]
    assert floats == pytest.approx(expected, rel=1e-9), f"seed={seed}"


@settings(max_examples=40, deadline=None, phases=PHASES)
@given(SEEDS)
def test_decayed_sums_agree_with_powers_of_two(seed):
    """Within the relative error that the reference states for a weight."""
    rng = random.Random(seed)
    half_life = rng.choice([1, 3, 10, 1000, 2**52])
    folds = [replace(one, half_life_ms=half_life, window_ms=None) for one in every_kind()[7:]]
    plan = Plan.compile([PAY], folds, ["pay"], 0)
    times = sorted(rng.randrange(300) for _ in range(30))
    values = [rng.randrange(1, 10**5) for _ in times]
    floats = plan.floats(raw_of(plan, [pay(time, value) for time, value in zip(times, values, strict=True)]))[-1]
    weights = [2 ** ((time - times[-1]) / half_life) if times[-1] - time < 64 * half_life else 0.0 for time in times]
    total = sum(weight * value / 100 for weight, value in zip(weights, values, strict=True))
    assert floats == pytest.approx([sum(weights), total, total / sum(weights)], rel=5e-10), f"seed={seed}"
