"""What /schema says about the ledger's addresses: texts, bodies, examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIMediaType, Operation, RequestBody

from quanheng.ledger.entries import BATCH_MAX
from quanheng.server.api import answers
from quanheng.server.change_api import inlined
from quanheng.server.ledger_bodies import AccountBody, AmendmentBody, TransferBody

_ORDER = (
    f"An array of up to {BATCH_MAX}, judged in order, chains (LINKED) whole or not at all, durable before it is "
    "answered. Each has an outcome with its name and number; a refused one does not stop the rest. The same id with "
    "the same content again is EXISTS. `as_of` is the committed offset."
)
_READ = (
    "Needs scope read. Balances and holds are of one moment, `as_of`, and all that they show is durable. Totals are "
    "integers, as text where 64 bits do not hold them."
)


def _read(id: str, summary: str, text: str = "") -> dict[str, Any]:
    return {
        "operation_id": id,
        "summary": summary,
        "description": f"{text} {_READ}".strip(),
        "tags": ["ledger"],
        "responses": {
            200: ResponseSpec(dict[str, Any], generate_examples=False), **answers(400, 401, 403, 404, 422, 429, 503)
        },
    }  # fmt: skip


def _write(id: str, summary: str, text: str, of: Any, example: list[dict[str, Any]]) -> dict[str, Any]:
    schema = {"type": "array", "maxItems": BATCH_MAX, "items": inlined(msgspec.json.schema(of))}
    media = OpenAPIMediaType(schema=schema, examples={"one": Example(value=example)})  # type: ignore[arg-type]

    @dataclass
    class LedgerOperation(Operation):
        def __post_init__(self) -> None:
            self.request_body = RequestBody(required=True, content={"application/json": media})

    return {
        "operation_id": id,
        "summary": summary,
        "description": f"{text} {_ORDER}",
        "tags": ["ledger"],
        "responses": {
            200: ResponseSpec(dict[str, Any], generate_examples=False),
            **answers(400, 401, 403, 413, 422, 429, 503),
        },
        "operation_class": LedgerOperation,
    }


ACCOUNTS = _write(
    "postAccounts",
    "Open accounts",
    "Needs scope admin.",
    AccountBody,
    [{"id": "4711", "asset": 978, "code": 1, "flags": ["DEBITS_BOUND"], "overdraft_minor": 50_000}],
)
AMENDMENTS = _write(
    "postAmendments",
    "Change rules and limits of accounts, freeze or close them",
    "Needs scope admin. What is left out stays as it is.",
    AmendmentBody,
    [{"id": "4711", "day_max_minor": 100_000}],
)
TRANSFERS = _write(
    "postTransfers",
    "Apply transfers",
    "Needs scope post. An applied one is answered with the balances of both accounts right after it, null where a "
    "limited token may not see the account. `timeout_ms` is a length; with UNTIL it is the moment that a hold ends.",
    TransferBody,
    [{"id": "0x8f3a", "debit": "4711", "credit": "4712", "amount_minor": 12_50, "code": 1}],
)
ACCOUNT = _read("getAccount", "An account, its balance and the holds that stand on it", "At most 1,000 holds.")
BALANCE = _read(
    "getBalance",
    "An account's balance, now or at a time that is over",
    "A moment to come is refused: what is answered of a moment never changes.",
)
STATEMENT = _read(
    "getStatement",
    "An account's lines with the balance after each, newest first",
    "`next_after` continues a listing as `after`; null = there are no more.",
)
TRANSFER = _read("getTransfer", "A transfer that was applied, where its hold stands, how much was taken back")
