"""Fairness against slow twins and known numbers; the search for alternatives finds what stands for a group."""

from __future__ import annotations

from math import nan, sqrt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.kernel.errors import InputError
from quanheng.models.fairness.alternatives import (
    Candidate,
    Policy,
    candidates_of,
    changed_table,
    cut_off_of,
    frontier,
    parts_of,
    reweighed,
    search,
)
from quanheng.models.fairness.error_rates import errors
from quanheng.models.fairness.groups import SMALL, banded, groups_of, intersections
from quanheng.models.fairness.impact import impacts, standardised_difference
from quanheng.models.table import Column, Table


def two_groups(first: int, of_first: int, second: int, of_second: int):
    groups = groups_of("sex", ["men"] * of_first + ["women"] * of_second, rows_least=1)
    approved = np.array([at < first for at in range(of_first)] + [at < second for at in range(of_second)])
    return groups, approved


def test_the_example_of_the_uniform_guidelines():
    """Questions and answers of the agencies (44 FR 11996, 1979), question 12: 48 of 80 white, 12 of 40 black applicants
    hired: rates .60 and .30, ratio .50, adverse impact."""
    groups, approved = two_groups(48, 80, 12, 40)
    found = impacts(groups, approved)
    women = found.groups[1]
    assert (found.reference, found.lowest) == ("men", pytest.approx(0.5))
    assert women.below
    assert women.adverse
    assert women.z == pytest.approx((0.3 - 0.6) / sqrt(0.5 * 0.5 * (1 / 80 + 1 / 40)))


def test_a_low_ratio_of_few_people_may_be_chance():
    groups, approved = two_groups(4, 5, 3, 5)
    low = impacts(groups, approved).groups[1]
    assert (low.below, low.adverse, low.test) == (True, False, "fisher")
    assert low.ratio.low < 0.8 < low.ratio.high


def test_nobody_approved_has_no_ratio_and_nobody_of_a_group_is_zero():
    groups, approved = two_groups(0, 50, 0, 50)
    assert np.isnan(impacts(groups, approved).groups[1].ratio.value)
    groups, approved = two_groups(40, 50, 0, 50)
    assert impacts(groups, approved).lowest == 0.0


def test_small_groups_are_kept_apart_and_unknown_ones_counted():
    values = ["a"] * 50 + ["b"] * 40 + ["c"] * 3 + ["d"] * 2 + [None] * 5
    groups = groups_of("origin", values, rows_least=30)
    assert (groups.names, groups.judged) == (("a", "b", SMALL), ("a", "b"))
    found = impacts(groups, np.ones(100, bool))
    assert [one.group for one in found.groups] == ["a", "b"]
    assert found.unknown == 5


def test_intersections_show_what_each_attribute_hides():
    """Women and men alike, young and old alike; young women are never approved."""
    sex = pl.Series(["w", "w", "m", "m"] * 100)
    age = pl.Series(["y", "o", "y", "o"] * 100)
    approved = np.array([False, True, True, False] * 100)
    for attribute, values in (("sex", sex), ("age", age)):
        assert impacts(groups_of(attribute, values), approved).lowest == 1.0
    both = intersections({"sex": sex, "age": age})
    found = impacts(both, approved)
    assert (both.attribute, found.lowest) == ("sex × age", 0.0)
    assert {one.group for one in found.groups if one.adverse} == {"w × y", "m × o"}


def test_a_number_is_an_attribute_in_bands():
    made = banded(pl.Series("age", [17.0, 25, 59, 60, None]), [25, 60])
    assert made.to_list() == ["< 25", "25 to 60", "25 to 60", ">= 60", None]


def test_one_group_alone_cannot_be_compared():
    with pytest.raises(InputError, match=r"there are no two groups to compare; was a \(40\), b \(3\)"):
        groups_of("sex", ["a"] * 40 + ["b"] * 3)


def slow_rates(names, group, approved, labels):
    rows = [at for at, name in enumerate(names) if name == group]
    good, bad = [at for at in rows if not labels[at]], [at for at in rows if labels[at]]
    return [sum(approved[at] for at in part) / len(part) if part else nan for part in (rows, good, bad)]


row = st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans())


@given(st.lists(row, min_size=6, max_size=60))
@settings(max_examples=80, deadline=None)
def test_rates_are_those_of_the_slow_twin(rows):
    names, approved, labels = ([one[at] for one in rows] for at in range(3))
    if len(set(names)) < 2:
        return
    groups = groups_of("g", names, rows_least=1)
    found = errors(groups, np.array(approved), np.array(labels))
    share = {one.group: one.share.value for one in impacts(groups, np.array(approved)).groups}
    spread = []
    for one in found.groups:
        every, good, bad = slow_rates(names, one.group, approved, labels)
        assert share[one.group] == pytest.approx(every)
        assert one.good_approved.value == pytest.approx(good, nan_ok=True)
        assert one.bad_approved.value == pytest.approx(bad, nan_ok=True)
        spread += [] if np.isnan(good) else [good]
    wanted = max(spread) - min(spread) if len(spread) > 1 else nan
    assert found.opportunity == pytest.approx(wanted, nan_ok=True)
    assert np.isnan(found.odds) or found.odds >= found.opportunity or np.isnan(found.opportunity)


def test_calibration_within_groups_shows_a_score_that_means_less_for_one():
    random = np.random.default_rng(4)
    p = random.uniform(0.05, 0.4, 8_000)
    second = np.arange(8_000) % 2 == 1
    labels = random.random(8_000) < np.where(second, p * 1.5, p)
    found = errors(groups_of("g", np.where(second, "b", "a").tolist()), p < 0.2, labels, p)
    ratios = {one.group: one.calibration.ratio.value for one in found.groups}
    assert ratios["a"] == pytest.approx(1.0, abs=0.1)
    assert ratios["b"] == pytest.approx(1.5, abs=0.15)
    assert found.calibration_gap == pytest.approx(ratios["b"] - ratios["a"])


def test_the_standardised_difference():
    assert standardised_difference(np.array([1.0, 3.0, nan]), np.array([0.0, 2.0])) == pytest.approx(1 / sqrt(2))
    assert np.isnan(standardised_difference(np.array([1.0]), np.array([1.0, 2.0])))


# --- less discriminating alternatives


def population(n: int = 6_000, seed: int = 3):
    """Income says who defaults. The district says a little, and mostly to which group somebody belongs."""
    random = np.random.default_rng(seed)
    group = random.random(n) < 0.4
    income = random.normal(size=n)
    district = group + random.normal(size=n) * 0.4
    labels = random.random(n) < 1 / (1 + np.exp(1.2 + 1.4 * income - 0.35 * group))
    rows = pl.DataFrame({"income": income, "district": district, "noise": random.normal(size=n)})
    table = Table(rows, labels, tuple(Column(name=name, kind="number") for name in rows.columns))
    return table, groups_of("group", np.where(group, "b", "a").tolist())


class Linear:
    """A logistic regression by Newton's method, as plain as can be: what is tested is the search."""

    name = "linear"

    def fit(self, table, seed, progress=None):
        names = [column.name for column in table.columns]
        x = np.column_stack([np.ones(len(table.target)), *(table.rows[name].to_numpy() for name in names)])
        weights = np.zeros(x.shape[1])
        for _ in range(12):
            p = 1 / (1 + np.exp(-(x @ weights)))
            weights += np.linalg.solve(
                (x * (p * (1 - p))[:, None]).T @ x + 1e-6 * np.eye(len(weights)), x.T @ (table.target - p)
            )
        return Linear.Model(names, weights)

    class Model:
        def __init__(self, names, weights):
            self.names, self.weights = names, weights

        def probability(self, rows):
            x = np.column_stack([np.ones(rows.height), *(rows[name].to_numpy() for name in self.names)])
            return 1 / (1 + np.exp(-(x @ self.weights)))


def test_the_search_finds_the_input_that_stands_for_the_group_and_is_the_same_again():
    table, groups = population()
    tried = [
        search(Linear(), table, groups, candidates_of(["income", "district", "noise"], ["income"]), policy, 7)
        for policy in [Policy("approve_share", 0.7)] * 2
    ]
    assert tried[0] == tried[1] or repr(tried[0]) == repr(tried[1])
    by_name = {one.candidate.name: one for one in tried[0]}
    base, better = by_name["as it is"], by_name["without district"]
    assert better.tested.ratio > base.tested.ratio + 0.05
    assert better.tested.auc.value > base.tested.auc.value - 0.02
    assert better.frontier
    assert not by_name["without income"].frontier or by_name["without income"].chosen.ratio > better.chosen.ratio
    assert by_name["without income"].tested.auc.value < 0.65
    assert any(len(one.candidate.drop) > 1 for one in tried[0]), "candidates of the frontier are joined"


def test_parts_share_no_row_and_each_has_every_group_and_outcome():
    table, groups = population(600)
    parts = parts_of(table.target, groups, 1)
    assert sorted(np.concatenate(parts).tolist()) == list(range(600))
    for part in parts:
        assert {(int(g), bool(y)) for g, y in zip(groups.codes[part], table.target[part], strict=True)} == {
            (0, False), (0, True), (1, False), (1, True),
        }  # fmt: skip


def test_among_reweighed_rows_group_and_outcome_are_independent():
    random = np.random.default_rng(5)
    codes = (random.random(4_000) < 0.3).astype(np.intp)
    labels = random.random(4_000) < np.where(codes == 1, 0.4, 0.1)
    rows = reweighed(labels, codes, np.arange(4_000), 1)
    rates = [labels[rows][codes[rows] == one].mean() for one in (0, 1)]
    assert rates[0] == pytest.approx(rates[1], abs=0.002)
    assert abs(len(rows) - 4_000) <= 4
    assert rows.tolist() == reweighed(labels, codes, np.arange(4_000), 1).tolist()


def test_coarse_numbers_have_four_values_and_keep_what_is_missing():
    rows = pl.DataFrame({"x": [float(n) for n in range(40)] + [None]})
    table = Table(rows, np.zeros(41, bool), (Column(name="x", kind="number"),))
    made = changed_table(table, Candidate(coarsen=("x",)), np.arange(40)).rows["x"]
    assert made.drop_nulls().n_unique() == 4
    assert made.null_count() == 1


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=4, max_size=30), st.floats(0.05, 0.9))
@settings(max_examples=80, deadline=None)
def test_a_cut_off_keeps_the_rate_of_events_or_says_that_none_does(rows, most):
    scores, labels = np.array([one / 5 for one, _ in rows]), np.array([two for _, two in rows])
    best = [labels[scores < cut].mean() for cut in np.unique(scores) + 0.01]
    if min(best) > most:
        with pytest.raises(InputError, match="no cut-off keeps the share of events so low"):
            cut_off_of(Policy("event_rate", most), scores, labels)
        return
    cut = cut_off_of(Policy("event_rate", most), scores, labels)
    assert labels[scores < cut].mean() <= most


@pytest.mark.parametrize(
    ("run", "text"),
    [
        (lambda t, g: changed_table(t, Candidate(drop=("age",)), np.arange(5)), "changes what is no input"),
        (
            lambda t, g: changed_table(t, Candidate(drop=("income", "district", "noise")), np.arange(5)),
            "no input is left",
        ),
        (
            lambda t, g: cut_off_of(Policy("approve_share", 1.5), np.ones(3), np.zeros(3, bool)),
            "a share of approvals lies",
        ),
    ],
)
def test_candidates_and_policies_that_cannot_be_are_refused(run, text):
    with pytest.raises(InputError, match=text):
        run(*population(400))


def test_the_frontier_is_what_nothing_beats():
    table, groups = population(1_000)
    tried = search(
        Linear(),
        table,
        groups,
        candidates_of(["income", "district", "noise"], []),
        Policy("approve_share", 0.6),
        2,
        steps=0,
    )
    points = [(one.chosen.auc.value, one.chosen.ratio, one.frontier) for one in frontier(tried)]
    for auc, ratio, best in points:
        assert best is not any(a >= auc and r >= ratio and (a, r) != (auc, ratio) for a, r, _ in points)
