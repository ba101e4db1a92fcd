"""The instances of all processes: a fold of steps and chunks of jobs. Reads no clock and no declaration."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.log.records import JOB, NULL, STEP, Columns, Record
from quanheng.processes.records import PARTS_MAX, Step, StepKind
from quanheng.processes.runs import Chunk, Runs, What, chunk_of, tally_of
from quanheng.processes.step_columns import StepColumns, step_columns
from quanheng.processes.timers import Due, Timers

_ROW_BITS = 40
"""An owner of timers is its table's place and its row: `place << 40 | row`."""
_ROWS_FIRST = 64


class Instance(NamedTuple):
    """One instance as it stands.

    key : its pseudonym, 16 bytes
    states : code of each part's state
    keys, numbers : what it keeps; numbers scaled, NULL = null
    entered_ms : when each part entered its state, by the writer's clock
    seq : how many steps were made
    """

    key: bytes
    states: tuple[int, ...]
    keys: tuple[bytes, ...]
    numbers: tuple[int, ...]
    started_ms: int
    entered_ms: tuple[int, ...]
    seq: int


class Table:
    """The instances of one process, side by side.

    states : i32[n, PARTS_MAX]; keys : u64[n, K, 2]; numbers : i64[n, V]; started_ms : i64[n]; entered_ms : i64[n,
    PARTS_MAX]; seq : i64[n]; ids : u64[n, 2], the pseudonyms
    """

    def __init__(self, parts: int, keys: int, numbers: int) -> None:
        self.parts, self.keys_n, self.numbers_n = parts, keys, numbers
        self.index: dict[bytes, int] = {}
        self.ids = np.zeros((_ROWS_FIRST, 2), np.uint64)
        self.states = np.zeros((_ROWS_FIRST, PARTS_MAX), np.int32)
        self.entered_ms = np.zeros((_ROWS_FIRST, PARTS_MAX), np.int64)
        self.keys = np.zeros((_ROWS_FIRST, keys, 2), np.uint64)
        self.numbers = np.zeros((_ROWS_FIRST, numbers), np.int64)
        self.started_ms = np.zeros(_ROWS_FIRST, np.int64)
        self.seq = np.zeros(_ROWS_FIRST, np.int64)

    _COLUMNS = ("ids", "states", "entered_ms", "keys", "numbers", "started_ms", "seq")

    def __len__(self) -> int:
        return len(self.index)

    def begin(self, key: bytes) -> int:
        """The row of an instance, a new one where there is none."""
        row = self.index.get(key)
        if row is None:
            row = self.index[key] = len(self.index)
            if row == len(self.ids):
                for name in self._COLUMNS:
                    array = getattr(self, name)
                    setattr(self, name, np.concatenate([array, np.zeros_like(array)]))
            self.ids[row] = np.frombuffer(key, np.uint64)
        return row

    def widen(self, parts: int, keys: int, numbers: int) -> None:
        """Room for what a later declaration keeps besides: null in the instances there are."""
        self.parts = max(parts, self.parts)
        if numbers > self.numbers_n:
            more = np.full((len(self.numbers), numbers - self.numbers_n), -(2**63), np.int64)
            self.numbers, self.numbers_n = np.hstack([self.numbers, more]), numbers
        if keys > self.keys_n:
            none = np.zeros((len(self.keys), keys - self.keys_n, 2), np.uint64)
            self.keys, self.keys_n = np.concatenate([self.keys, none], axis=1), keys

    def fold(self, steps: StepColumns, places: NDArray[np.intp]) -> NDArray[np.int64]:
        """Fold those of some steps that are of this process, all but their timers; the row of each."""
        joined, index = steps.ids[places].tobytes(), self.index
        ids = [joined[at : at + 16] for at in range(0, len(joined), 16)]
        rows = np.array([row if (row := index.get(id)) is not None else self.begin(id) for id in ids], np.int64)
        parts, received_ms = steps.part[places], steps.received_ms[places]
        led = np.flatnonzero(steps.kind[places] != StepKind.STAY)  # Of what is named twice, the last stays.
        self.states[rows[led], parts[led]] = steps.entered[places[led]]
        self.entered_ms[rows[led], parts[led]] = received_ms[led]
        begun = np.flatnonzero(steps.begins[places] & (parts == 0))
        self.started_ms[rows[begun]] = received_ms[begun]
        for one in np.unique(steps.keys_n[places[begun]]).tolist():
            some = begun[steps.keys_n[places[begun]] == one]
            self.keys[rows[some], :one] = steps.keys[places[some], :one]
        for one in np.unique(steps.numbers_n[places]).tolist():
            some = np.flatnonzero(steps.numbers_n[places] == one)
            self.numbers[rows[some], :one] = steps.numbers[places[some], :one]
        np.add.at(self.seq, rows, 1)
        return rows

    def instance(self, row: int) -> Instance:
        """One instance."""
        parts = self.parts
        return Instance(
            self.ids[row].tobytes(),
            tuple(self.states[row, :parts].tolist()),
            tuple(one.tobytes() for one in self.keys[row]),
            tuple(self.numbers[row].tolist()),
            int(self.started_ms[row]),
            tuple(self.entered_ms[row, :parts].tolist()),
            int(self.seq[row]),
        )


class Book:
    """Every instance of every process, and the timers that wait.

    Attributes
    ----------
    tables : code of a process → its instances
    runs : where every job stands
    steps : how many were made
    """

    def __init__(self) -> None:
        self.tables: dict[int, Table] = {}
        self.timers = Timers()
        self.runs = Runs()
        self.steps = 0
        self._places: list[int] = []

    def view(self, process: int, key: bytes) -> Instance | None:
        """One instance; None = there is none."""
        table = self.tables.get(process)
        row = None if table is None else table.index.get(key)
        return None if table is None or row is None else table.instance(row)

    def armed(self, process: int, key: bytes, serial: int) -> Due | None:
        """A timer of an instance that waits; None = it does not."""
        table = self.tables.get(process)
        if table is None or key not in table.index:
            return None
        owner = self.owner(process, key)
        found = (one for one in self.timers.of(owner) if one.serial == serial)
        return next((Due(serial, owner, one.part, one.timer, one.due_ms) for one in found), None)

    def owner(self, process: int, key: bytes) -> int:
        """What the timers of an instance are under.

        Raises
        ------
        KeyError : there is none
        """
        return self._places.index(process) << _ROW_BITS | self.tables[process].index[key]

    def owner_of(self, due: Due) -> tuple[int, int]:
        """Process code and row of a timer's instance."""
        return self._places[due.owner >> _ROW_BITS], due.owner & (1 << _ROW_BITS) - 1

    def apply(self, steps: Iterable[Step], received_ms: int) -> None:
        """Fold steps, in order, that were made at one stamp of the writer."""
        owners, parts, leaves, fired, counts = [], [], [], [], []
        armed: list[tuple[int, int]] = []
        for step in steps:
            owners.append(self._apply(step, received_ms))
            parts.append(step.part)
            leaves.append(step.kind != StepKind.STAY)
            fired.append(step.fired)
            counts.append(len(step.armed))
            armed += step.armed
        if owners and (armed or self.timers.count):  # One call of the kernel for all.
            timers, dues_ms = zip(*armed, strict=True) if armed else ((), ())
            columns = (np.array(one, np.int64) for one in (fired, counts, timers, dues_ms))
            self.timers.step_many(np.array(owners), np.array(parts), np.array(leaves, np.bool_), *columns)

    def fold_steps(self, steps: StepColumns) -> None:
        """Fold steps side by side: the same as one after another."""
        owners = np.empty(len(steps), np.int64)
        seen, first = np.unique(steps.process, return_index=True)
        for process in seen[np.argsort(first)].tolist():
            places = np.flatnonzero(steps.process == process)
            widths = self._widths(steps, places)
            table = self.tables.get(process)
            if table is None:
                table = self.tables[process] = Table(*widths)
                self._places.append(process)
            table.widen(*widths)
            rows = table.fold(steps, places)
            owners[places] = self._places.index(process) << _ROW_BITS | rows
        self.timers.step_many(
            owners, steps.part, steps.kind != StepKind.STAY, steps.fired, steps.armed_n, steps.timers, steps.dues_ms
        )
        self.steps += len(steps)

    def _widths(self, steps: StepColumns, places: NDArray[np.intp]) -> tuple[int, int, int]:
        """Parts, keys and numbers that some steps of one process make room for."""
        begun = places[steps.begins[places]]
        keys = int(steps.keys_n[begun].max(initial=0))
        return int(steps.part[begun].max(initial=0)) + 1, keys, int(steps.numbers_n[places].max(initial=0))

    def _apply(self, step: Step, received_ms: int) -> int:
        """Fold a step, but for its timers; what these are under."""
        table = self.tables.get(step.process)
        if table is None:
            table = self.tables[step.process] = Table(step.part + 1, len(step.keys), len(step.numbers))
            self._places.append(step.process)
        part, row = step.part, table.index.get(step.key)
        if step.kind == StepKind.BEGIN:
            table.widen(part + 1, len(step.keys), len(step.numbers))
            row = table.begin(step.key)
            if not part:
                table.started_ms[row] = received_ms
                table.keys[row, : len(step.keys)] = np.frombuffer(b"".join(step.keys), np.uint64).reshape(-1, 2)
        assert row is not None, "a step of an instance that never began"
        if step.numbers:
            table.widen(part, len(step.keys), len(step.numbers))
            table.numbers[row, : len(step.numbers)] = step.numbers
        if step.kind != StepKind.STAY:
            table.states[row, part], table.entered_ms[row, part] = step.entered, received_ms
        table.seq[row] += 1
        self.steps += 1
        return self._places.index(step.process) << _ROW_BITS | row

    def fold(self, columns: Columns, first: int) -> None:
        """Fold what log columns say of instances and jobs, in order; `first` is the offset of the first record."""
        jobs, done = np.flatnonzero(columns.kind == JOB).tolist(), 0
        for stop in [*jobs, len(columns)]:
            part = columns.cut(done, stop)
            if (part.kind == STEP).any():
                self.fold_steps(step_columns(part))
            if stop < len(columns):
                self.apply_record(int(columns.type[stop]), first + stop, columns.record(stop))
            done = stop + 1

    def apply_record(self, job: int, offset: int, record: Record) -> None:
        """Fold a record of a job that stands in the log."""
        what, received_ms = record.numbers[0], record.received_ms
        if what == What.BEGIN:
            self.runs.begin(job, offset, record.numbers, received_ms)
        elif what == What.CHUNK:
            self.apply_chunk(job, chunk_of(record.payload), received_ms)
        elif what == What.TALLY:
            self.runs.tally(job, tally_of(record.payload))
        elif what == What.END:
            self.runs.end(job, record.numbers, received_ms)
        else:
            self.runs.skip(job, record.numbers, received_ms)

    def apply_chunk(self, job: int, chunk: Chunk, received_ms: int) -> None:
        """Fold a chunk of a job: what it leaves behind in the instances it took, column by column."""
        rows = chunk.rows
        self.runs.chunk(job, chunk, len(rows))
        if not chunk.changes or not len(rows):
            return
        table = self.tables[chunk.process]
        table.widen(0, table.keys_n, max(chunk.places, default=-1) + 1)
        values = np.frombuffer(chunk.numbers, np.int64).reshape(len(chunk.places), len(rows))
        for place, column in zip(chunk.places, values, strict=True):
            table.numbers[rows, place] = column
        if chunk.entered:
            table.states[rows, chunk.part] = chunk.entered
            table.entered_ms[rows, chunk.part] = received_ms
            self._rearm(chunk, rows)
        table.seq[rows] += 1
        self.steps += len(rows)

    def _rearm(self, chunk: Chunk, rows: NDArray[np.int64]) -> None:
        """Timers of instances that a chunk moves: those of the state that is left end, those of the new one begin."""
        timers, part = self.timers, chunk.part
        owners = rows | self._places.index(chunk.process) << _ROW_BITS
        if timers.count:
            for owner in owners.tolist():
                timers.cancel(owner, part)
        if chunk.timers:
            due_ms = np.frombuffer(chunk.due, np.int64).reshape(len(chunk.timers), len(rows)).T
            armed = due_ms != NULL
            owner, timer = np.broadcast_arrays(owners[:, None], np.array(chunk.timers)[None, :])
            timers.arm_many(owner[armed], np.full(armed.sum(), part), timer[armed], due_ms[armed])

    def instances(self, process: int) -> Iterator[Instance]:
        """Every instance of a process, in the order they began."""
        table = self.tables.get(process)
        return (table.instance(row) for row in range(len(table))) if table is not None else iter(())

    def metrics(self, now_ms: int) -> dict[str, int]:
        """Figures for a metrics page: instances, steps, timers that wait, how late the first of them is."""
        next_ms = self.timers.next_due_ms
        return {
            "process_instances": sum(map(len, self.tables.values())),
            "process_steps": self.steps,
            "process_timers": self.timers.count,
            "process_timers_late_ms": 0 if next_ms is None else max(0, now_ms - next_ms),
        }

    def dump(self) -> dict[str, NDArray]:
        """The whole as arrays."""
        arrays: dict[str, NDArray] = {f"timers.{name}": array for name, array in self.timers.dump().items()}
        arrays["places"] = np.array([*self._places, self.steps], np.int64)
        arrays["runs"] = self.runs.dump()
        for code, table in self.tables.items():
            n = len(table)
            arrays[f"{code}.parts"] = np.array([table.parts])
            arrays.update({f"{code}.{name}": getattr(table, name)[:n] for name in table._COLUMNS})
        return arrays

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray]) -> Book:
        """What `dump` gave."""
        book = cls()
        *book._places, book.steps = arrays["places"].tolist()
        book.runs.load(arrays["runs"])
        book.timers.load({name.removeprefix("timers."): one for name, one in arrays.items() if name[:7] == "timers."})
        for code in book._places:
            keys, numbers = arrays[f"{code}.keys"], arrays[f"{code}.numbers"]
            table = book.tables[code] = Table(int(arrays[f"{code}.parts"][0]), keys.shape[1], numbers.shape[1])
            n = len(keys)
            for name in table._COLUMNS:
                array = np.array(arrays[f"{code}.{name}"])
                room = np.zeros((max(_ROWS_FIRST - n, 0), *array.shape[1:]), array.dtype)
                setattr(table, name, np.concatenate([array, room]))
            table.index = {one.tobytes(): row for row, one in enumerate(table.ids[:n])}
        return book

    def digest(self) -> str:
        """SHA-256 (hex) of all of it."""
        arrays = self.dump()
        parts = [f"{name}{arrays[name].shape}".encode() + arrays[name].tobytes() for name in sorted(arrays)]
        return hashlib.sha256(b"".join(parts)).hexdigest()
