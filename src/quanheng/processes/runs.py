"""Runs of jobs over the instances of a process: their records, and the fold of them. Where a run is, the log says.

A record of a job has the code of the job as its type, the run's due moment as its time, and as its cause the record
that began the run. The first of its numbers says what it is, the others as listed at `What`. A chunk says in its
payload, in clear and as columns, what became of the rows of a table that it covers, so recovery needs no declaration
and no FEEL.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.log.records import JOB, NO_CAUSE, NONE_16, encode_header

LISTED_MAX = 100
"""Rejects of a run that are listed; all are counted."""
RUNS_KEPT_MAX = 10
"""Runs of a job that the fold keeps, the newest; the log has all."""


class What(IntEnum):
    """What a record of a job says, and its numbers.

    BEGIN : code of the process, when it was due, up to which moment others that were due are one with it, rows of the
        table then, 1 = begun by hand, offset of the activation in force
    CHUNK : first row, behind its last row, how many were taken, how many rejected, offset of the activation in force
    TALLY : how many events of the chunk before it were rejected
    END : 0 = all rows were gone over, 1 = the job is declared no more
    SKIP : up to which moment it was due and did not run
    """

    BEGIN, CHUNK, TALLY, END, SKIP = 1, 2, 3, 4, 5


class Reason(IntEnum):
    """Why an instance that fits was rejected.

    SET_IS_NULL, SET_DOES_NOT_FIT : what it should keep; it is left as it was
    FIELD_DOES_NOT_FIT : a field of its event, which was not sent
    EVENT_REFUSED, EVENT_FAILED : its event was not taken, or was decided by the fall-back
    MONEY_REFUSED : the ledger refused what its event asked for
    """

    SET_IS_NULL, SET_DOES_NOT_FIT, FIELD_DOES_NOT_FIT, EVENT_REFUSED, EVENT_FAILED, MONEY_REFUSED = 1, 2, 3, 4, 5, 6


class Reject(NamedTuple):
    """A row that was rejected, why, and the place of what was to be set in the declaration (0 where none was)."""

    row: int
    reason: int
    place: int = 0


class Tally(msgspec.Struct, frozen=True, array_like=True):
    """Rejects: how many by (reason, place), and some of them."""

    counts: tuple[tuple[int, int, int], ...] = ()
    listed: tuple[Reject, ...] = ()

    @property
    def count(self) -> int:
        """How many."""
        return sum(count for _, _, count in self.counts)


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """What became of the rows first .. last - 1 of a table.

    taken : bits of those that were taken, a byte for eight rows, the first in the lowest
    places, numbers : of the kept numbers that were set, and their values, i64[places, taken]
    part, entered : the state that the taken were moved to; 0 = they stay
    timers, due : codes of the timers that were armed, and i64[timers, taken] of when they are due; NULL = not armed
    """

    process: int
    first: int
    last: int
    taken: bytes
    places: tuple[int, ...] = ()
    numbers: bytes = b""
    part: int = 0
    entered: int = 0
    timers: tuple[int, ...] = ()
    due: bytes = b""
    rejected: Tally = Tally()

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows of the table that were taken."""
        bits = np.unpackbits(np.frombuffer(self.taken, np.uint8), count=self.last - self.first, bitorder="little")
        return self.first + np.flatnonzero(bits)

    @property
    def changes(self) -> bool:
        """Whether it leaves anything else behind in the instances that were taken."""
        return bool(self.places or self.entered)


class Run(msgspec.Struct):
    """A run of a job.

    offset : of the record that began it
    at, rows : the next row that is to be gone over, and how many there were when it began
    taken : how many fitted and were set, moved, or sent an event
    rejected : (reason, place) → how many; of events, those were taken
    ended_ms : 0 = it is going on
    stopped : the job was declared no more before it was through
    """

    offset: int
    process: int
    due_ms: int
    began_ms: int
    rows: int
    by_hand: bool = False
    at: int = 0
    chunks: int = 0
    taken: int = 0
    rejected: list[tuple[int, int, int]] = []
    listed: list[Reject] = []
    ended_ms: int = 0
    stopped: bool = False

    @property
    def rejected_n(self) -> int:
        """How many were rejected."""
        return sum(count for _, _, count in self.rejected)


class Standing(msgspec.Struct):
    """Where a job stands.

    since_ms : when it was first put in force
    last_ms : when it was last due and ran or was passed over; -1 = not yet
    began : how many runs began
    runs : the newest, the last of which may be going on
    """

    since_ms: int
    last_ms: int = -1
    began: int = 0
    runs: list[Run] = []

    @property
    def running(self) -> Run | None:
        """The run that is going on; None = none is."""
        return self.runs[-1] if self.runs and not self.runs[-1].ended_ms else None


class Runs:
    """Where every job stands: a fold of its records.

    jobs : code of the job → where it stands
    """

    def __init__(self) -> None:
        self.jobs: dict[int, Standing] = {}

    def know(self, codes: Iterable[int], received_ms: int) -> None:
        """Jobs that are put in force; those that were before stand where they stood."""
        for code in codes:
            self.jobs.setdefault(code, Standing(received_ms))

    def begin(self, job: int, offset: int, numbers: tuple[int, ...], received_ms: int) -> Run:
        """A run begins."""
        _, process, due_ms, last_ms, rows, by_hand, _ = numbers
        standing = self.jobs.setdefault(job, Standing(received_ms))
        run = Run(offset, process, due_ms, received_ms, rows, bool(by_hand))
        standing.runs = [*standing.runs[1 - RUNS_KEPT_MAX :], run]
        standing.began += 1
        if not by_hand:
            standing.last_ms = last_ms
        return run

    def chunk(self, job: int, chunk: Chunk, taken: int) -> None:
        """The run that is going on has gone over some rows."""
        run = self._running(job)
        run.at, run.chunks, run.taken = chunk.last, run.chunks + 1, run.taken + taken
        self.tally(job, chunk.rejected)

    def tally(self, job: int, tally: Tally) -> None:
        """Rejects of the run that is going on."""
        run = self._running(job)
        counts = {(reason, place): count for reason, place, count in run.rejected}
        for reason, place, count in tally.counts:
            counts[reason, place] = counts.get((reason, place), 0) + count
        run.rejected = [(*key, counts[key]) for key in sorted(counts)]
        run.listed = [*run.listed, *tally.listed][:LISTED_MAX]

    def end(self, job: int, numbers: tuple[int, ...], received_ms: int) -> None:
        """The run that is going on ends."""
        run = self._running(job)
        run.ended_ms, run.stopped = received_ms, bool(numbers[1])

    def skip(self, job: int, numbers: tuple[int, ...], received_ms: int) -> None:
        """It was due and did not run."""
        self.jobs.setdefault(job, Standing(received_ms)).last_ms = numbers[1]

    def _running(self, job: int) -> Run:
        run = self.jobs[job].running
        assert run is not None, "a chunk of a run that never began"
        return run

    def dump(self) -> NDArray[np.uint8]:
        """As bytes."""
        return np.frombuffer(msgspec.msgpack.encode(dict(sorted(self.jobs.items()))), np.uint8)

    def load(self, held: NDArray[np.uint8]) -> None:
        """What `dump` gave."""
        self.jobs = msgspec.msgpack.decode(held.tobytes(), type=dict[int, Standing])


class Made(NamedTuple):
    """A record of a job before it stands in the log: its header and its payload."""

    header: bytes
    payload: bytes


def encode_job(
    job: int, due_ms: int, received_ms: int, run: int, numbers: tuple[int, ...], body: object = None
) -> Made:
    """The record of a job. `run` : offset of the record that began the run, `NO_CAUSE` = this one does, or none."""
    payload = b"" if body is None else msgspec.msgpack.encode(body)
    header = encode_header(
        JOB, job, due_ms, received_ms, run, NONE_16, NONE_16, NONE_16, (), numbers, len(payload)
    )  # fmt: skip
    return Made(header, payload)


def began(
    job: int, process: int, due_ms: int, last_ms: int, rows: int, by_hand: bool, activation: int, received_ms: int
) -> tuple[Made, tuple[int, ...]]:
    """The record that begins a run, and its numbers."""
    numbers = (int(What.BEGIN), process, due_ms, last_ms, rows, int(by_hand), activation)
    return encode_job(job, due_ms, received_ms, NO_CAUSE, numbers), numbers


chunk_of = msgspec.msgpack.Decoder(Chunk).decode
tally_of = msgspec.msgpack.Decoder(Tally).decode


def tallied(rejects: Iterable[Reject]) -> Tally:
    """Rejects, counted; the first of them listed."""
    every = list(rejects)
    counts: dict[tuple[int, int], int] = {}
    for one in every:
        counts[one.reason, one.place] = counts.get((one.reason, one.place), 0) + 1
    return Tally(tuple((*key, counts[key]) for key in sorted(counts)), tuple(every[:LISTED_MAX]))


def packed(taken: NDArray[np.bool_]) -> bytes:
    """Bits of rows, as a chunk holds them."""
    return np.packbits(taken, bitorder="little").tobytes()
