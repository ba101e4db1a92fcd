"""Transfers over HTTP become events by themselves: a real engine behind a real core, told beside whatever is posted."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import test_server_http
from test_server_http import edge

sys.path.insert(0, str(Path(__file__).parents[1] / "path"))
from shop import HandClock, packs
from watch import ANNA, BANK, BERT, bank, pay, told, watch

from quanheng.events.intake import Request
from quanheng.kernel.errors import LogCorrupt
from quanheng.telling import BESIDE_MAX


class House:
    """An edge, a core, an engine with the watch, and tokens."""

    def __init__(self, served, tokens):
        self.served, self.tokens, self.engine = served, tokens, served.engine

    async def call(self, method, path, body=b"", who="till", query=""):
        headers = (("authorization", f"Bearer {self.tokens[who]}"),)
        answered = await self.served.call(method, path, body, headers, query)
        return answered.status, json.loads(answered.body)

    async def pay(self, first, amounts, credit=ANNA, **more):
        rows = [
            {
                "id": str(first + at),
                "debit": str(BANK),
                "credit": str(credit),
                "amount_minor": amount,
                "code": 5,
                **more,
            }
            for at, amount in enumerate(amounts)
        ]
        status, answered = await self.call("POST", "/v1/transfers", rows)
        assert (status, {one["outcome"] for one in answered["answers"]}) == (200, {"APPLIED"})

    async def all_told(self):
        """Until nothing waits and nothing is in flight."""
        while self.engine.metrics()["ledger_posted_lag"] or self.engine.log.head != self.engine.state.head:
            await asyncio.sleep(0.005)


def play(tmp_path, story, monkeypatch, *active, **overrides):
    """Run a story on a house of its own; what was posted before it is told in it."""
    monkeypatch.setattr(test_server_http, "Request", Request)

    async def run():
        engine = bank(tmp_path, HandClock(), *active)
        scopes = {"till": ["post"], "feed": ["ingest"], "clerk": ["read"], "boss": ["admin"]}
        held = {actor.name for actor in engine.state.actors.values()}
        tokens = {name: engine.issue_token(name, scope) for name, scope in scopes.items() if name not in held}
        async with edge(tmp_path, engine, **{"limits.timeout_ms": 20_000, **overrides}) as served:
            await asyncio.wait_for(story(House(served, tokens)), 60)
        engine.close()
        return engine

    return asyncio.run(run())


def test_a_large_payment_over_http_is_decided_by_itself_and_can_be_read(tmp_path, monkeypatch):
    async def story(house):
        await house.pay(100, [1_000_000, 1_000_001])
        await house.all_told()
        found = told(house.engine)
        assert [one["amount_minor"] for one in found] == [1_000_000, 1_000_001]
        shown = [(await house.call("GET", f"/v1/decisions/{one['at'] + 1}", who="clerk"))[1] for one in found]
        assert [one["outcome"] for one in shown] == ["approve", "review"]
        assert [reason["code"] for reason in shown[1]["reasons"]] == ["large"]
        assert shown[1]["event"]["data"]["transfer"] == f"{101:032x}"
        assert shown[1]["event"]["client"] == "quanheng.ledger"
        assert shown[1]["features"]["watch.received_1d"] == 2_000_001
        metrics = (await house.served.call("GET", "/metrics")).body.decode()
        assert "quanheng_engine_ledger_posted_lag 0" in metrics
        assert "quanheng_engine_ledger_posted_passed_over 0" in metrics
        assert 'quanheng_events_total{status="decided"} 2' in metrics

    play(tmp_path, story, monkeypatch)


def test_an_event_of_the_ledger_is_not_taken_from_a_client(tmp_path, monkeypatch):
    async def story(house):
        await house.pay(100, [5])
        await house.all_told()
        [one] = told(house.engine)
        data = {name: value for name, value in one.items() if name != "at"}
        event = {"id": "x", "type": "ledger.posted", "data": {**data, "offset": 10**9}}
        status, answer = await house.call("POST", "/v1/events", event, who="feed")
        assert status == 422
        assert "the platform alone sends events of this type" in answer["error"]
        await house.pay(200, [6])
        await house.all_told()
        assert [one["amount_minor"] for one in told(house.engine)] == [5, 6]

    play(tmp_path, story, monkeypatch)


def test_what_was_posted_before_a_start_is_told_after_it_in_bounded_groups(tmp_path, monkeypatch):
    engine = bank(tmp_path, HandClock())
    engine.post([pay(10_000 + number, 1 + number) for number in range(2_500)])
    engine.close()
    groups = []

    async def story(house):
        await house.all_told()
        groups.extend(row.count // 2 for row in house.engine.log.read(house.engine.state.told.since) if row.count > 1)

    play(tmp_path, story, monkeypatch)
    assert [size for size in groups[1:] if size] == [1_000, 1_000, 500]
    engine = bank(tmp_path, HandClock())
    assert [one["amount_minor"] for one in told(engine)] == list(range(1, 2_501))
    engine.close()


def test_payments_and_events_go_on_while_much_is_told(tmp_path, monkeypatch):
    async def story(house):
        async def payer(number):
            for step in range(20):
                await house.pay(10_000 * (number + 1) + 100 * step, range(1, 31), (ANNA, BERT)[number % 2])

        async def shopper():
            for step in range(20):
                data = {"time_ms": 1_768_471_200_000, "customer": "anna", "amount_minor": 5, "currency": "EUR"}
                event = {"id": f"e{step}", "type": "shop.request", "data": data}
                status, _ = await house.call("POST", "/v1/events", event, who="feed")
                assert status == 200

        await asyncio.gather(*(payer(number) for number in range(4)), shopper())
        await house.all_told()

    engine = play(tmp_path, story, monkeypatch, *packs(), watch())
    again = bank(tmp_path, HandClock())
    found = told(again)
    assert len(found) == 2_400
    assert [one["offset"] for one in found] == sorted({one["offset"] for one in found})
    assert len({one["transfer"] for one in found}) == 2_400
    beside = [row.count for row in again.log.read()]
    assert max(beside) <= 2 * BESIDE_MAX + 4_000
    assert again.state.digest() == engine.state.digest()
    again.close()


def test_an_activation_over_http_begins_telling_while_posting_goes_on(tmp_path, monkeypatch):
    async def story(house):
        stop = asyncio.Event()
        paid = []

        async def payer():
            while not stop.is_set():
                first = 1_000 + 10 * len(paid)
                await house.pay(first, range(1, 11))
                paid.append(house.engine.log.head)

        paying = asyncio.create_task(payer())
        while len(paid) < 5:
            await asyncio.sleep(0.001)
        assert not house.engine.teller.waits
        files = {name: text.decode() for name, text in watch().files.items()}
        status, answer = await house.call(
            "POST", "/v1/policies/watch/activate", {"id": "go", "files": files}, who="boss"
        )
        assert status == 200, answer
        goal = len(paid) + 5
        while len(paid) < goal:
            await asyncio.sleep(0.001)
        stop.set()
        await paying
        await house.all_told()
        since = house.engine.state.told.since
        found = told(house.engine)
        assert min(one["offset"] for one in found) > since
        assert len(found) == house.engine.state.ledger.facts_n - (found[0]["row"])
        assert len(found) >= 50

    play(tmp_path, story, monkeypatch, *packs())


def test_a_stop_leaves_the_rest_for_the_next_start(tmp_path, monkeypatch):
    engine = bank(tmp_path, HandClock())
    engine.post([pay(10_000 + number, 1) for number in range(5_000)])
    engine.close()

    async def story(house):
        house.served.core.stop()

    play(tmp_path, story, monkeypatch)
    engine = bank(tmp_path, HandClock())
    assert engine.metrics()["ledger_posted_lag"] + len(told(engine)) == 5_000
    engine.tell_posted()
    assert len(told(engine)) == 5_000
    engine.close()


def test_a_hold_that_ends_by_itself_wakes_nobody(tmp_path, monkeypatch):
    async def story(house):
        await house.pay(100, [70], flags=["HOLD"], timeout_ms=1_000)
        await house.all_told()
        house.engine.writer.clock.now_ms += 2_000
        while house.engine.ledger.book.transfer_of(100).hold != "expired":
            await asyncio.sleep(0.01)
        await house.all_told()
        assert [one["kind"] for one in told(house.engine)] == ["hold"]

    play(tmp_path, story, monkeypatch)


def test_a_log_that_cannot_be_read_stops_the_process(tmp_path, monkeypatch):
    """As any fault of the writer does: what follows in the log is then unknown."""

    def broken():
        raise LogCorrupt("a batch is not what was written", where="log offset 5")

    async def story(house):
        monkeypatch.setattr(house.engine.teller, "_read", broken)
        row = {"id": "9", "debit": "1", "credit": "2", "amount_minor": 1, "code": 5}
        assert (await house.call("POST", "/v1/transfers", [row]))[0] == 200  # It is durable.
        while house.served.core.failure is None:
            await asyncio.sleep(0.005)
        assert isinstance(house.served.core.failure, LogCorrupt)
        assert (await house.call("POST", "/v1/transfers", [{**row, "id": "10"}]))[0] == 503

    play(tmp_path, story, monkeypatch)
    engine = bank(tmp_path, HandClock())
    assert engine.tell_posted() == 1
    engine.close()
