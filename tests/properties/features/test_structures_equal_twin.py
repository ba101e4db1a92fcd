"""Folds over structures on streams that are hard for them: many values, skewed counts, wide numbers, rows let go while
moments go back, places all over the globe. One by one == groups == dry runs == the slow twin, bit for bit."""

from __future__ import annotations

import random
import struct
from decimal import Context, Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from quanheng.features.fixed import bucket_words, buckets, log2_words
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel import registers as r
from quanheng.features.kernel import words as w
from quanheng.features.kernel.entropy import log2_fixed
from quanheng.features.kernel.sketch import bucket_of
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureState
from quanheng.testing.slow_features import Event, SlowFeatures, as_arrays
from quanheng.testing.slow_structures import entropy, estimated, haversine, log2_of

SEEDS = st.integers(0, 2**32)
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # A seed does not shrink.
PAY = EventLayout("pay", 1, ("card", "shop"), ("amount", "latitude", "longitude"), (2, 6, 4))
ASK = EventLayout("ask", 2, ("card",), ())
NUMBERS, BOTH = ("percentile", "streak"), ("top", "top_share", "entropy", "distinct")


def random_fold(rng, number):
    kind = rng.choice([*NUMBERS, *BOTH, *BOTH, "distance", "speed"])
    window_ms = rng.choice([None, None, 5, 40, 200])
    more = {}
    if kind == "percentile":
        more = {"quantile": Decimal(rng.choice(["0.5", "0.99", "1", "0.1", "0.333333"])), "accuracy": None}
        more["accuracy"] = rng.choice([None, Decimal("0.001"), Decimal("0.2")])
    if kind == "distinct" and window_ms is None:
        more = {"exact_max": rng.choice([1, 4, 20, 60, None])}
    if kind in {"distance", "speed"}:
        more = {"value": "latitude", "other": "longitude"}
    values = ["amount", "amount", "shop"] if kind in BOTH else ["amount"]
    return Fold(
        f"f{number}", "pay", rng.choice([("card",), ()]), kind, **{"value": rng.choice(values), **more},
        window_ms=window_ms, delay_ms=rng.choice([0, 0, 3, 30]), current=rng.choice(["in", "out"]),
    )  # fmt: skip


def random_number(rng, spread):
    if rng.random() < 0.1:
        return w.NULL
    if rng.random() < 0.3:
        return rng.choice([0, 1, -1, 2**62, -(2**62), w.NUMBER_MIN, w.NUMBER_MAX])
    return rng.randrange(-spread, spread + 1)


def random_places(rng):
    if rng.random() < 0.1:
        return rng.choice([(w.NULL, 0), (0, w.NULL), (90_000_001, 0), (0, -1_800_001), (w.NUMBER_MAX, 0)])
    return rng.choice(
        [
            (rng.randrange(-90_000_000, 90_000_001), rng.randrange(-1_800_000, 1_800_001)),
            (rng.choice([-1, 1]) * 90_000_000, 0), (rng.randrange(-9, 10), rng.choice([-1_800_000, 1_800_000, 3])),
        ]
    )  # fmt: skip


def random_stream(rng, count, late_ms):
    clock, events = 0, []
    spread, shops, jump = rng.choice([2, 30, 10**6]), rng.choice([2, 40, 10**6]), rng.choice([1, 4, 30])
    for _ in range(count):
        clock += rng.randrange(jump + 1)
        time = clock - (rng.randrange(late_ms + 2) if rng.random() < 0.3 else 0)
        card = (rng.randrange(1, 3), 1)
        if rng.random() < 0.1:
            events.append(Event(2, time, (card,), ()))
            continue
        # Halves of shops with the upper bit set: they are compared as unsigned.
        shop = (0, 0) if rng.random() < 0.1 else ((rng.randrange(shops) << 11) + (rng.random() < 0.5) * 2**63, 5)
        events.append(Event(1, time, (card, shop), (random_number(rng, spread), *random_places(rng))))
    return events


@settings(max_examples=80, deadline=None, phases=PHASES)
@given(SEEDS)
def test_structures_equal_twin(seed):
    rng = random.Random(seed)
    lateness = rng.choice([0, 10, 60])
    folds = [random_fold(rng, number) for number in range(12)]
    plan = Plan.compile([PAY, ASK], folds, ["pay", "ask"], lateness)
    events = random_stream(rng, 220, lateness)
    twin = SlowFeatures(plan.layouts, plan.folds, plan.decide, lateness)
    expected = np.array([twin.run(event) for event in events], dtype=np.int64)
    arrays = as_arrays(events, 2, 3)
    single, grouped, first = FeatureState(plan), FeatureState(plan), 0
    for row in range(len(events)):
        found = single.run(*(part[row : row + 1] for part in arrays))[0]
        wrong = np.flatnonzero(found != expected[row])
        assert not len(wrong), f"seed={seed} event={row} {plan.folds[plan.columns[wrong[0]].fold]}"
    while first < len(events):
        last = min(first + rng.choice([1, 3, 25, 100]), len(events))
        group = tuple(part[first:last] for part in arrays)
        if rng.random() < 0.4:
            before = grouped.digest()
            assert (grouped.peek(*group) == expected[first:last]).all(), f"seed={seed} dry run at {first}"
            assert grouped.digest() == before, f"seed={seed} dry run at {first}"
        if rng.random() < 0.2:
            grouped = FeatureState.load(plan, grouped.dump())
        assert (grouped.run(*group) == expected[first:last]).all(), f"seed={seed} group at {first}"
        first = last
    assert single.digest() == grouped.digest(), f"seed={seed}"


def test_large_groups_of_floats_are_the_raw_columns_of_single_events():
    rng = random.Random(17)
    folds = [random_fold(rng, number) for number in range(40)]
    plan = Plan.compile([PAY, ASK], folds, ["pay", "ask"], 20)
    arrays = as_arrays(random_stream(rng, w.LARGE + 300, 20), 2, 3)
    single, large = FeatureState(plan), FeatureState(plan)
    raw = np.concatenate([single.run(*(part[row : row + 1] for part in arrays)) for row in range(len(arrays[0]))])
    assert np.array_equal(large.run_floats(*arrays), plan.floats(raw), equal_nan=True)
    assert large.digest() == single.digest()
    assert {fold.fold for fold in folds} == {*NUMBERS, *BOTH, "distance", "speed"}


def test_long_windows_hold_the_same_as_the_twin():
    """Counts beyond the table of logarithms, streaks over many levels of the tree, rings that wrap."""
    rng = random.Random(5)
    folds = [
        Fold("entropy", "pay", ("card",), "entropy", "amount", 9_000),
        Fold("entropy_out", "pay", ("card",), "entropy", "amount", None, current="out"),
        Fold("streak", "pay", ("card",), "streak", "amount", 9_000),
        Fold("streak_all", "pay", ("card",), "streak", "amount"),
        Fold("streak_out", "pay", ("card",), "streak", "amount", 5_000, current="out"),
        Fold("top", "pay", ("card",), "top_share", "amount", 9_000),
        Fold("half", "pay", ("card",), "percentile", "amount", 9_000, quantile=Decimal("0.5")),
    ]
    plan = Plan.compile([PAY], folds, ["pay"], 0)
    twin, state = SlowFeatures(plan.layouts, plan.folds, plan.decide, 0), FeatureState(plan)
    amounts = [rng.choice([1, 1, 1, 2, 3]) for _ in range(26_000)]
    for place in (3, 40, 700, 9_000, 9_001, 16_000, 25_950):
        amounts[place] = rng.choice([0, w.NULL])
    events = [Event(1, time, ((1, 1), (2, 2)), (amount, 0, 0)) for time, amount in enumerate(amounts)]
    checked = 0
    for first in range(0, len(events), 650):
        rows = state.run(*as_arrays(events[first : first + 650], 2, 3))
        for event in events[first : first + 649]:
            twin.apply(event)
        assert rows[-1].tolist() == twin.run(events[first + 649]), first
        checked += 1
    assert checked == 40


@pytest.mark.parametrize("seed", range(3))
def test_logarithms_are_within_their_error(seed):
    """|L(c) - 2^32 log2 c| < 2, as kernel/entropy.py derives."""
    rng, table, exact = random.Random(seed), np.array(log2_words(), dtype=np.int64), Context(prec=40)
    counts = [*range(1, 5000), *(2**bits + step for bits in range(11, 47) for step in (-1, 0, 1))]
    counts += [rng.randrange(1, 2 ** rng.randrange(1, 47)) for _ in range(3000)]
    for count in counts:
        found = int(log2_fixed(table, 0, count))
        error = abs(found - exact.divide(Decimal(count).ln(exact), Decimal(2).ln(exact)) * 2**32)
        assert error < 2, count
        assert found == log2_of(count), count


def test_entropy_is_that_of_floats_within_its_error():
    rng = random.Random(1)
    for _ in range(300):
        counts = [rng.randrange(1, 10 ** rng.randrange(1, 8)) for _ in range(rng.randrange(1, 60))]
        shares = np.array(counts) / sum(counts)
        assert abs(entropy(counts) - float(-(shares * np.log2(shares)).sum())) < 2**-30 + 1e-12


@pytest.mark.parametrize("accuracy", ["0.001", "0.01", "0.05", "0.2"])
def test_every_bucket_keeps_its_accuracy(accuracy):
    """Both ends of every bucket, exactly; and the kernel finds the bucket of both."""
    bound, table = Fraction(accuracy), np.array(bucket_words(Decimal(accuracy)), dtype=np.int64)
    edges, answers = buckets(Decimal(accuracy))
    for number in range(1, len(edges)):
        last = edges[number + 1] - 1 if number + 1 < len(edges) else w.NUMBER_MAX
        for value in (edges[number], last):
            assert abs(answers[number] - value) <= bound * value
            assert bucket_of(table, 0, value) == number
            assert bucket_of(table, 0, -value) == -number
    assert edges[:2] == (0, 1)
    assert all(answers[value] == value for value in range(1, int(1 / Decimal(accuracy))))


@pytest.mark.parametrize("accuracy", ["0.01", "0.1"])
def test_percentiles_are_within_their_accuracy(accuracy):
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.lognormal(8, 2, 4000), -rng.lognormal(4, 1, 900), np.zeros(100)]).astype(np.int64)
    rng.shuffle(values)
    quantiles = ["0.01", "0.1", "0.25", "0.5", "0.75", "0.95", "0.999", "1"]
    folds = [
        Fold(f"q{one}", "pay", ("card",), "percentile", "amount", quantile=Decimal(one), accuracy=Decimal(accuracy))
        for one in quantiles
    ]
    events = [Event(1, time, ((1, 1), (2, 2)), (int(value), 0, 0)) for time, value in enumerate(values)]
    raw = FeatureState(Plan.compile([PAY], folds, ["pay"], 0)).run(*as_arrays(events, 2, 3))
    for known in (1, 7, 100, 2500, 5000):
        for column, quantile in enumerate(quantiles):
            true = int(np.quantile(values[:known], float(quantile), method="inverted_cdf"))
            assert abs(int(raw[known - 1, column]) - true) <= float(accuracy) * abs(true)


@pytest.mark.parametrize("size", [100, 1_000, 5_000, 30_000, 200_000])
def test_estimates_are_within_their_error(size):
    """Over seeds, the mean error lies within 3 sigma of 0 and the spread near 1.04 / sqrt(4096) or below."""
    errors, trials = [], 40
    for seed in range(trials):
        values = np.random.default_rng(seed).integers(-(2**62), 2**62, size)
        ranks = np.zeros(4096, dtype=np.int64)
        codes = codes_of(values)
        np.maximum.at(ranks, codes >> 6, codes & 63)
        histogram = np.bincount(ranks, minlength=64)
        errors.append(int(r.estimate(histogram, 0)) / size - 1)
    sigma = 1.04 / 4096**0.5
    assert abs(np.mean(errors)) < 3 * sigma / trials**0.5
    assert np.std(errors) < 1.35 * sigma


def codes_of(values):
    return np.array([r.code_of(int(value), int(value), 2) for value in values])


def test_estimate_after_all_rows_are_gone_is_the_twins():
    """100,000 shops through a ring that keeps ten of them."""
    fold = Fold("shops", "pay", (), "distinct", "shop", exact_max=500)
    state = FeatureState(Plan.compile([PAY], [fold], ["pay"], 10))
    events = [Event(1, time, ((1, 1), (time * 2**20 + 1, 3)), (0, 0, 0)) for time in range(100_000)]
    raw = state.run(*as_arrays(events, 2, 3))[:, 0]
    assert raw[:500].tolist() == list(range(1, 501))
    assert raw[-1] == estimated([event.keys[1] for event in events])
    assert abs(raw[-1] / 100_000 - 1) < 0.05
    assert state.used_bytes < 400_000  # The hash of values was given up, and its blocks are used again.


def test_places_are_the_twins_bit_by_bit():
    rng = random.Random(8)
    folds = [Fold(kind, "pay", (), kind, "latitude", other="longitude") for kind in ("distance", "speed")]
    state = FeatureState(Plan.compile([PAY], folds, ["pay"], 0))
    before = None
    for step in range(3000):
        place = (rng.randrange(-90_000_000, 90_000_001), rng.randrange(-1_800_000, 1_800_001))
        if before is not None and rng.random() < 0.5:  # Next door, or nearly opposite.
            place = (before[0] // 2, before[1])
        distance, speed = state.run(*as_arrays([Event(1, step * 1000, ((1, 1), (1, 1)), (0, *place))], 2, 3))[0]
        if before is not None:
            metres = haversine(before, place, (6, 4))
            assert distance == int(metres + 0.5)
            assert struct.pack("<q", speed) == struct.pack("<d", metres / 1000.0 * 3600.0)
        before = place
