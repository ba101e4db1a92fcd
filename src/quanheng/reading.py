"""Reading back: events and decisions from the log, unsealed and named, as of the last committed offset."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.events.intake import EventBody, decode_event_body
from quanheng.facts import DecisionBody, Moved, Opinion, Sent, StepBody, decode_body
from quanheng.kernel.content import ContentStore
from quanheng.kernel.errors import DataErased, NotFound
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.records import DECISION, EVENT, Record, decode, positions
from quanheng.kernel.log.store import BatchRow
from quanheng.kernel.seal import KeyRing
from quanheng.kernel.time import format_time
from quanheng.known import seen_column
from quanheng.loading.declared import Declared
from quanheng.program import Program
from quanheng.recovery import program_of
from quanheng.state import FIRST_PACK_CODE, INTAKE_REJECTED, PACKS_ACTIVATED, Activated


class RecordedEvent(NamedTuple):
    """An event as it stands in the log, unsealed."""

    offset: int
    type: int
    record: Record
    body: EventBody
    payload: bytes


class RecordedDecision(NamedTuple):
    """A decision as it stands in the log, unsealed; `payload` is its exact bytes."""

    offset: int
    record: Record
    body: DecisionBody
    payload: bytes

    @property
    def outcome(self) -> str:
        """The winning outcome."""
        return self.body.outcome

    @property
    def reasons(self) -> Sequence[str]:
        """Reason codes of the winning outcome."""
        return self.body.reasons


class Reader:
    """Reads what was committed. Changes nothing."""

    def __init__(self, log: Log, content: ContentStore, ring: KeyRing) -> None:
        self.log, self.content, self.ring = log, content, ring
        self._kept: tuple[BatchRow, NDArray[np.int64]] | None = None

    def _record(self, offset: int) -> Record:
        """The record at `offset`. The batch read last is kept: who asks for one mostly asks for its neighbours."""
        kept = self._kept
        if kept is None or not kept[0].first <= offset < kept[0].last:
            if not 0 <= offset < self.log.head:
                return self.log.record(offset)  # Which says that there is none.
            row = next(self.log.read(offset, offset + 1))
            kept = self._kept = row, positions(row.body)
        row, starts = kept
        return decode(row.body, int(starts[offset - row.first]))

    def prove(self, what: str, first: int = 0, size: int = -1) -> bytes:
        """What a monitor asks for: the newest signed checkpoint as text, or a proof as JSON, with hashes in base64.

        Parameters
        ----------
        what : "checkpoint", "consistency" (of `first` records with `size`) or "inclusion" (of offset `first` in `size`)
        first, size : see there; a size of -1 means all records

        Raises
        ------
        NotFound : the log has no such record or size
        """
        if what == "checkpoint":
            return self.log.checkpoint().encode()
        wanted = None if size < 0 else size
        if what == "consistency":
            both = self.log.prove_extends(first, wanted)
            return msgspec.json.encode({"old_size": both.old_size, "new_size": both.new_size, "path": both.path})
        one = self.log.prove(first, wanted)
        return msgspec.json.encode({"offset": one.leaf_index, "size": one.size, "leaf": one.leaf, "path": one.path})

    def event(self, offset: int) -> RecordedEvent:
        """The event of a pack at `offset`.

        Raises
        ------
        NotFound : there is no such event; DataErased : its subject was erased
        """
        record = self._record(offset)
        if record.kind != EVENT or record.type < FIRST_PACK_CODE:
            raise _not_found("event", offset, self.log.head)
        payload = self._unseal(record, offset)
        return RecordedEvent(offset, record.type, record, decode_event_body(payload), payload)

    def recorded_decision(self, offset: int) -> RecordedDecision:
        """The decision at `offset`.

        Raises
        ------
        NotFound : there is no such decision; DataErased : its subject was erased
        """
        record = self._record(offset)
        if record.kind != DECISION:
            raise _not_found("decision", offset, self.log.head)
        payload = self._unseal(record, offset)
        return RecordedDecision(offset, record, decode_body(payload), payload)

    def decision_of(self, event_offset: int) -> RecordedDecision | None:
        """The decision on the event at `event_offset`: the record after it, where it names it as its cause."""
        if event_offset + 1 >= self.log.head:
            return None
        record = self._record(event_offset + 1)
        if record.kind != DECISION or record.cause != event_offset:
            return None
        return self.recorded_decision(event_offset + 1)

    def decision(self, offset: int) -> dict[str, Any]:
        """One decision in full, for people: outcome, reasons in both languages, features, versions, trace."""
        found = self.recorded_decision(offset)
        event = self.event(found.record.cause)
        body, program = found.body, self.program(found.body.program).of_arm(found.body.arm)
        formulas, sources = program.names(event.type)
        raw = np.frombuffer(body.vector, np.int64).reshape(1, -1)
        answers = _floats(body.sources, len(sources))
        names = {code: name for name, code in program.codes.items()}
        return {
            "decision": offset,
            "as_of": self.log.head,
            "outcome": body.outcome,
            "status": body.status,
            "reasons": [self._reason(program, code) for code in body.reasons],
            "event": {
                "offset": event.offset,
                "id": event.body.id,
                "client": event.body.client,
                "type": names[event.type],
                "data": msgspec.Raw(event.body.data),
            },
            "time": format_time(found.record.time_ms),
            "time_ms": found.record.time_ms,
            "received_ms": found.record.received_ms,
            "features": {name: program.exact.column(raw, index)[0] for index, name in enumerate(program.plan.names)},
            "formulas": {
                name: _or_null(value)
                for name, value in zip(formulas, _floats(body.formulas, len(formulas)), strict=True)
            },
            "sources": {
                name: seen_column(np.array([value]), column)[0]
                for (name, column), value in zip(sources, answers, strict=True)
            },
            "transfers": [shown_transfer(one) for one in body.transfers],
            "steps": [shown_step(one) for one in body.steps],
            "sent": [shown_sent(one) for one in body.sent],
            "opinions": [
                _opinion(opinion, _purpose(program.packs[flow.pack], flow.purpose))
                for opinion, flow in zip(body.opinions, program.flows[event.type], strict=True)
            ],
            "versions": self._versions(program, body.engine),
        }

    def rejected(self, offset: int) -> dict[str, Any]:
        """One rejected request: what was sent and why it was refused."""
        record = self._record(offset)
        if record.kind != EVENT or record.type != INTAKE_REJECTED:
            raise _not_found("rejected request", offset, self.log.head)
        try:
            shown: dict[str, Any] = msgspec.json.decode(self._unseal(record, offset))
        except DataErased as error:
            shown = {"error": str(error)}
        return {"offset": offset, "received_ms": record.received_ms, **shown}

    def activated(self, offset: int) -> Activated:
        """The packs that were put in force at `offset`."""
        record = self._record(offset)
        if record.kind != EVENT or record.type != PACKS_ACTIVATED:
            raise _not_found("activation", offset, self.log.head)
        return msgspec.json.decode(record.payload, type=Activated)

    def program(self, activation: int) -> Program:
        """The program that was put in force at `activation`."""
        return program_of(self.content, self.activated(activation), activation)

    def _unseal(self, record: Record, offset: int) -> bytes:
        if not record.sealed:
            return record.payload
        try:
            return self.ring.unseal(record.subject, record.header, record.payload)
        except DataErased:
            raise DataErased(
                "this record's subject was erased; the content is gone for good", where=f"log offset {offset}"
            ) from None

    def _reason(self, program: Program, code: str) -> dict[str, str]:
        return {"code": code, **program.reasons.get(code, {"en": code, "zh": code})}

    def _versions(self, program: Program, engine: str) -> dict[str, Any]:
        activated = self.activated(program.activation)
        hashes = activated.packs | {one.pack: one.hash for one in activated.trials if one.hash == program.arm}
        return {
            "engine": engine,
            "activation": program.activation,
            "packs": {
                name: {
                    "version": pack.version,
                    "hash": hashes[name],
                    "arm": "challenger" if hashes[name] == program.arm else "champion",
                    "policies": {file: hashlib.sha256(xml).hexdigest() for file, xml in sorted(pack.policies.items())},
                    "models": {model.name: model.hash for model in pack.models},
                    "sources": {one.name: activated.sources.get(f"{name}.{one.name}", "") for one in pack.sources},
                }
                for name, pack in program.packs.items()
            },
        }


def shown_transfer(moved: Moved) -> dict[str, Any]:
    """A transfer that was asked for, for people: its id in decimal, as the ledger answers it."""
    id = str(int.from_bytes(moved.id, "little"))
    return {"name": moved.name, "id": id, "outcome": moved.outcome, "amount_minor": moved.amount_minor}


def shown_step(step: StepBody) -> dict[str, Any]:
    """A step of an instance, for people."""
    return msgspec.structs.asdict(step)


def shown_sent(sent: Sent) -> dict[str, Any]:
    """A message that was sent, for people."""
    return {"name": sent.name, "id": sent.id.hex(), "body": msgspec.Raw(sent.body)}


def _purpose(pack: Declared, name: str) -> dict[str, Any]:
    """Why the data were used, as the activation that decided declares it."""
    declared = next(one for one in pack.purposes if one.name == name)
    title = {"en": declared.title.en, "zh": declared.title.zh}
    return {"name": declared.name, "basis": declared.basis, "source": declared.source, "title": title}


def _opinion(opinion: Opinion, purpose: dict[str, Any]) -> dict[str, Any]:
    trace = [{"decision": one[0], "rules": list(one[1]), "result": one[2]} for one in opinion.trace]  # type: ignore[index]
    return {
        "flow": opinion.flow,
        "purpose": purpose,
        "outcome": opinion.outcome,
        "status": opinion.status,
        "reasons": list(opinion.reasons),
        "trace": trace,
        "note": opinion.note,
    }


def _floats(data: bytes, n: int) -> list[float]:
    """Recorded evidence; all null where a fault kept it from being computed."""
    found: list[float] = np.frombuffer(data, np.float64).tolist()
    return found or [math.nan] * n


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else value


def _not_found(what: str, offset: int, head: int) -> NotFound:
    return NotFound(
        f"there is no {what} with this offset",
        where="offset",
        found=str(offset),
        allowed=f"0 to {head - 1}",
        cure="A decision's id is in the answer to its event.",
    )
