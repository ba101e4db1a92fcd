"""Rehearsal: golden cases through the real main path, in memory, with fixed scores and their own clock."""

from __future__ import annotations

import hashlib

import msgspec

from quanheng.events.intake import EventFact, Intake, Refusal, Request
from quanheng.facts import DecisionBody, Moved
from quanheng.kernel.errors import DeclarationError, Problem
from quanheng.kernel.time import DAY_MS
from quanheng.loading.cases import CaseReply
from quanheng.loading.checks.cases import CLOCK
from quanheng.loading.declared import Case, CaseEvent, CaseTransfer
from quanheng.path import Repeat, Taken, handle
from quanheng.program import Program
from quanheng.state import State
from quanheng.stepping import Life
from quanheng.ticking import due_requests


class PlainPseudonyms:
    """Pseudonyms without a secret, for rehearsals: nothing of them is kept."""

    def pseudonym(self, entity: str, id: str) -> bytes:
        """BLAKE2b of entity and id, 16 bytes."""
        return hashlib.blake2b(f"{len(entity)}:{entity}{id}".encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def request_key(self, client: str, id: str) -> bytes:
        """BLAKE2b of client and request id, 16 bytes."""
        return self.pseudonym(client, id)


def rehearse(program: Program, case: Case) -> list[CaseReply]:
    """Run one golden case on an empty state. Returns one reply per event of the case, in order.

    Timers of processes that are due fire before each event, each at its own due moment.
    """
    stage = _Stage(program.with_fixed(case.scores, case.arms), case)
    return [stage.play(event) for event in case.events]


class _Stage:
    """What a case is played on."""

    def __init__(self, program: Program, case: Case) -> None:
        self._program = program
        self._state, self._intake = State(program), Intake(program.types, PlainPseudonyms())
        self._met: list[tuple[Life, bytes]] = []
        pseudonyms = self._intake.pseudonyms
        for pack in program.packs.values():
            for one in pack.lists:
                if one.name in case.lists:
                    keys = [pseudonyms[one.entity, value] for value in case.lists[one.name]]
                    self._state.lists.put(f"{pack.name}.{one.name}", one.of, keys)

    def play(self, event: CaseEvent) -> CaseReply:
        """Let time go on to an event, and handle it."""
        fired = self._fire(event.received_ms)
        if event.type == CLOCK:
            moved = tuple(_told(one) for body in fired for one in body.transfers)
            sent = tuple(_short(one.name) for body in fired for one in body.sent)
            return CaseReply(event.id, "recorded", transfers=moved, instances=self._instances(), sent=sent)
        client = self._program.types[event.type].declaration.client if event.type in self._program.types else ""
        item = self._handle(
            Request(client or "case", event.id, event.type, msgspec.json.encode(event.data)), event.received_ms
        )
        if isinstance(item, Refusal):
            return CaseReply(event.id, "rejected", error=str(item.error), instances=self._instances())
        if not isinstance(item, Taken):
            return CaseReply(event.id, "recorded")
        self._met = [(life, self._key(life, item.event)) for life in self._program.lives.get(item.event.code, ())]
        if item.decision is None:
            return CaseReply(event.id, "recorded", instances=self._instances())
        body = item.decision.body
        notes = "; ".join(opinion.note for opinion in body.opinions if opinion.note)
        moved, sent = tuple(map(_told, body.transfers)), tuple(_short(one.name) for one in body.sent)
        return CaseReply(
            event.id, body.status, body.outcome, tuple(body.reasons), notes, moved, self._instances(), sent
        )

    def _handle(self, request: Request, received_ms: int) -> Taken | Repeat | Refusal:
        keys, day = self._intake.keys([request]), received_ms // DAY_MS
        return handle(self._state, self._intake, [request], keys, received_ms, {}, day=day).items[0]

    def _fire(self, upto_ms: int) -> list[DecisionBody]:
        """Fire what is due, one timer after another; what was decided of each."""
        fired, timers = [], self._state.book.timers
        while (due_ms := timers.next_due_ms) is not None and due_ms <= upto_ms:
            (request,) = due_requests(self._program, self._state.book, due_ms, 1)
            item = self._handle(request, due_ms)
            if not isinstance(item, Taken) or item.decision is None:
                raise DeclarationError("a timer of the case cannot be told", [_untold(request, item)])
            fired.append(item.decision.body)
        return fired

    def _key(self, life: Life, event: EventFact) -> bytes:
        return event.tail[16 * life.key_at : 16 * life.key_at + 16]

    def _instances(self) -> dict[str, tuple[str, ...]]:
        """The states that the instances are in which the newest event named."""
        found = {}
        for life, key in self._met:
            instance = self._state.book.view(life.machine.code, key)
            if instance is not None:
                names = life.machine.names(instance).items()
                found[life.machine.declared.name] = tuple(
                    state if part == "state" else f"{part}.{state}" for part, state in names
                )
        return found


def _untold(request: Request, item: object) -> Problem:
    found = str(item.error) if isinstance(item, Refusal) else type(item).__name__
    return Problem("processes.toml", request.type, "its own event does not take the timer", found)


def _short(name: str) -> str:
    """A name without the pack."""
    return name.partition(".")[2]


def _told(moved: Moved) -> CaseTransfer:
    """A transfer as cases name it, without the pack."""
    return CaseTransfer(name=_short(moved.name), outcome=moved.outcome, amount_minor=moved.amount_minor or None)
