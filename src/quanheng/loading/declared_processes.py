"""What processes.toml declares, checked: life cycles with their states, moves and timers, and jobs over many subjects.

Nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from quanheng.processes.times import Wait

TIMER_FIRED = "timer.fired"
"""Last words of the event that tells of a timer: `review.timer.fired` for the process `review`."""

ActKind = Literal["transfer", "call", "notify"]
Stale = Literal["fire", "skip", "once"]
"""What becomes of a timer that is found due late (after downtime): "fire" = it fires, as often as it was due, in order;
"skip" = it does not; "once" = an `every` timer fires once for all that it has missed."""


class Act(msgspec.Struct, frozen=True):
    """What is asked for when a step is made: a posting of accounts.toml, a call or a notice of calls.toml."""

    kind: ActKind
    name: str


class MoveDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """One move: an event (or a timer) that is allowed in a state, and where it leads.

    event : event type; of a timer's move the process' own `NAME.timer.fired`; "" = made by itself as soon as `where`
        is true, right behind another step of the instance
    timer : name of the timer of the same state whose firing it is; "" = none
    where : FEEL over what is known of the event, `outcome`, `refused` and `instance`; "" = always. The first move of a
        state, in the order of the file, whose event and condition fit is made
    to : state of the same part; "" = it stays, nothing is left or entered, its timers go on
    set : kept number → FEEL, computed before anything else changes
    do : asked for, behind the exit acts of the state that is left and before the entry acts of the one that is entered
    refused : state it leads to where the ledger refuses what the step asks for; "" = it is not made then
    """

    event: str
    timer: str = ""
    where: str = ""
    to: str = ""
    set: Mapping[str, str] = {}
    do: tuple[Act, ...] = ()
    refused: str = ""


class TimerDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """A timer that runs while an instance is in a state.

    every : it runs again when it has fired and the state was not left; `times_max` times in all, 0 = without end
    stale : what becomes of it where it is found due later than `stale_after_ms`
    moves : what its firing may lead to, in order; none = it is only told
    """

    name: str
    wait: Wait
    every: bool = False
    times_max: int = 0
    stale: Stale = "fire"
    stale_after_ms: int = 0
    en: str = ""
    zh: str = ""


class StateDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """A state of a part of a process.

    end : nothing is allowed in it; an instance whose parts have all ended is over
    moves : in the order of the file, those of timers behind the others
    """

    name: str
    end: bool = False
    entry: tuple[Act, ...] = ()
    exit: tuple[Act, ...] = ()
    moves: tuple[MoveDeclaration, ...] = ()
    timers: tuple[TimerDeclaration, ...] = ()
    en: str = ""
    zh: str = ""


class PartDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """One of the parts that go on side by side; a process without parts has one, of the name "".

    begins : state it is in when an instance starts; "" = the state the start names (a process without parts)
    """

    name: str
    states: tuple[StateDeclaration, ...]
    begins: str = ""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What starts an instance where there is none, or where the one there is over and `again` is true.

    to : state of the first part; its other parts begin in theirs
    """

    event: str
    where: str = ""
    to: str = ""
    again: bool = False
    do: tuple[Act, ...] = ()
    refused: str = ""


class KeptKey(msgspec.Struct, frozen=True):
    """A key that an instance keeps from the event that starts it: its timers carry it."""

    name: str
    entity: str


class KeptNumber(msgspec.Struct, frozen=True):
    """A number that an instance keeps, scaled by 10 ** `decimals`: from the field of the same name of the event that
    starts it where that has one; else 0 until a move or a job sets it, or null where a timer's `until` names it."""

    name: str
    decimals: int = 0


class ProcessDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """A life cycle: one instance for each key of an entity.

    name : unique among the active packs; its timers are told as the event `NAME.timer.fired`
    per : key field by which events name their instance; `entity` is its entity
    subject : kept key of whom its timers are about; "" = nobody
    by : event type → key field that names the instance there, where it is not `per`
    ignores : event types that may come when they are not allowed: they are recorded and move nothing. Events of the
        platform (timers, answers) are always so
    refused_as : outcome of an event without a flow where the ledger refuses what its step asks for
    migrate : state of an earlier version ("state", or "part.state") → state of this one
    """

    name: str
    per: str
    entity: str
    keys: tuple[KeptKey, ...] = ()
    numbers: tuple[KeptNumber, ...] = ()
    subject: str = ""
    starts: tuple[Start, ...] = ()
    parts: tuple[PartDeclaration, ...] = ()
    by: Mapping[str, str] = {}
    ignores: tuple[str, ...] = ()
    refused_as: str = ""
    migrate: Mapping[str, str] = {}
    en: str = ""
    zh: str = ""

    @property
    def timer_event(self) -> str:
        """The event that tells of its timers."""
        return f"{self.name}.{TIMER_FIRED}"

    def state(self, part: str, name: str) -> StateDeclaration:
        """A state by its names.

        Raises
        ------
        StopIteration : there is none
        """
        return next(one for two in self.parts if two.name == part for one in two.states if one.name == name)

    def events(self) -> tuple[str, ...]:
        """Event types that may start or move it, each once, in order; where it has timers, the one that tells of them
        is among them, also where none of them moves anything: each firing is a step."""
        states = [state for part in self.parts for state in part.states]
        moves = [one.event for state in states for one in state.moves if one.event]
        timed = [self.timer_event] if any(state.timers for state in states) else []
        return tuple(dict.fromkeys([*(one.event for one in self.starts), *moves, *timed]))


class JobDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """Work over many instances of a process, at times of its own, in chunks.

    wait : when it runs, counted from its last run (from the activation, before any)
    states : states that an instance is in to be taken ("state", "part.state"); none = any that has not ended
    where : FEEL over `instance`; "" = all
    set : kept number → FEEL over `instance`
    to : state that the instance is moved to, of the part of the states named; "" = it stays
    event : event that is sent for each instance that was taken, through the main path; "" = none
    fields : field of that event → FEEL over `instance`; its keys are filled from the kept keys of the same name
    chunk : instances that are taken at once
    """

    name: str
    process: str
    wait: Wait
    stale: Stale = "once"
    stale_after_ms: int = 0
    states: tuple[str, ...] = ()
    where: str = ""
    set: Mapping[str, str] = {}
    to: str = ""
    event: str = ""
    fields: Mapping[str, str] = {}
    chunk: int = 10_000
    en: str = ""
    zh: str = ""


class ProcessesDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of processes.toml, by name, in the order of the file."""

    processes: tuple[ProcessDeclaration, ...] = ()
    jobs: tuple[JobDeclaration, ...] = ()
