"""From a table's columns to the numbers that trees split on; fitted on training rows, and on nothing else.

A number goes in as it is. A category becomes an ordered number by its target statistic (Micci-Barreca 2001),

    s(k) = (events of k + a * share) / (rows of k + a),

with `share` of events over all rows and a = 10. A row of its own category would see its own target in it. Where a
category has few rows that leaks: such columns get out-of-fold statistics on the training rows, each row's from the nine
tenths it is not in (drawn by seed), or, where rows have times, from the rows before it alone (ordered statistics,
Prokhorenkova and others 2018, section 3.2). A category has few rows if the column has more than one category per
50 rows. What training never saw has the statistic `share`; a missing value stays missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.models.table import Column, Table

SMOOTHING = 10.0
ROWS_PER_CATEGORY = 50
FOLDS = 10


class Input(NamedTuple):
    """One number that trees read.

    name : unique; the column's own name, or with `codes` behind it
    column : place of the column it comes from
    part : `number`, `plain` (a number without its codes), `codes` (the place of its code), `category`
    """

    name: str
    column: int
    part: str


class Encoding(NamedTuple):
    """How rows become numbers.

    inputs : in the order of the matrix
    categories : by input name, category → statistic
    share : of events in training, for categories that training never saw
    """

    columns: tuple[Column, ...]
    inputs: tuple[Input, ...]
    categories: Mapping[str, Mapping[str, float]]
    share: float

    def matrix(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """f8[n, inputs], NaN = missing; the encoding of rows whose targets are not known."""
        out = np.empty((rows.height, len(self.inputs)))
        for at, one in enumerate(self.inputs):
            cells = rows[self.columns[one.column].name]
            if one.part == "category":
                out[:, at] = _looked_up(cells, self.categories[one.name], self.share)
            else:
                out[:, at] = _part(_numbers(cells), self.columns[one.column].specials, one.part)
        return out

    def by_column(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """f8[n, columns] of f8[n, inputs]: the sum over what was made of each column."""
        out = np.zeros((len(values), len(self.columns)))
        for at, one in enumerate(self.inputs):
            out[:, one.column] += values[:, at]
        return out

    def header(self) -> dict[str, Any]:
        """As JSON values; floats as hexadecimal text, which reads back bit for bit."""
        return {
            "columns": [
                [one.name, one.kind, one.missing, one.distinct, [code.hex() for code in one.specials]]
                for one in self.columns
            ],
            "inputs": [list(one) for one in self.inputs],
            "categories": {
                name: [[key, value.hex()] for key, value in sorted(table.items())]
                for name, table in self.categories.items()
            },
            "share": self.share.hex(),
        }

    @staticmethod
    def of_header(header: Mapping[str, Any]) -> Encoding:
        """What `header` gave."""
        columns = tuple(
            Column(name=name, kind=kind, missing=missing, distinct=distinct, specials=tuple(map(float.fromhex, codes)))
            for name, kind, missing, distinct, codes in header["columns"]
        )
        categories = {
            name: {key: float.fromhex(value) for key, value in pairs} for name, pairs in header["categories"].items()
        }
        inputs = tuple(Input(*one) for one in header["inputs"])
        return Encoding(columns, inputs, categories, float.fromhex(header["share"]))


def fit_encoding(table: Table, apart: Sequence[str] = ()) -> Encoding:
    """The encoding of a table's training rows.

    Parameters
    ----------
    apart : number columns whose special codes become an input of their own, so that the number's can be monotone
    """
    inputs: list[Input] = []
    categories: dict[str, dict[str, float]] = {}
    share = float(table.target.mean())
    for place, column in enumerate(table.columns):
        if column.kind == "category":
            inputs.append(Input(column.name, place, "category"))
            categories[column.name] = _statistics(table.rows[column.name], table.target, share)
        elif column.name in apart and column.specials:
            inputs += [Input(column.name, place, "plain"), Input(f"{column.name} codes", place, "codes")]
        else:
            inputs.append(Input(column.name, place, "number"))
    return Encoding(table.columns, tuple(inputs), categories, share)


def training_matrix(encoding: Encoding, table: Table, seed: int) -> NDArray[np.float64]:
    """f8[n, inputs] of the rows the encoding was fitted on: where a category has few rows, without their own target."""
    out = encoding.matrix(table.rows)
    for at, one in enumerate(encoding.inputs):
        statistics = encoding.categories.get(one.name, {})
        if one.part == "category" and len(statistics) * ROWS_PER_CATEGORY > table.rows.height:
            cells = table.rows[one.name]
            if table.times is not None:
                out[:, at] = ordered_statistics(cells, table.target, table.times, encoding.share)
            else:
                out[:, at] = _out_of_fold(cells, table.target, seed + at)
    return out


def ordered_statistics(
    cells: pl.Series, target: NDArray[np.bool_], times: NDArray[np.int64], share: float
) -> NDArray[np.float64]:
    """f8[n]: each row's statistic from rows of an earlier moment, NaN = missing."""
    frame = pl.DataFrame({"key": cells, "time": times, "event": target.astype(np.float64)})
    moments = frame.group_by("key", "time").agg(pl.len().alias("rows"), pl.col("event").sum()).sort("time")
    earlier = moments.with_columns(
        (pl.col(name).cum_sum() - pl.col(name)).over("key").alias(name) for name in ("rows", "event")
    )
    joined = frame.select("key", "time").join(
        earlier, on=["key", "time"], how="left", nulls_equal=True, maintain_order="left"
    )
    events, rows = (joined[name].cast(pl.Float64).to_numpy() for name in ("event", "rows"))
    return np.where(cells.is_null().to_numpy(), np.nan, (events + SMOOTHING * share) / (rows + SMOOTHING))


def _out_of_fold(cells: pl.Series, target: NDArray[np.bool_], seed: int) -> NDArray[np.float64]:
    fold = np.random.default_rng(seed).permutation(len(cells)) % FOLDS
    out = np.full(len(cells), np.nan)
    for one in range(FOLDS):
        here, rest = fold == one, fold != one
        if here.any() and rest.any():
            share = float(target[rest].mean())
            statistics = _statistics(cells.filter(pl.Series(rest)), target[rest], share)
            out[here] = _looked_up(cells.filter(pl.Series(here)), statistics, share)
    return out


def _statistics(cells: pl.Series, target: NDArray[np.bool_], share: float) -> dict[str, float]:
    frame = pl.DataFrame({"key": cells, "event": target.astype(np.int64)}).drop_nulls("key")
    counted = frame.group_by("key").agg(pl.col("event").sum(), pl.len().alias("rows"))
    return {key: (events + SMOOTHING * share) / (rows + SMOOTHING) for key, events, rows in counted.iter_rows()}


def _looked_up(cells: pl.Series, statistics: Mapping[str, float], share: float) -> NDArray[np.float64]:
    if statistics:
        texts = cells.cast(pl.String)
        found = texts.replace_strict(dict(statistics), default=share, return_dtype=pl.Float64).to_numpy()
    else:
        found = np.full(len(cells), share)
    return np.where(cells.is_null().to_numpy(), np.nan, found)


def _numbers(cells: pl.Series) -> NDArray[np.float64]:
    return cells.cast(pl.Float64).fill_null(np.nan).to_numpy()


def _part(values: NDArray[np.float64], codes: Sequence[float], part: str) -> NDArray[np.float64]:
    if part == "number":
        return values
    if part == "plain":
        return np.where(np.isin(values, codes), np.nan, values)
    places = np.full(len(values), np.nan)
    for at, code in enumerate(codes):
        places[values == code] = at
    return places
