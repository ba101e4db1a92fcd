"""Each refusal of a FEEL text: its place, what was found, what is allowed, the cure."""

from __future__ import annotations

import ast
import re

import pytest

from quanheng.feel import NUMBER, STRING, compile_columns, compile_expression
from quanheng.feel.limits import LIMITS
from quanheng.kernel.errors import ExpressionError

NAMES = {"amount": NUMBER, "country": STRING}

# text -> start of the message
REFUSED = [
    ("amount +", "line 1, column 9: the expression does not parse; was the end of the text; allowed: a value"),
    ("amount\n  + * 2", "line 2, column 5: the expression does not parse; was '*'"),
    ('"open', 'line 1, column 1: a string is not closed; was "open; allowed: a closing ". Add a'),
    ("1 /* open", "line 1, column 3: a comment is not closed; was /* open; allowed: a closing */"),
    ("amount # 2", "line 1, column 8: a character that FEEL does not know; was '#'"),
    ("amuont + 1", "line 1, column 1: the name 'amuont' is not known here; allowed: amount, country. Declare it"),
    ("amount + country", "line 1, column 8: cannot add number and string. Correct the expression"),
    ("amount < country", "line 1, column 8: cannot compare number with string"),
    ("amount = country", "line 1, column 8: number is never equal to string"),
    ("true < false", "line 1, column 6: boolean has no order"),
    ("-country", "line 1, column 1: cannot negate string"),
    ("amount and true", "line 1, column 1: a condition must be boolean, number is not"),
    ("if amount then 1 else 2", "line 1, column 4: a condition must be boolean, number is not"),
    ("if true then 1", "line 1, column 15: the expression does not parse; was the end of the text; allowed: 'else'"),
    ("abs(country)", "line 1, column 4: abs() takes number for 'n', not string; allowed: abs(n: number): number"),
    ("abs()", "line 1, column 4: abs() has no form with 0 arguments"),
    ("substring(text: country, start position: 1)", "line 1, column 10: substring() has no form with the parameters"),
    (
        "substring(country, start position: 1)",
        "line 1, column 36: the expression does not parse; was '1'; allowed: either",
    ),
    ("amount(1)", "line 1, column 7: number is not a function"),
    ("(function(a) a)(1, 2)", "line 1, column 16: the function takes 1 arguments, 2 were given"),
    ("amount.x", "line 1, column 7: number has no properties"),
    ("{a: 1}.b", "line 1, column 7: the context has no entry 'b'; known: a"),
    ("[1..2].x", "line 1, column 7: a range has no property 'x'; known: start"),
    ("{a: 1, a: 2}", "line 1, column 8: an entry of a context is given twice; was 'a'"),
    ("{: 1}", "line 1, column 2: the expression does not parse; was ':'; allowed: the name of an entry"),
    (
        "[1, 2",
        "line 1, column 6: the expression does not parse; was the end of the text; allowed: ']' to close the list",
    ),
    ('[1]["a"]', "line 1, column 4: a filter must be a condition or a position, string is neither"),
    ("[1..2", "line 1, column 6: the expression does not parse; was the end of the text; allowed: ']', ')' or '['"),
    ("amount between 1", "line 1, column 17: the expression does not parse; was the end of the text; allowed: 'and'"),
    ('amount in ["a".."b"]', "line 1, column 11: cannot compare number with string"),
    ("for in [1] return 1", "line 1, column 5: the expression does not parse; was 'in'; allowed: a new name"),
    ("1 instance of money", "line 1, column 15: a type is not known; was 'money'; allowed: Any, Null, number"),
    ("function(a) external {java: 1}", "line 1, column 13: external functions are not run; was 'external'"),
    ("amount in (!= 3) + 1", "line 1, column 18: cannot add range<number> and number"),
    ("1e7000", "line 1, column 1: the number is too large; was 1e7000; allowed: numbers below 1e6145"),
    ("sum(1,)", "line 1, column 7: the expression does not parse; was ')'"),
    ('@"2026-02-30"', "line 1, column 1: @'2026-02-30' is no date, time or duration; allowed: @\"2026-01-31\""),
    ("@1", "line 1, column 2: the expression does not parse; was '1'; allowed: a string after '@'"),
    ("1 2", "line 1, column 3: the expression does not parse; was '2'; allowed: an operator or the end"),
    ("(" * 70 + "1" + ")" * 70, "line 1, column 61: the expression is nested too deeply; was more than 60 levels"),
    ("1" + "+1" * 200, "line 1, column 322: the expression has too many operators in a row; was more than 160"),
    (
        "1" * (LIMITS.expression_length + 1),
        f"line 1, column 1: the expression is too long; was {LIMITS.expression_length + 1} characters",
    ),
    ("f.", "line 1, column 1: the name 'f' is not known here"),
    (
        "{a: 1}.",
        "line 1, column 8: the expression does not parse; was the end of the text; allowed: the name of an entry",
    ),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[text[:30] for text, _ in REFUSED])
def test_refusal_names_place_and_cure(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, NAMES, "formula")
    assert str(caught.value).startswith(f"formula, {message}")
    assert caught.value.cure


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"a"', 'f, line 1, column 1: a float formula cannot use a string; was "a"; allowed: numbers, names'),
        ("count([a])", "f, line 1, column 6: a float formula cannot use count()"),
        ("abs(n: a)", "f, line 1, column 4: a float formula cannot use named arguments"),
        ("[a][1]", "f, line 1, column 4: a float formula cannot use this; was [1]"),
        ("if is(a, 1) then 1 else 2", "f, line 1, column 6: a float formula cannot use this as a condition"),
        ("min()", "f, line 1, column 4: min() has no form with 0 arguments"),
        ("sum([])", "f, line 1, column 4: a float formula cannot use sum() with 0 values"),
    ],
)
def test_a_column_formula_refuses_what_columns_do_not_offer(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_columns(text, ["a"], "f")
    assert str(caught.value).startswith(message)


# text -> cause of the null
DIAGNOSED = [
    ("1 / (amount - amount)", "division by zero"),
    ("modulo(1, amount - amount)", "division by zero"),
    ("10 ** 6145", "the number is too large"),
    ("log(0 - amount)", "the logarithm of a number that is not positive"),
    ("sqrt(0 - amount)", "the operation is not defined for these numbers"),
    ("number(country)", "number(): 'NL' is not a number"),
    ("[1, 2][amount]", "the list has 2 items, position 5 is not one of them"),
    ("[1, 2][1.5]", "a position must be an integer, was 1.5"),
    ("substring(country, 9)", "substring(): the text has 2 characters, position 9 is not one of them"),
    ("substring(country, 1, 0)", "substring(): length must be positive, was 0"),
    ("get value({a: 1}, country)", "the context has no entry 'NL'"),
    ("min([amount, country])", "min() cannot compare string with number"),
    ("sum([amount, country])", "sum() takes numbers, one was string"),
    ('sort([1, "a"])', "sort() cannot compare string with number"),
    ("sublist([1, 2], 2, 5)", "sublist(): the list has 2 items, 5 from position 2 go beyond it"),
    ("remove([1], 2)", "remove(): the list has 1 items, position 2 is not one of them"),
    ("decimal(1.234, 7000)", "scale must be from -6111 to 6176, was 7000"),
    ("for i in 1..country return i", "a loop must run from integer to integer, was 1 to 'NL'"),
    ("for i in 1..10000000 return i", "the expression visits more than 1000000 items"),
    ("[for i in 1..2000, j in 1..2000 return i]", "the expression visits more than 1000000 items"),
    ('date("2026-02-30")', "'2026-02-30' is no date"),
    ("now()", "now() and today() need the time passed with the evaluation (now_ms)"),
    ('range("[3..1]")', "'[3..1]' is no range"),
    ("meets(1, [1..2])", "meets() takes ranges, was number and range"),
    ("context([{key: 1, value: 2}])", "each entry of context() needs its own text 'key' and a 'value'"),
    ("context put({a: 1}, [], 2)", "the keys of context put() must be a list of texts that is not empty"),
    ('context put({a: 1}, ["a", "b"], 2)', "the entry 'a' is not a context"),
    ("[amount..null]", "an end of the range is null"),
]


@pytest.mark.parametrize(("text", "cause"), DIAGNOSED, ids=[text[:40] for text, _ in DIAGNOSED])
def test_a_run_time_error_is_null_with_its_cause(text: str, cause: str) -> None:
    outcome = compile_expression(text, NAMES, "formula", strict=False).evaluate({"amount": 5, "country": "NL"})
    assert outcome.value is None
    assert outcome.diagnostics[0].cause == cause


def test_a_diagnostic_names_expression_line_and_column() -> None:
    outcome = compile_expression("1 +\n  2 / (amount - amount)", NAMES, "ratio").evaluate({"amount": 5})
    assert str(outcome.diagnostics[0]) == "ratio, line 2, column 5: division by zero"
    assert outcome.diagnostics[0].place.text == "/ (amount - amount)"


def test_functions_that_call_each_other_for_ever_end_in_null() -> None:
    outcome = compile_expression("(function(f) f(f))(function(f) f(f))", {}).evaluate({})
    assert outcome.value is None
    assert outcome.diagnostics[0].cause == "functions call each other too deeply"


def test_a_text_that_grows_without_end_is_cut_short() -> None:
    text = "for i in 1..60 return if i = 1 then country else partial[-1] + partial[-1]"
    outcome = compile_expression(text, NAMES).evaluate({"country": "N" * 1000})
    assert outcome.diagnostics[0].cause == "a text would be longer than 1000000 characters"


@pytest.mark.parametrize("value", [1.5, float("nan"), True, "5", [1, 2], {"a": 1}, object()])
def test_an_input_of_another_kind_is_null_and_says_so(value: object) -> None:
    outcome = compile_expression("amount", NAMES).evaluate({"amount": value})
    assert outcome.value is None
    assert outcome.diagnostics[0].cause.startswith("amount must be number, was ")


def test_user_text_never_becomes_code() -> None:
    names = {"__import__('os').system('x')": NUMBER, "lambda": NUMBER, "v0": NUMBER}
    expression = compile_expression('"\'); import os" + string(lambda + v0)', names)
    names_in_code = {node.id for node in ast.walk(ast.parse(expression.source)) if isinstance(node, ast.Name)}
    assert {name for name in names_in_code if not re.fullmatch(r"[kv]\d+", name)} == {
        "add",
        "Decimal",
        "admit",
        "run",
        "int",
    }
    assert expression(1, 2, 3) == "'); import os5"
