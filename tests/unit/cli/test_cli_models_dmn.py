"""`quanheng models dmn` gives the points of the scorecard that `models fit` wrote."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from quanheng.cli.main import main
from quanheng.decisions.dmn import compile_decision, read_model
from quanheng.models.fit_folder import read_folder

pytest.importorskip("sklearn", reason="the extra `models` is not installed")


def told(capsys, *arguments):
    code = main(["models", *arguments])
    out, err = capsys.readouterr()
    return code, out, " ".join(err.split())


@pytest.fixture(autouse=True)
def _file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw = random.Random(1)
    lines = ["monthly income;months;status"]
    for _ in range(600):
        income, months = draw.randint(900, 9000), draw.randint(0, 240)
        bad = draw.random() < (0.5 if income < 4000 else 0.1) + (0.2 if months < 60 else 0.0)
        lines.append(f"{income};{months if draw.random() < 0.9 else ''};{'bad' if bad else 'good'}")
    Path("loans.csv").write_text("\n".join(lines) + "\n")


def test_the_dmn_file_gives_the_points(capsys):
    assert told(capsys, "fit", "loans.csv", "--target", "status", "--folds", "3", "--out", "card")[0] == 0
    code, out, _ = told(capsys, "dmn", "card", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["inputs"] == {"monthly_income": "monthly_income", "months": "months"}
    policy = compile_decision(read_model(Path(found["file"]).read_bytes(), "card"), found["decision"])
    card = read_folder(Path("card")).model
    rows = pl.DataFrame({
        "monthly_income": [1000.0, 3999.0, 8000.0, None], "months": [10.0, None, 200.0, 59.5],
    })  # fmt: skip
    column_of = {name: column for column, name in found["inputs"].items()}
    for row, points in zip(rows.to_dicts(), card.points(rows).tolist(), strict=True):
        given = [row[column_of[one.name]] for one in policy.inputs]
        assert policy(tuple(None if one is None else Decimal(str(one)) for one in given)).result == points
    code, out, err = told(capsys, "dmn", "card", "--out", "other.dmn")
    assert (code, "2 tables, decision score" in out, "written: other.dmn" in err) == (0, True, True)
    assert Path("other.dmn").read_bytes() == Path(found["file"]).read_bytes()


def test_another_model_is_refused(capsys):
    arguments = ("--target", "status", "--folds", "3", "--out", "lines", "--estimator", "logistic")
    assert told(capsys, "fit", "loans.csv", *arguments)[0] == 0
    code, _, err = told(capsys, "dmn", "lines")
    assert code == 2
    assert "only a scorecard is written as DMN; was logistic; allowed: scorecard" in err
    assert told(capsys, "dmn", "nowhere")[0] == 2
