"""Intake: what every request passes, whatever way it came in (HTTP, file, simulator).

A request becomes an `EventFact` with its offset, or an answer without one: rejected (it does not fit its
schema), repeated (this id was answered before), conflict (same id, other content).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from quanheng.events.schema import EventType
from quanheng.events.taker import Taker, compile_taker
from quanheng.kernel.errors import EventRejected, InputError

REQUEST_ID_LENGTH_MAX = 200
DATA_BYTES_MAX = 64 * 1024
PSEUDONYMS_KEPT_MAX = 200_000
FUTURE_MAX_MS = 24 * 3_600_000
"""How far ahead of the writer's clock an event may place itself: a day, for clocks and zones that are wrong. One event
of the far future would otherwise make everything later of its customer too late to be known."""


JOBS = "quanheng.jobs"
"""The client that sends events for what a job took; it passes keys on as pseudonyms. No token has this name."""


class Request(msgspec.Struct, frozen=True, gc=False):
    """One event as a client sends it.

    client : authenticated actor; request ids are scoped by it
    id : the client's id, or one generated at the edge
    type : event type name
    data : JSON object of the event's fields, UTF-8 bytes
    deadline_ms : epoch milliseconds after which the fall-back outcome is given; 0 = none
    position : place of the message in a stream, if it came by one: its refusal is recorded apart, once (`refusing`)
    """

    client: str
    id: str
    type: str
    data: bytes
    deadline_ms: int = 0
    position: str = ""


class EventFact(msgspec.Struct, frozen=True, gc=False):
    """One event as the log keeps it.

    subject : pseudonym of whom it is about, `NO_KEY` = nobody
    tail : the end of its header: 16 bytes per key field, then 8 per number field, in declared order
    fields : its fields as attributes, as FEEL sees them (int, Decimal, str, bool, None); not stored apart
    """

    code: int
    time_ms: int
    received_ms: int
    subject: bytes
    request_key: bytes
    tail: bytes
    payload: bytes
    fields: Any
    request: Request


class EventBody(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The sealed content of an event: what is needed to show it, to compare a repeat, and to judge it again.

    data : JSON object of the fields, as the client sent it
    """

    client: str
    id: str
    deadline_ms: int
    data: bytes


_encode_body = msgspec.msgpack.Encoder().encode
_decode_body = msgspec.msgpack.Decoder(EventBody).decode


def decode_event_body(payload: bytes) -> EventBody:
    """The event body of an unsealed payload."""
    return _decode_body(payload)


class Refusal(NamedTuple):
    """Why a request did not become an event."""

    request: Request
    error: InputError


class Pseudonyms(Protocol):
    """What intake needs of the key ring."""

    def pseudonym(self, entity: str, id: str) -> bytes:
        """16 bytes that stand for (entity, id) in clear headers."""
        ...

    def request_key(self, client: str, id: str) -> bytes:
        """16 bytes that stand for (client, request id)."""
        ...


class _Known(dict[str, bytes]):
    """Pseudonyms of one entity that were asked for lately: a look-up without a call where the id is known."""

    def __init__(self, entity: str, ring: Pseudonyms) -> None:
        super().__init__()
        self._entity, self._ring = entity, ring

    def __missing__(self, id: str) -> bytes:
        if len(self) >= PSEUDONYMS_KEPT_MAX:
            self.clear()
        found = self[id] = self._ring.pseudonym(self._entity, id)
        return found


class KnownPseudonyms:
    """Pseudonyms by (entity, id); those asked for lately are kept, an entity apart from the others."""

    def __init__(self, ring: Pseudonyms) -> None:
        self._ring = ring
        self._known: dict[str, _Known] = {}

    def of(self, entity: str) -> _Known:
        """Those of one entity, by id."""
        known = self._known.get(entity)
        if known is None:
            known = self._known[entity] = _Known(entity, self._ring)
        return known

    def __getitem__(self, named: tuple[str, str]) -> bytes:
        return self.of(named[0])[named[1]]


class Intake:
    """Reads requests by the event types of the active packs. Keeps nothing of a request but known pseudonyms.

    pseudonyms : (entity, id) → pseudonym; those asked for lately are kept
    """

    def __init__(self, types: Mapping[str, EventType], ring: Pseudonyms) -> None:
        self._ring = ring
        self.pseudonyms = KnownPseudonyms(ring)
        self._types: dict[str, tuple[EventType, Taker]] = {
            name: (one, compile_taker(one, self.pseudonyms.of, EventFact)) for name, one in types.items()
        }
        self._passing: dict[str, Taker] = {}

    def keys(self, requests: Sequence[Request]) -> list[bytes]:
        """The request key of each: asked of the index before the group enters."""
        key_of = self._ring.request_key
        return [key_of(request.client, request.id) for request in requests]

    def read(self, request: Request, request_key: bytes, received_ms: int) -> EventFact:
        """Read one request into an event fact.

        Raises
        ------
        EventRejected
            unknown type, one that only the platform sends, a field that does not fit, an id that is empty or too long.
        """
        id, data = request.id, request.data
        found = self._types.get(request.type)
        if found is None:
            raise self._unknown_type(request)
        if not (id.isascii() and 0 < len(id) <= REQUEST_ID_LENGTH_MAX and len(data) <= DATA_BYTES_MAX):
            _check_request(request)
        event_type, take = found
        if event_type.declaration.client not in ("", request.client):
            raise _not_its_own(event_type, request.client)
        if request.client == JOBS:
            take = self._taker_passing(event_type)
        payload = _encode_body((request.client, id, request.deadline_ms, data))  # As an `EventBody` is encoded.
        fact: EventFact = take(event_type.decode(data), received_ms, request_key, payload, request)
        if fact.time_ms > received_ms + FUTURE_MAX_MS:
            raise _from_the_future(event_type, fact.time_ms, received_ms)
        return fact

    def _taker_passing(self, event_type: EventType) -> Taker:
        """Reads an event of a job, compiled when the first comes."""
        take = self._passing.get(event_type.name)
        if take is None:
            take = compile_taker(event_type, self.pseudonyms.of, EventFact, passing=True)
            self._passing[event_type.name] = take
        return take

    def _unknown_type(self, request: Request) -> EventRejected:
        return EventRejected(
            "no active pack declares this event type",
            where="type",
            found=repr(request.type[:80]),
            allowed=", ".join(sorted(self._types)),
            cure="Activate the pack that declares it, or correct `type`.",
        )

    def read_all(
        self, requests: Sequence[Request], request_keys: Sequence[bytes], received_ms: int
    ) -> list[EventFact | Refusal]:
        """Read every request, in order; one that does not fit becomes a `Refusal` and the rest goes on."""
        read = self.read
        results: list[EventFact | Refusal] = []
        append = results.append
        for request, request_key in zip(requests, request_keys, strict=True):
            try:
                append(read(request, request_key, received_ms))
            except EventRejected as error:
                append(Refusal(request, _forgetting(error)))
        return results


def _forgetting(error: EventRejected) -> EventRejected:
    """The error without the frames it passed: they hold the results of the whole group, which hold the error. Such a
    ring lives until the garbage collector finds it, so every group with one bad request would stay in memory."""
    error.__context__ = None
    return error.with_traceback(None)


def _check_request(request: Request) -> None:
    """Raise for an id that is no text, empty or too long, and for too much data."""
    try:
        request.id.encode()
    except UnicodeEncodeError:
        raise EventRejected(
            "the request id is not UTF-8 text",
            where="id",
            found="a lone surrogate",
            cure="Send an id of whole characters.",
        ) from None
    if not 0 < len(request.id) <= REQUEST_ID_LENGTH_MAX:
        raise EventRejected(
            "the request id is empty or too long",
            where="id",
            found=f"{len(request.id)} characters",
            allowed=f"1 to {REQUEST_ID_LENGTH_MAX} characters",
        )
    if len(request.data) > DATA_BYTES_MAX:
        raise EventRejected(
            "the event's data is too large",
            where=request.type,
            found=f"{len(request.data)} bytes",
            allowed=f"at most {DATA_BYTES_MAX} bytes",
            cure="Send only declared fields, without padding.",
        )


def _not_its_own(event_type: EventType, client: str) -> EventRejected:
    return EventRejected(
        "the platform alone sends events of this type",
        where="type",
        found=f"{event_type.name!r} of the client {client[:80]!r}",
        allowed=f"the client {event_type.declaration.client!r}",
        cure="Do what the event tells of; the event follows by itself.",
    )


def _from_the_future(event_type: EventType, time_ms: int, received_ms: int) -> EventRejected:
    return EventRejected(
        "the event is placed too far in the future",
        where=f"{event_type.name}.{event_type.declaration.time}",
        found=f"{time_ms - received_ms} ms after it was received",
        allowed=f"at most {FUTURE_MAX_MS} ms",
        cure="Correct the clock or the unit (milliseconds UTC) at the source.",
    )
