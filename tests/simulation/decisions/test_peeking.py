"""False alarms and power of the sequential monitor over long seeded runs that are read after every decision."""

from __future__ import annotations

import random

import pytest

from quanheng.decisions.backtest.sequential import Watch

RUNS = 400
DECISIONS = 6_000
ALPHA = 0.05


def first_alarm(seed: int, rates: tuple[float, float], share: float) -> int | None:
    rng, watch = random.Random(seed), Watch("x", ALPHA, sample_min=20)
    for _ in range(DECISIONS):
        arm = int(rng.random() < share)
        watch.add(arm, rng.random() < rates[arm])
        if watch.real_since is not None:
            return watch.real_since
    return None


@pytest.mark.long
@pytest.mark.parametrize(("rate", "share"), [(0.5, 0.5), (0.05, 0.5), (0.01, 0.5), (0.3, 0.1), (0.9, 0.3)])
def test_false_alarms_stay_below_alpha(rate, share):
    alarms = sum(first_alarm(seed, (rate, rate), share) is not None for seed in range(RUNS))
    assert alarms <= ALPHA * RUNS, f"{alarms} of {RUNS}"


@pytest.mark.long
@pytest.mark.parametrize(("rates", "share"), [((0.10, 0.16), 0.5), ((0.5, 0.42), 0.5), ((0.05, 0.12), 0.2)])
def test_a_real_difference_is_found(rates, share):
    found = sum(first_alarm(seed, rates, share) is not None for seed in range(100))
    assert found >= 90, f"{found} of 100"
