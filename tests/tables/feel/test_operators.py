"""Every operator over every pair of kinds that matters, against tables written by hand from DMN 1.5, 10.3.2.

Each row is read four ways: by the generated code where the types of `a` and `b` are known (which inlines what types
settle), where they are not (which asks at run time), as a condition, and by the judge.
"""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from quanheng.feel import ANY, BOOLEAN, NUMBER, STRING, FeelType, ListType, compile_expression, judge
from quanheng.feel.types import NULL

KINDS: dict[type, FeelType] = {bool: BOOLEAN, int: NUMBER, D: NUMBER, str: STRING, type(None): NULL}
T, F, N = True, False, None


def kinds_of(value: object) -> list[FeelType]:
    """Static types under which a value may be declared."""
    if value is None:
        return [NUMBER, STRING, BOOLEAN, ListType(NUMBER), ANY]
    if isinstance(value, list):
        return [ListType(ANY), ANY]
    return [KINDS[type(value)], ANY]


def readings(text: str, a: object, b: object) -> list[object]:
    """The value of `text` by all engines under all declarations of `a` and `b`."""
    found: list[object] = []
    given = {"a": a, "b": b}
    for first in kinds_of(a):
        for second in kinds_of(b):
            names = {"a": first, "b": second}
            found.append(compile_expression(text, names, strict=False).evaluate(given).value)
            found.append(judge.evaluate(text, names, given, strict=False).value)
            branch = compile_expression(f"if {text} then 1 else 2", names, strict=False).evaluate(given).value
            assert branch == (1 if found[-1] is True else 2), (text, names)
    return found


def check(text: str, a: object, b: object, expected: object) -> None:
    for found in readings(text, a, b):
        assert (found.__class__, found) == (expected.__class__, expected), (text, a, b)


# -- comparison: a, b, then = != < <= > >=

COMPARISONS = [
    (1, 1, T, F, F, T, F, T),
    (1, 2, F, T, T, T, F, F),
    (2, D("1.5"), F, T, F, F, T, T),
    (1, D("1.0"), T, F, F, T, F, T),
    (0, D("-0"), T, F, F, T, F, T),
    (D("0.1"), D("0.10"), T, F, F, T, F, T),
    (10**33, D("1e33"), T, F, F, T, F, T),
    ("a", "b", F, T, T, T, F, F),
    ("b", "a", F, T, F, F, T, T),
    ("a", "a", T, F, F, T, F, T),
    ("", "a", F, T, T, T, F, F),
    (T, T, T, F, N, N, N, N),
    (T, F, F, T, N, N, N, N),
    # null equals null only, and has no order
    (N, N, T, F, N, N, N, N),
    (N, 1, F, T, N, N, N, N),
    ("a", N, F, T, N, N, N, N),
    (F, N, F, T, N, N, N, N),
    ([], N, F, T, N, N, N, N),
    # different kinds are neither equal nor unequal
    (1, "1", N, N, N, N, N, N),
    (1, T, N, N, N, N, N, N),
    (0, F, N, N, N, N, N, N),
    ("true", T, N, N, N, N, N, N),
    # lists are equal item by item; a list of one stands for its item
    ([1, 2], [1, D("2.0")], T, F, N, N, N, N),
    ([1, 2], [2, 1], F, T, N, N, N, N),
    ([1], 1, T, F, F, T, F, T),
    ([1, 2], 1, N, N, N, N, N, N),
]


@pytest.mark.parametrize("row", COMPARISONS, ids=lambda row: f"{row[0]!r} {row[1]!r}")
def test_comparison(row: tuple[object, ...]) -> None:
    a, b, *expected = row
    for op, wanted in zip(("=", "!=", "<", "<=", ">", ">="), expected, strict=True):
        check(f"a {op} b", a, b, wanted)


def test_a_comparison_and_its_mirror_say_the_same() -> None:
    mirror = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
    for a, b, *expected in COMPARISONS:
        for op, wanted in zip(mirror, expected, strict=True):
            check(f"a {mirror[op]} b", b, a, wanted)


# -- three-valued logic (DMN 1.5, table 50): a, b, and, or

LOGIC = [
    (T, T, T, T),
    (T, F, F, T),
    (T, N, N, T),
    (F, T, F, T),
    (F, F, F, F),
    (F, N, F, N),
    (N, T, N, T),
    (N, F, F, N),
    (N, N, N, N),
    # what is no boolean counts as null
    (T, 1, N, T),
    (F, 1, F, N),
    ("true", F, F, N),
    (1, "x", N, N),
]


@pytest.mark.parametrize("row", LOGIC, ids=repr)
def test_logic(row: tuple[object, ...]) -> None:
    a, b, conjunction, disjunction = row
    check("a and b", a, b, conjunction)
    check("a or b", a, b, disjunction)


@pytest.mark.parametrize(("value", "expected"), [(T, F), (F, T), (N, N), (1, N), ("x", N), ([T], F)], ids=repr)
def test_negation(value: object, expected: object) -> None:
    check("not(a)", value, None, expected)
    if value is None or isinstance(value, bool):
        check("not(not(a))", value, None, value)


# -- arithmetic: a, b, then + - * /

ARITHMETIC = [
    (7, 2, 9, 5, 14, D("3.5")),
    (6, 2, 8, 4, 12, D(3)),
    (1, 3, 4, -2, 3, D("0.3333333333333333333333333333333333")),
    (D("0.1"), D("0.2"), D("0.3"), D("-0.1"), D("0.02"), D("0.5")),
    (D("1.5"), 2, D("3.5"), D("-0.5"), D("3.0"), D("0.75")),
    (5, 0, 5, 5, 0, N),
    (10**34 - 1, 1, D("1E34"), 10**34 - 2, 10**34 - 1, D(10**34 - 1)),
    ("a", "b", "ab", N, N, N),
    (1, "b", N, N, N, N),
    (T, 1, N, N, N, N),
    (N, 1, N, N, N, N),
    (1, N, N, N, N, N),
    (N, N, N, N, N, N),
]


@pytest.mark.parametrize("row", ARITHMETIC, ids=lambda row: f"{row[0]!r} {row[1]!r}")
def test_arithmetic(row: tuple[object, ...]) -> None:
    a, b, *expected = row
    for op, wanted in zip("+-*/", expected, strict=True):
        check(f"a {op} b", a, b, wanted)


# -- membership: the test, a, expected for b = 5

MEMBERSHIP = [
    ("a in (b)", 5, T),
    ("a in (b)", D("5.0"), T),
    ("a in (b)", 4, F),
    ("a in (b)", N, F),
    ("a in (< b)", 4, T),
    ("a in (< b)", 5, F),
    ("a in (< b)", N, N),
    ("a in (>= b, 3)", 3, T),
    ("a in (>= b, 3)", 4, F),
    ("a in [1..b]", 5, T),
    ("a in [1..b)", 5, F),
    ("a in (1..b]", 1, F),
    ("a in ]1..b[", 2, T),
    ("a in [1..b]", N, N),
    ("a in [1, b, 9]", 5, T),
    ("a in [1, b, 9]", 2, F),
    ("a in ([1..2], [b..9])", 7, T),
    ("a in ([1..2], [b..9])", 3, F),
    ("a between 1 and b", 5, T),
    ("a between 1 and b", 6, F),
    ("a between 1 and b", N, N),
    ("a in (null)", N, T),
    ("a in (null)", 5, F),
]


@pytest.mark.parametrize(("text", "value", "expected"), MEMBERSHIP, ids=repr)
def test_membership(text: str, value: object, expected: object) -> None:
    check(text, value, 5, expected)
