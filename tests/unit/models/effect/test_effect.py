"""Differences between arms: published examples, coverage and false positives by seeded simulation, edges."""

from __future__ import annotations

from math import inf, isnan, nan

import numpy as np
import polars as pl
import pytest
from scipy import stats

from quanheng.kernel.errors import InputError
from quanheng.models.effect.design import always_valid, detectable, mismatch, needed
from quanheng.models.effect.difference import cuped, ratio, ratios, shares, stratified, welch
from quanheng.models.effect.report import Asked, measure
from quanheng.models.effect.segments import by_segment, holm, qini
from quanheng.models.effect.student import t_quantile, t_two_sided

RUNS = 1_000
"""Of a simulation: the share of intervals that hold the truth has a standard error of 0.7 %."""


@pytest.mark.parametrize("degrees", [1, 1.5, 2, 3.7, 10, 57.3, 1_000, 1e6])
@pytest.mark.parametrize("t", [0.0, 1e-6, 0.3, 1.0, 2.5, 12.0, 80.0])
def test_tails_of_t_are_those_of_scipy(t, degrees):
    assert t_two_sided(t, degrees) == pytest.approx(2 * stats.t.sf(t, degrees), rel=1e-8, abs=1e-290)


@pytest.mark.parametrize("degrees", [1, 2, 5, 30.5, 1e5])
@pytest.mark.parametrize("p", [0.5, 0.05, 0.001])
def test_quantiles_of_t_are_those_of_scipy(p, degrees):
    assert t_quantile(p, degrees) == pytest.approx(stats.t.isf(p / 2, degrees), rel=1e-9)


def test_what_is_no_probability_is_not_answered():
    assert all(isnan(one) for one in (t_two_sided(nan, 3), t_two_sided(1, 0), t_quantile(0, 3), t_quantile(0.1, 0)))
    assert (t_two_sided(inf, 3), t_two_sided(0, 3)) == (0.0, 1.0)


def test_welch_is_that_of_scipy():
    generator = np.random.default_rng(1)
    one, two = generator.normal(3, 2, 31), generator.normal(2, 5, 12)
    found, wanted = welch(one, two), stats.ttest_ind(one, two, equal_var=False)
    interval = wanted.confidence_interval()
    assert found.p == pytest.approx(wanted.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.degrees == pytest.approx(wanted.df)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((10, 10, 0, 20), 0.6791, 1.0000),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 10), -0.2775, 0.2775),
    ],
)
def test_shares_have_the_intervals_of_newcombe(counts, low, high):
    """R. G. Newcombe, Statistics in Medicine 17 (1998), table II, method 10."""
    found = shares(*counts)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)


def coverage(draw, truth: float, runs: int = RUNS) -> tuple[float, float]:
    """Shares of intervals that hold the truth, and of p below 5 %."""
    found = [draw(np.random.default_rng((7, run))) for run in range(runs)]
    held = np.mean([one.low <= truth <= one.high for one in found])
    return float(held), float(np.mean([one.p < 0.05 for one in found]))


def lognormal(generator, n, shift=0.0):
    return generator.lognormal(0, 0.8, n) + shift


@pytest.mark.parametrize("truth", [0.0, 0.4])
def test_an_interval_of_means_holds_the_truth_in_95_of_100_and_finds_nothing_in_95_of_100(truth):
    held, positive = coverage(lambda g: welch(lognormal(g, 300, truth), lognormal(g, 150)), truth)
    assert 0.93 <= held <= 0.97
    assert positive <= 0.065 if truth == 0 else positive > 0.8


def test_an_interval_of_shares_holds_the_truth():
    def draw(g):
        return shares(int(g.binomial(200, 0.12)), 200, int(g.binomial(120, 0.08)), 120)

    held, _ = coverage(draw, 0.04)
    assert 0.94 <= held <= 0.98
    _, positive = coverage(lambda g: shares(int(g.binomial(200, 0.1)), 200, int(g.binomial(120, 0.1)), 120), 0.0)
    assert positive <= 0.055  # Fisher's p is exact, so rather too large.


def spent(g, n, recovered, cost):
    money = g.binomial(1, 0.6, n) * g.gamma(2, recovered / 2, n)
    return g.gamma(3, cost / 3, n), money


def test_a_difference_of_ratios_and_the_ratio_of_an_arm_hold_the_truth():
    truth = 10 / (0.6 * 100) - 10 / (0.6 * 80)
    held, _ = coverage(lambda g: ratios(spent(g, 400, 100, 10), spent(g, 200, 80, 10)), truth)
    assert 0.93 <= held <= 0.97
    _, positive = coverage(lambda g: ratios(spent(g, 400, 90, 10), spent(g, 200, 90, 10)), 0.0)
    assert positive <= 0.065
    inside = [ratio(*spent(np.random.default_rng((3, run)), 40, 100, 10)) for run in range(RUNS)]
    assert 0.93 <= np.mean([one.low <= 10 / 60 <= one.high for one in inside]) <= 0.97


def test_a_ratio_over_what_may_be_nothing_may_be_anything():
    found = ratio(np.array([1.0, 1.0, 1.0]), np.array([5.0, -4.0, 0.1]))
    assert (found.low, found.high) == (-inf, inf)
    assert isnan(ratio(np.array([1.0, 2.0]), np.zeros(2)).value)
    assert isnan(ratios((np.ones(3), np.zeros(3)), (np.ones(3), np.ones(3))).value)


def test_what_was_known_before_makes_the_interval_narrower_and_keeps_it_true():
    def draw(g, method):
        before = [g.normal(0, 1, 200), g.normal(0, 1, 200)]
        after = [one + g.normal(0.1 * (at == 0), 0.5, 200) for at, one in enumerate(before)]
        return welch(*after) if method == "welch" else cuped(*after, *before)

    held, _ = coverage(lambda g: draw(g, "cuped"), 0.1)
    assert 0.93 <= held <= 0.97
    plain, adjusted = (draw(np.random.default_rng(5), one) for one in ("welch", "cuped"))
    assert adjusted.error < 0.55 * plain.error  # The part that was there before is four fifths of the variance.


def test_strata_take_off_their_spread_and_keep_it_true():
    def draw(g):
        strata = [g.choice(["a", "b", "c"], n) for n in (150, 100)]
        levels = {"a": 0.0, "b": 3.0, "c": 9.0}
        values = [np.array([levels[one] for one in each]) + g.normal(0.2 * (at == 0), 1, len(each))
                  for at, each in enumerate(strata)]  # fmt: skip
        return stratified(*values, *strata)

    held, _ = coverage(draw, 0.2, 1_000)
    assert 0.93 <= held <= 0.97
    assert isnan(stratified(np.ones(3), np.ones(3), ["a"] * 3, ["a", "a", "b"]).value)


def test_looking_again_and_again_finds_what_is_not_there_unless_the_interval_allows_it():
    """A look every 50 subjects of an arm, up to 2,000 of each: naive against always valid."""
    naive = valid = 0
    runs, looks = 300, range(50, 1_001, 50)
    for run in range(runs):
        g = np.random.default_rng((11, run))
        one, two = g.exponential(1, 1_000), g.exponential(1, 1_000)
        found = [welch(one[:n], two[:n]) for n in looks]
        naive += any(each.p < 0.05 for each in found)
        early = [always_valid(each, 2 * n, 2_000) for each, n in zip(found, looks, strict=True)]
        valid += any(not each.low <= 0 <= each.high for each in early)
        assert all((each.p < 0.05) == (not each.low <= 0 <= each.high) for each in early)
    assert naive / runs > 0.15
    assert valid / runs <= 0.05


def test_a_look_costs_less_than_twice_the_width_at_the_end():
    found = welch(np.random.default_rng(1).normal(0, 1, 500), np.random.default_rng(2).normal(0, 1, 500))
    early = always_valid(found, 1_000, 1_000)
    assert 1.2 < (early.high - early.low) / (found.high - found.low) < 1.7
    assert isnan(always_valid(found, 1, 1_000).low)


def test_sizes_that_are_not_as_declared_are_found():
    found = mismatch({"held_out": 821, "treated": 9_179}, {"held_out": 0.1, "treated": 0.9})
    assert not found.trusted
    assert found.chi_square == pytest.approx(35.60, abs=0.01)
    good = mismatch({"held_out": 1_010, "treated": 8_990}, {"held_out": 0.1, "treated": 0.9})
    assert good.trusted
    assert mismatch({"treated": 5}, {"held_out": 0.5, "treated": 0.5}).counts["held_out"] == 0
    drawn = [mismatch({"a": int(n), "b": 500 - int(n)}, {"a": 0.3, "b": 0.7}).p
             for n in np.random.default_rng(3).binomial(500, 0.3, RUNS)]  # fmt: skip
    assert np.mean(np.array(drawn) < 0.05) == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize(
    ("counts", "given", "text"),
    [
        ({"a": 1, "c": 2}, {"a": 0.5, "b": 0.5}, "shares: an arm has no declared share; was c"),
        ({"a": 1}, {"a": 0.5, "b": 0.2}, "the shares are not shares of a whole"),
        ({"a": 1}, {}, "an arm has no declared share"),
    ],
)
def test_shares_that_do_not_fit_are_refused(counts, given, text):
    with pytest.raises(InputError, match=text):
        mismatch(counts, given)


def test_the_number_of_subjects_gives_the_power_that_was_asked_for():
    n = needed(1.0, 0.2, 0.2)
    sizes = round(n * 0.8), round(n * 0.2)
    assert detectable(1.0, *sizes) == pytest.approx(0.2, rel=0.01)
    _, found = coverage(lambda g: welch(g.normal(0.2, 1, sizes[0]), g.normal(0, 1, sizes[1])), 0.2)
    assert found == pytest.approx(0.8, abs=0.03)
    assert isnan(detectable(1.0, 0, 5))
    with pytest.raises(InputError, match="no number of subjects shows this"):
        needed(1.0, 0.0, 0.5)


def test_many_segments_find_nothing_where_nothing_is():
    found = 0
    for run in range(200):
        g = np.random.default_rng((13, run))
        names = [g.choice([f"s{n}" for n in range(10)], 600) for _ in range(2)]
        segments = by_segment(g.normal(0, 1, 600), g.normal(0, 1, 600), *names)
        found += any(one.p_adjusted < 0.05 for one in segments.of)
        assert all(one.p_adjusted >= one.effect.p for one in segments.of)
    assert found / 200 <= 0.09


def test_a_segment_that_differs_is_found_and_small_ones_are_left_out():
    g = np.random.default_rng(2)
    names = [["young"] * 300 + ["old"] * 300 + ["rare"] * 3] * 2
    values = [g.normal(0, 1, 603) + (np.arange(603) < 300) * (at == 0) for at in range(2)]
    found = by_segment(*values, *names)
    assert found.heterogeneous_p < 0.001
    assert found.left_out == ("rare",)
    assert {one.name: one.p_adjusted < 0.05 for one in found.of} == {"old": False, "young": True}


def test_holm_is_the_published_procedure():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )
    assert holm({}) == {}


def test_qini_finds_a_ranking_that_knows_who_is_helped_and_none_that_does_not():
    g = np.random.default_rng(4)
    helped, treated = g.uniform(0, 1, 4_000), g.uniform(0, 1, 4_000) < 0.5
    value = g.normal(0, 1, 4_000) + treated * (helped > 0.7)
    good, bad = qini(helped, treated, value), qini(g.uniform(0, 1, 4_000), treated, value)
    assert good.p < 0.01
    assert bad.p > 0.05
    assert good.coefficient > 5 * abs(bad.coefficient)
    assert good.targeted[0] == good.incremental[0] == 0
    lift = value[treated].mean() - value[~treated].mean()
    assert good.incremental[-1] == pytest.approx(lift * treated.mean())
    assert qini(np.ones(4_000), treated, value).coefficient == pytest.approx(0)
    with pytest.raises(InputError, match="an arm is empty"):
        qini(helped, np.ones(4_000, bool), value)


def test_an_arm_too_small_is_not_compared():
    one, many = np.ones(1), np.arange(5.0)
    assert isnan(welch(one, many).value)
    assert isnan(cuped(one, many, one, many).value)
    assert isnan(shares(0, 0, 1, 5).value)
    assert (welch(np.ones(3), np.ones(4)).p, welch(np.ones(3), np.zeros(4)).p) == (1.0, 0.0)


def test_rows_of_one_subject_are_summed_and_subjects_of_two_arms_left_out():
    table = pl.DataFrame(
        {
            "arm": ["t", "t", "c", "c", "t", "c", "t", "c"],
            "who": ["a", "a", "b", "c", "c", "d", "e", "f"],
            "paid": [1.0, 2.0, None, 9.0, 9.0, 4.0, 5.0, 6.0],
        }
    )
    found = measure(table, Asked(arm="arm", value="paid", control="c", subject="who"))
    arms = {one.name: (one.subjects, one.missing, one.value.value) for one in found.arms}
    assert arms == {"c": (3, 1, 5.0), "t": (2, 0, 4.0)}
    assert (found.kind, found.in_two_arms, found.compared[0].effect.value) == ("mean", 1, -1.0)


def test_rows_without_an_arm_and_a_control_that_is_not_there_are_refused():
    table = pl.DataFrame({"arm": ["t", None], "paid": [1.0, 2.0]})
    with pytest.raises(InputError, match="some rows have no arm"):
        measure(table, Asked(arm="arm", value="paid", control="c"))
    with pytest.raises(InputError, match="there is nothing to compare"):
        measure(table.drop_nulls(), Asked(arm="arm", value="paid", control="c"))
