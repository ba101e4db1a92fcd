"""Changes over HTTP: steps of versions, packs put in force, lists. Each is an operation of the core, done once per id.

The core checks token, scope and state, as it does for the command line; here a body becomes the arguments.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.exceptions import ClientException
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter, QueryParameter

from quanheng.decisions.versions import STEPS
from quanheng.kernel.errors import NotFound, QuanhengError
from quanheng.server import change_api as api
from quanheng.server import wire
from quanheng.server.answers import error_body, refusal
from quanheng.server.bodies import (
    ActivateBody,
    Body,
    DraftBody,
    ListChangeBody,
    RollBackBody,
    StepBody,
    VerdictBody,
    content_of,
    expiry_of,
    read_body,
    whole,
)
from quanheng.server.config import Limits
from quanheng.server.intake import GRACE_S, Intake, Refused, too_large
from quanheng.server.link import CorePool, CoreUnavailable

Pack = Annotated[str, PathParameter(description="Name of the pack.")]
Version = Annotated[str, PathParameter(description="First digits of the version's hash, at least 8.")]
STEPS_OF_A_VERSION = tuple(name for name in STEPS if name != "draft")
StepName = Annotated[str, PathParameter(description=f"One of {', '.join(STEPS_OF_A_VERSION)}.")]
ListName = Annotated[str, PathParameter(description="PACK.LIST, or the list's name where one pack declares it.")]
UNKNOWN = error_body(
    QuanhengError(
        "the core is not reachable, or did not answer in time; whether this was recorded is not known",
        cure="Send it again with the same id: what was recorded is answered once, not twice.",
    )
)


class Changes:
    """Asks the core for operations.

    Parameters
    ----------
    limits : sizes and times
    pool : connections to the core
    intake : tokens, rates, the access log
    respond : makes a response of an answer
    """

    def __init__(
        self, limits: Limits, pool: CorePool, intake: Intake, respond: Callable[[wire.Answer], Response[bytes]]
    ) -> None:
        self.limits, self._pool, self._intake, self._respond = limits, pool, intake, respond

    async def change(
        self, request: Request, route: str, of: type[Body], make: Callable[[Body], tuple[str, dict[str, Any]]]
    ) -> Response[bytes]:
        """Answer a change: its body becomes an operation with arguments, which `make` gives."""
        started_s = time.perf_counter()
        try:
            token, timeout_ms = self._begin(request)
            body = read_body(await self._body(request, route), of, route)
            operation, arguments = make(body)
            answer = await self._ask(token, operation, arguments, body.id, timeout_ms)
        except Refused as refused:
            answer = self._intake.refuse(refused)
        except QuanhengError as error:
            answer = refusal(error, self.limits.retry_after_s)
        self._intake.account(answer, 1, started_s, route)
        return self._respond(answer)

    async def read(self, request: Request, operation: str, arguments: dict[str, Any]) -> Response[bytes]:
        """Answer a read that is an operation of the core."""
        try:
            token, timeout_ms = self._begin(request)
            return self._respond(await self._ask(token, operation, arguments, "", timeout_ms))
        except Refused as refused:
            return self._respond(self._intake.refuse(refused))

    def _begin(self, request: Request) -> tuple[bytes, int]:
        """Digest of the token, and how long the caller waits; a change may take as long as anything may."""
        token = self._intake.token(request.headers.get)
        timeout_ms = self._intake.timeout_ms(request.headers.get, self.limits.timeout_ms_max)
        self._intake.admit(token, 1)
        return token, timeout_ms

    async def _body(self, request: Request, route: str) -> bytes:
        try:
            return await request.body()
        except ClientException as error:
            if error.status_code != 413:
                raise
            packs = route in PACK_ROUTES
            limit = self.limits.pack_bytes_max if packs else self.limits.body_bytes_max
            allowed = f"{limit} bytes (limits.{'pack' if packs else 'body'}_bytes_max)"
            cure = "Send what differs from a version (`base`)." if packs else "Send it in several changes."
            raise too_large(route, request.headers.get("content-length") or "", allowed, cure) from None

    async def _ask(self, token: bytes, operation: str, arguments: dict[str, Any], id: str, wait_ms: int) -> wire.Answer:
        asked = wire.Admin(token, operation, msgspec.msgpack.encode(arguments), id)
        try:
            return await self._pool.ask(wire.Kind.ADMIN, asked, wait_ms / 1000 + GRACE_S)
        except CoreUnavailable:
            return wire.Answer(503, UNKNOWN, self.limits.retry_after_s)


DRAFT, ACTIVATE = "/v1/policies/{pack}/draft", "/v1/policies/{pack}/activate"
ROLL_BACK, STEP = "/v1/policies/{pack}/roll_back", "/v1/policies/{pack}/{version}/{step}"
LISTS, LIST, LIST_CHANGES = "/v1/lists", "/v1/lists/{list}", "/v1/lists/{list}/changes"
VERDICT = "/v1/lists/changes/{offset}/{verdict}"
MODEL_DRAFT = "/v1/models/{pack}/{model}/draft"
PACK_ROUTES = (DRAFT, ACTIVATE, MODEL_DRAFT)


def handlers(changes: Changes) -> list[HTTPRouteHandler]:
    """The handlers of every address that changes what decides, and of those that read lists."""
    return [*_of_policies(changes, changes.limits), *_of_lists(changes)]


def _of_policies(changes: Changes, limits: Limits) -> list[HTTPRouteHandler]:
    @post(typed(DRAFT), status_code=200, request_max_body_size=limits.pack_bytes_max, **api.DRAFT)
    async def draft(request: Request, pack: Pack) -> Response[bytes]:
        def make(body: DraftBody) -> tuple[str, dict[str, Any]]:
            content = {"files": content_of(body.files), "base": body.base}
            return "step", {"step": "draft", "pack": pack, "reason": body.reason, **content}

        return await changes.change(request, DRAFT, DraftBody, make)

    @post(typed(ACTIVATE), status_code=200, request_max_body_size=limits.pack_bytes_max, **api.ACTIVATE)
    async def activate(request: Request, pack: Pack) -> Response[bytes]:
        def make(body: ActivateBody) -> tuple[str, dict[str, Any]]:
            packs = {pack: content_of(body.files)}
            return "activate", {"packs": packs, "base": body.base, "break_glass": body.break_glass}

        return await changes.change(request, ACTIVATE, ActivateBody, make)

    @post(typed(ROLL_BACK), status_code=200, **api.ROLL_BACK)
    async def roll_back(request: Request, pack: Pack) -> Response[bytes]:
        def make(body: RollBackBody) -> tuple[str, dict[str, Any]]:
            return "step", {"step": "roll_back", "pack": pack, "version": body.version, "reason": body.reason}

        return await changes.change(request, ROLL_BACK, RollBackBody, make)

    @post(typed(STEP), status_code=200, **api.STEP)
    async def step(request: Request, pack: Pack, version: Version, step: StepName) -> Response[bytes]:
        def make(body: StepBody) -> tuple[str, dict[str, Any]]:
            asked = {"pack": pack, "version": version, "reason": body.reason, "share_bp": body.share_bp}
            return "step", {"step": _one_of(step, "step", STEPS_OF_A_VERSION), **asked}

        return await changes.change(request, STEP, StepBody, make)

    return [draft, activate, roll_back, step]


def _of_lists(changes: Changes) -> list[HTTPRouteHandler]:
    @get(LISTS, **api.LISTS)
    async def lists(request: Request) -> Response[bytes]:
        return await changes.read(request, "lists", {})

    @get(typed(LIST), **api.LIST)
    async def entries(
        request: Request,
        list: ListName,
        limit: Annotated[str, QueryParameter(description="At most so many, 1 to 1000.")] = "100",
    ) -> Response[bytes]:
        return await changes.read(
            request, "list_show", {"list": list, "limit": whole(limit, "limit", "1 to 1000", 1_000, 1)}
        )

    @post(typed(LIST_CHANGES), status_code=200, **api.LIST_CHANGE)
    async def change(request: Request, list: ListName) -> Response[bytes]:
        def make(body: ListChangeBody) -> tuple[str, dict[str, Any]]:
            asked = {"list": list, "change": body.change, "values": body.values, "reason": body.reason}
            return "list_change", {**asked, **expiry_of(body.until, body.lasting)}

        return await changes.change(request, LIST_CHANGES, ListChangeBody, make)

    @post(typed(VERDICT), status_code=200, **api.VERDICT)
    async def verdict(
        request: Request,
        offset: Annotated[str, PathParameter(description="Log offset of the change, as GET /v1/lists shows it.")],
        verdict: Annotated[str, PathParameter(description="approve or reject.")],
    ) -> Response[bytes]:
        def make(body: VerdictBody) -> tuple[str, dict[str, Any]]:
            first = whole(offset, "offset", "a log offset, as `offset` of a change that waits", 1 << 62)
            approved = _one_of(verdict, "verdict", ("approve", "reject")) == "approve"
            return "list_judge", {"first": first, "approved": approved, "reason": body.reason}

        return await changes.change(request, VERDICT, VerdictBody, make)

    return [lists, entries, change, verdict]


def typed(route: str) -> str:
    """A route as the framework writes it."""
    return route.replace("}", ":str}")


def _one_of(word: str, where: str, allowed: tuple[str, ...]) -> str:
    if word not in allowed:
        raise NotFound("the address holds no such word", where=where, found=repr(word[:50]), allowed=", ".join(allowed))
    return word
