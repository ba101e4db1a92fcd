"""The same training set from an SQL engine: folds by DuckDB or Spark, floats and formulas as ever."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.features.kernel.words import NULL
from quanheng.features.sql.frames import event_frame, key_columns, moment_frame
from quanheng.features.sql.reasons import Backend, check
from quanheng.features.sql.run import connect, raw_columns
from quanheng.offline.build import Build, Kept, no_events
from quanheng.offline.events import Block, Report
from quanheng.offline.runs import Ahead, Runs
from quanheng.offline.spine import HEAD

if TYPE_CHECKING:
    from quanheng.loading.declared import Declared

ENGINES: dict[str, Backend] = {"duckdb": "duckdb", "spark": "pyspark"}


class SqlBuild(Build):
    """A build whose folds an SQL engine computes. Its answers are held in memory; an interrupted one starts again.

    Attributes
    ----------
    by_range : folds that were asked by RANGE windows; the others by joins
    """

    def __init__(self, declared: Declared, *arguments: Any, engine: str, **options: Any) -> None:
        super().__init__(declared, *arguments, **options)
        self.backend = ENGINES[engine]
        self.by_range: list[str] = []
        self.calendars = declared.calendars
        check(self.wanted.plan.folds, self.backend, self.wanted.plan.layouts)

    def answer(self, kept: Kept, report: Report) -> Kept:
        """Write events and moments as tables, ask the engine, and keep the answers."""
        folder = self.folder / "tables"
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        kept.own = 0
        self._last_offset = -1
        moments = Ahead(self.spine.moments(0), self.spine.width)
        for number, block in enumerate(self.source.blocks(0)):
            self.write_tables(folder, number, block, moments.before(self.upto(block)), kept)
            report("tables", block.next, self.source.size)
        rest = moments.before(None)
        self.write_tables(folder, 10**6, no_events(self.wanted.plan, self.source.size), rest, kept)
        connection = connect(self.backend)
        events = connection.read_parquet(str(folder / "events-*.parquet"))
        moments_asked = connection.read_parquet(str(folder / "moments-*.parquet"))
        raw, self.by_range = raw_columns(self.wanted.plan, events, moments_asked, self.backend, self.calendars)
        report("engine", len(raw), len(raw))
        asked = pl.read_parquet(folder / "moments-*.parquet").sort("_row")
        numbers = np.empty((len(asked), 0), np.int64)
        if self.layout.numbers:
            numbers = asked.select(pl.col("^#.*$").fill_null(NULL)).to_numpy()
        self.answers = answers = Runs(self.folder / "answers", 1 + len(self.wanted.names), 1, self.run_bytes)
        answers.keep(0)
        answers.add(self.columns(raw.drop("_row").to_numpy(), numbers, raw["_row"].to_numpy()))
        return kept

    def write_tables(self, folder: Path, number: int, block: Block, due: NDArray[np.int64], kept: Kept) -> None:
        """One block of events and the moments that are asked within it, as files."""
        layouts = [one for one in self.wanted.plan.layouts if one.code != self.probe]
        frame = event_frame(layouts, block.offsets, block.types, block.times, block.keys, block.numbers)
        frame.write_parquet(folder / f"events-{number:07d}.parquet")
        offset = bool(self.spine.columns.offset)
        at = np.searchsorted(block.offsets if offset else block.known_ms, due[:, 0], side="left" if offset else "right")
        own = self.own(block, due, at)
        event = np.minimum(at, max(len(block.offsets) - 1, 0))
        keys, times = self.said_keys(due), due[:, 2].copy()
        numbers = due[:, HEAD + 2 * len(self.layout.keys) :].copy()
        keys[own] = block.keys[event[own]][:, : keys.shape[1]]
        times[own], numbers[own] = block.times[event[own]], block.numbers[event[own]][:, : numbers.shape[1]]
        before = np.concatenate([[self._last_offset], block.offsets])  # What was known before each place.
        upto = np.where(own, due[:, 0], before[at])
        named = {name: numbers[:, place] for place, name in enumerate(self.layout.numbers)}
        own_offset = np.where(own, due[:, 0], -1)
        frame = moment_frame(due[:, 1], times, upto, own_offset, key_columns(self.layout, keys), named)
        frame.write_parquet(folder / f"moments-{number:07d}.parquet")
        self._last_offset = int(before[-1])
        kept.own += int(own.sum())
