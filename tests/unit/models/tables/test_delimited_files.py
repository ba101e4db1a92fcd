"""Files of text and of other kinds: separators, headers, encodings, broken lines, archives; and what cannot be read."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.kernel.errors import InputError, MissingExtra, NotFound
from quanheng.models.tables.delimited import decode, read_delimited, separator_of
from quanheng.models.tables.files import read_content, read_file

PLAIN = "amount,kind\n1,a\n2,b\n3,a\n"


def kinds(found) -> list[str]:
    return [finding.kind for finding in found.findings]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " ", "   "])
@pytest.mark.parametrize("header", [True, False])
def test_every_separator_with_and_without_header(separator, header):
    lines = [["amount", "kind", "age"]] if header else []
    lines += [[str(number * 3), "xy"[number % 2], str(20 + number)] for number in range(30)]
    found = read_delimited("\n".join(separator.join(line) for line in lines).encode(), "t")
    names = ["amount", "kind", "age"] if header else ["column_1", "column_2", "column_3"]
    assert found.rows.columns == names
    assert found.rows.row(1) == ("3", "y", "21")
    assert len(found.rows) == 30
    assert ("header" in kinds(found)) is not header


CELL = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00\r", exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=6
)


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(), CELL, st.sampled_from(["x", "y"])), min_size=1, max_size=20),
    separator=st.sampled_from([",", ";", "\t"]),
    mark=st.booleans(),
)
def test_what_the_csv_module_writes_is_read_back(rows, separator, mark):
    text = io.StringIO()
    csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL).writerows([("number", "text", "kind"), *rows])
    found = read_delimited((b"\xef\xbb\xbf" if mark else b"") + text.getvalue().encode(), "t", header="yes")
    assert found.rows.columns == ["number", "text", "kind"]
    expected = [(str(number), word.strip() or None, kind) for number, word, kind in rows]
    read = [tuple((cell or "").strip() or None for cell in row) for row in found.rows.rows()]
    assert read == expected


def test_a_header_of_words_over_columns_of_words():
    rows = "".join(f"{job},{city}\n" for job, city in [("clerk", "Bern"), ("nurse", "Basel"), ("clerk", "Basel")] * 10)
    assert read_delimited(f"job,city\n{rows}".encode(), "t").rows.columns == ["job", "city"]
    assert read_delimited(rows.encode(), "t").rows.columns == ["column_1", "column_2"]


def test_header_can_be_said():
    assert read_delimited(b"1,2\n3,4\n", "t", header="yes").rows.columns == ["1", "2"]
    assert read_delimited(b"a,b\n3,4\n", "t", header="no").rows.height == 2


def test_two_lines_of_header_and_names_that_are_missing_or_twice():
    text = ",X1,X2\nID,limit,limit\n" + "".join(f"{row},{row * 7},{row % 3}\n" for row in range(1, 20))
    found = read_delimited(text.encode(), "t")
    assert found.rows.columns == ["ID", "limit", "limit_2"]
    assert found.rows.height == 19
    assert {"header", "name"} <= set(kinds(found))
    assert read_delimited(b",a\n1,2\n3,4\n", "t").rows.columns == ["column_1", "a"]


def test_lines_of_another_width_are_left_out_and_told():
    rows = [f"{row},{row * 2},{row * 3}" for row in range(100)]
    text = "\n".join(["A note about this file", "a,b,c", *rows[:50], "5,6", *rows[50:], "total: 100"])
    found = read_delimited(text.encode(), "t")
    assert found.rows.columns == ["a", "b", "c"]
    assert found.rows.height == 100
    told = next(finding for finding in found.findings if finding.kind == "lines")
    assert told.found == "3 lines with another number of cells than 3 (line 1, 53, 104)"
    assert told.severity == "warning"


def test_separators_at_the_end_of_lines_and_blank_lines_say_nothing():
    found = read_delimited(b"\n\na;b\n1;2;\n3;4;\n\n5;6;\n", "t")
    assert found.rows.rows() == [("1", "2"), ("3", "4"), ("5", "6")]


def test_a_decimal_comma_does_not_make_a_comma_the_separator():
    assert separator_of(["a;b", "1,5;2,5", "2,5;3,5"]) == (";", 2)
    assert separator_of(["1,5;2,5", "2,5;3,5"]) == (";", 2)


@pytest.mark.parametrize(
    ("text", "encoding", "wanted"),
    [
        ("城市,收入\n北京,1\n上海,2\n", "gb18030", "gb18030"),
        ("name,income\nJosé,1\nAmélie,2\nZoë,3\n", "latin-1", "cp1252"),
        ("name,price\nx,5 €\ny,6 €\n", "cp1252", "cp1252"),
        ("城市,收入\n北京,1\n", "utf-8", "utf-8"),
        ("城市,收入\n北京,1\n", "utf-8-sig", "utf-8-sig"),
        ("城市,收入\n北京,1\n", "utf-16", "utf-16"),
    ],
)
def test_encodings(text, encoding, wanted):
    assert decode(text.encode(encoding)) == (text, wanted)
    found = read_delimited(text.encode(encoding), "t", header="yes")
    assert found.rows.columns == text.split("\n")[0].split(",")
    assert ("encoding" in kinds(found)) is not wanted.startswith("utf-8")


def test_bytes_that_no_code_page_has_are_latin_1():
    assert decode(b"a,b\n\x81 \x8d,\xe9\n")[1] == "latin-1"


def test_archives(tmp_path):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(PLAIN.encode()))
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("__MACOSX/._t.csv", b"\x00\x05")
        archive.writestr("readme.md", "about")
        archive.writestr("inner/t.csv", PLAIN)
    for name in ("t.csv.gz", "t.zip"):
        assert read_file(tmp_path / name).rows.rows() == [("1", "a"), ("2", "b"), ("3", "a")]


def test_parquet_keeps_its_types(tmp_path):
    frame = pl.DataFrame({"amount": [1, 2], "flag": [True, None]})
    frame.write_parquet(tmp_path / "t.parquet")
    assert read_file(tmp_path / "t.parquet").rows.equals(frame)


def test_excel_takes_the_longest_sheet(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="the extra `excel` is not installed")
    book = openpyxl.Workbook()
    book.active.append(["about this file"])
    sheet = book.create_sheet("data")
    for row in (["amount", None, "day"], [1.0, "a", None], [2.5, " b ", "x"], [None, None, None]):
        sheet.append(row)
    book.save(tmp_path / "t.xlsx")
    found = read_file(tmp_path / "t.xlsx")
    assert found.rows.columns == ["amount", "column_2", "day"]
    assert found.rows.rows() == [("1", "a", None), ("2.5", "b", "x")]
    assert "the sheet 'data' of 2" in found.findings[0].found


BROKEN = [
    ("t.csv", b"", "the file holds no rows"),
    ("t.csv", b"\n \n", "the file holds no rows"),
    ("t.csv", b"a,b\n", "the file holds no rows; was a header alone"),
    ("t.csv", b"alone\nwords\n", "the file has one column only; was alone"),
    ("t.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "the old Excel format is not read"),
    ("t.bin", b"\x7fELF\x00\x00", "the file is not text and of no known kind"),
    ("t.csv.gz", b"\x1f\x8bbroken", "the file is broken"),
    ("t.zip", b"PK\x03\x04broken", "the file is broken"),
    ("t.parquet", b"PAR1broken", "the file is broken"),
    ("t.xlsx", b"PK\x03\x04broken", "the file is broken"),
]


@pytest.mark.parametrize(("name", "content", "message"), BROKEN, ids=[f"{one[0]} {one[2][:24]}" for one in BROKEN])
def test_what_cannot_be_read_says_why(name, content, message):
    with pytest.raises(InputError, match=message):
        read_content(content, name)


def test_too_many_broken_lines_are_an_error():
    text = "a,b,c\n" + "1,2,3\n" * 40 + "1,2\n" * 10
    with pytest.raises(
        InputError, match=r"too many lines have another number of cells than most; was 10 lines of 51; line 42"
    ):
        read_delimited(text.encode(), "t")


def test_an_archive_of_several_tables_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("train.csv", PLAIN)
        archive.writestr("test.csv", PLAIN)
    with pytest.raises(InputError, match=r"the archive must hold one table; was train.csv, test.csv"):
        read_file(tmp_path / "t.zip")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(NotFound, match="there is no such file"):
        read_file(tmp_path / "nothing.csv")


@pytest.mark.parametrize("frame", [pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [], "b": []})])
def test_parquet_without_a_table_is_refused(frame, tmp_path):
    frame.write_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"the file holds no table to fit on; was \d rows, \d columns"):
        read_file(tmp_path / "t.parquet")


def test_an_empty_sheet_is_refused(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="the extra `excel` is not installed")
    openpyxl.Workbook().save(tmp_path / "t.xlsx")
    with pytest.raises(InputError, match="the file holds no rows"):
        read_file(tmp_path / "t.xlsx")


def test_without_openpyxl_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    with pytest.raises(MissingExtra, match="reading Excel files needs the package 'openpyxl'"):
        read_content(b"PK\x03\x04", "t.xlsx")
