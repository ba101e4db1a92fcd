"""From a file to a folder with a model, and back: the same again gives the same bytes."""

from __future__ import annotations

import tomllib

import numpy as np
import polars as pl
import pytest
from table_files import loans

from quanheng.kernel.errors import InputError, NotFound
from quanheng.models.fit import FitSettings, fit_table, library_versions
from quanheng.models.fit_folder import read_findings, read_folder, write_folder
from quanheng.models.metrics import auc_roc
from quanheng.models.registry.evidence import read_evidence
from quanheng.models.scoring import score_file
from quanheng.models.tables.prepare import Options, prepare, prepare_file
from quanheng.models.validation.folds import MEASURES, validate
from quanheng.models.validation.splits import stratified_folds

pytest.importorskip("sklearn", reason="the extra `models` is not installed")
SETTINGS = FitSettings(name="loans", estimator="logistic", folds=3, command="quanheng models fit loans.csv")


@pytest.fixture
def made(tmp_path):
    """(prepared, made) of a file, and the folder tmp_path/model."""
    loans().write_csv(tmp_path / "loans.csv")
    prepared = prepare_file(tmp_path / "loans.csv", Options(target="default"))
    made = fit_table(prepared, SETTINGS, "loans.csv")
    write_folder(tmp_path / "model", prepared, SETTINGS, made)
    return prepared, made


def test_the_same_file_gives_the_same_hash_and_a_folder_that_scores_alike(made, tmp_path):
    prepared, first = made
    again = fit_table(prepare_file(tmp_path / "loans.csv", Options(target="default")), SETTINGS, "loans.csv")
    assert (first.weights, first.card) == (again.weights, again.card)
    assert first.validated.mean("auc") > 0.7
    kept = read_folder(tmp_path / "model")
    scored = score_file(kept, tmp_path / "loans.csv", contributions=True)
    assert np.array_equal(scored.frame["score"].to_numpy(), first.model.probability(prepared.table.rows))
    assert kept.hash == first.hash
    log_odds = kept.model.base + scored.frame.select("income", "age", "job").sum_horizontal().to_numpy()
    assert np.allclose(1 / (1 + np.exp(-log_odds)), scored.frame["score"].to_numpy())
    assert scored.measures.keys() == MEASURES.keys()
    assert read_findings(tmp_path / "model") == [*prepared.findings, *first.findings]


def test_the_declaration_is_that_of_a_pack_with_its_card(made, tmp_path):
    _, first = made
    declared = tomllib.loads((tmp_path / "model" / "model.toml").read_text())
    assert declared["model"] == {
        "name": "loans",
        "estimator": "logistic",
        "inputs": ["income", "age", "job"],
        "output_decimals": 4,
        "weights": "loans.logistic",
        "hash": first.hash,
    }
    card = declared["card"]
    assert card["train"]["rows"] == 600
    assert card["metrics"]["auc_roc"]["low"] < card["metrics"]["auc_roc"]["value"] < card["metrics"]["auc_roc"]["high"]
    assert card["data_digest"].startswith("sha256:")
    assert set(declared["fit"]["folds"]) == set(MEASURES)
    scores = pl.read_csv(tmp_path / "model" / "scores.csv")
    assert scores.columns == ["row", "score", "target"]
    assert scores.height == 600


def test_models_of_one_file_are_measured_on_the_same_rows():
    prepared = prepare(loans(), Options(target="default"))
    plain, strong = (
        fit_table(prepared, FitSettings(name="loans", estimator="logistic", folds=3, settings=one), "loans.csv")
        for one in ({}, {"strength": 0.01})
    )
    before, after = (read_evidence(one.evidence, "x") for one in (plain, strong))
    assert plain.card.evidence == "loans.evidence"
    assert before.rows_digest == after.rows_digest
    assert auc_roc(before.labels, before.scores) == pytest.approx(plain.card.metrics["auc_roc"].value, abs=1e-12)


def test_times_make_periods_and_a_window(tmp_path):
    day = pl.Series("day", [f"2024-{1 + at // 60:02d}-15" for at in range(600)])
    prepared = prepare(loans().with_columns(day), Options(target="default", time="day"))
    made = fit_table(prepared, SETTINGS, "loans.csv")
    assert made.validation == "3 periods in the order of time, each fitted on all before"
    assert (made.card.train.since, made.card.train.until) == ("2024-01-15", "2024-10-16")
    assert made.card.test.rows < 600
    late = fit_table(prepared, FitSettings(name="loans", estimator="logistic", out_of_time=0.3), "loans.csv")
    assert [fold.rows for fold in late.validated.folds] == [180]
    assert late.validated.deviation("auc") == 0.0
    with pytest.raises(InputError, match="a test out of time needs to know when each row was decided"):
        fit_table(
            prepare(loans(), Options(target="default")),
            FitSettings(name="x", estimator="logistic", out_of_time=0.2),
            "t",
        )


def test_figures_that_are_too_good_are_a_warning_with_names():
    # Neither column tells the outcome alone; their difference does.
    random = np.random.default_rng(3)
    one = random.normal(size=800)
    other = one + random.normal(size=800) * 0.3
    frame = pl.DataFrame({"owed": one, "paid": other, "noise": random.normal(size=800), "y": (one > other).astype(int)})
    made = fit_table(prepare(frame, Options(target="y")), SETTINGS, "t")
    assert [finding.kind for finding in made.findings] == ["too_good"]
    assert "owed" in made.findings[0].done
    assert any("figures too good" in limit for limit in made.card.limits)


def test_repeats_average_and_measure_each(made):
    prepared, _ = made
    splits = stratified_folds(prepared.table.target, 2, 1, repeats=2)
    from quanheng.models.logistic import LogisticEstimator

    seen = []
    found = validate(LogisticEstimator(), prepared.table, splits, 1, lambda *told: seen.append(told))
    assert len(found.folds) == 4
    assert np.isfinite(found.scores).all()
    assert seen[0] == ("folds", 0, 4)
    assert seen[-1] == ("folds", 4, 4)


def test_an_estimator_without_an_answer_is_refused(made):
    class Silent:
        name = "silent"

        def fit(self, table, seed, progress=None):
            return self

        def probability(self, rows):
            return np.full(rows.height, np.nan)

    prepared, _ = made
    with pytest.raises(
        InputError, match=r"the estimator gives no probability for some rows; was 0 probabilities for 200"
    ):
        validate(Silent(), prepared.table, stratified_folds(prepared.table.target, 3, 1), 1)


def test_a_folder_that_is_not_whole(made, tmp_path):
    folder = tmp_path / "model"
    with pytest.raises(NotFound, match=r"the folder of the model lacks a file; was no model.toml"):
        read_folder(tmp_path)
    (folder / "loans.logistic").write_bytes(b"{}")
    with pytest.raises(InputError, match=r"loans.logistic: the weights are not those that were fitted; was sha256:"):
        read_folder(folder)
    (folder / "model.toml").write_text("[model]\nname = 5")
    with pytest.raises(InputError, match="the declaration of the model cannot be read"):
        read_folder(folder)


def test_a_file_without_outcomes_is_scored_and_not_measured(made, tmp_path):
    kept = read_folder(tmp_path / "model")
    loans().drop("default").write_csv(tmp_path / "new.csv")
    assert score_file(kept, tmp_path / "new.csv").measures == {}
    loans().filter(pl.col("default") == 1).write_csv(tmp_path / "bad.csv")
    found = score_file(kept, tmp_path / "bad.csv")
    assert found.measures == {}
    assert found.findings[-1].done == "not measured"


def test_versions_are_those_installed():
    assert {"numpy", "polars"} <= library_versions("logistic").keys()
    assert library_versions("of another distribution")
