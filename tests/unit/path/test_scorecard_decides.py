"""A scorecard decides a loan in the durable path: points, choices, missing values, reasons in two languages."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from tests.unit.models.scorecard_sample import applicants, lender

from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.kernel.errors import InputError
from quanheng.loading import check_pack
from quanheng.loading.declared import ModelDeclaration
from quanheng.loading.files import read_pack
from quanheng.loading.find import read_packs
from quanheng.models.scorecard.scorecard import Scorecard
from quanheng.models.serving import load_model

T0 = 1_772_452_800_000
LENDER = Path(__file__).parents[2] / "packs" / "lender"
WEIGHTS = (LENDER / "models" / "risk.scorecard").read_bytes()
ROWS = [
    {"utilisation": 0.05, "late_payments": 0, "years_at_job": 30, "housing": "own"},
    {"utilisation": 0.95, "late_payments": 3, "years_at_job": 1, "housing": "rent"},
    {"late_payments": -1, "housing": "boat", "years_at_job": 5},
    {},
]


def declared(**changes: object) -> ModelDeclaration:
    inputs = ("utilisation", "late_payments", "years_at_job", "housing")
    given = {
        "name": "risk",
        "estimator": "scorecard",
        "inputs": inputs,
        "output_decimals": 0,
        "weights": "w",
        "hash": "",
    }
    return ModelDeclaration(**{**given, "output": "points", "reasons": 4, **changes})


def test_the_weights_of_the_pack_are_what_fitting_again_gives() -> None:
    assert lender().fit(applicants(), 1).to_bytes() == WEIGHTS


def test_decisions_carry_points_and_reasons_in_both_languages(tmp_path: Path) -> None:
    card = Scorecard.from_bytes(WEIGHTS)
    schema = {"utilisation": pl.Float64, "late_payments": pl.Float64, "years_at_job": pl.Float64, "housing": pl.String}
    frame = pl.DataFrame([{name: row.get(name) for name in schema} for row in ROWS], schema=schema)
    points, reasons = card.points(frame).tolist(), card.reasons(frame)
    engine = Engine.open(tmp_path / "data", clock=lambda: T0)
    try:
        engine.activate([read_packs()["party"], read_pack(LENDER, "lender")])
        data = [json.dumps({"time_ms": T0, "applicant": f"p{at}", **row}).encode() for at, row in enumerate(ROWS)]
        replies = engine.submit([Request("web", f"a{at}", "lender.application", one) for at, one in enumerate(data)])
        for reply, want, codes in zip(replies, points, reasons, strict=True):
            assert (reply.status, reply.outcome) == ("decided", "approve" if want >= 510 else "decline")
            assert list(reply.reasons) == ([] if want >= 510 else codes)
        found = engine.reader.decision(replies[1].decision)
        assert found["sources"]["lender.risk"] == points[1]
        assert found["sources"]["lender.risk_reason_1"] == reasons[1][0]
        told = {one["code"]: one for one in found["reasons"]}
        assert told["high_utilisation"]["zh"] == "您的信用额度使用率较高。"
        assert told["high_utilisation"]["en"] == "A large share of your credit limits is in use."
    finally:
        engine.close()
    assert [points[0] >= 510, points[1] >= 510] == [True, False]


def test_a_choice_that_training_never_saw_is_answered_as_unknown() -> None:
    model = load_model(declared(), WEIGHTS, {"housing": ("boat", "own")})
    card = Scorecard.from_bytes(WEIGHTS)
    at = card.weights.characteristics[-1]
    columns = [pl.Series([value], dtype=pl.Float64).to_numpy() for value in (0.1, 0.0, 10.0, 0.0)]
    frame = pl.DataFrame({"utilisation": [0.1], "late_payments": [0.0], "years_at_job": [10.0], "housing": ["boat"]})
    assert model.answering.answer(columns)[0, 0] == card.points(frame)[0]
    assert at.bins[at.at("other")].points == 0


def test_a_number_where_training_had_a_choice_is_refused() -> None:
    with pytest.raises(
        InputError,
        match="housing: an input is of another kind than in training; was a number; allowed: a choice field",
    ):
        load_model(declared(), WEIGHTS)


def test_trees_give_no_points() -> None:
    with pytest.raises(InputError, match="the estimator gives probabilities alone; was output points, 4 reasons"):
        load_model(declared(estimator="lightgbm"), WEIGHTS)


def test_a_reason_without_a_sentence_is_a_problem_of_the_pack() -> None:
    files = dict(read_pack(LENDER).files)
    text = files["reasons.toml"].decode()
    files["reasons.toml"] = text.replace("[reason.short_employment]", "[reason.other_words]").encode()
    _, problems = check_pack(read_pack(files, "lender"), read_packs())
    told = [str(one) for one in problems if one.key == "model.reasons"]
    assert "models/risk.toml: model.reasons: the model tells a reason code that reasons.toml does not have" in told[0]
    assert "was 'short_employment'" in told[0]


def test_a_probability_has_its_decimals() -> None:
    model = load_model(declared(output="probability", output_decimals=3, reasons=0), WEIGHTS, {"housing": ("own",)})
    columns = [pl.Series([value], dtype=pl.Float64).to_numpy() for value in (0.1, 0.0, 10.0, 0.0)]
    (score,) = model.answering.answer(columns)[0]
    assert score == round(float(score), 3)
