"""Inputs declared as float: what enters, what is compared as float, and what stays exact."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import inf, nan

import pytest

from quanheng.decisions.dmn import Model, compile_decision, only_compared, read_model
from quanheng.kernel.errors import InputError


def model_of(cells: Sequence[str], text: str = "d", allowed: str = "") -> Model:
    """Numbers a, b, c and a text t; `d` is a table over a, `e` the expression `text` over all of them."""
    kind = "tPart" if allowed else "number"
    item = (
        f'<itemDefinition name="tPart"><typeRef>number</typeRef><allowedValues><text>{allowed}</text></allowedValues>'
    )
    kinds = {"a": kind, "b": "number", "c": "number", "t": "string"}
    inputs = "".join(
        f'<inputData id="{one}" name="{one}"><variable name="{one}" typeRef="{kinds[one]}"/></inputData>'
        for one in kinds
    )
    needs = "".join(f'<informationRequirement><requiredInput href="#{one}"/></informationRequirement>' for one in kinds)
    rules = "".join(
        f"<rule><inputEntry><text>{cell.replace('<', '&lt;')}</text></inputEntry><outputEntry><text>{number}</text>"
        "</outputEntry></rule>"
        for number, cell in enumerate(cells)
    )
    return read_model(
        f'<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="m" namespace="m">'
        f"{item + '</itemDefinition>' if allowed else ''}{inputs}"
        f'<decision id="d" name="d"><variable name="d"/>{needs}<decisionTable hitPolicy="FIRST"><input>'
        f"<inputExpression><text>a</text></inputExpression></input><output/>{rules}</decisionTable></decision>"
        f'<decision id="e" name="e"><variable name="e"/><informationRequirement><requiredDecision href="#d"/>'
        f"</informationRequirement>{needs}<literalExpression><text>{text}</text></literalExpression>"
        "</decision></definitions>".encode(),
        "m.dmn",
    )


CELLS = ("< 0.1", "0.1", "(0.1..0.30000000000000001]", "> 0.30000000000000001", "null")


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (0.09999999999999999, 0), (0.1, 1), (0.10000000000000002, 2), (0.3, 2), (0.30000000000000004, 3), (1e300, 3),
        (-0.0, 0), (nan, 4), (inf, 4), (-inf, 4), (None, 4), (0, 0), (Decimal("0.1"), 1), (Decimal("0.3"), 2),
        (Decimal("0.30000000000000001"), 2), (Decimal("0.300000000000000011"), 3), (10**400, 3),
    ],
)  # fmt: skip
def test_bounds_are_those_of_the_decimal_that_a_float_stands_for(value: object, rule: int) -> None:
    policy = compile_decision(model_of(CELLS), "d", floats=["a"])
    assert policy([value, 1, 1, "x"]).trace == (("d", (rule + 1,), rule),)


def test_what_is_no_float_is_judged_with_exact_numbers() -> None:
    model = model_of(CELLS)
    policy, plain = compile_decision(model, "d", floats=["a"]), compile_decision(model, "d")
    assert [one.as_float for one in policy.inputs] == [True, False, False, False]
    assert policy.exact is not policy
    assert plain.exact is plain
    (why,) = policy(["x", 1, 1, "x"]).diagnostics
    assert why.cause == "a must be number, was string 'x'"
    (why,) = plain([0.5, 1, 1, "x"]).diagnostics
    assert why.cause == "a must be number, was float 0.5"


def test_the_exact_value_is_there_where_it_is_read() -> None:
    policy = compile_decision(model_of(CELLS, "if a > 0.2 then a * 2 else d"), "e", floats=["a"])
    assert repr(policy([0.3, 1, 1, "x"]).result) == "Decimal('0.6')"
    assert policy([nan, 1, 1, "x"]).result == 4


def test_allowed_values_are_asked_of_the_exact_value() -> None:
    policy = compile_decision(model_of(CELLS, allowed="[0..1]"), "d", floats=["a"])
    assert policy([0.1, 1, 1, "x"]).result == 1
    assert policy([1.5, 1, 1, "x"]).result == 4
    assert "was number 1.5" in policy([1.5, 1, 1, "x"]).diagnostics[0].cause


@pytest.mark.parametrize("floats", [["a", "t"], ["missing"]])
def test_only_numbers_can_be_declared(floats: list[str]) -> None:
    with pytest.raises(InputError, match="only inputs of type number can be declared as float") as caught:
        compile_decision(model_of(CELLS), "d", floats=floats)
    assert caught.value.found == floats[-1]
    assert caught.value.allowed == "a, b, c"


# expression of `e`, names, bounds, those that can be floats
COMPARED = [
    ("d", "a", "b", "a"),
    ("a > b", "a", "b", "ab"),
    ("a > b and b > c", "a", "b", ""),
    ("a > b and b > c", "a", "bc", "abc"),
    ("a > b and b > c", "ac", "b", "abc"),
    ("a > b and b + 1 > c", "a", "b", ""),
    ("a + 1", "a", "b", ""),
    ("[a, b]", "ab", "c", ""),
    ("b = null", "ab", "c", "ab"),
    ("a between 1 and 2", "a", "", ""),
    ("t", "at", "", "a"),
]


@pytest.mark.parametrize(("text", "names", "beside", "expected"), COMPARED)
def test_what_can_be_compared_as_float(text: str, names: str, beside: str, expected: str) -> None:
    found = only_compared(model_of(("> 0.5", "-1"), text), "e", set(names), set(beside))
    assert "".join(sorted(found)) == expected
