"""`quanheng models fit` and `models score` on files as they come."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from quanheng.cli.main import main

pytest.importorskip("sklearn", reason="the extra `models` is not installed")
FIT = ("models", "fit", "loans.csv", "--target", "status", "--estimator", "logistic", "--folds", "3")


def told(capsys, *arguments):
    code = main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, " ".join(err.split())


@pytest.fixture(autouse=True)
def _file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw = random.Random(1)
    lines = ["id;Income;months;collected;status"]
    for number in range(400):
        income = draw.randint(900, 9000)
        bad = draw.random() < (0.6 if income < 4000 else 0.1)
        collected = draw.randint(1, 99) if bad else 0
        lines.append(f"{number};{income:,}.00;{draw.randint(0, 240)};{collected};{'bad' if bad else 'good'}")
    Path("loans.csv").write_text("\n".join(lines) + "\n")


def test_findings_folds_and_hash_are_shown(capsys):
    code, out, _ = told(capsys, *FIT)
    assert code == 0
    for part in ("Found in the table", "predicts too well", "3 stratified folds, seed 1", "mean ±", "sha256:"):
        assert part in " ".join(out.split())
    _, out, _ = told(capsys, *FIT, "--language", "zh")
    assert "表中发现" in out


def test_json_holds_all_of_it_and_the_same_hash_again(capsys):
    code, out, _ = told(capsys, *FIT, "--drop", "collected", "--json", "--out", "model")
    first = json.loads(out.splitlines()[-1])
    assert code == 0
    assert first["inputs"] == ["income", "months"]
    assert first["warnings"] == 0
    assert first["mean"]["auc"] > 0.6
    assert len(first["folds"]) == 3
    assert first["card"]["command"] == (
        "quanheng models fit loans.csv --target status --estimator logistic --folds 3 --seed 1 --drop collected"
    )
    _, out, _ = told(capsys, *FIT, "--drop", "collected", "--json")
    assert json.loads(out.splitlines()[-1])["hash"] == first["hash"]
    code, out, _ = told(
        capsys, "models", "score", "model", "loans.csv", "--contributions", "--out", "s.parquet", "--json"
    )
    scored = json.loads(out.splitlines()[-1])
    assert (code, scored["rows"], scored["hash"]) == (0, 400, first["hash"])
    assert Path("s.parquet").is_file()
    code, out, _ = told(capsys, "models", "score", "model", "loans.csv")
    assert code == 0
    assert "400 rows scored by loans" in out
    assert Path("scores.csv").read_text().startswith("row,score\n1,0.")


def test_the_target_by_place_and_settings(capsys):
    fit = (
        "models",
        "fit",
        "loans.csv",
        "--target",
        "-1",
        "--estimator",
        "logistic",
        "--json",
        "--keep",
        "income,months",
    )
    code, out, _ = told(
        capsys, *fit, "--setting", "strength=0.01", "--bad", "good", "--repeats", "2", "--name", "My Model"
    )
    made = json.loads(out.splitlines()[-1])
    assert (code, made["name"], len(made["folds"])) == (0, "my_model", 10)
    assert "--setting strength=0.01" in made["card"]["command"]
    assert made["events"] > 200


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--setting", "strength"), "--setting: a setting is written KEY=VALUE; was strength"),
        (("--monotone", "income"), "--monotone: a direction is written NAME=+ or NAME=-; was income"),
        (("--monotone", "auto"), "estimator logistic: the estimator does not take this setting; was monotone"),
        (("--folds", "1"), "--folds: the rows cannot be split into these folds; was 1 folds"),
        (("--drop", "colour"), "--drop: the table has no such column; was colour"),
        (("--estimator", "forest"), "--estimator: there is no such estimator; was forest"),
        (("--out-of-time", "0.2"), "--out-of-time: a test out of time needs to know when each row was decided"),
    ],
)
def test_what_is_asked_wrongly_is_one_line(more, message, capsys):
    estimator = () if "--estimator" in more else ("--estimator", "logistic")
    code, _, err = told(capsys, *FIT[:5], *estimator, *more)
    assert code == 2
    assert message in err


def test_directions_reach_the_estimator():
    from quanheng.cli.models_fit import _settings

    assert _settings("lightgbm", "income=-, age=+", ["rounds=5", 'name="x"', "word=plain"]) == {
        "rounds": 5, "name": "x", "word": "plain", "monotone": {"income": -1, "age": 1},
    }  # fmt: skip
    assert _settings("scorecard", "none", []) == {"bins": {"trend": "none"}}
