"""The ledger over HTTP. The edge reads and writes JSON: the core is sent, and sends, transfers of a fixed size."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import numpy as np
from litestar import Request, Response, get, post
from litestar.exceptions import ClientException
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter, QueryParameter

from quanheng.kernel.errors import InputError, QuanhengError
from quanheng.ledger.entries import BATCH_MAX, TIME_MAX_MS
from quanheng.ledger.wire import TRANSFER_ANSWER
from quanheng.server import ledger_api as api
from quanheng.server import wire
from quanheng.server.answers import error_body, refusal
from quanheng.server.bodies import whole
from quanheng.server.config import Limits
from quanheng.server.intake import GRACE_S, Intake, Refused, not_json, parts_of, too_large
from quanheng.server.json_keys import check_keys
from quanheng.server.ledger_bodies import AccountBody, AmendmentBody, TransferBody, shown_answers, transfers_in
from quanheng.server.link import CorePool, CoreUnavailable

ACCOUNTS, AMENDMENTS, TRANSFERS = "/v1/accounts", "/v1/accounts/amend", "/v1/transfers"
UNKNOWN = error_body(
    QuanhengError(
        "the core is not reachable, or did not answer in time; whether these were recorded is not known",
        cure="Send them again with the same ids: what was applied is answered with EXISTS, and not applied again.",
    )
)
AccountId = Annotated[str, PathParameter(description="Id of the account: decimal, or 0x and hexadecimal.")]
Moment = Annotated[str, QueryParameter(description="Epoch milliseconds UTC, included.")]


class LedgerDoor:
    """Asks the core's ledger.

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
        self._limits, self._pool, self._intake, self._respond = limits, pool, intake, respond

    async def write(self, request: Request, route: str, of: Any, operation: str) -> Response[bytes]:
        """Answer a batch."""
        started_s, count = time.perf_counter(), 0
        try:
            token = self._intake.token(request.headers.get)
            timeout_ms = self._intake.timeout_ms(request.headers.get, self._limits.timeout_ms_max)
            rows = _rows(await self._body(request, route), of, route)
            count = len(rows)
            self._intake.admit(token, count)
            sent = {"requests": transfers_in(rows).tobytes()} if of is TransferBody else {"rows": rows}
            answer = await self._ask(token, operation, sent, timeout_ms)
            if of is TransferBody and answer.status == 200:
                answer = _with_json(answer)
        except Refused as refused:
            answer = self._intake.refuse(refused)
        except InputError as error:
            answer = refusal(error, self._limits.retry_after_s)
        self._intake.account(answer, count, started_s, route)
        return self._respond(answer)

    async def read(self, request: Request, operation: str, **arguments: Any) -> Response[bytes]:
        """Answer a read."""
        try:
            token = self._intake.token(request.headers.get)
            timeout_ms = self._intake.timeout_ms(request.headers.get, self._limits.timeout_ms_max)
            self._intake.admit(token, 1)
            return self._respond(await self._ask(token, operation, arguments, timeout_ms))
        except Refused as refused:
            return self._respond(self._intake.refuse(refused))

    async def _body(self, request: Request, route: str) -> bytes:
        try:
            return await request.body()
        except ClientException as error:
            if error.status_code != 413:
                raise
            allowed = f"{self._limits.body_bytes_max} bytes (limits.body_bytes_max)"
            found = request.headers.get("content-length") or ""
            raise too_large(route, found, allowed, "Send fewer in one request.") from None

    async def _ask(self, token: bytes, operation: str, arguments: dict[str, Any], wait_ms: int) -> wire.Answer:
        asked = wire.Admin(token, operation, msgspec.msgpack.encode(arguments))
        try:
            return await self._pool.ask(wire.Kind.LEDGER, asked, wait_ms / 1000 + GRACE_S)
        except CoreUnavailable:
            return wire.Answer(503, UNKNOWN, self._limits.retry_after_s)


def _rows(body: bytes, of: Any, route: str) -> list[Any]:
    """Decode an array of bodies.

    Raises
    ------
    Refused : it is no JSON, has too many rows, or one does not fit or says a key twice; the answer names row and field
    """
    fields = ", ".join(one.encode_name for one in msgspec.structs.fields(of))
    try:
        rows: list[Any] = msgspec.json.decode(body, type=list[of])
    except msgspec.ValidationError as error:
        place, found, allowed = parts_of(error, fields)
        misfit = InputError(
            "the body does not fit this address",
            where=f"{route}, {place}" if place else route,
            found=found or str(error).partition(" - at ")[0],
            allowed=allowed,
            cure="See /schema.",
        )
        raise Refused(wire.Answer(422, error_body(misfit)), "malformed") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        wrong = not_json(error, body, route, f"an array of objects of {fields}")
        raise Refused(wire.Answer(400, error_body(wrong)), "not_json") from None
    check_keys(body, route)
    if len(rows) > BATCH_MAX:
        raise too_large(route, f"{len(rows)} rows", f"{BATCH_MAX} rows", "Send them in several requests.")
    return rows


def _with_json(answer: wire.Answer) -> wire.Answer:
    """The core's answer to transfers (offset, then TRANSFER_ANSWER[n]) as JSON."""
    shown = shown_answers(
        np.frombuffer(answer.body, TRANSFER_ANSWER, offset=8), int.from_bytes(answer.body[:8], "little")
    )
    return wire.Answer(200, msgspec.json.encode(shown))


def handlers(door: LedgerDoor) -> list[HTTPRouteHandler]:
    """The handlers of the ledger's addresses."""
    return [*_of_writes(door), *_of_reads(door)]


def _of_writes(door: LedgerDoor) -> list[HTTPRouteHandler]:
    @post(ACCOUNTS, status_code=200, **api.ACCOUNTS)
    async def accounts(request: Request) -> Response[bytes]:
        return await door.write(request, ACCOUNTS, AccountBody, "accounts")

    @post(AMENDMENTS, status_code=200, **api.AMENDMENTS)
    async def amendments(request: Request) -> Response[bytes]:
        return await door.write(request, AMENDMENTS, AmendmentBody, "amend")

    @post(TRANSFERS, status_code=200, **api.TRANSFERS)
    async def transfers(request: Request) -> Response[bytes]:
        return await door.write(request, TRANSFERS, TransferBody, "transfers")

    return [accounts, amendments, transfers]


def _of_reads(door: LedgerDoor) -> list[HTTPRouteHandler]:
    @get("/v1/accounts/{id:str}", **api.ACCOUNT)
    async def account(request: Request, id: AccountId) -> Response[bytes]:
        return await door.read(request, "account", id=id)

    @get("/v1/accounts/{id:str}/balance", **api.BALANCE)
    async def balance(request: Request, id: AccountId, at: Moment = "") -> Response[bytes]:
        return await door.read(request, "balance", id=id, at_ms=_moment(at, "at"))

    @get("/v1/accounts/{id:str}/statement", **api.STATEMENT)
    async def statement(
        request: Request,
        id: AccountId,
        since: Moment = "",
        until: Moment = "",
        limit: Annotated[str, QueryParameter(description="At most so many lines, 1 to 1000.")] = "100",
        after: Annotated[str, QueryParameter(description="`next_after` of the page before.")] = "",
    ) -> Response[bytes]:
        arguments = {
            "since_ms": _moment(since, "since") or 0,
            "until_ms": _moment(until, "until"),
            "limit": whole(limit, "limit", "1 to 1000", 1_000, 1),
            "after": whole(after, "after", "`next_after` of the page before", 1 << 62) if after else None,
        }
        return await door.read(request, "statement", id=id, **arguments)

    @get("/v1/transfers/{id:str}", **api.TRANSFER)
    async def transfer(
        request: Request, id: Annotated[str, PathParameter(description="Id of the transfer.")]
    ) -> Response[bytes]:
        return await door.read(request, "transfer", id=id)

    return [account, balance, statement, transfer]


def _moment(text: str, where: str) -> int | None:
    return whole(text, where, "epoch milliseconds", TIME_MAX_MS) if text else None
