"""What enters a policy: contexts are let through by generated conditions exactly where the judge lets them through."""

from __future__ import annotations

from collections import OrderedDict
from decimal import Decimal

import pytest

from quanheng.decisions.dmn import Model, compile_decision, read_model
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


def answer_model(allowed: str, outcome: str) -> Model:
    """A decision whose context has an entry with allowed values."""
    shown = outcome.replace("<", "&lt;")
    return read_model(
        '<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="m" namespace="m">'
        '<itemDefinition name="tAnswer"><itemComponent name="outcome"><typeRef>string</typeRef><allowedValues>'
        f"<text>{allowed.replace('<', '&lt;')}</text></allowedValues></itemComponent></itemDefinition>"
        '<inputData id="n" name="n"><variable name="n" typeRef="number"/></inputData>'
        '<inputData id="t" name="t"><variable name="t" typeRef="string"/></inputData>'
        '<decision id="d" name="d"><variable name="d" typeRef="tAnswer"/><informationRequirement>'
        '<requiredInput href="#n"/></informationRequirement><informationRequirement><requiredInput href="#t"/>'
        '</informationRequirement><context><contextEntry><variable name="outcome"/><literalExpression><text>'
        f"{shown}</text></literalExpression></contextEntry></context></decision></definitions>".encode(),
        "m.dmn",
    )


BRANCHES = 'if n > 1 then "a" else if n > 0 then "b" else null'
# allowed values, outcome -> is the check left out, because every value it can have is allowed
SETTLED = [
    ('"a","b"', BRANCHES, True),
    ('"a"', BRANCHES, False),
    ('not("c")', BRANCHES, True),
    ('< "c"', BRANCHES, True),
    ('< "b"', BRANCHES, False),
    ('"a","b"', "t", False),
    ('starts with(?, "a")', '"a"', False),
    ("null", BRANCHES, False),
]


@pytest.mark.parametrize(("allowed", "outcome", "settled"), SETTLED)
def test_a_result_that_is_surely_allowed_is_not_checked_again(allowed: str, outcome: str, settled: bool) -> None:
    model = answer_model(allowed, outcome)
    policy = compile_decision(model, "d")
    assert ("refuse" not in policy.source) is settled
    for n, t in ((2, "a"), (1, "c"), (0, None), (None, "b")):
        compiled, judged = policy([n, t]), judge_model(model, "d", {"n": n, "t": t})
        assert compiled.result == judged.result
        assert [one.cause for one in compiled.diagnostics] == [one.cause for one in judged.diagnostics]
