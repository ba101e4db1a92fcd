"""What `quanheng models fit` writes is served by a pack as it is: the score of a decision is that of `models score`."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from tests.unit.models.scorecard_sample import applicants

from quanheng.cli.main import main
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.loading.files import read_pack
from quanheng.loading.find import read_packs

T0 = 1_772_452_800_000
LENDER = Path(__file__).parents[2] / "packs" / "lender"
POLICY = """<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" id="lender" name="lender" namespace="urn:lender">
  <inputData id="i0" name="risk"><variable name="risk" typeRef="number"/></inputData>
  <decision id="grant" name="grant">
    <variable name="grant"/>
    <informationRequirement><requiredInput href="#i0"/></informationRequirement>
    <literalExpression>
      <text>{outcome: if risk &lt; 0.3 then "approve" else "decline", reasons: []}</text>
    </literalExpression>
  </decision>
</definitions>
"""
ROWS = [
    {"utilisation": 0.05, "late_payments": 0, "years_at_job": 30, "housing": "own"},
    {"utilisation": 0.95, "late_payments": 3, "years_at_job": 1, "housing": "rent"},
    {"utilisation": None, "late_payments": -1, "years_at_job": 5, "housing": "boat"},
    {"utilisation": 0.4, "late_payments": None, "years_at_job": None, "housing": None},
]


@pytest.mark.parametrize("estimator", ["scorecard", "lightgbm", "ebm", "logistic"])
def test_a_folder_of_models_fit_decides_as_it_scores(tmp_path: Path, estimator: str) -> None:
    pytest.importorskip("sklearn"), pytest.importorskip("lightgbm"), pytest.importorskip("interpret")
    made = applicants(1500)
    table, later, folder = tmp_path / "loans.csv", tmp_path / "later.csv", tmp_path / "fitted"
    made.rows.drop("noise").with_columns(bad=pl.Series(made.target.astype(int))).write_csv(table)
    pl.DataFrame(ROWS).write_csv(later)
    fit = ["models", "fit", str(table), "--target", "bad", "--estimator", estimator, "--name", "risk", "--folds", "2"]
    assert main([*fit, "--out", str(folder)]) == 0
    assert main(["models", "score", str(folder), str(later), "--out", str(tmp_path / "scores.csv")]) == 0
    scores = pl.read_csv(tmp_path / "scores.csv")["score"].to_list()

    files = {name: content for name, content in read_pack(LENDER).files.items() if name[:3] not in {"cas", "mod"}}
    files |= {"policies/lender.dmn": POLICY.encode(), "reasons.toml": b""}
    files["models/risk.toml"] = (folder / "model.toml").read_bytes()
    files[f"models/risk.{estimator}"] = (folder / f"risk.{estimator}").read_bytes()
    files["models/risk.evidence"] = (folder / "risk.evidence").read_bytes()
    files["models/risk.reference.json"] = (folder / "reference.json").read_bytes()
    engine = Engine.open(tmp_path / "data", clock=lambda: T0)
    try:
        engine.activate([read_packs()["party"], read_pack(files, "lender")])
        bodies = [
            json.dumps({"time_ms": T0, "applicant": f"p{at}", **{k: v for k, v in row.items() if v is not None}})
            for at, row in enumerate(ROWS)
        ]
        asked = [Request("web", f"a{at}", "lender.application", one.encode()) for at, one in enumerate(bodies)]
        replies = engine.submit(asked)
        assert [reply.status for reply in replies] == ["decided"] * len(ROWS)
        for reply, score in zip(replies, scores, strict=True):
            outcome = "approve" if round(score, 4) < 0.3 else "decline"
            assert reply.outcome == outcome
            told = engine.reader.decision(reply.decision)["sources"]["lender.risk"]
            assert float(told) == pytest.approx(score, abs=0.00005001)
    finally:
        engine.close()
