"""Where the events of a history come from, in the order in which they became known: files, or the platform's log."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.events.schema import KEYS_MAX, NUMBERS_MAX, EventDeclaration
from quanheng.features.backfill import places_of
from quanheng.features.fold import EventLayout, layout_of
from quanheng.kernel.errors import InputError, NotFound
from quanheng.kernel.files import Files
from quanheng.kernel.log.records import EVENT
from quanheng.models.history import NULL, layouts, mapped, texts_of
from quanheng.offline.frames import BATCH_ROWS, Names, keys, names_of_files, numbers, read_batches, times
from quanheng.offline.runs import RUN_BYTES, Runs
from quanheng.recovery import fact_columns

if TYPE_CHECKING:
    import polars as pl

    from quanheng.loading.declared import FileMapping
    from quanheng.reading import Reader


class Block(NamedTuple):
    """Events side by side, in the order of their offsets.

    offsets, known_ms : i8[n], both never decreasing; types, times, keys, numbers : as the kernel takes them
    next : where to go on after this block (`EventSource.blocks`)
    """

    offsets: NDArray[np.int64]
    known_ms: NDArray[np.int64]
    types: NDArray[np.int32]
    times: NDArray[np.int64]
    keys: NDArray[np.uint64]
    numbers: NDArray[np.int64]
    next: int


class EventSource(Protocol):
    """A history. `identity` says which one, so that a build goes on only with what it began with."""

    layouts: tuple[EventLayout, ...]
    names: Names
    identity: str

    def prepare(self, folder: Path, report: Report) -> None:
        """What must be done once before blocks can be read; again after it is done costs nothing."""

    @property
    def size(self) -> int:
        """Where the last block ends."""

    @property
    def last_known_ms(self) -> int:
        """When the last event became known."""

    def blocks(self, start: int) -> Iterator[Block]:
        """From `start` on (0, or the `next` of a block)."""


class Report(Protocol):
    """Called with the stage, what is done and the total."""

    def __call__(self, stage: str, done: int, total: int, /) -> None:
        """Show it."""


class FileEvents:
    """The events that a mapping makes of a file, sorted on disk by when they became known.

    The offset of an event is its number in that order. Keys are digests of the ids.
    """

    def __init__(
        self, file: Path, mapping: FileMapping, events: Sequence[EventDeclaration], run_bytes: int = RUN_BYTES
    ) -> None:
        self.file, self.mapping, self.events = file, mapping, {one.name: one for one in events}
        self.layouts, self.names = layouts(events), names_of_files
        if not file.is_file():
            raise NotFound("there is no such file", where="--events", found=str(file), cure="Correct the path.")
        told = os.stat(file)
        self.identity = f"{file.resolve()} {told.st_size} {told.st_mtime_ns} {mapping.name}"
        self._keys_n = max(len(one.keys) for one in self.layouts)
        self._numbers_n = max(len(one.numbers) for one in self.layouts)
        self._width = 5 + 2 * self._keys_n + self._numbers_n
        self._run_bytes = run_bytes
        self._size, self._last_ms = 0, -(2**62)

    def prepare(self, folder: Path, report: Report) -> None:
        """Sort the file into runs: words are when known, rank, row, type, time, keys, numbers."""
        self._runs, done = Runs(folder, self._width, 3, self._run_bytes), folder / "done.json"
        if not done.is_file():
            self._runs.keep(0)
            self._sort(report)
            if not self._runs.files():  # One run, which stays in memory.
                return
            self._runs.flush()
            told = {"size": self._size, "last_known_ms": self._last_ms}
            Files().write_durably(done, msgspec.json.encode(told))
        told = msgspec.json.decode(done.read_bytes())
        self._size, self._last_ms = int(told["size"]), int(told["last_known_ms"])

    def _sort(self, report: Report) -> None:
        self._size, self._last_ms = 0, -(2**62)
        for rows in read_batches(self.file, texts_of(self.mapping, self.events)):
            frame = mapped(rows, self.file, self.mapping, self.events)
            if not len(frame):
                continue
            found = self._words(frame)
            self._runs.add(found)
            self._size += len(found)
            self._last_ms = max(self._last_ms, int(found[:, 0].max()))
            report("sorting events", self._size, self._size)

    def _words(self, frame: pl.DataFrame) -> NDArray[np.int64]:
        words = np.full((len(frame), self._width), NULL, np.int64)
        words[:, 0] = times(frame["arrive_ms"], f"{self.file}: arrive_ms", self._size)
        words[:, 1] = frame["_delayed"].to_numpy().astype(np.int64) * 2**16 + frame["_rank"].to_numpy()
        words[:, 2] = np.arange(self._size, self._size + len(frame))
        words[:, 5 : 5 + 2 * self._keys_n] = 0
        for layout in self.layouts:
            chosen = (frame["type"] == layout.name).to_numpy()
            if not chosen.any():
                continue
            part, declared = frame.filter(chosen), self.events[layout.name]
            words[chosen, 3] = layout.code
            words[chosen, 4] = times(part[declared.time], f"{self.file}: {declared.time}", self._size)
            for place, name in enumerate(layout.keys):
                if name in part.columns:
                    pairs = keys(part[name], declared.fields[name].entity, self.names, f"{self.file}: {name}")
                    words[chosen, 5 + 2 * place : 7 + 2 * place] = pairs.view(np.int64)
            for place, (name, scale) in enumerate(
                zip(layout.numbers, layout.scales or (0,) * len(layout.numbers), strict=True)
            ):
                at, choices = 5 + 2 * self._keys_n + place, declared.fields[name].choices
                if name in part.columns and choices:
                    words[chosen, at] = places_of(part[name], choices)
                elif name in part.columns:
                    words[chosen, at] = numbers(part[name], scale, f"{self.file}: {name}")
        return words

    @property
    def size(self) -> int:
        """Events in the file."""
        return self._size

    @property
    def last_known_ms(self) -> int:
        """When the last one became known."""
        return self._last_ms

    def blocks(self, start: int) -> Iterator[Block]:
        """Events from number `start` on."""
        for rows in self._runs.merged(skip=start):
            last = start + len(rows)
            key_words = np.ascontiguousarray(rows[:, 5 : 5 + 2 * self._keys_n]).view(np.uint64)
            yield Block(
                np.arange(start, last),
                rows[:, 0],
                rows[:, 3].astype(np.int32),
                np.ascontiguousarray(rows[:, 4]),
                key_words.reshape(len(rows), self._keys_n, 2),
                np.ascontiguousarray(rows[:, 5 + 2 * self._keys_n :]),
                last,
            )
            start = last


class LogEvents:
    """The events of the platform's log, from their clear headers: no key of a subject is needed.

    Keys of a spine become pseudonyms by the key ring. `known_ms` is when the writer received the event.
    """

    def __init__(self, reader: Reader, events: Sequence[EventDeclaration], codes: Mapping[str, int]) -> None:
        unknown = [one.name for one in events if one.name not in codes]
        if unknown:
            raise InputError(
                "the log knows no such event", where="log", found=", ".join(unknown),
                allowed=", ".join(sorted(codes)) or "none: no pack was ever active",
                cure="Give the data folder in which the pack is active.",
            )  # fmt: skip
        self.layouts = tuple(layout_of(one, codes[one.name]) for one in events)
        self.names = lambda entity, ids: np.frombuffer(
            b"".join(reader.ring.pseudonyms(entity, ids)), dtype="<u8"
        ).reshape(-1, 2)
        self._log, self._head = reader.log, reader.log.head
        self._last_ms = -(2**62)
        self._keys_n = max(len(one.keys) for one in self.layouts)
        self._numbers_n = max(len(one.numbers) for one in self.layouts)
        self.identity = f"log {reader.log.digest_at(self._head).hex()} {self._head}"

    def prepare(self, folder: Path, report: Report) -> None:
        """Nothing but to see when its last record came."""
        if self._head:
            self._last_ms = int(self._log.record(self._head - 1).received_ms)

    @property
    def size(self) -> int:
        """Records in the log when the build began."""
        return self._head

    @property
    def last_known_ms(self) -> int:
        """When the last record was received."""
        return self._last_ms

    def blocks(self, start: int) -> Iterator[Block]:
        """Events from log offset `start` on."""
        widths = _Widths(max(1, self._keys_n), max(1, self._numbers_n))
        for first, columns in self._log.read_columns(start, KEYS_MAX, NUMBERS_MAX, self._head, BATCH_ROWS):
            facts = fact_columns(columns, widths)  # type: ignore[arg-type]
            rows = np.flatnonzero(facts.kind == EVENT)
            yield Block(
                first + rows, columns.received_ms[rows], facts.type[rows], facts.time_ms[rows],
                facts.keys[rows][:, : self._keys_n], facts.numbers[rows][:, : self._numbers_n], first + len(columns),
            )  # fmt: skip


class _Widths(NamedTuple):
    keys_max: int
    numbers_max: int
