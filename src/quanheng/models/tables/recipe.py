"""How each input is read from a file: found once on the table of training, kept with the model, applied to others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from unicodedata import combining, normalize

import msgspec
import polars as pl

from quanheng.kernel.errors import InputError
from quanheng.models.table import Kind
from quanheng.models.tables.cells import Form, blank_missing, to_days, to_ms, to_number
from quanheng.models.tables.delimited import Header
from quanheng.models.tables.findings import Finding, count, shown

OTHER = "(other)"
_HUMP = re.compile(r"(?<=[a-zA-Z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])")


class InputRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """How one input is read.

    name : of the input, as a pack may call it
    column : as the file calls it
    form : how its cells are spelled
    levels : categories that are kept; all others are `(other)`. Empty: all are kept
    """

    name: str
    column: str
    form: Form
    levels: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """`category`, or `number` for numbers, dates and booleans."""
        return "category" if self.form.kind == "category" else "number"


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a table is read for a model.

    inputs : in order
    target : the column with the outcome, and its values that are the event
    time : how the moment of the decision is read; dates among the inputs are then days before it
    header : as it was said for the first file
    """

    inputs: tuple[InputRecipe, ...]
    target: str
    events: tuple[str, ...]
    others: tuple[str, ...]
    time: InputRecipe | None = None
    header: Header = "auto"
    version: int = 1


def read_recipe(content: bytes, where: str) -> Recipe:
    """The recipe of a file.

    Raises
    ------
    InputError : the bytes are no recipe
    """
    try:
        return msgspec.json.decode(content, type=Recipe)
    except msgspec.DecodeError as error:
        raise InputError(
            "the file does not say how a table is read", where=where, found=str(error),
            cure="Put back the file that `quanheng models fit` wrote, or fit again.",
        ) from None  # fmt: skip


def apply_recipe(recipe: Recipe, raw: pl.DataFrame, where: str) -> tuple[pl.DataFrame, list[Finding]]:
    """The inputs of a model from the cells of another file, in order, under their names as inputs.

    Columns that the model does not use are told; so are cells that cannot be read, which are missing.

    Raises
    ------
    InputError : columns are not there
    """
    names = {one.strip(): one for one in raw.columns}
    needed = [one.column for one in recipe.inputs] + (
        [recipe.time.column] if recipe.time and _has_dates(recipe) else []
    )
    absent = [name for name in needed if name not in names]
    if absent:
        raise InputError(
            "the table lacks columns that the model reads", where=where, found=f"no {shown(absent, 12)}",
            allowed=shown(needed, 40), cure="Add the columns (empty where nothing is known), or correct their names.",
        )  # fmt: skip
    times = None
    if recipe.time is not None and recipe.time.column in names:
        times = read_times(recipe.time, raw[names[recipe.time.column]])
    columns, findings = [], []
    for one in recipe.inputs:
        cells, unreadable = read_input(one, raw[names[one.column]], times)
        columns.append(cells)
        if unreadable:
            found = f"{count(unreadable, 'cell')} that are no {one.form.kind} as in training"
            findings.append(
                Finding(kind="unreadable", where=one.column, found=found, done="read as missing", severity="warning")
            )
    known = {*needed, recipe.target, *([recipe.time.column] if recipe.time else [])}
    unused = [name for name in names if name not in known]
    if unused:
        findings.append(Finding(kind="unknown", where="table", found=shown(unused, 12), done="not used"))
    return pl.DataFrame(columns), findings


def read_input(one: InputRecipe, cells: pl.Series, times: pl.Series | None = None) -> tuple[pl.Series, int]:
    """(Float64 or String under the name of the input, cells that could not be read and are missing)."""
    known = as_cells(cells)
    if known.dtype == pl.String:
        known = blank_missing(known, one.form.missing).str.strip_chars()
    read = _values(one, known, times)
    unreadable = int((read.is_null() & known.is_not_null()).sum())
    return read.alias(one.name), unreadable


def read_times(one: InputRecipe, cells: pl.Series) -> pl.Series:
    """Int64 ms UTC of the moment of decision; null where it cannot be read."""
    known = as_cells(cells)
    if known.dtype == pl.String:
        known = blank_missing(known).str.strip_chars()
        return to_ms(known, one.form.date) if one.form.date else known.clear(len(known)).cast(pl.Int64)
    if known.dtype.is_temporal():
        return to_ms(known, "")
    return known.cast(pl.Int64, strict=False)


def as_cells(cells: pl.Series) -> pl.Series:
    """Categories of a file with types as text; other values as they are."""
    return cells.cast(pl.String) if isinstance(cells.dtype, pl.Categorical | pl.Enum) else cells


def _has_dates(recipe: Recipe) -> bool:
    return any(one.form.kind == "date" for one in recipe.inputs)


def _values(one: InputRecipe, known: pl.Series, times: pl.Series | None) -> pl.Series:
    form = one.form
    if form.kind == "category":
        texts = known if known.dtype == pl.String else known.cast(pl.String)
        return texts.set(~texts.is_in(list(one.levels)).fill_null(True), OTHER) if one.levels else texts
    if form.kind == "date":
        if known.dtype != pl.String and not known.dtype.is_temporal():
            return pl.Series(known.name, [None] * len(known), pl.Float64)
        days = to_days(known, form.date or "%Y-%m-%d")
        return days if times is None else times.cast(pl.Float64) / 86_400_000.0 - days
    if form.kind == "boolean" and known.dtype == pl.String:
        lower = known.str.to_lowercase()
        return lower.replace_strict({form.yes: 1.0, form.no: 0.0}, default=None, return_dtype=pl.Float64)
    if known.dtype == pl.String or known.dtype.is_numeric() or known.dtype == pl.Boolean:
        return to_number(known, form.style)
    return pl.Series(known.name, [None] * len(known), pl.Float64)


def pack_names(columns: Sequence[str]) -> Iterator[str]:
    """Names a pack may use, in order: small letters, digits and _, at most 64, each once; made of the file's names."""
    taken: set[str] = set()
    for place, column in enumerate(columns, 1):
        words = normalize("NFKD", _HUMP.sub("_", column)).casefold()  # DebtRatio is debt_ratio, Größe is grosse.
        plain = "".join(one if one.isascii() and one.isalnum() else "_" for one in words if not combining(one))
        plain = "_".join(part for part in plain.split("_") if part)[:56] or f"column_{place}"
        name = stem = plain if plain[0].isalpha() else f"n_{plain}"
        number = 2
        while name in taken:
            name, number = f"{stem}_{number}", number + 1
        taken.add(name)
        yield name
