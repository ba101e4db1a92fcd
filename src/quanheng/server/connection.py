"""Connections of edges to the core: frames in, answers out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from quanheng.server import wire

if TYPE_CHECKING:
    from quanheng.server.core import Core


class Waiting(NamedTuple):
    """One HTTP request in the queue."""

    link: Link
    number: int
    requests: list[Any]
    single: bool
    arrived_s: float
    bytes: int


class Link(asyncio.Protocol):
    """One connection from an edge. Frames in; answers out, those of one group in one write."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._reader = wire.Reader()
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self.counters: dict[str, int] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """An edge has connected."""
        self._transport = cast(asyncio.Transport, transport)
        self._core.links.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The edge is gone; what it sent is still decided, its answers go nowhere."""
        self._transport = None
        self._core.links.discard(self)

    def data_received(self, data: bytes) -> None:
        """Frames, in any pieces."""
        try:
            for kind, number, body in self._reader.feed(data):
                self._core.receive(self, kind, number, body)
        except (wire.WireError, msgspec.DecodeError) as error:
            self._core.complain("warning", "bad_frame", error)
            if self._transport:
                self._transport.close()
        self.flush()

    def answer(self, number: int, answer: wire.Answer) -> None:
        """Keep an answer for the next `flush`."""
        self._out.append(wire.frame(wire.Kind.REPLY, number, answer))

    def flush(self) -> None:
        """Write all kept answers at once."""
        if self._out and self._transport and not self._transport.is_closing():
            self._transport.write(b"".join(self._out))
        self._out.clear()

    def close(self) -> None:
        """Close the connection after what is written."""
        self.flush()
        if self._transport:
            self._transport.close()
