"""A model's whole way through crashes at every append, before it is durable and after; and roll-backs to the byte.

Whatever crashes, a step is taken whole with what it puts in force, or not at all; recovery, the registry and the replay
of every decision agree.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "path"))
from rated import rated_engine
from shop import T0, HandClock
from test_jobs_crash import Failing, Power
from test_registering import asked, drafted, pay, states, take

from quanheng import recovery
from quanheng.events.intake import Request
from quanheng.kernel.errors import AppendFailed
from quanheng.kernel.log.records import DECISION
from quanheng.replay import replay

WAY = ("draft", "submit", "approve", "shadow", "share", "pay", "promote", "pay", "roll_back", "pay")
"""What each appends one batch for."""


def go(engine) -> None:
    """The whole way."""
    hash = ""
    for number, step in enumerate(WAY):
        if step == "pay":
            pay(engine, f"p{number}-", 3)
        elif step == "draft":
            hash = drafted(engine, upto="draft")
        else:
            share = {"share_bp": 5_000} if step == "share" else {}
            take(engine, step, version="" if step == "roll_back" else hash, **share)


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("at", range(len(WAY)))
def test_a_crash_at_every_append_leaves_a_whole_step_or_none(tmp_path, at, durable):
    clock = HandClock()
    rated_engine(tmp_path, clock).close()
    store = Failing(tmp_path / "data" / "log.db", durable=durable)
    engine = rated_engine(tmp_path, clock, store=store)
    store.left = at
    with pytest.raises((Power, AppendFailed)):
        go(engine)
    engine.index.close()
    engine.log.store.close()
    engine.ring.close()
    engine = rated_engine(tmp_path, clock)
    steps = asked(engine, "model_history", pack="rated", model="risk_score")["steps"]
    taken = [step for step in WAY[: at + durable] if step not in ("pay", "roll_back")]
    assert [one["step"] for one in steps if one["step"] in WAY and one["step"] != "roll_back"] == taken
    assert recovery.rebuild(engine.log, engine.reader.content, None).digest() == engine.state.digest()
    in_force = engine.reader.activated(engine.state.program.activation)
    assert in_force.packs["rated"] == engine.state.versions.champion("rated").hash
    assert list(states(engine).values()).count("champion") == 1
    tried = [(one.pack, one.hash, one.share_bp) for one in engine.state.versions.trials()]
    assert [(one.pack, one.hash, one.share_bp) for one in in_force.trials] == tried
    for offset in range(engine.log.head):
        if engine.log.record(offset).kind == DECISION:
            assert replay(engine.reader, None, offset).same
    engine.close()


def test_a_roll_back_restores_decisions_to_the_byte(tmp_path):
    engine = rated_engine(tmp_path)
    pay(engine, "before", 5)
    first = answers(engine)
    hash = drafted(engine)
    for _ in range(2):
        take(engine, "promote" if engine.state.versions.find("rated", hash).status.value == "reviewed" else "roll_back",
             version=hash)  # fmt: skip
        assert answers(engine) != first
        take(engine, "roll_back")
        assert answers(engine) == first
    engine.close()


def answers(engine) -> list[bytes]:
    """What requests would be answered now; nothing is recorded."""
    at = engine.writer.clock.now_ms
    requests = []
    for number in range(12):
        data = {"time_ms": T0, "customer": f"t{number}", "amount_minor": 250_000 + 20_000 * number, "currency": "EUR"}
        requests.append(Request("web", f"try{number}", "rated.request", json.dumps(data).encode(), 0))
    assert at > T0
    return [msgspec.json.encode(reply) for reply in engine.dry_run(requests)]
