"""Life cycles in the main path: steps and transfers in one commit, refusals, timers first, replay, two packs."""

from __future__ import annotations

from copy import copy

import pytest
from checkout import MINUTE_MS, T0, Clock, answers, checkout, event, opened, pays, review_of, state_of

from quanheng.events.intake import Refusal, Request
from quanheng.facts import events_columns
from quanheng.kernel.errors import DeclarationError, EventRejected, LogCorrupt
from quanheng.kernel.log.records import DECISION, STEP, TRANSFER
from quanheng.loading.files import read_pack
from quanheng.meeting import TimerStopped, meet
from quanheng.path import Group, check_due
from quanheng.rehearsal import rehearse
from quanheng.replay import replay
from quanheng.ticking import due_requests

LEDGER_LIMIT = ("accounts.toml", 'per   = ["party.customer"]', 'per   = ["party.customer"]\ndebits_bound = true')
"""The payer's account takes no more out than came in: a hold is refused."""
SECOND = {
    "pack.toml": b"""
[pack]
name     = "second"
version  = "1.0.0"
requires = ["party >= 1.0.0", "checkout >= 1.0.0"]
title    = {en = "Second look", zh = "\xe5\xa4\x8d\xe6\xa0\xb8"}
outcomes = ["approve", "review", "decline"]
""",
    "processes.toml": b"""
[process.looked_at]
title = {en = "Payments that were looked at", zh = "\xe5\xb7\xb2\xe5\xae\xa1"}
per   = "payer"
keep  = {payments = 0}

[[process.looked_at.start]]
event = "checkout.payment"
where = 'outcome = "review"'
to    = "known"

[[process.looked_at.state.known.on]]
event = "checkout.payment"
set   = {payments = "instance.payments + 1"}

[[process.looked_at.state.known.on]]
event = "checkout.claim"
to    = "claims"

[process.looked_at.state.claims]
end = true
""",
    "README.md": b"# Second look\n",
}
"""A pack with a process of its own on the events of another."""


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def engine(tmp_path, clock):
    made = opened(tmp_path, clock)
    yield made
    made.close()


CASE_OF_HOLDS = "[[case]]" + checkout()[1].files["cases/payments.toml"].decode().split("[[case]]")[2]
"""Expects a hold, which an account that is bound refuses."""


def claims(id: str):
    return event(id, "claim", claim=id, payer="anna", amount_minor=1, share=1)


def kinds(engine, first: int) -> list[int]:
    return [engine.log.record(offset).kind for offset in range(first, engine.log.head)]


def test_a_step_stands_behind_its_decision_and_its_transfers_in_one_batch(engine):
    head = engine.log.head
    (reply,) = engine.submit([pays("p1")])
    assert (reply.status, reply.outcome) == ("decided", "review")
    assert [one.name for one in reply.transfers] == ["checkout.hold.principal"]
    assert kinds(engine, head) == [1, DECISION, TRANSFER, TRANSFER, TRANSFER, STEP]  # Two accounts were opened.
    assert [row.count for row in engine.log.read(head, engine.log.head)] == [6]
    step = engine.log.record(engine.log.head - 1)
    assert (step.cause, step.payload, step.sealed) == (reply.decision, b"", False)
    body = engine.reader.recorded_decision(reply.decision).body
    assert [(one.process, one.left, one.entered) for one in body.steps] == [("checkout.review", "", "asked")]


def test_an_event_that_no_flow_decides_is_recorded_with_its_step_and_no_outcome(engine):
    engine.submit([pays("p1")])
    (reply,) = engine.submit([answers("a1", "p1")])
    assert (reply.status, reply.outcome, [one.outcome for one in reply.transfers]) == ("recorded", "", ["APPLIED"])
    assert state_of(engine, "p1") == "taken"
    shown = engine.decision(reply.decision)
    assert shown["steps"] == [
        {"process": "checkout.review", "part": "", "left": "asked", "entered": "taken", "timer": ""}
    ]
    assert (shown["outcome"], shown["status"], shown["opinions"], shown["sent"]) == ("", "recorded", [], [])
    assert engine.state.outcomes() == {"review": 1}


def test_an_illegal_event_is_refused_with_the_state_and_what_is_allowed(engine):
    engine.submit([pays("p1"), answers("a1", "p1")])
    (late,) = engine.submit([answers("a2", "p1")])
    assert late.status == "rejected"
    assert late.error == (
        "checkout.answer: the process checkout.review does not allow this event now; was 'taken'; allowed: nothing "
        "more. Send what is allowed in this state; `quanheng process show` tells how it came there."
    )
    (unknown,) = engine.submit([answers("a3", "nobody knows it")])
    assert "was no instance of it has begun; allowed: checkout.payment" in unknown.error
    assert engine.rejects()["rejected"] == 2


def test_an_event_is_judged_by_what_the_one_before_it_in_the_group_has_left(engine):
    group = [pays("p1"), answers("a1", "p1"), answers("a2", "p1"), pays("p2"), answers("a1", "p1")]
    found = [(one.status, one.outcome) for one in engine.submit(group)]
    assert found == [("decided", "review"), ("recorded", ""), ("rejected", ""), ("decided", "review"), ("repeated", "")]
    assert (state_of(engine, "p1"), state_of(engine, "p2")) == ("taken", "asked")


def test_what_comes_again_behind_a_refused_event_of_its_group_is_refused_too(engine):
    same = answers("a1", "p1")
    first, again = engine.submit([same, same])
    assert (first.status, again.status) == ("rejected", "rejected")
    assert first.error == again.error
    assert engine.rejects()["rejected"] == 2


def test_a_refused_hold_leads_where_the_start_says(tmp_path, clock):
    engine = opened(tmp_path, clock, checkout(LEDGER_LIMIT, ("cases/payments.toml", CASE_OF_HOLDS, "")))
    (reply,) = engine.submit([pays("p1")])
    assert (reply.status, reply.outcome) == ("refused", "decline")
    assert [one.outcome for one in reply.transfers] == ["BALANCE_IS_TOO_LOW"]
    assert state_of(engine, "p1") == "failed"
    assert replay(engine.reader, None, reply.decision).same
    engine.close()


def test_timers_that_are_due_come_before_what_callers_sent(engine, clock):
    engine.submit([pays("p1")])
    for _ in range(2):
        clock.now_ms += 15 * MINUTE_MS
        engine.carry_out()
    assert review_of(engine, "p1").numbers[1] == 2
    clock.now_ms += 15 * MINUTE_MS
    (late,) = engine.submit([answers("a1", "p1")])  # The third timer has led to `doubted`, where nobody is asked.
    assert late.status == "rejected"
    assert "was 'doubted'" in late.error


def test_a_timer_that_was_stopped_before_it_could_fire_says_so_and_is_not_recorded(engine, clock):
    engine.submit([pays("p1")])
    clock.now_ms += 15 * MINUTE_MS
    state, writer = engine.state, engine.writer
    (request,) = due_requests(state.program, state.book, clock.now_ms)
    state.book.timers.fire(state.book.timers.due(clock.now_ms, 1)[0].serial)
    intake = writer._intake
    told = intake.read(request, intake.keys([request])[0], clock.now_ms)
    keys = engine.state.program.types[request.type]
    columns = events_columns([told], state.program)
    met = meet(state.book, state.program, [told], columns)
    assert list(met.rows) == []
    assert isinstance(met.refused[0], TimerStopped)
    assert str(met.refused[0]).startswith(f"{keys.name}: the timer does not wait any more; was serial")


def test_a_timer_that_its_own_declaration_refuses_stops_the_process():
    request = Request("quanheng.processes", "7", "review.timer.fired", b"{}", position="quanheng.processes")
    group = Group(0, 0, T0, [Refusal(request, EventRejected("a field is missing", where="timer"))], [], 0)
    with pytest.raises(LogCorrupt, match=r"a timer that is due cannot be told; was timer: a field is missing") as found:
        check_due(group, 1)
    assert found.value.where == "review.timer.fired"
    check_due(Group(0, 0, T0, [Refusal(request, TimerStopped("it was stopped"))], [], 0), 1)


def test_a_golden_case_says_which_timer_cannot_be_told(engine, clock):
    """Nothing that a pack can declare leads here: the event's declaration is taken away under its process."""
    program = copy(engine.state.program)
    (case,) = [one for one in program.packs["checkout"].cases if "large payment" in one.name]
    program.types = {name: one for name, one in program.types.items() if name != "review.timer.fired"}
    with pytest.raises(DeclarationError, match="a timer of the case cannot be told") as found:
        rehearse(program, case)
    assert "processes.toml: review.timer.fired: its own event does not take the timer" in str(found.value)
    assert "no active pack declares this event type" in str(found.value)


def test_every_decision_replays_and_a_restart_finds_the_same(tmp_path, clock):
    engine = opened(tmp_path, clock)
    engine.submit([pays("p1"), pays("p2"), pays("p3", 5_000), answers("a1", "p2")])
    for _ in range(4):
        clock.now_ms += 15 * MINUTE_MS
        engine.carry_out()
    clock.now_ms += 10 * 24 * 60 * MINUTE_MS
    engine.carry_out()
    assert (state_of(engine, "p1"), state_of(engine, "p2"), state_of(engine, "p3")) == ("released", "taken", "")
    decisions = [offset for offset in range(engine.log.head) if engine.log.record(offset).kind == DECISION]
    assert len(decisions) == 8
    assert all(replay(engine.reader, None, offset).same for offset in decisions)
    digest = engine.state.digest()
    engine.close()
    again = opened(tmp_path, clock)
    assert again.state.digest() == digest
    again.close()


def test_a_dry_run_says_what_would_be_and_moves_nothing(engine):
    before = engine.state.digest()
    (would,) = engine.dry_run([pays("p1")])
    assert (would.status, would.outcome, state_of(engine, "p1")) == ("decided", "review", "")
    (refused,) = engine.dry_run([answers("a1", "p1")])
    assert refused.status == "rejected"
    assert engine.state.digest() == before


def test_processes_of_two_packs_on_one_event_see_the_outcome_that_won(tmp_path, clock):
    engine = opened(tmp_path, clock, [*checkout(), read_pack(SECOND, "second")])
    small, large, more, claim = engine.submit([pays("p0", 5_000), pays("p1"), pays("p2", 5_000), claims("c1")])
    assert [small.outcome, large.outcome, more.outcome, claim.status] == ["approve", "review", "approve", "recorded"]
    machine = engine.state.program.machines[engine.state.program.codes["process second.looked_at"]]
    found = engine.state.book.view(machine.code, engine.ring.pseudonym("party.customer", "anna"))
    assert (machine.names(found), machine.numbers(found)) == ({"state": "claims"}, {"payments": 1})
    body = engine.reader.recorded_decision(large.decision).body
    assert [one.process for one in body.steps] == ["checkout.review", "second.looked_at"]
    assert replay(engine.reader, None, claim.decision).same
    engine.close()
