"""Columns that are no inputs: empty, constant, row numbers and keys, doubles of others, too many categories."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import polars as pl

from quanheng.models.tables.findings import Finding, count, shown

LEVELS_MAX = 50
LEVEL_ROWS_MIN = 10
KEY_SHARE = 0.5
_KEY_NAME = re.compile(
    r"(^|[_\W])(id|key|no|nr|number|num|uuid|guid|index|row|编号|序号|证件号|身份证|手机号)($|[_\W])", re.IGNORECASE
)
_CAMEL_KEY = re.compile(r"[a-z](ID|Id|Key|No|Number)$")


def unusable(name: str, cells: pl.Series, dated: bool = False) -> Finding | None:
    """Why a column is left out, or None.

    Parameters
    ----------
    name : as the file has it
    cells : String or Float64, missing = null
    dated : the numbers are days
    """
    known = cells.drop_nulls()
    n, distinct = len(known), known.n_unique()
    if not n:
        return Finding(kind="empty", where=name, found="no row has a value", done="left out")
    if distinct == 1 and n == len(cells):
        return Finding(kind="constant", where=name, found=f"every row has {_text(known[0])}", done="left out")
    if n < 20 or dated:
        return None
    if cells.dtype == pl.String:
        if distinct == n:
            return Finding(kind="identifier", where=name, found="another value in every row", done="left out")
        return None
    return _key(name, cells, known, distinct)


def _key(name: str, cells: pl.Series, known: pl.Series, distinct: int) -> Finding | None:
    """A number for each row: counted up, or called an identifier."""
    values = known.to_numpy()
    if distinct < len(values) or len(values) < len(cells) or (values != np.round(values)).any():
        return None
    steps = np.diff(values)
    if (steps > 0).all() or (steps < 0).all():
        found = "whole numbers that only rise or fall from row to row"
    elif values.max() - values.min() + 1 == len(values):
        found = "the numbers of the rows in another order"
    elif _KEY_NAME.search(name) or _CAMEL_KEY.search(name):
        found = "another whole number in every row, and the name of a key"
    else:
        return None
    return Finding(kind="identifier", where=name, found=found, done="left out")


def kept_levels(name: str, cells: pl.Series) -> tuple[tuple[str, ...], Finding | None]:
    """(categories to keep, what is told): all (empty) up to 50; else the frequent ones; none to keep: leave it out.

    A category is frequent with 10 rows or more. A column in which half of the rows or more have a category of
    their own is left out, and so is one without two frequent categories.
    """
    counts = cells.drop_nulls().value_counts(sort=True)
    levels, rows = counts[cells.name].to_list(), counts["count"].to_list()
    if len(levels) <= LEVELS_MAX:
        return (), None
    found = f"{count(len(levels), 'category', 'categories')} in {sum(rows):,} rows"
    pairs = sorted(zip(levels, rows, strict=True), key=lambda pair: (-pair[1], pair[0]))
    frequent = tuple(level for level, n in pairs[: LEVELS_MAX - 1] if n >= LEVEL_ROWS_MIN)
    if len(levels) > KEY_SHARE * sum(rows) or len(frequent) < 2:
        return (), Finding(kind="levels", where=name, found=found, done="left out", severity="warning")
    rest = sum(rows) - sum(n for level, n in pairs if level in set(frequent))
    done = f"the {len(frequent)} most frequent are kept, {count(rest, 'row')} of the others are '(other)'"
    return frequent, Finding(kind="levels", where=name, found=found, done=done)


def duplicate_columns(rows: pl.DataFrame) -> dict[str, str]:
    """Columns that equal an earlier one in every row: name → the earlier."""
    seen: dict[object, list[str]] = {}
    found = {}
    for name in rows.columns:
        mark = (rows[name].dtype, rows[name].null_count(), rows[name].hash(seed=1).sum())
        twin = next((one for one in seen.get(mark, []) if rows[one].equals(rows[name])), None)
        if twin is None:
            seen.setdefault(mark, []).append(name)
        else:
            found[name] = twin
    return found


def duplicate_rows(rows: pl.DataFrame, target: np.ndarray) -> Finding | None:
    """Rows that occur again, and those among them that disagree about the target."""
    every = rows.with_columns(pl.Series("\x00target", target))
    again = len(rows) - every.n_unique()
    if not again:
        return None
    inputs = rows.n_unique()
    contradicting = every.n_unique() - inputs
    found = f"{count(again, 'row')} ({again / len(rows):.1%}) equal an earlier one in all inputs and the target"
    found += f"; {count(contradicting, 'combination')} of inputs have both outcomes" if contradicting else ""
    severity: str = "warning" if again > 0.01 * len(rows) else "note"
    return Finding(
        kind="duplicate_rows", where="table", found=found, severity=severity,  # type: ignore[arg-type]
        done="kept: copies in other folds make the figures too good",
    )  # fmt: skip


def renamed(names: Mapping[str, str]) -> Finding | None:
    """Names that were changed for a pack."""
    changed = [f"{column} → {name}" for column, name in names.items() if column != name]
    if not changed:
        return None
    return Finding(kind="name", where="table", found="names that a pack cannot use", done=shown(changed, 60))


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)
