"""A small HTTP/1.1 client for a server of ours: one request at a time on a kept connection, bytes in, bytes out.

Used by `quanheng run`, by the load generator and by tests. It speaks what our server
answers (Content-Length or chunked, no redirects).
"""

from __future__ import annotations

import asyncio
import re
from typing import NamedTuple, cast

from quanheng.kernel.errors import Overloaded

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


class ConnectionLost(Overloaded):
    """The server closed the connection before it answered."""


class Response(NamedTuple):
    """What came back.

    status : HTTP status
    head : status line and headers
    body : bytes of the body
    """

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str:
        """Value of a header; empty if absent."""
        found = re.search(rb"\r\n" + name.encode() + rb": *([^\r]*)", self.head, re.IGNORECASE)
        return found[1].decode() if found else ""


class Connection(asyncio.Protocol):
    """One kept connection. `await connection.send(bytes)` gives the answer."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._needed = 0
        self._answer: asyncio.Future[Response] | None = None
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def open(cls, address: str, port: int) -> Connection:
        """Connect."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, address, port)
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The request that waits fails."""
        self._transport = None
        if self._answer and not self._answer.done():
            self._answer.set_exception(_lost())

    def data_received(self, data: bytes) -> None:
        """Pieces of an answer."""
        self._buffer = self._buffer + data if self._buffer else data
        if len(self._buffer) < self._needed or not self._answer:
            return
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end]
        found = _LENGTH.search(head)
        if found:
            self._needed = end + 4 + int(found[1])
            if len(self._buffer) < self._needed:
                return
            body = self._buffer[end + 4 : self._needed]
        elif _CHUNKED.search(head):
            if not self._buffer.endswith(b"0\r\n\r\n"):
                return
            body = _unchunk(self._buffer[end + 4 :])
        else:
            body = b""
        self._buffer, self._needed = b"", 0
        answer, self._answer = self._answer, None
        if not answer.done():
            answer.set_result(Response(int(head[9:12]), head, body))

    def send(self, request: bytes) -> asyncio.Future[Response]:
        """Send the bytes of one request; the future holds the answer, or `ConnectionLost`."""
        self._answer = answer = self._loop.create_future()
        if self._transport is None or self._transport.is_closing():
            answer.set_exception(_lost())
        else:
            self._transport.write(request)
        return answer

    def close(self) -> None:
        """Close the connection."""
        if self._transport:
            self._transport.close()


def request_bytes(method: str, path: str, token: str = "", body: bytes = b"", headers: str = "") -> bytes:
    """The bytes of one request.

    Parameters
    ----------
    method, path : as in HTTP
    token : bearer token; empty sends none
    body : JSON bytes
    headers : further header lines, each ending in CRLF
    """
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: quanheng\r\n{authorization}{headers}Content-Length: {len(body)}\r\n"
    kind = "Content-Type: application/json\r\n" if body else ""
    return f"{head}{kind}\r\n".encode() + body


def _unchunk(data: bytes) -> bytes:
    pieces: list[bytes] = []
    position = 0
    while True:
        end = data.index(b"\r\n", position)
        size = int(data[position:end], 16)
        if not size:
            return b"".join(pieces)
        pieces.append(data[end + 2 : end + 2 + size])
        position = end + 4 + size


def _lost() -> ConnectionLost:
    return ConnectionLost(
        "the server closed the connection before it answered",
        cure="Send the same events again with the same ids: what was recorded is answered once, not twice.",
    )
