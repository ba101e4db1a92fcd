# ruff: noqa: E501  (texts under test stand whole, on one line)
"""Rows of a file as events: the same from every kind of file, in order of arrival, with ids that stay."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import polars as pl
import pytest

from quanheng.cli.rows import CONVERTERS, Arrival, arrivals, count_rows, ready_events
from quanheng.events.schema import EventDeclaration, FieldDeclaration
from quanheng.kernel.errors import InputError, NotFound
from quanheng.loading.declared import ColumnSource, EventMapping, FileMapping

EVENTS = {
    "pay": EventDeclaration(
        name="pay", time="at",
        fields={"at": FieldDeclaration(kind="time"), "who": FieldDeclaration(kind="key"), "minor": FieldDeclaration(kind="integer"),
                "rate": FieldDeclaration(kind="decimal", scale=2, optional=True), "currency": FieldDeclaration(kind="text")},
    ),
    "fraud": EventDeclaration(name="fraud", time="at", fields={"at": FieldDeclaration(kind="time"), "who": FieldDeclaration(kind="key")}),
}  # fmt: skip


def column(name):
    return ColumnSource(column=name)


MAPPING = FileMapping(
    name="m",
    events=(
        EventMapping(event="pay", id=column("n"), fields={"at": column("t"), "who": column("c"), "minor": column("m"), "rate": column("r"),
                                                         "currency": ColumnSource(constant="EUR")}),
        EventMapping(event="fraud", id=column("n"), where=("bad", 1), delay_ms=1_500, fields={"at": column("t"), "who": column("c")}),
    ),
)  # fmt: skip
FRAME = pl.DataFrame(
    {"n": [1, 2, 3, 4], "t": [dt.datetime(2020, 1, 1, 0, 0, second) for second in range(4)], "c": [7, 8, 9, 7], "m": [100, 200, 300, 400],
     "r": ["0.10", None, "1.5", "2"], "bad": [1, 0, 1, 0]},
)  # fmt: skip
START = 1_577_836_800_000


def write(folder, kind):
    file = folder / f"rows{kind}"
    if kind == ".parquet":
        FRAME.write_parquet(file)
    elif kind == ".csv":
        FRAME.write_csv(file)
    else:
        rows = [{**row, "t": row["t"].isoformat()} for row in FRAME.to_dicts()]
        file.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    return file


@pytest.mark.parametrize("kind", [".csv", ".parquet", ".jsonl"])
def test_every_kind_of_file_gives_the_same_events_in_order_of_arrival(tmp_path, kind):
    file = write(tmp_path, kind)
    found = [one for batch in arrivals(file, MAPPING, EVENTS) for one in batch]
    assert [(one.row, one.id, one.type) for one in found] == [
        (1, "1", "pay"), (2, "2", "pay"), (1, "fraud:1", "fraud"), (3, "3", "pay"), (4, "4", "pay"), (3, "fraud:3", "fraud"),
    ]  # fmt: skip
    assert json.loads(found[0].data, parse_float=Decimal) in (
        {"at": START, "who": "7", "minor": 100, "rate": "0.10", "currency": "EUR"},
        {"at": START, "who": "7", "minor": 100, "rate": Decimal("0.10"), "currency": "EUR"},
    )
    assert "rate" not in json.loads(found[1].data), "an empty cell is an absent field"
    assert count_rows(file) == 4
    assert found == [one for batch in arrivals(file, MAPPING, EVENTS) for one in batch], "ids stay when the file is read again"


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("integer", " 12 ", 12), ("integer", "1.5", "1.5"), ("integer", "x", "x"), ("integer", 3.0, 3), ("integer", Decimal("2"), 2), ("integer", 2.5, 2.5),
        ("key", 5, "5"), ("text", None, None), ("decimal", 0.1, Decimal("0.1")), ("decimal", "0.1", "0.1"),
        ("boolean", "TRUE", True), ("boolean", "0", False), ("boolean", 1, True), ("boolean", "maybe", "maybe"),
        ("time", dt.date(2020, 1, 1), START), ("time", "2020-01-01T00:00:00Z", START), ("time", "1577836800000", START), ("time", 5, 5), ("time", "soon", "soon"),
    ],
)  # fmt: skip
def test_cells_become_values_or_stay_for_the_schema_to_refuse(kind, cell, value):
    assert CONVERTERS[kind](cell) == value
    assert type(CONVERTERS[kind](cell)) is type(value)


def test_without_an_id_the_row_is_the_id(tmp_path):
    mapping = FileMapping(name="m", events=(EventMapping(event="fraud", fields={"at": column("t"), "who": column("c")}),))
    found = [one for batch in arrivals(write(tmp_path, ".csv"), mapping, EVENTS) for one in batch]
    assert [one.id for one in found] == ["m:fraud:1", "m:fraud:2", "m:fraud:3", "m:fraud:4"]


def test_lines_that_are_events_already(tmp_path):
    file = tmp_path / "events.jsonl"
    file.write_text('{"id":"a","type":"pay","data":{"x":1}}\n\n{"id":"b","type":"pay","data":{}}\n')
    assert [one for batch in ready_events(file) for one in batch] == [Arrival(1, "a", "pay", b'{"x":1}'), Arrival(3, "b", "pay", b"{}")]
    file.write_text('{"id":5,"type":"pay","data":{}}\n')
    with pytest.raises(InputError) as error:
        list(ready_events(file))
    assert str(error.value) == (
        f"{file}:1: the line is not an event; was Expected `str`, was `int` - at `$.id`; "
        'allowed: {"id": text, "type": text, "data": object}. Correct the line, or name a mapping of the pack with --map.'
    )


def test_a_file_that_lacks_a_column_is_told_before_anything_is_sent(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("n,t,c\n1,2020-01-01,7\n")
    with pytest.raises(InputError) as error:
        list(arrivals(file, MAPPING, EVENTS))
    assert str(error.value) == (
        f"{file}, mapping m: the file lacks columns that the mapping names; was n, t, c; allowed: bad, c, m, n, r, t. "
        "Missing: bad, m, r. Choose another mapping with --map, or rename the columns."
    )


@pytest.mark.parametrize(
    ("name", "content", "error", "text"),
    [
        ("rows.xlsx", b"", InputError, "the kind of file is unknown; was .xlsx; allowed: .csv, .parquet, .jsonl. Convert it, or rename"),
        ("none.csv", None, NotFound, "there is no such file. Correct the path."),
        ("rows.parquet", b"nonsense", InputError, "the file cannot be read; was "),
        ("rows.jsonl", b"[1]\n", InputError, "the file cannot be read; was line 1: Expected `object`, was `array`"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(tmp_path, name, content, error, text):
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(error) as raised:
        list(arrivals(file, MAPPING, EVENTS))
    assert str(raised.value).startswith(f"{file}: {text}")
