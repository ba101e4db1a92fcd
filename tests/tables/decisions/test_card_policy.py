"""The sample policy: several tables, one top decision that gives an outcome and its reasons."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from quanheng.decisions.dmn import compile_decision, read_model
from quanheng.decisions.dmn.judge import judge_model

FILE = Path(__file__).with_name("card_policy.dmn")
MODEL = read_model(FILE.read_bytes(), FILE.name)
POLICY = compile_decision(MODEL, "authorise")

# amount, country, count today, score -> outcome, reasons
CASES = [
    ((1000, "NL", 1, Decimal("0.1")), "approve", []),
    ((1000, "NL", 1, Decimal("0.3")), "review", ["SCORE_RAISED"]),
    ((1000, "NL", 1, Decimal("0.8")), "decline", ["SCORE_HIGH"]),
    ((500001, "NL", 1, 0), "review", ["AMOUNT_OVER_LIMIT"]),
    ((500001, "XB", 21, Decimal("0.2999")), "decline", ["AMOUNT_OVER_LIMIT", "COUNTRY_BLOCKED", "TOO_MANY_TODAY"]),
    ((None, None, None, None), "review", ["SCORE_MISSING"]),
    ((1000, "XA", 1, None), "review", ["COUNTRY_BLOCKED", "SCORE_MISSING"]),
    (("many", "NL", 1, 1), "decline", ["SCORE_HIGH"]),
]


@pytest.mark.parametrize(("values", "outcome", "reasons"), CASES)
def test_outcome_and_reasons(values: tuple[object, ...], outcome: str, reasons: list[str]) -> None:
    assert POLICY(values).result == {"outcome": outcome, "reasons": reasons}


def test_inputs_are_positional_in_the_order_of_the_file() -> None:
    assert [one.name for one in POLICY.inputs] == ["amount_minor", "country", "customer_count_1d", "fraud_score"]
    assert [str(one.type) for one in POLICY.inputs] == ["number", "string", "number", "number"]


def test_trace_names_every_decision_once_with_its_matched_rules() -> None:
    judgement = POLICY((500001, "XB", 21, Decimal("0.2999")))
    assert [(step.decision, step.rules) for step in judgement.steps] == [
        ("hard limits", (1, 2, 3)),
        ("score band", (1,)),
        ("outcome", (1, 5)),
        ("authorise", ()),
    ]


def test_an_input_of_the_wrong_kind_is_null_and_says_so() -> None:
    judgement = POLICY(("many", "NL", 1, 1))
    assert [str(one) for one in judgement.diagnostics] == [
        "input amount_minor, line 1, column 1: amount_minor must be number, was string 'many'"
    ]


def test_the_judge_agrees_case_by_case() -> None:
    names = [one.name for one in POLICY.inputs]
    for values, _, _ in CASES:
        judged = judge_model(MODEL, "authorise", dict(zip(names, values, strict=True)))
        compiled = POLICY(values)
        assert (judged.result, judged.trace) == (compiled.result, compiled.trace)
