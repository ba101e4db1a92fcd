"""Crash simulation: a child process under load is killed with SIGKILL at random moments.

After each restart every acknowledged decision is there, unchanged, exactly once, and the recovered state equals a
full replay. The child is forked, so that a kill hits a real process with real files and costs little.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from tests.unit.path.lent import business as lent
from tests.unit.path.lent import loans
from tests.unit.path.wallet import business, wallet

from quanheng import recovery
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.facts import Moved
from quanheng.follower import write_snapshot
from quanheng.kernel import index
from quanheng.kernel.log.records import EVENT
from quanheng.kernel.time import DAY_MS
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.find import find_packs
from quanheng.state import FIRST_PACK_CODE

START_MS = 1_700_000_000_000
BEGAN_MS = time.monotonic_ns() // 1_000_000


def _requests(rng: random.Random, count: int, number: int) -> list[Request]:
    """Payments with repeats of earlier ids, reports, and some that do not fit."""
    requests = []
    for _ in range(count):
        number += 1
        shown = number if rng.random() > 0.05 else rng.randint(1, number)  # A client sends some again.
        twin = random.Random(shown)  # The content depends on the id only, so a repeat is the same content.
        data = {
            "time_ms": START_MS + shown * 1000 - twin.randint(0, 3_600_000),
            "customer": f"C{twin.randint(1, 40)}",
            "terminal": f"T{twin.randint(1, 20)}",
            "amount_minor": twin.randint(1, 90_000) if twin.random() > 0.02 else -1,
            "currency": "EUR",
            "channel": "web",
        }
        requests.append(Request("sim", f"p{shown}", "card.payment", json.dumps(data).encode()))
    return requests


class Work(NamedTuple):
    """What is under load: the packs that are active, and requests (random source, how many, number of the first);
    time passes at so many times its pace."""

    packs: Callable[[], list[PackFiles]]
    requests: Callable[[random.Random, int, int], list[Request]]
    pace: int = 1


def _card_fraud() -> list[PackFiles]:
    packs = find_packs()
    return [read_pack(packs[name]) for name in ("party", "card_fraud")]


PAYMENTS = Work(_card_fraud, _requests)
SERVICING = Work(
    loans, lambda rng, count, first: lent(rng, count, START_MS + 9 * DAY_MS, first, START_MS), pace=300_000
)  # A second is three and a half days.
TRANSFERS = Work(wallet, lambda rng, count, first: business(rng, count, START_MS, first))


def _child(folder: Path, acknowledged: Path, seed: int, first: int, work: Work) -> None:
    """Submit groups until killed; note what was answered, durably enough for a SIGKILL, after each commit."""
    rng, number = random.Random(seed), first
    index.WAITING_MAX = 256  # So that a kill also meets a run of the request index that is being written beside.
    clock = lambda: START_MS + work.pace * (time.monotonic_ns() // 1_000_000 - BEGAN_MS)  # noqa: E731
    engine = Engine.open(folder, clock=clock)
    with acknowledged.open("a") as notes:
        while True:
            size = rng.choice([1, 3, 20, 100])
            replies = engine.submit(work.requests(rng, size, number))
            number += size
            for reply in replies:
                if reply.status in {"decided", "repeated", "failed", "refused"}:
                    moved = _told(reply.transfers)
                    row = [reply.id, reply.offset, reply.decision, reply.outcome, list(reply.reasons), moved]
                    notes.write(json.dumps(row) + "\n")
            notes.flush()


def _told(transfers: Sequence[Moved]) -> list[list]:
    return [[one.name, one.id.hex(), one.outcome, one.amount_minor] for one in transfers]


def _kill_at_random(folder: Path, acknowledged: Path, seed: int, first: int, work: Work) -> None:
    child = os.fork()
    if child == 0:
        try:
            _child(folder, acknowledged, seed, first, work)
        finally:
            os._exit(3)  # Reached only by a fault in the child: the parent sees the exit status.
    moment = random.Random(seed)
    if moment.random() < 0.8:  # Under load; otherwise while it opens and recovers.
        _wait_for_answers(acknowledged)
    time.sleep(moment.uniform(0.0, 0.3))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"seed={seed}: the child ended by itself with status {status}"


def _wait_for_answers(acknowledged: Path) -> None:
    size = acknowledged.stat().st_size if acknowledged.exists() else 0
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        if acknowledged.exists() and acknowledged.stat().st_size > size:
            return
        time.sleep(0.005)
    raise AssertionError("the child answered nothing within a minute")


def _check(folder: Path, acknowledged: Path, seed: int, checked: int) -> int:
    """Every acknowledged decision is there, unchanged, once; the state equals a full replay. Returns their number.

    Those acknowledged since the last check are all read back, and a hundred of the older ones.
    """
    engine = Engine.open(folder, clock=lambda: START_MS, log_ahead_ms_max=None)
    answers: dict[str, list] = {}
    for line in _whole_lines(acknowledged):
        id_, *answer = json.loads(line)
        assert answers.setdefault(id_, answer) == answer, f"seed={seed}: {id_} was answered in two ways"
    ids = list(answers)
    for id_ in ids[checked:] + random.Random(seed).sample(ids[:checked], min(100, checked)):
        offset, decision, outcome, reasons, moved = answers[id_]
        event, recorded = engine.reader.event(offset), engine.reader.recorded_decision(decision)
        assert event.body.id == id_, f"seed={seed}"
        assert recorded.record.cause == offset, f"seed={seed}"
        assert [recorded.outcome, list(recorded.reasons)] == [outcome, reasons], f"seed={seed}"
        assert _told(recorded.body.transfers) == moved, f"seed={seed}"
        for name, id, what, amount_minor in moved:
            if what == "APPLIED" and name.count(".") == 2:  # An act on a loan is no transfer.
                line = engine.state.ledger.transfer_of(int.from_bytes(bytes.fromhex(id), "little"))
                assert line.amount_minor == amount_minor, f"seed={seed} {name}"
    keys: Counter[bytes] = Counter()
    for _, columns in engine.log.read_columns(0, recovery.HEADER_KEYS_MAX, recovery.HEADER_NUMBERS_MAX):
        events = np.flatnonzero((columns.kind == EVENT) & (columns.type >= FIRST_PACK_CODE))
        keys.update(columns.request_key(int(index)) for index in events)
    assert max(keys.values(), default=1) == 1, f"seed={seed}: a request was recorded twice"
    full = recovery.rebuild(engine.log, engine.content, None)
    assert engine.state.digest() == full.digest(), f"seed={seed}: recovered state is not a full replay"
    assert engine.state.loans.differences(engine.state.ledger) == [], f"seed={seed}"
    if seed % 10 == 0:
        assert engine.log.verify().ok, f"seed={seed}"
    engine.close()
    return len(answers)


def _whole_lines(notes: Path) -> list[str]:
    """What a killed child wrote to its end. A torn last line is cut off, as the next child goes on behind it."""
    if not notes.exists():
        return []
    text = notes.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:  # Its answer was not fully given.
        notes.write_text(whole)
    return whole.splitlines()


def test_a_line_that_a_kill_has_torn_is_cut_off_before_the_next_child_writes(tmp_path: Path) -> None:
    notes = tmp_path / "acknowledged.jsonl"
    assert _whole_lines(notes) == []
    notes.write_text('["p1", 1]\n["p2", ')
    assert _whole_lines(notes) == ['["p1", 1]']
    with notes.open("a") as child:
        child.write('["p3", 3]\n')
    assert _whole_lines(notes) == ['["p1", 1]', '["p3", 3]']


def _run(folder: Path, kills: int, seed: int, work: Work = PAYMENTS) -> int:
    data, acknowledged = folder / "data", folder / "acknowledged.jsonl"
    engine = Engine.open(data, clock=lambda: START_MS)
    engine.activate(work.packs())
    engine.close()
    answered = 0
    for kill in range(kills):
        _kill_at_random(data, acknowledged, seed + kill, 1 + 10_000 * kill, work)
        if kill % 7 == 3:
            write_snapshot(data)
        answered = _check(data, acknowledged, seed + kill, checked=answered)
    return answered


def test_what_was_acknowledged_survives_fifty_kills(tmp_path: Path) -> None:
    assert _run(tmp_path, kills=50, seed=20_261_121) > 500


def test_transfers_that_were_acknowledged_survive_thirty_kills(tmp_path: Path) -> None:
    assert _run(tmp_path, kills=30, seed=20_261_130, work=TRANSFERS) > 300


def test_loans_that_were_acknowledged_survive_fifteen_kills(tmp_path: Path) -> None:
    assert _run(tmp_path, kills=15, seed=20_261_201, work=SERVICING) > 100


@pytest.mark.long
def test_what_was_acknowledged_survives_two_hundred_kills(tmp_path: Path) -> None:
    assert _run(tmp_path, kills=200, seed=1) > 2_000
