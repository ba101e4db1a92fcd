"""Formulas over columns: null is NaN, nothing warns, a row's bits do not depend on how many rows there are."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from quanheng.feel import NUMBER, compile_columns, compile_expression

NAN = math.nan

# text, a, b -> result
CASES = [
    ("a + b", 1.5, 2.0, 3.5),
    ("a / b", 1.0, 0.0, NAN),
    ("a / b", 1.0, NAN, NAN),
    ("0 / 0", 1.0, 1.0, NAN),
    ("a ** 0.5", 9.0, 0.0, 3.0),
    ("a ** 0.5", -9.0, 0.0, NAN),
    ("-a", 2.0, 0.0, -2.0),
    ("a * 1e308 * 10", 1.0, 0.0, NAN),
    ("if a > b then 1 else 2", 3.0, 2.0, 1.0),
    ("if a > b then 1 else 2", NAN, 2.0, 2.0),
    ("if not(a > b) then 1 else 2", NAN, 2.0, 2.0),
    ("if a = null then 0 else a", NAN, 2.0, 0.0),
    ("if a != null and b > 0 then a / b else null", 4.0, 2.0, 2.0),
    ("if a between 1 and 3 or b < 0 then 1 else 0", 3.0, 2.0, 1.0),
    ("if a != b then 1 else 0", NAN, 2.0, 0.0),
    ("a > b", 3.0, 2.0, 1.0),
    ("a > b", 1.0, 2.0, 0.0),
    ("a > b", NAN, 2.0, NAN),
    ("min(a, b)", 3.0, 2.0, 2.0),
    ("max([a, b, 7])", 3.0, 2.0, 7.0),
    ("min(a, b)", NAN, 2.0, NAN),
    ("abs(a) + floor(b) + ceiling(b)", -3.0, 2.5, 8.0),
    ("sqrt(a)", 16.0, 0.0, 4.0),
    ("sqrt(a)", -1.0, 0.0, NAN),
    ("log(a)", 0.0, 0.0, NAN),
    ("log(exp(a))", 2.0, 0.0, 2.0),
    ("exp(a)", 1000.0, 0.0, NAN),
    ("modulo(a, b)", -7.0, 3.0, 2.0),
    ("modulo(a, b)", 7.0, 0.0, NAN),
    ("decimal(a, 2)", 1.005, 0.0, 1.0),
    ("mean(a, b)", 1.0, 2.0, 1.5),
    ("sum(a, b, 1)", 1.0, 2.0, 4.0),
    ("null", 1.0, 1.0, NAN),
    ("true", 1.0, 1.0, 1.0),
]


@pytest.mark.parametrize(("text", "a", "b", "expected"), CASES)
def test_a_row(text: str, a: float, b: float, expected: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compile_columns(text, ["a", "b"])({"a": np.array([a]), "b": np.array([b])})
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [expected])


FORMULAS = [*sorted({text for text, *_ in CASES}), "exp(a / 1000) ** log(abs(b) + 1) / sqrt(abs(a) + 0.1)"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_row_has_the_same_bits_alone_and_among_a_thousand(text: str) -> None:
    rng = np.random.default_rng(7)
    columns = {name: np.where(rng.random(1003) < 0.1, NAN, rng.normal(0, 100, 1003)) for name in "ab"}
    formula = compile_columns(text, ["a", "b"])
    whole = formula(columns)
    alone = np.concatenate(
        [formula({name: column[i : i + 1] for name, column in columns.items()}) for i in range(1003)]
    )
    strided = formula({name: np.repeat(column, 2)[::2] for name, column in columns.items()})
    assert whole.tobytes() == alone.tobytes() == strided.tobytes()


@pytest.mark.parametrize(
    "text", ["a + b * 2", "if a > b then a - b else b / 4", "min(a, b) - max(a, 0)", "a between b and 10"]
)
def test_columns_agree_with_decimal_feel_where_floats_are_exact(text: str) -> None:
    rng = np.random.default_rng(3)
    a, b = (rng.integers(-50, 50, 200).astype(float) for _ in range(2))
    expression = compile_expression(text, {"a": NUMBER, "b": NUMBER})
    exact = [float(expression(int(x), int(y))) for x, y in zip(a, b, strict=True)]  # type: ignore[arg-type]
    np.testing.assert_array_equal(compile_columns(text, ["a", "b"])({"a": a, "b": b}), exact)


def test_names_with_spaces_and_unread_columns() -> None:
    formula = compile_columns("monthly income / 12", ["unread", "monthly income"])
    np.testing.assert_array_equal(formula({"monthly income": np.array([24.0, 12.0])}), [2.0, 1.0])


def test_a_constant_is_as_long_as_the_columns() -> None:
    assert compile_columns("1 + 1", ["a"])({"a": np.zeros(3)}).tolist() == [2.0, 2.0, 2.0]


def test_an_input_column_is_never_changed() -> None:
    column = np.array([1.0, np.inf])
    found = compile_columns("a", ["a"])({"a": column})
    found[0] = 9.0
    assert column.tolist() == [1.0, np.inf]
    assert math.isnan(found[1])
