"""Two arms watched as they run: the martingale against exact fractions, false alarms and power by seeded simulation."""

from __future__ import annotations

import random
from fractions import Fraction
from math import inf, log

import pytest

from quanheng.decisions.backtest.sequential import (
    Arm,
    Finding,
    Matured,
    Monitor,
    Watch,
    interval,
    profile,
    words,
)
from quanheng.kernel.errors import InputError


def slow_ratio(results, rate: Fraction) -> Fraction:
    """M step by step: what the mixture says of the next result, (k + 1/2) / (n + 1), over what the rate says."""
    found, hits = Fraction(1), 0
    for seen, happened in enumerate(results):
        said = (hits + Fraction(1, 2)) / (seen + 1)
        found *= (said if happened else 1 - said) / (rate if happened else 1 - rate)
        hits += happened
    return found


@pytest.mark.parametrize("seed", range(8))
def test_the_ratio_is_the_product_of_its_predictions(seed):
    rng = random.Random(seed)
    results = [rng.random() < 0.3 for _ in range(rng.randint(1, 60))]
    rate = Fraction(rng.randint(1, 9), 10)
    fast = Arm(len(results), sum(results)).log_ratio(rate.numerator / rate.denominator)
    slow = slow_ratio(results, rate)
    assert fast == pytest.approx(log(slow.numerator) - log(slow.denominator), abs=1e-9)


def test_the_ratio_is_a_martingale_of_mean_one():
    """Over every sequence of eight results: the mean under the rate is exactly one."""
    rate, total = Fraction(3, 10), Fraction(0)
    for number in range(2**8):
        results = [bool(number >> bit & 1) for bit in range(8)]
        chance = Fraction(1)
        for happened in results:
            chance *= rate if happened else 1 - rate
        total += chance * slow_ratio(results, rate)
    assert total == 1


def test_a_rate_that_cannot_be_is_infinitely_bad():
    assert Arm(3, 1).log_ratio(0.0) == inf
    assert Arm(3, 1).log_ratio(1.0) == inf
    assert Arm(3, 0).log_ratio(0.0) < 0
    assert Arm().rate is None


@pytest.mark.parametrize("seed", range(6))
def test_the_interval_is_where_the_profile_is_below_the_limit(seed):
    """Against a plain grid over both rates."""
    rng = random.Random(seed)
    one, other = (Arm(n := rng.randint(5, 80), rng.randint(0, n)) for _ in range(2))
    low, high = interval(one, other, 0.05)
    steps = 200
    inside = [
        (b - a) / steps
        for a in range(steps + 1)
        for b in range(steps + 1)
        if one.log_ratio(a / steps) + other.log_ratio(b / steps) < log(20)
    ]
    assert low - 1e-9 <= min(inside)
    assert max(inside) <= high + 1e-9
    assert min(inside) - low <= 2 / steps
    assert high - max(inside) <= 2 / steps
    best = (other.rate or 0) - (one.rate or 0)
    assert profile(one, other, best) < log(20)


def simulate(seed: int, rates: tuple[float, float], decisions: int, share: float, alpha: float = 0.05) -> int | None:
    """A watch that is read after every decision; the decision at which it first called the difference real."""
    rng, watch = random.Random(seed), Watch("x", alpha, sample_min=20)
    for _ in range(decisions):
        arm = int(rng.random() < share)
        watch.add(arm, rng.random() < rates[arm])
        if watch.real_since is not None:
            return watch.real_since
    return None


def test_peeking_after_every_decision_does_not_raise_false_alarms():
    alarms = sum(simulate(seed, (0.3, 0.3), 600, 0.5) is not None for seed in range(200))
    assert alarms <= 0.05 * 200


def test_a_real_difference_is_found():
    found = [simulate(seed, (0.10, 0.25), 3_000, 0.5) for seed in range(30)]
    assert all(found)


def test_nothing_is_real_before_both_arms_have_enough():
    watch = Watch("x", sample_min=50)
    for _ in range(49):
        watch.add(0, False)
        watch.add(1, True)
    assert not watch.finding().real
    watch.add(0, False)
    assert watch.finding().real_since is None
    watch.add(1, True)
    assert watch.finding().real_since == 100
    assert watch.p_value < 1e-9


def test_what_was_real_stays_said_and_the_interval_is_of_now():
    watch = Watch("x", sample_min=1)
    watch.add(0, False, times=200)
    watch.add(1, True, times=200)
    assert watch.finding().low > 0
    watch.add(0, True, times=5_000)
    watch.add(1, False, times=5_000)
    finding = watch.finding()
    assert finding.real
    assert finding.high < 0


def test_many_at_once_are_one_by_one():
    together, single = Watch("x"), Watch("x")
    together.add(1, True, times=150)
    for _ in range(150):
        single.add(1, True)
    assert together.arms == single.arms


def test_a_monitor_divides_its_alpha():
    monitor = Monitor(("decline", "fraud among approve"), alpha=0.1)
    assert [watch.alpha for watch in monitor.watches.values()] == [0.05, 0.05]
    monitor.add("decline", 1, True)
    assert [finding.challenger for finding in monitor.findings()] == [Arm(1, 1), Arm()]


@pytest.mark.parametrize("names", [(), ("a", "a")])
def test_a_monitor_needs_names(names):
    with pytest.raises(InputError, match="a monitor watches rates of different names"):
        Monitor(names)


@pytest.mark.parametrize(("alpha", "least"), [(0, 1), (1, 1), (0.05, 0)])
def test_a_watch_that_means_nothing_is_refused(alpha, least):
    with pytest.raises(InputError, match="the watch cannot be set so"):
        Watch("x", alpha, least)


def test_every_decision_is_given_once_at_the_same_age():
    held = Matured(10)
    held.decided("a", 0, 0)
    held.decided("b", 1, 5)
    held.decided("c", 1, 20)
    held.labelled("b")
    held.labelled("nobody")
    assert list(held.ripe(9)) == []
    assert list(held.ripe(15)) == [(0, False), (1, True)]
    held.labelled("b")
    assert list(held.ripe(29)) == []
    assert list(held.ripe(30)) == [(1, False)]


def test_a_finding_in_words():
    none = words(Finding("decline", Arm(), Arm(5, 1), None, -1, 1, 1, False, None))
    assert none == {"en": "decline: one arm has no decision yet.", "zh": "decline：其中一组尚无决策。"}
    watch = Watch("decline", sample_min=10)
    watch.add(0, True, times=20)
    watch.add(0, False, times=980)
    watch.add(1, True, times=90)
    watch.add(1, False, times=910)
    said = words(watch.finding())
    assert said["en"].startswith(
        "decline: champion 2.00% (20/1,000), challenger 9.00% (90/1,000). The difference is real (first seen after "
    )
    assert said["en"].endswith("(95%, at any time).")
    assert said["zh"].startswith("decline：冠军组 2.00% (20/1,000)，挑战组 9.00% (90/1,000)。差异属实（首次确认于第")
    quiet = Watch("decline")
    quiet.add(0, True)
    quiet.add(1, True)
    assert "No real difference is shown yet; the difference lies between -" in words(quiet.finding())["en"]
    assert "尚未显示真实差异；差异介于" in words(quiet.finding())["zh"]
