"""Processes over HTTP, the real engine behind a real core: lists, one instance, its history, what is not there."""

from __future__ import annotations

import json
from urllib.parse import quote

from test_server_ledger import T0, play

from quanheng.events.intake import Request
from quanheng.listing import AskedChange
from quanheng.loading.find import read_packs


def opened(bank):
    """Two payments that are reviewed, one of which the payer has answered for."""
    engine, packs = bank.engine, read_packs()
    engine.activate([packs["party"], packs["card_fraud"]])
    asked = AskedChange("watched_terminals", "add", ("kiosk",), "ann")
    engine.lists.change(engine.lists.prepare(asked), engine.four_eyes)
    base = {"time_ms": T0, "customer": "anna"}
    paid = {"terminal": "kiosk", "amount_minor": 2500, "currency": "EUR", "channel": "chip"}
    for number in (1, 2):
        data = {**base, **paid, "payment": f"pay-{number}"}
        engine.submit([Request("web", f"r{number}", "card.payment", json.dumps(data).encode())])
    data = {**base, "payment": "pay-1", "answer": "mine"}
    engine.submit([Request("app", "a1", "card.payer_answer", json.dumps(data).encode())])


def test_processes_and_their_instances_are_read(tmp_path):
    async def story(bank):
        opened(bank)
        status, told = await bank.call("GET", "/v1/processes", who="clerk")
        assert (status, told["as_of"]) == (200, bank.engine.log.head)
        counts = {one["process"]: one["instances"] for one in told["processes"]}
        assert counts == {"card_fraud.review": 2, "card_fraud.dispute": 0}
        status, told = await bank.call("GET", "/v1/processes/review", who="clerk", query="limit=1")
        (first,) = told["instances"]
        assert (status, first["states"], told["next_after"]) == (200, {"state": "captured"}, first["mark"])
        query = f"live=true&after={quote(first['mark'])}"
        _, told = await bank.call("GET", "/v1/processes/card_fraud.review", who="clerk", query=query)
        (second,) = told["instances"]
        assert second["next_timer"] == {"timer": "no_answer", "due_ms": T0 + 900_000}
        _, told = await bank.call("GET", "/v1/processes/review", who="clerk", query="state=voided")
        assert told["instances"] == []

    play(tmp_path, story)


def test_an_instance_is_read_by_its_id_or_its_key_with_its_history(tmp_path):
    async def story(bank):
        opened(bank)
        status, told = await bank.call("GET", "/v1/processes/review/pay-2", who="clerk")
        assert (status, told["states"], told["numbers"]) == (200, {"state": "asked"}, {"amount_minor": 2500})
        _, again = await bank.call("GET", f"/v1/processes/review/{told['key']}", who="clerk")
        assert again["key"] == told["key"]
        status, past = await bank.call("GET", f"/v1/processes/review/{told['key']}/history", who="clerk")
        (begun,) = past["steps"]
        assert (status, begun["to"], begun["event"]["instance"]) == (200, "asked", "pay-2")
        assert begun["sent"][0]["body"]["payment"] == "pay-2"

    play(tmp_path, story)


def test_what_is_not_there_and_who_may_not(tmp_path):
    async def story(bank):
        opened(bank)
        status, told = await bank.call("GET", "/v1/processes/review/pay-9", who="clerk")
        assert (status, "no instance of this process has begun under this id" in told["error"]) == (404, True)
        status, _ = await bank.call("GET", "/v1/processes/review/pay-9/history", who="clerk")
        assert status == 404
        status, told = await bank.call("GET", "/v1/processes/refund", who="clerk")
        assert (status, "no active pack declares this process" in told["error"]) == (404, True)
        status, told = await bank.call("GET", "/v1/processes/review", who="clerk", query="limit=0")
        assert (status, "1 to 1000" in told["error"]) == (400, True)
        assert (await bank.call("GET", "/v1/processes", who="feed"))[0] == 403
        bank.tokens["anna"] = bank.engine.issue_token("anna", ["read"], owners=[41])
        assert (await bank.call("GET", "/v1/processes/review/pay-1", who="anna"))[0] == 403

    play(tmp_path, story)
