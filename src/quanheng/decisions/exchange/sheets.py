"""Cells of a workbook as texts with places, and the problems that name them."""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from quanheng.decisions.exchange import layout
from quanheng.kernel.errors import Problem

ROWS_MAX, COLUMNS_MAX = 50_000, 500
_FLOAT_DIGITS = 15
"""Digits of a number that Excel keeps; those behind come from its binary form."""


@dataclass(slots=True)
class Row:
    """Where a row stands, for problems about what was read from it; `columns` by the name that messages use."""

    sheet: str
    row: int
    columns: dict[str, str] = field(default_factory=dict)
    column: str = ""

    def place(self, name: str = "") -> str:
        letter = self.columns.get(name, self.column)
        return f"sheet {self.sheet!r}, " + (f"cell {letter}{self.row}" if letter else f"row {self.row}")


class Places:
    """Numbers that stand for places: elements of a model carry one where a file has its line."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.problems: list[Problem] = []
        self._rows: list[Row] = []

    def add(self, row: Row) -> int:
        self._rows.append(row)
        return len(self._rows)

    def problem(self, place: Row, message: str, found: str = "", known: str = "", cure: str = "") -> None:
        self.problems.append(Problem(self.where, place.place(), message, found, known, cure))

    def moved(self, problem: Problem) -> Problem:
        """A problem of the model with the cell in place of the line."""
        match = re.match(r"line (\d+)(?:, (.*))?", problem.key, re.DOTALL)
        if match is None or not 0 < int(match[1]) <= len(self._rows):
            return problem
        row = self._rows[int(match[1]) - 1]
        named = _COLUMN.search(problem.message)
        name = next(filter(None, named.groups()), "") if named else ""
        if not name and "output" in problem.message:
            name = "output"
        decision = f", {match[2]}" if match[2] else ""
        return problem._replace(key=f"{row.place(name)}{decision}")


_COLUMN = re.compile(r"(?:rule \d+, (?:output )?|the input |input )(?:'([^']+)'|\"([^\"]+)\")")


class Sheet:
    """One sheet; `text(row, column)` counts from 1, as Excel does."""

    def __init__(self, sheet: Any, places: Places) -> None:
        self.title: str = sheet.title
        self.places = places
        self._cells: dict[tuple[int, int], str] = {}
        self.rows, self.columns = 0, 0
        for cell in (one for row in sheet.iter_rows() for one in row if one.value is not None):
            text = self._text(cell)
            if text:
                self._cells[cell.row, cell.column] = text
                self.rows, self.columns = max(self.rows, cell.row), max(self.columns, cell.column)

    def text(self, row: int, column: int) -> str:
        return self._cells.get((row, column), "")

    def key(self, row: int) -> str:
        """What stands in column A, as a key."""
        return " ".join(self.text(row, 1).lower().rstrip(":").split())

    def here(self, row: int, column: int = 0) -> Row:
        return Row(self.title, row, column=letters(column) if column else "")

    def _text(self, cell: Any) -> str:
        """The content of a cell as FEEL: numbers, dates and booleans are what they look like."""
        value = cell.value
        here = self.here(cell.row, cell.column)
        if cell.data_type == "f" or not isinstance(value, str | bool | int | float | dt.date | dt.time | dt.timedelta):
            cure = "Write its result, or put ' in front of the = to have it as text."
            self.places.problem(
                here, "the cell holds a formula", str(getattr(value, "text", value)), "a text or value", cure
            )
            return ""
        if cell.data_type == "e":
            self.places.problem(here, "the cell holds an error of Excel", str(value), "a text or value", "Correct it.")
            return ""
        if isinstance(value, str):
            return self._plain(value, here)
        return _feel(value)

    def _plain(self, value: str, here: Row) -> str:
        curly = next((sign for sign in "\u201c\u201d\u201e\u00ab\u00bb" if sign in value), "")
        if curly and '"' not in value:
            self.places.problem(here, "quotes are typographic", value[:60], 'straight quotes "', 'Write "…".')
        return value.replace("\r\n", "\n").strip()


def _feel(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        number = Decimal(f"{value:.{_FLOAT_DIGITS}g}")
        return f"{number:f}".rstrip("0").rstrip(".") if "." in f"{number:f}" else f"{number:f}"
    if isinstance(value, dt.datetime):
        midnight = not (value.hour or value.minute or value.second or value.microsecond)
        return f'@"{value:%Y-%m-%d}"' if midnight else f'@"{value.isoformat(timespec="seconds")}"'
    if isinstance(value, dt.date):
        return f'@"{value.isoformat()}"'
    if isinstance(value, dt.time):
        return f'@"{value.isoformat(timespec="seconds")}"'
    if isinstance(value, dt.timedelta):
        from quanheng.feel.temporal import DaysDuration

        return f'@"{DaysDuration(value // dt.timedelta(microseconds=1) * 1000)}"'
    return str(value)


def letters(column: int) -> str:
    """A column as Excel names it: 1 is A, 27 is AA."""
    found = ""
    while column:
        column, rest = divmod(column - 1, 26)
        found = chr(ord("A") + rest) + found
    return found


def open_sheets(data: bytes, places: Places) -> Iterator[Sheet]:
    """The sheets of a workbook. Formulas are not run, links are not followed; what is too large is a problem."""
    library = layout.openpyxl()
    whole = Problem(places.where, "", "the file is no Excel workbook (.xlsx)", "", "", "Save it as .xlsx.")
    if len(data) > layout.FILE_MAX:
        places.problems.append(_large(places.where, len(data), layout.FILE_MAX))
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(one.file_size for one in archive.infolist())
            if unpacked > layout.UNPACKED_MAX:
                places.problems.append(_large(places.where, unpacked, layout.UNPACKED_MAX))
                return
            if any(b"<!DOCTYPE" in archive.read(one) for one in archive.infolist() if one.filename.endswith(".xml")):
                places.problems.append(whole._replace(message="the workbook declares a document type"))
                return
        book = library.load_workbook(io.BytesIO(data), data_only=False)
    except Exception as error:  # Damaged archives end in errors of many kinds deep inside the library.
        places.problems.append(whole._replace(found=f"{type(error).__name__}: {error}"[:120]))
        return
    for sheet in book.worksheets:
        if sheet.title.startswith("#"):
            continue
        if sheet.max_row > ROWS_MAX or sheet.max_column > COLUMNS_MAX:
            place = f"sheet {sheet.title!r}"
            found, known = f"{sheet.max_row} x {sheet.max_column} cells", f"{ROWS_MAX} x {COLUMNS_MAX}"
            cure = "Delete the rows and columns that are not used."
            places.problems.append(Problem(places.where, place, "the sheet is too large", found, known, cure))
            continue
        yield Sheet(sheet, places)


def _large(where: str, found: int, allowed: int) -> Problem:
    return Problem(where, "", "the workbook is too large", f"{found} bytes", f"{allowed} bytes", "Split the model.")
