"""Carries an ASGI application over RSGI, Granian's own interface: for the addresses that are not in a hurry.

RSGI needs no messages: a request is asked for its headers and body, a response is one call. `POST /v1/events` speaks
it; Litestar speaks ASGI.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

ASGI = Callable[[Any, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


async def carry(app: ASGI, scope: Any, proto: Any) -> None:
    """Let `app` answer one request. Answers are sent whole; a body is read whole, as long as `app` asks for it."""
    pieces = aiter(proto)
    status, headers, body = 500, [], b""

    async def receive() -> dict[str, Any]:
        piece = await anext(pieces, b"")
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status, headers, body
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]]
        elif message["type"] == "http.response.body":
            body += message.get("body", b"")

    await app(asgi_scope(scope), receive, send)
    proto.response_bytes(status, headers, body)


def asgi_scope(scope: Any) -> dict[str, Any]:
    """The RSGI scope of an HTTP request as ASGI knows it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": scope.http_version,
        "server": _host(scope.server),
        "client": _host(scope.client),
        "scheme": scope.scheme,
        "method": scope.method,
        "root_path": "",
        "path": scope.path,
        "raw_path": scope.path.encode(),
        "query_string": scope.query_string.encode("latin-1"),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in scope.headers.items()],
        "state": {},
    }


def _host(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
