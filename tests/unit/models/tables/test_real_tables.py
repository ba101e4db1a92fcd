"""Public tables as they were published: what is found in them, and what a plain logistic regression reaches."""

from __future__ import annotations

from pathlib import Path

import pytest

from quanheng.models.estimators import make_estimator
from quanheng.models.tables.prepare import Options, Prepared, prepare_file
from quanheng.models.validation.folds import validate
from quanheng.models.validation.splits import stratified_folds

pytest.importorskip("sklearn", reason="the extra `models` is not installed")


def read(shared: Path, name: str, **options) -> Prepared:
    path = shared / "data" / name
    if not path.is_file():
        pytest.skip(f"{name} is not among the sample data")
    return prepare_file(path, Options(**options))


def told(found: Prepared, kind: str) -> set[str]:
    return {finding.where for finding in found.findings if finding.kind == kind}


@pytest.mark.parametrize(
    ("name", "target", "folds", "auc"),
    [
        ("german.data", "-1", 5, 0.77),
        ("gmsc_cs-training.csv.zip", "SeriousDlqin2yrs", 3, 0.85),
        ("UCI_Credit_Card.csv", "Y", 3, 0.76),
        ("bank-full.csv", "y", 3, 0.90),
    ],
)
def test_a_logistic_regression_on_lenders_tables(shared, name, target, folds, auc):
    found = read(shared, name, target=target)
    assert not told(found, "leakage")
    splits = stratified_folds(found.table.target, folds, 1)
    assert validate(make_estimator("logistic"), found.table, splits, 1).mean("auc") >= auc


def test_codes_of_late_payments_and_row_numbers(shared):
    found = read(shared, "gmsc_cs-training.csv.zip", target="SeriousDlqin2yrs")
    codes = {column.name: column.specials for column in found.table.columns if column.specials}
    assert set(codes.values()) == {(96.0, 98.0)}
    assert len(codes) == 3
    assert told(found, "identifier") == {"column_1"}


def test_outcomes_of_a_campaign_tell_each_other(shared):
    found = read(shared, "hillstrom.csv", target="conversion")
    assert told(found, "leakage") == {"visit", "spend"}


def test_claims_with_question_marks_and_an_empty_last_column(shared):
    found = read(shared, "insurance_claims.csv", target="fraud_reported")
    assert told(found, "empty") == {"_c39"}
    assert told(found, "identifier") == {"policy_number", "incident_location"}
    assert told(found, "missing") == {"collision_type", "property_damage", "police_report_available"}


def test_a_typed_file_with_several_kinds_of_fraud(shared):
    found = read(shared, "card_transactions.parquet", target="fraud_scenario", bad=("1", "2", "3"))
    assert found.table.target.sum() == 9077 + 4631 + 973
    assert "is_fraud" in told(found, "leakage")
