"""Tables and assumptions of the commands: a CSV or Parquet file of rows, a TOML file of what holds for all."""

from __future__ import annotations

import tomllib
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from quanheng.kernel.errors import InputError, NotFound

T = TypeVar("T")
DIGITS_MAX = 30
"""A number with more digits is a slip, and would be slow to turn into a whole one."""
REQUIRED = object()
"""Stands where a column has no default."""


class Field(NamedTuple):
    """A column: its kind (str, int, float), and what an empty cell or a missing column is."""

    name: str
    kind: type
    default: Any = REQUIRED


def read_rows(file: Path, fields: tuple[Field, ...]) -> list[dict[str, Any]]:
    """The rows of a file as values by name. Columns that nobody asks for are not read.

    Raises
    ------
    NotFound : there is no such file
    InputError : it cannot be read, a column is missing, or a cell is not what it should be
    """
    frame = _frame(file)
    lacking = [one.name for one in fields if one.default is REQUIRED and one.name not in frame.columns]
    if lacking:
        raise InputError(
            "the file lacks columns", where=str(file), found=f"no {', '.join(lacking)}",
            allowed=", ".join(one.name for one in fields), cure="Name the columns like that; order does not matter.",
        )  # fmt: skip
    used = [one for one in fields if one.name in frame.columns]
    rest = {one.name: one.default for one in fields if one.name not in frame.columns}
    rows = []
    for number, cells in enumerate(frame.select([one.name for one in used]).iter_rows(), 1):
        place = f"{file}: row {number}"
        rows.append(rest | {one.name: _cell(cell, one, place) for one, cell in zip(used, cells, strict=True)})
    if not rows:
        raise InputError("the file has no rows", where=str(file), cure="Give one row or more under the header.")
    return rows


def _frame(file: Path) -> Any:
    import polars as pl

    if not file.is_file():
        raise NotFound("there is no such file", where="FILE", found=str(file), cure="Correct the path.")
    try:
        if file.suffix == ".parquet":
            return pl.read_parquet(file)
        return pl.read_csv(file, infer_schema=False)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise InputError(
            "the table cannot be read", where=str(file), found=str(error).partition("\n")[0],
            allowed="CSV with a header, or .parquet", cure="Write it again.",
        ) from None  # fmt: skip


def _cell(cell: Any, field: Field, place: str) -> Any:
    text = "" if cell is None else str(cell).strip()
    if not text and field.default is not REQUIRED:
        return field.default
    if field.kind is str and text:
        return text
    try:
        number = Decimal(text)
        fits = number.is_finite() and abs(number.adjusted()) < DIGITS_MAX
        whole = fits and (field.kind is float or number == number.to_integral_value())
    except InvalidOperation:
        whole = False
    if not whole:
        raise InputError(
            "the cell is not what its column holds", where=f"{place}, column {field.name}", found=text or "empty",
            allowed={int: "a whole number", float: "a number"}.get(field.kind, "a text"), cure="Correct the cell.",
        )  # fmt: skip
    return field.kind(number)


def read_assumptions(file: Path, kind: type[T]) -> T:
    """A TOML file as a struct.

    Raises
    ------
    NotFound : there is no such file
    InputError : it is no TOML, or a key is missing, unknown or of another kind
    """
    if not file.is_file():
        raise NotFound("there is no such file", where="--assumptions", found=str(file), cure="Correct the path.")
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), kind, strict=True, str_keys=True)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise InputError(
            "the assumptions cannot be read", where=str(file), found=str(error),
            allowed=f"keys {', '.join(one.name for one in msgspec.structs.fields(kind))}",  # type: ignore[arg-type]
            cure="The page docs/reference/credit-risk-formulas.md lists what each key may be.",
        ) from None  # fmt: skip
