"""Recorded decisions of one event type within a window of time, a bounded chunk at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.events.intake import EventBody, decode_event_body
from quanheng.facts import DecisionBody, decode_body
from quanheng.kernel.log.records import DECISION, EVENT, HEADER_BYTES, NULL, SEALED, Columns, Record
from quanheng.kernel.seal import NO_SUBJECT
from quanheng.reading import Reader
from quanheng.recovery import HEADER_KEYS_MAX, HEADER_NUMBERS_MAX
from quanheng.state import FIRST_PACK_CODE, PACKS_ACTIVATED, Activated

CHUNK_ROWS = 4_096
TIME_MIN_MS, TIME_MAX_MS = -(2**62), 2**62

Progress = Callable[[str, int, int], None]
"""(stage, records done, records in all)"""

OnColumns = Callable[[int, Columns, NDArray[np.int64]], None]
"""Called with every batch before its decisions are given: offset of the first record, headers, and the offsets of the
events whose decisions will be given."""


class Window(NamedTuple):
    """Events of type `event` whose own time lies in [from_ms, to_ms)."""

    event: str
    from_ms: int = TIME_MIN_MS
    to_ms: int = TIME_MAX_MS


class Activation(NamedTuple):
    """A set of packs that was put in force."""

    offset: int
    packs: dict[str, str]
    versions: dict[str, str]
    codes: dict[str, int]


class Survey(NamedTuple):
    """What a first look at the headers found.

    head : records in the log
    activations : in the order of the log
    decisions : of the window; first, last : offsets around them (first <= offset < last)
    newest_ms : time of the newest event of a pack
    labelled : ids of events that a label event names, from those received by the date asked for
    """

    head: int
    activations: list[Activation]
    decisions: int
    first: int
    last: int
    newest_ms: int
    labelled: frozenset[bytes]


class LabelSource(NamedTuple):
    """Which event says that a decided one was bad.

    event : its type; field : its field that holds the id of the decided event
    until_ms : only labels that were received by then
    delay_ms : how old a decision must be before the absence of a label says that it was good
    """

    event: str
    field: str
    until_ms: int = TIME_MAX_MS
    delay_ms: int = 0


class PastRows(NamedTuple):
    """A chunk of n recorded decisions that one program took, with their events.

    activation, arm : what decided: the activation, and the challenger's hash where one decided instead of the champion
    decisions : log offsets; events : those of their events
    times_ms, received_ms : of the events
    bodies, asked : decisions and events, unsealed
    keys u8[n, K, 2], numbers i8[n, V] : headers of the events, as folds read them
    """

    activation: int
    decisions: list[int]
    events: list[int]
    times_ms: list[int]
    received_ms: list[int]
    bodies: list[DecisionBody]
    asked: list[EventBody]
    keys: NDArray[np.uint64]
    numbers: NDArray[np.int64]
    arm: str = ""

    def __len__(self) -> int:
        return len(self.decisions)


def survey(reader: Reader, window: Window, label: LabelSource | None, progress: Progress | None = None) -> Survey:
    """Look through the headers of the whole log; only label events are unsealed."""
    head = reader.log.head
    activations: list[Activation] = []
    labelled: set[bytes] = set()
    decisions, first, last, newest_ms = 0, head, 0, TIME_MIN_MS
    for offset, columns in _batches(reader, 0, head):
        for row in np.flatnonzero((columns.kind == EVENT) & (columns.type == PACKS_ACTIVATED)).tolist():
            activations.append(_activation(offset + row, columns.record(row)))
        events = (columns.kind == EVENT) & (columns.type >= FIRST_PACK_CODE)
        if events.any():
            newest_ms = max(newest_ms, int(columns.time_ms[events].max()))
        codes = activations[-1].codes if activations else {}
        rows = _wanted(columns, codes.get(window.event, -1), window)
        if len(rows):
            decisions += len(rows)
            first, last = min(first, offset), offset + len(columns)
        if label is not None:
            marked = events & (columns.type == codes.get(label.event, -1)) & (columns.received_ms <= label.until_ms)
            labelled.update(_label_ids(reader, columns, np.flatnonzero(marked).tolist(), label.field))
        if progress is not None:
            progress("looking through the log", offset + len(columns), head)
    return Survey(head, activations, decisions, first, last, newest_ms, frozenset(labelled))


def _label_ids(reader: Reader, columns: Columns, rows: Sequence[int], field: str) -> Iterator[bytes]:
    """Digests of the ids that label events name; an erased label names nothing."""
    for payload in _unsealed(reader, columns, rows):
        if payload is not None:
            named = msgspec.json.decode(decode_event_body(payload).data).get(field)
            if isinstance(named, str):
                yield digest_of(named)


def digest_of(id: str) -> bytes:
    """What stands for an event's id in the set of labelled ones: 16 bytes, so that a year of labels fits."""
    from hashlib import blake2b

    return blake2b(id.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class PastReader:
    """Reads the decisions of a window.

    Attributes
    ----------
    erased : decisions whose subject was erased, so far
    """

    def __init__(self, reader: Reader, window: Window, found: Survey, chunk_rows: int = CHUNK_ROWS) -> None:
        self.reader, self.window, self.found, self.chunk_rows = reader, window, found, chunk_rows
        self.erased = 0
        self.codes = found.activations[-1].codes if found.activations else {}
        self.code = self.codes.get(window.event, -1)

    def chunks(self, progress: Progress | None = None, on_columns: OnColumns | None = None) -> Iterator[PastRows]:
        """The decisions, at most `chunk_rows` and one deciding program at a time.

        Those of one program come in the order of the log, and so do activations.


        With `on_columns` every batch from the beginning of the log is shown to it, else only the needed part is read.
        """
        found = self.found
        start = 0 if on_columns is not None else found.first
        gathered = _Gathered()
        done = 0
        for offset, columns in _batches(self.reader, start, max(found.last, start)):
            rows = _wanted(columns, self.code, self.window)
            if on_columns is not None:
                on_columns(offset, columns, columns.cause[rows])
            if len(rows):
                for row in self._read(offset, columns, rows):
                    if row.body.program != gathered.activation:
                        yield from gathered.take_all()
                    yield from gathered.add(row, self.chunk_rows)
                done += len(rows)
            if progress is not None:
                shown = (offset + len(columns), found.last) if on_columns is not None else (done, found.decisions)
                progress("judging", *shown)
        yield from gathered.take_all()

    def _read(self, first: int, columns: Columns, rows: NDArray[np.intp]) -> Iterator[_PastRow]:
        # An event and its decision are neighbours of one group, and a group is one batch.
        events = columns.cause[rows] - first
        n = len(rows)
        payloads = _unsealed(self.reader, columns, [*rows.tolist(), *events.tolist()])
        times, received = columns.time_ms[events].tolist(), columns.received_ms[events].tolist()
        keys, numbers = columns.keys[events], columns.numbers[events]
        for at, (row, event) in enumerate(zip(rows.tolist(), events.tolist(), strict=True)):
            mine, theirs = payloads[at], payloads[n + at]
            if mine is None or theirs is None:
                self.erased += 1
                continue
            body, asked = decode_body(mine), decode_event_body(theirs)
            yield _PastRow(first + row, first + event, times[at], received[at], body, asked, keys[at], numbers[at])


class _PastRow(NamedTuple):
    decision: int
    event: int
    time_ms: int
    received_ms: int
    body: DecisionBody
    asked: EventBody
    keys: NDArray[np.uint64]
    numbers: NDArray[np.int64]


class _Gathered:
    """Rows of one activation on their way into chunks, by the arm that decided."""

    def __init__(self) -> None:
        self.activation = -1
        self.rows: dict[str, list[_PastRow]] = {}

    def add(self, row: _PastRow, rows_max: int) -> Iterator[PastRows]:
        """Take a row; gives a chunk that is full."""
        self.activation = row.body.program
        mine = self.rows.setdefault(row.body.arm, [])
        mine.append(row)
        if len(mine) >= rows_max:
            yield past_rows(self.rows.pop(row.body.arm))

    def take_all(self) -> Iterator[PastRows]:
        """Give what is left."""
        rows, self.rows = self.rows, {}
        yield from map(past_rows, rows.values())


def past_rows(rows: Sequence[_PastRow]) -> PastRows:
    """Rows side by side; keys and numbers have the widest header, filled up with nulls."""
    return PastRows(
        rows[0].body.program,
        [row.decision for row in rows],
        [row.event for row in rows],
        [row.time_ms for row in rows],
        [row.received_ms for row in rows],
        [row.body for row in rows],
        [row.asked for row in rows],
        np.stack([row.keys for row in rows]),
        np.stack([row.numbers for row in rows]),
        rows[0].body.arm,
    )


def one_decision(reader: Reader, offset: int) -> PastRows:
    """The decision at `offset` as a chunk of one.

    Raises
    ------
    NotFound : there is no such decision; DataErased : its subject was erased
    """
    decided = reader.recorded_decision(offset)
    event = reader.event(decided.record.cause)
    record = event.record
    keys = np.zeros((HEADER_KEYS_MAX, 2), np.uint64)
    keys[: len(record.keys)] = np.frombuffer(b"".join(record.keys), np.uint64).reshape(-1, 2)
    numbers = np.full(HEADER_NUMBERS_MAX, NULL, np.int64)
    numbers[: len(record.numbers)] = record.numbers
    times = record.time_ms, record.received_ms
    return past_rows([_PastRow(offset, event.offset, *times, decided.body, event.body, keys, numbers)])


def _batches(reader: Reader, first: int, last: int) -> Iterator[tuple[int, Columns]]:
    return reader.log.read_columns(first, HEADER_KEYS_MAX, HEADER_NUMBERS_MAX, last) if last > first else iter(())


def _wanted(columns: Columns, code: int, window: Window) -> NDArray[np.intp]:
    times = columns.time_ms
    within = (times >= window.from_ms) & (times < window.to_ms)
    return np.flatnonzero((columns.kind == DECISION) & (columns.type == code) & within)


def _activation(offset: int, record: Record) -> Activation:
    read = msgspec.json.decode(record.payload, type=Activated)
    return Activation(offset, read.packs, read.versions, read.codes)


def _unsealed(reader: Reader, columns: Columns, rows: Sequence[int]) -> list[bytes | None]:
    """Payloads of records in clear, cut out of the batch by the lengths in their headers; None = erased."""
    if not rows:
        return []
    body, subjects, headers, payloads = columns.body, [], [], []
    for start, length in zip(columns.position[rows].tolist(), columns.length[rows].tolist(), strict=True):
        behind = start + HEADER_BYTES + 16 * body[start + 80] + 8 * body[start + 81]
        subjects.append(body[start + 32 : start + 48] if body[start + 82] & SEALED else NO_SUBJECT)
        headers.append(body[start:behind])
        payloads.append(body[behind : start + length])
    return reader.ring.unseal_many(subjects, headers, payloads)
