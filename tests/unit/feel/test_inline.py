"""What generated code leaves out because static types settle it, and what it must not leave out."""

from __future__ import annotations

import copy
import pickle
import warnings

import pytest

from quanheng.feel import ANY, BOOLEAN, NUMBER, STRING, FeelType, ListType, compile_expression, judge, parse
from quanheng.feel.scope import Scope
from quanheng.feel.types import LIST

TEXTS = ListType(STRING)
BOTH: dict[str, FeelType] = {"a": TEXTS, "b": TEXTS}


@pytest.mark.parametrize(
    ("text", "names", "absent"),
    [
        ("concatenate(if a = null then [] else a, if b != null then b else [])", BOTH, "call_builtin"),
        ("a in (b)", {"a": STRING, "b": STRING}, "tested"),
        ("a = null", {"a": ANY}, "equals"),
        ("concatenate([a], [b])", {"a": STRING, "b": STRING}, "call_builtin"),
    ],
)  # fmt: skip
def test_what_types_settle_is_not_asked(text: str, names: dict[str, FeelType], absent: str) -> None:
    assert absent not in compile_expression(text, names).source


def test_a_guard_stands_once_in_a_condition() -> None:
    source = compile_expression("if a > 1 and a < b and b < 9 then 1 else 2", {"a": NUMBER, "b": NUMBER}).source
    condition = source.rpartition("return")[2]
    assert condition.count("v0 is not None") == 1
    assert condition.count("v1 is not None") == 1


@pytest.mark.parametrize(
    ("text", "given", "expected", "cause"),
    [
        ("upper case(a)", {"a": None}, None, "upper case(): 'string' is null"),
        ("upper case(a)", {"a": "x"}, "X", ""),
        ("substring(a + a, 2)", {"a": None}, None, "substring(): 'string' is null"),
        ("substring(a + a, 2)", {"a": "xy"}, "yxy", ""),
        ("substring(a + a, string length(a))", {"a": "xy"}, "yxy", ""),
        ("substring(a, string length(null))", {"a": "xy"}, None, "string length(): 'string' is null"),
        ("concatenate([a], null)", {"a": "x"}, None, "concatenate(): 'list' is null"),
    ],
)
def test_null_where_a_function_takes_none(text: str, given: dict[str, object], expected: object, cause: str) -> None:
    for outcome in (
        compile_expression(text, {"a": STRING}).evaluate(given),
        judge.evaluate(text, {"a": STRING}, given),
    ):
        assert outcome.value == expected
        assert (outcome.diagnostics[0].cause if outcome.diagnostics else "") == cause


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("concatenate([1], [2])", ListType(NUMBER)),
        ("concatenate([], t)", TEXTS),
        ("concatenate(t, s)", TEXTS),
        ("concatenate(t, [1])", LIST),
        ("union(t, u)", LIST),
        ("list replace(t, 1, 5)", LIST),
        ("remove(position: [1], list: t)", TEXTS),
        ("reverse(t)", TEXTS),
        ("min(t, s)", ANY),
        ("min(t)", STRING),
        ("for i in u..u return i", LIST),
        ("for i in 1..u return i", ListType(NUMBER)),
    ],
)
def test_the_type_of_a_list_function_holds_all_it_can_give(text: str, kind: FeelType) -> None:
    names = {"t": TEXTS, "s": STRING, "u": ANY}
    assert parse(text, Scope.of(names), "test", False).type == kind


@pytest.mark.parametrize("text", ['list replace(["a"], 1, 5)[1] < "c"', 'min(["b"], "c") < "z"'])
def test_a_type_that_promises_too_much_would_raise(text: str) -> None:
    compiled, judged = (
        compile_expression(text, {}, strict=False).evaluate({}),
        judge.evaluate(text, {}, {}, strict=False),
    )
    assert compiled.value == judged.value


def test_joined_lists_still_count_as_work() -> None:
    outcome = compile_expression("count(for i in 1..2000 return concatenate(a, a))", {"a": ListType(NUMBER)}).evaluate(
        {"a": list(range(500))}
    )
    assert outcome.value is None
    assert outcome.diagnostics[0].cause == "the expression visits more than 1000000 items"


def test_joined_lists_are_new_lists() -> None:
    given = ["x"]
    result = compile_expression("concatenate(a, [])", {"a": TEXTS})(given)
    assert result == given
    assert result is not given


def test_literals_compared_with_null_give_no_warning_of_python() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compile_expression("1 = null", {})() is False
        assert compile_expression("if 1 != null then 2 else 3", {})() == 2
        assert compile_expression("null = null", {})() is True


def test_a_simple_type_is_one_object_also_when_copied() -> None:
    for kind in (NUMBER, STRING, BOOLEAN, ANY):
        assert copy.deepcopy(kind) is kind
        assert pickle.loads(pickle.dumps(kind)) is kind
    assert copy.deepcopy(TEXTS) == TEXTS
    assert NUMBER != STRING
