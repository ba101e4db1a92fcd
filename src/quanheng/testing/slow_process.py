"""Life cycles the plain way: dictionaries, one instance at a time, one event at a time. The twin of `stepping.py`.

It is written from what `loading/declared_processes.py` says alone, and asks the FEEL judge for guards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple

import msgspec

from quanheng.feel import ANY
from quanheng.feel.judge import evaluate
from quanheng.kernel.calendars import Calendar
from quanheng.loading.declared_processes import (
    Act,
    MoveDeclaration,
    ProcessDeclaration,
    Start,
    StateDeclaration,
    TimerDeclaration,
)
from quanheng.testing.slow_times import slow_due, slow_next_due

NUMBER_MAX = 2**62
ALONE_MAX = 64


class SlowTimer(msgspec.Struct):
    """A timer that waits. times : how often it was armed"""

    serial: int
    part: str
    state: str
    name: str
    due_ms: int
    times: int = 1


class SlowInstance(msgspec.Struct):
    """One instance. states, entered_ms : of each part; numbers : as FEEL sees them; steps : how many were made"""

    states: dict[str, str]
    numbers: dict[str, int | Decimal | None]
    started_ms: int
    entered_ms: dict[str, int]
    timers: list[SlowTimer]
    steps: int = 0


class Happened(NamedTuple):
    """An event as its decision leaves it.

    fields : as FEEL sees them
    refused_as : outcome where the ledger refuses what the steps ask for
    client : whether a client sent it; else the platform did, and it is never refused
    """

    type: str
    key: str
    fields: Mapping[str, object]
    received_ms: int
    outcome: str = ""
    refused_as: str = ""
    client: bool = True


class Told(NamedTuple):
    """What became of an event.

    illegal : it may not come now; then the names of the states, and of the events that are allowed, are given
    steps : (part, left, entered, timer) of each; nothing left = it has begun; nothing at all = a timer moved nothing
    asked, sent : postings that were asked for, and what is sent, in order
    refused : whether the ledger refused the postings
    """

    illegal: bool = False
    states: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    steps: tuple[tuple[str, str, str, str], ...] = ()
    asked: tuple[str, ...] = ()
    sent: tuple[str, ...] = ()
    refused: bool = False


class SlowProcess:
    """The instances of one process.

    Parameters
    ----------
    refuses : whether the ledger refuses postings, by their names
    """

    def __init__(
        self,
        declared: ProcessDeclaration,
        calendars: Mapping[str, Calendar],
        refuses: Callable[[Happened, Sequence[str]], bool] = lambda event, names: False,
    ) -> None:
        self.declared, self.calendars, self.refuses = declared, calendars, refuses
        self.instances: dict[str, SlowInstance] = {}
        self.next_serial = 1

    def state(self, part: str, name: str) -> StateDeclaration:
        """A state by its names."""
        return next(one for each in self.declared.parts if each.name == part for one in each.states if one.name == name)

    def is_over(self, instance: SlowInstance) -> bool:
        """Whether all its parts have ended."""
        return all(self.state(part, name).end for part, name in instance.states.items())

    def pending(self) -> list[tuple[str, SlowTimer]]:
        """Timers that wait, in the order in which they fire."""
        found = [(key, timer) for key, one in self.instances.items() for timer in one.timers]
        return sorted(found, key=lambda one: (one[1].due_ms, one[1].serial))

    def due(self, now_ms: int) -> tuple[str, SlowTimer] | None:
        """The timer that fires next at a moment."""
        return next((one for one in self.pending() if one[1].due_ms <= now_ms), None)

    def apply(self, event: Happened, serial: int = 0) -> Told:
        """What an event makes of the instance that it names; `serial` of the timer that it tells of."""
        if event.type not in self.declared.events():
            return Told()
        instance = self.instances.get(event.key)
        if event.client and event.type not in self.declared.ignores and not self._is_allowed(event.type, instance):
            return Told(True, tuple(instance.states.values()) if instance else (), self._allowed(instance))
        run = _Run(self, event, instance, serial, refused=False)
        if run.asked and self.refuses(event, run.asked):
            asked = run.asked
            run = _Run(self, event, instance, serial, refused=True)
            told = Told(steps=tuple(run.steps), asked=tuple(asked), sent=tuple(run.sent), refused=True)
        else:
            told = Told(steps=tuple(run.steps), asked=tuple(run.asked), sent=tuple(run.sent))
        if run.instance is not None:
            self.instances[event.key] = run.instance
        self.next_serial = run.next_serial
        return told

    def fields_of(self, key: str, timer: SlowTimer, now_ms: int) -> dict[str, object]:
        """Fields of the event that tells of a timer, but for keys."""
        declared, late_ms = self._timer(timer), now_ms - timer.due_ms
        skipped = declared.stale == "skip" and late_ms > declared.stale_after_ms
        return {
            "time_ms": timer.due_ms, "due_ms": timer.due_ms, "late_ms": late_ms, "skipped": skipped,
            "timer": timer.name, "serial": timer.serial,
            "state": f"{timer.part}.{timer.state}" if timer.part else timer.state, **self.instances[key].numbers,
        }  # fmt: skip

    def _timer(self, timer: SlowTimer) -> TimerDeclaration:
        return next(one for one in self.state(timer.part, timer.state).timers if one.name == timer.name)

    def _starts(self, type: str, instance: SlowInstance | None) -> list[Start]:
        starts = [one for one in self.declared.starts if one.event == type]
        if instance is None:
            return starts
        return [one for one in starts if one.again] if self.is_over(instance) else []

    def _is_allowed(self, type: str, instance: SlowInstance | None) -> bool:
        awaited = {one.event for part in self.declared.parts for state in part.states for one in state.moves}
        if type in {one.event for one in self.declared.starts} - awaited:
            return True
        return bool(self._starts(type, instance)) or any(one.event == type for one in self._moves(instance))

    def _moves(self, instance: SlowInstance | None) -> list[MoveDeclaration]:
        states = instance.states.items() if instance is not None else ()
        return [move for part, name in states for move in self.state(part, name).moves]

    def _allowed(self, instance: SlowInstance | None) -> tuple[str, ...]:
        starting = {one.event for one in self.declared.starts if self._starts(one.event, instance)}
        moving = {one.event for one in self._moves(instance) if one.event and not one.timer}
        return tuple(sorted(starting | moving))


class _Run:
    """One event, with the ledger doing what is asked or refusing it. Works on a copy of the instance."""

    def __init__(
        self, process: SlowProcess, event: Happened, instance: SlowInstance | None, serial: int, *, refused: bool
    ) -> None:
        self.process, self.event, self.refused = process, event, refused
        self.instance = deepcopy(instance)
        self.next_serial = process.next_serial
        self.steps: list[tuple[str, str, str, str]] = []
        self.asked: list[str] = []
        self.sent: list[str] = []
        fired = next((one for one in self.instance.timers if one.serial == serial), None) if self.instance else None
        if fired is not None:
            self._fire(fired)
        elif process._starts(event.type, instance):
            self._start()
        elif self.instance is not None:
            self._move()
        if self.steps:
            self._go_on()

    def _knows(self, text: str) -> bool:
        """Whether a guard speaks of refusals itself."""
        return "outcome" in text or "refused" in text

    def _holds(self, move: MoveDeclaration | Start, context: object) -> bool:
        """Its guard is true; of one that says where a refusal leads, as it was before the ledger was asked."""
        return not move.where or self._value(move.where, context, self.refused and not move.refused) is True

    def _value(self, text: str, context: object, refused: bool) -> object:
        outcome = self.event.refused_as if refused else self.event.outcome
        known = {**self.event.fields, "outcome": outcome, "refused": refused, "instance": context}
        return evaluate(text, dict.fromkeys(known, ANY), known, strict=False).value

    def _context(self) -> object:
        one = self.instance
        if one is None:
            return None
        states = {part or "state": state for part, state in one.states.items()}
        return {
            **one.numbers, **states, "entered_ms": max(one.entered_ms.values()), "started_ms": one.started_ms,
        }  # fmt: skip

    def _start(self) -> None:
        declared, context = self.process.declared, self._context()
        for start in self.process._starts(self.event.type, self.instance):
            if not self._holds(start, context):
                continue
            first = declared.parts[0]
            to = start.to or first.begins
            if self.refused and (
                self._asks([*start.do, *self.process.state(first.name, to).entry])
                or start.refused
                or not self._knows(start.where)
            ):
                if start.refused:
                    self._begin(start.refused, ())
            else:
                self._begin(to, start.do)
            return

    def _begin(self, to: str, do: Sequence[Act]) -> None:
        declared, now_ms = self.process.declared, self.event.received_ms
        moments = {timer.wait.until for part in declared.parts for state in part.states for timer in state.timers}
        numbers: dict[str, Any] = {}
        for one in declared.numbers:
            given = self.event.fields.get(one.name)
            numbers[one.name] = given if one.name in self.event.fields else None if one.name in moments else 0
        steps = self.instance.steps if self.instance else 0
        states = {part.name: part.begins if place else to for place, part in enumerate(declared.parts)}
        self.instance = SlowInstance(states, numbers, now_ms, dict.fromkeys(states, now_ms), [], steps)
        self._ask(do)
        for part, state in states.items():
            self._ask(self.process.state(part, state).entry)
            self._arm(part)
            self._step(part, "", state, "")

    def _move(self) -> None:
        """Each part, all as they stand before it."""
        instance, context = self.instance, self._context()
        assert instance is not None
        for part, name in dict(instance.states).items():
            moves = [one for one in self.process.state(part, name).moves if one.event == self.event.type]
            found = next((one for one in moves if not one.timer and self._holds(one, context)), None)
            if found is not None:
                self._make(part, found, context, None)

    def _fire(self, timer: SlowTimer) -> None:
        context, found = self._context(), None
        if not self.event.fields["skipped"]:
            moves = self.process.state(timer.part, timer.state).moves
            found = next((one for one in moves if one.timer == timer.name and self._holds(one, context)), None)
        if found is None or not self._make(timer.part, found, context, timer):
            self._again(timer)
            self._step(timer.part, "", "", timer.name)

    def _go_on(self) -> None:
        """Moves without an event, until none is made."""
        instance = self.instance
        assert instance is not None
        for _ in range(ALONE_MAX):
            context = self._context()
            if not any(
                self._make(part, move, context, None)
                for part, name in instance.states.items()
                for move in self.process.state(part, name).moves
                if not move.event and self._holds(move, context)
            ):
                return

    def _make(self, part: str, move: MoveDeclaration, context: object, fired: SlowTimer | None) -> bool:
        """Whether it is made."""
        instance = self.instance
        assert instance is not None
        name = instance.states[part]
        left = self.process.state(part, name)
        to, do, exit = move.to, move.do, left.exit
        entry = self.process.state(part, to).entry if to else ()
        asked = [*do, *((*exit, *entry) if to else ())]
        if self.refused and (self._asks(asked) or move.refused or not self._knows(move.where)):
            if not move.refused:
                return False
            to, do, exit, entry = move.refused, (), (), self.process.state(part, move.refused).entry
        set = {number: self._value(text, context, self.refused) for number, text in move.set.items()}
        values = {number: self._number(number, value) for number, value in set.items()}
        instance.numbers.update(values)
        timer = fired.name if fired else ""
        if not to:
            self._ask(do)
            if fired is not None:
                self._again(fired)
            self._step(part, name, name, timer)
            return True
        for acts in (exit, do, entry):
            self._ask(acts)
        instance.states[part], instance.entered_ms[part] = to, self.event.received_ms
        self._arm(part)
        self._step(part, name, to, timer)
        return True

    def _number(self, name: str, value: object) -> int | Decimal | None:
        """What is kept of a value: a number in so many decimals, rounded half to even; else null."""
        decimals = next(one.decimals for one in self.process.declared.numbers if one.name == name)
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            return None
        scaled = int(Decimal(value).scaleb(decimals).to_integral_value(ROUND_HALF_EVEN))
        if abs(scaled) >= NUMBER_MAX:
            return None
        return Decimal(scaled).scaleb(-decimals) if decimals else scaled

    def _asks(self, acts: Sequence[Act]) -> bool:
        return any(one.kind == "transfer" for one in acts)

    def _ask(self, acts: Sequence[Act]) -> None:
        for one in acts:
            (self.asked if one.kind == "transfer" else self.sent).append(one.name)

    def _step(self, part: str, left: str, entered: str, timer: str) -> None:
        assert self.instance is not None
        self.instance.steps += 1
        self.steps.append((part, left, entered, timer))

    def _until(self, timer: TimerDeclaration) -> int | None:
        assert self.instance is not None
        value = self.instance.numbers.get(timer.wait.until) if timer.wait.until else None
        return None if value is None else int(value)

    def _arm(self, part: str) -> None:
        """Stop the timers of a part, and begin those of the state it has entered."""
        instance, now_ms = self.instance, self.event.received_ms
        assert instance is not None
        instance.timers = [one for one in instance.timers if one.part != part]
        state = self.process.state(part, instance.states[part])
        for timer in state.timers:
            due = slow_due(timer.wait, now_ms, self._until(timer), self.process.calendars)
            if due is not None:
                self._wait(SlowTimer(0, part, state.name, timer.name, due.due_ms))

    def _again(self, fired: SlowTimer) -> None:
        """It has fired; it waits again where it is one that repeats."""
        instance = self.instance
        assert instance is not None
        instance.timers = [one for one in instance.timers if one.serial != fired.serial]
        declared = self.process._timer(fired)
        if not declared.every or (declared.times_max and fired.times >= declared.times_max):
            return
        last_ms = fired.due_ms
        if declared.stale == "once":
            last_ms = max(last_ms, self.event.received_ms - declared.stale_after_ms)
        from_ms = instance.entered_ms[fired.part]
        due = slow_next_due(declared.wait, from_ms, last_ms, self._until(declared), self.process.calendars)
        if due is not None:
            self._wait(SlowTimer(0, fired.part, fired.state, fired.name, due.due_ms, fired.times + 1))

    def _wait(self, timer: SlowTimer) -> None:
        assert self.instance is not None
        timer.serial, self.next_serial = self.next_serial, self.next_serial + 1
        self.instance.timers.append(timer)
