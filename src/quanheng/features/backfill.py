"""A whole history in log order through the same kernel: the vectors that live decisions would have had.

Chunks of a frame become the kernel's arrays, the state is carried from chunk to chunk, and what comes back is a table.
A row sees exactly the rows before it in the frame: order the frame by when each event became known, not by its time.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from quanheng.features.arena import zeroed
from quanheng.features.fold import EventLayout
from quanheng.features.kernel.hashing import hash_integers
from quanheng.features.kernel.words import CHUNK, LARGE, NULL
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureOverflow, FeatureState, overflow_of
from quanheng.kernel.errors import InputError, QuanhengError

_ROOM_WORDS, _ROOM_MOST = 8, 1 << 27  # Of the arena at first, per event and at most (1 GB, of which only what is used).

_LINE = 8  # Words of a cache line.
_COUNTED = 1 << 15  # Numbers that stay in the cache.

Progress = Callable[[int, int], None]
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # Types, times, keys, numbers.


def backfill(
    plan: Plan,
    events: pl.DataFrame,
    *,
    type: str = "type",
    time: str = "time",
    columns: Mapping[str, str] | None = None,
    values: Literal["float", "raw"] = "float",
    read: str | None = None,
    state: FeatureState | None = None,
    chunk_rows: int = CHUNK,
    progress: Progress | None = None,
    threads: int | None = None,
) -> pl.DataFrame:
    """Vectors of every decided event of a frame.

    Parameters
    ----------
    plan : compiled folds
    events : one row per event, in log order (the order in which they became known)
    type : column with the names (or codes) of the event types; may be missing if the plan has one layout
    time : column with the time that places the event: integer ms UTC, or Datetime (naive = UTC)
    columns : name of the column for each key or number field; default: the field's own name. Keys: integers, strings
        (both hashed to 128 bits) or Binary of 16 bytes (taken as they are: pseudonyms). Choices: texts. Numbers:
        integers, booleans, Decimal (scaled by the layout); floats are refused, because they would not be exact
    values : "float" = one Float64 column per fold as `Plan.floats`; "raw" = Int64 columns as `FeatureState.run`, with
        its NULL (-2**63) and UNKNOWN
    read : Boolean column of the rows whose vector is wanted; default: every decided event
    state : to continue from and leave behind; default: empty
    chunk_rows : rows at a time
    progress : called with (rows done, rows in all) after each chunk
    threads : most threads that fold, 1 or more; default: the cores that the process may use. Tables (event type and
        key of a fold) are dealt out to them, so that more threads than tables are of no use. One thread folds where a
        state is given, where a fold needs the log order of other tables, and frames or chunks below 4,096 rows. The
        answers are the same bits, whatever the number

    Returns
    -------
    A frame with `row` (position in `events`) and the columns, one row per vector.

    Raises
    ------
    InputError : a column is missing or has a type that is not allowed, or `threads` is below 1
    FeatureOverflow : a sum does not fit 64 bits; `event` is the row in the frame
    """
    most = min(cores() if threads is None else _checked(threads), len(plan.tables))
    if state is not None or not FeatureState.can_share(plan, min(len(events), chunk_rows)):
        most = 1
    reader = _Reader(plan, events, type, time, dict(columns or {}), buffers_n=2 if most > 1 else 1)
    wanted = reader.decided if read is None else reader.decided & events[read].fill_null(False).to_numpy()
    work = _Work(plan, reader, None if read is None else wanted, values, _room(plan, len(events), values))
    told = progress or _tell_nobody
    if most > 1:
        try:
            _fold_shares(work, _chunks(len(events), chunk_rows, LARGE), most, told)
            return _frame(plan, work.result, wanted, values)
        except QuanhengError:  # Which one is told does not depend on the threads: one of them finds it anew.
            told = _tell_nobody
    state = FeatureState(plan, _room_words(len(events))) if state is None else state
    for first, last in _chunks(len(events), chunk_rows):
        _fold(work, state, reader.arrays(first, last), first, last)
        told(last, len(events))
    return _frame(plan, work.result, wanted, values)


def cores() -> int:
    """Cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


def _checked(threads: int) -> int:
    if threads < 1:
        raise InputError(
            "the number of threads is out of range", where="threads", found=str(threads), allowed="1 or more",
            cure="Leave it out to use every core.",
        )  # fmt: skip
    return threads


def _tell_nobody(done: int, total: int) -> None:
    """Progress that nobody asked for."""


class _Work(NamedTuple):
    """What is to be done. `wanted`: rows whose vector is wanted, None = all; `result`: [columns, rows]."""

    plan: Plan
    reader: _Reader
    wanted: np.ndarray | None
    values: str
    result: np.ndarray


def _room(plan: Plan, total: int, values: str) -> np.ndarray:
    width = len(plan.folds) if values == "float" else len(plan.columns)
    pitch = (total + _LINE - 1) // _LINE * _LINE  # Each column begins at a cache line.
    return zeroed(width * pitch).view(np.float64 if values == "float" else np.int64).reshape(width, pitch)[:, :total]


def _room_words(total: int) -> int:
    return min(total * _ROOM_WORDS, _ROOM_MOST)


def _chunks(total: int, rows: int, least: int = 1) -> Iterator[tuple[int, int]]:
    """First and last row (not included) of each chunk. None has fewer than `least`: a rest joins the one before."""
    first = 0
    while first < total:
        last = total if total - first < rows + least else first + rows
        yield first, last
        first = last


def _fold(work: _Work, state: FeatureState, arrays: Arrays, first: int, last: int) -> None:
    """One chunk into the state, its vectors into the result."""
    run = state.run_floats if work.values == "float" else state.run
    try:
        run(*arrays, read=True if work.wanted is None else work.wanted[first:last], out=work.result[:, first:last].T)
    except FeatureOverflow as overflow:
        raise FeatureOverflow([(event + first, fold) for event, fold in overflow.cells], overflow.raw) from None


def _fold_shares(work: _Work, chunks: Iterator[tuple[int, int]], most: int, told: Progress) -> None:
    """Every thread folds its own tables. While they do, the next chunk is read."""
    total = work.result.shape[1]
    states = [FeatureState(work.plan, _room_words(total) // most, (share, most)) for share in range(most)]
    with ThreadPoolExecutor(most, "quanheng-backfill") as pool:
        running: list[Future[None]] = []
        begun, done = 0, 0
        for first, last in chunks:
            arrays = work.reader.arrays(first, last)
            _join(running, work, states, begun, done)
            if done:
                told(done, total)
            running = [pool.submit(_fold, work, state, arrays, first, last) for state in states]
            begun, done = first, last
        _join(running, work, states, begun, done)
        told(done, total)


def _join(running: list[Future[None]], work: _Work, states: list[FeatureState], first: int, last: int) -> None:
    """Wait for the shares of a chunk; sums that do not fit are told when all of them have written."""
    for one in running:
        one.result()
    if any(state.overflowed for state in states):
        floats = work.values == "float"
        out = work.result[:, first:last].T
        overflow = overflow_of(work.plan, out.view(np.int64) if floats else out, floats)
        raise FeatureOverflow([(event + first, fold) for event, fold in overflow.cells], overflow.raw)


def _frame(plan: Plan, result: np.ndarray, wanted: np.ndarray, values: str) -> pl.DataFrame:
    whole = bool(wanted.all())
    rows = _counted(len(wanted)) if whole else np.flatnonzero(wanted)
    names = plan.names if values == "float" else [column.name for column in plan.columns]
    series = [pl.Series("row", rows)]
    for name, column in zip(names, result, strict=True):
        series.append(pl.Series(name, column if whole else column[rows]))
    return pl.DataFrame(series)


def _counted(total: int) -> np.ndarray:
    """0 to total - 1, on large pages."""
    rows = zeroed(total)
    for first in range(0, total, _COUNTED):
        rows[first : first + _COUNTED] = np.arange(first, min(first + _COUNTED, total))
    return rows


class _Reader:
    """The frame as the kernel's arrays, a chunk at a time. All columns are checked before the first chunk.

    buffers_n : how many chunks are held at once: the arrays of one are overwritten by so many-th one after it
    """

    def __init__(
        self, plan: Plan, events: pl.DataFrame, type: str, time: str, columns: dict[str, str], buffers_n: int = 1
    ) -> None:
        self.plan, self.events = plan, events
        self.layouts = {layout.code: layout for layout in plan.layouts}
        self.codes = self._codes(type)
        self.times = self._times(time)
        self.keys_n = max((len(layout.keys) for layout in plan.layouts), default=0)
        self.numbers_n = max((len(layout.numbers) for layout in plan.layouts), default=0)
        self.present = [layout for layout in plan.layouts if (self.codes == layout.code).any()]
        self.columns = {
            field: self._column(columns.get(field, field), f"field {field} of {layout.name}")
            for layout in self.present
            for field in (*layout.keys, *layout.numbers)
        }
        # Rows of one full-width layout overwrite all of the buffers; others are first filled with nulls.
        self.alone = len(plan.layouts) == 1 and bool((self.codes == plan.layouts[0].code).all())
        self.buffers: list[tuple[np.ndarray, np.ndarray] | None] = [None] * buffers_n
        decided = [layout.code for layout in plan.layouts if layout.name in plan.decide]
        if self.alone:
            self.decided = np.full(len(events), bool(decided))
        else:
            self.decided = np.isin(self.codes, decided)

    def _column(self, name: str, where: str) -> pl.Series:
        if name not in self.events.columns:
            raise InputError(
                "the frame lacks a column", where=where, found=f"no {name!r}", allowed=", ".join(self.events.columns),
                cure="Name the column in `columns`, or add it (nulls where the type has no such field).",
            )  # fmt: skip
        return self.events[name]

    def _codes(self, type: str) -> np.ndarray:
        if type not in self.events.columns and len(self.plan.layouts) == 1:
            return np.broadcast_to(np.int32(self.plan.layouts[0].code), len(self.events))
        column = self._column(type, "event types")
        if column.dtype.is_integer():
            return column.cast(pl.Int32).to_numpy()
        codes = {layout.name: layout.code for layout in self.plan.layouts}
        return column.cast(pl.String).replace_strict(codes, default=-1, return_dtype=pl.Int32).to_numpy()

    def _times(self, time: str) -> np.ndarray:
        column = self._column(time, "event times")
        if isinstance(column.dtype, pl.Datetime):
            column = column.dt.epoch("ms")
        elif not column.dtype.is_integer():
            self._refuse(f"column {time}", column, "integer ms UTC, Datetime", "Convert it.")
        if column.null_count():
            self._refuse(f"column {time}", column, "no nulls", "Remove the rows without a time.")
        return column.cast(pl.Int64).to_numpy()

    def _refuse(self, where: str, column: pl.Series, allowed: str, cure: str) -> None:
        raise InputError(
            "the column cannot be used",
            where=where,
            found=f"{column.dtype}, {column.null_count()} nulls",
            allowed=allowed,
            cure=cure,
        )

    def _buffer(self, rows_n: int) -> tuple[np.ndarray, np.ndarray]:
        """Keys and numbers for so many rows."""
        held = self.buffers.pop(0)
        if held is None or len(held[0]) < rows_n:
            keys = zeroed(rows_n * self.keys_n * 2).view(np.uint64).reshape(rows_n, self.keys_n, 2)
            held = keys, zeroed(rows_n * self.numbers_n).reshape(rows_n, self.numbers_n)
        self.buffers.append(held)
        return held[0][:rows_n], held[1][:rows_n]

    def arrays(self, first: int, last: int) -> Arrays:
        """types, times, keys, numbers of rows first..last-1."""
        codes, rows_n = np.ascontiguousarray(self.codes[first:last]), last - first
        keys, numbers = self._buffer(rows_n)
        if not self.alone:
            keys[:] = 0
            numbers[:] = NULL
        if self.alone:  # Straight to their place.
            for place, field in enumerate(self.present[0].keys):
                _hash(self.columns[field].slice(first, rows_n), field, keys[:, place])
            for place, field in enumerate(self.present[0].numbers):
                numbers[:, place] = self._number(self.present[0], field, first, last)
            return codes, self.times[first:last], keys, numbers
        hashed: dict[str, np.ndarray] = {}
        for layout in self.present:
            rows = codes == layout.code
            for place, field in enumerate(layout.keys):
                if field not in hashed:
                    hashed[field] = np.empty((rows_n, 2), dtype=np.uint64)
                    _hash(self.columns[field].slice(first, rows_n), field, hashed[field])
                keys[rows, place] = hashed[field][rows]
            for place, field in enumerate(layout.numbers):
                numbers[rows, place] = self._number(layout, field, first, last)[rows]
        return codes, self.times[first:last], keys, numbers

    def _number(self, layout: EventLayout, field: str, first: int, last: int) -> np.ndarray:
        column = self.columns[field].slice(first, last - first)
        scale, choices = layout.scale(field), dict(layout.choices).get(field)
        if choices is not None and column.dtype in (pl.String, pl.Categorical, pl.Enum):
            return places_of(column, choices)
        if isinstance(column.dtype, pl.Decimal) and column.dtype.scale <= scale:
            column = (column * 10**scale).cast(pl.Int64)
        elif isinstance(column.dtype, pl.Datetime):
            column = column.dt.epoch("ms")
        elif not column.dtype.is_integer() and column.dtype not in (pl.Boolean, pl.Null):
            allowed = f"integer, boolean, Decimal(scale <= {scale})"
            cure = "Cast it to a Decimal or to a scaled integer: folds are exact."
            self._refuse(f"field {field} of {layout.name}", column, allowed, cure)
        column = column.cast(pl.Int64)
        values: np.ndarray = (column.fill_null(NULL) if column.null_count() else column).to_numpy()
        return values


def places_of(column: pl.Series, choices: Sequence[str]) -> np.ndarray:
    """Choices as their places in the list, as headers hold them (NULL where there is none).

    Raises
    ------
    InputError : a text that is no choice
    """
    texts = column.cast(pl.String)
    places = texts.replace_strict(list(choices), range(len(choices)), default=None, return_dtype=pl.Int64)
    if places.null_count() != texts.null_count():
        strange = texts.filter(places.is_null() & texts.is_not_null())[0]
        raise InputError(
            "the column holds a text that is none of the choices", where=f"column {column.name}", found=repr(strange),
            allowed=", ".join(choices), cure="Correct the rows, or declare the choice.",
        )  # fmt: skip
    found: np.ndarray = places.fill_null(NULL).to_numpy()
    return found


def _hash(column: pl.Series, field: str, pairs: np.ndarray) -> None:
    """To u8[n, 2]: integers are mixed, strings digested (blake2b), 16-byte binaries taken as they are; null = zeros."""
    nulls = column.is_null().to_numpy() if column.null_count() else None
    if column.dtype.is_integer():
        hash_integers((column if nulls is None else column.fill_null(0)).cast(pl.Int64).to_numpy(), pairs)
    elif column.dtype in (pl.String, pl.Categorical, pl.Enum, pl.Binary, pl.Null):
        texts = column if column.dtype == pl.Binary else column.cast(pl.String)
        distinct = texts.unique().drop_nulls()
        table = np.array([_digest(text, field) for text in distinct], dtype=np.uint64).reshape(-1, 2)
        places = texts.replace_strict(distinct, range(len(distinct)), default=0, return_dtype=pl.UInt32).to_numpy()
        pairs[:] = table[places] if len(table) else 0
    else:
        raise InputError(
            "the column cannot be a key", where=f"field {field}", found=str(column.dtype),
            allowed="integer, string, Binary of 16 bytes", cure="Cast it.",
        )  # fmt: skip
    if nulls is not None:
        pairs[nulls] = 0


def _digest(text: str | bytes, field: str) -> tuple[int, int]:
    if isinstance(text, bytes):
        if len(text) != 16:
            raise InputError(
                "the key has another length", where=f"field {field}", found=f"{len(text)} bytes", allowed="16 bytes",
                cure="Give pseudonyms of 16 bytes, or strings.",
            )  # fmt: skip
        digest = text
    else:
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")
