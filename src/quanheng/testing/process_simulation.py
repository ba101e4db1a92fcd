"""A pack's declared life for many instances, from a seed: events drawn among what is allowed, timers, and faults.
Everything goes the way that events go live (`path.handle`), in memory. Time is simulated, so a year takes seconds.
What people and partners do is drawn: which of the allowed events comes, after what delay, with what in its fields.
The faults are what goes wrong outside: the same request twice, one that comes hours late, an event that is not allowed,
an answer that never comes.
"""

from __future__ import annotations

import heapq
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from quanheng.events.intake import Intake, Request
from quanheng.events.schema import FieldDeclaration
from quanheng.kernel.errors import NotFound
from quanheng.kernel.log.records import STEP, decode
from quanheng.kernel.time import DAY_MS, HOUR_MS, MINUTE_MS
from quanheng.machines import Machine
from quanheng.path import Group, Repeat, Taken, handle
from quanheng.processes.book import Book, Instance
from quanheng.processes.records import step_of
from quanheng.program import Program
from quanheng.rehearsal import PlainPseudonyms
from quanheng.state import State
from quanheng.ticking import due_requests

BEGIN_MS = 1_768_471_200_000
"""2026-01-15T10:00:00Z: when the first instance may begin."""
PEOPLE, PATHS_SHOWN = 50, 10
"""Keys that are no instance's own are of so many people, so that they meet again."""
CASES_SHARE = 0.5
"""Share of events whose fields, but for keys and times, are those of an event of a golden case."""
NEVER_MS = 2**63 - 1
TWICE, LATE, UNEXPECTED, SILENT = "twice", "late", "unexpected", "silent"


class Faults(NamedTuple):
    """How often something goes wrong: shares of the events that are sent, or that would be."""

    twice: float = 0.05
    late: float = 0.03
    unexpected: float = 0.03
    silent: float = 0.10


USUAL = Faults()


class Simulated(msgspec.Struct, frozen=True):
    """What a run was.

    begun : instances that a start event has begun; over : that have ended
    states : "part.state" (or "state") → instances that are in it at the end
    reached : likewise → how often it was entered
    paths : how instances went, the most frequent first, and how many went so
    durations_ms : how long those took that are over: median and 90th percentile
    refused : event type → how often it was refused at intake; why : the first reason
    unmoved : event type → how often it was taken, and nothing moved
    declined : decisions whose transfers the ledger refused
    fired : timer → how often it was told; faults : that were made
    problems : what must not be, empty where all is well
    """

    process: str
    seed: int
    days: int
    sent: int
    begun: int
    over: int
    steps: int
    states: Mapping[str, int]
    reached: Mapping[str, int]
    paths: Sequence[tuple[str, int]]
    durations_ms: tuple[int, int] | None
    refused: Mapping[str, int]
    why: Mapping[str, str]
    unmoved: Mapping[str, int]
    declined: int
    fired: Mapping[str, int]
    faults: Mapping[str, int]
    messages: Mapping[str, int]
    problems: Sequence[str]


class _Planned(NamedTuple):
    """An event that is going to come. seq : steps of the instance by then; -1 = whatever became of it"""

    at_ms: int
    number: int
    instance: int
    type: str
    seq: int
    fault: str = ""


class ProcessSimulation:
    """One seeded run of the life that a program declares for a process.

    Parameters
    ----------
    name : of the process, "pack.process"
    seed : the same seed gives the same run
    days : how long it is simulated

    Raises
    ------
    NotFound : the program has no such process
    """

    def __init__(self, program: Program, name: str, seed: int, days: int = 90, faults: Faults = USUAL) -> None:
        known = {one.name: one for one in program.machines.values()}
        if name not in known:
            allowed = ", ".join(sorted(known)) or "no process is declared"
            raise NotFound("no such process is declared", where="process", found=name, allowed=allowed)
        self.machine: Machine = known[name]
        self.program, self.seed, self.days, self.faults = program, seed, days, faults
        self.rng = random.Random(seed)
        self.state = State(program)
        self.intake = Intake(program.types, PlainPseudonyms())
        self.folded = Book()
        self._seen: dict[bytes, int] = {}
        self._planned: list[_Planned] = []
        self._keys: dict[bytes, int] = {}
        self._ways: dict[int, list[str]] = {}
        self._ended_ms: dict[int, int] = {}
        self._cases = _cases_of(program)
        self._number, self._now_ms, self._sent = 0, BEGIN_MS, 0
        self._counts: dict[str, Counter[str]] = {
            name: Counter() for name in ("reached", "refused", "unmoved", "fired", "faults", "messages")
        }
        self._declined, self._why = 0, dict[str, str]()
        self._serials: set[int] = set()
        self._problems: list[str] = []

    def run(self, instances: int, progress: Callable[[int], None] = lambda done: None) -> Simulated:
        """Send a start for so many instances, and let them live until the days are over.

        Parameters
        ----------
        progress : told how many starts were sent
        """
        starts = [one.event for one in self.machine.declared.starts]
        for number in range(instances):
            at_ms = BEGIN_MS + self.rng.randrange(max(1, self.days * DAY_MS // 3))
            self._plan(at_ms, number, self.rng.choice(starts), -1)
        end_ms, begun = BEGIN_MS + self.days * DAY_MS, 0
        while (next_ms := self._next_ms()) <= end_ms:
            if self._is_due(next_ms):
                self._fire(next_ms)
                continue
            planned = heapq.heappop(self._planned)
            self._come(planned)
            begun += planned.seq < 0
            progress(begun)
        self._now_ms = end_ms
        return self._told()

    def _next_ms(self) -> int:
        """When the next thing happens."""
        due_ms = self.state.book.timers.next_due_ms
        moments = [one for one in (due_ms, self._planned[0].at_ms if self._planned else None) if one is not None]
        return min(moments, default=NEVER_MS)

    def _is_due(self, now_ms: int) -> bool:
        due_ms = self.state.book.timers.next_due_ms
        return due_ms is not None and due_ms <= now_ms

    def _plan(self, at_ms: int, instance: int, type: str, seq: int, fault: str = "") -> None:
        self._number += 1
        heapq.heappush(self._planned, _Planned(at_ms, self._number, instance, type, seq, fault))

    def _come(self, planned: _Planned) -> None:
        """An event comes, unless the instance has gone on since it was planned."""
        instance = self._instance(planned.instance)
        if planned.seq >= 0 and (instance is None or instance.seq != planned.seq):
            return
        fault = planned.fault or self._fault()
        late_ms = self.rng.randrange(HOUR_MS, 3 * DAY_MS) if fault == LATE else 0
        type = self._unexpected() if fault == UNEXPECTED else planned.type
        request = self._request(planned, type, late_ms)
        self._counts["faults"][fault] += bool(fault)
        self._send(request, planned.at_ms)
        if fault == TWICE:
            self._send(request, planned.at_ms)
        if fault == UNEXPECTED:
            self._plan(planned.at_ms + MINUTE_MS, planned.instance, planned.type, planned.seq)

    def _fault(self) -> str:
        drawn = self.rng.random()
        for name in (TWICE, LATE, UNEXPECTED):
            drawn -= getattr(self.faults, name)
            if drawn < 0:
                return name
        return ""

    def _unexpected(self) -> str:
        return self.rng.choice(
            [one for one in self.machine.declared.events() if one != self.machine.declared.timer_event]
        )

    def _send(self, request: Request, now_ms: int) -> None:
        """Send one request through the main path."""
        self._sent += 1
        (item,) = self._handle([request], now_ms).items
        if isinstance(item, Repeat):
            return
        if not isinstance(item, Taken):
            self._counts["refused"][request.type] += 1
            self._why.setdefault(request.type, str(item.error))
            return
        self._note(item, now_ms)
        if item.decision is None or not item.decision.moves.steps:
            self._counts["unmoved"][request.type] += 1

    def _fire(self, now_ms: int) -> None:
        """Fire the timers that are due, at their own moment."""
        for item in self._handle(due_requests(self.program, self.state.book, now_ms), now_ms).items:
            if isinstance(item, Taken):
                fields = item.event.fields
                self._counts["fired"][f"{fields.state}.{fields.timer}"] += 1
                if fields.serial in self._serials:
                    self._problems.append(f"the timer {fields.serial} was told twice")
                self._serials.add(fields.serial)
                self._note(item, now_ms)

    def _handle(self, requests: Sequence[Request], now_ms: int) -> Group:
        self._now_ms = max(self._now_ms, now_ms)
        keys = self.intake.keys(requests)
        seen = {key: self._seen[key] for key in keys if key in self._seen}
        group = handle(self.state, self.intake, requests, keys, now_ms, seen, day=now_ms // DAY_MS)
        for item in group.items:
            if isinstance(item, Taken):
                self._seen[item.event.request_key] = item.offset
        for _, record in group.facts:
            read = decode(record)
            if read.kind == STEP:
                self.folded.apply((step_of(read.type, read.keys, read.numbers),), now_ms)
        return group

    def _note(self, item: Taken, now_ms: int) -> None:
        """Count what a decision made, and plan what comes next for each instance that has gone on."""
        if item.decision is None:
            return
        body = item.decision.body
        self._declined += body.status == "refused"
        self._counts["messages"].update(one.name for one in body.sent)
        moved: dict[int, None] = {}
        for step, told in zip(item.decision.moves.steps, body.steps, strict=True):
            if step.process != self.machine.code:
                continue
            number = self._keys[step.key]
            moved[number] = None
            if told.entered and told.entered != told.left:
                path = f"{told.part}.{told.entered}" if told.part else told.entered
                self._counts["reached"][path] += 1
                self._ways.setdefault(number, []).append(path)
        for number in moved:
            self._go_on(number, now_ms)

    def _go_on(self, number: int, now_ms: int) -> None:
        """What comes next for an instance: one of the events that each of its parts allows, or silence."""
        instance = self._instance(number)
        assert instance is not None
        if self.machine.is_over(instance):
            self._ended_ms.setdefault(number, now_ms)
            return
        for code in instance.states:
            state = self.machine.states[code]
            allowed = sorted({one.event for one in state.declared.moves if one.event and not one.timer})
            if not allowed:
                continue
            if self.rng.random() < self.faults.silent:
                self._counts["faults"][SILENT] += 1
                continue
            waits = [one.declared.wait.after_ms for one in state.timers if one.declared.wait.after_ms > 0]
            delay_ms = 1 + int(self.rng.expovariate(1 / (min(waits) / 2 if waits else DAY_MS)))
            self._plan(now_ms + delay_ms, number, self.rng.choice(allowed), instance.seq)

    def _instance(self, number: int) -> Instance | None:
        key = PlainPseudonyms().pseudonym(self.machine.declared.entity, _id(number))
        self._keys[key] = number
        return self.state.book.view(self.machine.code, key)

    def _request(self, planned: _Planned, type: str, late_ms: int) -> Request:
        declared = self.program.types[type].declaration
        key = self.machine.declared.by.get(type, self.machine.declared.per)
        data = {
            name: self._value(one, planned.instance)
            for name, one in declared.fields.items()
            if not (one.optional and self.rng.random() < 0.2)
        }
        told = self._cases.get(type)
        if told and self.rng.random() < CASES_SHARE:
            plain = {name for name, one in declared.fields.items() if one.kind not in ("key", "time")}
            data |= {name: value for name, value in self.rng.choice(told).items() if name in plain}
        data |= {key: _id(planned.instance), declared.time: planned.at_ms - late_ms}
        client = declared.client or "simulated"
        return Request(client, f"s{planned.number}", type, _encode(data))

    def _value(self, field: FieldDeclaration, number: int) -> Any:
        """A value that the field takes."""
        rng = self.rng
        if field.kind == "key":
            if field.entity == self.machine.declared.entity:
                return _id(number)
            return f"{field.entity} {random.Random(f'{self.seed} {number} {field.entity}').randrange(PEOPLE)}"
        if field.kind == "time":
            return self._now_ms
        if field.kind == "boolean":
            return rng.random() < 0.5
        if field.kind == "choice":
            return rng.choice(field.choices)
        if field.kind == "text":
            return _text(field)
        return self._amount(field)

    def _amount(self, field: FieldDeclaration) -> int | Decimal:
        """A number between what the field allows; small ones are as likely as large ones, size for size."""
        scale = 10**field.scale
        least = int((field.min if field.min is not None else 0) * scale)
        most = int((field.max if field.max is not None else max(100_000, least * 10)) * scale)
        span = most - least
        drawn = least + min(span, int(span ** self.rng.random())) if span > 0 else least
        return Decimal(drawn) / scale if field.kind == "decimal" else drawn

    def _told(self) -> Simulated:
        book, machine = self.state.book, self.machine
        instances = list(book.instances(machine.code))
        states: Counter[str] = Counter()
        for one in instances:
            states.update(state if part == "state" else f"{part}.{state}" for part, state in machine.names(one).items())
        ways = Counter(" → ".join(way) for way in self._ways.values())
        started = {self._keys[one.key]: one.started_ms for one in instances}
        took = sorted(ended - started[number] for number, ended in self._ended_ms.items() if number in started)
        counts = {name: dict(sorted(one.items())) for name, one in self._counts.items()}
        counts["faults"].pop("", None)
        return Simulated(
            machine.name, self.seed, self.days, self._sent, len(instances), sum(map(machine.is_over, instances)),
            book.steps, dict(sorted(states.items())),
            paths=sorted(ways.items(), key=lambda one: (-one[1], one[0]))[:PATHS_SHOWN],
            durations_ms=(_percentile(took, 50), _percentile(took, 90)) if took else None, declined=self._declined,
            why=self._why,
            problems=[*self._problems, *self._checked(instances)], **counts,
        )  # fmt: skip

    def _checked(self, instances: Iterable[Instance]) -> list[str]:
        """What must not be."""
        problems, machine, ledger = [], self.machine, self.state.ledger
        for one in instances:
            parts = [machine.states[code].part if code in machine.states else -1 for code in one.states]
            if parts != list(range(machine.parts)):
                problems.append(f"an instance is not in one legal state of each part: {machine.names(one)}")
        for pack in self.program.packs.values():
            for asset in pack.accounts.assets:
                total = ledger.totals(asset.number)
                if total.debits_posted_minor != total.credits_posted_minor:
                    problems.append(f"debits of {asset.name} are not its credits")
                if total.debits_held_minor != total.credits_held_minor:
                    problems.append(f"what is held of {asset.name} on one side is not what is held on the other")
        next_ms = self.state.book.timers.next_due_ms
        if next_ms is not None and next_ms <= self._now_ms:
            problems.append("a timer is past its time and was not told")
        if self.folded.digest() != self.state.book.digest():
            problems.append("the steps as they are recorded do not give the instances again")
        return problems


def _id(number: int) -> str:
    return f"simulated {number}"


def _percentile(values: Sequence[int], percent: int) -> int:
    """The least value that is not below so many percent of them."""
    return values[max(0, -(-len(values) * percent // 100) - 1)]


def _text(field: FieldDeclaration) -> str:
    """A text that the field takes, or its best guess where that has an intricate pattern."""
    tried = ("simulated"[: field.length_max], *(one * size for size in range(1, 13) for one in "Aa1"))
    return next((one for one in tried if not field.pattern or re.fullmatch(field.pattern, one)), tried[0])


def _cases_of(program: Program) -> dict[str, list[Mapping[str, object]]]:
    """What events of golden cases hold, by event type."""
    found: dict[str, list[Mapping[str, object]]] = {}
    for pack in program.packs.values():
        for case in pack.cases:
            for event in case.events:
                found.setdefault(event.type, []).append(event.data)
    return found


_encode = msgspec.json.Encoder(decimal_format="number").encode
