"""What enters a policy: contexts are let through by generated conditions exactly where the judge lets them through."""

from __future__ import annotations

from collections import OrderedDict
from decimal import Decimal

import pytest

from quanheng.decisions.dmn import compile_decision, read_model
from quanheng.decisions.dmn.judge import judge_model

MODEL = read_model(
    b'<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="m" namespace="m">'
    b'<itemDefinition name="tWho"><itemComponent name="age"><typeRef>number</typeRef></itemComponent>'
    b'<itemComponent name="home"><itemComponent name="city"><typeRef>string</typeRef></itemComponent>'
    b'<itemComponent name="rented"><typeRef>boolean</typeRef></itemComponent></itemComponent></itemDefinition>'
    b'<inputData id="who" name="who"><variable name="who" typeRef="tWho"/></inputData>'
    b'<decision id="d" name="d"><variable name="d"/><informationRequirement><requiredInput href="#who"/>'
    b"</informationRequirement><literalExpression><text>who</text></literalExpression></decision></definitions>",
    "m.dmn",
)
HOME = {"city": "Delft", "rented": True}
CASES = [
    None,
    {"age": 30, "home": HOME},
    {"age": Decimal("30.5"), "home": HOME, "more": 1},
    {"age": None, "home": None},
    {"age": 30, "home": {"city": None, "rented": None}},
    {"age": 30},
    {"home": HOME},
    {"age": 30, "home": {"city": "Delft"}},
    {"age": "30", "home": HOME},
    {"age": True, "home": HOME},
    {"age": 30.5, "home": HOME},
    {"age": Decimal("NaN"), "home": HOME},
    {"age": 30, "home": {"city": 1, "rented": True}},
    {"age": 30, "home": "Delft"},
    OrderedDict(age=30, home=HOME),
    [{"age": 30, "home": HOME}],
    ({"age": 30, "home": HOME},),
    [],
    "who",
    7,
]


@pytest.mark.parametrize("who", CASES, ids=str)
def test_a_context_is_admitted_as_the_judge_admits_it(who: object) -> None:
    compiled, judged = compile_decision(MODEL, "d")([who]), judge_model(MODEL, "d", {"who": who})
    assert repr(compiled.result) == repr(judged.result)
    assert [one.cause for one in compiled.diagnostics] == [one.cause for one in judged.diagnostics]
