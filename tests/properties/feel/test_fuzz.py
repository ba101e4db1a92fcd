# ruff: noqa: E501  (texts under test stand whole, on one line)
"""Whatever the text: it is refused with an ExpressionError, or both engines give one value. Nothing else ever happens."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quanheng.feel import ANY, NUMBER, STRING, ListType, compile_expression, judge
from quanheng.feel.compiler import Outcome
from quanheng.feel.functions import SIGNATURES
from quanheng.feel.patterns import PatternError, TooCostly, compile_pattern
from quanheng.kernel.errors import ExpressionError

NAMES = {"a": NUMBER, "net income": NUMBER, "s": STRING, "xs": ListType(NUMBER), "u": ANY}
VALUES = {"a": 3, "net income": None, "s": "ab", "xs": [1, 2, None], "u": {"x": [1, {"x": "b"}], "first name": "c"}}
STANDARD = Path(__file__).parents[2] / "tables" / "feel" / "standard"
ROWS = [
    line.rpartition(" → ")[0]
    for file in sorted(STANDARD.glob("*.feel"))
    for line in file.read_text(encoding="utf-8").splitlines()
    if " → " in line
]
WORDS = [
    *["if", "then", "else", "for", "in", "return", "some", "every", "satisfies", "between", "and", "or", "not", "instance", "of", "function", "external", "true"],
    *["false", "null", "(", ")", "[", "]", "{", "}", ",", ":", ".", "..", "+", "-", "*", "/", "**", "=", "!=", "<", "<=", ">", ">=", "@", "?", ";", "'", "->", "(", ")", "[", "]"],
    *["a", "s", "xs", "u", "x", "item", "partial", "number", "string", "list<number>", "context<x:", "number>", "range<date>", "0", "1", "2", "-1", "0.5", "1e3", "1e6144"],
    "net income", "first name", '"a"', '"[a-z]+"', '"2026-01-31"', '"P1D"', '@"2026-01-31"', '@"P1M"', '@"10:00:00Z"',
    "[1..3]", "(1..3]", "(< 5)", "(!= 2)", "{x: 1}", "function(x) x", "/*", "*/", "//", "\\", "\x00", "🐎", "\n",
    *(f"{name}(" for name in sorted(SIGNATURES)),
]  # fmt: skip
TOKEN = re.compile(r'"[^"]*"|\w+|\s+|.', re.DOTALL)


def soup(rng: random.Random) -> str:
    """Words of the language in any order."""
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 14)))


def mutated(rng: random.Random) -> str:
    """A row of the standard with some of its tokens lost, doubled, swapped or replaced."""
    tokens = TOKEN.findall(rng.choice(ROWS))
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(tokens)) if tokens else 0
        choice = rng.randrange(4)
        if choice == 0 and tokens:
            del tokens[at]
        elif choice == 1:
            tokens.insert(at, rng.choice(WORDS))
        elif choice == 2:
            tokens[at:at] = tokens[at : at + rng.randint(1, 6)]
        elif tokens:
            tokens[at] = rng.choice(TOKEN.findall(rng.choice(ROWS)) or [""])
    return "".join(tokens)


FORMS = [
    "(R) + (R)", "(R) - (R)", "(R) * (R)", "(R) / (R)", "(R) ** (R)", "(R) = (R)", "(R) != (R)", "(R) < (R)",
    "(R) >= (R)", "(R) and (R)", "(R) or (R)", "not(R)", "-(R)", "(R) in (R)", "(R) in (R, R)", "(R) in [R..R]",
    "(R) between (R) and (R)", "if (R) then (R) else (R)", "[R, R][R]", "(R)[R]", "(R)[item = (R)]", "(R).x", "{x: R, y: x}",
    "for i in (R) return [i, R]", "for i in (R)..(R) return i", "for i in [R, R] return [partial, i]", "(R) instance of list<number>",
    "some i in (R) satisfies i = (R)", "every i in [R, R] satisfies (R)", "(function(x) [x, R])(R)", "string(R)",
    "is(R, R)", "sort([R, R, R])", "F(R)", "F(R, R)", "F(R, R, R)", "F(R)", "F(R, R)",
]  # fmt: skip


def combined(rng: random.Random) -> str:
    """Rows of the standard put together."""
    text = rng.choice(FORMS)
    text = re.sub(r"\bF\b", lambda _: rng.choice(sorted(SIGNATURES)), text)
    text = re.sub(r"\bR\b", lambda _: rng.choice(ROWS), text)
    return (
        rng.choice(FORMS).replace("R", text, 1).replace("R", "1").replace("F", "count") if rng.random() < 0.3 else text
    )


def noise(rng: random.Random) -> str:
    """Characters of any kind."""
    return "".join(chr(rng.choice((rng.randrange(128), rng.randrange(0x2FFF)))) for _ in range(rng.randint(0, 20)))


def stopped(result: Outcome) -> bool:
    """A limit of work ended it: what one engine need not read cannot stop it, so the other may go on."""
    return result.value is None and any(" more than " in one.cause for one in result.diagnostics)


def check(text: str) -> None:
    """One input by both engines, strict and not."""
    try:
        compiled = compile_expression(text, NAMES, strict=False)
    except ExpressionError:
        with pytest.raises(ExpressionError):
            judge.evaluate(text, NAMES, VALUES, strict=False)
        return
    found = compiled.evaluate(VALUES)
    judged = judge.evaluate(text, NAMES, VALUES, strict=False)
    assert repr(found.value) == repr(judged.value) or stopped(found) or stopped(judged), text
    try:
        strict = compile_expression(text, NAMES)
    except ExpressionError:
        return
    assert repr(strict.evaluate(VALUES).value) == repr(found.value), text


def inputs(seed: int, count: int) -> None:
    rng = random.Random(seed)
    for _ in range(count):
        text = rng.choice((soup, mutated, combined, combined, combined, noise))(rng)
        try:
            check(text)
        except Exception as error:
            raise AssertionError(f"{text!r}: {type(error).__name__}: {error}") from error


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**63))
def test_any_text_is_refused_or_has_one_value(seed: int) -> None:
    inputs(seed, 20)


@pytest.mark.long
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**63))
def test_a_million_texts(seed: int) -> None:
    inputs(seed, 100)


# -- regular expressions

PARTS = ["a", "b", ".", "[ab]", "[^a]", "\\d", "\\w", "^", "$", "(a)", "(a|b)", "(", ")", "|", "*", "+", "?", "{1,2}",
         "*?", "\\1", "[a-", "]", "\\p{L}", "(a*)*", "x", " "]  # fmt: skip


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.sampled_from(PARTS), max_size=8),
    st.text("abx\n A1", max_size=9),
    st.sampled_from(["", "i", "m", "s", "x", "smix"]),
)
def test_patterns_are_refused_or_the_short_cut_gives_what_the_machine_gives(
    parts: list[str], text: str, flags: str
) -> None:
    try:
        pattern = compile_pattern("".join(parts), flags)
    except PatternError:
        return
    found, _ = pattern.find(text)
    assert found == pattern.slow(text, 0)[0]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(PARTS), max_size=8), st.integers(1, 2000))
def test_no_pattern_takes_more_steps_than_its_size_times_the_text(parts: list[str], length: int) -> None:
    try:
        pattern = compile_pattern("".join(parts))
    except PatternError:
        return
    text = "a" * length + "!"
    try:
        _, steps = pattern.slow(text, 0)
    except TooCostly:
        return
    assert pattern.back or steps <= 4 * len(pattern.code) * (length + 2)
