
"""The core: groups, bounds, answers after the commit only, fail-stop, orderly stop."""

from __future__ import annotations

import asyncio
import json
import threading

import msgspec
import pytest
from server_twin import READER, TOKEN, Request, Twin

from quanheng.kernel.errors import HeadMoved, InputError
from quanheng.server import wire
from quanheng.server.answers import refusal
from quanheng.server.config import Limits
from quanheng.server.core import Core
from quanheng.server.intake import token_digest
from quanheng.server.logs import Log

DIGEST = token_digest(TOKEN.encode())


class FakeLink:
    """Keeps the answers that the core gives."""

    def __init__(self):
        self.answers, self.counters, self.flushed = {}, {}, 0

    def answer(self, number, answer):
        self.answers[number] = answer

    def flush(self):
        self.flushed += 1

    def close(self):
        pass


class Gate(Twin):
    """A twin whose commits wait until they are let through."""

    def __init__(self):
        super().__init__()
        self.gate = threading.Semaphore(0)

    def commit(self, pending):
        self.gate.acquire()
        return super().commit(pending)


def make(engine, lines=None, **limits):
    class Lines:
        def write(self, text):
            lines.append(text)

        def flush(self):
            pass

    stream = Lines() if lines is not None else None
    return Core(
        engine, Request, Limits(**limits), lambda: 0, Log("error" if lines is None else "debug", "core", stream)
    )


def send(core, link, number, *ids, kind="payment", dry_run=False, single=None, data=b"{}", token=DIGEST, deadline_ms=0):
    events = [(id, kind, data) for id in ids]
    single = len(ids) == 1 if single is None else single
    body = msgspec.msgpack.encode(wire.Events(token, single, dry_run, deadline_ms, events))
    core.receive(link, wire.Kind.EVENTS, number, body)


def ask(core, kind, offset=0, token=DIGEST, limit=100):
    link = FakeLink()
    core.receive(link, kind, 1, msgspec.msgpack.encode(wire.Query(token, offset, limit)))
    return link.answers[1].status, link.answers[1].body


async def until(condition):
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("did not happen")


def test_requests_collect_while_a_group_commits():
    async def story():
        engine, link = Gate(), FakeLink()
        core = make(engine)
        running = asyncio.create_task(core.run())
        send(core, link, 1, "a")
        await asyncio.sleep(0.02)
        assert link.answers == {}, "nobody is answered before the commit"
        send(core, link, 2, "b")
        await asyncio.sleep(0.02)
        assert len(engine.deadlines) == 2, "as many wait as commit: the next group is prepared ahead"
        for number in range(3, 10):
            send(core, link, number, f"c{number}")
        for _ in range(3):
            engine.gate.release()
        await until(lambda: len(link.answers) == 9)
        core.stop()
        await running
        assert engine.groups == [1, 1, 7], "one commits, one is prepared, the rest is the next group"
        assert core.failure is None

    asyncio.run(story())


def test_a_small_group_is_not_prepared_ahead():
    async def story():
        engine, link = Gate(), FakeLink()
        core = make(engine)
        running = asyncio.create_task(core.run())
        send(core, link, 1, "a", "b", "c")
        await asyncio.sleep(0.02)
        send(core, link, 2, "d")
        send(core, link, 3, "e")
        await asyncio.sleep(0.02)
        assert len(engine.deadlines) == 3, "two wait, three commit: go on collecting"
        engine.gate.release()
        await until(lambda: len(engine.deadlines) == 5)
        engine.gate.release()
        core.stop()
        await running
        assert engine.groups == [3, 2]

    asyncio.run(story())


def test_a_group_keeps_requests_whole_and_within_its_size():
    async def story():
        engine, link = Twin(), FakeLink()
        core = make(engine, group_events_max=10)
        for number in range(4):
            send(core, link, number, *(f"{number}-{index}" for index in range(4)))
        send(core, link, 9, *(f"big-{index}" for index in range(25)))
        core.stop_after = asyncio.create_task(core.run())
        await until(lambda: len(link.answers) == 5)
        core.stop()
        await core.stop_after
        assert engine.groups == [8, 8, 25]
        assert [reply["id"] for reply in json.loads(link.answers[2].body)] == ["2-0", "2-1", "2-2", "2-3"]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("first", "second", "status", "word"),
    [
        (None, ("a", "payment", b"{}"), 200, "decided"),
        (("a", "payment", b"{}"), ("a", "payment", b"{}"), 200, "repeated"),
        (("a", "payment", b"{}"), ("a", "payment", b'{"x":1}'), 409, "conflict"),
        (None, ("a", "unknown", b"{}"), 422, "rejected"),
    ],
)
def test_a_single_event_has_its_status_in_http_and_an_array_in_the_body(first, second, status, word):
    async def story():
        engine, link = Twin(), FakeLink()
        core = make(engine)
        if first:
            engine.prepare([Request("tests", first[0], first[1], first[2])])
        id, kind, data = second
        send(core, link, 1, id, kind=kind, data=data)
        send(core, link, 2, id, kind=kind, data=data, single=False)
        core.stop()
        await core.run()
        assert (link.answers[1].status, json.loads(link.answers[1].body)["status"]) == (status, word)
        assert link.answers[2].status == 200
        assert json.loads(link.answers[2].body)[0]["status"] in (word, "repeated")

    asyncio.run(story())


def test_a_full_queue_is_429_with_a_time_to_wait_and_nothing_is_written():
    async def story():
        engine, link = Twin(), FakeLink()
        core = make(engine, queue_events_max=3, retry_after_s=2)
        send(core, link, 1, "a", "b")
        send(core, link, 2, "c", "d")
        answer = link.answers[2]
        assert (answer.status, answer.retry_after_s) == (429, 2)
        assert json.loads(answer.body)["error"] == (
            "the queue in front of the writer is full; nothing was written; was 2 events waiting and 2 more; "
            "allowed: 3 events (limits.queue_events_max). Send again after 2 s, or send less at once."
        )
        core.stop()
        await core.run()
        assert engine.groups == [2]
        assert "quanheng_queue_full_total 1" in ask(core, wire.Kind.METRICS)[1].decode()

    asyncio.run(story())


def test_a_queue_full_of_bytes_is_429_and_a_single_large_request_passes():
    async def story():
        engine, link = Gate(), FakeLink()
        core = make(engine, queue_bytes_max=10_000)
        send(core, link, 1, "large", data=b'{"x":"%b"}' % (b"y" * 20_000))
        send(core, link, 2, "small")
        answer = link.answers[2]
        assert (answer.status, answer.retry_after_s) == (429, 1)
        text = json.loads(answer.body)["error"]
        assert text.startswith("the queue in front of the writer is full; nothing was written; was 20")
        assert "allowed: 10000 bytes (limits.queue_bytes_max)" in text
        assert "quanheng_queue_bytes 20" in ask(core, wire.Kind.METRICS)[1].decode()
        running = asyncio.create_task(core.run())
        await until(lambda: engine.deadlines)  # The group is taken: there is room again, while it commits.
        send(core, link, 3, "small")
        for _ in range(2):
            engine.gate.release()
        await until(lambda: 3 in link.answers)
        core.stop()
        await running
        assert [link.answers[number].status for number in (1, 3)] == [200, 200]
        text = ask(core, wire.Kind.METRICS)[1].decode()
        assert "quanheng_queue_bytes 0\n" in text
        assert "quanheng_queue_full_total 1\n" in text

    asyncio.run(story())


def test_a_dry_run_is_answered_at_once_and_records_nothing():
    async def story():
        engine, link = Twin(), FakeLink()
        core = make(engine)
        send(core, link, 1, "a", dry_run=True)
        assert json.loads(link.answers[1].body) == {
            "id": "a", "status": "decided", "outcome": "approve", "reasons": ["ok"], "dry_run": True,
        }  # fmt: skip
        assert engine.head == 0

    asyncio.run(story())


def test_the_deadline_reaches_the_engine():
    async def story():
        engine, link = Twin(), FakeLink()
        core = make(engine)
        send(core, link, 1, "a", deadline_ms=1234)
        engine.ahead_ms = -200  # The machine's clock leapt ahead of the writer's stamps: the wait stays as long.
        send(core, link, 2, "b", deadline_ms=1234)
        send(core, link, 3, "c")
        core.stop()
        await core.run()
        assert engine.deadlines == [1234, 1034, 0]

    asyncio.run(story())


def test_rights_are_checked_for_every_kind_of_frame():
    async def story():
        engine, link = Twin(), FakeLink()
        core = make(engine)
        send(core, link, 1, "a", token=token_digest(READER.encode()))
        send(core, link, 2, "a", token=b"x" * 32)
        assert [link.answers[number].status for number in (1, 2)] == [403, 401]
        assert ask(core, wire.Kind.DECISION, token=b"x")[0] == 401
        assert ask(core, wire.Kind.REJECTS, token=b"x")[0] == 401
        assert ask(core, wire.Kind.HEALTH, token=b"")[0] == 200
        assert ask(core, wire.Kind.METRICS, token=b"")[0] == 200
        assert engine.groups == []

    asyncio.run(story())


def test_reads_say_what_is_missing_and_what_was_erased():
    async def story():
        core = make(Twin())
        status, body = ask(core, wire.Kind.DECISION, 5)
        assert (status, json.loads(body)) == (404, {
            "error": "decision 5: there is no such decision. Look at the reply to the event.",
            "where": "decision 5", "cure": "Look at the reply to the event.",
        })  # fmt: skip
        assert ask(core, wire.Kind.DECISION, 99)[0] == 410
        assert ask(core, 77) == (404, b'{"error":"frame kind 77 is unknown to this core"}')
        assert ask(core, wire.Kind.REJECTS)[1] == b'{"count":0,"rejects":[]}'

    asyncio.run(story())


@pytest.mark.parametrize(("error", "status"), [(HeadMoved("moved"), 500), (InputError("wrong"), 422)])
def test_other_errors_have_a_status(error, status):
    assert refusal(error, 1).status == status


def test_a_failed_commit_stops_the_core_and_tells_everybody():
    async def story():
        lines, link = [], FakeLink()
        engine = Twin(fail_at=2)
        core = make(engine, lines, group_events_max=1)
        for number in range(5):
            send(core, link, number, f"e{number}")
        await core.run()
        statuses = [link.answers[number].status for number in range(5)]
        assert statuses == [200, 503, 503, 503, 503]
        assert "whether these events were recorded is not known" in json.loads(link.answers[1].body)["error"]
        assert str(core.failure) == "twin: the disk did not confirm the write. Look at the disk."
        send(core, link, 9, "later")
        assert link.answers[9].status == 503
        assert ask(core, wire.Kind.HEALTH)[0] == 503
        assert json.loads(lines[0])["error_class"] == "AppendFailed"
        assert engine.groups == [1, 1], "nothing is committed after the failure"

    asyncio.run(story())


def test_a_failed_commit_is_heard_of_though_nobody_else_comes():
    async def story():
        link, core = FakeLink(), make(Twin(fail_at=1), [])
        send(core, link, 1, "a")
        await asyncio.wait_for(core.run(), 5)
        assert link.answers[1].status == 503
        assert core.failure is not None

    asyncio.run(story())


def test_a_fault_in_apply_stops_the_core_without_telling_values():
    async def story():
        lines, link = [], FakeLink()
        engine = Gate()
        core = make(engine, lines)
        running = asyncio.create_task(core.run())
        send(core, link, 1, "a")
        await asyncio.sleep(0.02)
        send(core, link, 2, "b", kind="explode")
        await asyncio.sleep(0.02)
        engine.gate.release()
        await running
        assert [link.answers[number].status for number in (1, 2)] == [200, 503], "the group before it became durable"
        assert isinstance(core.failure, RuntimeError)
        assert "4111111111111111" not in "".join(lines)

    asyncio.run(story())


def test_stopping_refuses_new_events_and_finishes_the_queue():
    async def story():
        engine, link = Gate(), FakeLink()
        core = make(engine)
        running = asyncio.create_task(core.run())
        send(core, link, 1, "a")
        await asyncio.sleep(0.02)
        send(core, link, 2, "b")
        core.stop()
        send(core, link, 3, "c")
        assert (link.answers[3].status, link.answers[3].retry_after_s) == (503, 1)
        assert json.loads(link.answers[3].body)["error"] == "the server is stopping; nothing was written"
        assert json.loads(ask(core, wire.Kind.HEALTH)[1])["status"] == "stopping"
        engine.gate.release()
        engine.gate.release()
        await running
        assert [link.answers[number].status for number in (1, 2)] == [200, 200]

    asyncio.run(story())


def test_operations_wait_for_the_group_in_flight():
    async def story():
        engine, link, order = Gate(), FakeLink(), []

        def issue_token(name, scopes, owners, entities):
            order.append(("token", list(engine.groups)))
            return f"token of {name}"

        engine.issue_token = issue_token
        engine.actors[DIGEST] = ("tests", {"ingest", "read", "admin"})
        core = make(engine)
        running = asyncio.create_task(core.run())
        send(core, link, 1, "a")
        await asyncio.sleep(0.02)
        for number, operation, token in ((2, "issue_token", DIGEST), (3, "nonsense", DIGEST), (4, "tokens", b"x")):
            asked = wire.Admin(token, operation, msgspec.msgpack.encode({"name": "shop", "scopes": ["ingest"]}))
            core.receive(link, wire.Kind.ADMIN, number, msgspec.msgpack.encode(asked))
        await asyncio.sleep(0.02)
        assert order == []
        engine.gate.release()
        await until(lambda: len(link.answers) == 4)
        core.stop()
        await running
        assert order == [("token", [1])]
        assert (link.answers[2].status, link.answers[2].body) == (200, b'{"token":"token of shop"}')
        assert (link.answers[3].status, link.answers[4].status) == (404, 401)

    asyncio.run(story())


def test_counters_of_the_edges_are_added_up():
    async def story():
        core = make(Twin())
        for _ in range(2):
            link = FakeLink()
            core.links.add(link)
            core.receive(
                link, wire.Kind.STATS, 0, msgspec.msgpack.encode(wire.Stats({"quanheng_refused_total|no_token": 2}))
            )
        text = ask(core, wire.Kind.METRICS)[1].decode()
        assert 'quanheng_refused_total{reason="no_token"} 4' in text
        assert 'quanheng_engine_late{key="fold_a"} 3' in text

    asyncio.run(story())
