# ruff: noqa: E501  (texts under test stand whole, on one line)
"""Rows of a file as events: the same from every kind of file, in order of arrival, with ids that stay."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import polars as pl
import pytest

from quanheng.cli.ingest import Answer, _told
from quanheng.cli.main import main
from quanheng.cli.row_files import Unread, count_rows
from quanheng.cli.rows import CONVERTERS, Arrival, arrivals, ready_events
from quanheng.events.schema import EventDeclaration, FieldDeclaration
from quanheng.facts import Moved
from quanheng.kernel.errors import InputError, NotFound
from quanheng.loading.declared import ColumnSource, EventMapping, FileMapping
from quanheng.loading.new import new_pack
from quanheng.replying import Reply

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
    assert found == [one for batch in arrivals(file, MAPPING, EVENTS) for one in batch], (
        "ids stay when the file is read again"
    )


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("integer", " 12 ", 12), ("integer", "1.5", "1.5"), ("integer", "x", "x"), ("integer", 3.0, 3), ("integer", Decimal("2"), 2), ("integer", 2.5, 2.5),
        ("integer", float("nan"), None), ("integer", float("inf"), "inf"), ("integer", Decimal("NaN"), None),
        ("decimal", float("nan"), None), ("decimal", float("-inf"), "-inf"), ("time", float("nan"), None),
        ("key", 7.0, "7"), ("key", 7.5, "7.5"), ("key", float("nan"), None),
        ("key", 5, "5"), ("text", None, None), ("decimal", 0.1, Decimal("0.1")), ("decimal", "0.1", "0.1"),
        ("boolean", "TRUE", True), ("boolean", "0", False), ("boolean", 1, True), ("boolean", "maybe", "maybe"),
        ("time", dt.date(2020, 1, 1), START), ("time", "2020-01-01T00:00:00Z", START), ("time", "1577836800000", START), ("time", 5, 5), ("time", "soon", "soon"),
    ],
)  # fmt: skip
def test_cells_become_values_or_stay_for_the_schema_to_refuse(kind, cell, value):
    assert CONVERTERS[kind](cell) == value
    assert type(CONVERTERS[kind](cell)) is type(value)


def test_without_an_id_the_row_is_the_id(tmp_path):
    mapping = FileMapping(
        name="m", events=(EventMapping(event="fraud", fields={"at": column("t"), "who": column("c")}),)
    )
    found = [one for batch in arrivals(write(tmp_path, ".csv"), mapping, EVENTS) for one in batch]
    assert [one.id for one in found] == ["m:fraud:1", "m:fraud:2", "m:fraud:3", "m:fraud:4"]


def test_lines_that_are_events_already(tmp_path):
    file = tmp_path / "events.jsonl"
    file.write_text('{"id":"a","type":"pay","data":{"x":1}}\n\n{"id":"b","type":"pay","data":{}}\n')
    assert [one for batch in ready_events(file) for one in batch] == [
        Arrival(1, "a", "pay", b'{"x":1}'),
        Arrival(3, "b", "pay", b"{}"),
    ]
    assert count_rows(file) == 2


def test_a_line_that_is_no_event_is_told_and_the_rest_goes_on(tmp_path):
    file = tmp_path / "events.jsonl"
    good, allowed = (
        b'{"id":"a","type":"pay","data":{}}',
        'Allowed: {"id": text, "type": text, "data": object}. Correct it, or name a mapping with --map.',
    )
    bad = [b'{"id":5,"type":"pay","data":{}}', b"nonsense", b'{"id":"\xff"}', b"[" * 10_000]
    file.write_bytes(b"\n".join([good, *bad, good]) + b"\n")
    [found] = ready_events(file)
    assert [one.row for one in found] == [1, 2, 3, 4, 5, 6]
    assert found[1] == Unread(2, f"line 2 is not an event: Expected `str`, was `int` - at `$.id`. {allowed}")
    assert all(isinstance(one, Unread) and allowed in one.error for one in found[1:5])
    assert (found[0], found[5]) == (Arrival(1, "a", "pay", b"{}"), Arrival(6, "a", "pay", b"{}"))


HEADER = b"n,t,c,m,r,bad\n"
ROW = b"%d,2020-01-01,7,100,,0\n"


@pytest.mark.parametrize(
    ("kind", "row", "error"),
    [
        (".csv", b"9,2020-01-01,7,100,,0,0\n", "line 3: the row has 7 cells, the header has 6"),
        (".csv", b'9,"2020-01-01\n",7\n', "lines 3 to 4: the row has 3 cells, the header has 6"),
        (".csv", b'9,"2020-01-01"x,7,100,,0\n', "line 3 cannot be read: ',' expected after '\"'"),
        (".csv", b"9,2020-01-01,\xff,100,,0\n", "pay: the row is not UTF-8 text"),
        (".csv", b"\xff,2020-01-01,7,100,,0\n", "pay: the row is not UTF-8 text"),
        (".csv", b",2020-01-01,7,100,,0\n", "pay: the column 'n', its id, is empty"),
        (".jsonl", b"x\n", "line 2 is not a JSON object: JSON is malformed: invalid character (byte 0)"),
        (".jsonl", b"[1]\n", "line 2 is not a JSON object: Expected `object`, was `array`"),
        (
            ".jsonl",
            b'{"c":"\xff"}\n',
            "line 2 is not a JSON object: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        ),
        (
            ".jsonl",
            b'{"a":' + b"[" * 10_000 + b"\n",
            "line 2 is not a JSON object: maximum recursion depth exceeded while deserializing an object",
        ),
    ],
)
def test_a_row_that_cannot_be_read_is_told_and_the_rest_goes_on(tmp_path, kind, row, error):
    file = tmp_path / f"rows{kind}"
    good = [HEADER + ROW % 1, ROW % 3] if kind == ".csv" else [b'{"n":1,"t":"2020-01-01","c":7,"m":1}\n', b'{"n":3}\n']
    file.write_bytes(row.join(good))
    [first, unread, last] = [one for batch in arrivals(file, MAPPING, EVENTS) for one in batch]
    assert unread == Unread(2, error)
    assert [(one.row, one.id) for one in (first, last)] == [(1, "1"), (3, "3")]
    assert count_rows(file) == 3


def test_a_quote_that_is_never_closed_names_the_lines_it_takes(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_bytes(HEADER + ROW % 1 + b'2,"2020-01-01,7,100,,0\n' + ROW % 3)
    [first, unread] = [one for batch in arrivals(file, MAPPING, EVENTS) for one in batch]
    assert (first.row, unread) == (1, Unread(2, "lines 3 to 4 cannot be read: unexpected end of data"))


def test_an_empty_line_is_no_row_and_a_byte_order_mark_no_part_of_a_name(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_bytes(b"\xef\xbb\xbf" + HEADER + b"\n" + ROW % 1 + b"\n")
    assert [one.row for batch in arrivals(file, MAPPING, EVENTS) for one in batch] == [1]
    assert count_rows(file) == 1


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
        (
            "rows.xlsx",
            b"",
            InputError,
            "the kind of file is unknown; was .xlsx; allowed: .csv, .parquet, .jsonl. Convert it, or rename",
        ),
        ("none.csv", None, NotFound, "there is no such file. Correct the path."),
        ("rows.parquet", b"nonsense", InputError, "the file cannot be read; was "),
        ("rows.csv", b"", InputError, "the file cannot be read; was no header in line 1. Check that it is whole"),
        ("rows.csv", b'"n\n', InputError, "the file cannot be read; was line 1: unexpected end of data"),
        ("rows.csv", b"n,t,n\n", InputError, "the file cannot be read; was two columns of the name 'n'"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(tmp_path, name, content, error, text):
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(error) as raised:
        list(arrivals(file, MAPPING, EVENTS))
    assert str(raised.value).startswith(f"{file}: {text}")


def test_rows_that_are_not_taken_are_counted_and_stand_in_the_rejects_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    new_pack("my_shop", tmp_path / "my_shop")
    (tmp_path / "my_shop" / "mappings").mkdir()
    (tmp_path / "my_shop" / "mappings" / "rows.toml").write_text(
        'title = {en = "Rows", zh = "行"}\n[event."my_shop.request"]\nid = {column = "n"}\nfields.time_ms = {column = "t"}\n'
        'fields.customer = {column = "c"}\nfields.amount_minor = {column = "m"}\nfields.currency = {constant = "EUR"}\n'
    )
    (tmp_path / "quanheng.toml").write_text(
        '[packs]\nload = ["my_shop"]\nfolders = ["my_shop"]\n[limits]\nevents_max = 2\n'
    )
    (tmp_path / "rows.csv").write_bytes(
        b"n,t,c,m\n1,2026-01-01,a,100\n2,2026-01-01\n,2026-01-01,a,100\n4,2026-01-01,a,-5\n5,2026-01-01,a,100\n"
    )
    assert main(["ingest", "rows.csv", "--map", "rows", "--json", "--out", "answers.jsonl"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["rows"], found["events"], found["decided"], found["rejected"]) == (5, 5, 2, 3)
    rejects = [json.loads(line) for line in (tmp_path / "rows.csv.rejects.jsonl").read_text().splitlines()]
    assert [(one["row"], one["error"].partition(":")[0]) for one in rejects] == [
        (2, "line 3"), (3, "my_shop.request"), (4, "my_shop.request.amount_minor"),
    ]  # fmt: skip
    answers = {one["row"]: one for one in map(json.loads, (tmp_path / "answers.jsonl").read_text().splitlines())}
    assert {row: one["status"] for row, one in answers.items()} == {
        1: "decided", 2: "rejected", 3: "rejected", 4: "rejected", 5: "decided",
    }  # fmt: skip
    assert (found["first_decision"], found["last_decision"]) == (answers[1]["decision"], answers[5]["decision"])
    assert answers[1]["decision"] == answers[1]["offset"] + 1
    assert "decision" not in answers[4]
    assert main(["decision", str(found["last_decision"]), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == answers[5]["outcome"]
    assert main(["ingest", "rows.csv", "--map", "rows", "--out", "answers.jsonl"]) == 0
    told = capsys.readouterr()
    assert f"first_decision {found['first_decision']}, last_decision {found['last_decision']}" in told.out
    assert f"quanheng explain {found['last_decision']}" in " ".join(told.err.split())
    again = {one["row"]: one for one in map(json.loads, (tmp_path / "answers.jsonl").read_text().splitlines())}
    assert (again[5]["status"], again[5]["decision"]) == ("repeated", answers[5]["decision"])


def test_an_answer_that_is_written_says_what_was_moved_whoever_gave_it():
    moved = Moved("till.pay.one", (7).to_bytes(16, "little"), "APPLIED", 5)
    shown = {"name": "till.pay.one", "id": "7", "outcome": "APPLIED", "amount_minor": 5}
    one = Arrival(3, "a", "till.payment", b"{}")
    here = _told(one, Reply("a", "decided", 1, 2, "approve", transfers=(moved,)))
    there = _told(one, Answer("a", "decided", 1, 2, "approve", transfers=[shown]))
    assert here == there == {
        "row": 3, "id": "a", "type": "till.payment", "status": "decided", "offset": 1, "decision": 2, "outcome": "approve",
        "transfers": [shown],
    }  # fmt: skip
    assert "transfers" not in _told(one, Reply("a", "recorded", 1))
