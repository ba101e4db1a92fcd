"""The ledger over HTTP, the real engine behind a real core: batches, outcomes, reads of one moment, what is wrong."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
import test_server_http
from test_server_http import edge

from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.kernel.errors import AppendFailed, InputError, NotFound
from quanheng.ledger.entries import ID_MAX, Balance
from quanheng.server import ledger_core
from quanheng.server.ledger_bodies import id_of, shown_balance
from quanheng.server.ledger_core import read_of

ACCOUNTS = [
    {"id": "1", "asset": 978, "code": 1},
    {"id": "0x02", "asset": 978, "code": 2, "flags": ["DEBITS_BOUND", "HISTORY"], "user_data": "77"},
    {"id": str(ID_MAX - 1), "asset": 978, "code": 3},
]
PAID = {"id": "100", "debit": "1", "credit": "2", "amount_minor": 500, "code": 7}
T0 = 1_768_471_200_000


class Bank:
    """An edge, a core and an engine, and tokens of four clients."""

    def __init__(self, served, tokens):
        self.served, self.tokens, self.engine = served, tokens, served.engine

    async def call(self, method, path, body=b"", who="till", query=""):
        headers = (("authorization", f"Bearer {self.tokens[who]}"),)
        answered = await self.served.call(method, path, body, headers, query)
        return answered.status, json.loads(answered.body)

    async def open(self):
        status, told = await self.call("POST", "/v1/accounts", ACCOUNTS, who="boss")
        assert (status, [one["outcome"] for one in told["answers"]]) == (200, ["APPLIED"] * 3)


def play(tmp_path, story, monkeypatch=None, **overrides):
    """Run a story on a bank of its own."""
    if monkeypatch is not None:
        monkeypatch.setattr(test_server_http, "Request", Request)

    async def run():
        now = [T0]
        engine = Engine.open(tmp_path / "data", clock=lambda: now[0])
        scopes = {"till": ["post"], "feed": ["ingest"], "clerk": ["read"], "boss": ["admin"]}
        tokens = {name: engine.issue_token(name, held) for name, held in scopes.items()}
        async with edge(tmp_path, engine, **{"limits.timeout_ms": 20_000, **overrides}) as served:
            bank = Bank(served, tokens)
            bank.now = now
            await story(bank)
        engine.close()

    asyncio.run(run())


def test_a_day_at_the_till(tmp_path):
    async def story(bank):
        await bank.open()
        refused = {**PAID, "id": "101", "debit": "2", "credit": "1", "amount_minor": 501}
        held = {**PAID, "id": "102", "debit": "2", "credit": str(ID_MAX - 1), "amount_minor": 200, "flags": ["HOLD"]}
        status, told = await bank.call("POST", "/v1/transfers", [PAID, refused, held, PAID])
        assert status == 200
        assert told["as_of"] == bank.engine.log.head
        assert [(one["outcome"], one["number"]) for one in told["answers"]] == [
            ("APPLIED", 0), ("BALANCE_IS_TOO_LOW", 123), ("APPLIED", 0), ("EXISTS", 39),
        ]  # fmt: skip
        first = told["answers"][0]
        assert (first["amount_minor"], first["applied_ms"]) == (500, T0)
        assert first["credit"]["credits_posted_minor"] == 500
        assert told["answers"][1].keys() == {"outcome", "number"}

        status, shown = await bank.call("GET", "/v1/accounts/2", who="clerk")
        assert (status, shown["as_of"]) == (200, bank.engine.log.head)
        assert shown["balance"] == {
            "debits_posted_minor": 0, "debits_held_minor": 200, "credits_posted_minor": 500, "credits_held_minor": 0,
        }  # fmt: skip
        assert shown["account"]["flags"] == ["DEBITS_BOUND", "HISTORY"]
        assert shown["account"]["user_data"] == "77"
        assert [(one["id"], one["amount_minor"], one["hold"]) for one in shown["holds"]] == [("102", 200, "held")]

        posted = {"id": "103", "reference": "0x66", "amount_minor": "ALL", "flags": ["POST"]}
        bank.now[0] += 10
        status, told = await bank.call("POST", "/v1/transfers", [posted])
        assert (told["answers"][0]["outcome"], told["answers"][0]["amount_minor"]) == ("APPLIED", 200)
        status, one = await bank.call("GET", "/v1/transfers/102", who="clerk")
        assert (status, one["hold"], one["expiry"], one["day"]) == (200, "posted", False, T0 // 86_400_000)
        _, one = await bank.call("GET", "/v1/transfers/0x67", who="clerk")
        assert (one["asked_minor"], one["amount_minor"], one["reference"], one["flags"]) == (
            "ALL",
            200,
            "102",
            ["POST"],
        )

        _, then = await bank.call("GET", "/v1/accounts/2/balance", who="clerk", query=f"at={T0}")
        _, now = await bank.call("GET", "/v1/accounts/2/balance", who="clerk")
        assert (then["balance"]["debits_posted_minor"], now["balance"]["debits_posted_minor"]) == (0, 200)

    play(tmp_path, story)


def test_a_statement_is_read_in_pages(tmp_path):
    async def story(bank):
        await bank.open()
        for at in range(5):
            bank.now[0] = T0 + at
            await bank.call("POST", "/v1/transfers", [{**PAID, "id": str(200 + at), "amount_minor": at + 1}])
        seen, query = [], "limit=2"
        while True:
            status, page = await bank.call("GET", "/v1/accounts/2/statement", who="clerk", query=query)
            assert status == 200
            seen += [(one["id"], one["balance"]["credits_posted_minor"]) for one in page["lines"]]
            if page["next_after"] is None:
                break
            query = f"limit=2&after={page['next_after']}"
        assert seen == [("204", 15), ("203", 10), ("202", 6), ("201", 3), ("200", 1)]
        query = f"since={T0 + 1}&until={T0 + 2}"
        _, page = await bank.call("GET", "/v1/accounts/2/statement", who="clerk", query=query)
        assert [one["id"] for one in page["lines"]] == ["202", "201"]

    play(tmp_path, story)


def test_accounts_are_amended_by_who_may(tmp_path):
    async def story(bank):
        await bank.open()
        frozen = [{"id": "2", "flags": ["DEBITS_FROZEN"]}, {"id": "9"}]
        status, told = await bank.call("POST", "/v1/accounts/amend", frozen)
        assert (status, told["where"], told["allowed"]) == (403, "till", "admin")
        status, told = await bank.call("POST", "/v1/accounts/amend", frozen, who="boss")
        assert (status, [one["outcome"] for one in told["answers"]]) == (200, ["APPLIED", "ACCOUNT_NOT_FOUND"])
        out = {**PAID, "debit": "2", "credit": "1"}
        _, told = await bank.call("POST", "/v1/transfers", [out])
        assert told["answers"][0]["outcome"] == "DEBIT_ACCOUNT_IS_FROZEN"

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("method", "path", "body", "who", "query", "status", "error"),
    [
        ("POST", "/v1/transfers", b"[", "till", "", 400, "the body is not JSON"),
        ("POST", "/v1/transfers", {"id": "1"}, "till", "", 422, "was object; allowed: array"),
        (
            "POST",
            "/v1/transfers",
            [{"debit": "1"}],
            "till",
            "",
            422,
            "id: the body does not fit this address",
        ),
        ("POST", "/v1/transfers", [PAID, {"id": "x1"}], "till", "", 422, "[1].id: this is no id of the ledger"),
        ("POST", "/v1/transfers", [{**PAID, "amount_minor": 1.5}], "till", "", 422, "[0].amount_minor: the body"),
        ("POST", "/v1/transfers", [{**PAID, "flags": ["HOLDS"]}], "till", "", 422, "[0].flags[0]: the body"),
        ("POST", "/v1/transfers", [{**PAID, "id": "9" * 39}], "till", "", 422, "[0].id: this is no id of the ledger"),
        ("POST", "/v1/transfers", [PAID] * 8_191, "till", "", 413, "was 8191 rows; allowed: 8190 rows"),
        (
            "POST",
            "/v1/accounts",
            [{"id": "9" * 39, "asset": 1, "code": 1}],
            "boss",
            "",
            422,
            "this is no id of the ledger",
        ),
        ("POST", "/v1/transfers", [PAID], "clerk", "", 403, "the client may not do this"),
        ("POST", "/v1/transfers", [PAID], "feed", "", 403, "the client may not do this"),  # Events move no value.
        ("POST", "/v1/accounts", ACCOUNTS, "till", "", 403, "the client may not do this"),
        ("GET", "/v1/accounts/2", b"", "till", "", 403, "the client may not do this"),
        ("GET", "/v1/accounts/99", b"", "clerk", "", 404, "there is no account with this id"),
        ("GET", "/v1/accounts/anna", b"", "clerk", "", 422, "this is no id of the ledger"),
        ("GET", "/v1/transfers/99", b"", "clerk", "", 404, "no transfer with this id was applied"),
        ("GET", "/v1/accounts/2/balance", b"", "clerk", "at=soon", 400, "at: the address holds no such number"),
        ("GET", "/v1/accounts/2/statement", b"", "clerk", "limit=1001", 400, "allowed: 1 to 1000"),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(tmp_path, method, path, body, who, query, status, error):
    async def story(bank):
        await bank.open()
        before = bank.engine.log.head, bank.engine.state.digest()
        answered, told = await bank.call(method, path, body, who, query)
        assert (answered, error in told["error"]) == (status, True), told
        assert (bank.engine.log.head, bank.engine.state.digest()) == before

    play(tmp_path, story)


def test_callers_at_once_share_appends_and_each_has_its_own_answers(tmp_path):
    async def story(bank):
        await bank.open()
        before = bank.engine.log.verify().batches
        asked = [
            [{**PAID, "id": str(1_000 + caller * 10 + at), "amount_minor": caller + 1} for at in range(3)]
            for caller in range(40)
        ]
        answered = await asyncio.gather(*(bank.call("POST", "/v1/transfers", one) for one in asked))
        for caller, (status, told) in enumerate(answered):
            assert status == 200
            assert [one["amount_minor"] for one in told["answers"]] == [caller + 1] * 3
        assert bank.engine.log.verify().batches - before < 40
        assert bank.engine.ledger.book.balance(2).credits_posted_minor == 3 * sum(range(1, 41))

    play(tmp_path, story)


def test_a_read_waits_until_what_it_saw_is_durable(tmp_path, monkeypatch):
    async def story(bank):
        await bank.open()
        gate, commit = threading.Event(), bank.engine.commit

        def held_up(pending):
            gate.wait(20)
            return commit(pending)

        bank.engine.commit = held_up
        paying = asyncio.create_task(bank.call("POST", "/v1/transfers", [PAID]))
        while bank.engine.state.head == bank.engine.log.head:
            await asyncio.sleep(0.01)
        reading = asyncio.create_task(bank.call("GET", "/v1/accounts/2", who="clerk"))
        await asyncio.sleep(0.1)
        assert not reading.done()
        gate.set()
        status, shown = await reading
        assert (status, shown["balance"]["credits_posted_minor"], shown["as_of"]) == (200, 500, bank.engine.log.head)
        assert (await paying)[0] == 200

    play(tmp_path, story)


def test_who_waits_hears_of_a_log_that_failed_and_reads_show_nothing_that_was_lost(tmp_path):
    async def story(bank):
        await bank.open()
        gate = threading.Event()

        def broken(pending):
            gate.wait(20)
            raise AppendFailed("the disk did not confirm the write", where="test")

        bank.engine.commit = broken
        paying = asyncio.create_task(bank.call("POST", "/v1/transfers", [PAID]))
        while bank.engine.state.head == bank.engine.log.head:
            await asyncio.sleep(0.01)
        reading = asyncio.create_task(bank.call("GET", "/v1/accounts/2", who="clerk"))
        await asyncio.sleep(0.1)
        gate.set()
        for status, told in await asyncio.gather(paying, reading):
            assert (status, "the log did not confirm the write" in told["error"]) == (503, True)
        assert (await bank.call("POST", "/v1/transfers", [PAID]))[0] == 503
        assert isinstance(bank.served.core.failure, AppendFailed)

    play(tmp_path, story)


def test_holds_end_by_themselves(tmp_path, monkeypatch):
    monkeypatch.setattr("quanheng.server.core.TICK_S", 0.02)

    async def story(bank):
        await bank.open()
        held = {**PAID, "flags": ["HOLD"], "timeout_ms": 1_000}
        await bank.call("POST", "/v1/transfers", [held])
        head = bank.engine.log.head
        await asyncio.sleep(0.1)
        assert bank.engine.log.head == head
        bank.now[0] += 1_000
        while bank.engine.log.head == head:
            await asyncio.sleep(0.01)
        _, shown = await bank.call("GET", "/v1/accounts/2", who="clerk")
        assert (shown["balance"]["credits_held_minor"], shown["holds"]) == (0, [])
        _, page = await bank.call("GET", "/v1/accounts/2/statement", who="clerk")
        assert [(one["expiry"], one["reference"]) for one in page["lines"]] == [(True, "100"), (False, "0")]

    play(tmp_path, story)


def test_a_full_queue_refuses_and_writes_nothing(tmp_path):
    async def story(bank):
        await bank.open()
        gate, commit = threading.Event(), bank.engine.commit
        bank.engine.commit = lambda pending: (gate.wait(20), commit(pending))[1]

        def pay(at):
            asked = [{**PAID, "id": str(300 + at)}] * 20
            return asyncio.create_task(bank.call("POST", "/v1/transfers", asked))

        one = pay(0)
        while bank.engine.state.head == bank.engine.log.head:
            await asyncio.sleep(0.01)
        two, three = pay(1), pay(2)
        while not any(task.done() for task in (one, two, three)):
            await asyncio.sleep(0.01)
        gate.set()
        answered = await asyncio.gather(one, two, three)
        assert sorted(status for status, _ in answered) == [200, 200, 429]
        assert any("too many transfers wait; nothing was written" in str(told.get("error")) for _, told in answered)

    play(tmp_path, story, **{"limits.queue_events_max": 20})


def test_the_documentation_describes_every_address(tmp_path):
    async def story(bank):
        status, schema = await bank.call("GET", "/schema/openapi.json")
        assert status == 200
        paths = schema["paths"]
        assert {"/v1/accounts", "/v1/accounts/amend", "/v1/transfers", "/v1/accounts/{id}", "/v1/accounts/{id}/balance",
                "/v1/accounts/{id}/statement", "/v1/transfers/{id}"} <= paths.keys()  # fmt: skip
        body = paths["/v1/transfers"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert (body["maxItems"], body["items"]["required"]) == (8_190, ["id"])

    play(tmp_path, story)


def test_ids_are_read_and_totals_written_exactly():
    assert (id_of("12"), id_of("0x0C"), id_of("0xff"), id_of(str(ID_MAX))) == (12, 12, 255, ID_MAX)
    for wrong in ("", "0x", "0x0x5", "0X0x5", "-1", "1.0", "٣", "0xg", str(ID_MAX + 1), "1" * 60):
        with pytest.raises(InputError, match="this is no id of the ledger"):
            id_of(wrong)
    shown = shown_balance(Balance(2**63 - 1, 0, 2**63, 2**127 - 1))
    assert list(shown.values()) == [2**63 - 1, 0, str(2**63), str(2**127 - 1)]


def test_an_operation_that_is_not_known_is_named(tmp_path):
    engine = Engine.open(tmp_path / "data")
    with pytest.raises(NotFound, match="the ledger has no such operation"):
        read_of(engine.ledger, "burn", {"id": "1"})
    assert set(ledger_core.SCOPES) == {"transfers", "accounts", "amend"}
    engine.close()
