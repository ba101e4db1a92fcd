"""The HTTP application of an edge: documentation, queries and metrics in Litestar; events go around the framework.

Measured on one core with 64 connections, before any work of ours: 4,800 requests/s through a Litestar handler, 15,100
through a bare ASGI application; a bare RSGI one takes a seventh less CPU than that (43 us a request, not 50). So
`POST /v1/events` is answered over RSGI before Litestar is asked, by the function that its documented handler calls.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.params import PathParameter, QueryParameter

from quanheng import __version__
from quanheng.kernel.errors import QuanhengError
from quanheng.server import api, wire
from quanheng.server.answers import error_body
from quanheng.server.bodies import whole
from quanheng.server.changes import Changes, handlers
from quanheng.server.config import Config
from quanheng.server.intake import PATH, Intake, Refused
from quanheng.server.ledger_http import LedgerDoor
from quanheng.server.ledger_http import handlers as ledger_handlers
from quanheng.server.link import CorePool, CoreUnavailable
from quanheng.server.logs import Log
from quanheng.server.models_http import handlers as model_handlers
from quanheng.server.process_http import handlers as process_handlers
from quanheng.server.proofs import proof_handlers, response, text
from quanheng.server.rsgi import carry

ENVIRONMENT = "QUANHENG_EDGE"
PARENT_LOOK_S = 1.0
COLLECT_RARELY = (100_000, 50, 100)
NOT_ANSWERED = error_body(
    QuanhengError(
        "the core is not reachable, or did not answer in time", cure="Ask again in a moment; look at /v1/health."
    )
)


class Edge(msgspec.Struct, frozen=True):
    """What the core hands to the process that serves HTTP.

    config : the whole configuration
    socket : Unix socket of the core
    examples : events of the loaded packs, shown in the API's documentation
    """

    config: Config
    socket: str
    examples: list[dict[str, Any]] = []


def create_app() -> Application:
    """The application of one worker, from the environment that the core has set (called by Granian in the worker)."""
    edge = msgspec.json.decode(os.environ[ENVIRONMENT], type=Edge)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    application = Application(edge, lambda: time.time_ns() // 1_000_000, lambda: time.monotonic_ns() // 1_000)
    gc.collect()  # What is alive now stays; a full collection under load would hold up everybody who waits.
    gc.freeze()
    gc.set_threshold(*COLLECT_RARELY)
    return application


def _end_with_parent(parent: int) -> None:
    """A worker whose supervisor was killed serves nobody; it would keep the port."""
    while os.getppid() == parent:
        time.sleep(PARENT_LOOK_S)
    os._exit(1)


class Application:
    """What a worker serves, as RSGI.

    Parameters
    ----------
    edge : configuration, socket, examples
    clock_ms : wall clock in UTC milliseconds
    clock_us : monotonic clock in microseconds
    fast : answer events before the framework; False lets the documented handler do it (tests compare the two)
    """

    def __init__(self, edge: Edge, clock_ms: Callable[[], int], clock_us: Callable[[], int], fast: bool = True) -> None:
        log = Log(edge.config.logs.level, "edge")
        self.pool = CorePool(Path(edge.socket), edge.config.server.links)
        self._intake = Intake(edge.config, self.pool, log, clock_ms, clock_us)
        self._app = _litestar(edge, self.pool, self._intake)
        self._fast = fast

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Connect to the core, before the first request."""
        loop.run_until_complete(self.pool.open())

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Disconnect, after the last."""
        loop.run_until_complete(self.pool.close())

    def __rsgi__(self, scope: Any, proto: Any) -> Awaitable[None]:
        """Serve one request."""
        if self._fast and scope.path == PATH and scope.method == "POST":
            return self._intake(scope, proto)
        return carry(self._app, scope, proto)


def _litestar(edge: Edge, pool: CorePool, intake: Intake) -> Litestar:
    timeout_s = (edge.config.limits.timeout_ms or edge.config.limits.timeout_ms_max) / 1000

    async def ask(kind: int, query: wire.Query) -> wire.Answer:
        try:
            return await pool.ask(kind, query, timeout_s)
        except CoreUnavailable:
            return wire.Answer(503, NOT_ANSWERED, edge.config.limits.retry_after_s)

    def token(request: Request) -> bytes:
        return intake.token(request.headers.get)

    @post(PATH, status_code=200, operation_class=api.operation(edge.examples), **api.EVENTS)
    async def events(request: Request) -> Response[bytes]:
        started_s, count = time.perf_counter(), 0
        try:
            headers = intake.headers(request.headers.get)
            answer, count = await intake.handle(headers, request.url.query, await request.body())
        except Refused as refused:
            answer = intake.refuse(refused)
        intake.account(answer, count, started_s)
        return response(answer)

    @get("/v1/decisions/{offset:str}", **api.DECISION)
    async def decision(
        request: Request, offset: Annotated[str, PathParameter(description=api.OFFSET)]
    ) -> Response[bytes]:
        wanted = whole(offset, "decision", "a log offset, as `decision` in the reply to an event", 1 << 62)
        return response(await ask(wire.Kind.DECISION, wire.Query(token(request), wanted)))

    @get("/v1/rejects", **api.REJECTS)
    async def rejects(
        request: Request,
        after: Annotated[str, QueryParameter(description="List those behind this offset.")] = "",
        limit: Annotated[str, QueryParameter(description="At most so many, 1 to 1000.")] = "100",
    ) -> Response[bytes]:
        behind = whole(after, "after", "0 or the offset of the last reject seen", 1 << 62) if after else -1
        query = wire.Query(token(request), behind, whole(limit, "limit", "1 to 1000", 1_000, 1))
        return response(await ask(wire.Kind.REJECTS, query))

    @get("/v1/policies", **api.POLICIES)
    async def policies(request: Request) -> Response[bytes]:
        return response(await ask(wire.Kind.POLICIES, wire.Query(token(request))))

    @get("/v1/policies/{pack:str}", **api.POLICY)
    async def policy(
        request: Request, pack: Annotated[str, PathParameter(description="Name of the pack.")]
    ) -> Response[bytes]:
        return response(await ask(wire.Kind.POLICIES, wire.Query(token(request), name=pack)))

    @get("/v1/health", **api.HEALTH)
    async def health() -> Response[bytes]:
        return response(await ask(wire.Kind.HEALTH, wire.Query()))

    @get("/metrics", **api.METRICS)
    async def metrics() -> Response[bytes]:
        answer = await ask(wire.Kind.METRICS, wire.Query())
        return text(answer, "text/plain; version=0.0.4")

    proofs = proof_handlers(ask, token)
    changes = Changes(edge.config.limits, pool, intake, response)
    door = LedgerDoor(edge.config.limits, pool, intake, response)
    folds = [*ledger_handlers(door), *process_handlers(door)]
    governed = [*handlers(changes), *model_handlers(edge.config.limits, changes)]
    return Litestar(
        route_handlers=[events, decision, rejects, policies, policy, *governed, *folds, *proofs, health, metrics],
        openapi_config=OpenAPIConfig(title="Quanheng", version=__version__, description=api.ABOUT, path="/schema"),
        exception_handlers={HTTPException: _problem, Refused: lambda _, error: response(intake.refuse(error))},
        request_max_body_size=edge.config.limits.body_bytes_max,
    )


def _problem(_: Request, error: HTTPException) -> Response[bytes]:
    """An error of the framework (no such route, wrong method) in the same shape as ours."""
    cure = {404: "See /schema for all addresses.", 405: "See /schema for the methods of this address."}.get(
        error.status_code, ""
    )
    body = msgspec.json.encode({"error": f"{error.detail}. {cure}".strip(), **({"cure": cure} if cure else {})})
    headers = {name: str(value) for name, value in (error.headers or {}).items()}
    return Response(body, status_code=error.status_code, headers=headers, media_type=MediaType.JSON)
