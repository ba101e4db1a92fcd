"""The frames between edge and core: length, kind, number, body. Many requests share a connection, told apart by it.

    u32 length of what follows | u8 kind | u32 number | body (msgpack)      little-endian

A reply carries the HTTP status and the finished JSON bytes, so the edge passes it on without decoding it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any

import msgspec

from quanheng.kernel.errors import QuanhengError

HEAD = struct.Struct("<IBI")
HEAD_AFTER_LENGTH = HEAD.size - 4
FRAME_BYTES_MAX = 1 << 30


class Kind(IntEnum):
    """What a frame asks for or holds."""

    EVENTS = 1
    DECISION = 2
    REJECTS = 3
    HEALTH = 4
    METRICS = 5
    STATS = 6
    ADMIN = 7
    POLICIES = 8
    PROOF = 9
    LEDGER = 10
    REPLY = 128


class WireError(QuanhengError):
    """Bytes on the connection between edge and core are not a frame of this protocol."""


class Events(msgspec.Struct, array_like=True, frozen=True):
    """Events of one HTTP request.

    token : SHA-256 of the bearer token, never the token itself
    single : the request was one object, so the HTTP status says what became of it
    dry_run : decide without recording
    deadline_ms : moment (UTC) after which nobody waits for the answer; 0 none
    events : (id, type, data as JSON bytes)
    positions : of messages of a stream, one per event; none if they did not come by one
    """

    token: bytes
    single: bool
    dry_run: bool
    deadline_ms: int
    events: list[tuple[str, str, bytes]]
    positions: list[str] = []


class Query(msgspec.Struct, array_like=True, frozen=True):
    """A read: the decision of an offset, at most `limit` rejects, the versions of a pack, or a proof.

    token : SHA-256 of the bearer token
    offset : log offset (decision), or the one behind which rejects are listed (-1: the newest)
    limit : how many rows at most
    name : of a pack; nothing = all. What is to be proved, of the first `limit` records; -1 = all
    """

    token: bytes = b""
    offset: int = 0
    limit: int = 100
    name: str = ""


class Stats(msgspec.Struct, array_like=True, frozen=True):
    """What one edge connection has counted since it started; sent now and then, never answered.

    counters : "metric name|reason" -> count
    """

    counters: dict[str, int]


class Admin(msgspec.Struct, array_like=True, frozen=True):
    """An operation of `quanheng.server.admin`, asked over HTTP, or by the command line beside a running server; in a
    frame of kind LEDGER, one of `quanheng.server.ledger_core`.

    token : SHA-256 of a token of the scope that the operation needs
    operation : its name
    arguments : msgpack map
    request : id that the caller chose; the same again is done once. Nothing = as often as it is asked
    """

    token: bytes
    operation: str
    arguments: bytes
    request: str = ""


class Answer(msgspec.Struct, array_like=True, frozen=True):
    """What the edge sends back to the caller.

    status : HTTP status
    body : finished bytes (JSON, or Prometheus text for metrics)
    retry_after_s : seconds for the Retry-After header; 0 none
    """

    status: int
    body: bytes
    retry_after_s: int = 0


class EventReply(msgspec.Struct, omit_defaults=True):
    """The answer to one event as it stands in the JSON body."""

    id: str
    status: str
    offset: int = -1
    decision: int = -1
    outcome: str = ""
    reasons: Sequence[Any] = ()
    error: str = ""
    dry_run: bool = False
    transfers: Sequence[Any] = ()


_encoder = msgspec.msgpack.Encoder()
decode_events = msgspec.msgpack.Decoder(Events).decode
decode_query = msgspec.msgpack.Decoder(Query).decode
decode_admin = msgspec.msgpack.Decoder(Admin).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode


def frame(kind: int, number: int, body: msgspec.Struct) -> bytes:
    """One frame as bytes."""
    data = _encoder.encode(body)
    return HEAD.pack(len(data) + HEAD_AFTER_LENGTH, kind, number) + data


class Reader:
    """Cuts a stream of bytes into frames, whatever pieces it arrives in.

    Parameters
    ----------
    bytes_max : longest frame accepted; a longer one means that the other side speaks something else
    """

    def __init__(self, bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._buffer = bytearray()
        self._bytes_max = bytes_max

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Every whole frame as (kind, number, body); the rest waits for more bytes.

        Raises
        ------
        WireError : a length that no frame of this protocol has
        """
        buffer = self._buffer
        if buffer:
            buffer += data
            data = bytes(buffer)
        position, end = 0, len(data)
        while end - position >= HEAD.size:
            length, kind, number = HEAD.unpack_from(data, position)
            if not HEAD_AFTER_LENGTH <= length <= self._bytes_max:
                raise WireError(
                    "a frame has an impossible length",
                    where="connection between edge and core",
                    found=f"{length} bytes",
                    allowed=f"{HEAD_AFTER_LENGTH} to {self._bytes_max} bytes",
                    cure="Start edge and core from the same version.",
                )
            if end - position < 4 + length:
                break
            yield kind, number, data[position + HEAD.size : position + 4 + length]
            position += 4 + length
        self._buffer = bytearray(data[position:])
