"""The addresses a monitor asks: the newest checkpoint, and proofs; and how answers of the core become HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from litestar import MediaType, Request, Response, get
from litestar.params import PathParameter, QueryParameter

from quanheng.server import api, wire
from quanheng.server.bodies import whole
from quanheng.server.intake import response_headers

Ask = Callable[[int, wire.Query], Awaitable[wire.Answer]]
"""Asks the core, and gives its answer."""


def proof_handlers(ask: Ask, token: Callable[[Request], bytes]) -> list[Any]:
    """Handlers of /v1/log/…; `token` gives the digest of a request's token."""

    @get("/v1/log/checkpoint", **api.CHECKPOINT)
    async def checkpoint(request: Request) -> Response[bytes]:
        return text(await ask(wire.Kind.PROOF, wire.Query(token(request), limit=-1, name="checkpoint")), "text/plain")

    @get("/v1/log/consistency", **api.CONSISTENCY)
    async def consistency(
        request: Request,
        old: Annotated[str, QueryParameter(description="Number of records of the older checkpoint.")],
        new: Annotated[str, QueryParameter(description="Of the newer one; without it all records.")] = "",
    ) -> Response[bytes]:
        query = wire.Query(token(request), _size(old, "old"), _size(new, "new") if new else -1, "consistency")
        return response(await ask(wire.Kind.PROOF, query))

    @get("/v1/log/inclusion/{offset:str}", **api.INCLUSION)
    async def inclusion(
        request: Request,
        offset: Annotated[str, PathParameter(description="Log offset of the record.")],
        size: Annotated[str, QueryParameter(description="Number of records of the checkpoint; without it all.")] = "",
    ) -> Response[bytes]:
        query = wire.Query(token(request), _size(offset, "offset"), _size(size, "size") if size else -1, "inclusion")
        return response(await ask(wire.Kind.PROOF, query))

    return [checkpoint, consistency, inclusion]


def _size(given: str, name: str) -> int:
    return whole(given, name, "a number of records, or an offset", 1 << 62)


def text(answer: wire.Answer, media_type: str) -> Response[bytes]:
    """A text where it is one; an error is JSON like every other."""
    if answer.status != 200:
        return response(answer)
    return Response(answer.body, status_code=answer.status, media_type=media_type)


def response(answer: wire.Answer) -> Response[bytes]:
    """An answer of the core as HTTP: JSON."""
    return Response(
        answer.body, status_code=answer.status, headers=dict(response_headers(answer)), media_type=MediaType.JSON
    )
