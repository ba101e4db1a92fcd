"""Processes with their codes: states, timers, what an instance keeps, whatever event comes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from quanheng.events.schema import NULL
from quanheng.loading.declared_processes import ProcessDeclaration, StateDeclaration, TimerDeclaration
from quanheng.processes.book import Instance
from quanheng.processes.records import Arming
from quanheng.processes.timers import Due
from quanheng.processes.times import due_ms, next_due_ms

if TYPE_CHECKING:
    from quanheng.kernel.calendars import Calendar
    from quanheng.loading.declared import Declared


class Timer(NamedTuple):
    """A timer of a state, with its code."""

    code: int
    declared: TimerDeclaration


class State:
    """A state, with its codes."""

    def __init__(self, declared: StateDeclaration, part: int, code: int, timers: Sequence[Timer]) -> None:
        self.declared, self.part, self.code, self.timers = declared, part, code, tuple(timers)
        self.name, self.end = declared.name, declared.end


class Machine:
    """A process with its codes, whatever event comes.

    Attributes
    ----------
    name : "pack.process"
    states : code → state
    """

    def __init__(self, declared: ProcessDeclaration, pack: Declared, codes: Mapping[str, int]) -> None:
        self.declared, self.pack = declared, pack.name
        self.name = f"{pack.name}.{declared.name}"
        self.code = codes[f"process {self.name}"]
        self.calendars: Mapping[str, Calendar] = pack.calendars
        self.states: dict[int, State] = {}
        self._named: dict[tuple[int, str], State] = {}
        for place, part in enumerate(declared.parts):
            for state in part.states:
                path = f"{self.name}.{part.name}.{state.name}"
                timers = [Timer(codes[f"timer {path}.{one.name}"], one) for one in state.timers]
                made = State(state, place, codes[f"state {path}"], timers)
                self.states[made.code] = self._named[place, state.name] = made
        past = f"state {self.name}."
        self._past = {code: path.rpartition(".")[2] for path, code in codes.items() if path.startswith(past)}
        self.decimals = tuple(one.decimals for one in declared.numbers)
        moments = {one.wait.until for part in declared.parts for state in part.states for one in state.timers}
        self.initial = tuple(NULL if one.name in moments else 0 for one in declared.numbers)
        """What a kept number is that no field of the starting event gives: a moment is not known, a count is 0."""

    @property
    def parts(self) -> int:
        """How many go on side by side."""
        return len(self.declared.parts)

    def state(self, part: int, name: str) -> State:
        """A state by its names."""
        return self._named[part, name]

    def is_over(self, instance: Instance) -> bool:
        """Whether every part has ended. What lives is in a declared state: one of an earlier version has ended."""
        return all(code not in self.states or self.states[code].end for code in instance.states)

    def names(self, instance: Instance) -> dict[str, str]:
        """Part → name of its state; the part of a process without parts is "state"."""
        return {
            part.name or "state": self.states[code].name if code in self.states else self._past.get(code, "")
            for part, code in zip(self.declared.parts, instance.states, strict=False)
        }

    def numbers(self, instance: Instance) -> dict[str, int | Decimal | None]:
        """What the instance keeps, as FEEL sees it."""
        values = (*instance.numbers, *[NULL] * (len(self.decimals) - len(instance.numbers)))
        return {
            one.name: unscaled(value, one.decimals) for one, value in zip(self.declared.numbers, values, strict=False)
        }

    def widened(self, instance: Instance | None) -> Instance | None:
        """The instance with all the numbers that are kept today: those declared after it began are null."""
        missing = 0 if instance is None else len(self.decimals) - len(instance.numbers)
        if instance is None or missing <= 0:
            return instance
        return instance._replace(numbers=(*instance.numbers, *[NULL] * missing))

    def context(self, instance: Instance | None) -> object:
        """The `instance` of guards; null before there is one."""
        if instance is None:
            return None
        times = {"entered_ms": max(instance.entered_ms), "started_ms": instance.started_ms}
        return {**self.numbers(instance), **self.names(instance), **times}

    def armings(self, state: State, numbers: Sequence[int], now_ms: int) -> tuple[Arming, ...]:
        """The timers that a state arms when it is entered."""
        made = (self._arming(one, numbers, now_ms) for one in state.timers)
        return tuple(one for one in made if one is not None)

    def _arming(self, timer: Timer, numbers: Sequence[int], now_ms: int) -> Arming | None:
        due = due_ms(timer.declared.wait, now_ms, self._until(timer, numbers), self.calendars)
        return None if due is None else Arming(timer.code | 1 << 16, due)

    def _until(self, timer: Timer, numbers: Sequence[int]) -> int | None:
        names = [one.name for one in self.declared.numbers]
        until = timer.declared.wait.until
        place = names.index(until) if until else len(numbers)
        value = numbers[place] if place < len(numbers) else NULL  # One that is kept since it began has none.
        return None if value == NULL else value

    def again(self, state: State, fired: Due, instance: Instance, now_ms: int) -> tuple[Arming, ...]:
        """The timer that has fired, armed once more where it is one that repeats."""
        timer = next((one for one in state.timers if one.code == fired.timer & 0xFFFF), None)
        if timer is None or not timer.declared.every:
            return ()
        times, last_ms = fired.timer >> 16, fired.due_ms
        if timer.declared.times_max and times >= timer.declared.times_max:
            return ()
        if timer.declared.stale == "once":  # Those that are late already were one with this.
            last_ms = max(last_ms, now_ms - timer.declared.stale_after_ms)
        from_ms, until = instance.entered_ms[fired.part], self._until(timer, instance.numbers)
        due = next_due_ms(timer.declared.wait, from_ms, last_ms, until, self.calendars)
        times += bool(timer.declared.times_max)  # Counted only where that says when to end.
        return () if due is None else (Arming(timer.code | times << 16, due),)


def unscaled(value: int, decimals: int) -> int | Decimal | None:
    """A kept number as FEEL sees it."""
    if value == NULL:
        return None
    return value if not decimals else Decimal(value).scaleb(-decimals)


def log_names(packs: Iterable[Declared]) -> list[str]:
    """All that has a code in the log: event types, processes with their states and timers, calls."""
    return [name for one in packs for name in (*(event.name for event in one.events), *code_names(one))]


def code_names(pack: Declared) -> list[str]:
    """What of a pack's processes and calls has a code in the log, beside its event types."""
    names = [f"call {pack.name}.{one.name}" for one in pack.calls.calls]
    names += [f"{JOB_CODE}{pack.name}.{one.name}" for one in pack.processes.jobs]
    for process in pack.processes.processes:
        path = f"{pack.name}.{process.name}"
        names.append(f"process {path}")
        for part in process.parts:
            for state in part.states:
                names.append(f"state {path}.{part.name}.{state.name}")
                names += [f"timer {path}.{part.name}.{state.name}.{one.name}" for one in state.timers]
    return names


JOB_CODE = "job "
"""How the names of jobs begin among those that have codes: `job PACK.NAME`."""


def job_codes(codes: Mapping[str, int]) -> list[int]:
    """Codes of the jobs among all codes."""
    return [code for name, code in codes.items() if name.startswith(JOB_CODE)]
