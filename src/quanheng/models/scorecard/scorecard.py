"""A scorecard in memory: probabilities, points, reasons and contributions of rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.models.scorecard.lookup import FIRST_REASON, POINTS, PROBABILITY, REASONS, Lookup
from quanheng.models.scorecard.weights import Scored, Weights, read_weights, write_weights
from quanheng.models.table import Column
from quanheng.models.trees import content_hash

Floats = NDArray[np.float64]


class Scorecard:
    """A fitted scorecard (`models.estimator.Fitted`)."""

    estimator = "scorecard"

    def __init__(self, weights: Weights) -> None:
        self.weights = weights

    @property
    def columns(self) -> Sequence[Column]:
        """The columns that entered, in order."""
        return [one.column for one in self.weights.characteristics]

    @property
    def base(self) -> float:
        """Log-odds of a row whose bins all have weight of evidence 0."""
        return self.weights.base

    @cached_property
    def _lookup(self) -> Lookup:
        return Lookup(self.weights)

    def probability(self, rows: pl.DataFrame) -> Floats:
        """f8[n]: probability of the event, from exact log-odds and not from rounded points."""
        return np.ascontiguousarray(self._answers(rows)[:, PROBABILITY])

    def points(self, rows: pl.DataFrame) -> NDArray[np.int64]:
        """i8[n]: the score of each row, a sum of integers."""
        return self._answers(rows)[:, POINTS].astype(np.int64)

    def reasons(self, rows: pl.DataFrame, most: int = REASONS) -> list[list[str]]:
        """Up to `most` codes per row, the greatest loss of points first."""
        names = self.weights.reasons
        found = self._answers(rows)[:, FIRST_REASON : FIRST_REASON + most]
        return [[names[int(one)] for one in row if not np.isnan(one)] for row in found]

    def contributions(self, rows: pl.DataFrame) -> Floats:
        """f8[n, inputs]: what the bin of each input adds to the log-odds; exact, as bins add up by definition."""
        places = self.places(rows)
        out = np.empty(places.shape)
        for at, one in enumerate(self.weights.characteristics):
            out[:, at] = np.array([bin.log_odds for bin in one.bins])[places[:, at]]
        return out

    def places(self, rows: pl.DataFrame) -> NDArray[np.int64]:
        """i8[n, inputs]: which bin each input falls into, for stability (PSI) of characteristics."""
        return self._lookup.places(self.flat(rows))

    def calibrated(self, rows: pl.DataFrame) -> Floats:
        """f8[n]: probability by the isotonic table where the scorecard has one, else `probability`."""
        table = self.weights.calibration
        if table.method != "isotonic":
            return self.probability(rows)
        at = np.searchsorted(np.array(table.lows), self.points(rows), side="right") - 1
        found: Floats = np.array(table.probabilities)[np.maximum(at, 0)]
        return found

    def to_bytes(self) -> bytes:
        """The weights file."""
        return write_weights(self.weights)

    @property
    def hash(self) -> str:
        """Content hash of the weights file."""
        return content_hash(self.to_bytes())

    @staticmethod
    def from_bytes(content: bytes, where: str = "scorecard") -> Scorecard:
        """Read a weights file.

        Raises
        ------
        InputError : the bytes are no such file
        """
        return Scorecard(read_weights(content, where))

    def flat(self, rows: pl.DataFrame) -> Floats:
        """Rows as the look-up reads them: one column behind another, categories as codes.

        Raises
        ------
        InputError : a column is not there
        """
        absent = [one.name for one in self.columns if one.name not in rows.columns]
        if absent:
            raise InputError(
                "the rows lack columns that the scorecard reads",
                where="scorecard",
                found=", ".join(rows.columns),
                allowed=", ".join(one.name for one in self.columns),
                cure=f"Give {', '.join(absent)}; null where it is not known.",
            )
        parts = [_coded(one, rows[one.column.name]) for one in self.weights.characteristics]
        return np.concatenate(parts) if parts else np.empty(0)

    def _answers(self, rows: pl.DataFrame) -> Floats:
        return self._lookup.answers(self.flat(rows))


def _coded(one: Scored, values: pl.Series) -> Floats:
    if one.column.kind == "number":
        return values.cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
    table = {value: float(at) for at, value in enumerate(one.categories)}
    found = values.cast(pl.String).to_list()
    return np.array([np.nan if value is None else table.get(value, -1.0) for value in found])
