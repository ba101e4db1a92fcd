"""Cells of decision tables: which inputs each unary test matches, by both engines, with and without a declared type."""

from __future__ import annotations

from decimal import Decimal

import pytest
from test_model_parts import both, data, decision, model_of, rule, table

from quanheng.decisions.dmn.allowed import unwrapped
from quanheng.decisions.dmn.index import index_of
from quanheng.feel import compile_expression, limits

# type, cell, inputs that match, inputs that do not
CELLS = [
    ("number", "-", ["1", "null"], []),
    ("number", "", ["1", "null"], []),
    ("number", "5", ["5", "5.0"], ["6", "null"]),
    ("number", "= 5", ["5"], ["6", "null"]),
    ("number", "!= 5", ["6", "null"], ["5"]),
    ("number", "< 5", ["4"], ["5", "null"]),
    ("number", "<= 5, > 10", ["5", "11"], ["6", "10", "null"]),
    ("number", "-5", ["-5"], ["5"]),
    ("number", "1, 2, 3", ["1", "3"], ["4", "null"]),
    ("number", "[1..5]", ["1", "5"], ["0", "6", "null"]),
    ("number", "(1..5)", ["2"], ["1", "5"]),
    ("number", "]1..5[", ["2"], ["1", "5"]),
    ("number", "[1..5[, 7", ["1", "7"], ["5"]),
    ("number", "not(5)", ["6", "null"], ["5"]),
    ("number", "not(1, 2)", ["3"], ["1", "2"]),
    ("number", "not(< 5, > 10)", ["5", "10"], ["4", "11", "null"]),
    ("number", "not([1..5])", ["6"], ["1", "null"]),
    ("number", "not(null)", ["1"], ["null"]),
    ("number", "null", ["null"], ["1"]),
    ("number", "null, 1", ["null", "1"], ["2"]),
    ("number", "? > 3", ["4"], ["3", "null"]),
    ("number", "? > 3 and ? < 6", ["4"], ["7"]),
    ("number", "? = 1 or ? = 2", ["2"], ["3"]),
    ("number", "? in [1..3]", ["2"], ["4"]),
    ("number", "? between 1 and 3", ["2"], ["4"]),
    ("number", "not(? > 3)", ["3"], ["4", "null"]),
    ("number", "not(]1..5[)", ["1", "5"], ["2", "null"]),
    ("number", "not([1..5[, 7)", ["5", "8"], ["1", "7", "null"]),
    ("number", "1 < 2", ["1", "null"], []),
    ("number", "1 > 2, 5", ["5"], ["1"]),
    ("number", "not(1 > 2)", ["1", "null"], []),
    ("number", "odd(3)", ["1"], []),
    ("string", "1 + 1 = 2", ['"a"'], []),
    ("boolean", "1 < 2", ["true"], ["false"]),
    ("boolean", "1 > 2", ["false"], ["true"]),
    ("number", "odd(?)", ["3"], ["4"]),
    ("number", "odd(?), 4", ["3", "4"], ["6"]),
    ("number", "1 + 1", ["2"], ["1"]),
    ("number", "< 2 + 3", ["4"], ["5"]),
    ("number", "[1 + 1..2 * 3]", ["2", "6"], ["1", "7"]),
    ("number", "[1, 2, 3]", ["2"], ["4"]),
    ("number", "[[1..3], 7]", ["2", "7"], ["4"]),
    ("number", "(< 5)", ["4"], ["5"]),
    ("number", "(!= 5)", ["4"], ["5"]),
    ("number", "if ? > 3 then true else false", ["4"], ["3"]),
    ("number", "some x in [1, 2] satisfies x = ?", ["2"], ["3"]),
    ("number", '"a"', [], ["1", "null"]),
    ("number", "1 / 0", [], ["1"]),
    ("string", '"a"', ['"a"'], ['"b"', "null"]),
    ("string", '"a", "b"', ['"a"', '"b"'], ['"c"']),
    ("string", 'not("a", "b")', ['"c"', "null"], ['"a"']),
    ("string", '"a,b"', ['"a,b"'], ['"a"']),
    ("string", '"not"', ['"not"'], ['"a"']),
    ("string", '< "b"', ['"a"'], ['"b"']),
    ("string", '["a".."c"]', ['"b"'], ['"d"']),
    ("string", 'starts with(?, "a")', ['"ab"'], ['"b"', "null"]),
    ("string", 'contains(?, "x"), "a"', ['"axb"', '"a"'], ['"b"']),
    ("string", "string length(?) > 2", ['"abc"'], ['"a"']),
    ("string", 'matches(?, "[a-c]+")', ['"xa"'], ['"x"']),
    ("boolean", "true", ["true"], ["false", "null"]),
    ("boolean", "false", ["false"], ["true", "null"]),
    ("boolean", "not(true)", ["false", "null"], ["true"]),
    ("boolean", "?", ["true"], ["false", "null"]),
    ("boolean", "true, false", ["true", "false"], ["null"]),
    ("date", '@"2026-01-31"', ['@"2026-01-31"'], ['@"2026-02-01"', "null"]),
    ("date", 'date("2026-01-31")', ['@"2026-01-31"'], ['@"2026-02-01"']),
    ("date", '< date("2026-01-31")', ['@"2026-01-30"'], ['@"2026-01-31"']),
    ("date", '[date("2026-01-01")..date("2026-01-31")]', ['@"2026-01-15"'], ['@"2026-02-01"']),
    ("date", "?.year = 2026", ['@"2026-01-31"'], ['@"2025-01-31"']),
    ("time", '>= time("10:00:00")', ['@"10:00:00"'], ['@"09:00:00"']),
    ("days and time duration", '> duration("P1D")', ['@"P2D"'], ['@"P1D"']),
    ("years and months duration", '[@"P1Y"..@"P2Y"]', ['@"P18M"'], ['@"P3Y"']),
    ("Any", "[1, 2]", ["[1, 2]", "1"], ["3"]),
    ("Any", "count(?) > 1", ["[1, 2]"], ["[1]"]),
    ("Any", "list contains(?, 1)", ["[1, 2]"], ["[2]"]),
    ("Any", "some x in ? satisfies x > 1", ["[1, 2]"], ["[1]"]),
    ("Any", "1 < 2", ["1", "true", "[1]"], ["false"]),
    ("Any", "?.x = 1", ["{x: 1}"], ["{x: 2}", "{y: 1}"]),
    ("Any", "{x: 1}", ["{x: 1}"], ["{x: 2}"]),
]


@pytest.mark.parametrize("cell", CELLS, ids=[f"{one[0]}: {one[1]}" for one in CELLS])
@pytest.mark.parametrize("typed", [True, False])
def test_cell(cell: tuple[str, str, list[str], list[str]], typed: bool) -> None:
    kind, text, hits, misses = cell
    shown = text.replace("<", "&lt;")
    model = model_of(data("n", kind if typed else "Any") + decision("d", table(rule(shown, '"hit"')), "n"))
    for values, expected in ((hits, "hit"), (misses, None)):
        for value in values:
            given = compile_expression(value, {})()
            assert both(model, "d", {"n": given})[0].result == expected, f"{text} with {value}"


def test_a_table_beyond_the_limit_of_its_index_answers_the_same() -> None:
    rules = "".join(rule(f"[{i}..{i + 2})", str(i)) for i in range(40))
    model = model_of(data("n", "number") + decision("d", table(rules, "COLLECT"), "n"), strict=True)
    values = [*range(-1, 43), Decimal("3.5"), None]
    indexed = [both(model, "d", {"n": value})[0].result for value in values]
    limits.configure(table_bits=1_000)
    try:
        assert [both(model, "d", {"n": value})[0].result for value in values] == indexed
        assert index_of(unwrapped(model.trees["d"])[0]).cells == 0  # type: ignore[arg-type]
    finally:
        limits.configure(table_bits=1_000_000_000)
    assert index_of(unwrapped(model.trees["d"])[0]).cells == 40  # type: ignore[arg-type]
