"""FEEL over columns of exact numbers gives what FEEL gives row by row, for every row that it does not leave to the
caller; and leaves few where numbers are those of money."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from quanheng.amounts import minor_units
from quanheng.feel.compiler import compile_expression
from quanheng.feel.exact import Column, NumberColumn, TextColumn, Undecidable, compile_exact
from quanheng.feel.types import ANY

NULL = -(2**63)
DECIMALS = {"a": 0, "b": 2, "c": 6}
STATES = {3: "open", 4: "late", 9: ""}
WHOLES = st.one_of(
    st.integers(-1000, 1000),
    st.integers(-(10**9), 10**9),
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.sampled_from([NULL, NULL, 0, 1, -1, 5, 50, 250, 2**62, -(2**62), 2**63 - 1, 10**18]),
)
ROWS = st.lists(st.tuples(WHOLES, WHOLES, WHOLES, st.sampled_from([*STATES])), min_size=1, max_size=12)
NUMBER = st.sampled_from([
    "instance.a", "instance.b", "instance.c", "due_ms", "0", "1", "-1", "0.05", "365", "3", "100", "0.125", "7", "1e3",
    "null", "12345678901234567890", "instance.nothing",
])  # fmt: skip
TEXT = st.sampled_from([
    'instance.state = "open"', 'instance.state in ("late", "open")', 'instance.state != "late"',
    "instance.state = null", 'upper case(instance.state) = "OPEN"', "string length(instance.state) > 4",
])  # fmt: skip


def grown(children: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[tuple[str, str]]:
    numbers = st.one_of(children.filter(lambda one: one[1] == "n"), NUMBER.map(lambda one: (one, "n")))
    truths = st.one_of(children.filter(lambda one: one[1] == "t"), TEXT.map(lambda one: (one, "t")))
    places = st.sampled_from(["0", "1", "2", "5"])
    n, t = numbers.map(lambda one: one[0]), truths.map(lambda one: one[0])
    return st.one_of(
        st.builds(lambda one, op, other: (f"({one} {op} {other})", "n"), n, st.sampled_from("+-*/"), n),
        st.builds(lambda one: (f"-({one})", "n"), n),
        st.builds(lambda one: (f"abs({one})", "n"), n),
        st.builds(lambda name, one, p: (f"{name}({one}, {p})", "n"), st.sampled_from(
            ["decimal", "floor", "ceiling", "round up", "round down", "round half up", "round half down"]), n, places),
        st.builds(lambda name, one: (f"{name}({one})", "n"), st.sampled_from(["floor", "ceiling"]), n),
        st.builds(lambda name, one, other: (f"{name}({one}, {other})", "n"), st.sampled_from(["min", "max"]), n, n),
        st.builds(lambda c, one, other: (f"(if {c} then {one} else {other})", "n"), t, n, n),
        st.builds(lambda c, one, other: (f"(if {c} then {one} else {other})", "t"), t, t, t),
        st.builds(lambda one, op, other: (f"({one} {op} {other})", "t"), n, st.sampled_from(
            ["<", "<=", ">", ">=", "=", "!="]), n),
        st.builds(lambda one, low, high: (f"({one} between {low} and {high})", "t"), n, n, n),
        st.builds(lambda one, test: (f"({one} in {test})", "t"), n, st.sampled_from(
            ["[1..3]", "]0..100[", "(1, 2, 50)", "(< 5)", "[0..0.5]"])),
        st.builds(lambda one, op, other: (f"({one} {op} {other})", "t"), t, st.sampled_from(["and", "or"]), t),
        st.builds(lambda one: (f"not({one})", "t"), t),
    )  # fmt: skip


EXPRESSIONS = st.recursive(
    st.one_of(NUMBER.map(lambda one: (one, "n")), TEXT.map(lambda one: (one, "t"))), grown, max_leaves=8
)


class World:
    """Rows as columns, and as contexts."""

    def __init__(self, rows: list[tuple[int, int, int, int]], due_ms: int = 1_768_471_200_000) -> None:
        self.rows, self.due_ms = rows, due_ms
        self._columns = {
            f".{name}": np.array([row[place] for row in rows], np.int64) for place, name in enumerate(DECIMALS)
        }
        self._codes = np.array([row[3] for row in rows], np.int64)

    def __call__(self, name: str) -> Column | None:
        if name == "due_ms":
            return NumberColumn(np.int64(self.due_ms))
        if name == ".state":
            return TextColumn(self._codes, STATES)
        found = self._columns.get(name)
        return None if found is None else NumberColumn(found, DECIMALS[name[1:]])

    def context(self, row: int) -> dict[str, object]:
        a, b, c, state = self.rows[row]
        made = {
            name: None if value == NULL else value if not places else Decimal(value).scaleb(-places)
            for (name, places), value in zip(DECIMALS.items(), (a, b, c), strict=True)
        }
        return {**made, "state": STATES[state]}


def scaled(value: object, decimals: int) -> int | None:
    found = minor_units(value, decimals, "half_even")
    return found if isinstance(found, int) else None


@settings(max_examples=500, deadline=None)
@given(EXPRESSIONS, ROWS, st.sampled_from([0, 2, 4]))
@example(("instance.b * 0.05 / 365", "n"), [(0, 1_234_567, 0, 3)], 2)
@example(("instance.a / 3 * 3", "n"), [(1, 0, 0, 3), (5, 0, 0, 3), (2, 0, 0, 3)], 0)
@example(("floor(instance.a / 3 * 3)", "n"), [(1, 0, 0, 3), (5, 0, 0, 3)], 0)
@example(("(instance.a / 7 * 7 = instance.a)", "t"), [(1, 0, 0, 3), (3, 0, 0, 3), (7, 0, 0, 3)], 0)
@example(("instance.a + instance.a", "n"), [(2**62, 0, 0, 3), (-(2**62), 0, 0, 3)], 0)
def test_columns_give_what_rows_give(expression, rows, decimals):
    text, kind = expression
    world = World(rows)
    alone = compile_expression(text, {"instance": ANY, "due_ms": ANY}, "x", strict=False)
    exact = compile_exact(text, "instance", ["due_ms"], "x")
    values = [alone(world.context(row), world.due_ms) for row in range(len(rows))]
    try:
        if kind == "t":
            true, unsure = exact.truths(world, len(rows))
            found = [(bool(one), value is True) for one, value in zip(true, values, strict=True)]
        else:
            whole, null, unsure = exact.scaled(world, len(rows), decimals)
            given = [None if gone else int(one) for one, gone in zip(whole, null, strict=True)]
            found = [(one, scaled(value, decimals)) for one, value in zip(given, values, strict=True)]
    except Undecidable:
        return
    assert [pair for pair, left in zip(found, unsure, strict=True) if not left and pair[0] != pair[1]] == []


def test_money_is_left_to_rows_almost_never():
    rng = np.random.default_rng(5)
    rows = [(int(a), int(b), int(c), 3) for a, b, c in rng.integers(1, [10**9, 10**11, 10**12], (4_000, 3))]
    world = World(rows)
    for text in (
        "instance.b * 0.05 / 365", "(if instance.a = null then 0 else instance.a) + instance.b * 4.35 / 100 / 360",
        "decimal(instance.b / 30, 2) - 1", "floor((due_ms - instance.a) / 86400000)", "min(instance.b / 7, instance.a)",
    ):  # fmt: skip
        _, _, unsure = compile_exact(text, "instance", ["due_ms"], text).scaled(world, len(rows), 2)
        assert unsure.sum() < 20, text


def test_what_columns_cannot_say_is_left_to_the_caller():
    world = World([(1, 2, 3, 3)])
    for text in (
        "instance.a ** 2", "instance.a / instance.b", "sqrt(instance.a)", "instance.state", "sum([instance.a])",
        "instance.a + \"x\"", "decimal(instance.b, instance.a)", "[instance.a]", "abs(n: instance.a)", "instance",
        "if instance.a > 0 then 1 else instance.a > 1", "instance.a in (!= 4)",
    ):  # fmt: skip
        exact = compile_exact(text, "instance", ["due_ms"], text)
        try:
            exact.scaled(world, 1, 0)
        except Undecidable:
            continue
        raise AssertionError(text)
