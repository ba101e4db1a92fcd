"""Tokens that are limited to owners or legal entities, over HTTP; and balances of moments that are not over."""

from __future__ import annotations

import pytest
from test_server_ledger import PAID, T0, play

from quanheng.engine import Engine
from quanheng.kernel.errors import ConfigurationError, NotAuthenticated, NotPermitted
from quanheng.server import admin

ACCOUNTS = [
    {"id": "1", "asset": 978, "code": 1, "owner": "41", "entity": 1},
    {"id": "2", "asset": 978, "code": 1, "owner": "42", "entity": 1},
    {"id": "3", "asset": 978, "code": 1, "owner": "42", "entity": 2},
]


async def opened(bank):
    await bank.call("POST", "/v1/accounts", ACCOUNTS, who="boss")
    await bank.call("POST", "/v1/transfers", [PAID, {**PAID, "id": "101", "debit": "2", "credit": "3"}])
    bank.tokens["anna"] = bank.engine.issue_token("anna", ["read", "post"], owners=[41])
    bank.tokens["books"] = bank.engine.issue_token("books", ["read"], entities=[2])
    bank.now[0] += 10


@pytest.mark.parametrize(
    ("who", "path", "status"),
    [
        ("anna", "/v1/accounts/1", 200), ("anna", "/v1/accounts/2", 403), ("anna", "/v1/accounts/99", 403),
        ("anna", "/v1/accounts/1/balance", 200), ("anna", "/v1/accounts/2/balance", 403),
        ("anna", "/v1/accounts/1/statement", 200), ("anna", "/v1/accounts/3/statement", 403),
        ("anna", "/v1/transfers/100", 200), ("anna", "/v1/transfers/101", 403), ("anna", "/v1/transfers/99", 403),
        ("books", "/v1/accounts/3", 200), ("books", "/v1/accounts/2", 403), ("books", "/v1/transfers/101", 200),
        ("anna", "/v1/rejects", 403), ("anna", "/v1/decisions/1", 403),
    ],
)  # fmt: skip
def test_what_a_limited_token_reads(tmp_path, who, path, status):
    async def story(bank):
        await opened(bank)
        answered, told = await bank.call("GET", path, who=who)
        assert answered == status, told
        if status == 403 and "/v1/accounts" in path:
            assert "the token is limited to other owners or legal entities" in told["error"]

    play(tmp_path, story)


def test_what_a_limited_token_posts(tmp_path):
    async def story(bank):
        await opened(bank)
        before = bank.engine.log.head
        foreign = [{**PAID, "id": "200"}, {**PAID, "id": "201", "debit": "2", "credit": "1"}]
        status, told = await bank.call("POST", "/v1/transfers", foreign, who="anna")
        assert (status, told["where"]) == (403, "transfer 1 of the batch")
        assert bank.engine.log.head == before, "nothing of the batch is done"
        status, told = await bank.call("POST", "/v1/transfers", [{**PAID, "id": "200"}], who="anna")
        assert status == 200
        [answer] = told["answers"]
        assert (answer["outcome"], answer["debit"]["debits_posted_minor"], answer["credit"]) == ("APPLIED", 1_000, None)
        assert (await bank.call("POST", "/v1/transfers", [PAID], who="books"))[0] == 403
        status, told = await bank.call("POST", "/v1/accounts", ACCOUNTS, who="anna")
        assert (status, "the client may not do this" in told["error"]) == (403, True)

    play(tmp_path, story)


def test_a_limit_is_recorded_shown_and_kept_over_a_restart(tmp_path):
    engine = Engine.open(tmp_path / "data")
    asked = {"name": "anna", "scopes": ["read"], "owners": ["0x29"], "entities": [2]}
    admin.perform(engine, "issue_token", asked)
    admin.perform(engine, "issue_token", {"name": "till", "scopes": ["read"]})
    engine.close()
    engine = Engine.open(tmp_path / "data")
    anna, till = admin.perform(engine, "tokens", {})["tokens"]
    assert (anna["owners"], anna["entities"]) == (["41"], [2])
    assert till.keys() == {"name", "scopes", "digest"}
    digest = bytes.fromhex(anna["digest"])
    assert engine.reach(digest, "read") == (frozenset({41}), frozenset({2}))
    assert engine.reach(bytes.fromhex(till["digest"]), "read").is_whole
    wanted = "anna: the client is limited to accounts of the ledger, and may do nothing else; was owners: 41; "
    with pytest.raises(NotPermitted, match=wanted):
        engine.authorise(digest, "read")
    with pytest.raises(NotPermitted, match="anna: the client may not do this; was read; allowed: post"):
        engine.reach(digest, "post")
    with pytest.raises(NotAuthenticated, match="the request carries no valid token"):
        engine.reach(b"nobody", "read")
    engine.close()


@pytest.mark.parametrize(
    ("scopes", "limits", "message"),
    [
        (
            ["read", "admin"],
            {"owners": [1]},
            "a token that is limited to owners or entities can do nothing beyond",
        ),
        (
            ["ingest"],
            {"entities": [1]},
            "was ingest; allowed: read, post. Issue another token for",
        ),
        (["read"], {"owners": [0]}, "owners: a token cannot be limited to this number; was 0; allowed: 1 to "),
        (["read"], {"owners": [2**128]}, "owners: a token cannot be limited to this number"),
        (
            ["read"],
            {"entities": [2**32]},
            f"entities: a token cannot be limited to this number; was {2**32};",
        ),
    ],
)
def test_limits_that_cannot_be(tmp_path, scopes, limits, message):
    engine = Engine.open(tmp_path / "data")
    with pytest.raises(ConfigurationError) as refused:
        engine.issue_token("anna", scopes, **limits)
    assert message in str(refused.value)
    engine.close()


def test_a_balance_at_a_moment_that_is_not_over_is_refused(tmp_path):
    """An answer of a moment never changes: one of a moment to come would, and one of this millisecond could."""

    async def story(bank):
        await opened(bank)
        for at in (T0 + 10, T0 + 11, 2**63 - 1):
            status, told = await bank.call("GET", "/v1/accounts/2/balance", who="clerk", query=f"at={at}")
            assert (status, told["where"], told["found"]) == (422, "at", str(at))
            assert told["allowed"] == f"before {T0 + 10}, the ledger's time (epoch ms)"
            assert "the moment is not over, so what an account will have then is not known" in told["error"]
        for at in (T0, T0 + 9):
            status, told = await bank.call("GET", "/v1/accounts/2/balance", who="clerk", query=f"at={at}")
            assert (status, told["balance"]["credits_posted_minor"]) == (200, 500)
        bank.now[0] -= 5_000  # A clock that is set back: what was booked is over no later than that.
        status, _ = await bank.call("GET", "/v1/accounts/2/balance", who="clerk", query=f"at={T0}")
        assert status == 422

    play(tmp_path, story)


def test_a_key_that_is_said_twice_in_a_transfer_is_refused(tmp_path):
    async def story(bank):
        await opened(bank)
        before = bank.engine.log.head
        body = b'[{"id":"7","debit":"1","credit":"2","amount_minor":1,"code":1,"amount_minor":9}]'
        status, told = await bank.call("POST", "/v1/transfers", body)
        assert (status, told["where"]) == (422, "/v1/transfers, [0].amount_minor")
        assert "a key is said twice in one object" in told["error"]
        assert bank.engine.log.head == before

    play(tmp_path, story)
