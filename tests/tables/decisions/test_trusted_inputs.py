"""Inputs that a caller vouches for are not looked at; allowed values are still asked."""

from __future__ import annotations

from decimal import Decimal

import pytest

from quanheng.decisions.dmn import compile_decision, read_model

MODEL = read_model(
    b'<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="m" namespace="m">'
    b'<itemDefinition name="tGrade"><typeRef>string</typeRef><allowedValues><text>"A","B"</text></allowedValues>'
    b'</itemDefinition><inputData id="n" name="n"><variable name="n" typeRef="number"/></inputData>'
    b'<inputData id="g" name="g"><variable name="g" typeRef="tGrade"/></inputData><decision id="d" name="d">'
    b'<variable name="d"/><informationRequirement><requiredInput href="#n"/></informationRequirement>'
    b'<informationRequirement><requiredInput href="#g"/></informationRequirement>'
    b"<literalExpression><text>[n, g]</text></literalExpression></decision></definitions>",
    "m.dmn",
)


@pytest.mark.parametrize("n", [None, 7, Decimal("0.5")])
@pytest.mark.parametrize("grade", [None, "A", "C"])
def test_the_answer_is_the_same(n: object, grade: object) -> None:
    plain, quick = compile_decision(MODEL, "d"), compile_decision(MODEL, "d", ["n", "g"])
    assert quick([n, grade]).result == plain([n, grade]).result == [n, grade if grade != "C" else None]
    assert "admit" in plain.source
    assert "admit" not in quick.source
