"""Random tables over random frames: columns give what the policy gives row by row, results and matched rules."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from random_tables import CONSTANTS, INPUTS, OUTPUTS, models

from quanheng.decisions.columnar import ColumnPolicy, Unfit, compile_columns
from quanheng.decisions.columnar.known import Known
from quanheng.decisions.dmn import compile_decision, read_model
from quanheng.decisions.policy import Policy
from quanheng.kernel.errors import InputError

whole = st.none() | st.integers(-3, 9)
tenths = st.none() | st.integers(-30, 90).map(lambda value: Decimal(value).scaleb(-1))
huge = st.none() | st.sampled_from([-(2**63), 2**63 - 1, 0, 5])
NUMBERS = [
    (whole, pl.Int8),
    (whole, pl.Int64),
    (tenths, pl.Decimal(38, 1)),
    (tenths, pl.Decimal(9, 4)),
    (huge, pl.Int64),
    (st.none(), pl.Null),
]
TEXTS = st.none() | st.sampled_from(["a", "b", "abc", ""])
FLOATS = st.none() | st.sampled_from(
    [2.5, -1.0, 5.0, 0.1, 0.30000000000000004, -0.0, 1e300, float("nan"), float("inf")]
)


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    rows = draw(st.integers(0, 25))

    def column(name: str, values: st.SearchStrategy[object], dtype: object) -> pl.Series:
        return pl.Series(name, draw(st.lists(values, min_size=rows, max_size=rows)), dtype=dtype)  # type: ignore[arg-type]

    kinds = {name: draw(st.sampled_from(NUMBERS)) for name in "nm"}
    other = draw(st.sampled_from([NUMBERS[1], (TEXTS, pl.String)]))
    return pl.DataFrame(
        [
            column("n", *kinds["n"]),
            column("m", *kinds["m"]),
            column("t", TEXTS, draw(st.sampled_from([pl.String, pl.Categorical]))),
            column("p", st.none() | st.booleans(), pl.Boolean),
            column("u", *other),
        ]
    )


def assert_same(columns: ColumnPolicy, rows: Policy, frame: pl.DataFrame, given_rows: list[dict[str, object]]) -> None:
    found = columns.run(frame)
    for number, given_row in enumerate(given_rows):
        judged = rows.judge(given_row)
        for decision, rules, result in judged.trace:
            assert same(found[decision][number], result), (given_row, found[decision][number], result, columns.modes)
            assert plain(found[f"{decision}.rules"][number]) == list(rules)
        if not judged.trace:
            assert all(found[name][number] is None for name in found.columns)


def plain(value: object) -> object:
    return value.to_list() if isinstance(value, pl.Series) else value


def same(found: object, expected: object) -> bool:
    """Equal in kind and value; numbers of one column share a scale."""
    found = plain(found)
    if isinstance(expected, list):
        return isinstance(found, list) and len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, dict):
        return isinstance(found, dict) and found.keys() == expected.keys() and all(
            same(found[key], value) for key, value in expected.items()
        )  # fmt: skip
    kinds = [int if isinstance(one, Decimal) else type(one) for one in (found, expected)]
    return kinds[0] is kinds[1] and found == expected


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(xml=models(CONSTANTS) | models(OUTPUTS), frame=frames())
def test_columns_give_what_rows_give(xml: bytes, frame: pl.DataFrame) -> None:
    model = read_model(xml, "t.dmn", strict=False)
    assert_same(compile_columns(model, "after"), compile_decision(model, "after"), frame, frame.to_dicts())


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(xml=models(CONSTANTS), frame=frames(), values=st.data(), both=st.booleans())
def test_a_declared_float_means_its_shortest_decimal(
    xml: bytes, frame: pl.DataFrame, values: st.DataObject, both: bool
) -> None:
    model = read_model(xml, "t.dmn", strict=False)
    names = ["n", "m"] if both else ["n"]
    for name in names:
        floats = values.draw(st.lists(FLOATS, min_size=frame.height, max_size=frame.height))
        frame = frame.with_columns(pl.Series(name, floats, dtype=pl.Float64))
    rows = [{key: decimal(value) for key, value in row.items()} for row in frame.to_dicts()]
    assert_same(compile_columns(model, "after", names), compile_decision(model, "after"), frame, rows)


def decimal(value: object) -> object:
    if not isinstance(value, float):
        return value
    return Decimal(repr(value)) if value - value == 0 else None


ON_LIST = [{"a"}, {"a", "abc"}, set(), {"b", ""}]
"""What is on the list at the moment of each row, in turns."""


def asking(xml: bytes) -> bytes:
    """The table with some cells about texts that ask a list instead."""
    for old, new in (('"a","b"', 'list("x")'), ('not("a","b")', 'not(list("x"))'), ("not(t)", 'list("x")')):
        xml = xml.replace(f"<text>{old}</text>".encode(), f"<text>{new}</text>".encode())
    return xml


def on_list(name: str, known: Known) -> NDArray[np.bool_]:
    assert name == "x"
    texts, codes = known.coded.values, known.coded.codes.tolist()
    return np.array([texts[code] in ON_LIST[row % 4] for row, code in enumerate(codes)], np.bool_)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(xml=models(CONSTANTS).map(asking).filter(lambda xml: b'list("x")' in xml), frame=frames())
def test_each_row_asks_the_lists_of_its_own_moment(xml: bytes, frame: pl.DataFrame) -> None:
    model = read_model(xml, "t.dmn", strict=False, lists=["x"])
    rows = compile_decision(model, "after")
    try:
        columns = compile_columns(model, "after")
        found = columns.run(frame, on_list)
    except (InputError, Unfit):  # Row code asks lists one row at a time: such a policy, or such values, are left to it.
        return
    for number, given_row in enumerate(frame.to_dicts()):
        judged = rows.judge(given_row, None, lambda _, value, at=number: value in ON_LIST[at % 4])
        for decision, rules, result in judged.trace:
            assert same(found[decision][number], result)
            assert plain(found[f"{decision}.rules"][number]) == list(rules)


def test_inputs_are_known() -> None:
    assert [name for name, _ in INPUTS] == ["n", "m", "t", "p", "u"]
