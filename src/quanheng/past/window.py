"""Recorded decisions of one event type within a window of time, a bounded chunk at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import chain, pairwise
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.events.intake import EventBody, decode_event_body
from quanheng.facts import PastBody, decode_past_body
from quanheng.kernel.log.records import DECISION, EVENT, HEADER_BYTES, NULL, SEALED, Columns, Record
from quanheng.kernel.log.records import columns as columns_of
from quanheng.kernel.seal import NO_SUBJECT
from quanheng.reading import Reader
from quanheng.recovery import HEADER_KEYS_MAX, HEADER_NUMBERS_MAX
from quanheng.state import FIRST_PACK_CODE, LIST_CHANGED, LIST_JUDGED, PACKS_ACTIVATED, Activated

CHUNK_ROWS = 4_096
READ_RECORDS = 8_192
"""Records whose headers are read in one go where nothing needs them group by group."""
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
    lists : offsets of the changes of lists and of the verdicts on them
    """

    head: int
    activations: list[Activation]
    decisions: int
    first: int
    last: int
    newest_ms: int
    labelled: frozenset[bytes]
    lists: tuple[int, ...] = ()


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
    late : whose deadline had passed
    bodies, asked : decisions and events, unsealed
    keys u8[n, K, 2], numbers i8[n, V] : headers of the events, as folds read them
    """

    activation: int
    decisions: list[int]
    events: list[int]
    times_ms: list[int]
    received_ms: list[int]
    late: list[bool]
    bodies: list[PastBody]
    asked: list[EventBody]
    keys: NDArray[np.uint64]
    numbers: NDArray[np.int64]
    arm: str = ""

    def __len__(self) -> int:
        return len(self.decisions)

    def cut(self, start: int, stop: int) -> PastRows:
        """Rows start .. stop of these."""
        columns: Any = (column[start:stop] for column in self[1:-1])
        return PastRows(*(self.activation, *columns, self.arm))


_LISTS = PastRows._fields.index("keys")
"""Columns before this one are lists, after the activation."""


def activations_of(reader: Reader) -> list[Activation]:
    """The activations of the log, found quickly: batches of packs hold none, and `survey` checks every batch."""
    found = []
    for batch in reader.log.store.read(0, reader.log.head):
        if int.from_bytes(batch.body[6:8], "little") < FIRST_PACK_CODE:
            columns = columns_of(batch.body, HEADER_KEYS_MAX, HEADER_NUMBERS_MAX)
            rows = np.flatnonzero((columns.kind == EVENT) & (columns.type == PACKS_ACTIVATED)).tolist()
            found += [_activation(batch.first + row, columns.record(row)) for row in rows]
    return found


def survey(reader: Reader, window: Window, label: LabelSource | None, progress: Progress | None = None) -> Survey:
    """Look through the headers of the whole log; only label events are unsealed."""
    head = reader.log.head
    activations: list[Activation] = []
    labelled: set[bytes] = set()
    lists: list[int] = []
    decisions, first, last, newest_ms = 0, head, 0, TIME_MIN_MS
    for offset, columns in headers(reader, 0, head):
        for row in np.flatnonzero((columns.kind == EVENT) & (columns.type == PACKS_ACTIVATED)).tolist():
            activations.append(_activation(offset + row, columns.record(row)))
        lists += (offset + list_changes(columns)).tolist()
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
            labelled.update(_label_ids(reader, columns, np.flatnonzero(marked), label.field))
        if progress is not None:
            progress("looking through the log", offset + len(columns), head)
    return Survey(head, activations, decisions, first, last, newest_ms, frozenset(labelled), tuple(lists))


def list_changes(columns: Columns) -> NDArray[np.intp]:
    """Rows that hold changes of lists, or verdicts on them."""
    return np.flatnonzero((columns.kind == EVENT) & ((columns.type == LIST_CHANGED) | (columns.type == LIST_JUDGED)))


def _label_ids(reader: Reader, columns: Columns, rows: NDArray[np.intp], field: str) -> Iterator[bytes]:
    """Digests of the ids that label events name; an erased label names nothing."""
    for payload in unsealed(reader, columns, rows):
        if payload is not None:
            named = msgspec.json.decode(decode_event_body(payload).data).get(field)
            if isinstance(named, str):
                yield digest_of(named)


def digest_of(id: str) -> bytes:
    """What stands for an event's id in the set of labelled ones: 16 bytes, so that a year of labels fits."""
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
        done = 0

        def batches() -> Iterator[tuple[int, Columns]]:
            nonlocal done
            together = 1 if on_columns is not None else READ_RECORDS
            for offset, columns in headers(self.reader, start, max(found.last, start), together):
                if on_columns is not None:
                    on_columns(offset, columns, columns.cause[_wanted(columns, self.code, self.window)])
                yield offset, columns
                done += len(_wanted(columns, self.code, self.window)) if progress is not None else 0
                if progress is not None:
                    shown = (offset + len(columns), found.last) if on_columns is not None else (done, found.decisions)
                    progress("judging", *shown)

        yield from self.of(batches())

    def of(self, batches: Iterable[tuple[int, Columns]]) -> Iterator[PastRows]:
        """The decisions of the window among headers that were read already."""
        gathered = _Gathered(self.chunk_rows)
        for offset, columns in batches:
            rows = _wanted(columns, self.code, self.window)
            programs = columns.numbers[rows, 2]
            for start, stop in _runs(programs):
                yield from gathered.add(self._read(offset, columns, rows[start:stop], int(programs[start])))
        yield from gathered.take_all()

    def _read(self, first: int, columns: Columns, rows: NDArray[np.intp], activation: int) -> PastRows:
        """Rows of one activation; those whose subject was erased are counted and left out."""
        n = len(rows)
        # An event and its decision are neighbours of one group, and a group is one batch.
        events = columns.cause[rows] - first
        payloads = unsealed(self.reader, columns, np.concatenate([rows, events]))
        if None in payloads:
            good = [at for at in range(n) if payloads[at] is not None and payloads[n + at] is not None]
            self.erased += n - len(good)
            payloads = [payloads[at] for at in [*good, *(n + at for at in good)]]
            rows, events, n = rows[good], events[good], len(good)
        bodies = list(map(decode_past_body, payloads[:n]))  # type: ignore[arg-type]
        asked = list(map(decode_event_body, payloads[n:]))  # type: ignore[arg-type]
        received = columns.received_ms[events].tolist()
        late = [0 < one.deadline_ms < at for one, at in zip(asked, received, strict=True)]
        return PastRows(
            activation,
            (first + rows).tolist(),
            (first + events).tolist(),
            columns.time_ms[events].tolist(),
            received,
            late,
            bodies,
            asked,
            columns.keys[events],
            columns.numbers[events],
        )


def _runs(values: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Stretches of equal values."""
    cuts = (np.flatnonzero(np.diff(values)) + 1).tolist()
    return list(pairwise([0, *cuts, len(values)])) if len(values) else []


class _Gathered:
    """Rows of one activation on their way into chunks, by the arm that decided."""

    def __init__(self, rows_max: int) -> None:
        self.rows_max, self.activation = rows_max, -1
        self.rows: dict[str, list[PastRows]] = {}

    def add(self, rows: PastRows) -> Iterator[PastRows]:
        """Take rows of one activation; gives chunks that are full, and what is left of the activation before."""
        if rows.activation != self.activation:
            yield from self.take_all()
            self.activation = rows.activation
        for one in _by_arm(rows):
            mine = self.rows.setdefault(one.arm, [])
            mine.append(one)
            if sum(map(len, mine)) >= self.rows_max:
                whole = joined(self.rows.pop(one.arm))
                full = len(whole) - len(whole) % self.rows_max
                yield from (whole.cut(at, at + self.rows_max) for at in range(0, full, self.rows_max))
                if full < len(whole):
                    self.rows[one.arm] = [whole.cut(full, len(whole))]

    def take_all(self) -> Iterator[PastRows]:
        """Give what is left."""
        rows, self.rows = self.rows, {}
        yield from map(joined, rows.values())


def _by_arm(rows: PastRows) -> list[PastRows]:
    """Rows of one activation, apart by what decided them."""
    arms = dict.fromkeys(body.arm for body in rows.bodies)
    if list(arms) in ([], [""]):
        return [rows] if len(rows) else []
    found = []
    for arm in arms:
        mine = [at for at, body in enumerate(rows.bodies) if body.arm == arm]
        every: Any = rows[1:_LISTS]
        lists = ([column[at] for at in mine] if column else [] for column in every)
        made: Any = (rows.activation, *lists, rows.keys[mine], rows.numbers[mine], arm)
        found.append(PastRows(*made))
    return found


def joined(rows: Sequence[PastRows]) -> PastRows:
    """Rows of one program one behind the other."""
    if len(rows) == 1:
        return rows[0]
    lists: Any = ([*chain.from_iterable(columns)] for columns in zip(*(one[1:_LISTS] for one in rows), strict=True))
    keys, numbers = np.concatenate([one.keys for one in rows]), np.concatenate([one.numbers for one in rows])
    return PastRows(*(rows[0].activation, *lists, keys, numbers, rows[0].arm))


def one_decision(reader: Reader, offset: int) -> PastRows:
    """The decision at `offset` as a chunk of one.

    Raises
    ------
    NotFound : there is no such decision; DataErased : its subject was erased
    """
    decided = reader.recorded_decision(offset)
    event = reader.event(decided.record.cause)
    record = event.record
    keys = np.zeros((1, HEADER_KEYS_MAX, 2), np.uint64)
    keys[0, : len(record.keys)] = np.frombuffer(b"".join(record.keys), np.uint64).reshape(-1, 2)
    numbers = np.full((1, HEADER_NUMBERS_MAX), NULL, np.int64)
    numbers[0, : len(record.numbers)] = record.numbers
    body, late = decode_past_body(decided.payload), 0 < event.body.deadline_ms < record.received_ms
    times = [record.time_ms], [record.received_ms]
    return PastRows(
        body.program, [offset], [event.offset], *times, [late], [body], [event.body], keys, numbers, body.arm
    )


def headers(reader: Reader, first: int, last: int, together: int = READ_RECORDS) -> Iterator[tuple[int, Columns]]:
    """Headers of the records first .. last - 1 as columns, each piece with the offset of its first record."""
    read = reader.log.read_columns
    return read(first, HEADER_KEYS_MAX, HEADER_NUMBERS_MAX, last, together) if last > first else iter(())


def _wanted(columns: Columns, code: int, window: Window) -> NDArray[np.intp]:
    times = columns.time_ms
    within = (times >= window.from_ms) & (times < window.to_ms)
    return np.flatnonzero((columns.kind == DECISION) & (columns.type == code) & within)


def _activation(offset: int, record: Record) -> Activation:
    read = msgspec.json.decode(record.payload, type=Activated)
    return Activation(offset, read.packs, read.versions, read.codes)


def unsealed(reader: Reader, columns: Columns, rows: NDArray[np.intp]) -> list[bytes | None]:
    """Payloads of these records in clear, cut out of the batch by the lengths in the headers; None = erased."""
    if not len(rows):
        return []
    body, starts = columns.body, columns.position[rows]
    view = np.frombuffer(body, np.uint8)
    behind = starts + HEADER_BYTES + 16 * view[starts + 80].astype(np.int64) + 8 * view[starts + 81].astype(np.int64)
    begin, middle, end = starts.tolist(), behind.tolist(), (starts + columns.length[rows]).tolist()
    subjects = [body[at + 32 : at + 48] for at in begin]
    for at in np.flatnonzero(view[starts + 82] & SEALED == 0).tolist():
        subjects[at] = NO_SUBJECT
    headers = list(map(body.__getitem__, map(slice, begin, middle)))
    payloads = list(map(body.__getitem__, map(slice, middle, end)))
    return reader.ring.unseal_many(subjects, headers, payloads)
