"""Reading processes: which instances there are, how each stands, and how it came there. Changes nothing.

Instances are known by pseudonyms. Whoever knows an id finds the instance by it, `review(pay-123)`; the log gives no id
back without the record of the event that named it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from quanheng.events.intake import Pseudonyms
from quanheng.facts import StepBody
from quanheng.kernel.errors import DataErased, InputError, NotFound
from quanheng.kernel.log.records import Columns
from quanheng.loading.declared_processes import MoveDeclaration, PartDeclaration, ProcessDeclaration, StateDeclaration
from quanheng.machines import Machine
from quanheng.processes.book import Book, Instance
from quanheng.processes.records import Step, StepKind
from quanheng.processes.timers import Armed
from quanheng.processes.trail import Trail
from quanheng.program import Program
from quanheng.reading import Reader, RecordedDecision, shown_transfer
from quanheng.recovery import read_batches

LIST_MAX = 1_000
"""Instances that are listed at once."""
TIMER_BITS = 0xFFFF
"""The code of a timer in what is armed; how often it was armed stands above it."""

_NAMED = re.compile(r"(?P<process>[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?)\((?P<id>.+)\)", re.DOTALL)
_PSEUDONYM = re.compile(r"#[0-9a-f]{32}")


def find_process(program: Program, name: str) -> Machine:
    """The process of this name: "review", or "pack.review".

    Raises
    ------
    NotFound : no pack in force declares it
    """
    found = next((one for one in program.machines.values() if name in (one.name, one.declared.name)), None)
    if found is None:
        known = [one.name for one in program.machines.values()]
        raise NotFound(
            "no active pack declares this process",
            where="process",
            found=name,
            allowed=", ".join(known) or "no active pack declares processes",
            cure="`quanheng process list` shows what there is.",
        )
    return found


def named_instance(text: str) -> tuple[str, str]:
    """Process and id of "review(pay-123)".

    Raises
    ------
    InputError : it is no such text
    """
    found = _NAMED.fullmatch(text)
    if found is None:
        raise InputError(
            "this names no instance",
            where="instance",
            found=text,
            allowed='a process and an id, such as "review(pay-123)"',
            cure="Quote it for the shell. `quanheng process list` shows the processes and the instances.",
        )
    return found["process"], found["id"].strip()


def key_of(machine: Machine, id: str, ring: Pseudonyms) -> bytes:
    """The pseudonym of an instance: of its id as people know it, or `#` and 32 hexadecimal digits as lists show it."""
    return bytes.fromhex(id[1:]) if _PSEUDONYM.fullmatch(id) else ring.pseudonym(machine.declared.entity, id)


class Codes:
    """Names of states and timers by their codes, also of processes that are no longer in force."""

    def __init__(self, codes: Mapping[str, int]) -> None:
        self._states = {code: name.rpartition(".")[2] for name, code in codes.items() if name.startswith("state ")}
        self._timers = {code: name.rpartition(".")[2] for name, code in codes.items() if name.startswith("timer ")}

    def state(self, code: int) -> str:
        """Name of a state, "" = none."""
        return self._states.get(code, "")

    def timer(self, code: int) -> str:
        """Name of a timer, "" = none."""
        return self._timers.get(code & TIMER_BITS, "")


class Wanted(NamedTuple):
    """Which instances are listed. state : one of them in it, "state" or "part.state"; live : none that is over"""

    process: str = ""
    state: str = ""
    live: bool = False
    limit: int = 100
    after: str = ""


def listed(program: Program, book: Book, wanted: Wanted) -> dict[str, Any]:
    """Instances in the order they began, a page of them.

    Raises
    ------
    NotFound : there is no such process, or no such state in any of those that are looked at
    """
    known = [find_process(program, wanted.process)] if wanted.process else list(program.machines.values())
    if wanted.state and not any(_has_state(one.declared, wanted.state) for one in known):
        states = [path for one in known for path in _paths(one.declared)]
        raise NotFound(
            "no process that is looked at has this state",
            where="state",
            found=wanted.state,
            allowed=", ".join(states) or "there is none",
            cure="Leave it out to see all.",
        )
    codes = Codes(program.codes)
    found: list[dict[str, Any]] = []
    passed = not wanted.after
    for machine in known:
        for instance in book.instances(machine.code):
            mark = f"{machine.name}#{instance.key.hex()}"
            if passed and _is_wanted(machine, instance, wanted):
                if len(found) == wanted.limit:
                    return {"instances": found, "next_after": found[-1]["mark"]}
                timers = book.timers.of(book.owner(machine.code, instance.key))
                found.append({"mark": mark, **_row(machine, instance, codes, timers)})
            passed = passed or mark == wanted.after
    return {"instances": found, "next_after": None}


def counted(program: Program, book: Book) -> list[dict[str, Any]]:
    """Processes in force with their states, and how many instances are in each."""
    found = []
    for machine in program.machines.values():
        counts: dict[str, int] = dict.fromkeys(_paths(machine.declared), 0)
        instances = 0
        for instance in book.instances(machine.code):
            instances += 1
            for path in machine.names(instance).items():
                name = ".".join(path) if path[0] != "state" else path[1]
                counts[name] = counts.get(name, 0) + 1
        title = {"en": machine.declared.en, "zh": machine.declared.zh}
        found.append({"process": machine.name, "title": title, "instances": instances, "states": counts})
    return found


def shown(program: Program, book: Book, machine: Machine, key: bytes) -> dict[str, Any]:
    """How an instance stands: states, what it keeps, its timers, and what may come now.

    Raises
    ------
    NotFound : it never began
    """
    instance = book.view(machine.code, key)
    if instance is None:
        starts = ", ".join(dict.fromkeys(one.event for one in machine.declared.starts))
        raise NotFound(
            "no instance of this process has begun under this id",
            where=machine.name,
            found=f"#{key.hex()}",
            allowed=f"an event that starts one: {starts}",
            cure="`quanheng process list` shows those that are there.",
        )
    codes, declared = Codes(program.codes), machine.declared
    timers = [_timer(one, codes, declared) for one in book.timers.of(book.owner(machine.code, key))]
    return {
        **_row(machine, instance, codes, ()),
        "titles": _titles(machine, instance),
        "keys": {one.name: f"#{held.hex()}" for one, held in zip(declared.keys, instance.keys, strict=False)},
        "numbers": machine.numbers(instance),
        "timers": sorted(timers, key=lambda one: one["due_ms"]),
        "allowed": allowed(declared, machine.names(instance)),
        "over": machine.is_over(instance),
    }


def allowed(process: ProcessDeclaration, states: Mapping[str, str]) -> list[dict[str, str]]:
    """Events that may come now, with what each leads to; timers and moves that are made by themselves are not among
    them.

    states : part → state; the part of a process without parts is "state"
    """
    found = []
    for part in process.parts:
        state = _state(part, states.get(part.name or "state", ""))
        for move in state.moves if state is not None else ():
            if move.event and not move.timer:
                one = {"event": move.event, "where": move.where, "to": move.to or state.name}  # type: ignore[union-attr]
                found.append({"part": part.name, **one} if part.name else one)
    return found


def _row(machine: Machine, instance: Instance, codes: Codes, timers: Sequence[Armed]) -> dict[str, Any]:
    states = machine.names(instance)
    first = min(timers, key=lambda one: one.due_ms, default=None)
    return {
        "process": machine.name,
        "key": f"#{instance.key.hex()}",
        "states": states,
        "since_ms": max(instance.entered_ms),
        "started_ms": instance.started_ms,
        "steps": instance.seq,
        "next_timer": None if first is None else _timer(first, codes, machine.declared),
    }


def _timer(due: Armed, codes: Codes, process: ProcessDeclaration) -> dict[str, Any]:
    part = process.parts[due.part].name if due.part < len(process.parts) else ""
    told = {"timer": codes.timer(due.timer), "due_ms": due.due_ms}
    return {"part": part, **told} if part else told


def _titles(machine: Machine, instance: Instance) -> dict[str, dict[str, str]]:
    found = {}
    for part, name in zip(machine.declared.parts, machine.names(instance).values(), strict=False):
        state = _state(part, name)
        if state is not None and state.en:
            found[part.name or "state"] = {"en": state.en, "zh": state.zh}
    return found


def _state(part: PartDeclaration, name: str) -> StateDeclaration | None:
    return next((one for one in part.states if one.name == name), None)


def _paths(process: ProcessDeclaration) -> list[str]:
    return [f"{part.name}.{one.name}" if part.name else one.name for part in process.parts for one in part.states]


def _has_state(process: ProcessDeclaration, state: str) -> bool:
    return any(state in (path, path.rpartition(".")[2]) for path in _paths(process))


def _is_wanted(machine: Machine, instance: Instance, wanted: Wanted) -> bool:
    if wanted.live and machine.is_over(instance):
        return False
    states = machine.names(instance)
    return not wanted.state or any(wanted.state in (state, f"{part}.{state}") for part, state in states.items())


def history(
    reader: Reader,
    machine: Machine,
    key: bytes,
    codes: Codes,
    upto: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Every step of an instance, in order: when, on which event, from where to where, why, and what it asked for.

    codes : of the activation in force; upto : of the first so many records of the log
    """
    found, decisions = [], _Decisions(reader, codes)
    for offset, received_ms, cause, step in _steps(reader, machine, key, upto, progress):
        found.append(decisions.told(machine, offset, received_ms, cause, step))
    return found


def _steps(
    reader: Reader, machine: Machine, key: bytes, upto: int, progress: Callable[[int, int], None] | None
) -> Iterator[tuple[int, int, int, Step]]:
    """Offset, stamp, cause and content of each step of an instance."""
    trail = Trail(machine.code, key)
    for start, part in read_batches(reader.log, 0, upto):
        if isinstance(part, Columns):
            for row, cause, step in trail.steps(part, start):
                yield start + row, int(part.received_ms[row]), cause, step
        if progress is not None:
            progress(start + len(part), upto)


class _Decisions:
    """Tells steps by the decisions that made them; each decision is read once."""

    def __init__(self, reader: Reader, codes: Codes) -> None:
        self._reader, self._codes = reader, codes
        self._taken: dict[int, int] = {}

    def told(self, machine: Machine, offset: int, received_ms: int, cause: int, step: Step) -> dict[str, Any]:
        """One step, for people."""
        about: dict[str, Any] = {"offset": offset, "at_ms": received_ms, "decision": cause}
        try:
            decision = self._reader.recorded_decision(cause)
            event = self._reader.event(decision.record.cause)
        except DataErased:
            return {**about, **self._coded(machine, step), "event": None, "note": "the content was erased"}
        except NotFound:  # A job or an activation made it.
            return {**about, **self._coded(machine, step), "event": None}
        program = self._reader.program(decision.body.program)
        names = {code: name for name, code in program.codes.items()}
        steps = [one for one in decision.body.steps if one.process == machine.name]
        at = self._taken.get(cause, 0)
        self._taken[cause] = at + 1
        told = steps[at] if at < len(steps) else StepBody(machine.name, "", "", "")
        shown = {
            **about,
            "event": {
                "type": names[event.type],
                "offset": event.offset,
                "id": event.body.id,
                "instance": _named_by(machine, names[event.type], event.body.data),
            },
            "part": told.part,
            "from": told.left or None,
            "to": told.entered or None,
            "timer": told.timer or None,
            "why": _why(program, machine, told, names[event.type]),
            "outcome": decision.outcome or None,
        }
        return {**shown, **self._asked(decision, at)}

    @staticmethod
    def _asked(decision: RecordedDecision, at: int) -> dict[str, Any]:
        """What the decision asked for, told with its first step."""
        if at:
            return {"transfers": [], "sent": []}
        sent = [{"name": one.name, "id": one.id.hex(), "body": msgspec.Raw(one.body)} for one in decision.body.sent]
        return {"transfers": [shown_transfer(one) for one in decision.body.transfers], "sent": sent}

    def _coded(self, machine: Machine, step: Step) -> dict[str, Any]:
        codes = self._codes
        left = "" if step.kind == StepKind.BEGIN else codes.state(step.left)
        parts = machine.declared.parts
        told = {"from": left or None, "to": codes.state(step.entered) or None, "timer": codes.timer(step.fired) or None}
        return {"part": parts[step.part].name if step.part < len(parts) else "", **told}


def _named_by(machine: Machine, event: str, data: bytes) -> str | None:
    """The id by which an event named the instance; events of timers know its key alone."""
    key = machine.declared.by.get(event, machine.declared.per)
    return msgspec.json.decode(data, type=dict[str, Any]).get(key)


def _why(program: Program, machine: Machine, told: StepBody, event: str) -> str:
    """The condition of the move as the version that made it declares it; of several that fit, all."""
    made_by = next((one for one in program.machines.values() if one.name == machine.name), None)
    if made_by is None:
        return ""
    process = made_by.declared
    if not told.left:
        wheres = [one.where for one in process.starts if one.event == event and one.to in (told.entered, "")]
        return " | ".join(dict.fromkeys(filter(None, wheres)))
    part = next((one for one in process.parts if one.name == told.part), None)
    state = None if part is None else _state(part, told.left)
    moves = () if state is None else state.moves
    fitting = [one for one in moves if _fits(one, told)]
    for told_by in (told.timer, ""):  # What the event makes comes before what is made by itself behind it.
        named = [one for one in fitting if (one.timer == told_by and (one.timer or one.event == event))]
        if named:
            return " | ".join(dict.fromkeys(one.where for one in named if one.where))
    return " | ".join(dict.fromkeys(one.where for one in fitting if not one.event))


def _fits(move: MoveDeclaration, told: StepBody) -> bool:
    """Whether a step may be the making of a move, by where it led."""
    return told.entered in (move.to, move.refused) if move.to else told.entered == told.left
