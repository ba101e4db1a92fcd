"""The hot path of the edge: the bytes of one request become one frame, one answer becomes the bytes of a response.

The JSON of an array is cut once, by msgspec.Raw; the fields of an event are first looked at by the core, against its
schema.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Annotated, Any

import msgspec

from quanheng.kernel.errors import EventRejected, InputError, QuanhengError, RateLimited
from quanheng.server import wire
from quanheng.server.answers import error_body
from quanheng.server.config import Config
from quanheng.server.limits import RateLimiter
from quanheng.server.link import CorePool, CoreUnavailable
from quanheng.server.logs import Log

PATH = "/v1/events"
EVENTS_SHAPE = '{"id", "type", "data": {...}} or an array of these'
ID_LENGTH_MAX = 200
GRACE_S = 0.25  # Beyond the deadline, so that the core's own fall-back answer still arrives.


class EventIn(msgspec.Struct, forbid_unknown_fields=True):
    """One event as it arrives.

    id : chosen by the caller, unique for that caller; the same id with the same content is answered once
    type : a declared event type
    data : the fields of that type
    """

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=ID_LENGTH_MAX)]
    type: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    data: msgspec.Raw


class Refused(Exception):
    """A request that ends at the edge, with its answer."""

    def __init__(self, answer: wire.Answer, reason: str) -> None:
        self.answer, self.reason = answer, reason
        super().__init__(reason)


_decode_one = msgspec.json.Decoder(EventIn).decode
_decode_many = msgspec.json.Decoder(list[EventIn]).decode
_decode_raw = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Intake:
    """Everything the edge does with events, without a framework.

    Parameters
    ----------
    config : limits
    pool : connections to the core
    log : structured log
    clock_ms : wall clock in UTC milliseconds: deadlines travel to the core as moments
    clock_us : monotonic clock in microseconds, for rates
    """

    def __init__(
        self, config: Config, pool: CorePool, log: Log, clock_ms: Callable[[], int], clock_us: Callable[[], int]
    ) -> None:
        limits = config.limits
        self._limits, self._pool, self._log = limits, pool, log
        self._clock_ms, self._clock_us = clock_ms, clock_us
        self._rates = RateLimiter(limits.client_events_per_s, limits.client_burst_events, limits.clients_max)
        self._access = config.logs.access

    async def __call__(self, scope: Any, proto: Any) -> None:
        """Serve POST /v1/events as a bare RSGI application."""
        started_s = time.perf_counter()
        events = 0
        try:
            headers = self.headers(scope.headers.get)
            answer, events = await self.handle(headers, scope.query_string, await self._body(proto, headers[1]))
        except Refused as refused:
            answer = self.refuse(refused)
        proto.response_bytes(answer.status, response_headers(answer), answer.body)
        self.account(answer, events, started_s)

    async def handle(self, headers: tuple[bytes, int, int], query: str, body: bytes) -> tuple[wire.Answer, int]:
        """The answer to one request, and the number of events in it.

        Parameters
        ----------
        headers : (digest of the token, length of the body, milliseconds the caller waits)
        query : query string; `dry_run=true` decides without recording
        body : JSON, one event or an array

        Raises
        ------
        Refused : the request ends here
        """
        token, _, timeout_ms = headers
        events, bad, single = self._split(body)
        self.admit(token, len(events) + len(bad))
        if not events:
            return _merge(b"[]", bad, single), len(bad)
        deadline_ms = self._clock_ms() + timeout_ms if timeout_ms else 0
        frame = wire.Events(token, single, _dry_run(query), deadline_ms, events)
        timeout_s = (timeout_ms or self._limits.timeout_ms_max) / 1000 + GRACE_S
        try:
            answer = await self._pool.ask(wire.Kind.EVENTS, frame, timeout_s)
        except CoreUnavailable as error:
            raise Refused(
                wire.Answer(503, error_body(error), self._limits.retry_after_s), "core_unavailable"
            ) from error
        if bad and answer.status == 200:
            answer = _merge(answer.body, bad, single)
        return answer, len(events) + len(bad)

    def headers(self, get: Callable[[str], str | None]) -> tuple[bytes, int, int]:
        """What is needed of the headers: (token digest, body length or -1, timeout in ms); `get` gives one by name."""
        length = get("content-length") or ""
        told = length.isascii() and length.isdigit() and not get("transfer-encoding")
        size = int(length) if told else -1
        if size > self._limits.body_bytes_max:
            raise self._too_large(size)
        return self.token(get), size, self.timeout_ms(get, self._limits.timeout_ms)

    def admit(self, token: bytes, events: int) -> None:
        """Let a client pass with so many events, or refuse it for its rate."""
        wait_s = self._rates.take(token, events, self._clock_us())
        if wait_s:
            raise self._rate_limited(wait_s)

    def token(self, get: Callable[[str], str | None]) -> bytes:
        """Digest of the bearer token."""
        scheme, _, token = (get("authorization") or "").partition(" ")
        token = token.strip()
        if not token or scheme.lower() != "bearer":
            raise Refused(wire.Answer(401, error_body(NO_TOKEN)), "no_token")
        return token_digest(token.encode())

    def refuse(self, refused: Refused) -> wire.Answer:
        """Count a refusal and give its answer."""
        key = f"quanheng_refused_total|{refused.reason}"
        counters = self._pool.counters
        counters[key] = counters.get(key, 0) + 1
        return refused.answer

    def account(self, answer: wire.Answer, events: int, started_s: float, route: str = PATH) -> None:
        """The access log: numbers and fixed words only."""
        if self._access == "off" or (self._access == "errors" and answer.status < 400):
            return
        took_ms = round((time.perf_counter() - started_s) * 1000, 2)
        level = "warning" if answer.status >= 400 else "info"
        fields: dict[str, object] = {
            "route": route,
            "method": "POST",
            "status": answer.status,
            "events": events,
            "took_ms": took_ms,
        }
        self._log.write(level, "request", self._clock_ms(), **fields)

    def timeout_ms(self, get: Callable[[str], str | None], otherwise: int) -> int:
        """How long the caller waits, ms; `otherwise` where no header says so."""
        value, limit = get("x-request-timeout-ms"), self._limits.timeout_ms_max
        if value is None:
            return otherwise
        if not (value.isascii() and value.isdigit()) or not 1 <= int(value) <= limit:
            error = InputError(
                "the header is not a time to wait",
                where="X-Request-Timeout-Ms",
                found=repr(value),
                allowed=f"1 to {limit} (milliseconds)",
                cure="Correct the header, or leave it out.",
            )
            raise Refused(wire.Answer(400, error_body(error)), "bad_header")
        return int(value)

    async def _body(self, proto: Any, length: int) -> bytes:
        """The whole body: at once if its length was told and checked, else counted while it comes."""
        if length >= 0:
            body: bytes = await proto()
            if len(body) > self._limits.body_bytes_max:
                raise self._too_large(len(body))
            return body
        pieces, size = [], 0
        async for piece in proto:
            pieces.append(piece)
            size += len(piece)
            if size > self._limits.body_bytes_max:
                raise self._too_large(size)
        return b"".join(pieces)

    def _split(self, body: bytes) -> tuple[list[tuple[str, str, bytes]], dict[int, bytes], bool]:
        """(events, replies to malformed ones by position, whether the body was one object)."""
        single = body.lstrip()[:1] != b"["
        try:
            events, bad = self._split_one(body) if single else self._split_many(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:  # Also behind what did not fit.
            raise Refused(wire.Answer(400, error_body(not_json(error, body))), "not_json") from None
        if not single and len(events) + len(bad) > self._limits.events_max:
            raise self._too_many(len(events) + len(bad))
        return events, bad, single

    def _split_one(self, body: bytes) -> tuple[list[tuple[str, str, bytes]], dict[int, bytes]]:
        try:
            one = _decode_one(body)
        except msgspec.ValidationError as error:
            raise Refused(wire.Answer(422, _malformed_reply(body, error)), "malformed") from None
        return [(one.id, one.type, bytes(one.data))], {}

    def _split_many(self, body: bytes) -> tuple[list[tuple[str, str, bytes]], dict[int, bytes]]:
        try:
            return [(one.id, one.type, bytes(one.data)) for one in _decode_many(body)], {}
        except msgspec.ValidationError:
            return self._split_slowly(body)

    def _split_slowly(self, body: bytes) -> tuple[list[tuple[str, str, bytes]], dict[int, bytes]]:
        """One by one, so that a malformed event does not stop the rest."""
        events, bad = [], {}
        for position, raw in enumerate(_decode_raw(body)):
            try:
                one = _decode_one(raw)
                events.append((one.id, one.type, bytes(one.data)))
            except msgspec.ValidationError as error:
                bad[position] = _malformed_reply(bytes(raw), error, position)
                self._pool.counters["quanheng_refused_total|malformed"] = (
                    self._pool.counters.get("quanheng_refused_total|malformed", 0) + 1
                )
        return events, bad

    def _too_large(self, size: int) -> Refused:
        allowed = f"{self._limits.body_bytes_max} bytes (limits.body_bytes_max)"
        return too_large(PATH, f"{size} bytes", allowed, "Send fewer events in one request.")

    def _too_many(self, events: int) -> Refused:
        error = InputError(
            "the request holds too many events",
            where=PATH,
            found=f"{events} events",
            allowed=f"{self._limits.events_max} events (limits.events_max)",
            cure="Send them in several requests.",
        )
        return Refused(wire.Answer(413, error_body(error)), "too_large")

    def _rate_limited(self, wait_s: int) -> Refused:
        limits = self._limits
        error = RateLimited(
            "this client sends too many events; nothing was written",
            allowed=f"{limits.client_events_per_s} events/s, bursts of {limits.client_burst_events} (limits.client_*)",
            cure=f"Send again after {wait_s} s.",
        )
        return Refused(wire.Answer(429, error_body(error), wait_s), "rate_limited")


NO_TOKEN = InputError(
    "the request carries no bearer token",
    where="header Authorization",
    allowed="Authorization: Bearer TOKEN",
    cure="Make one with `quanheng token create NAME --scope ingest`.",
)
HEADERS = [("content-type", "application/json"), ("cache-control", "no-store")]


def too_large(where: str, found: str, allowed: str, cure: str) -> Refused:
    """The end of a request whose body has too many bytes."""
    error = InputError("the request body is too large", where=where, found=found, allowed=allowed, cure=cure)
    return Refused(wire.Answer(413, error_body(error)), "too_large")


def response_headers(answer: wire.Answer) -> list[tuple[str, str]]:
    """HTTP headers of an answer; the server adds the length."""
    if answer.status == 200:
        return HEADERS
    challenge = [("www-authenticate", "Bearer")] if answer.status == 401 else []
    retry = [("retry-after", str(answer.retry_after_s))] if answer.retry_after_s else []
    return [*HEADERS, *challenge, *retry]


def token_digest(token: bytes) -> bytes:
    """SHA-256 of a bearer token: the only form in which a token is kept, sent to the core or compared."""
    return sha256(token).digest()


def _dry_run(query: str) -> bool:
    """Whether the query string asks for a dry run; any other value of it is refused, so that a slip is not recorded."""
    if not query or query == "dry_run=false":
        return False
    if query == "dry_run=true":
        return True
    error = InputError(
        "a query parameter is unknown",
        where=PATH,
        found=repr(query[:100]),
        allowed="dry_run=true, dry_run=false",
        cure="Correct the address.",
    )
    raise Refused(wire.Answer(400, error_body(error)), "bad_query")


def not_json(error: Exception, body: bytes, where: str = PATH, allowed: str = EVENTS_SHAPE) -> InputError:
    """A body that is no JSON; the decoder's text names a position only, never a value."""
    return InputError(
        "the body is not JSON",
        where=where,
        found="an empty body" if not body.strip() else str(error),
        allowed=allowed,
        cure="Send valid JSON in UTF-8.",
    )


def _malformed(error: msgspec.ValidationError, position: int | None) -> QuanhengError:
    """The decoder's finding in our words: place, found, allowed, cure."""
    where, found, allowed = parts_of(error, "id (text), type (text), data (object)")
    prefix = "event" if position is None else f"event {position}"
    return EventRejected(
        "the event is malformed",
        where=f"{prefix}, field {where}" if where else prefix,
        found=found,
        allowed=allowed,
        cure="Correct it and send it again.",
    )


def parts_of(error: msgspec.ValidationError, fields: str) -> tuple[str, str, str]:
    """Place, what was found and what is allowed of a decoder's finding; `fields` says what an object may hold."""
    text, _, path = str(error).partition(" - at ")
    where = path.strip("`").removeprefix("$").removeprefix(".")
    missing = re.search(r"missing required field `(\w+)`", text)
    unknown = re.search(r"unknown field `(.*)`", text)
    types = re.fullmatch(r"Expected `(.*?)`(?: of length (.*))?(?:, got `(.*)`)?", text)
    if missing:
        return missing[1], "missing", fields
    if unknown:
        return unknown[1], "an unknown field", fields
    if types:
        length = f" of length {types[2]}" if types[2] else ""
        return where, types[3] or "a text of another length", f"{types[1]}{length}"
    return where, "", fields


def _malformed_reply(raw: bytes, error: msgspec.ValidationError, position: int | None = None) -> bytes:
    """The reply to one malformed event, with its id if that can be read.

    Raises
    ------
    msgspec.DecodeError, RecursionError : what stands behind the finding is no JSON at all
    """
    try:
        id = msgspec.json.decode(raw, type=_IdOnly).id[:ID_LENGTH_MAX]
    except msgspec.ValidationError:
        id = ""
    return msgspec.json.encode({"id": id, "status": "rejected", "error": str(_malformed(error, position))})


class _IdOnly(msgspec.Struct):
    id: str = ""


def _merge(body: bytes, bad: dict[int, bytes], single: bool) -> wire.Answer:
    """The core's replies with those of the edge put back at their positions."""
    good = iter(_decode_raw(body))
    total = len(bad) + len(_decode_raw(body))
    merged = [bad[position] if position in bad else bytes(next(good)) for position in range(total)]
    return wire.Answer(200, b"[" + b",".join(merged) + b"]")
