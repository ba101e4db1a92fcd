"""Random life cycles over the pack in tests/packs/life, and a small world in memory that lives them beside the twin."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st
from msgspec.structs import replace

from quanheng.events.intake import Intake, Refusal, Request
from quanheng.kernel.log.records import STEP, decode
from quanheng.kernel.time import DAY_MS, HOUR_MS
from quanheng.ledger.balances import account_id
from quanheng.loading.declared import Declared
from quanheng.loading.declared_processes import (
    Act,
    KeptNumber,
    MoveDeclaration,
    PartDeclaration,
    ProcessDeclaration,
    ProcessesDeclaration,
    Stale,
    Start,
    StateDeclaration,
    TimerDeclaration,
)
from quanheng.loading.files import read_pack
from quanheng.loading.pack import load_packs
from quanheng.loading.process_events import timer_event
from quanheng.machines import Machine, code_names
from quanheng.migrating import process_changes, steps_between
from quanheng.path import Group, Taken, handle, try_alone
from quanheng.processes.book import Book, Instance
from quanheng.processes.records import encode_step, step_of
from quanheng.processes.times import Wait
from quanheng.program import Program
from quanheng.rehearsal import PlainPseudonyms
from quanheng.state import FIRST_PACK_CODE, State
from quanheng.testing.slow_migration import migrate
from quanheng.testing.slow_process import Happened, SlowProcess, Told
from quanheng.ticking import due_requests

T0 = 1_768_471_200_000
"""2026-01-15T10:00:00Z"""
LIFE = Path(__file__).parents[2] / "packs" / "life"
THINGS = ("ada", "bo", "cy")
GIVE, TAKE = Act("transfer", "give"), Act("transfer", "take")
NUMBERS = (KeptNumber("amount"), KeptNumber("count"), KeptNumber("until_ms"), KeptNumber("share", 2))
TIMER_NAMES = ("t0", "t1", "t2")

plain_pack = load_packs(["life"], {"life": read_pack(LIFE)})["life"]

_COUNTED = ("instance.count < 2", "instance.count >= 2", "instance.amount > 4", "instance.share > 1")
_OF_EVENT = {
    "life.began": ("", 'outcome = "approve"', "amount > 2", "instance = null", "refused", 'outcome != "decline"'),
    "life.went": ("", 'outcome = "approve"', "amount > instance.amount", "refused = false", "amount > 4", *_COUNTED),
    "life.said": ("", "amount > 3", "refused", *_COUNTED),
    "life.nodded": ("", *_COUNTED),
    "timer": ("", "late_ms > 3600000", "due_ms > instance.entered_ms", *_COUNTED),
    "": ("instance.count >= 2", "instance.amount > 4", "refused = true", "instance.share > 1"),
}
_SETS = (
    {}, {}, {"count": "instance.count + 1"}, {"amount": "instance.amount + 1", "count": "0"}, {"amount": "null"},
    {"share": "instance.count / 3"}, {"until_ms": "time_ms + 7200000"}, {"until_ms": "null"},
)  # fmt: skip
acts = st.lists(st.sampled_from((GIVE, GIVE, TAKE)), max_size=1).map(tuple)
waits = st.sampled_from((
    Wait(after_ms=20 * 60_000), Wait(after_ms=HOUR_MS), Wait(days=1, time_of_day_ms=9 * HOUR_MS), Wait(months=1),
    Wait(after_ms=HOUR_MS, until="until_ms"), Wait(days=2, calendar="weekends", zone="Asia/Shanghai"),
    Wait(time_of_day_ms=8 * HOUR_MS, zone="Asia/Shanghai"),
))  # fmt: skip
CALENDARS = {"weekends": next(iter(plain_pack.calendars.values()))} if plain_pack.calendars else {}


@st.composite
def timers(draw: st.DrawFn, number: int) -> TimerDeclaration:
    every = draw(st.booleans())
    stales: tuple[Stale, ...] = ("fire", "skip", "once") if every else ("fire", "skip")
    return TimerDeclaration(
        name=f"t{number}", wait=draw(waits), every=every, times_max=draw(st.integers(0, 3)) if every else 0,
        stale=draw(st.sampled_from(stales)), stale_after_ms=draw(st.sampled_from((0, HOUR_MS, 3 * HOUR_MS))),
    )  # fmt: skip


@st.composite
def moves(draw: st.DrawFn, names: Sequence[str], at: int, event: str, timer: str = "") -> MoveDeclaration:
    onward = list(names[at + 1 :]) if not event else names
    kind = "timer" if timer else event
    return MoveDeclaration(
        event=event, timer=timer, where=draw(st.sampled_from(_OF_EVENT[kind])),
        to=draw(st.sampled_from(("", *onward) if event else onward)), set=draw(st.sampled_from(_SETS)), do=draw(acts),
        refused=draw(st.sampled_from(("", "", *names[-1:]))),
    )  # fmt: skip


@st.composite
def states(draw: st.DrawFn, part: str, names: Sequence[str], at: int) -> StateDeclaration:
    entry = draw(acts) if at < len(names) - 1 else ()
    if at == len(names) - 1:
        return StateDeclaration(name=names[at], end=True)
    kept = [draw(timers(number)) for number in range(draw(st.integers(0, 2)))]
    events = draw(st.lists(st.sampled_from(("life.began", "life.went", "life.went", "life.said", "life.nodded")),
                           max_size=4))  # fmt: skip
    made = [draw(moves(names, at, event)) for event in events]
    if draw(st.integers(0, 4)) == 0:
        made.append(draw(moves(names, at, "")))
    for timer in kept:
        made += [draw(moves(names, at, "life.timer.fired", timer.name)) for _ in range(draw(st.integers(0, 2)))]
    return StateDeclaration(
        name=names[at], entry=entry, exit=draw(acts), moves=tuple(made), timers=tuple(kept)
    )  # fmt: skip


@st.composite
def processes(draw: st.DrawFn, name: str = "life") -> ProcessDeclaration:
    """A life cycle of one or two parts; the last state of a part is its end."""
    parts = []
    for part in draw(st.sampled_from((("",), ("a", "b")))):
        names = [f"{part}{number}" for number in range(draw(st.integers(2, 5)))]
        if not part:
            names = [f"s{number}" for number in range(len(names))]
        made = tuple(draw(states(part, names, at)) for at in range(len(names)))
        parts.append(PartDeclaration(name=part, states=made, begins=names[0] if part else ""))
    first = [one.name for one in parts[0].states]
    starts = tuple(
        Start(
            event=draw(st.sampled_from(("life.began", "life.began", "life.went"))),
            to=draw(st.sampled_from(first[:-1])),
            again=draw(st.booleans()), do=draw(acts), refused=draw(st.sampled_from(("", first[-1]))),
        )
        for _ in range(draw(st.integers(1, 2)))
    )  # fmt: skip
    starts = tuple(
        replace(one, where=draw(st.sampled_from(_OF_EVENT["life.began"] if one.event == "life.began"
                                               else ("", "amount > 2", "instance = null"))))
        for one in starts
    )  # fmt: skip
    return ProcessDeclaration(
        name=name, per="thing", entity="life.thing", keys=(), numbers=NUMBERS, starts=starts,
        parts=tuple(parts), ignores=draw(st.sampled_from(((), ("life.said",)))), refused_as="review",
    )  # fmt: skip


def pack_with(*made: ProcessDeclaration) -> Declared:
    """The pack with life cycles, and the events of their timers."""
    told = tuple(timer_event(one, TIMER_NAMES, {}) for one in made)
    return replace(
        plain_pack, events=(*plain_pack.events, *told), calendars=CALENDARS,
        processes=ProcessesDeclaration(processes=made),
    )  # fmt: skip


def program_with(*made: ProcessDeclaration, codes: Mapping[str, int] = {}) -> Program:
    """The program of the pack with life cycles; `codes` are those of an earlier one."""
    pack, known = pack_with(*made), dict(codes)
    for name in (*(one.name for one in pack.events), *code_names(pack)):
        known.setdefault(name, FIRST_PACK_CODE + len(known))
    return Program({"life": pack}, known, engine="test")


@st.composite
def later(draw: st.DrawFn, was: ProcessDeclaration) -> ProcessDeclaration:
    """A later version: states and timers dropped and added, a number kept besides, some states mapped."""
    parts, migrate = [], {}
    started = {one.to for one in was.starts} | {one.refused for one in was.starts}
    for part in was.parts:
        names = [one.name for one in part.states]
        fixed = {names[-1], part.begins} | (started if part == was.parts[0] else set())
        gone = {name for name in names if name not in fixed and draw(st.booleans())}
        kept = [one for one in part.states if one.name not in gone]
        for name in sorted(gone):
            if draw(st.integers(0, 3)):
                path = f"{part.name}.{{}}" if part.name else "{}"
                migrate[path.format(name)] = path.format(draw(st.sampled_from(kept)).name)
        made = []
        for one in kept:
            timers_kept = tuple(timer for timer in one.timers if draw(st.integers(0, 3)))
            if not one.end and draw(st.booleans()):
                timers_kept = (*timers_kept, draw(timers(2)))
            known = {timer.name for timer in timers_kept}
            moves_kept = tuple(
                replace(move, to=names[-1] if move.to in gone else move.to)
                for move in one.moves if not move.timer or move.timer in known
            )  # fmt: skip
            made.append(replace(one, timers=timers_kept, moves=moves_kept))
        parts.append(replace(part, states=tuple(made)))
    numbers = (*was.numbers, KeptNumber(f"more{len(was.numbers)}")) if draw(st.booleans()) else was.numbers
    return replace(was, parts=tuple(parts), migrate=migrate, numbers=numbers)


class Said(NamedTuple):
    """An event of a client, before it is sent."""

    type: str
    thing: str
    amount: int = 0
    verdict: str = "approve"

    def request(self, id: str, now_ms: int) -> Request:
        data: dict[str, Any] = {"time_ms": now_ms, "thing": self.thing}
        if self.type != "life.nodded":
            data["amount"] = self.amount
        if self.type in ("life.began", "life.went"):
            data["verdict"] = self.verdict
        if self.type == "life.began":
            data["owner"] = f"owner of {self.thing}"
        return Request("web", id, self.type, json.dumps(data).encode())

    def fields(self, now_ms: int) -> dict[str, object]:
        return json.loads(self.request("", now_ms).data)


said = st.builds(
    Said, st.sampled_from(("life.began", "life.began", "life.went", "life.went", "life.said", "life.nodded")),
    st.sampled_from(THINGS), st.integers(0, 7), st.sampled_from(("approve", "approve", "decline")),
)  # fmt: skip
passing = st.sampled_from((0, 1, 60_000, 20 * 60_000, HOUR_MS, 5 * HOUR_MS, DAY_MS, 3 * DAY_MS, 20 * DAY_MS))
rounds = st.lists(st.tuples(passing, st.lists(said, min_size=1, max_size=4)), min_size=1, max_size=12)


Rounds = Sequence[tuple[int, Sequence[Said]]]


class Purses:
    """The ledger of the pack, plainly: 5 in, 3 out, never below nothing; a posting is made once for an event."""

    def __init__(self) -> None:
        self.held = dict.fromkeys(THINGS, 0)

    def refuses(self, event: Happened, names: Sequence[str]) -> bool:
        held = self.held[event.key]
        for name in dict.fromkeys(names):
            held += 5 if name == "give" else -3
            if held < 0:
                return True
        self.held[event.key] = held
        return False


class World:
    """The main path in memory, with the twin beside it. `submit` compares both."""

    def __init__(self, declared: ProcessDeclaration) -> None:
        self.program = program_with(declared)
        self.machine: Machine = next(iter(self.program.machines.values()))
        self.state = State(self.program)
        self.intake = Intake(self.program.types, PlainPseudonyms())
        self.purses = Purses()
        self.twin = SlowProcess(declared, CALENDARS, self.purses.refuses)
        self.folded = Book()
        self.number = 0

    def key(self, thing: str) -> bytes:
        return PlainPseudonyms().pseudonym("life.thing", thing)

    def live(self, made: Rounds, sizes: Sequence[int] = (99,), now_ms: int = T0) -> int:
        """Let time pass, fire what is due, send a group, and so on; all equals what the twin says. Until when."""
        for at, (passed_ms, group) in enumerate(made):
            now_ms += passed_ms
            self.fire(now_ms)
            left = list(group)
            while left:
                size = sizes[at % len(sizes)]
                some, left = left[:size], left[size:]
                requests = []
                for one in some:
                    self.number += 1
                    requests.append(one.request(f"r{self.number}", now_ms))
                items = self.handle(requests, now_ms).items
                for one, item in zip(some, items, strict=True):
                    self.compare(self.tell(one, now_ms), item)
                self.same()
        return now_ms

    def handle(self, requests: Sequence[Request], now_ms: int) -> Group:
        group = handle(self.state, self.intake, requests, self.intake.keys(requests), now_ms, {})
        for _, record in group.facts:
            self.fold(record, now_ms)
        return group

    def fold(self, record: bytes, now_ms: int) -> None:
        """Steps as they are read back."""
        read = decode(record, 0)
        if read.kind == STEP:
            self.folded.apply((step_of(read.type, read.keys, read.numbers),), now_ms)

    def fire(self, now_ms: int) -> None:
        """Fire what is due; one timer of the twin after another, in the same order."""
        for _ in range(10_000):
            requests = due_requests(self.program, self.state.book, now_ms)
            if not requests:
                break
            group = self.handle(requests, now_ms)
            for item in group.items:
                if isinstance(item, Refusal):
                    assert "does not wait any more" in str(item.error)
                    continue
                key, timer = self.twin.due(now_ms) or ("", None)
                assert timer is not None
                assert isinstance(item, Taken)
                fields = self.twin.fields_of(key, timer, now_ms)
                sent = json.loads(item.event.request.data)
                told = {"thing": f"#{self.key(key).hex()}", **plain(fields)}
                assert sent == told, (sent, told, self.twin.pending(), group.items)
                event = Happened("life.timer.fired", key, fields, now_ms, "", "review", client=False)
                self.compare(self.twin.apply(event, timer.serial), item)
            self.same()
        assert self.twin.due(now_ms) is None
        assert not self.state.book.timers.due(now_ms, 1)

    def tell(self, one: Said, now_ms: int) -> Told:
        decided = one.type in ("life.began", "life.went")
        outcome = one.verdict if decided else ""
        event = Happened(one.type, one.thing, one.fields(now_ms), now_ms, outcome, "review")
        return self.twin.apply(event)

    def compare(self, told: Told, item: object) -> None:
        if told.illegal:
            assert isinstance(item, Refusal), (told, item)
            text = str(item.error)
            assert "does not allow this event now" in text
            assert all(f"'{name}'" in text for name in told.states)
            assert f"allowed: {', '.join(told.allowed) or 'nothing more'}." in text
            return
        assert isinstance(item, Taken), (told, item)
        if item.decision is None:
            assert not told.steps
            return
        body = item.decision.body
        steps = [_plain(one)[1:] for one in body.steps]
        assert steps == list(told.steps), (steps, told, body.opinions)
        assert [one.name.split(".")[1] for one in body.transfers] == list(dict.fromkeys(told.asked))
        assert (body.status == "refused") == told.refused

    def same(self) -> None:
        """Every instance and every timer is as the twin has it; so is what was folded of the records."""
        book, machine = self.state.book, self.machine
        for thing in THINGS:
            real, twin = book.view(machine.code, self.key(thing)), self.twin.instances.get(thing)
            assert (real is None) == (twin is None)
            if real is None or twin is None:
                continue
            self.legal(real)
            assert machine.names(real) == {part or "state": name for part, name in twin.states.items()}
            assert machine.numbers(real) == twin.numbers
            assert (real.started_ms, list(real.entered_ms), real.seq) == (
                twin.started_ms, list(twin.entered_ms.values()), twin.steps,
            )  # fmt: skip
            waiting = [
                (one.serial, one.part, self.timer_name(one.part, one.timer), one.due_ms)
                for one in book.timers.of(book.owner(machine.code, self.key(thing)))
            ]
            parts = list(twin.states)
            assert waiting == sorted(
                (one.serial, parts.index(one.part), f"{one.state}.{one.name}", one.due_ms) for one in twin.timers
            )
            if self.purses.held[thing]:
                balance = self.state.ledger.account(account_id("life.purse", [self.key(thing)])).balance
                assert balance.credits_posted_minor - balance.debits_posted_minor == self.purses.held[thing]
        assert self.folded.digest() == book.digest()

    def legal(self, one: Instance) -> None:
        """Exactly one state of its own part, for each part."""
        assert len(one.states) == self.machine.parts
        for part, code in enumerate(one.states):
            assert self.machine.states[code].part == part

    def migrate(self, declared: ProcessDeclaration, now_ms: int) -> None:
        """Put a later version in force, or be refused where the twin is."""
        program = program_with(declared, codes=self.program.codes)
        problems = process_changes(self.program, program, self.state.book)
        lost = migrate(self.twin, declared, now_ms)
        found = {one.key.partition(".migrate.")[2]: one.found for one in problems}
        assert found == {path: f"{count} instance{'s' if count > 1 else ''}" for path, count in lost.items()}
        if not lost:
            steps = list(steps_between(self.program, program, self.state.book, now_ms))
            self.state.book.apply(steps, now_ms)
            for one in steps:
                self.fold(encode_step(one, now_ms, 0), now_ms)
            self.state.switch(program)
            self.program, self.machine = program, next(iter(program.machines.values()))
            self.intake = Intake(program.types, PlainPseudonyms())
        self.same()

    def timer_name(self, part: int, timer: int) -> str:
        return next(
            f"{state.name}.{one.declared.name}"
            for state in self.machine.states.values() if state.part == part
            for one in state.timers if one.code == timer & 0xFFFF
        )  # fmt: skip

    def peek(self, one: Said, now_ms: int) -> bytes | None:
        """What a dry run says: the bytes of the decision; None = it is refused. Nothing is changed."""
        self.number += 1
        before = self.state.digest()
        item = try_alone(self.state, self.intake, one.request(f"r{self.number}", now_ms), now_ms, {})
        assert self.state.digest() == before
        return item.decision.payload if isinstance(item, Taken) and item.decision is not None else None


def _plain(step: object) -> tuple[str, ...]:
    return tuple(getattr(step, name) for name in ("process", "part", "left", "entered", "timer"))


def plain(fields: dict[str, object]) -> dict[str, object]:
    """As JSON has them: what is null is left out."""
    return {name: float(value) if not isinstance(value, (str, bool, int)) else value  # type: ignore[arg-type]
            for name, value in fields.items() if value is not None}  # fmt: skip
