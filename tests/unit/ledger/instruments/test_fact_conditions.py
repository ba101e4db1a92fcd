"""Conditions on facts: compiled once, null where a fact does not fit, malformed facts are named."""

from __future__ import annotations

from decimal import Decimal

import pytest

from quanheng.feel import ANY, BOOLEAN, NUMBER, STRING
from quanheng.kernel.errors import ExpressionError
from quanheng.ledger.instruments.conditions import FIELDS_MAX, Compiled, Condition, Fact, compiled, wrong_in

FIELDS = (("station", STRING), ("wind", NUMBER), ("signed", BOOLEAN))
NOW_MS = 1_000
CASES = [
    ('event.kind = "gust" and event.wind >= 30.5', True),
    ("event.wind > 40", False),
    ("event.time_ms = 9", True),
    ("event.signed", False),
    ("event.station", False),
    ("count(events) = 2 and limit = 7", True),
    ("events[1].signed", True),
    ("every e in events satisfies e.wind > 1", False),
    ('now() > date and time("2020-01-01T00:00:00Z")', False),
]
FACTS = [Fact.of("seen", 8, signed=True, wind="calm"), Fact.of("gust", 9, wind=31, station=5, other="x")]


@pytest.mark.parametrize(("text", "met"), CASES)
def test_conditions(text, met):
    fields = tuple(one for one in FIELDS if one[0] != "station") if "station" not in text else FIELDS
    if text == "event.station":
        with pytest.raises(ExpressionError, match="the condition has another type"):
            Compiled(Condition("c", text, fields), ["limit"])
        return
    assert Compiled(Condition("c", text, fields), ["limit"]).is_met(FACTS, {"limit": 7}) is met


def test_a_value_of_another_type_is_null():
    value = Compiled(Condition("c", "event.station", FIELDS), [], STRING)
    assert value.value(FACTS, {}) is None
    assert value.value([Fact.of("seen", 8, station="A1")], {}) == "A1"
    assert Compiled(Condition("c", "event.wind", FIELDS), [], NUMBER).value([Fact.of("x", 1, wind=True)], {}) is None


def test_no_fact_is_null():
    assert not Compiled(Condition("c", "event.wind = 1", FIELDS), []).is_met([], {})


def test_a_type_that_is_not_known_is_judged_when_it_runs():
    text = 'if event.kind = "a" then true else "no"'
    condition = Compiled(Condition("c", text), [])
    assert condition.expression.type == ANY
    assert [condition.is_met([Fact("a", 1)], {}), condition.is_met([Fact("b", 1)], {})] == [True, False]


def test_a_name_that_is_not_declared():
    with pytest.raises(ExpressionError, match=r"condition 'c'.*'depth'"):
        Compiled(Condition("c", "event.depth > 1", FIELDS), [])


@pytest.mark.parametrize("field", [("kind", STRING), ("wind", ANY)])
def test_a_field_that_cannot_be_declared(field):
    with pytest.raises(ExpressionError, match="a field of a fact cannot be declared so"):
        Compiled(Condition("c", "true", (field,)), [])


def test_two_of_one_name():
    with pytest.raises(ExpressionError, match="two conditions have one name"):
        compiled([Condition("c", "true"), Condition("c", "false")], [])


WRONG = [
    (Fact("k", -1), "time_ms -1, 0 .. 1000 is allowed"),
    (Fact("k", NOW_MS + 1), "time_ms 1001, 0 .. 1000 is allowed"),
    (Fact("k", 1.0), "time_ms 1.0"),
    (Fact("", 1), "a kind of 0 characters"),
    (Fact.of("k", 1, **{f"f{n}": 1 for n in range(FIELDS_MAX + 1)}), "65 fields, at most 64 are allowed"),
    (Fact("k", 1, (("b", 1), ("a", 1))), "fields that are not ordered by name, each once"),
    (Fact("k", 1, (("a", 1), ("a", 1))), "fields that are not ordered by name, each once"),
    (Fact("k", 1, (("kind", "x"),)), "a field with the name 'kind'"),
    (Fact("k", 1, (("", 1),)), "a field with the name ''"),
    (Fact.of("k", 1, a="x" * 4_097), "a: 4097 characters"),
    (Fact("\ud800", 1), "a kind of 1 characters"),
    (Fact("k", 1, (("\ud800", 1),)), "a field with the name"),
    (Fact.of("k", 1, a="x\ud800"), "a: 2 characters"),
    (Fact.of("k", 1, a=10**34), "a: a number of more than 34 digits"),
    (Fact.of("k", 1, a=Decimal("NaN")), "a: a number of more than 34 digits, or none"),
    (Fact.of("k", 1, a=Decimal("1E+35")), "a: a number of more than 34 digits, or none"),
    (Fact.of("k", 1, a=1.5), "a: a value of type float"),
]


@pytest.mark.parametrize(("fact", "text"), WRONG)
def test_malformed_facts(fact, text):
    assert text in wrong_in(fact, NOW_MS)


def test_a_good_fact():
    assert wrong_in(Fact.of("k", NOW_MS, a="x", b=1, c=Decimal("1.5"), d=True), NOW_MS) == ""
