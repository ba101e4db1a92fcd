"""Policies over columns: what runs how, what is refused, and the cases that random tables seldom meet."""

from __future__ import annotations

import re
from decimal import Decimal
from xml.sax.saxutils import escape

import numpy as np
import polars as pl
import pytest

from quanheng.decisions.columnar import Mode, Unfit, compile_columns
from quanheng.decisions.columnar.known import Known
from quanheng.decisions.dmn import Model, compile_decision, read_model
from quanheng.kernel.errors import InputError, NotFound

NAMES = {"n": "number", "limit": "number", "t": "string", "grade": "tGrade"}


def model_of(table: str, more: str = "") -> Model:
    """A decision `d` over all inputs, and what `more` adds."""
    return read_model(xml_of(table, more), "m.dmn")


def xml_of(table: str, more: str = "") -> bytes:
    data = "".join(
        f'<inputData id="{name}" name="{name}"><variable name="{name}" typeRef="{kind}"/></inputData>'
        for name, kind in NAMES.items()
    )
    needs = "".join(f'<informationRequirement><requiredInput href="#{one}"/></informationRequirement>' for one in NAMES)
    return (
        '<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="m" namespace="m">'
        '<itemDefinition name="tGrade"><typeRef>string</typeRef><allowedValues><text>"A","B"</text></allowedValues>'
        f'</itemDefinition>{data}<decision id="d" name="d"><variable name="d"/>{needs}{table}</decision>{more}'
        "</definitions>"
    ).encode()


def table_of(rules: list[tuple[str, str, str]], policy: str = "FIRST", output: str = '<output name="x"/>') -> str:
    """A table over n and t."""
    rows = "".join(
        "<rule>"
        + "".join(f"<inputEntry><text>{escape(cell)}</text></inputEntry>" for cell in rule[:2])
        + f"<outputEntry><text>{escape(rule[2])}</text></outputEntry></rule>"
        for rule in rules
    )
    inputs = "".join(f"<input><inputExpression><text>{one}</text></inputExpression></input>" for one in "nt")
    return f'<decisionTable hitPolicy="{policy}">{inputs}{output}{rows}</decisionTable>'


RULES = [("> limit", "-", '"over"'), ("< 10", '"a"', '"small"'), ("-", 'not("a","b")', '"other"')]
FRAME = pl.DataFrame({"n": [5, 50, None, 7], "limit": [40, 40, 40, None], "t": ["a", "a", "c", "b"], "grade": "A"})


def test_results_and_matched_rules() -> None:
    found = compile_columns(model_of(table_of(RULES)), "d").run(FRAME)
    assert found.to_dict(as_series=False) == {
        "d": ["small", "over", "other", None],
        "d.rules": [[2], [1], [3], []],
    }


def test_modes_say_what_runs_how_and_why() -> None:
    columns = compile_columns(model_of(table_of(RULES)), "d")
    assert columns.modes == (
        Mode("d", "input grade", "rows", "its type has allowed values"),
        Mode("d", "", "columns", "3 cells placed among constants, 1 compared"),
    )
    loud = compile_columns(model_of(table_of([("abs(?) > 3", "-", "n")])), "d")
    assert loud.modes[1:] == (
        Mode("d", "", "rows", "it has cells or outputs that columns do not offer"),
        Mode("d", "d, rule 1, 'n'", "rows", "neither a constant nor a comparison of inputs"),
        Mode("d", "rule 1", "rows", "an output is not a constant"),
    )
    literal = "<literalExpression><text>n + 1</text></literalExpression>"
    assert compile_columns(model_of(literal), "d").modes[1:] == (Mode("d", "", "rows", "an expression, not a table"),)


def test_an_input_outside_its_allowed_values_is_null() -> None:
    literal = '<literalExpression><text>if grade = null then "none" else grade</text></literalExpression>'
    frame = FRAME.with_columns(grade=pl.Series(["A", "C", None, "B"]))
    assert compile_columns(model_of(literal), "d").run(frame)["d"].to_list() == ["A", "none", "none", "B"]


def test_a_declared_type_of_the_result_is_kept() -> None:
    more = (
        '<decision id="e" name="e"><variable name="e" typeRef="tGrade"/><informationRequirement>'
        '<requiredInput href="#n"/></informationRequirement><decisionTable hitPolicy="FIRST"><input><inputExpression>'
        "<text>n</text></inputExpression></input><output/><rule><inputEntry><text>5</text></inputEntry><outputEntry><text>"
        '"A"</text></outputEntry></rule><rule><inputEntry><text>-</text></inputEntry><outputEntry><text>"C"</text>'
        "</outputEntry></rule></decisionTable></decision>"
    )
    model = model_of("<literalExpression><text>1</text></literalExpression>", more)
    found = compile_columns(model, "e").run(FRAME)
    rows = [compile_decision(model, "e").judge(row) for row in FRAME.to_dicts()]
    assert found["e"].to_list() == [row.result for row in rows] == ["A", None, None, None]
    assert found["e.rules"].to_list() == [list(row.trace[0][1]) for row in rows] == [[1], [2], [2], [2]]


def test_a_row_whose_evaluation_is_given_up_is_null_in_every_decision() -> None:
    more = (
        '<decision id="e" name="e"><variable name="e"/><informationRequirement><requiredDecision href="#d"/>'
        '</informationRequirement><informationRequirement><requiredInput href="#n"/></informationRequirement>'
        "<literalExpression><text>if n = 50 then count(for i in 1..2000000 return i) else n</text></literalExpression>"
        "</decision>"
    )
    model = model_of(table_of(RULES), more)
    found = compile_columns(model, "e").run(FRAME)
    assert found["e"].to_list() == [5, None, None, 7]
    assert found["d"].to_list() == ["small", None, "other", None]
    assert found["d.rules"].to_list() == [[2], None, [3], []]
    assert compile_decision(model, "e").judge({"n": 50, "limit": 40, "t": "a"}).trace == ()


def test_numbers_beyond_64_bits_are_compared_exactly() -> None:
    model = model_of(table_of([("> limit", "-", "1"), ("> 0.00000000000000000001", "-", "2")]))
    large = pl.Series([Decimal("90000000000000000000.5"), Decimal("0.1"), None], dtype=pl.Decimal(38, 1))
    frame = pl.DataFrame({"n": large, "limit": [2**63 - 1] * 3, "t": "a", "grade": "A"})
    assert compile_columns(model, "d").run(frame)["d"].to_list() == [1, 2, None]


def test_columns_of_two_scales_are_compared_in_one_unit_or_by_row_code() -> None:
    model = model_of(table_of([("> limit", "-", '"over"'), ("limit", "-", '"same"')]))
    limit = pl.Series([Decimal("1.50"), Decimal("2.00"), Decimal("3.01")], dtype=pl.Decimal(10, 2))
    for whole in (3, 2**62):
        frame = pl.DataFrame({"n": [2, 2, whole], "limit": limit, "t": "a", "grade": "A"})
        expected = ["over", "same", None if whole == 3 else "over"]
        assert compile_columns(model, "d").run(frame)["d"].to_list() == expected


def test_results_of_several_kinds_stay_objects() -> None:
    model = model_of(table_of([("< 6", "-", '"text"'), ("< 60", "-", "1")]))
    found = compile_columns(model, "d").run(FRAME)
    assert found["d"].dtype == pl.Object
    assert found["d"].to_list() == ["text", 1, None, 1]


@pytest.mark.parametrize("policy", ["UNIQUE", "ANY", "PRIORITY", "RULE ORDER", "OUTPUT ORDER", "COLLECT"])
def test_every_hit_policy(policy: str) -> None:
    output = '<output name="x"><outputValues><text>"high","low"</text></outputValues></output>'
    model = model_of(table_of([("> 5", "-", '"low"'), ("> 6", "-", '"high"'), ("-", '"a"', '"low"')], policy, output))
    found = compile_columns(model, "d").run(FRAME)
    rows = [compile_decision(model, "d").judge(row) for row in FRAME.to_dicts()]
    assert found["d"].to_list() == [row.result for row in rows]
    assert found["d.rules"].to_list() == [list(row.trace[0][1]) for row in rows]


def test_an_empty_frame() -> None:
    found = compile_columns(model_of(table_of(RULES)), "d").run(FRAME.head(0))
    assert found.height == 0
    assert found.columns == ["d", "d.rules"]


def test_dates_are_compared_as_dates() -> None:
    model = read_model(
        b'<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="m" namespace="m">'
        b'<inputData id="day" name="day"><variable name="day" typeRef="date"/></inputData><decision id="d" name="d">'
        b'<variable name="d"/><informationRequirement><requiredInput href="#day"/></informationRequirement>'
        b'<literalExpression><text>day >= @"2026-01-02"</text></literalExpression></decision></definitions>',
        "m.dmn",
    )
    frame = pl.DataFrame({"day": pl.Series(["2026-01-01", "2026-01-02", None]).str.to_date()})
    assert compile_columns(model, "d").run(frame)["d"].to_list() == [False, True, None]


# what is wrong with the frame -> parts of the error
REFUSED = [
    (FRAME.drop("t", "n"), ["the frame lacks columns that the policy reads", "no n, t", "n, limit, t, grade",
                             "a column of nulls"]),
    (FRAME.with_columns(n=pl.lit(1.5)), ["a column does not hold what the policy takes", "n", "Float64", "number",
                                         "declare the input as float"]),
    (FRAME.with_columns(t=pl.lit(1)), ["a column does not hold what the policy takes", "t", "Int32", "string"]),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "parts"), REFUSED)
def test_a_frame_that_does_not_fit_is_refused(frame: pl.DataFrame, parts: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        compile_columns(model_of(table_of(RULES)), "d").run(frame)
    assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_only_number_inputs_of_the_decision_are_declared_as_float() -> None:
    with pytest.raises(InputError, match=r"only inputs of type number can be declared as float.*t, x.*n, limit"):
        compile_columns(model_of(table_of(RULES)), "d", ["x", "t", "n"])


def test_only_decisions_run_over_columns() -> None:
    more = (
        '<businessKnowledgeModel id="f" name="f"><variable name="f"/><encapsulatedLogic>'
        "<literalExpression><text>1</text></literalExpression></encapsulatedLogic></businessKnowledgeModel>"
    )
    model = model_of(table_of(RULES), more)
    with pytest.raises(InputError, match=r"a function cannot run over columns.*'f'.*Name a decision that calls it"):
        compile_columns(model, "f")
    with pytest.raises(NotFound, match="the model has no such decision"):
        compile_columns(model, "g")


def test_a_policy_takes_one_value_per_input() -> None:
    policy = compile_decision(model_of(table_of(RULES)), "d")
    with pytest.raises(InputError, match=r"the policy takes one value per input.*2 values.*4: n, limit, t, grade"):
        policy([1, 2])


# -- lists


def on_list(name: str, known: Known) -> np.ndarray:
    """Rows 0 and 2 are asked while "a" is on the list, the others while "c" is."""
    texts = [known.coded.values[code] for code in known.coded.codes.tolist()]
    return np.array([text == "ac"[row % 2] for row, text in enumerate(texts)])


def test_a_list_is_asked_for_each_row_at_its_own_moment() -> None:
    model = read_model(
        xml_of(table_of([("-", 'list("x")', '"on"'), ("-", 'not(list("x"))', '"off"')])), "m.dmn", lists=["x"]
    )
    columns = compile_columns(model, "d")
    frame = pl.DataFrame({"n": [1] * 4, "limit": [1] * 4, "t": ["a", "a", None, "c"], "grade": "A"})
    assert columns.run(frame, on_list)["d"].to_list() == ["on", "off", None, "on"]
    assert columns.run(frame)["d"].to_list() == [None] * 4
    assert columns.modes[-1].mode == "columns"
    gone = frame.with_columns(t=pl.Series([None] * 4, dtype=pl.Null))
    assert columns.run(gone, on_list)["d"].to_list() == [None] * 4


def test_a_list_that_row_code_would_ask_is_refused() -> None:
    text = r"d: a list is asked where columns do not answer it; was x; allowed: a condition of a table that runs over columns, about an input of type string. Judge the rows one by one, or ask the list in a cell of its own."  # noqa: E501
    literal = '<literalExpression><text>if t in (list("x")) then 1 else 2</text></literalExpression>'
    for body in (literal, table_of([("abs(?) > 3", 'list("x")', "1")])):
        with pytest.raises(InputError, match=re.escape(text)):
            compile_columns(read_model(xml_of(body), "m.dmn", lists=["x"]), "d")


def test_values_that_no_column_compares_leave_a_list_to_rows() -> None:
    rules = [("> limit", 'list("x")', '"on"')]
    columns = compile_columns(read_model(xml_of(table_of(rules)), "m.dmn", lists=["x"]), "d")
    n = pl.Series([Decimal("1e-18")], dtype=pl.Decimal(38, 18))
    frame = pl.DataFrame({"n": n, "limit": [2**62], "t": ["a"], "grade": "A"})
    with pytest.raises(Unfit):
        columns.run(frame, on_list)
