"""The spine of a training set: which moments of which keys are asked for, checked and sorted on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.events.schema import EventDeclaration
from quanheng.features.fold import EventLayout
from quanheng.features.kernel.words import TIME_MAX
from quanheng.kernel.errors import InputError
from quanheng.kernel.files import Files
from quanheng.models.history import NULL
from quanheng.offline.frames import Names, keys, lacks, numbers, read_batches, times
from quanheng.offline.runs import RUN_BYTES, Runs

HEAD = 4
"""Words before the keys: place in the order of the history, row of the spine, time, whether keys and time are given."""


class SpineColumns(NamedTuple):
    """How the columns of a spine are called.

    time : the moment; known : until when events must have become known (default: the moment itself)
    offset : offset of the decided event itself, or of the record before which the question is asked
    """

    time: str
    known: str = ""
    offset: str = ""


class Spine:
    """The rows of a spine as moments: sorted by their place in the history, and as they came.

    Parameters
    ----------
    file : .parquet, .csv or .jsonl
    event, layout : the decided event type, whose key and number fields the columns are named after
    needed : columns that the features need, each with what it is for
    """

    def __init__(
        self,
        file: Path,
        columns: SpineColumns,
        event: EventDeclaration,
        layout: EventLayout,
        needed: Mapping[str, str],
        names: Names,
        run_bytes: int = RUN_BYTES,
    ) -> None:
        self.file, self.columns, self.event, self.layout = file, columns, event, layout
        self.needed, self.names = needed, names
        self._texts = [*layout.keys]
        self.width = HEAD + 2 * len(layout.keys) + len(layout.numbers)
        self._run_bytes = run_bytes

    def batches(self) -> Iterator[pl.DataFrame]:
        """The rows as they came."""
        return read_batches(self.file, self._texts)

    def prepare(self, folder: Path, size: int, last_known_ms: int) -> None:
        """Check every row and sort them; a history of `size` offsets ends at `last_known_ms`.

        Raises
        ------
        InputError : a column is missing or of another type, a row has no moment, or asks for one after the history
        """
        self._runs, done = Runs(folder, self.width, 2, self._run_bytes), folder / "done.json"
        if not done.is_file():
            self._runs.keep(0)
            self.rows = 0
            for batch in self.batches():
                self._check_columns(batch.columns)
                words = self._words(batch)
                self._check_reach(words, size, last_known_ms)
                self._runs.add(words)
                self.rows += len(batch)
            if not self.rows:
                raise InputError("the spine holds no rows", where=str(self.file), cure="Give at least one moment.")
            if not self._runs.files():  # One run, which stays in memory.
                return
            self._runs.flush()
            Files().write_durably(done, msgspec.json.encode(self.rows))
        self.rows = int(msgspec.json.decode(done.read_bytes()))

    def moments(self, skip: int) -> Iterator[NDArray[np.int64]]:
        """Rows of words in the order of the history, without the first `skip`."""
        return self._runs.merged(skip)

    def _check_columns(self, found: Sequence[str]) -> None:
        columns, where = self.columns, str(self.file)
        if columns.offset:
            lacks(found, {columns.offset: "the log offset"}, where, "Name it with --offset.")
            if columns.time not in found:  # Then every row must be an event of the history.
                return
        needed = {columns.time: "the moment"} | ({columns.known: "known at"} if columns.known else {})
        cure = "Add them, or ask for other features with --features; --time names the moment."
        lacks(found, needed | dict(self.needed), where, cure)

    def _words(self, batch: pl.DataFrame) -> NDArray[np.int64]:
        columns, where = self.columns, str(self.file)
        words = np.full((len(batch), self.width), NULL, np.int64)
        words[:, 1] = np.arange(self.rows, self.rows + len(batch))
        given = columns.time in batch.columns
        words[:, 3] = given
        keys_end = HEAD + 2 * len(self.layout.keys)
        words[:, HEAD:keys_end] = 0
        if given:
            words[:, 2] = times(batch[columns.time], f"{where}: {columns.time}", self.rows)
            self._check_range(words[:, 2])
            for place, name in enumerate(self.layout.keys):
                if name in batch.columns:
                    at = HEAD + 2 * place
                    entity = self.event.fields[name].entity
                    words[:, at : at + 2] = keys(batch[name], entity, self.names, f"{where}: {name}").view(np.int64)
            self._put_numbers(batch, words, keys_end)
        words[:, 0] = self._places(batch, words)
        return words

    def _put_numbers(self, batch: pl.DataFrame, words: NDArray[np.int64], first: int) -> None:
        scales = self.layout.scales or (0,) * len(self.layout.numbers)
        for place, (name, scale) in enumerate(zip(self.layout.numbers, scales, strict=True)):
            if name == self.event.time:
                words[:, first + place] = words[:, 2]
            elif name in batch.columns and name in self.needed and name in self.layout.amounts:
                words[:, first + place] = numbers(batch[name], scale, f"{self.file}: {name}")

    def _places(self, batch: pl.DataFrame, words: NDArray[np.int64]) -> NDArray[np.int64]:
        columns = self.columns
        if columns.offset:
            column = batch[columns.offset]
            if not column.dtype.is_integer() or column.null_count():
                raise InputError(
                    "the column does not hold offsets", where=f"{self.file}: {columns.offset}",
                    found=f"{column.dtype}, {column.null_count()} nulls", allowed="integers without nulls",
                    cure="Give the offset of each row, or leave --offset out.",
                )  # fmt: skip
            return column.cast(pl.Int64).to_numpy()
        if columns.known:
            return times(batch[columns.known], f"{self.file}: {columns.known}", self.rows)
        return words[:, 2]

    def _check_range(self, moments: NDArray[np.int64]) -> None:
        wrong = np.flatnonzero(np.abs(moments) > TIME_MAX)
        if len(wrong):
            raise InputError(
                "the moment is out of range", where=f"{self.file}: {self.columns.time}, row {self.rows + wrong[0]}",
                found=str(moments[wrong[0]]), allowed=f"{-TIME_MAX} to {TIME_MAX} ms", cure="Give ms UTC.",
            )  # fmt: skip

    def _check_reach(self, words: NDArray[np.int64], size: int, last_known_ms: int) -> None:
        """What comes after the history is not known: an answer would leave out what is still to come."""
        places, offset = words[:, 0], bool(self.columns.offset)
        last, first = (size, 0) if offset else (last_known_ms, -TIME_MAX)
        wrong = np.flatnonzero((places > last) | (places < first))
        if len(wrong):
            unit = "offset" if offset else "ms"
            raise InputError(
                "the row asks for a moment that the history does not reach",
                where=f"{self.file}, row {self.rows + int(wrong[0])} (and {len(wrong) - 1} more)",
                found=f"{unit} {places[wrong[0]]}",
                allowed=f"{unit} {first} to {last}",
                cure="Leave such rows out, or give a longer history.",
            )
