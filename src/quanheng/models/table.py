"""A table that models are fitted on: columns of numbers and of categories, and a target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["number", "category"]


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One input as it was found in the table.

    kind : `number` is Float64 in `Table.rows`, `category` is String; null = missing in both
    missing, distinct : rows without a value; different values among the others
    specials : numbers that are codes and no quantities (-1 = never had a card), each a bin of its own
    """

    name: str
    kind: Kind
    missing: int = 0
    distinct: int = 0
    specials: tuple[float, ...] = ()


class Table(NamedTuple):
    """Rows to fit on or to measure with.

    rows : one column for each of `columns`, in that order
    target : bool[n], true = the event that is predicted (a default)
    columns : what the inputs are
    times : i8[n] ms UTC where the table says when each row was decided, else None; orders time-ordered validation
    """

    rows: pl.DataFrame
    target: NDArray[np.bool_]
    columns: tuple[Column, ...]
    times: NDArray[np.int64] | None = None

    def take(self, places: NDArray[np.intp]) -> Table:
        """The rows at `places` i8[m], in that order. The columns keep what was counted over the whole table."""
        times = None if self.times is None else self.times[places]
        return Table(self.rows[places], self.target[places], self.columns, times)
