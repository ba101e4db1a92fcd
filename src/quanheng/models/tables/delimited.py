"""Delimited text: which encoding, which separator, a header or none; cells stay text.

Nothing is guessed about values here. A line that has another number of cells than most is left out and told.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import polars as pl

from quanheng.kernel.errors import InputError
from quanheng.models.tables.cells import MISSING
from quanheng.models.tables.findings import Finding, count, shown

Header = Literal["auto", "yes", "no"]
SEPARATORS: tuple[str, ...] = ("\t", ";", "|", ",")
"""In order of preference among those that cut every line alike: a comma may be part of a number."""
_WORDS = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas", " ": "spaces"}
_SAMPLE_LINES = 300
_CHUNK_ROWS = 50_000
_UNEVEN_SHARE_MAX = 0.05
_NUMBER = re.compile(r"[-+]?[0-9][0-9.,]*([eE][-+]?[0-9]+)?%?")
_PAIR = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")
_HIGH = re.compile(rb"[\x80-\xff]")
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


class Text(NamedTuple):
    """Cells of a delimited file.

    rows : String columns under their names in the file; an empty cell is null
    findings : how it was read
    """

    rows: pl.DataFrame
    findings: list[Finding]


def read_delimited(content: bytes, where: str, header: Header = "auto") -> Text:
    """Cells of a file of text.

    Raises
    ------
    InputError : no rows, one column only, or too many lines that do not fit
    """
    text, encoding = decode(content)
    findings = []
    if encoding not in ("utf-8", "utf-8-sig"):
        findings.append(
            Finding(kind="encoding", where="table", found=f"the bytes are no UTF-8; {encoding} fits", done="read so")
        )
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n", _SAMPLE_LINES * 4)
    sample = [line for line in lines[: _SAMPLE_LINES * 4] if line.strip()][:_SAMPLE_LINES]
    if not sample:
        raise InputError("the file holds no rows", where=where, cure="Check that it is the right file.")
    separator, cells = separator_of(sample)
    if cells < 2:
        raise InputError(
            "the file has one column only", where=where, found=sample[0][:60],
            allowed="columns separated by " + ", ".join(_WORDS.values()), cure="Check that it is a table.",
        )  # fmt: skip
    first_cells, *rest = _split(sample, separator)
    if len(first_cells) == cells - 1 and not any(row[-1].strip() for row in rest if len(row) == cells):
        cells -= 1  # A separator at the end of each line but the header's.
    good, uneven = _even(_cells(text, separator), cells)
    _check_uneven(uneven, len(good), cells, where)
    names, first = _names(good, header, findings)
    if len(good) == first:
        raise InputError("the file holds no rows", where=where, found="a header alone", cure="Check that it is whole.")
    rows = _frame(good[first:], names)
    findings.append(
        Finding(
            kind="format", where="table", done="read as text",
            found=f"{count(len(rows), 'row')} of {cells} cells separated by {_WORDS[separator]}",
        )
    )  # fmt: skip
    if uneven:
        told = shown([str(line) for line, _ in uneven])
        findings.append(
            Finding(
                kind="lines", where="table", severity="warning", done="left out",
                found=f"{count(len(uneven), 'line')} with another number of cells than {cells} (line {told})",
            )
        )  # fmt: skip
    return Text(rows, findings)


def decode(content: bytes) -> tuple[str, str]:
    """(text, encoding): UTF-8 if it is, else GB18030 where the high bytes stand in pairs, else Western European."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, errors="replace"), encoding
    try:
        return content.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        pass
    high = len(_HIGH.findall(content))
    if 2 * len(_PAIR.findall(content)) >= 0.8 * high:
        try:
            return content.decode("gb18030"), "gb18030"
        except UnicodeDecodeError:
            pass
    try:
        return content.decode("cp1252"), "cp1252"
    except UnicodeDecodeError:
        return content.decode("latin-1"), "latin-1"


def separator_of(lines: Sequence[str]) -> tuple[str, int]:
    """(separator, cells in a line) of the one that cuts most lines alike; blanks only where nothing else does."""
    found = []
    for preference, separator in enumerate((*SEPARATORS, " ")):
        widths = Counter(len(row) for row in _split(lines, separator))
        width, alike = max(widths.items(), key=lambda item: (item[1], item[0]))
        if width > 1 and alike >= 0.6 * len(lines):
            share = round(alike / len(lines), 1)  # A few broken lines do not speak against a separator.
            found.append((separator != " ", share, -preference, separator, width))
    if not found:
        return ",", 1
    _, _, _, separator, width = max(found)
    return separator, width


def _split(lines: Sequence[str], separator: str) -> Iterator[list[str]]:
    if separator == " ":
        return (line.split() for line in lines)
    return iter(csv.reader(lines, delimiter=separator, skipinitialspace=True))


def _cells(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells) of every line that is not empty."""
    if separator == " ":
        yield from ((at, line.split()) for at, line in enumerate(text.split("\n"), 1) if line.strip())
        return
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield reader.line_num, []
            continue
        if any(map(str.strip, row)):
            yield reader.line_num, row


def _even(rows: Iterator[tuple[int, list[str]]], cells: int) -> tuple[list[list[str]], list[tuple[int, int]]]:
    """(rows of the usual width, (line, width) of the others)."""
    good, uneven = [], []
    for line, row in rows:
        fits = row if len(row) == cells else row[:cells] if len(row) == cells + 1 and not row[-1].strip() else None
        if fits is None:
            uneven.append((line, len(row)))
        else:
            good.append(fits)
    return good, uneven


def _check_uneven(uneven: Sequence[tuple[int, int]], good: int, cells: int, where: str) -> None:
    if len(uneven) <= max(3, _UNEVEN_SHARE_MAX * (good + len(uneven))):
        return
    line, width = uneven[0]
    raise InputError(
        "too many lines have another number of cells than most", where=where,
        found=f"{count(len(uneven), 'line')} of {good + len(uneven)}; line {line} has {width} cells, most have {cells}",
        allowed=f"at most {_UNEVEN_SHARE_MAX:.0%}", cure="Put quotes around cells that hold the separator.",
    )  # fmt: skip


def _names(rows: Sequence[list[str]], header: Header, findings: list[Finding]) -> tuple[list[str], int]:
    """(names of the columns, rows of header)."""
    first = [cell.strip() for cell in rows[0]]
    if header == "no" or (header == "auto" and not _is_header(first, rows[1:_SAMPLE_LINES])):
        names = [f"column_{at}" for at in range(1, len(first) + 1)]
        findings.append(
            Finding(
                kind="header", where="table", found="the first line looks like the others",
                done=f"columns are named column_1 to column_{len(first)}",
            )
        )  # fmt: skip
        return names, 0
    names = [name or f"column_{at}" for at, name in enumerate(first, 1)]
    second = [cell.strip() for cell in rows[1]] if len(rows) > 3 else []
    if second and _is_header(second, rows[2:_SAMPLE_LINES], strict=True):
        findings.append(
            Finding(kind="header", where="table", found="two lines of header", done="the names are those of the second")
        )
        return unique([name or f"column_{at}" for at, name in enumerate(second, 1)], findings), 2
    return unique(names, findings), 1


def _is_header(first: Sequence[str], below: Sequence[list[str]], strict: bool = False) -> bool:
    """Words over columns of other things: no number among them, and none occurs again in its own column.

    strict : every column that is mostly numbers must have a word, and there must be one (a second header)
    """
    if any(_NUMBER.fullmatch(cell) for cell in first):
        return False
    columns = list(zip(*below, strict=False)) if below else []
    numeric = [sum(bool(_NUMBER.fullmatch(cell.strip())) for cell in column) > len(column) / 2 for column in columns]
    if strict:
        return sum(numeric) >= max(2, len(first) / 2) and not any(cell.lower() in MISSING for cell in first)
    if any(numeric):
        return True
    again = sum(
        bool(cell) and cell in {one.strip() for one in column} for cell, column in zip(first, columns, strict=False)
    )
    return again <= len(first) / 4


def unique(names: Sequence[str], findings: list[Finding]) -> list[str]:
    """Names with a number behind those that occur again."""
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
        if seen[name] > 1:
            done = f"this one is called {out[-1]}"
            findings.append(Finding(kind="name", where=name, found="another column has the same name", done=done))
    return out


def _frame(rows: list[list[str]], names: list[str]) -> pl.DataFrame:
    """String columns, blanks around cells stripped, empty cells null."""
    frames = []
    for start in range(0, len(rows), _CHUNK_ROWS):
        columns = list(zip(*rows[start : start + _CHUNK_ROWS], strict=True))
        frames.append(
            pl.DataFrame(
                {name: pl.Series(name, column, pl.String) for name, column in zip(names, columns, strict=True)}
            )
        )
    stripped = pl.concat(frames).with_columns(pl.all().str.strip_chars())
    return stripped.with_columns(pl.when(pl.all() == "").then(None).otherwise(pl.all()).name.keep())
