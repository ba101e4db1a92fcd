"""Scorecards: bins, regression, selection, calibration, points, weights files, errors."""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.unit.models.scorecard_sample import applicants, lender

from quanheng.kernel.errors import ConfigurationError, InputError
from quanheng.models.metrics import auc_roc
from quanheng.models.scorecard.binning import BinRules, bin_column
from quanheng.models.scorecard.calibration import isotonic_steps
from quanheng.models.scorecard.fine_bins import fine_cuts, short_between
from quanheng.models.scorecard.fitting import ScorecardEstimator, reason_code
from quanheng.models.scorecard.points import Scaling
from quanheng.models.scorecard.regression import fit_logistic
from quanheng.models.scorecard.scorecard import Scorecard
from quanheng.models.scorecard.selection import SelectionRules, choose, variance_inflation
from quanheng.models.scorecard.weights import read_weights, write_weights
from quanheng.models.table import Column

TABLE = applicants()
CARD = lender().fit(TABLE, 1)


def test_contributions_add_up_to_the_log_odds() -> None:
    p = CARD.probability(TABLE.rows)
    total = CARD.base + CARD.contributions(TABLE.rows).sum(axis=1)
    assert np.abs(total - np.log(p / (1 - p))).max() < 1e-9


def test_the_weights_file_reads_back_bit_for_bit() -> None:
    again = ScorecardEstimator().read(CARD.to_bytes())
    assert again.to_bytes() == CARD.to_bytes()
    assert np.array_equal(again.probability(TABLE.rows), CARD.probability(TABLE.rows))
    assert again.hash == CARD.hash


def test_points_are_the_scaled_log_odds_but_for_rounding() -> None:
    scaling, weights = CARD.weights.scaling, CARD.weights
    p = CARD.probability(TABLE.rows)
    moved = np.abs(scaling.score(np.log(p / (1 - p))) - CARD.points(TABLE.rows))
    assert moved.max() == pytest.approx(weights.rounding_max)
    assert moved.mean() == pytest.approx(weights.rounding_mean)
    assert moved.max() <= (len(CARD.columns) + 1) / 2


def test_scaling_doubles_the_odds_every_pdo() -> None:
    scaling = Scaling(pdo=40, base_score=700, base_odds=30)
    assert scaling.score(np.array([-np.log(30)]))[0] == pytest.approx(700)
    assert scaling.score(np.array([-np.log(60)]))[0] == pytest.approx(740)
    assert scaling.log_odds(scaling.score(np.array([1.25])))[0] == pytest.approx(1.25)


@pytest.mark.parametrize("reference", ["best", "neutral", "mean"])
def test_a_spread_base_leaves_scores_as_they_are(reference: str) -> None:
    made = ScorecardEstimator(scaling={"spread_base": True, "reference": reference}).fit(TABLE, 1)
    plain = ScorecardEstimator().fit(TABLE, 1)
    assert made.weights.base_points == 0
    assert np.abs(made.points(TABLE.rows) - plain.points(TABLE.rows)).max() <= len(made.columns) + 1


def test_points_follow_the_trend_of_the_bins() -> None:
    for one in CARD.weights.characteristics:
        worth = [bin.log_odds for bin in one.bins if bin.kind in ("range", "categories")]
        if one.trend in ("ascending", "descending"):
            assert worth == sorted(worth, reverse=one.trend == "descending")


def test_what_training_never_saw_is_answered() -> None:
    rows = pl.DataFrame(
        {
            "utilisation": [float("inf"), None, float("nan"), -5.0],
            "late_payments": [1e300, None, -1.0, 0.5],
            "years_at_job": [None, 1.0, 2.0, -float("inf")],
            "housing": ["castle", None, "own", ""],
        }
    )
    found = CARD.probability(rows)
    assert np.isfinite(found).all()
    assert ((found > 0) & (found < 1)).all()


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(
        InputError, match=r"the rows lack columns that the scorecard reads.*Give housing; null where it is not known\."
    ):
        CARD.probability(TABLE.rows.drop("housing"))


def test_splits_and_groups_of_a_person_are_taken_as_they_are() -> None:
    columns = {"years_at_job": {"splits": [5, 20]}, "housing": {"groups": [["rent"], ["own", "family"]]}}
    made = ScorecardEstimator(columns=columns).fit(TABLE, 1)
    by_name = {one.column.name: one for one in made.weights.characteristics}
    assert [bin.high for bin in by_name["years_at_job"].bins if bin.kind == "range"] == [5.0, 20.0, None]
    assert [bin.values for bin in by_name["housing"].bins if bin.kind == "categories"] == [("rent",), ("own", "family")]
    assert by_name["housing"].trend == "fixed"


def test_special_values_are_bins_of_their_own() -> None:
    late = next(one for one in CARD.weights.characteristics if one.column.name == "late_payments")
    (special,) = [bin for bin in late.bins if bin.kind == "special"]
    assert special.special == -1.0
    assert special.rows == int((TABLE.rows["late_payments"] == -1).sum())


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        (
            {"splits": (3.0, 1.0)},
            r"column x: the splits do not rise; was \[3.0, 1.0\]; allowed: different finite numbers, rising",
        ),
        (
            {"groups": (("a",), ("a",))},
            "column x: a category is in two groups; was a; allowed: each category in one group",
        ),
    ],
)
def test_rules_that_do_not_fit_are_named(rules: dict, text: str) -> None:
    with pytest.raises(InputError, match=text):
        bin_column(Column(name="x", kind="number"), pl.Series([1.0, 2.0]), np.array([True, False]), BinRules(**rules))


def test_one_kind_of_target_is_refused() -> None:
    with pytest.raises(InputError, match="column x: the target is of one kind; was 2 events of 2 rows"):
        bin_column(Column(name="x", kind="number"), pl.Series([1.0, 2.0]), np.array([True, True]), BinRules())
    with pytest.raises(InputError, match="scorecard: the target is of one kind; was 0 events of 4000 rows"):
        ScorecardEstimator().fit(TABLE._replace(target=np.zeros(4000, bool)), 1)


def test_nothing_to_learn_from_says_why() -> None:
    noise = TABLE._replace(rows=TABLE.rows.select("noise"), columns=(TABLE.columns[-1],))
    with pytest.raises(InputError, match="no column tells events from others; was noise: its information value"):
        ScorecardEstimator(selection={"iv_min": 0.1}).fit(noise, 1)


def test_settings_that_do_not_fit_are_named() -> None:
    with pytest.raises(ConfigurationError, match=r"a setting of the scorecard does not fit.*unknown field `colour`"):
        ScorecardEstimator(colour=1)
    with pytest.raises(InputError, match="the settings name columns that the table does not have; was height"):
        ScorecardEstimator(reasons={"height": "tall"}).fit(TABLE, 1)
    with pytest.raises(InputError, match="scaling: the scale cannot be read; was pdo 0, base score 600, base odds 50"):
        ScorecardEstimator(scaling={"pdo": 0})


def test_weights_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="not the weights of a scorecard; was JSON is malformed"):
        Scorecard.from_bytes(b"trees")
    with pytest.raises(InputError, match="not the weights of a scorecard; was quanheng scorecard 9"):
        read_weights(write_weights(msgspec.structs.replace(CARD.weights, format="quanheng scorecard 9")))
    with pytest.raises(InputError, match="the scorecard has no characteristic"):
        read_weights(write_weights(msgspec.structs.replace(CARD.weights, characteristics=())))
    first, *rest = CARD.weights.characteristics
    broken = msgspec.structs.replace(first, bins=first.bins[1:])
    with pytest.raises(InputError, match="utilisation: the bins of a characteristic do not cover every value once"):
        read_weights(write_weights(msgspec.structs.replace(CARD.weights, characteristics=(broken, *rest))))


@pytest.mark.parametrize("ridge", [0.0, 5.0])
def test_the_regression_equals_scikit_learn(ridge: float) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(3)
    x = rng.normal(size=(800, 4))
    y = rng.random(800) < 1 / (1 + np.exp(-(x @ [1.0, -0.5, 0.2, 0.0] - 1)))
    ours = fit_logistic(x, y, ridge=ridge)
    theirs = linear.LogisticRegression(C=1 / ridge if ridge else 1e12, tol=1e-12, max_iter=10_000).fit(x, y)
    assert np.allclose(ours.coefficients, theirs.coef_[0], atol=1e-5)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=1e-5)


def test_the_lasso_meets_its_conditions() -> None:
    """At the optimum the gradient is the penalty where a coefficient is not 0, and within it where one is."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(500, 5))
    y = rng.random(500) < 1 / (1 + np.exp(-(x[:, 0] - 1)))
    fit = fit_logistic(x, y, lasso=8.0)
    gradient = x.T @ (y - 1 / (1 + np.exp(-fit.log_odds(x))))
    inside = fit.coefficients != 0
    assert 0 < inside.sum() < 5
    assert np.allclose(gradient[inside], 8.0 * np.sign(fit.coefficients[inside]), atol=1e-5)
    assert (np.abs(gradient[~inside]) <= 8.0 + 1e-6).all()


def test_standard_errors_are_those_of_two_proportions() -> None:
    """One yes-or-no input: the variance of its log-odds ratio is the sum of 1/count over four cells (Woolf 1955)."""
    x = np.repeat([0.0, 0.0, 1.0, 1.0], [40, 10, 30, 20])
    y = np.repeat([False, True, False, True], [40, 10, 30, 20])
    fit = fit_logistic(x[:, None], y)
    assert fit.coefficients[0] == pytest.approx(np.log((20 * 40) / (30 * 10)))
    assert fit.errors[1] == pytest.approx(np.sqrt(1 / 40 + 1 / 10 + 1 / 30 + 1 / 20), rel=1e-6)


@pytest.mark.parametrize(
    ("x", "y", "given", "text"),
    [
        ([0.0, 0.0, 1.0, 1.0], [0, 0, 1, 1], {}, "the regression has no finite optimum"),
        ([0.0, 1.0], [1, 1], {}, "there is nothing to fit; was 2 events of 2 rows"),
        ([0.0, np.nan], [0, 1], {}, "an input is no number; was column 0"),
        ([0.0, 1.0], [0, 1], {"ridge": -1.0}, "a penalty is below 0; was ridge -1.0, lasso 0.0"),
    ],
)
def test_a_fit_that_does_not_exist_is_refused(x: list, y: list, given: dict, text: str) -> None:
    with pytest.raises(InputError, match=text):
        fit_logistic(np.array(x)[:, None], np.array(y, bool), **given)


def test_selection_says_why_each_column_is_out() -> None:
    rng = np.random.default_rng(5)
    woe = rng.normal(size=(2000, 1)) * 0.7
    copy, weak = woe + rng.normal(size=(2000, 1)) * 0.01, rng.normal(size=(2000, 1))
    y = rng.random(2000) < 1 / (1 + np.exp(woe[:, 0] + 1))
    woes = np.hstack([woe, copy, weak, -woe * 0.2 + rng.normal(size=(2000, 1))])
    chosen = choose(["a", "copy", "weak", "turned"], woes, [0.4, 0.3, 0.001, 0.05], y, SelectionRules(iv_max=5))
    assert chosen.names[0] == "a"
    assert "correlation with a" in chosen.left_out["copy"]
    assert "below 0.01" in chosen.left_out["weak"]
    assert variance_inflation(woes[:, :2]).min() > 10


@pytest.mark.parametrize("steps", ["forward", "lasso"])
def test_steps_leave_noise_out(steps: str) -> None:
    made = ScorecardEstimator(selection={"iv_min": 0.0, "steps": steps, "p_enter": 0.001, "lasso": 60.0}).fit(TABLE, 1)
    assert "noise" in made.weights.left_out
    assert {"utilisation", "late_payments"} <= {one.name for one in made.columns}


def test_calibration_on_rows_that_were_not_seen() -> None:
    for method in ("platt", "isotonic"):
        made = ScorecardEstimator(calibration=method, folds=3).fit(TABLE, 1)
        assert made.weights.calibration.method == method
        assert made.calibrated(TABLE.rows).mean() == pytest.approx(TABLE.target.mean(), abs=0.02)
        p = made.probability(TABLE.rows)
        total = made.base + made.contributions(TABLE.rows).sum(axis=1)
        assert np.abs(total - np.log(p / (1 - p))).max() < 1e-9


def test_isotonic_steps_equal_scikit_learn() -> None:
    isotonic = pytest.importorskip("sklearn.isotonic")
    rng = np.random.default_rng(6)
    scores = np.round(rng.normal(size=300), 1)
    y = rng.random(300) < 1 / (1 + np.exp(scores))
    lows, rates = isotonic_steps(scores, y)
    theirs = isotonic.IsotonicRegression(increasing=False).fit(scores, y).predict(scores)
    assert np.allclose(rates[np.searchsorted(lows, scores, side="right") - 1], theirs)


def test_a_refined_card_ranks_better_where_columns_overlap() -> None:
    rng = np.random.default_rng(8)
    x = rng.normal(size=3000)
    rows = pl.DataFrame({"a": x, "b": x + rng.normal(size=3000) * 0.5})
    y = rng.random(3000) < 1 / (1 + np.exp(-(np.abs(x) - 1.5)))
    table = TABLE._replace(
        rows=rows, target=y, columns=tuple(Column(name=name, kind="number") for name in rows.columns)
    )
    classic = ScorecardEstimator(refine=0).fit(table, 1)
    refined = ScorecardEstimator(refine=10).fit(table, 1)
    assert auc_roc(y, refined.probability(rows)) >= auc_roc(y, classic.probability(rows)) - 1e-3


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [(0.2, 0.3, 0.3), (1.0, 2.0, 2.0), (0.123456, 0.129, 0.129), (-1.0, 2.0, 0.0), (24.0, 31.0, 30.0)],
)
def test_cuts_are_short_decimals(low: float, high: float, found: float) -> None:
    assert short_between(low, high) == found


def test_a_value_that_many_share_is_not_torn_apart() -> None:
    values = np.array([0.0] * 900 + list(range(1, 101)), float)
    cuts = fine_cuts(values, 10)
    assert cuts[0] == 1.0
    assert len(np.unique(np.searchsorted(cuts, values, side="right"))) == len(cuts) + 1


def test_a_code_of_a_column_nobody_named() -> None:
    assert reason_code("NumberOfTimes90DaysLate") == "number_of_times90_days_late"
    assert reason_code("30-59 late") == "input_30_59_late"
