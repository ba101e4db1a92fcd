"""Crash simulation of lists: changes, imports in parts, verdicts, expiry and activations, with kills in between.

After each kill a plain twin reads the log from its beginning and says of every decision what stood on the list at its
moment: the recorded reasons must say the same. What was acknowledged is there; the recovered state is a full replay.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
import tomllib
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from quanheng import recovery
from quanheng.decisions.lists import ListEvent, ListVerdict, entity_of
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.follower import write_snapshot
from quanheng.kernel.errors import DeclarationError, InputError, NotPermitted
from quanheng.kernel.log.records import DECISION, EVENT
from quanheng.listing import AskedChange
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.find import find_packs
from quanheng.replay import replay
from quanheng.state import LIST_CHANGED, LIST_JUDGED, PACKS_ACTIVATED, Activated

START_MS = 1_768_471_200_000
DEVICES = [f"d{number}" for number in range(120)]
DENY = "card_fraud.blocked_devices"
PEOPLE = ("ann", "bob", "eve")


def card_fraud(of: str = "party.device", expires: str = "180d") -> PackFiles:
    """The pack with its deny list declared otherwise; without cases, which take a second."""
    files = dict(read_pack(find_packs()["card_fraud"]).files)
    head, deny = files["lists.toml"].decode().split("[list.blocked_devices]")
    deny = deny.replace('"party.device"', f'"{of}"', 1).replace('expires = "180d"', f'expires = "{expires}"', 1)
    files["lists.toml"] = f"{head}[list.blocked_devices]{deny}".encode()
    return read_pack({name: data for name, data in files.items() if not name.startswith("cases/")}, "card_fraud")


class Child:
    """Does one thing after another until it is killed, and notes what was acknowledged."""

    def __init__(self, folder: Path, notes: Path, seed: int) -> None:
        self.rng, self.number = random.Random(seed), seed * 100_000
        start_ns = time.monotonic_ns()
        began = START_MS + seed * 60_000
        self.engine = Engine.open(folder, clock=lambda: began + (time.monotonic_ns() - start_ns) // 1_000_000)
        self.notes = notes.open("a")
        self.rejected: set[int] = set()

    def run(self) -> None:
        steps: list[tuple[Callable[[], object], float]] = [
            (self.pay, 10), (self.change, 4), (self.bring, 1), (self.judge, 3), (self.activate, 0.15),
        ]  # fmt: skip
        kinds, weights = zip(*steps, strict=True)
        while True:
            self.engine.four_eyes = self.rng.random() < 0.5
            self.rng.choices(kinds, weights)[0]()

    def note(self, kind: str, **told: object) -> None:
        self.notes.write(json.dumps({"kind": kind, **told}) + "\n")
        self.notes.flush()

    def pay(self) -> None:
        requests = []
        for _ in range(self.rng.randint(1, 4)):
            self.number += 1
            data = {"time_ms": START_MS, "customer": f"c{self.number % 50}", "terminal": "t", "amount_minor": 900}
            data |= {"currency": "EUR", "channel": "web", "device": self.rng.choice(DEVICES)}
            requests.append(Request("web", f"p{self.number}", "card.payment", json.dumps(data).encode()))
        for reply in self.engine.submit(requests):
            self.note("paid", offset=reply.offset, decision=reply.decision, reasons=[*reply.reasons])

    def asked(self, values: list[str], **more: Any) -> dict[str, Any]:
        asked = AskedChange(DENY, values=values, **more)
        done = self.engine.lists.change(self.engine.lists.prepare(asked), self.engine.four_eyes)
        staged = asked.more or asked.first is not None
        at = self.engine.log.head - (2 if staged and not done["waiting"] else 1)  # Behind it stands its verdict.
        self.note("changed", values=values, at=at, staged=staged, **done)
        return done

    def change(self) -> None:
        values = self.rng.sample(DEVICES, self.rng.randint(1, 8))
        for_ms = self.rng.choice([None, 1, 20, 200, 60_000])
        change = self.rng.choice(["add", "add", "remove"])
        self.asked(values, change=change, actor=self.rng.choice(PEOPLE), for_ms=for_ms)

    def bring(self) -> None:
        """An import in parts, with decisions and other changes in between; some are never finished."""
        values, first, actor = self.rng.sample(DEVICES, 60), None, self.rng.choice(PEOPLE)
        ends = self.rng.choice([60, 60, 40])
        for at in range(0, ends, 20):
            more = at + 20 < 60
            part = {"change": "add", "actor": actor, "first": first, "more": more, "for_ms": 500}
            try:
                first = self.asked(values[at : at + 20], **part)["offset"]
            except InputError:
                assert first in self.rejected, "only what was rejected meanwhile cannot go on"
                return
            self.rng.choice([self.pay, self.judge, self.change])()

    def judge(self) -> None:
        waiting = self.engine.lists.sizes()["waiting"]
        if not waiting:
            return
        one = self.rng.choice(waiting)
        verdict = ListVerdict(one["offset"], self.rng.random() < 0.7, self.rng.choice(PEOPLE), "so")
        try:
            self.engine.lists.judge(verdict)
        except (NotPermitted, InputError):
            assert verdict.actor == one["actor"] or (verdict.approved and not one["complete"])
        else:
            assert one["complete"] or not verdict.approved
            self.rejected |= set() if verdict.approved else {verdict.first}
            self.note("judged", first=verdict.first, approved=verdict.approved, at=self.engine.log.head - 1)

    def activate(self) -> None:
        self.engine.four_eyes = False
        of, now_ms = self.rng.choice(["party.device", "party.device", "text"]), self.engine.writer.stamp()
        held = self.engine.state.lists.kept_of(DENY, now_ms) - {of}
        try:
            self.engine.activate([card_fraud(of, self.rng.choice(["180d", "90d"]))])
        except DeclarationError as error:
            if "what it is of stays as it is" not in str(error):
                raise
        else:
            # Entries may have expired between the two looks, not come.
            assert not held or not self.engine.state.lists.kept_of(DENY, self.engine.writer.stamp()) - {of}
            self.note("activated", of=of)


def lines_of(notes: Path) -> int:
    return notes.read_bytes().count(b"\n") if notes.exists() else 0


def killed(folder: Path, notes: Path, seed: int) -> None:
    """A child that is killed at a random moment."""
    child = os.fork()
    if child == 0:
        try:
            Child(folder, notes, seed).run()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(3)  # Reached only by a fault in the child: the parent sees the exit status.
    moment = random.Random(seed)
    wanted = lines_of(notes) + moment.randint(1, 200)
    deadline_s = time.monotonic() + 120
    while lines_of(notes) < wanted and time.monotonic() < deadline_s:
        time.sleep(0.005)
    time.sleep(moment.uniform(0.0, 0.02))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"seed={seed}: the child ended by itself with status {status}"


class Twin:
    """The law in the fewest lines: what stands on the deny list, and what waits."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.of, self.declared = "", ""
        self.until: dict[bytes, int] = {}
        self.waiting: dict[int, list[ListEvent]] = {}

    def apply(self, event: ListEvent) -> None:
        if event.of != self.of:
            self.of, self.until = event.of, {}
        for at in range(0, len(event.keys), 16):
            key = event.keys[at : at + 16]
            if event.change == "add":
                self.until[key] = event.until_ms
            else:
                self.until.pop(key, None)

    def holds(self, device: str, now_ms: int) -> bool:
        key = self.engine.ring.pseudonym(entity_of(DENY, self.declared), device)
        return now_ms < self.until.get(key, 0)

    def decisions(self) -> Iterator[tuple[int, bool, bool]]:
        """(offset, what the record says of the device, what the twin says) of every decision, through the whole log."""
        reader, device = self.engine.reader, ""
        for offset in range(self.engine.log.head):
            record = self.engine.log.record(offset)
            if record.kind == DECISION:
                said = "device_blocked" in reader.recorded_decision(offset).reasons
                yield offset, said, self.holds(device, record.received_ms)
            elif record.kind == EVENT and record.type == PACKS_ACTIVATED:
                hash = msgspec.json.decode(record.payload, type=Activated).packs["card_fraud"]
                declared = tomllib.loads(self.engine.content.get_folder(hash)["lists.toml"].decode())
                self.declared = declared["list"]["blocked_devices"]["of"]
            elif record.type == LIST_CHANGED:
                event = msgspec.json.decode(record.payload, type=ListEvent)
                if event.waiting:
                    self.waiting.setdefault(event.first, []).append(event)
                else:
                    self.apply(event)
            elif record.type == LIST_JUDGED:
                verdict = msgspec.json.decode(record.payload, type=ListVerdict)
                parts = self.waiting.pop(verdict.first)
                assert not (verdict.approved and parts[-1].more), "what is not complete is never approved"
                for part in parts if verdict.approved else ():
                    self.apply(part)
            elif record.kind == EVENT:
                device = json.loads(reader.event(offset).body.data).get("device", "")


def check(folder: Path, notes: Path, seed: int) -> dict[str, int]:
    """Compare everything; returns how much of each kind was acknowledged, and how many decisions met the list."""
    engine = Engine.open(folder, clock=lambda: START_MS, log_ahead_ms_max=None)
    full = recovery.rebuild(engine.log, engine.content, None)
    assert engine.state.digest() == full.digest(), f"seed={seed}: recovered state is not a full replay"
    seen: dict[str, int] = {}
    for line in notes.read_text().split("\n")[:-1]:  # The last line may be torn.
        one = json.loads(line)
        seen[one["kind"]] = seen.get(one["kind"], 0) + 1
        if one["kind"] == "paid":
            assert list(engine.reader.recorded_decision(one["decision"]).reasons) == one["reasons"], f"seed={seed}"
        elif one["kind"] == "changed":
            event = msgspec.json.decode(engine.log.record(one["at"]).payload, type=ListEvent)
            entity = entity_of(DENY, event.of)
            last = one["values"][-(len(event.keys) // 16) :]
            assert event.keys == b"".join(engine.ring.pseudonym(entity, value) for value in last)
            assert (event.first, event.change, event.waiting) == (
                one["offset"],
                one["change"],
                one["waiting"] or one["staged"],
            )
        elif one["kind"] == "judged":
            verdict = msgspec.json.decode(engine.log.record(one["at"]).payload, type=ListVerdict)
            assert (verdict.first, verdict.approved) == (one["first"], one["approved"])
    twin = Twin(engine)
    judged = list(twin.decisions())
    wrong = [(offset, said) for offset, said, holds in judged if said != holds]
    assert not wrong, f"seed={seed}: (decision, what it says of its device) {wrong[:5]}"
    for device in DEVICES:
        now_ms = engine.writer.stamp()
        found = engine.lists.find("blocked_devices", device)["listed"]
        assert found == (twin.holds(device, now_ms) and twin.of == twin.declared), f"seed={seed} {device}"
    for offset, _, _ in random.Random(seed).sample(judged, min(6, len(judged))):
        assert replay(engine.reader, engine.snapshots, offset).same, f"seed={seed} decision={offset}"
    engine.close()
    return {**seen, "listed": sum(said for _, said, _ in judged)}


def run(folder: Path, kills: int, seed: int) -> dict[str, int]:
    data, notes = folder / "data", folder / "notes.jsonl"
    engine = Engine.open(data, clock=lambda: START_MS)
    engine.activate([read_pack(find_packs()["party"]), card_fraud()])
    engine.close()
    seen: dict[str, int] = {}
    for kill in range(kills):
        killed(data, notes, seed + kill)
        if kill % 3 == 1:
            write_snapshot(data)
        seen = check(data, notes, seed + kill)
    return seen


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Events and sweeps of a few entries, so that their edges are met."""
    monkeypatch.setattr("quanheng.listing.CHANGE_ENTRIES_MAX", 7)
    monkeypatch.setattr("quanheng.decisions.lists.SWEPT_MIN", 16)


def test_what_is_listed_is_listed_across_kills(tmp_path: Path) -> None:
    seen = run(tmp_path, kills=8, seed=1)
    assert min(seen.get(kind, 0) for kind in ("paid", "changed", "judged", "listed")) > 5, seen


@pytest.mark.long
def test_what_is_listed_is_listed_across_a_hundred_kills(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for number in range(10):
        folder = tmp_path / str(number)
        folder.mkdir()
        seen.update(run(folder, kills=10, seed=1_000 * (number + 1)))
    assert min(seen[kind] for kind in ("paid", "changed", "judged", "listed", "activated")) > 5, seen
