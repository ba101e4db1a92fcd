"""How a workbook is laid out: what the writer writes and the reader understands.

A sheet for each table: keys in column A, their values in column B; then the columns of the table, described by rows
whose key stands in column A; then the rules, one a row. A sheet `Model` for all that is no table.
"""

from __future__ import annotations

import re
from types import ModuleType

from quanheng.decisions.dmn import model as m
from quanheng.kernel.errors import MissingExtra

MODEL_SHEET = "Model"
SHEET_NAME_MAX = 31
CELL_TEXT_MAX = 32_767
"""Characters that Excel keeps in one cell."""
FILE_MAX, UNPACKED_MAX = 20_000_000, 200_000_000
"""Bytes of a workbook, and of what is packed in it."""

TABLE_KEYS = ("decision", "hit policy", "type", "id", "output label")
"""Keys of the head of a table, each with its value beside it."""
COLUMN_ROWS = ("column", "label", "expression", "column type", "allowed values", "default", "column id")
"""Keys of the rows that describe columns."""
COLUMN_KINDS = ("input", "output", "annotation", "rule id", "rule description")
MODEL_COLUMNS = (
    "kind", "name", "type", "list", "allowed values", "type constraint", "parameters", "needs", "knows", "form",
    "content", "content type", "id", "label", "description", "question", "answers",
)  # fmt: skip
MODEL_KINDS = ("model", "import", "type", "part", "function type", "input", "decision", "function", "service")
FORMS = ("", "text", "table", "boxed")
SERVICE_PARTS = {
    "output": "outputs",
    "encapsulated": "encapsulated",
    "input decision": "input_decisions",
    "input data": "input_data",
}
_NOT_IN_SHEETS = re.compile(r"[\[\]:*?/\\']")


def openpyxl() -> ModuleType:
    """The package that reads and writes workbooks.

    Raises
    ------
    MissingExtra : it is not installed
    """
    try:
        import openpyxl as found
    except ModuleNotFoundError:
        raise MissingExtra("openpyxl", "excel", "reading and writing Excel workbooks") from None
    return found  # type: ignore[no-any-return]


def sheet_name(title: str, taken: set[str]) -> str:
    """A name that Excel accepts and no other sheet has."""
    plain = _NOT_IN_SHEETS.sub("_", title).strip()[:SHEET_NAME_MAX] or "Table"
    name, number = plain, 2
    while name.lower() in taken:
        tail = f" {number}"
        name, number = plain[: SHEET_NAME_MAX - len(tail)] + tail, number + 1
    taken.add(name.lower())
    return name


def body_of(element: m.Decision | m.Knowledge) -> m.Boxed | None:
    """The expression of a decision, or the body of a function that needs no XML to be told."""
    if isinstance(element, m.Decision):
        return element.expression
    return element.function.body if element.function is not None and is_plain(element.function) else element.function


def is_plain(function: m.BoxedFunction) -> bool:
    """A function whose parameters and body say all of it."""
    return function.kind in ("", "FEEL") and not function.type_ref and function.body is not None
