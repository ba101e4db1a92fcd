"""What waits in the outbox of an engine: read from its state, as far as the log is durable, and from its log."""

from __future__ import annotations

from typing import Any

import msgspec

from quanheng.engine import Engine
from quanheng.events.schema import NO_KEY
from quanheng.kernel.errors import DataErased
from quanheng.loading.declared_calls import CallDeclaration
from quanheng.outbox.sender import Letter
from quanheng.processes.outbox import Message
from quanheng.program import Program

CALL_CODE = "call "
"""How names of calls begin in the log's code map: "call PACK.CALL"."""


class EngineSource:
    """Messages of one engine; used where groups are prepared, for it looks into the state."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._calls: tuple[Program | None, dict[int, tuple[str, CallDeclaration]]] = (None, {})

    def waiting(self, serial: int, most: int) -> list[Message]:
        """Durable messages from a serial on: the state may be ahead of the log by a group."""
        head, found = self._engine.log.head, self._engine.state.outbox.waiting(serial, most)
        for place, message in enumerate(found):
            if message.cause >= head:
                return found[:place]
        return found

    def waits(self, message: Message) -> bool:
        """Whether this asking of it still does."""
        return self._engine.state.outbox.waits(message.id, message.serial)

    def call(self, message: Message) -> CallDeclaration | None:
        """Its call as the packs in force declare it."""
        found = self._named().get(message.code)
        return None if found is None else found[1]

    def letter(self, message: Message) -> Letter | None:
        """What is sent, from the decision that asked for it; its keys as the asking event has them."""
        found = self._named().get(message.code)
        if found is None:
            return None
        name, call = found
        reader = self._engine.reader
        try:
            decision = reader.recorded_decision(message.cause)
            body = next((one.body for one in decision.body.sent if one.id == message.id), b"")
        except DataErased:
            body = None
        return Letter(name, call, self._keys(message, call), body)

    def _keys(self, message: Message, call: CallDeclaration) -> dict[str, str]:
        """Key fields of the asking event: as they were sent, or by their pseudonyms where nobody can read them."""
        reader, log = self._engine.reader, self._engine.log
        record = log.record(log.record(message.cause).cause)
        asking = self._engine.state.program.type_of(record.type)
        try:
            sent = msgspec.json.decode(reader.event(log.record(message.cause).cause).body.data, type=dict[str, Any])
        except DataErased:
            sent = {}
        found = {}
        for name in call.keys:
            key = record.keys[asking.key_fields.index(name)] if name in asking.key_fields else NO_KEY
            if key != NO_KEY:
                written = sent.get(name)
                # A client's own key may look like a pseudonym: only the header says whose it is.
                own = written if isinstance(written, str) and not written.startswith("#") else ""
                found[name] = own or f"#{key.hex()}"
        return found

    def _named(self) -> dict[int, tuple[str, CallDeclaration]]:
        program = self._engine.state.program
        if self._calls[0] is not program:
            declared = {f"{pack.name}.{one.name}": one for pack in program.packs.values() for one in pack.calls.calls}
            names = ((f"{CALL_CODE}{name}", name, one) for name, one in declared.items())
            self._calls = (
                program,
                {program.codes[code]: (name, one) for code, name, one in names if code in program.codes},
            )
        return self._calls[1]
