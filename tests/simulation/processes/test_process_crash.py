"""Life cycles through crashes: a step is durable whole, with what it asked of the ledger and what it sends, or not at
all; timers are neither lost nor told twice, whatever the clock does.

A flow of several steps holds money, waits for an answer, takes or lets go, and gives back what was taken by a reversal.
It is run once without a fault. Then it is run again and again, each time with a crash before or behind one of the
appends; whoever was not answered asks again. At the end everything is as if nothing had happened.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quanheng import recovery
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.kernel.errors import AppendFailed
from quanheng.kernel.log.records import CALL, DECISION, STEP, TRANSFER
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.kernel.time import DAY_MS, HOUR_MS
from quanheng.ledger.balances import account_id
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.find import read_packs

T0 = 1_768_471_200_000
CHECKOUT = Path(__file__).parents[2] / "packs" / "checkout"
UNDO = """
[posting.undo]
of = "about"

[posting.undo.transfer.principal]
reverse = "capture.principal"
"""
CALLS = """
[notice.tell_payer]
title   = {en = "Tell the payer", zh = "通知付款人"}
channel = "smtp"
address = "mail"
send    = {to = '"a@example.com"', subject = '"Payment"', body = '"Hello"'}
"""
TAKEN = """
[[process.review.state.taken.on]]
event = "checkout.answer"
where = 'answer = "not_mine"'
to    = "returned"
do    = ["transfer:undo"]

[process.review.state.taken.timer.cooling]
after = "10d"
to    = "kept"

[process.review.state.kept]
end = true

[process.review.state.returned]
end = true
"""


def packs() -> list[PackFiles]:
    """The pack of checkouts whose reviews can be given back, and tell the payer."""
    files = {name: data for name, data in read_pack(CHECKOUT).files.items() if not name.startswith("cases/")}
    life = files["processes.toml"].decode()
    life = life.replace("[process.review.state.taken]\nend = true\n", f"[process.review.state.taken]\n{TAKEN}")
    life = life.replace(
        "[process.review.state.asked]\n", '[process.review.state.asked]\nentry = ["notify:tell_payer"]\n'
    )
    accounts = files["accounts.toml"].decode() + UNDO
    accounts = accounts.replace("[posting.capture]\n", '[posting.capture]\nid    = "about"\n')
    files |= {"processes.toml": life.encode(), "accounts.toml": accounts.encode(), "calls.toml": CALLS.encode()}
    return [read_packs()["party"], read_pack(files, "checkout")]


Work = list[tuple[int, list[Request]]]


def work(seed: int, rounds: int) -> Work:
    """Groups of requests, each with how the clock has moved before it: stopped, set back, on, or days ahead."""
    rng, made, number = random.Random(seed), [], 0
    for _ in range(rounds):
        moved = rng.choice((0, 0, 60_000, 10 * 60_000, 16 * 60_000, HOUR_MS, -HOUR_MS, -2 * DAY_MS, DAY_MS, 9 * DAY_MS))
        group = []
        for _ in range(rng.choice((0, 1, 1, 2, 5))):
            number += 1
            group.append(_said(rng, f"r{number}"))
        made.append((moved, group))
    return made


def _said(rng: random.Random, id: str) -> Request:
    deal = f"deal {rng.randrange(12)}"
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("payment", {"payment": deal, "payer": "anna", "amount_minor": rng.choice((500, 20_000, 30_000))}),
        ("payment", {"payment": deal, "payer": "ben", "amount_minor": 25_000}),
        ("answer", {"about": deal, "answer": rng.choice(("mine", "mine", "not_mine"))}),
        ("answer", {"about": deal, "answer": rng.choice(("mine", "not_mine"))}),
        ("claim", {"claim": deal, "payer": "anna", "amount_minor": 5, "share": 0.25}),
        ("papers", {"claim": deal, "complete": rng.random() < 0.3}),
        ("ruling", {"claim": deal, "granted": True}),
    ]  # fmt: skip
    name, data = rng.choice(kinds)
    return Request("web", id, f"checkout.{name}", json.dumps({"time_ms": T0, **data}).encode())


class Crashed(Exception):
    """The power was lost."""


class Store(SqliteLogStore):
    """A store that crashes at its n-th append: before it is durable, or behind that."""

    crash_at, behind = -1, False

    def append(self, *args: Any, **more: Any) -> Any:
        self.crash_at -= 1
        if self.crash_at == 0 and not self.behind:
            raise Crashed
        done = super().append(*args, **more)
        if self.crash_at == 0:
            raise Crashed
        return done


class Life:
    """One run of the work."""

    def __init__(self, folder: Path, crash_at: int = -1, behind: bool = False) -> None:
        self.folder, self.now_ms, self.appends, self.crashes = folder, T0, 0, 0
        self.statuses: dict[str, str] = {}
        self.open()
        if self.engine.state.program.activation < 0:
            self.engine.activate(packs())
        self.store.crash_at, self.store.behind = crash_at, behind

    def open(self) -> None:
        (data := self.folder / "data").mkdir(parents=True, exist_ok=True)
        self.store = Store(data / "log.db")
        self.engine = Engine.open(data, store=self.store, clock=lambda: self.now_ms, log_ahead_ms_max=None)

    def run(self, work: Work) -> None:
        for moved_ms, group in work:
            self.now_ms += moved_ms
            self.insist(self.fire)
            self.insist(lambda group=group: self.send(group))
        self.now_ms += 400 * DAY_MS
        self.insist(self.fire)

    def insist(self, act: Callable[[], None]) -> None:
        """Do it; where the power is lost, open again and do it again."""
        try:
            act()
        except AppendFailed:
            self.crashes += 1
            self.engine.index.close()
            self.engine.ring.close()
            self.store.close()
            self.open()
            whole(self.engine)
            act()

    def fire(self) -> None:
        while self.engine.writer.is_due:
            self.engine.submit([])

    def send(self, group: list[Request]) -> None:
        for reply in self.engine.submit(group):
            self.statuses[reply.id] = reply.status if reply.status != "repeated" else self.statuses.get(reply.id, "")


def whole(engine: Engine) -> None:
    """Every decision has behind it the steps, transfers and messages that its body tells, and none stands alone."""
    found: dict[int, list[int]] = {}
    log = engine.log
    kinds = [log.record(offset) for offset in range(log.head)]
    for record in kinds:
        if record.kind in (STEP, CALL, TRANSFER) and record.cause >= 0:
            found.setdefault(record.cause, []).append(record.kind)
    for offset, record in enumerate(kinds):
        if record.kind != DECISION:
            continue
        body, behind = engine.reader.recorded_decision(offset).body, found.pop(offset, [])
        assert behind.count(STEP) == len(body.steps)
        assert behind.count(CALL) == len(body.sent)
        moved = sum(one.outcome == "APPLIED" for one in body.transfers)
        assert behind.count(TRANSFER) >= moved
    assert not found, "what stands behind no decision"


def told(engine: Engine) -> list[tuple[int, int]]:
    """(serial, due moment) of the timers that were told, in order."""
    codes = {engine.state.program.codes[f"{name}.timer.fired"] for name in ("review", "claim")}
    offsets = [at for at in range(engine.log.head) if engine.log.record(at).type in codes]
    events = [engine.reader.event(at) for at in offsets if engine.log.record(at).kind == 1]
    data = [json.loads(one.body.data) for one in events]
    return [(one["serial"], one["due_ms"]) for one in data]


def kept(engine: Engine) -> tuple[str, bytes]:
    """Digests of instances and of the ledger: a request that is refused is recorded as often as it is sent."""
    return engine.state.book.digest(), engine.state.ledger.digest()


def conserved(engine: Engine) -> None:
    """What is held is what waits for an answer; what was taken is what is in `taken` and `kept`; the rest came back."""
    state = engine.state
    machine = next(one for one in state.program.machines.values() if one.name == "checkout.review")
    held = taken = 0
    for one in state.book.instances(machine.code):
        name, amount = machine.names(one)["state"], machine.numbers(one)["amount_minor"]
        held += amount if name in ("asked", "doubted") else 0  # type: ignore[operator]
        taken += amount if name in ("taken", "kept") else 0  # type: ignore[operator]
    bank = state.ledger.account(account_id("checkout.bank", [])).balance
    assert bank.credits_held_minor == held
    assert bank.credits_posted_minor - bank.debits_posted_minor == taken


def test_a_crash_at_every_append_leaves_a_whole_step_or_none(tmp_path: Path) -> None:
    made = work(7, 60)
    plain = Life(tmp_path / "plain")
    plain.run(made)
    digest, fired, appends = kept(plain.engine), told(plain.engine), -1 - plain.store.crash_at
    whole(plain.engine)
    conserved(plain.engine)
    assert len(fired) > 20
    assert len(fired) == len(set(fired)), "a timer is told once"
    assert plain.engine.state.book.timers.next_due_ms is None, "after a year nothing waits"
    plain.engine.close()
    for at in range(1, appends + 1, 5):
        for behind in (False, True):
            shutil.copytree(tmp_path / "plain" / "data-keys", tmp_path / f"{at}{behind}" / "data-keys")
            life = Life(tmp_path / f"{at}{behind}", at, behind)
            life.run(made)
            assert life.crashes == 1, at
            assert told(life.engine) == fired, at
            assert kept(life.engine) == digest, at
            assert life.statuses == {**plain.statuses, **{id: "" for id, one in life.statuses.items() if one == ""}}, at
            life.engine.close()


def _child(folder: Path, notes: Path, seed: int) -> None:
    began_ns, start = time.monotonic_ns(), T0 + seed * 3 * DAY_MS
    clock = lambda: start + (time.monotonic_ns() - began_ns) // 1_000_000 * 2_000  # noqa: E731
    engine = Engine.open(folder, clock=clock, log_ahead_ms_max=None)
    rng, number = random.Random(seed), 0
    with notes.open("a") as file:
        while True:
            number += 1
            for reply in engine.submit([_said(rng, f"{seed}.{number}.{at}") for at in range(rng.choice((0, 1, 4)))]):
                if reply.offset >= 0:
                    file.write(f"{reply.id} {reply.offset}\n")
            file.flush()


def test_what_was_answered_survives_kills_and_timers_are_told_once(tmp_path: Path) -> None:
    folder, notes = tmp_path / "data", tmp_path / "notes"
    engine = Engine.open(folder, clock=lambda: T0)
    engine.activate(packs())
    engine.close()
    for seed in range(6):
        child = os.fork()
        if child == 0:
            try:
                _child(folder, notes, seed)
            finally:
                os._exit(3)
        time.sleep(random.Random(seed).uniform(0.5, 1.5))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"seed={seed}: the child ended by itself with status {status}"
        engine = Engine.open(folder, clock=lambda: T0, log_ahead_ms_max=None)
        whole(engine)
        conserved(engine)
        fired = told(engine)
        assert len(fired) == len(set(fired)), f"seed={seed}"
        for line in notes.read_text().splitlines() if notes.exists() else ():
            id, _, offset = line.partition(" ")
            if id and offset.strip().isdigit() and not line.endswith(" "):
                assert engine.reader.event(int(offset)).body.id == id, f"seed={seed}"
        assert engine.state.digest() == recovery.rebuild(engine.log, engine.content, None).digest(), f"seed={seed}"
        engine.close()


@pytest.mark.parametrize("stale", ["fire", "skip", "once"])
def test_days_of_downtime_are_caught_up_in_order(tmp_path: Path, stale: str) -> None:
    files = dict(packs()[1].files)
    life = files["processes.toml"].decode()
    nudge = 'every       = "7d"\ntimes_max   = 3\nstale       = "once"\nstale_after = "1d"\n'
    assert nudge in life
    after = "" if stale == "fire" else 'stale_after = "1d"\n'
    files["processes.toml"] = life.replace(nudge, f'every = "6h"\nstale = "{stale}"\n{after}').encode()
    now_ms = T0
    engine = Engine.open(tmp_path / "data", clock=lambda: now_ms, log_ahead_ms_max=None)
    engine.activate([read_packs()["party"], read_pack(files, "checkout")])
    data = {"time_ms": T0, "payer": "anna", "amount_minor": 5, "share": 0.25}
    for number in range(30):
        now_ms += 60_000
        request = json.dumps({**data, "claim": f"c{number}"}).encode()
        engine.submit([Request("web", f"r{number}", "checkout.claim", request)])
    engine.close()
    now_ms += 5 * DAY_MS + HOUR_MS
    engine = Engine.open(tmp_path / "data", clock=lambda: now_ms, log_ahead_ms_max=None)
    while engine.writer.is_due:
        engine.submit([])
    fired = told(engine)
    dues = [due for _, due in fired]
    assert dues == sorted(dues), "in the order in which they were due"
    machine = next(one for one in engine.state.program.machines.values() if one.name == "checkout.claim")
    rounds = {machine.numbers(one)["rounds"] for one in engine.state.book.instances(machine.code)}
    times = 5 * 4
    assert (len(fired), rounds) == {
        "fire": (30 * times, {times}), "skip": (30 * times, {4}), "once": (30 * 5, {5}),
    }[stale]  # fmt: skip
    engine.close()
