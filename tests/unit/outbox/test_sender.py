"""The sender with a real engine and real partners: answers, tries, circuits, fall-backs, restarts, erasure."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from partner import CALLS, T0, HandClock, ask, calling, opened, partner, place, sender_of, told

from quanheng.kernel.errors import QueueFull
from quanheng.loading.declared_calls import CallDeclaration
from quanheng.outbox.sender import Place, pause_of
from quanheng.server.config import Config
from quanheng.server.outgoing import outgoing
from quanheng.server.wire import Answer

CUSTOMER = ("party.customer", "anna")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def engine(tmp_path, clock) -> Iterator:
    one = opened(tmp_path, clock, "call:ask_bureau")
    yield one
    one.close()


def run(sender, clock=None, *, times: int = 1) -> None:
    """Send what is due, then go on to the next try, so many times."""

    async def all_of_it() -> None:
        for turn in range(times):
            if turn and sender.next_due_ms is not None:
                clock.now_ms = max(clock.now_ms, sender.next_due_ms)
            await sender.send_due()
        await sender.close()

    asyncio.run(all_of_it())


def test_an_answer_becomes_one_event(engine, clock):
    engine.submit([ask("a", 20_000), ask("b", 50_050, customer="anna")])
    with partner(lambda got: (200, b'{"score": 7, "rate": 1.50, "more": [1]}')) as bureau:
        run(sender_of(engine, {"bureau": place(url=bureau.url)}, clock))
    assert [json.loads(one.body) for one in bureau.got] == [
        {"amount": 200, "customer": "anna", "outcome": "approve"},
        {"amount": 500.5, "customer": "anna", "outcome": "approve"},
    ]
    events = told(engine)
    assert {one.pop("message") for one in events} == {f"#{one.headers['quanheng-id']}" for one in bureau.got}
    event = {"time_ms": T0, "customer": "anna", "result": "answered", "tries": 1, "score": 7, "rate": 1.5}
    assert events == [event, event]
    assert b'"rate":1.50' in engine.reader.event(engine.log.head - 1).body.data
    assert len(engine.state.outbox) == engine.state.outbox.dead_n == 0
    assert bureau.got[0].headers["idempotency-key"] == bureau.got[0].headers["quanheng-id"]
    assert bureau.got[0].headers["content-type"] == "application/json"
    assert "quanheng-signature" not in bureau.got[0].headers


def test_bytes_of_a_body_are_canonical_and_exact(engine, clock):
    engine.submit([ask("a", 12_345)])
    with partner(lambda got: (200, b'{"score": 7}')) as bureau:
        run(sender_of(engine, {"bureau": place(url=bureau.url)}, clock))
    assert bureau.got[0].body == b'{"amount":123.45,"customer":"anna","outcome":"approve"}'


FAILURES = [
    # answer, reason, detail begins with
    ((500, b"x"), "failing", "the other side cannot take it now; was status 500"),
    ((429, b""), "failing", "the other side cannot take it now; was status 429"),
    ((200, b"not json"), "wrong_answer", "the answer is no JSON object"),
    ((200, b"[1]"), "wrong_answer", "the answer is no JSON object"),
    ((200, b"{}"), "wrong_answer", "the answer does not fit the declared fields; was ask_bureau.score: a required"),
    ((200, b'{"score": "7"}'), "wrong_answer", "the answer does not fit the declared fields; was ask_bureau.score: t"),
    ((200, b'{"score": 1000}'), "wrong_answer", "the answer does not fit the declared fields; was ask_bureau.score: "),
    ((200, b'{"score": null}'), "wrong_answer", "the answer does not fit the declared fields; was ask_bureau.score: a"),
    ((200, b'{"score": 1, "rate": 0.123}'), "wrong_answer", "the answer does not fit the declared fields; was "),
    ((200, b'{"score":7,"x":"' + b"x" * 70_000 + b'"}'), "wrong_answer", "the answer is too long; was more than 65536"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "reason", "detail"), FAILURES, ids=[str(n) for n in range(len(FAILURES))])
def test_a_try_that_fails_is_made_again_and_then_the_fallback_stands(engine, clock, answer, reason, detail):
    engine.submit([ask("a")])
    with partner(lambda got: answer) as bureau:
        sender = sender_of(engine, {"bureau": place(url=bureau.url)}, clock)
        run(sender, clock, times=3)
    assert len(bureau.got) == 3
    assert len({one.headers["quanheng-id"] for one in bureau.got}) == 1
    [one] = told(engine)
    assert (one["result"], one["tries"], one["reason"], one["score"]) == ("fallback", 3, reason, 0)
    assert one["detail"].startswith(detail), one["detail"]
    [letter] = engine.state.outbox.letters()
    assert (letter.ended_ms, letter.request_id) == (one["time_ms"], bureau.got[0].headers["quanheng-id"])
    assert sender.tries == {("shop.ask_bureau", reason): 3}


def test_a_refusal_is_final(engine, clock):
    engine.submit([ask("a")])
    with partner(lambda got: (403, b"")) as bureau:
        run(sender_of(engine, {"bureau": place(url=bureau.url)}, clock))
    [one] = told(engine)
    assert (len(bureau.got), one["result"], one["reason"], one["tries"]) == (1, "fallback", "refused", 1)


def test_redirects_are_not_followed(engine, clock):
    engine.submit([ask("a")])
    with partner() as elsewhere, partner(lambda got: (307, b"", {"location": elsewhere.url})) as bureau:
        run(sender_of(engine, {"bureau": place(url=bureau.url)}, clock))
    assert (len(bureau.got), len(elsewhere.got)) == (1, 0)
    assert told(engine)[0]["detail"] == "the other side does not take it; was status 307"


def test_a_partner_that_never_answers_times_out_and_one_that_answers_late_is_not_heard(tmp_path, clock):
    engine = opened(tmp_path, clock, "call:ask_bureau", calls=CALLS.replace('timeout  = "10s"', 'timeout = "200ms"'))
    engine.submit([ask("a")])
    with partner() as bureau:
        bureau.answer = lambda got: (bureau.released.wait(5), (200, b'{"score": 7}'))[1]
        run(sender_of(engine, {"bureau": place(url=bureau.url)}, clock), clock, times=3)
    [one] = told(engine)
    assert (one["result"], one["reason"], one["tries"]) == ("fallback", "timed_out", 3)
    assert one["detail"].startswith("no answer came in time")
    engine.close()


def test_nobody_there(engine, clock):
    engine.submit([ask("a")])
    with partner() as gone:
        url = gone.url
    run(sender_of(engine, {"bureau": place(url=url)}, clock), clock, times=3)
    [one] = told(engine)
    assert (one["reason"], one["detail"]) == ("unreachable", "no connection; was ConnectError")


def test_pauses_double_up_to_the_longest_and_differ_between_messages():
    call = CallDeclaration(name="x", kind="call", channel="http", address="x", backoff_ms=1000, backoff_max_ms=5000)
    pauses = [[pause_of(call, bytes([id]) * 16, tries) for tries in range(1, 60)] for id in range(50)]
    for one in pauses:
        assert 500 <= one[0] <= 1000
        assert 1000 <= one[1] <= 2000
        assert all(2500 <= pause <= 5000 for pause in one[3:])
    assert len({one[0] for one in pauses}) > 30
    assert pauses[3] == [pause_of(call, bytes([3]) * 16, tries) for tries in range(1, 60)]


def test_the_other_side_may_ask_for_a_longer_pause_up_to_the_longest(engine, clock):
    engine.submit([ask("a")])
    with partner(lambda got: (503, b"", {"retry-after": "8"})) as bureau:
        sender = sender_of(engine, {"bureau": place(url=bureau.url)}, clock)
        run(sender)
        assert sender.next_due_ms == T0 + 8_000
    with partner(lambda got: (503, b"", {"retry-after": "3600"})) as bureau:
        sender = sender_of(engine, {"bureau": place(url=bureau.url)}, clock)
        run(sender)
        assert sender.next_due_ms == T0 + 10_000


def test_a_second_try_may_be_answered(engine, clock):
    engine.submit([ask("a")])
    answers = [(500, b""), (200, b'{"score": 9}')]
    with partner(lambda got: answers.pop(0)) as bureau:
        sender = sender_of(engine, {"bureau": place(url=bureau.url)}, clock)
        run(sender, clock, times=2)
    [one] = told(engine)
    assert (one["result"], one["tries"], one["score"], "reason" in one) == ("answered", 2, 9, False)
    assert 500 <= one["time_ms"] - T0 <= 1000
    assert len(bureau.got) == 2


def test_a_circuit_opens_stays_open_and_closes_again(engine, clock):
    engine.submit([ask(f"a{n}") for n in range(4)])
    answer = [(500, b"")]
    with partner(lambda got: answer[0]) as bureau:
        sender = sender_of(engine, {"bureau": place(url=bureau.url, concurrency=1)}, clock)

        async def course() -> None:
            await sender.send_due()  # Four failures in a row.
            assert len(bureau.got) == 4
            engine.submit([ask("b")])
            await sender.send_due()
            assert len(bureau.got) == 4  # The circuit is open: the fall-back stands at once.
            assert told(engine)[-1]["reason"] == "circuit_open"
            clock.now_ms += 59_000
            await sender.send_due()
            assert len(bureau.got) == 4
            clock.now_ms += 2_000
            engine.submit([ask("c"), ask("d")])
            await sender.send_due()  # One is tried, and fails: open for a minute more.
            assert len(bureau.got) == 5
            clock.now_ms += 61_000
            answer[0] = (200, b'{"score": 5}')
            engine.submit([ask("e"), ask("f")])
            await sender.send_due()
            assert [one["result"] for one in told(engine)[-2:]] == ["answered", "answered"]
            await sender.close()

        asyncio.run(course())
    results = [(one["result"], one.get("reason")) for one in told(engine)]
    assert results.count(("answered", None)) == 3  # Also the one that was tried while the circuit was open.
    assert set(results) == {("answered", None), ("fallback", "circuit_open")}
    assert sender.breakers["bureau"].failures == 0


def test_a_notice_waits_until_an_open_circuit_may_be_tried(tmp_path, clock):
    calls = CALLS.replace('address = "payer"', 'address = "payer"\nbreaker = {failures = 1, open = "1m"}')
    engine = opened(tmp_path, clock, "notify:tell_payer", calls=calls)
    engine.submit([ask("a"), ask("b")])
    answer = [(500, b"")]
    with partner(lambda got: answer[0]) as payer:
        address = place("webhook", url=payer.url, secret_env="HOOK_SECRET", concurrency=1)
        sender = sender_of(engine, {"payer": address}, clock)

        async def course() -> None:
            await sender.send_due()
            assert (len(payer.got), told(engine)) == (1, [])
            answer[0] = (204, b"")
            clock.now_ms += 60_000
            await sender.send_due()
            await sender.close()

        asyncio.run(course())
    assert sorted((one["result"], one["tries"]) for one in told(engine)) == [("sent", 1), ("sent", 2)]
    engine.close()


def test_an_answer_is_given_again_to_the_same_body_while_it_is_young(tmp_path, clock):
    calls = CALLS.replace(', customer = "customer", outcome = "outcome"}', '}\ncache = "1h"')
    engine = opened(tmp_path, clock, "call:ask_bureau", calls=calls)
    with partner(lambda got: (200, b'{"score": 7, "rate": 2.50}')) as bureau:
        sender = sender_of(engine, {"bureau": place(url=bureau.url)}, clock)

        async def course() -> None:
            for wait_ms, id, amount in (
                (0, "a", 100),
                (1, "b", 100),
                (1, "c", 200),
                (3_599_997, "d", 100),
                (1, "e", 100),
            ):
                clock.now_ms += wait_ms
                engine.submit([ask(id, amount)])
                await sender.send_due()
            sender.cache.clear()
            engine.submit([ask("f", 100)])
            await sender.send_due()
            await sender.close()

        asyncio.run(course())
    found = [(one["result"], one["tries"], one["score"], one["rate"]) for one in told(engine)]
    asked, kept = ("answered", 1, 7, 2.5), ("cached", 0, 7, 2.5)
    assert found == [asked, kept, asked, kept, asked, asked]
    assert len(bureau.got) == 4
    engine.close()


def test_too_old(tmp_path, clock):
    engine = opened(
        tmp_path, clock, "call:ask_bureau", calls=CALLS.replace("tries    = 3", 'tries = 9\ngive_up = "10s"')
    )
    engine.submit([ask("a")])
    with partner(lambda got: (500, b"")) as bureau:
        run(sender_of(engine, {"bureau": place(url=bureau.url)}, clock), clock, times=9)
    [one] = told(engine)
    assert (one["reason"], one["time_ms"], one["tries"]) == ("too_old", T0 + 10_000, len(bureau.got))
    engine.close()


@pytest.mark.parametrize("places", [{}, {"bureau": ("webhook", {"secret_env": "HOOK_SECRET"})}])
def test_an_address_that_is_not_configured_for_the_channel(engine, clock, places):
    engine.submit([ask("a")])
    made = {name: place(channel, url="http://127.0.0.1:9/", **more) for name, (channel, more) in places.items()}
    run(sender_of(engine, made, clock))
    [one] = told(engine)
    assert (one["result"], one["reason"], one["tries"]) == ("fallback", "unknown_address", 0)


def test_a_subject_that_was_erased_is_not_sent(engine, clock):
    engine.submit([ask("a")])
    engine.erase(*CUSTOMER)
    with partner(lambda got: (200, b'{"score": 7}')) as bureau:
        run(sender_of(engine, {"bureau": place(url=bureau.url)}, clock))
    assert bureau.got == []
    [one] = told(engine)
    assert (one["result"], one["reason"], "score" in one) == ("failed", "erased", False)
    assert one["customer"] == f"#{engine.ring.pseudonym(*CUSTOMER).hex()}"


def test_a_client_cannot_pass_its_key_off_as_a_pseudonym(engine, clock):
    other = f"#{engine.ring.pseudonym(*CUSTOMER).hex()}"
    engine.submit([ask("a", customer=other)])
    with partner(lambda got: (200, b'{"score": 7}')) as bureau:
        run(sender_of(engine, {"bureau": place(url=bureau.url)}, clock))
    [one] = told(engine)
    assert one["customer"] == f"#{engine.ring.pseudonym('party.customer', other).hex()}"
    assert one["customer"] != other


def test_who_was_not_told_yet_is_sent_again_by_the_next_process(tmp_path, clock):
    """Between sending and the commit of the answer: the partner sees it twice, with one id, and there is one event."""
    engine = opened(tmp_path, clock, "call:ask_bureau")
    engine.submit([ask("a")])
    with partner(lambda got: (200, b'{"score": 7}')) as bureau:
        sender = sender_of(engine, {"bureau": place(url=bureau.url)}, clock)

        async def lost(request) -> str:
            raise QueueFull("the queue in front of the writer is full; nothing was written")

        sender._tell = lost
        run(sender)
        assert sender.next_due_ms == T0 + 1_000
        assert (len(bureau.got), told(engine)) == (1, [])
        engine.close()
        engine = opened(tmp_path, clock)
        run(sender_of(engine, {"bureau": place(url=bureau.url)}, clock))
        run(sender_of(engine, {"bureau": place(url=bureau.url)}, clock))
    assert len(bureau.got) == 2
    assert len({one.headers["quanheng-id"] for one in bureau.got}) == 1
    assert len(told(engine)) == 1
    engine.close()


def test_what_became_of_a_message_is_told_again_where_the_queue_was_full(engine, clock):
    engine.submit([ask("a")])
    with partner(lambda got: (200, b'{"score": 7}')) as bureau:
        sender = sender_of(engine, {"bureau": place(url=bureau.url)}, clock)
        tell, refusals = sender._tell, [QueueFull("the queue in front of the writer is full; nothing was written")]

        async def full_once(request) -> str:
            if refusals:
                raise refusals.pop()
            return await tell(request)

        sender._tell = full_once
        run(sender, clock, times=2)
    assert (len(bureau.got), len(told(engine))) == (1, 1)


def test_only_what_is_durable_is_sent(engine, clock):
    pending = engine.prepare([ask("a")])
    with partner(lambda got: (200, b'{"score": 7}')) as bureau:
        run(sender_of(engine, {"bureau": place(url=bureau.url)}, clock))
        assert bureau.got == []
        engine.commit(pending)
        run(sender_of(engine, {"bureau": place(url=bureau.url)}, clock))
        assert len(bureau.got) == 1


def test_a_call_that_no_pack_declares_any_more_waits_until_one_does(engine, clock):
    engine.submit([ask("a")])
    without = CALLS.replace("ask_bureau", "ask_other")
    engine.activate(calling("call:ask_other", calls=without))
    with partner(lambda got: (200, b'{"score": 7}')) as bureau:
        places = {"bureau": place(url=bureau.url)}
        sender = sender_of(engine, places, clock)
        run(sender)
        assert list(sender.stuck.values()) == ["no pack in force declares its call"]
        assert (bureau.got, len(engine.state.outbox)) == ([], 1)
        engine.activate(calling("call:ask_bureau"))
        run(sender_of(engine, {"bureau": place(url=bureau.url)}, clock))
        assert (len(bureau.got), len(told(engine))) == (1, 1)


def test_slow_addresses_leave_room_for_others(tmp_path, clock):
    engine = opened(tmp_path, clock, "call:ask_bureau", "notify:tell_payer")
    engine.submit([ask(f"a{n}", customer=f"c{n}") for n in range(6)])
    with partner() as bureau, partner(lambda got: (200, b"")) as payer:
        bureau.answer = lambda got: (bureau.released.wait(0.2), (200, b'{"score": 7}'))[1]
        places = {
            "bureau": place(url=bureau.url, concurrency=2),
            "payer": place("webhook", url=payer.url, secret_env="HOOK_SECRET"),
        }
        sender = sender_of(engine, places, clock, concurrency=4)

        async def course() -> None:
            sender._start()
            for _ in range(15):
                await asyncio.sleep(0.01)
                sender._start()
            assert (len(payer.got), len(bureau.got)) == (6, 2)
            await sender.send_due()
            await sender.close()

        asyncio.run(course())
    assert len(told(engine)) == 12
    engine.close()


def test_run_sends_until_it_is_stopped(engine, clock):
    with partner(lambda got: (200, b'{"score": 7}')) as bureau:
        sender = sender_of(engine, {"bureau": place(url=bureau.url)}, clock)

        async def course() -> None:
            running = asyncio.create_task(sender.run())
            await asyncio.sleep(0.01)
            engine.submit([ask("a")])
            sender.wake()
            while not told(engine):
                await asyncio.sleep(0.01)
            sender.stop()
            await asyncio.wait_for(running, 5)
            await sender.close()

        asyncio.run(course())
    assert sender.metrics() == {
        "outbox_tries": {"taken": 1}, "outbox_under_way": 0, "outbox_stuck": 0,
        "outbox_failures_in_a_row": {"bureau": 0},
    }  # fmt: skip


def test_a_partner_cannot_name_somebody_by_a_pseudonym(tmp_path, clock):
    calls = CALLS.replace("answer.score", 'answer.payee = {type = "key", entity = "party.customer"}\nanswer.score')
    engine = opened(tmp_path, clock, "call:ask_bureau", calls=calls.replace("{score = 0}", '{score = 0, payee = "x"}'))
    engine.submit([ask("a")])
    payee = engine.ring.pseudonym(*CUSTOMER).hex()
    with partner(lambda got: (200, b'{"score": 7, "payee": "#%s"}' % payee.encode())) as bureau:
        run(sender_of(engine, {"bureau": place(url=bureau.url)}, clock), clock, times=3)
    [one] = told(engine)
    assert (one["result"], one["reason"], one["payee"]) == ("fallback", "wrong_answer", "x")
    assert one["detail"] == "a key of the answer begins with #; was payee"
    engine.close()


def test_a_fault_of_a_port_is_that_of_a_try(engine, clock):
    class Broken:
        async def send(self, parcel):
            raise ZeroDivisionError

        async def close(self):
            pass

    engine.submit([ask("a")])
    run(sender_of(engine, {"bureau": Place(Broken(), "http")}, clock), clock, times=3)
    [one] = told(engine)
    assert (one["reason"], one["tries"]) == ("unreachable", 3)
    assert one["detail"] == "the port failed; was ZeroDivisionError"


def test_a_fault_with_one_message_harms_no_other(engine, clock):
    engine.submit([ask("a"), ask("b", customer="bert")])
    with partner(lambda got: (200, b'{"score": 7}')) as bureau:
        sender = sender_of(engine, {"bureau": place(url=bureau.url)}, clock)
        letter, faults = sender._source.letter, [ZeroDivisionError()]

        def faulty(message):
            if faults:
                raise faults.pop()
            return letter(message)

        sender._source.letter = faulty
        run(sender)
    assert (len(told(engine)), list(sender.stuck.values())) == (1, ["ZeroDivisionError"])


@pytest.mark.parametrize("status", ["rejected: no active pack declares this event type", "conflict: it differs"])
def test_an_event_that_is_refused_is_not_told_for_ever(engine, clock, status):
    engine.submit([ask("a")])
    with partner(lambda got: (200, b'{"score": 7}')) as bureau:
        sender = sender_of(engine, {"bureau": place(url=bureau.url)}, clock)

        async def refused(request) -> str:
            return status

        sender._tell = refused
        run(sender, clock, times=2)
    assert sender.next_due_ms is None
    assert bool(sender.stuck) is status.startswith("rejected")


def test_answers_go_through_the_queue_of_the_core(engine, clock):
    answers = [
        Answer(503, b'{"error": "stopping"}'), Answer(200, b'{"id": "x", "status": "recorded"}'),
        Answer(422, b'{"id": "x", "status": "rejected", "error": "no such type"}'),
    ]  # fmt: skip

    class Core:
        def take(self, link, number, request):
            link.answer(number, answers.pop(0))
            link.answer(number, Answer(200, b""))  # Nobody waits for a second one.
            link.flush()

    sender = outgoing(Config(), {}, engine, Core())

    async def course() -> list[str]:
        with pytest.raises(QueueFull, match="the core does not take what became of messages; was status 503"):
            await sender._tell(None)
        return [await sender._tell(None), await sender._tell(None)]

    assert asyncio.run(course()) == ["recorded", "rejected: no such type"]
    assert engine.outbox.held == sender.held
