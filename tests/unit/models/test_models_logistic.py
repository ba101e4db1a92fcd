"""Logistic regression: the laws of estimators, and the same probabilities as scikit-learn's own."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from quanheng.kernel.errors import ConfigurationError, InputError, MissingExtra
from quanheng.models.logistic import LEVEL_ROWS_MIN, TAILS, Logistic, LogisticEstimator
from quanheng.models.table import Column, Table
from quanheng.testing import estimator_kit

sklearn_linear = pytest.importorskip("sklearn.linear_model", reason="the extra `models` is not installed")


@pytest.mark.parametrize("check", estimator_kit.CHECKS, ids=lambda check: check.__name__)
def test_laws(check):
    check(LogisticEstimator)


def plain_matrix(fitted: pl.DataFrame, columns, rows: pl.DataFrame) -> np.ndarray:
    """Inputs of the regression told row by row, as the module's first lines say."""
    parts = []
    for column in columns:
        values, known = rows[column.name].to_list(), fitted[column.name].to_list()
        if column.kind == "category":
            levels = sorted({one for one in known if one is not None and known.count(one) >= LEVEL_ROWS_MIN})
            parts += [[float(value == level) for value in values] for level in levels]
        else:
            plain = np.array([one for one in known if one is not None and one not in column.specials])
            low, high = np.quantile(plain, TAILS)
            cut = np.clip(plain, low, high)
            mean, scale = cut.mean(), cut.std()
            parts.append(
                [
                    0.0 if value is None or value in column.specials else (min(max(value, low), high) - mean) / scale
                    for value in values
                ]
            )
            parts += [[float(value == code) for value in values] for code in column.specials if code in known]
        if None in known:
            parts.append([float(value is None) for value in values])
    return np.array(parts).T


def test_probabilities_equal_those_of_scikit_learn():
    table = estimator_kit.kit_table()
    rows = pl.concat([table.rows, estimator_kit.odd_rows()])
    solver = sklearn_linear.LogisticRegression(C=1.0, max_iter=2000, tol=1e-8)
    solver.fit(plain_matrix(table.rows, table.columns, table.rows), table.target)
    # A code that training did not meet (-8) is a number to both.
    expected = solver.predict_proba(plain_matrix(table.rows, table.columns, rows))[:, 1]
    found = LogisticEstimator().fit(table, 1).probability(rows)
    assert np.allclose(found, expected, rtol=0, atol=1e-12)


def test_a_rare_category_and_one_never_seen_add_the_same():
    table = estimator_kit.kit_table()
    region = table.rows["region"].to_list()
    region[:3] = ["rare"] * 3
    rows = table.rows.with_columns(pl.Series("region", region))
    fitted = LogisticEstimator().fit(table._replace(rows=rows), 1)
    both = rows.head(2).with_columns(pl.Series("region", ["rare", "never seen"]), pl.lit(1.0).alias("noise"))
    at = [column.name for column in fitted.columns].index("region")
    one, other = fitted.contributions(both)[:, at]
    assert one == other


def test_a_column_without_a_value_says_nothing():
    table = estimator_kit.kit_table()
    rows = table.rows.with_columns(pl.lit(None, pl.Float64).alias("noise"), pl.lit(None, pl.String).alias("region"))
    fitted = LogisticEstimator().fit(table._replace(rows=rows), 1)
    shown = rows.head(3).with_columns(pl.lit(4.0).alias("noise"), pl.lit("north").alias("region"))
    assert np.isfinite(fitted.probability(shown)).all()


@pytest.mark.parametrize("settings", [{"strength": 0.0}, {"strength": -1.0}, {"iterations_max": 0}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ConfigurationError, match=r"a setting of logistic regression does not fit; was strength = "):
        LogisticEstimator(**settings)


def test_a_table_without_inputs_is_refused():
    table = Table(pl.DataFrame({"x": [1.0, 2.0]}), np.array([True, False]), ())
    with pytest.raises(InputError, match=r"there is nothing to learn from; was 0 inputs, 1 of 2 rows with the event"):
        LogisticEstimator().fit(table, 1)


def test_other_bytes_are_refused():
    with pytest.raises(InputError, match=r"the bytes are no weights of a logistic regression; was b'\{\}'"):
        LogisticEstimator().read(b"{}")


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    import builtins

    real = builtins.__import__

    def absent(name, *rest):
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingExtra, match=r"fitting a logistic regression needs the package 'scikit-learn'"):
        LogisticEstimator().fit(estimator_kit.kit_table(), 1)


def test_far_log_odds_do_not_overflow():
    model = Logistic(800.0, ())
    assert model.probability(pl.DataFrame({"x": [1.0]}))[0] == 1.0
    assert Logistic(-800.0, ()).probability(pl.DataFrame({"x": [1.0]}))[0] == 0.0
    assert model.columns == ()
    assert Column(name="x", kind="number").specials == ()
