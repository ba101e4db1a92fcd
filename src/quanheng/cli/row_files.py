"""Files of rows (.csv, .parquet, .jsonl), a batch at a time: a file never has to fit in memory.

A row that cannot be read is told in its place, and the rest goes on. Cells of a .csv file stay text: no guessed type
may change an amount or an identifier.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from quanheng.kernel.errors import InputError, NotFound

BATCH_ROWS = 20_000
SUFFIXES = (".csv", ".parquet", ".jsonl")


class Unread(NamedTuple):
    """A row that is not taken: its number, from 1, and why."""

    row: int
    error: str


Row = Mapping[str, Any]


def check_file(file: Path) -> None:
    """Find out whether the file is there and of a kind that is read.

    Raises
    ------
    InputError, NotFound : it is not
    """
    if file.suffix not in SUFFIXES:
        raise InputError(
            "the kind of file is unknown", where=str(file), found=file.suffix or "none", allowed=", ".join(SUFFIXES),
            cure="Convert it, or rename it to what it is.",
        )  # fmt: skip
    if not file.is_file():
        raise NotFound("there is no such file", where=str(file), cure="Correct the path.")


def count_rows(file: Path) -> int:
    """Rows of the file, those that cannot be read too.

    Raises
    ------
    NotFound, InputError : the file cannot be read
    """
    check_file(file)
    if file.suffix == ".jsonl":
        with file.open("rb") as lines:
            return sum(1 for line in lines if line.strip())
    if file.suffix == ".csv":
        return sum(1 for _ in _csv_rows(file))
    import polars as pl

    return int(_scan(file).select(pl.len()).collect().item())


def columns_of(file: Path) -> list[str] | None:
    """Names of the columns; None for .jsonl, where each row has its own.

    Raises
    ------
    NotFound, InputError : the file cannot be read
    """
    check_file(file)
    if file.suffix == ".jsonl":
        return None
    return _header(file) if file.suffix == ".csv" else list(_scan(file).collect_schema().names())


def rows_of(file: Path) -> Iterator[Sequence[Row | Unread]]:
    """All rows, in the order of the file.

    Raises
    ------
    NotFound, InputError : the file cannot be read
    """
    check_file(file)
    if file.suffix == ".parquet":
        yield from _parquet_batches(file)
        return
    rows = _csv_rows(file) if file.suffix == ".csv" else _json_rows(file)
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch


def _parquet_batches(file: Path) -> Iterator[Sequence[Row]]:
    import polars as pl

    try:
        for frame in _scan(file).collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
            yield frame.to_dicts()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(file, str(error).splitlines()[0]) from error


def _scan(file: Path) -> Any:
    import polars as pl

    try:
        frame = pl.scan_parquet(file)
        frame.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(file, str(error).splitlines()[0]) from error
    return frame


def _json_rows(file: Path) -> Iterator[Row | Unread]:
    decoder = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
    number = 0
    with file.open("rb") as lines:
        for line_number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            number += 1
            try:
                yield decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                yield Unread(number, f"line {line_number} is not a JSON object: {told(error)}")


def told(error: Exception) -> str:
    """What a decoder says, in our words."""
    return str(error).replace(", got ", ", was ")


def _csv_rows(file: Path) -> Iterator[Row | Unread]:
    """Rows by the header's names. An empty cell is None; bytes that are no UTF-8 stay as surrogates, to be refused."""
    header = _header(file)
    number = 0
    with _open(file) as text:
        reader = csv.reader(text, strict=True)
        next(reader)
        while True:
            begun = reader.line_num + 1
            number += 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Unread(number, f"{_lines(begun, reader.line_num)} cannot be read: {error}")
                continue
            if len(cells) == len(header):
                yield {name: cell or None for name, cell in zip(header, cells, strict=True)}
            elif cells:
                found = f"{len(cells)} cells, the header has {len(header)}"
                yield Unread(number, f"{_lines(begun, reader.line_num)}: the row has {found}")
            else:  # An empty line is no row.
                number -= 1


def _header(file: Path) -> list[str]:
    with _open(file) as text:
        try:
            names = next(csv.reader(text, strict=True), [])
        except csv.Error as error:
            raise _unreadable(file, f"line 1: {error}") from error
    if not names:
        raise _unreadable(file, "no header in line 1")
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise _unreadable(file, f"two columns of the name {twice!r}")
    return names


def _open(file: Path) -> Any:
    return file.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def _lines(first: int, last: int) -> str:
    return f"line {first}" if first >= last else f"lines {first} to {last}"


def _unreadable(file: Path, found: str) -> InputError:
    return InputError(
        "the file cannot be read", where=str(file), found=found, cure="Check that it is whole, and its suffix right."
    )
