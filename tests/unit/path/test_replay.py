"""Replay: any decision, judged again from the log alone, gives the same bytes; a difference is named."""

from __future__ import annotations

import random

import pytest
from shop import LIMIT_MINOR, T0, ask, opened, shop
from test_engine import LOWER, WIDER, fill

import quanheng.replay
from quanheng.facts import encode_body
from quanheng.follower import write_snapshot
from quanheng.kernel.errors import DataErased, NotFound
from quanheng.kernel.log.records import DECISION
from quanheng.replay import Difference, replay


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """An engine opened again over a log with three activations and some hundred decisions."""
    folder = tmp_path_factory.mktemp("replay")
    engine = opened(folder)
    fill(engine, seed=11, groups=25)
    engine.activate([shop(*LOWER)])
    fill(engine, seed=12, groups=10)
    write_snapshot(folder / "data")
    engine.activate([shop(*WIDER)])
    engine.submit([ask(f"x{n}", 1_000 * n, deadline_ms=n % 2, at=T0 + n) for n in range(1, 60)])
    engine.close()
    engine = opened(folder)
    yield engine
    engine.close()


def decisions(engine) -> list[int]:
    return [offset for offset in range(engine.log.head) if engine.log.record(offset).kind == DECISION]


@pytest.mark.parametrize("with_snapshots", [True, False], ids=["snapshot", "from the beginning"])
def test_random_decisions_replay_to_the_same_bytes(history, with_snapshots):
    offsets = random.Random(5).sample(decisions(history), 50)
    for offset in offsets:
        report = replay(history.reader, history.snapshots if with_snapshots else None, offset)
        assert report.same, report
        assert (report.differences, report.cause) == ((), "")
        recorded = history.reader.recorded_decision(offset)
        assert (report.outcome, report.reasons) == (recorded.outcome, tuple(recorded.reasons))


def test_replay_changes_nothing(history):
    before = history.state.digest(), history.log.head, history.log.root()
    replay(history.reader, None, decisions(history)[-1])
    assert (history.state.digest(), history.log.head, history.log.root()) == before


def test_a_difference_is_named_with_its_cause(history, monkeypatch):
    offset = decisions(history)[3]
    recorded = history.reader.recorded_decision(offset)
    monkeypatch.setattr(quanheng.replay, "__version__", "9.9.9")
    real = quanheng.replay.handle
    monkeypatch.setattr(quanheng.replay, "handle", lambda *args, **named: shrugged(real(*args, **named)))
    report = replay(history.reader, None, offset)
    assert not report.same
    assert Difference("outcome", recorded.outcome, "shrug") in report.differences
    assert report.cause == "decided by Quanheng 0.1.0, replayed by 9.9.9"


def shrugged(group):
    """The group with another outcome in its one decision."""
    from msgspec.structs import replace

    (item,) = group.items
    body = replace(item.decision.body, outcome="shrug")
    decision = replace(item.decision, body=body, payload=encode_body(body))
    return group._replace(items=[replace(item, decision=decision)])


def test_equal_bodies_are_equal_bytes(history):
    for offset in decisions(history)[:20]:
        recorded = history.reader.recorded_decision(offset)
        assert encode_body(recorded.body) == recorded.payload


def test_an_event_is_no_decision(history):
    event = history.log.record(decisions(history)[0]).cause
    with pytest.raises(NotFound, match="there is no decision with this offset"):
        replay(history.reader, None, event)


def test_an_erased_decision_answers_erased(tmp_path):
    engine = opened(tmp_path)
    [reply] = engine.submit([ask("a", LIMIT_MINOR + 1)])
    engine.erase("party.customer", "anna")
    with pytest.raises(DataErased, match="the content is gone for good"):
        replay(engine.reader, engine.snapshots, reply.decision)
    engine.close()


def test_a_dry_run_at_the_moment_equals_the_replay_later(tmp_path):
    engine = opened(tmp_path)
    fill(engine, seed=13, groups=5)
    [dry] = engine.dry_run([ask("z", LIMIT_MINOR)])
    [real] = engine.submit([ask("z", LIMIT_MINOR)])
    fill_more = [ask(f"later{n}") for n in range(5)]
    engine.submit(fill_more)
    report = replay(engine.reader, None, real.decision)
    assert report.same
    assert (dry.outcome, tuple(dry.reasons)) == (report.outcome, report.reasons)
    engine.close()
