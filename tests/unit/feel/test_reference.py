"""Every example of docs/reference/feel.md, by the generated code and by the judge."""

from __future__ import annotations

import re
from dataclasses import fields
from decimal import Decimal
from pathlib import Path

import pytest

from quanheng.feel import ANY, BOOLEAN, NUMBER, STRING, ContextType, ListType, compile_expression, judge, limits
from quanheng.feel.functions import SIGNATURES
from quanheng.feel.operators import equal

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "feel.md").read_text(encoding="utf-8")
NAMES = {
    "amount": NUMBER,
    "monthly income": NUMBER,
    "country": STRING,
    "vip": BOOLEAN,
    "missing": ANY,
    "loans": ListType(ContextType((("lender name", STRING), ("rest", NUMBER)))),
}
VALUES = {
    "amount": 120,
    "monthly income": Decimal("3000.50"),
    "country": "NL",
    "vip": True,
    "missing": None,
    "loans": [{"lender name": "A", "rest": 100}, {"lender name": "B", "rest": 250}],
}
BLOCKS = re.findall(r"```feel\n(.*?)```", PAGE, re.DOTALL)
EXAMPLES = [line.split(" → ") for block in BLOCKS for line in block.splitlines() if " → " in line]


@pytest.mark.parametrize(("text", "expected"), EXAMPLES, ids=[text for text, _ in EXAMPLES])
def test_example(text: str, expected: str) -> None:
    wanted = compile_expression(expected, {})()
    for outcome in (
        compile_expression(text, NAMES, strict=False).evaluate(VALUES),
        judge.evaluate(text, NAMES, VALUES, strict=False),
    ):
        assert outcome.value is None if wanted is None else equal(outcome.value, wanted) is True, outcome


def test_every_function_has_an_example() -> None:
    shown = "\n".join(text for text, _ in EXAMPLES)
    missing = [name for name in SIGNATURES if not re.search(rf"(?<![a-z ]){name}\(", shown)]
    assert not missing


OPERATORS = ["+", "-", "*", "/", "**", "=", "!=", "<", "<=", ">", ">=", "and", "or", "in", "between", "instance of",
             "if", "for", "some", "every", "function"]  # fmt: skip


def test_every_operator_has_an_example() -> None:
    shown = " ".join(text for text, _ in EXAMPLES).split()
    joined = " ".join(shown)
    assert [one for one in OPERATORS if f" {one} " not in f" {joined} "] == ["function"]
    assert "function(" in joined


def test_the_limits_on_the_page_are_those_in_force() -> None:
    rows = PAGE.split("## Limits")[1].split("## ")[0]
    for one in fields(limits.Limits):
        assert f"`{one.name}`" in rows
        assert f"{one.default:,}" in rows


def test_now_and_today_come_from_the_caller() -> None:
    from quanheng.feel.values import Run

    expression = compile_expression("string(now()) + string(today())", {})
    assert expression.run(Run.at(1_764_000_000_000), ()) == "2025-11-24T16:00:00Z2025-11-24"
