"""Jobs with their codes: which instances one takes, and what becomes of them, a chunk of a table at a time. Pure.

Conditions and values are asked of whole columns where FEEL can be read so (`feel.exact`), and row by row for what is
left: the same values in either way, so where a chunk ends changes nothing but how long it takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.amounts import minor_units
from quanheng.events.schema import NO_KEY, NULL
from quanheng.feel.compiler import compile_expression
from quanheng.feel.exact import Column, NumberColumn, TextColumn, Undecidable, compile_exact
from quanheng.feel.types import ANY
from quanheng.loading.declared_accounts import Unasked
from quanheng.loading.declared_processes import JobDeclaration
from quanheng.machines import JOB_CODE, Machine, State
from quanheng.processes.book import Table
from quanheng.processes.runs import LISTED_MAX, Chunk, Reason, Reject, Tally, packed
from quanheng.processes.times import due, next_due

if TYPE_CHECKING:
    from quanheng.loading.declared import Declared

ROWS_MAX, ALONE_MAX = 20_000, 1_000
"""Most rows of one chunk, and most of them for which FEEL is asked row by row: about 20 ms of work each."""
SET_MAX = 2**62
"""What an instance keeps is smaller, whatever its sign, as where a move sets it."""
ROUNDED = "half_even"
DAY_MS = 86_400_000
_VARIABLES = ("due_ms",)
"""What conditions and values of a job know beside `instance`: when the run was due."""
Bits = NDArray[np.bool_]
Rows = NDArray[np.int64]


class Asked(NamedTuple):
    """What of a chunk is looked at: rows of a table, for a run that was due at a moment."""

    table: Table
    rows: slice
    due_ms: int


class Ask:
    """An expression of a job, over columns where it can be, else row by row."""

    def __init__(self, job: Job, text: str, where: str) -> None:
        self._job = job
        self.run = compile_expression(text, dict.fromkeys(["instance", *_VARIABLES], ANY), where, strict=False)
        self._exact = compile_exact(text, "instance", _VARIABLES, where)

    def value(self, asked: Asked, row: int) -> object:
        """What FEEL gives for one row."""
        return self.run(self._job.machine.context(asked.table.instance(row)), asked.due_ms)

    def truths(self, asked: Asked) -> tuple[Bits, Bits]:
        """Where it is true, and where columns do not know."""
        rows = asked.rows.stop - asked.rows.start
        try:
            return self._exact.truths(self._job.columns(asked), rows)
        except Undecidable:
            return np.zeros(rows, bool), np.ones(rows, bool)

    def scaled(self, asked: Asked, decimals: int) -> tuple[NDArray[np.int64], Bits, Bits]:
        """Its values scaled, where they are null, and where columns do not know."""
        rows = asked.rows.stop - asked.rows.start
        try:
            return self._exact.scaled(self._job.columns(asked), rows, decimals)
        except Undecidable:
            return np.zeros(rows, np.int64), np.zeros(rows, bool), np.ones(rows, bool)


class Job:
    """A job with its codes.

    Attributes
    ----------
    name : "pack.job"
    event : event type that is sent for what was taken; "" = none
    fields : of that event, by name
    """

    def __init__(self, declared: JobDeclaration, pack: Declared, machine: Machine, codes: Mapping[str, int]) -> None:
        self.declared, self.machine, self.pack = declared, machine, pack.name
        self.name = f"{pack.name}.{declared.name}"
        self.code = codes[f"{JOB_CODE}{self.name}"]
        self.event, self.calendars = declared.event, pack.calendars
        where = f"job {declared.name}"
        places = {one.name: place for place, one in enumerate(machine.declared.numbers)}
        self.where = Ask(self, declared.where, f"{where}.where") if declared.where else None
        self.set = [(places[name], Ask(self, text, f"{where}.set.{name}")) for name, text in declared.set.items()]
        self.fields = {name: Ask(self, text, f"{where}.fields.{name}") for name, text in declared.fields.items()}
        self._states = [self._state(one) for one in declared.states]
        self._to = machine.state(self._states[0].part if self._states else 0, declared.to) if declared.to else None
        self._ended = [code for code, state in machine.states.items() if state.end]
        self._names = {code: state.name for code, state in machine.states.items()}
        self._numbers = {one.name: (place, one.decimals) for place, one in enumerate(machine.declared.numbers)}
        self._parts = {part.name or "state": place for place, part in enumerate(machine.declared.parts)}

    def _state(self, path: str) -> State:
        """A state by what the declaration calls it: "state", or "part.state"."""
        part, _, name = path.rpartition(".")
        return self.machine.state([one.name for one in self.machine.declared.parts].index(part), name)

    # --- when it runs

    def due_ms(self, since_ms: int, last_ms: int) -> int | None:
        """When it runs next: behind the moment it was last due, -1 = never yet; None = not again.

        Raises
        ------
        InputError : the calendar has no business day
        """
        if last_ms < 0:
            found = due(self.declared.wait, since_ms, None, self.calendars)
        else:
            found = next_due(self.declared.wait, since_ms, last_ms, None, self.calendars)
        return None if found is None else found.due_ms

    def newest_ms(self, since_ms: int, due_ms: int, now_ms: int) -> int:
        """The last of the moments it was due by now, of which `due_ms` is one."""
        for back_ms in (60_000, 3_600_000, DAY_MS, 32 * DAY_MS, 400 * DAY_MS):  # Near enough, then step by step.
            found = self.due_ms(since_ms, max(due_ms, now_ms - back_ms))
            if found is not None and found <= now_ms:
                due_ms = found
                break
        while (found := self.due_ms(since_ms, due_ms)) is not None and found <= now_ms:
            due_ms = found
        return due_ms

    # --- what it takes

    def columns(self, asked: Asked) -> _Columns:
        """The columns of `instance` and of what is known beside it."""
        return _Columns(self, asked)

    def chunk(self, table: Table, first: int, rows: int, due_ms: int, now_ms: int, most: int) -> Chunk:
        """What becomes of the next rows of a table, from `first` on and before `rows`.

        Parameters
        ----------
        due_ms : when the run was due
        now_ms : the writer's stamp: from it the timers of a state count that instances are moved to
        most : instances that are taken at most
        """
        last = min(first + min(self.declared.chunk, ROWS_MAX), rows)
        asked = Asked(table, slice(first, last), due_ms)
        fitting = self._in_states(table, asked.rows)
        if self.where is not None:
            true, unsure = self.where.truths(asked)
            fitting, asked = self._each(asked, fitting, true, unsure)
        if (places := np.flatnonzero(fitting))[most:].size:
            asked, fitting = _cut(asked, int(places[most - 1]) + 1, fitting)
        values, rejects, asked, fitting = self._values(asked, fitting)
        taken = np.flatnonzero(fitting)
        numbers = np.array([column[taken] for column in values], np.int64).tobytes() if values else b""
        entered, timers, moments = 0, tuple[int, ...](), b""
        if self._to is not None and len(taken):
            entered = self._to.code
            timers, moments = self._armed(asked, taken, values, now_ms)
        return Chunk(
            self.machine.code, asked.rows.start, asked.rows.stop, packed(fitting),
            tuple(place for place, _ in self.set), numbers, self._to.part if self._to else 0, entered, timers, moments,
            rejects,
        )  # fmt: skip

    def _in_states(self, table: Table, rows: slice) -> Bits:
        """Which rows are in the states that are named; in any that has not ended where none is."""
        states, parts = table.states[rows], self.machine.parts
        if not self._states:
            going: Bits = np.logical_not(np.isin(states[:, :parts], self._ended).all(axis=1))
            return going
        fitting = np.zeros(len(states), bool)
        for one in self._states:
            fitting |= np.asarray(states[:, one.part] == one.code)
        return fitting

    def _each(self, asked: Asked, fitting: Bits, true: Bits, unsure: Bits) -> tuple[Bits, Asked]:
        """The rows whose condition is true; where columns do not know, FEEL is asked, so the chunk may be cut."""
        places = np.flatnonzero(fitting & unsure)
        if len(places) > ALONE_MAX:
            end = int(places[ALONE_MAX])
            asked, fitting = _cut(asked, end, fitting)
            true, unsure, places = true[:end], unsure[:end], places[:ALONE_MAX]
        assert self.where is not None
        true = fitting & true & ~unsure
        for place in places.tolist():
            true[place] = self.where.value(asked, asked.rows.start + place) is True
        return true, asked

    def _values(self, asked: Asked, fitting: Bits) -> tuple[list[NDArray[np.int64]], Tally, Asked, Bits]:
        """The values that are set, for each row of a chunk, and the rows that have them; the others are rejected."""
        if not self.set:
            return [], Tally(), asked, fitting
        found = [one.scaled(asked, self.machine.decimals[place]) for place, one in self.set]
        places = np.flatnonzero(fitting & np.logical_or.reduce([doubtful for _, _, doubtful in found]))
        if len(places) > ALONE_MAX:
            asked, fitting = _cut(asked, int(places[ALONE_MAX]), fitting)
        end, values = len(fitting), list[_Values]()
        for (place, one), (whole, null, doubtful) in zip(self.set, found, strict=True):
            made = _Values(whole[:end], null[:end], np.abs(whole[:end]) >= SET_MAX)
            for at in np.flatnonzero(fitting & doubtful[:end]).tolist():
                made.put(
                    at, minor_units(one.value(asked, asked.rows.start + at), self.machine.decimals[place], ROUNDED)
                )
            values.append(made)
        tally, left = _rejected(values, fitting, asked.rows.start)
        return [one.whole for one in values], tally, asked, left

    def _armed(
        self, asked: Asked, taken: Rows, values: Sequence[NDArray[np.int64]], now_ms: int
    ) -> tuple[tuple[int, ...], bytes]:
        """Timers of the state that instances are moved to, and when each is due: asked once per kept moment."""
        assert self._to is not None
        codes, columns = list[int](), list[NDArray[np.int64]]()
        set_at = {place: column for (place, _), column in zip(self.set, values, strict=True)}
        for timer in self._to.timers:
            wait = timer.declared.wait
            until = np.full(len(taken), NULL, np.int64)
            if wait.until:
                place, _ = self._numbers[wait.until]
                kept = _kept(asked.table, place, asked.rows)
                until = set_at.get(place, kept)[taken]
            distinct, which = np.unique(until, return_inverse=True)
            moments = [due(wait, now_ms, None if one == NULL else one, self.calendars) for one in distinct.tolist()]
            found = np.array([NULL if one is None else one.due_ms for one in moments], np.int64)
            codes.append(timer.code | 1 << 16)
            columns.append(found[which.reshape(-1)])
        return tuple(codes), np.array(columns, np.int64).tobytes() if columns else b""


def jobs_of(packs: Mapping[str, Declared], machines: Mapping[int, Machine], codes: Mapping[str, int]) -> dict[int, Job]:
    """Every declared job, by its code."""
    made = [
        Job(one, pack, machines[codes[f"process {pack.name}.{one.process}"]], codes)
        for pack in packs.values() for one in pack.processes.jobs
    ]  # fmt: skip
    return {one.code: one for one in made}


class _Values(NamedTuple):
    """Values of a kept number for the rows of a chunk: scaled, null, or too large to be kept."""

    whole: NDArray[np.int64]
    null: Bits
    beyond: Bits

    def put(self, at: int, value: int | Unasked) -> None:
        """The value that FEEL gave for a row."""
        self.null[at] = value is Unasked.AMOUNT_IS_NULL
        self.whole[at] = 0 if isinstance(value, Unasked) else value
        self.beyond[at] = value is Unasked.AMOUNT_DOES_NOT_FIT or abs(int(self.whole[at])) >= SET_MAX


def _rejected(values: Sequence[_Values], fitting: Bits, first: int) -> tuple[Tally, Bits]:
    """Rows that lack a value, by the first that is not there, and the rows that have all."""
    counts, listed, left = list[tuple[int, int, int]](), list[Reject](), fitting.copy()
    for number, one in enumerate(values):
        for where, reason in ((one.null, Reason.SET_IS_NULL), (one.beyond, Reason.SET_DOES_NOT_FIT)):
            rows = np.flatnonzero(left & where)
            if len(rows):
                counts.append((int(reason), number, len(rows)))
                listed += [Reject(row, int(reason), number) for row in (rows[:LISTED_MAX] + first).tolist()]
                left &= ~where
    return Tally(tuple(sorted(counts)), tuple(sorted(listed)[:LISTED_MAX])), left


class _Columns:
    """Columns by name, as `Machine.context` would give each row's values."""

    def __init__(self, job: Job, asked: Asked) -> None:
        self._job, self._asked = job, asked

    def __call__(self, name: str) -> Column | None:
        """The column of a name, of an entry of `instance` with a point before it; None = there is none."""
        job, (table, rows, due_ms) = self._job, self._asked
        if not name.startswith("."):
            return NumberColumn(np.int64(due_ms))  # type: ignore[arg-type]
        name = name[1:]
        if name == "entered_ms":
            return NumberColumn(table.entered_ms[rows, : job.machine.parts].max(axis=1))
        if name == "started_ms":
            return NumberColumn(table.started_ms[rows])
        if name in job._parts:
            return TextColumn(table.states[rows, job._parts[name]].astype(np.int64), job._names)
        if name in job._numbers:
            place, decimals = job._numbers[name]
            return NumberColumn(_kept(table, place, rows), decimals)
        return None


def _kept(table: Table, place: int, rows: slice) -> NDArray[np.int64]:
    """A kept number of some rows; null where instances began before it was declared."""
    if place >= table.numbers_n:
        return np.full(rows.stop - rows.start, NULL, np.int64)
    return table.numbers[rows, place]


def _cut(asked: Asked, rows: int, fitting: Bits) -> tuple[Asked, Bits]:
    """Only so many rows of a chunk."""
    return asked._replace(rows=slice(asked.rows.start, asked.rows.start + rows)), fitting[:rows]


def kept_keys(machine: Machine, table: Table, row: int) -> dict[str, bytes]:
    """The keys of an instance by name: its own, and those it keeps."""
    instance = table.instance(row)
    kept = zip((one.name for one in machine.declared.keys), instance.keys, strict=False)
    return {machine.declared.per: instance.key, **{name: key for name, key in kept if key != NO_KEY}}
