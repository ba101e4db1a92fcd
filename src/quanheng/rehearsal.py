"""Rehearsal: golden cases through the real main path, in memory, with fixed scores and their own clock."""

from __future__ import annotations

import hashlib

import msgspec

from quanheng.events.intake import Intake, Refusal, Request
from quanheng.facts import Moved
from quanheng.kernel.time import DAY_MS
from quanheng.loading.cases import CaseReply
from quanheng.loading.declared import Case, CaseTransfer
from quanheng.path import Taken, handle
from quanheng.program import Program
from quanheng.state import State


class PlainPseudonyms:
    """Pseudonyms without a secret, for rehearsals: nothing of them is kept."""

    def pseudonym(self, entity: str, id: str) -> bytes:
        """BLAKE2b of entity and id, 16 bytes."""
        return hashlib.blake2b(f"{len(entity)}:{entity}{id}".encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def request_key(self, client: str, id: str) -> bytes:
        """BLAKE2b of client and request id, 16 bytes."""
        return self.pseudonym(client, id)


def rehearse(program: Program, case: Case) -> list[CaseReply]:
    """Run one golden case on an empty state. Returns one reply per event of the case, in order."""
    program = program.with_scores(case.scores)
    state, intake = State(program), Intake(program.types, PlainPseudonyms())
    for pack in program.packs.values():
        for one in pack.lists:
            if one.name in case.lists:
                keys = [intake.pseudonyms[one.entity, value] for value in case.lists[one.name]]
                state.lists.put(f"{pack.name}.{one.name}", one.of, keys)
    replies = []
    for event in case.events:
        client = program.types[event.type].declaration.client if event.type in program.types else ""
        request = Request(client or "case", event.id, event.type, msgspec.json.encode(event.data))
        day = event.received_ms // DAY_MS
        item = handle(state, intake, [request], intake.keys([request]), event.received_ms, {}, day=day).items[0]
        if isinstance(item, Refusal):
            replies.append(CaseReply(event.id, "rejected", error=str(item.error)))
        elif isinstance(item, Taken) and item.decision is not None:
            body = item.decision.body
            notes = "; ".join(opinion.note for opinion in body.opinions if opinion.note)
            moved = tuple(_told(one) for one in body.transfers)
            replies.append(CaseReply(event.id, body.status, body.outcome, tuple(body.reasons), notes, moved))
        else:
            replies.append(CaseReply(event.id, "recorded"))
    return replies


def _told(moved: Moved) -> CaseTransfer:
    """A transfer as cases name it, without the pack."""
    return CaseTransfer(
        name=moved.name.partition(".")[2], outcome=moved.outcome, amount_minor=moved.amount_minor or None
    )
