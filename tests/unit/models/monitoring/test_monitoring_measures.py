"""Measures of a watched model against slow twins, known values, and the laws they follow where nothing has changed."""

from __future__ import annotations

from itertools import product
from math import exp, log, sqrt
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.kernel.errors import ConfigurationError, InputError
from quanheng.models.chance import chi_square_above, fisher, normal_two_sided, two_shares, wilson
from quanheng.models.monitoring.bins import category_bins, number_bins
from quanheng.models.monitoring.calibration import calibration
from quanheng.models.monitoring.own_bins import own_bins
from quanheng.models.monitoring.rates import approval, overrides
from quanheng.models.monitoring.reference import Strength, decode, encode, reference_of
from quanheng.models.monitoring.ripening import NEVER_MS, reported_by_age, ripened
from quanheng.models.monitoring.separation import error_of, separation
from quanheng.models.monitoring.stability import shift
from quanheng.models.monitoring.thresholds import read_monitoring
from quanheng.models.table import Column

DAY_MS = 86_400_000


# --- chance


def test_tails_are_those_of_scipy_where_it_is_installed():
    stats = pytest.importorskip("scipy.stats", reason="scipy comes with the extra models")
    for degrees, value in product((1, 2, 3, 9, 10, 40), (0.01, 0.5, 3.0, 25.0, 120.0)):
        assert chi_square_above(value, degrees) == pytest.approx(stats.chi2.sf(value, degrees), rel=1e-10)
    for table in ((3, 10, 9, 12), (0, 5, 5, 5), (120, 400, 90, 410), (1, 1, 1, 1)):
        first, n, second, m = table
        wanted = stats.fisher_exact([[first, n - first], [second, m - second]]).pvalue
        assert fisher(first, n, second, m) == pytest.approx(wanted, rel=1e-9)
    assert normal_two_sided(1.959963984540054) == pytest.approx(0.05, abs=1e-12)


def test_the_lady_tasting_tea():
    """Fisher, The Design of Experiments (1935): all cups right is 1 in 70, all right or all wrong 2 in 70."""
    assert fisher(4, 4, 0, 4) == pytest.approx(2 / 70)
    assert fisher(3, 4, 1, 4) == pytest.approx(34 / 70)


@given(st.integers(1, 500), st.data())
@settings(max_examples=60, deadline=None)
def test_the_interval_of_a_share_holds_it_and_stays_within_bounds(trials, data):
    found = wilson(data.draw(st.integers(0, trials)), trials)
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0


def test_two_equal_shares_are_no_difference():
    assert two_shares(0, 10, 0, 20) == (0.0, 1.0)
    z, chance = two_shares(50, 100, 40, 100)
    assert z == pytest.approx(0.1 / sqrt(0.45 * 0.55 * 0.02))
    assert chance == normal_two_sided(z)


# --- bins and stability


def slow_place(value: float, cuts: list[float], specials: list[float]) -> int:
    """The bin of one number, by looking at each."""
    if value != value:
        return len(cuts) + 1 + len(specials)
    if value in specials:
        return len(cuts) + 1 + specials.index(value)
    return sum(value > cut for cut in cuts)


numbers = st.lists(
    st.one_of(st.floats(-5, 5), st.sampled_from([-9.0, 0.0, 1.0, float("nan")])), min_size=1, max_size=60
)


@given(numbers, numbers)
@settings(max_examples=80, deadline=None)
def test_every_value_falls_into_the_bin_of_the_slow_twin(known, later):
    made = number_bins("x", np.array(known), specials=(-9.0,))
    places = made.place(np.array(later)).tolist()
    assert places == [slow_place(one, list(made.cuts), list(made.specials)) for one in later]
    assert sum(made.counts) == len(known)
    assert len(made.labels()) == made.size == len(made.counts)


def test_labels_say_what_a_bin_is():
    made = number_bins("x", np.array([1.0, 2, 3, 4, -1, np.nan]), specials=(-1.0,), bins=2)
    assert (made.labels(), made.counts) == (["<= 2", "> 2", "= -1", "missing"], (2, 2, 1, 1))
    told = category_bins("c", pl.Series("c", ["b", "a", "a", None]))
    assert (told.labels(), told.counts) == (["a", "b", "other", "missing"], (2, 1, 0, 1))
    assert told.place(pl.Series("c", ["z", None, "b"])).tolist() == [2, 3, 1]


def test_stability_is_the_sum_over_bins_missing_among_them():
    reference = number_bins("x", np.array([1.0, 1, 2, 2, np.nan]), bins=2)
    found = shift(reference, reference.count(np.array([1.0, 2, 2, 2, 2])))
    wanted = (0.2 - 0.4) * log(0.2 / 0.4) + (0.8 - 0.4) * log(0.8 / 0.4) + (1e-4 - 0.2) * log(1e-4 / 0.2)
    assert found.psi == pytest.approx(wanted)
    assert found.missing == (0.2, 0.0)
    assert shift(reference, np.zeros(3, np.int64)).psi is None


def test_without_a_shift_the_index_is_beyond_its_chance_as_often_as_that_says():
    random = np.random.default_rng(3)
    below = 0
    for _ in range(400):
        reference = number_bins("x", random.normal(size=900))
        below += shift(reference, reference.count(random.normal(size=300))).chance < 0.1
    assert 20 <= below <= 62, "a tenth of 400, give or take four deviations; cuts are drawn from the reference too"


def test_a_shift_in_points_is_that_of_the_mean_score():
    import msgspec

    reference = number_bins("x", np.array([1.0, 1, 2, 2]), bins=2)
    reference = msgspec.structs.replace(reference, points=(10.0, 30.0, 0.0))
    assert shift(reference, reference.count(np.array([2.0, 2, 2, 1]))).points == pytest.approx(5.0)


def test_the_bins_of_a_scorecard_are_its_own_with_their_points():
    def bin(kind, points, **more):
        plain = {"low": None, "high": None, "values": (), "special": None}
        return SimpleNamespace(kind=kind, points=points, **{**plain, **more})

    age = SimpleNamespace(column=SimpleNamespace(name="age", kind="number"), bins=[
        bin("range", 10, high=25.0), bin("range", 30, low=25.0), bin("special", 5, special=-1.0), bin("missing", 0),
    ])  # fmt: skip
    home = SimpleNamespace(column=SimpleNamespace(name="home", kind="category"), bins=[
        bin("categories", 7, values=("rent", "free")), bin("categories", 9, values=("own",)), bin("other", 1),
        bin("missing", 2),
    ])  # fmt: skip
    model = SimpleNamespace(weights=SimpleNamespace(characteristics=[age, home]))
    rows = pl.DataFrame({"age": [24.9, 25.0, -1.0, None], "home": ["rent", "free", "own", "boat"]})
    made = own_bins(model, rows)
    assert (made["age"].counts, made["age"].points) == ((1, 1, 1, 1), (10.0, 30.0, 5.0, 0.0))
    assert (made["home"].counts, made["home"].points) == ((2, 1, 1, 0), (7.0, 9.0, 1.0, 2.0))
    assert made["age"].labels() == ["< 25", ">= 25", "= -1", "missing"]
    assert made["home"].labels() == ["rent | free", "own", "other", "missing"]
    assert own_bins(SimpleNamespace(), rows) == {}
    worth = {"age": [10, 30, 5, 0]}
    moved = shift(made["age"], made["age"].count(np.array([30.0, 30.0])))
    assert moved.points == pytest.approx(30 - np.mean(worth["age"]))
    names = {"model": "m", "weights": "w", "source": "s"}
    columns = (Column(name="age", kind="number"), Column(name="home", kind="category"))
    kept = reference_of(rows, np.full(4, 0.5), columns, own=made, **names)
    assert decode(encode(kept), "f") == kept


# --- separation


def slow_area(labels: list[bool], scores: list[float]) -> float:
    pairs = [
        (a > b) + (a == b) / 2
        for a, x in zip(scores, labels, strict=True)
        if x
        for b, y in zip(scores, labels, strict=True)
        if not y
    ]
    return sum(pairs) / len(pairs)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40))
@settings(max_examples=80, deadline=None)
def test_area_and_distance_are_those_of_all_pairs_and_all_cuts(rows):
    labels, scores = np.array([one for one, _ in rows]), np.array([float(two) for _, two in rows])
    found = separation(labels, scores)
    if labels.all() or not labels.any():
        assert found is None
        return
    assert found.auc.value == pytest.approx(slow_area(labels.tolist(), scores.tolist()))
    gaps = [abs((scores[labels] <= cut).mean() - (scores[~labels] <= cut).mean()) for cut in scores]
    assert found.ks == pytest.approx(max(gaps))
    assert 0.0 <= found.auc.low <= found.auc.value <= found.auc.high <= 1.0


def test_the_interval_covers_the_true_area_as_often_as_it_says():
    """Two normal laws one deviation apart: the area is Phi(1 / sqrt 2) = 0.7602."""
    random, inside = np.random.default_rng(5), 0
    for _ in range(300):
        labels = np.arange(240) < 60
        found = separation(labels, random.normal(size=240) + labels)
        inside += found.auc.low <= 0.760250 <= found.auc.high
    assert 272 <= inside <= 298, "95 % of 300, give or take four deviations"


def test_the_error_of_hanley_and_mcneil_is_near_that_of_delong():
    random = np.random.default_rng(6)
    labels = np.arange(2_000) < 500
    found = separation(labels, random.normal(size=2_000) + labels)
    assert error_of(found.auc.value, 500, 1_500) == pytest.approx(found.error, rel=0.1)
    assert error_of(0.7, 0, 10) == 0.0


# --- calibration


def test_right_probabilities_are_calibrated_and_wrong_ones_are_found():
    random = np.random.default_rng(8)
    p = 1 / (1 + np.exp(-random.normal(-2, 1, 20_000)))
    labels = random.random(20_000) < p
    good = calibration(labels, p)
    assert good.slope.low < 1 < good.slope.high
    assert good.intercept.low < 0 < good.intercept.high
    assert good.ratio.low < 1 < good.ratio.high
    assert min(good.chance, good.spiegelhalter_chance) > 0.01
    doubled = calibration(labels, np.clip(2 * p, 0, 0.999))
    assert doubled.ratio.high < 0.7
    assert max(doubled.chance, doubled.ratio_chance) < 1e-6
    assert doubled.spiegelhalter_chance < 1e-4
    assert doubled.offset.high < 0
    flat = calibration(labels, 1 / (1 + np.exp(-(np.log(p / (1 - p)) * 2 + 1.5))))
    assert flat.slope.high < 0.6, "log-odds that are twice too far apart have a slope of one half"


def test_hosmer_lemeshow_and_spiegelhalter_are_the_sums_they_say():
    p = np.array([0.1, 0.1, 0.4, 0.4, 0.8])
    y = np.array([False, True, False, True, True])
    found = calibration(y, p, bands=3)
    bands = [(one.rows, one.events, round(one.expected, 3)) for one in found.bands]
    assert bands == [(2, 1, 0.1), (2, 1, 0.4), (1, 1, 0.8)]
    assert found.chi_square == pytest.approx(0.8**2 / 0.18 + 0.2**2 / 0.48 + 0.2**2 / 0.16)
    assert (found.degrees, found.brier) == (3, pytest.approx(((y - p) ** 2).mean()))
    top, bottom = ((y - p) * (1 - 2 * p)).sum(), sqrt(((1 - 2 * p) ** 2 * p * (1 - p)).sum())
    assert found.spiegelhalter == pytest.approx(top / bottom)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), max_size=30))
@settings(max_examples=80, deadline=None)
def test_calibration_answers_whatever_it_is_given(rows):
    found = calibration(np.array([one for one, _ in rows], bool), np.array([two for _, two in rows], np.float64))
    if not rows:
        assert found is None
        return
    assert sum(one.rows for one in found.bands) == len(rows)
    assert sum(one.events for one in found.bands) == found.events
    assert 0.0 <= found.chance <= 1.0


def test_the_slope_is_that_of_a_logistic_regression():
    linear = pytest.importorskip("sklearn.linear_model", reason="scikit-learn comes with the extra models")
    random = np.random.default_rng(9)
    logits = random.normal(size=800)
    y = random.random(800) < 1 / (1 + np.exp(-(0.4 + 0.7 * logits)))
    found = calibration(y, 1 / (1 + np.exp(-logits)))
    fitted = linear.LogisticRegression(C=1e9, tol=1e-10, max_iter=1000).fit(logits[:, None], y)
    assert found.slope.value == pytest.approx(fitted.coef_[0, 0], rel=1e-4)
    assert found.intercept.value == pytest.approx(fitted.intercept_[0], rel=1e-4)


# --- labels that ripen, decisions


def test_only_cohorts_whose_window_has_passed_count_and_late_events_do_not():
    times = np.array([0, 1, 2, 3]) * DAY_MS
    reported = np.array([2 * DAY_MS, NEVER_MS, 13 * DAY_MS, 5 * DAY_MS])
    early = ripened(times, reported, 0, 4 * DAY_MS, 10 * DAY_MS, 11 * DAY_MS)
    assert (early.complete, early.censored, early.known.tolist()) == (False, 2, [True, True, False, False])
    assert (early.labels.tolist(), early.reported) == ([True, False, False, False], 2)
    late = ripened(times, reported, 0, 4 * DAY_MS, 10 * DAY_MS, 14 * DAY_MS)
    assert late.complete
    assert (early.late, late.late) == (0, 1)
    assert late.labels.tolist() == [True, False, False, True], "the third was reported eleven days later: too late"


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=30), st.integers(0, 40))
@settings(max_examples=80, deadline=None)
def test_a_cohort_that_is_complete_never_changes_again(rows, more):
    times = np.array([day for day, _ in rows], np.int64) * DAY_MS
    reported = times + np.array([wait for _, wait in rows], np.int64) * DAY_MS
    first = ripened(times, reported, 0, 10 * DAY_MS, 12 * DAY_MS, 22 * DAY_MS)
    later = ripened(times, reported, 0, 10 * DAY_MS, 12 * DAY_MS, (22 + more) * DAY_MS)
    assert first.complete
    assert first.labels.tolist() == later.labels.tolist()
    assert first.known.all()


def test_events_by_age_leave_rows_out_that_are_too_young():
    times, reported = np.array([0, 5]) * DAY_MS, np.array([1, 6]) * DAY_MS
    ages = np.array([1, 4, 9]) * DAY_MS
    assert reported_by_age(times, reported, ages, 7 * DAY_MS) == [(2, 2), (1, 1), None]


def test_approvals_and_overrides_are_counted():
    found = approval(60, 100, 700, 1_000)
    assert found.change == pytest.approx(-0.1)
    assert found.z < 0
    assert approval(6, 10, -1, 100).change is None
    turned = overrides(np.array([True, True, False, False]), np.array([True, False, True, False]))
    assert (turned.low_side, turned.high_side, turned.share.value, turned.low_share.value) == (1, 1, 0.5, 0.5)


# --- references and thresholds


def reference(**more):
    rows = pl.DataFrame({"x": [1.0, 2, None, 4], "c": ["a", None, "b", "a"]})
    columns = (Column(name="x", kind="number"), Column(name="c", kind="category"))
    names = {"model": "m", "weights": "sha256:0", "source": "a table"}
    return reference_of(rows, np.array([0.1, 0.2, 0.3, np.nan]), columns, **names, **more)


def test_a_reference_is_read_back_as_it_was_written():
    made = reference(target=np.array([True, False, False, False]), strength=Strength(0.8, 0.5, 1, 4))
    assert decode(encode(made), "f") == made
    assert encode(decode(encode(made), "f")) == encode(made)
    assert (made.events, made.mean_score, made.score.counts[-1]) == (1, pytest.approx(0.2), 1)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (b"{", b"[", "the file holds no reference"),
        (b'"format":1', b'"format":9', "the reference has another format; was 9; allowed: 1"),
        (b'"counts":[', b'"counts":[7,', "the counts of a column do not fit its bins"),
    ],
)
def test_files_that_are_no_reference_are_refused(old, new, text):
    with pytest.raises(InputError, match=text.replace("(", r"\(")):
        decode(encode(reference()).replace(old, new, 1), "f")


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"psi": [0.25, 0.1]}, r"psi: the two limits do not rise; was \[0.25, 0.1\]"),
        ({"observed_to_expected": [0.8, 1.2]}, r"with 1 < watch <= alarm"),
        ({"rows_least": 0}, "rows_least: the number is out of bounds; was 0"),
        ({"chance": 0.0}, "chance: a probability lies between 0 and 1; was 0"),
        ({"window": "soon"}, "window: the duration does not fit; was 'soon'"),
        ({"observe": "1h"}, "observe: the duration does not fit; was '1h'"),
        ({"psy": [1, 2]}, "a setting does not fit; was Object contains unknown field `psy`"),
    ],
)
def test_thresholds_that_do_not_fit_are_refused(table, text):
    with pytest.raises(ConfigurationError, match=text):
        read_monitoring({"monitoring": table}, "monitoring")


def test_probabilities_of_tails_do_not_overflow():
    assert chi_square_above(5_000.0, 301) < 1e-100
    assert chi_square_above(0.0, 3) == chi_square_above(1.0, 0) == 1.0
    assert exp(-5_000.0) == 0.0
