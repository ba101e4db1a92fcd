"""A partition: the windows of the entities whose key hashes into one range, folded in log order.

It knows what it has folded by an offset, and takes a request only if that is what the sequencer believes. So nothing is
folded twice and nothing left out, whatever was lost on the way; and it can fold the committed log by itself, which is
how it begins, comes back on another machine, and moves.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from quanheng.events.schema import KEYS_MAX, NUMBERS_MAX
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.plan import Plan
from quanheng.features.shares import Piece, folders, shares_of
from quanheng.features.state import FeatureOverflow, FeatureState
from quanheng.kernel.calendars import Calendars
from quanheng.kernel.errors import InputError, LogCorrupt, LogError, NotFound
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.postgres import PostgresLogStore
from quanheng.kernel.log.records import EVENT
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.kernel.log.store import LogStore
from quanheng.kernel.snapshot import Snapshots

FOLLOW_RECORDS = 50_000
"""Records of the log that are folded at once."""
LOOK_S, DURABLE_S_MAX = 0.05, 60.0
"""How long a snapshot waits for its last group to be in the log."""


class Spec(NamedTuple):
    """What every partition of one plan is told.

    layouts, folds, decide, lateness_ms, calendars : of the plan
    partitions : how many there are
    store : `sqlite:PATH` or a PostgreSQL connection string: where the log is read
    snapshots : folder of the partitions' snapshots; nothing = none are kept, and the log is folded from its beginning
    epoch : of the sequencer: what a later writer put into the log is not what it has sent. None = it is the only one
    """

    layouts: tuple[EventLayout, ...]
    folds: tuple[Fold, ...]
    decide: tuple[str, ...]
    lateness_ms: int
    calendars: Calendars
    partitions: int
    store: str
    snapshots: str = ""
    epoch: int | None = None

    @staticmethod
    def of(plan: Plan, partitions: int, store: str, snapshots: str = "", epoch: int | None = None) -> Spec:
        """The spec of a plan."""
        declared = plan.layouts, plan.folds, plan.decide, plan.lateness_ms, plan.calendars
        return Spec(*declared, partitions, store, snapshots, epoch)

    def plan(self) -> Plan:
        """The plan, compiled again."""
        return Plan.compile(self.layouts, self.folds, self.decide, self.lateness_ms, calendars=self.calendars)


class Place(NamedTuple):
    """How far a partition has folded: its events of every batch that begins below `head`; of the newest of them, what
    came in the rounds up to `round_n`."""

    head: int
    round_n: int = 0


class Take(NamedTuple):
    """Events of one group for one partition: rows in log order, and per share what to do with them.

    after : how far the partition must have folded; first : where the group begins in the log; round_n : a group whose
        folds wait for answers of others comes in rounds
    rows of `pieces` count within these arrays
    """

    after: Place
    first: int
    round_n: int
    types: np.ndarray
    times: np.ndarray
    keys: np.ndarray
    numbers: np.ndarray
    pieces: tuple[Piece, ...]

    @property
    def place(self) -> Place:
        """How far a partition has folded that has taken this."""
        return Place(self.first + 1, self.round_n)


class Answer(NamedTuple):
    """Answers of one partition to a `Take`: per piece i8[rows that read, raw columns of the share's plan], and the sums
    in them that do not fit 64 bits (row among those, name of the fold)."""

    raw: tuple[np.ndarray, ...]
    overflows: tuple[tuple[tuple[int, str], ...], ...]


class Figures(NamedTuple):
    """What a partition says of itself."""

    head: int
    late: dict[str, int]
    keys: dict[str, int]
    memory_bytes: int
    digest: str


def open_reader(store: str) -> Log:
    """The log, to read."""
    opened: LogStore
    if store.startswith("sqlite:"):
        opened = SqliteLogStore(Path(store.removeprefix("sqlite:")))
    else:
        opened = PostgresLogStore(store)
    return Log.reader(opened)


class Partition:
    """One partition of a plan. One caller at a time; snapshots are written in a thread of their own.

    place : how far it has folded
    """

    def __init__(self, spec: Spec, number: int) -> None:
        self.spec, self.number = spec, number
        self.plan = spec.plan()
        self.shares = shares_of(self.plan)
        self.states = [FeatureState(share.plan) for share in self.shares]
        self.place = Place(0)
        self._keys_n = max((len(layout.keys) for layout in spec.layouts), default=0) or 1
        self._numbers_n = max((len(layout.numbers) for layout in spec.layouts), default=0) or 1
        self._log: Log | None = None
        self._last: tuple[Take, Answer] | None = None
        self._writing: threading.Thread | None = None
        self._closing = threading.Event()

    # -- coming up -----------------------------------------------------------------------------------------------

    def open(self) -> int:
        """Begin with the newest snapshot of this log, and fold the committed log behind it. The offset reached."""
        log = self._reader()
        snapshots = self._snapshots()
        at = log.store.head()
        while snapshots is not None and (snapshot := snapshots.newest(at, self._name())) is not None:
            at = snapshot.offset - 1
            parts = snapshot.parts
            try:
                if bytes(parts["chain"]) != log.digest_at(snapshot.offset):
                    continue  # Of another timeline: the log was restored from a copy, and went on otherwise.
                self.states = [
                    FeatureState.load(share.plan, _named(parts, f"{share.number}.")) for share in self.shares
                ]
            except (KeyError, LogCorrupt, InputError):  # Derived: never trusted and never fatal.
                continue
            self.place = Place(snapshot.offset)
            break
        self._warm()
        return self.follow()

    def _warm(self) -> None:
        """Load the compiled kernel by asking about one event, of which nothing stays: else the first group waits."""
        for share, state in zip(self.shares, self.states, strict=True):
            codes = np.array([*share.inserts, *share.reads][:1], np.int32)
            keys = share.keys(np.ones((1, self._keys_n, 2), np.uint64))
            numbers = np.zeros((1, self._numbers_n), np.int64)
            state.peek(codes, np.zeros(1, np.int64), keys, numbers)

    def follow(self, upto: int | None = None) -> int:
        """Fold the committed log behind what is folded, up to `upto` (default: its end). The offset reached."""
        log = self._reader()
        upto = log.store.head() if upto is None else upto
        start = self._boundary(log) if self.place.head else 0
        if start < upto:
            for first, columns in log.read_columns(start, KEYS_MAX, NUMBERS_MAX, upto, FOLLOW_RECORDS):
                rows = np.flatnonzero(columns.kind == EVENT)
                keys = np.ascontiguousarray(columns.keys[rows, : self._keys_n])
                numbers = np.ascontiguousarray(columns.numbers[rows, : self._numbers_n])
                self._fold(columns.type[rows].astype(np.int32), columns.time_ms[rows], keys, numbers)
                self.place = Place(first + len(columns))
        self.place = Place(max(self.place.head, upto))
        return self.place.head

    def _fold(self, types: np.ndarray, times: np.ndarray, keys: np.ndarray, numbers: np.ndarray) -> None:
        """Fold what is this partition's of some events, and read nothing."""
        for share, state in zip(self.shares, self.states, strict=True):
            mine = np.flatnonzero(folders(share, types, keys, self.spec.partitions) == self.number)
            if len(mine):
                state.run(types[mine], times[mine], share.keys(keys[mine]), numbers[mine], read=False)

    def _boundary(self, log: Log) -> int:
        """Where the batch ends in which the newest folded group is."""
        head = self.place.head
        for row in log.store.read(head - 1, head, bodies=False):
            return row.last
        raise NotFound(
            "the log does not hold the last group that a partition has folded",
            where=f"partition {self.number}", found=f"offset {head - 1}", allowed="a committed offset",
            cure="Start the partition again: it is rebuilt from the log.",
        )  # fmt: skip

    # -- live ----------------------------------------------------------------------------------------------------

    def take(self, asked: Take) -> Answer:
        """Fold events and answer those that read. What was the last request before is answered again, not folded.

        Raises
        ------
        LogCorrupt : the partition has folded other events than the sequencer believes; nothing was folded
        """
        last = self._last
        if last is not None and (last[0].after, last[0].place) == (asked.after, asked.place):
            return last[1]
        self._check(asked)
        answer = self._answer(asked, peek=False)
        self.place = asked.place
        self._last = asked, answer
        return answer

    def peek(self, asked: Take) -> Answer:
        """What `take` would answer, with nothing folded.

        Raises
        ------
        LogCorrupt : as for `take`
        """
        self._check(asked)
        return self._answer(asked, peek=True)

    def _check(self, asked: Take) -> None:
        if asked.after != self.place or asked.place <= self.place:
            raise LogCorrupt(
                "a partition is not where the sequencer believes it",
                where=f"partition {self.number}, group at offset {asked.first}, round {asked.round_n}",
                found="folded up to {}, round {}".format(*self.place), allowed="{}, round {}".format(*asked.after),
                cure="Start again: partitions are rebuilt from the log.",
            )  # fmt: skip

    def _answer(self, asked: Take, peek: bool) -> Answer:
        raw: list[np.ndarray] = []
        overflows: list[tuple[tuple[int, str], ...]] = []
        for piece in asked.pieces:
            state, rows = self.states[piece.share], piece.rows
            keys = self.shares[piece.share].keys(asked.keys[rows], piece.asked)
            arrays = (piece.types.copy(), asked.times[rows], keys, asked.numbers[rows])
            cells: list[tuple[int, str]] = []
            try:
                answers = state.peek(*arrays, read=piece.reads) if peek else state.run(*arrays, read=piece.reads)
            except FeatureOverflow as overflow:
                answers, cells = overflow.raw, overflow.cells
            places = np.cumsum(piece.reads) - 1
            raw.append(answers[piece.reads])
            overflows.append(tuple((int(places[row]), fold) for row, fold in cells))
        return Answer(tuple(raw), tuple(overflows))

    # -- keeping -------------------------------------------------------------------------------------------------

    def snapshot(self) -> bool:
        """Copy the windows and write them in another thread, once the log holds the newest group in them.

        False if none is kept, or one is being written.
        """
        snapshots = self._snapshots()
        head = self.place.head
        if snapshots is None or not head or (self._writing is not None and self._writing.is_alive()):
            return False
        arrays = {
            f"{share.number}.{name}": array
            for share, state in zip(self.shares, self.states, strict=True)
            for name, array in state.dump().items()
        }
        self._writing = threading.Thread(target=self._write, args=(snapshots, head, arrays), daemon=True)
        self._writing.start()
        return True

    def written(self) -> int:
        """Wait for the snapshot that is being written; offset of the newest one, -1 if there is none."""
        if self._writing is not None:
            self._writing.join()
        snapshots = self._snapshots()
        newest = snapshots.newest(program=self._name()) if snapshots is not None else None
        return -1 if newest is None else newest.offset

    def _write(self, snapshots: Snapshots, head: int, arrays: dict[str, np.ndarray]) -> None:
        looks = int(DURABLE_S_MAX / LOOK_S)
        log = open_reader(self.spec.store)
        try:
            while log.store.head() < head and looks and not self._closing.wait(LOOK_S):
                looks -= 1
            for row in log.store.read(head - 1, head, bodies=False):
                if self.spec.epoch is not None and row.epoch > self.spec.epoch:
                    return  # Another sequencer has taken over: the log holds other events there than were sent.
                snapshots.write(row.last, self._name(), {"chain": row.digest, **arrays})
        except LogError:  # The sequencer is stopping; the next snapshot is another try.
            return
        finally:
            log.close()

    def figures(self, digest: bool = False) -> Figures:
        """What it holds; with `digest`, what that means."""
        late: dict[str, int] = {}
        keys: dict[str, int] = {}
        for share, state in zip(self.shares, self.states, strict=True):
            late.update(state.late)
            title = f"{share.title} ({len(keys)})" if share.title in keys else share.title
            keys[title] = sum(state.keys.values())
        told = "".join(state.digest() for state in self.states) if digest else ""
        return Figures(self.place.head, late, keys, sum(state.memory_bytes for state in self.states), told)

    def _reader(self) -> Log:
        if self._log is None:
            self._log = open_reader(self.spec.store)
        return self._log

    def _snapshots(self) -> Snapshots | None:
        return Snapshots(Path(self.spec.snapshots) / f"{self.number:04d}") if self.spec.snapshots else None

    def _name(self) -> str:
        return f"{self.plan.digest} {self.number}/{self.spec.partitions}"

    def close(self) -> None:
        """Let go of the log; a snapshot that is being written is finished, one that waits for the log is dropped."""
        self._closing.set()
        if self._writing is not None:
            self._writing.join()
        if self._log is not None:
            self._log.close()


def request(
    after: Place, first: int, arrays: tuple[np.ndarray, ...], pieces: Sequence[Piece], round_n: int = 0
) -> Take:
    """A `Take` that carries the rows of some pieces and no others."""
    types, times, keys, numbers = arrays
    wanted = np.zeros(len(types), np.bool_)
    for piece in pieces:
        wanted[piece.rows] = True
    rows = np.flatnonzero(wanted)
    places = (np.cumsum(wanted) - 1).astype(np.int32)
    told = tuple(piece._replace(rows=places[piece.rows]) for piece in pieces)
    return Take(after, first, round_n, types[rows], times[rows], keys[rows], numbers[rows], told)


def _named(parts: dict[str, bytes | np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): np.asarray(part) for name, part in parts.items() if name.startswith(prefix)}
