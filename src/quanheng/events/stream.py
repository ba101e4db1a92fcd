"""Streams: where events come in from a broker. What a broker must offer, and how its messages become events.

A broker keeps messages in order per partition and remembers how far a group of readers has come. `Stream` is all that
the platform asks of it; NATS JetStream and Kafka are in files of their own, others come by entry point. Nothing here
decides when to acknowledge: whoever reads a stream does so only after the log has committed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, NamedTuple, Protocol, runtime_checkable

import msgspec

from quanheng.kernel.errors import ConfigurationError, MissingExtra, Overloaded, QuanhengError

STREAMS = "quanheng.streams"
"""Entry point group: a name to a callable that takes `StreamSettings` and gives a `Stream`."""

OURS = {
    "nats": "quanheng.events.nats_stream:NatsStream",
    "kafka": "quanheng.events.kafka_stream:KafkaStream",
}
EXTRAS = {"nats": ("nats-py", "nats"), "kafka": ("confluent-kafka", "confluent_kafka")}
START_WORDS = ("first", "new")


class StreamUnavailable(Overloaded):
    """The broker is away, or did not confirm; nothing is lost, the same is tried again."""


class StreamFailed(QuanhengError):
    """A stream cannot be read for a reason that trying again does not mend."""


class StreamSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[stream.NAME]` section of the configuration; docs/reference/configuration.md describes every key."""

    broker: str = "nats"
    address: str = "nats://127.0.0.1:4222"
    source: str = ""
    subject: str = ""
    group: str = "quanheng"
    start: str = "first"
    id: str = "message"
    type: str = ""
    token_file: str = ""
    replies: str = ""
    batch_events_max: int = 500
    serve: bool = True
    options: dict[str, str] = {}


class Message(msgspec.Struct, frozen=True):
    """One message as the broker delivers it.

    partition, offset : its place; offsets rise within a partition
    published_ms : when the broker took it, epoch milliseconds UTC
    redelivered : the broker knows that it delivered this message before
    handle : what the adapter needs to acknowledge it
    """

    data: bytes
    partition: str
    offset: int
    headers: Mapping[str, str] = {}
    published_ms: int = 0
    redelivered: bool = False
    handle: Any = None


class Lag(NamedTuple):
    """How far a group has come in one partition.

    pending : messages not acknowledged yet, delivered or not
    acked : offset up to which (with it) all is acknowledged; -1 nothing
    """

    partition: str
    pending: int
    acked: int


@runtime_checkable
class Stream(Protocol):
    """One source of messages, read by one process. All calls may raise `StreamUnavailable`, after which the stream is
    closed and opened again; `open` may raise `StreamFailed` or an `InputError` for what no repetition mends."""

    async def open(self) -> None:
        """Connect, and go to the first message that is not acknowledged, also where later ones were delivered."""

    async def fetch(self, count_max: int, wait_s: float) -> list[Message]:
        """The next messages, in order per partition; none if none came within `wait_s` seconds."""

    async def ack(self, messages: Sequence[Message]) -> None:
        """Acknowledge messages, and with each all before it in its partition. On return the broker has it on record.

        Those of partitions that this reader no longer has are left to the new one; what is on record never goes back.
        """

    async def nak(self, messages: Sequence[Message]) -> None:
        """Give messages back: they and what was delivered after them come again, in order, as new deliveries; those in
        hand are void."""

    async def hold(self, messages: Sequence[Message]) -> None:
        """Say that these are still being worked on, so that the broker gives them to nobody else."""

    async def lag(self) -> list[Lag]:
        """How far the group has come, a row per partition."""

    async def publish(self, subject: str, replies: Sequence[tuple[str, bytes]]) -> None:
        """Publish (request id, JSON) to `subject`; on return the broker has them. Ids are header Quanheng-Request-Id"""

    async def close(self) -> None:
        """Disconnect. What was not acknowledged comes again."""


REQUEST_ID_HEADER = "Quanheng-Request-Id"
REFUSE_MESSAGES = "refuse_messages"
"""The operation of the core that records `RefusedMessage`s."""


class RefusedMessage(msgspec.Struct, frozen=True):
    """One message that did not become an event.

    position : place in the stream
    id, type : what could be read of it; empty = nothing
    data : its bytes, cut where there are too many to be sent on; the first 4,096 of them are kept
    data_length_bytes, digest : of the whole, before it was cut; SHA-256 in hex
    error : why
    """

    position: str
    id: str
    type: str
    data: bytes
    data_length_bytes: int
    digest: str
    error: str


class Read(NamedTuple):
    """A message as an event: (id, type, data), with its position; or why it is none (`fault`)."""

    id: str
    type: str
    data: bytes
    position: str
    fault: str = ""


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    id: str = ""
    type: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")


_UNKNOWN = re.compile(r"unknown field `(.*)`")
_TYPES = re.compile(r"Expected `(.*?)`, got `(.*)`")
_MALFORMED = "JSON is malformed: "
_envelope = msgspec.json.Decoder(_Envelope).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def reader_of(settings: StreamSettings) -> Callable[[Message], Read]:
    """The function that makes an event of a message, as `id` and `type` of the settings say.

    A message that is none of these gives a `Read` with a `fault`; nothing is raised.
    """
    kind, _, name = settings.id.partition(":")

    def read(message: Message) -> Read:
        position = f"{settings.source}/{message.partition}/{message.offset}"
        try:
            if settings.type:
                id, type, data = "", settings.type, message.data
            else:
                envelope = _envelope(message.data)
                id, type, data = envelope.id, envelope.type, bytes(envelope.data)
            if kind == "position":
                id = position
            elif kind == "header":
                id = message.headers.get(name, "")
            elif kind == "field":
                id = _text_of(_members(data).get(name))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            shape = "a JSON object" if settings.type else '{"id", "type", "data"}'
            fault = f"the message is no event; was {_told(error, message.data)}; allowed: {shape}"
            return Read("", "", message.data, position, fault)
        if not id:
            where = {"header": f"header {name}", "field": f"field {name}"}.get(kind, "member id")
            return Read("", type, message.data, position, f"{where}: the message carries no request id")
        return Read(id, type, data, position)

    return read


def _text_of(raw: msgspec.Raw | None) -> str:
    """A text, or the digits of a whole number; anything else is no id."""
    value = msgspec.json.decode(raw) if raw is not None else ""
    return value if isinstance(value, str) else str(value) if type(value) is int else ""


def _told(error: Exception, data: bytes) -> str:
    """What the decoder found, in our words: it names a place and a kind, never a value."""
    if not data.strip():
        return "an empty message"
    if not isinstance(error, msgspec.DecodeError):
        return "bytes that are no UTF-8" if isinstance(error, UnicodeDecodeError) else "JSON that is nested too deep"
    text, _, place = str(error).partition(" - at ")
    unknown, types = _UNKNOWN.search(text), _TYPES.fullmatch(text)
    if unknown:
        return f"an object with the unknown member {unknown[1]}"
    if types:
        return f"{types[2]} instead of {types[1]}" + (f" at {place.strip('`')}" if place else "")
    return "no JSON: it ends too early" if "truncated" in text else f"no JSON: {text.removeprefix(_MALFORMED)}"


def check_settings(name: str, settings: StreamSettings) -> list[str]:
    """What is wrong with a section beyond types and ranges, as clauses; empty if nothing is."""
    found = []
    where = f"stream.{name}"
    if not settings.source:
        found.append(f"{where}.source was empty; allowed: name of a stream (NATS) or topic (Kafka)")
    if settings.start not in START_WORDS:
        found.append(f"{where}.start was {settings.start!r}; allowed: {', '.join(START_WORDS)}")
    kind, _, what = settings.id.partition(":")
    if not (settings.id in ("message", "position") or (kind in ("header", "field") and what)):
        found.append(f"{where}.id was {settings.id!r}; allowed: message, position, header:NAME, field:NAME")
    elif settings.type and settings.id == "message":
        found.append(
            f"{where}.id was 'message', which needs messages with id, type and data; "
            "allowed beside type: position, header:NAME, field:NAME"
        )
    return found


def stream_of(settings: StreamSettings) -> Stream:
    """The stream that settings name; nothing is connected yet.

    Raises
    ------
    ConfigurationError : no such broker
    MissingExtra : its client is not installed
    """
    if settings.broker in OURS:
        module, _, name = OURS[settings.broker].partition(":")
        package, imported = EXTRAS[settings.broker]
        try:
            import_module(imported)
        except ImportError:
            raise MissingExtra(package, "stream", f"a stream of {settings.broker}") from None
        stream: Stream = getattr(import_module(module), name)(settings)
        return stream
    points = {point.name: point for point in entry_points(group=STREAMS)}
    if settings.broker not in points:
        raise ConfigurationError(
            "no such broker is known",
            where="stream broker",
            found=repr(settings.broker),
            allowed=", ".join([*OURS, *sorted(points)]),
            cure=f"Correct it, or install the distribution that brings it (entry point group {STREAMS}).",
        )
    made: Stream = points[settings.broker].load()(settings)
    return made
