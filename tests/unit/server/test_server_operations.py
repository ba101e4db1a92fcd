"""Operations of the command line in the core, with the real engine: a fault is answered and serving goes on."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import sys
import threading
from pathlib import Path

import msgspec

from quanheng.events.intake import Request
from quanheng.server import admin, wire
from quanheng.server.config import Limits
from quanheng.server.core import Core
from quanheng.server.intake import token_digest
from quanheng.server.logs import Log

sys.path.insert(0, str(Path(__file__).parents[1] / "path"))
from shop import ask, opened, shop
from test_engine import LOWER, WIDER

AMOUNT = 450_000


class Answers:
    """Keeps the answers that the core gives."""

    def __init__(self):
        self.answers, self.counters = {}, {}

    def answer(self, number, answer):
        self.answers[number] = answer

    def flush(self):
        pass

    def close(self):
        pass


class Serving:
    """A core at work over the engine of the shop."""

    def __init__(self, folder):
        self.engine, self.link, self.lines, self.number = opened(folder), Answers(), [], 0
        self.token = self.engine.issue_token("root", ["admin"])
        limits, log = Limits(), Log("debug", "core", self)
        self.core = Core(self.engine, Request, limits, lambda: 0, log)

    def write(self, line):
        self.lines.append(json.loads(line))

    def flush(self):
        pass

    async def answered(self, kind, body):
        self.number = number = self.number + 1
        self.core.receive(self.link, kind, number, msgspec.msgpack.encode(body))
        for _ in range(4_000):
            if number in self.link.answers:
                answer = self.link.answers[number]
                return answer.status, json.loads(answer.body)
            await asyncio.sleep(0.005)
        raise AssertionError("no answer")

    async def operate(self, operation, bearer=None, **arguments):
        digest = token_digest((bearer or self.token).encode())
        return await self.answered(wire.Kind.ADMIN, wire.Admin(digest, operation, msgspec.msgpack.encode(arguments)))

    async def pay(self, id, amount=AMOUNT):
        one = ask(id, amount)
        asked = wire.Events(token_digest(self.token.encode()), True, False, 0, [(one.id, one.type, one.data)])
        return await self.answered(wire.Kind.EVENTS, asked)


def serving(folder, story):
    """Run a story beside a core that serves; it must still serve at the end."""

    async def told():
        one = Serving(folder)
        running = asyncio.create_task(one.core.run())
        await story(one)
        assert one.core.failure is None
        assert (await one.pay("the last"))[0] == 200
        one.core.stop()
        await running
        one.engine.close()

    asyncio.run(told())


def sent(*changes):
    return {"packs": {"shop": dict(shop(*changes).files)}}


def test_a_changed_parameter_decides_the_next_payment(tmp_path):
    async def story(one):
        assert (await one.pay("a"))[1]["outcome"] == "approve"
        status, done = await one.operate("activate", **sent(*LOWER))
        assert (status, done["versions"]) == (200, {"party": "1.0.0", "shop": "0.1.0"})
        assert done["as_of"] == one.engine.log.head
        assert (await one.pay("b"))[1]["outcome"] == "decline"

    serving(tmp_path, story)


def test_payments_are_answered_while_packs_are_checked(tmp_path, monkeypatch):
    gate, begun = threading.Event(), threading.Event()

    async def story(one):
        propose = one.engine.propose

        def slow(packs):
            begun.set()
            assert gate.wait(20)
            return propose(packs)

        monkeypatch.setattr(one.engine, "propose", slow)
        activating = asyncio.create_task(one.operate("activate", **sent(*WIDER)))
        await asyncio.to_thread(begun.wait, 20)
        assert [(await one.pay(f"p{n}", 1_000))[1]["status"] for n in range(5)] == ["decided"] * 5
        assert not activating.done()
        gate.set()
        assert (await activating)[0] == 200

    serving(tmp_path, story)


def a_file_in_place_of_a_folder(folder):
    """Every folder of the content store that is not there yet is a file: nothing new can be kept."""
    for number in range(256):
        path = folder / "data" / "content" / f"{number:02x}"
        if not path.exists():
            path.write_bytes(b"")


def test_a_content_store_that_takes_nothing_is_told_and_serving_goes_on(tmp_path):
    async def story(one):
        head = one.engine.log.head
        a_file_in_place_of_a_folder(tmp_path)
        status, body = await one.operate("activate", **sent(*LOWER))
        assert status == 500
        assert body["error"].startswith("activate: this could not be done; the server goes on; was ")
        assert "Mend the cause (disk, rights, files of the pack), then do it again." in body["error"]
        assert one.engine.log.head == head
        assert [line["event"] for line in one.lines] == ["operation_failed"]

    serving(tmp_path, story)


def test_a_locked_key_ring_is_told_and_nothing_is_erased(tmp_path):
    async def story(one):
        [_, paid] = await one.pay("a")
        other = sqlite3.connect(tmp_path / "data-keys" / "keys.db", isolation_level=None)
        other.execute("BEGIN")
        other.execute("SELECT * FROM keys").fetchall()
        head = one.engine.log.head
        status, body = await one.operate("erase", entity="party.customer", id="anna")
        assert (status, one.engine.log.head) == (503, head)
        assert "another process holds the key ring; nothing was erased" in body["error"]
        assert one.engine.decision(paid["decision"])["outcome"] == "approve"
        other.execute("COMMIT")
        status, body = await one.operate("erase", entity="party.customer", id="anna")
        assert (status, body) == (200, {"offset": head, "note": ""})
        other.close()

    serving(tmp_path, story)


def test_an_erasure_with_a_reader_that_comes_meanwhile_notes_it(tmp_path):
    engine = opened(tmp_path)
    assert engine.erasure_note() == ""
    engine.erase("party.customer", "nobody")
    nobody = "no key was there: nothing was ever sealed for this subject, or it was erased before"
    assert engine.erasure_note() == nobody, "a slip in entity or id is not told as an erasure"
    engine.submit([ask("a")])
    engine.erase("party.customer", "anna")
    assert engine.erasure_note() == ""
    engine.ring.holds_erased_bytes = True
    assert engine.erasure_note().startswith("a process began to read the key ring meanwhile: the key is destroyed")
    engine.close()


BAD = [
    ("activate", sent(("parameters/limits.toml", "value = 500_000", "value = 600_000")), 422, "golden cases fail"),
    ("activate", {"packs": {"shop": {"pack.toml": b"[[["}}}, 422, "pack.toml"),
    ("activate", {"packs": 7}, 500, "was AttributeError"),
    ("activate", {}, 500, "was KeyError"),
    ("issue_token", {"name": "x", "scopes": ["fly"]}, 422, "the token cannot be issued"),
    ("issue_token", {"name": "x"}, 500, "was KeyError"),
    ("issue_token", {"name": ["x"], "scopes": 5}, 500, "was TypeError"),
    ("revoke_token", {"token": "nobody"}, 401, "no such token"),
    ("revoke_token", {}, 500, "was KeyError"),
    ("erase", {"entity": "party.customer"}, 500, "was KeyError"),
    ("erase", {"entity": 5, "id": 6}, 500, "was AttributeError"),
    ("step", {}, 500, "was ValidationError"),
    ("step", {"step": "leap", "version": "0123456789"}, 404, "no version begins like that"),
    ("step", {"step": "draft", "files": {"pack.toml": b"[[["}}, 422, "pack.toml"),
    ("step", {"step": "share", "version": "0123456789", "share_bp": "half"}, 500, "was ValidationError"),
    ("list_change", {"list": "none", "change": "add", "values": ["a"]}, 404, "no pack in force declares such a list"),
    ("list_judge", {"first": 1, "approved": True}, 422, "no change of a list waits there"),
    ("list_show", {"list": "none"}, 404, "no pack in force declares such a list"),
    ("list_find", {"list": "none"}, 500, "was KeyError"),
    ("refuse_messages", {"messages": 5}, 500, "was ValidationError"),
    ("outbox_show", {"message": "none"}, 422, "the id of a message is not readable"),
    ("outbox_show", {"message": "0" * 32}, 404, "no message with this id waits, and none is a dead letter"),
    ("outbox_retry", {}, 422, "say which dead letters are asked for again"),
    ("model_alarms", {"alarms": [{"id": "a", "data": b"{}"}]}, 422, "no active pack takes alarms of models"),
    ("model_alarms", {"alarms": 5}, 500, "was ValidationError"),
    ("job_show", {"job": "none"}, 404, "there is no such job"),
    ("job_run", {"job": "none"}, 404, "there is no such job"),
    ("job_run", {}, 500, "was KeyError"),
    ("models", {"pack": "none"}, 404, "there is no such model here"),
    ("model_show", {}, 404, "there is no such model here"),
    ("model_history", {"pack": "shop", "model": "none"}, 404, "there is no such model here"),
    ("model_compare", {"pack": "shop", "model": "none"}, 404, "there is no such model here"),
    ("dance", {}, 404, "there is no such operation"),
]


def test_whatever_is_wrong_with_an_operation_is_answered(tmp_path):
    async def story(one):
        for operation, arguments, wanted, text in BAD:
            head = one.engine.log.head
            status, body = await one.operate(operation, **arguments)
            assert (status, text in body["error"]) == (wanted, True), (operation, arguments, status, body)
            assert one.engine.log.head == head
        assert (await one.operate("tokens", bearer="qh_wrong"))[0] == 401
        digest = token_digest(one.token.encode())
        assert (await one.answered(wire.Kind.ADMIN, wire.Admin(digest, "tokens", b"\xc1")))[0] == 500
        assert [line["event"] for line in one.lines if line["level"] == "error"] == []

    serving(tmp_path, story)


def test_every_operation_is_tried_with_something_wrong():
    told = re.findall(r"(\w+) \{", admin.perform.__doc__.split("operation : ")[1].split("arguments :")[0])
    assert set(told) - {operation for operation, *_ in BAD} == {"tokens", "versions", "lists", "jobs", "outbox"}


def test_a_log_that_does_not_take_the_event_of_an_operation_stops_everything(tmp_path):
    async def told():
        one = Serving(tmp_path)
        running = asyncio.create_task(one.core.run())
        thief = opened(tmp_path)  # A second writer takes over: the log refuses the first from here on.
        status, body = await one.operate("issue_token", name="x", scopes=["read"])
        assert (status, "the log did not confirm the write" in body["error"]) == (503, True)
        await asyncio.wait_for(running, 10)
        assert "a newer writer has taken over the log" in str(one.core.failure)
        assert (await one.operate("tokens"))[0] == 503  # Answered, though nobody carries it out any more.
        thief.close()

    asyncio.run(told())


def test_an_operation_in_hand_when_the_server_stops_is_answered(tmp_path, monkeypatch):
    gate = threading.Event()

    async def told():
        one = Serving(tmp_path)
        monkeypatch.setattr(one.engine, "propose", lambda packs: gate.wait(20))
        running = asyncio.create_task(one.core.run())
        activating = asyncio.create_task(one.operate("activate", **sent(*LOWER)))
        await asyncio.sleep(0.05)
        one.core.stop()
        await asyncio.wait_for(running, 10)
        status, body = await activating
        assert (status, "the server is stopping" in body["error"]) == (503, True)
        gate.set()
        await asyncio.sleep(0.05)
        one.engine.close()

    asyncio.run(told())


def test_a_fault_of_a_dry_run_or_of_a_read_harms_nobody_else(tmp_path, monkeypatch):
    async def story(one):
        def broken(*_, **__):
            raise sqlite3.OperationalError("disk I/O error")

        digest = token_digest(one.token.encode())
        request = ask("a")
        with monkeypatch.context() as patched:
            patched.setattr(one.engine, "dry_run", broken)
            patched.setattr(one.engine, "decision", broken)
            asked = wire.Events(digest, True, True, 0, [(request.id, request.type, request.data)])
            status, body = await one.answered(wire.Kind.EVENTS, asked)
            assert (status, body["error"]) == (
                500,
                (
                    "events: this could not be done; the server goes on; was disk I/O error. "
                    "Mend the cause (disk, rights, files of the pack), then do it again."
                ),
            )
            assert (await one.answered(wire.Kind.DECISION, wire.Query(digest, 2)))[0] == 500

    serving(tmp_path, story)
