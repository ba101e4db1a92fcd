# ruff: noqa: E501  (texts under test stand whole, on one line)
"""What bad input costs: each bomb is refused or null with a cause, in bounded time, by both engines."""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from quanheng.feel import compile_expression, judge, limits
from quanheng.kernel.errors import ConfigurationError, ExpressionError

SECONDS = 20
"""Far above what each takes; a bomb that is not defused takes hours."""
WORK = "the expression visits more than 1000000 items"
LONG = "a text would be longer than 1000000 characters"
TIMES = "needs too many steps for a text of"
DOUBLED = "a0: [1], " + ", ".join(f"a{i}: [a{i - 1}, a{i - 1}]" for i in range(1, 60))
AGAIN = "b0: [1], " + ", ".join(f"b{i}: [b{i - 1}, b{i - 1}]" for i in range(1, 60))
VAST = "a0: {x: 1}, " + ", ".join(f"a{i}: {{x: a{i - 1}, y: a{i - 1}}}" for i in range(1, 60))
"""Its type, written out, has more parts than there are grains of sand."""
LONG_LIST = "l: for i in 1..99999 return true"

BOMBS = [
    (f"{{{DOUBLED}, r: a59.x}}.r", WORK),
    (f"{{{DOUBLED}, r: a40 instance of {'list<' * 41}number{'>' * 41}}}.r", WORK),
    (f"{{{LONG_LIST}, r: for i in 1..99999 return all(l)}}.r", WORK),
    (f"{{{LONG_LIST}, r: for i in 1..99999 return any(l)}}.r", WORK),
    (f"{{{VAST}}}.a59", "the result has more than 1000000 values or 200 levels"),
    (f"{{{VAST}, r: a59 + 1}}.r", "cannot add context {'x': {'x': {'x': {...}, 'y': {...}}, 'y': {'x': {...}, '... and number 1"),
    ("for i in 1..1000000000 return i", WORK),
    ("some i in 1..1000000000 satisfies i = 5", WORK),
    ("for i in [1..1000000000] return i", WORK),
    ("count(for i in 1..10000, j in 1..10000 return i)", WORK),
    ('for d in @"0001-01-01"..@"999999999-01-01" return d', WORK),
    ("for i in 1..5000 return partial", WORK),
    ("(function(f) f(f))(function(f) f(f))", "functions call each other too deeply"),
    ('(function(f) f(f, "ab", 60))(function(f, s, n) if n = 0 then s else f(f, s + s, n - 1))', LONG),
    ('{s: string join(for i in 1..1000 return "0123456789"), r: string join(for i in 1..10000 return s)}.r', LONG),
    ('{s: string join(for i in 1..90000 return "0123456789"), r: for i in 1..9999 return upper case(s)}.r', WORK),
    (f"{{{DOUBLED}}}.a59", "the result has more than 1000000 values or 200 levels"),
    (f"{{{DOUBLED}, r: string(a59)}}.r", LONG),
    (f"{{{DOUBLED}, r: flatten(a59)}}.r", WORK),
    (f"{{{DOUBLED}, {AGAIN}, r: a59 = b59}}.r", WORK),
    (f"{{{DOUBLED}, r: a59 + 1}}.r", "cannot add list [[[[...], [...]], [[...], [...]]], [[[...], [...]], [[...... and number 1"),
    (f"{{{DOUBLED}, {AGAIN}, r: list contains([a59], b59)}}.r", WORK),
    ("(for i in 1..3000 return [partial[-1]])[-1]", "the result has more than 1000000 values or 200 levels"),
    ("count(duplicate values(for i in 1..5000 return [i]))", WORK),
    ("count(for i in 1..3000 return list contains(for j in 1..900 return [j], [i]))", WORK),
    ("9999999 ** 9999999", "the number is too large"),
    ("1e6144 * 10", "the number is too large"),
    ("modulo(1e6000, 3e-6000)", "the number is too large"),
    ('@"P1D" * 1e6000', "the date or duration is out of range"),
    ('@"999999999-12-31" + @"P1D"', "the date or duration is out of range"),
    ('@"P999999999Y" + @"P1M"', "the date or duration is out of range"),
    ('years and months duration(@"-999999999-01-01", @"999999999-01-01")', "the duration is out of range"),
    ('matches("' + "a" * 100_000 + 'b", "(a*)*c")', TIMES),
    ('matches("' + "a" * 5_000 + '", "(.*)(.*)(.*)(.*)\\1x")', TIMES),
    ('matches("a", "((((((((((a{9}){9}){9}){9}){9}){9}){9}){9}){9}){9})")', "needs more than 10000 steps, written out"),
    ('matches("a", "' + "(" * 50 + "a" + ")" * 50 + '")', "nested more than 40 deep"),
    ('matches("a", "a{1001}")', "the counts must rise and be at most 1000"),
    ('matches("a", "' + "a" * 2_001 + '")', "the pattern has more than 2000 characters"),
    ('string length(replace("' + "a" * 9_000 + '", "a", "' + "b" * 1_000 + '"))', LONG),
]  # fmt: skip


@pytest.mark.parametrize(("text", "cause"), BOMBS, ids=[text[:50] for text, _ in BOMBS])
def test_a_bomb_is_null_with_a_cause(text: str, cause: str) -> None:
    start = time.monotonic()
    for outcome in (
        compile_expression(text, {}, strict=False).evaluate({}),
        judge.evaluate(text, {}, {}, strict=False),
    ):
        assert outcome.value is None
        assert any(cause in found.cause for found in outcome.diagnostics), outcome.diagnostics[:3]
    assert time.monotonic() - start < SECONDS


REFUSED = [
    ("(" * 5_000 + "1" + ")" * 5_000, "nested too deeply"),
    ("[" * 100_000, "nested too deeply"),
    ("not(" * 3_000, "nested too deeply"),
    ("-" * 5_000 + "1", "nested too deeply"),
    ("if true then " * 3_000 + "1", "nested too deeply"),
    ("1 instance of " + "list<" * 5_000, "nested too deeply"),
    ("1" + "+1" * 100_000, "the expression is too long"),
    ("1" + "+1" * 5_000, "too many operators in a row"),
    ("null" + ".a" * 3_000, "too many operators in a row"),
    ("[1]" + "[1]" * 3_000, "too many operators in a row"),
    ("/*" * 50_000, "a comment is not closed"),
    ('"' + "a" * 50_000, "a string is not closed"),
    ("1 " * 50_000, "does not parse"),
    ("1e99999999999", "the number is too large"),
    ("1 instance of context<" + ", ".join(f"a{i}: Any" for i in range(5_000)) + ">", "the type is too large"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "what"), REFUSED, ids=[text[:20] for text, _ in REFUSED])
def test_a_text_beyond_the_limits_is_refused(text: str, what: str) -> None:
    start = time.monotonic()
    with pytest.raises(ExpressionError, match=what):
        compile_expression(text, {})
    assert time.monotonic() - start < SECONDS


def deep_in_the_stack(levels: int, act: Callable[[], object]) -> object:
    return act() if levels == 0 else deep_in_the_stack(levels - 1, act)


def with_frames_left(frames: int, act: Callable[[], object]) -> object:
    """Call `act` where the stack of the interpreter has that many frames left."""
    used = len(inspect.stack(0))
    return deep_in_the_stack(sys.getrecursionlimit() - used - frames, act)


def test_a_stack_that_is_nearly_full_is_an_error_that_says_so() -> None:
    text = "(" * 50 + "1" + ")" * 50
    with pytest.raises(ExpressionError, match="nested too deeply for the stack it is compiled on"):
        with_frames_left(90, lambda: compile_expression(text, {}))


def test_long_but_flat_texts_compile() -> None:
    assert compile_expression("count([" + ", ".join("1" for _ in range(20_000)) + "])", {})() == 20_000
    assert compile_expression("true" + " and true" * 2_000, {})() is True
    entries = ", ".join(f"k{i}: {f'k{i - 1} + 1' if i else 0}" for i in range(2_000))
    assert compile_expression(f"{{{entries}}}.k1999", {})() == 1999


@pytest.fixture
def restored() -> Iterator[None]:
    yield
    limits.configure(work=1_000_000)


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(
    ("text", "value"),
    [("(1 > 2) and (for i in 1..1000000000 return i)", False), ("(1 < 2) or (for i in 1..1000000000 return i)", True)],
)
def test_what_need_not_be_read_stops_nothing(text: str, value: bool) -> None:
    found = compile_expression(text, {}, strict=False).evaluate({})
    assert found == judge.evaluate(text, {}, {}, strict=False) == (value, ())


def test_limits_can_be_changed() -> None:
    limits.configure(work=100)
    outcome = compile_expression("for i in 1..101 return i", {}).evaluate({})
    assert outcome.value is None
    assert outcome.diagnostics[0].cause == "the expression visits more than 100 items"


@pytest.mark.usefixtures("restored")
def test_calls_are_work() -> None:
    limits.configure(work=100_000)
    text = "(function(f) f(f, 60))(function(f, n) if n < 2 then n else f(f, n - 1) + f(f, n - 2))"
    for outcome in (compile_expression(text, {}).evaluate({}), judge.evaluate(text, {}, {})):
        assert [found.cause for found in outcome.diagnostics] == ["the expression visits more than 100000 items"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"works": 1}, "limits of FEEL: there is no such limit; was works; allowed: expression_length, nesting"),
        ({"work": 0}, "limits of FEEL, work: a limit is out of range; was 0; allowed: 1 to 1000000000. Choose"),
        ({"nesting": 81}, "limits of FEEL, nesting: a limit is out of range; was 81; allowed: 1 to 80. Choose"),
    ],
)
def test_a_limit_that_is_not_one(change: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        limits.configure(**change)
    assert str(caught.value).startswith(message)


def test_types_that_double_are_found_out_in_time() -> None:
    start = time.monotonic()
    entries = ", ".join(f"a{i}: {{x: a{i - 1}, y: a{i - 1}}}" for i in range(1, 500))
    assert compile_expression(f"{{a0: {{x: 1}}, {entries}}}.a0", {})() == {"x": 1}
    with pytest.raises(ExpressionError, match=r"cannot add context<x, y, \.\.\.> and number"):
        compile_expression(f"{{{VAST.partition(', a11')[0]}, r: a10 + 1}}.r", {})
    assert time.monotonic() - start < SECONDS


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('@"P1D" + 1', 'cannot add days and time duration @"P1D" and number 1'),
        ('[@"2026-01-31", 1.50, true, null] + 1', 'cannot add list [@"2026-01-31", 1.50, true, null] and number 1'),
        ('abs(@"10:00:00Z")', "abs(): 'n' must be years and months duration, was time @\"10:00:00Z\""),
    ],
)
def test_values_in_messages_are_written_as_in_feel(text: str, cause: str) -> None:
    outcome = compile_expression(text, {}, strict=False).evaluate({})
    assert [found.cause for found in outcome.diagnostics] == [cause]
