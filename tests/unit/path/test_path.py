"""The main path: one group of requests through `handle`, with nothing durable in sight."""

from __future__ import annotations

import pytest
from shop import DAY_MS, LIMIT_MINOR, T0, HandClock, ask, opened, packs, shop

from quanheng.decisions.policy import Judgement
from quanheng.events.intake import Intake, Refusal, Request
from quanheng.facts import DECIDED, FAILED, LATE
from quanheng.loading.find import read_packs
from quanheng.loading.pack import load_packs
from quanheng.path import Repeat, Taken, handle, try_alone
from quanheng.program import Program
from quanheng.rehearsal import PlainPseudonyms
from quanheng.state import State


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Program:
    engine = opened(tmp_path_factory.mktemp("path"))
    program = engine.state.program
    engine.close()
    return program


@pytest.fixture
def state(program) -> State:
    return State(program)


def take(state: State, *requests, received_ms: int = T0, seen=None):
    intake = Intake(state.program.types, PlainPseudonyms())
    keys = intake.keys(requests)
    known = {key: (seen or {})[one.id] for key, one in zip(keys, requests, strict=True) if one.id in (seen or {})}
    return handle(state, intake, requests, keys, received_ms, known)


def features(state: State, item: Taken) -> dict[str, object]:
    import numpy as np

    raw = np.frombuffer(item.decision.body.vector, np.int64).reshape(1, -1)
    return {name: state.program.exact.column(raw, index)[0] for index, name in enumerate(state.program.plan.names)}


def test_an_event_takes_two_offsets_where_it_is_decided(state):
    group = take(state, ask("a"), ask("b"))
    assert [(type(one), one.offset) for one in group.items] == [(Taken, 0), (Taken, 2)]
    assert (group.first, state.head) == (0, 4)


def test_its_own_event_is_in_the_window_before_it_is_judged(state):
    group = take(state, ask("a", 10_000), ask("b", 30_000))
    assert features(state, group.items[0]) == {"shop.customer_count_1d": 1, "shop.customer_mean_30d_before": None}
    assert features(state, group.items[1]) == {"shop.customer_count_1d": 2, "shop.customer_mean_30d_before": 10_000}


def test_the_events_of_a_group_see_each_other_as_if_they_came_alone(program):
    requests = [ask(f"r{n}", 1_000 * n, customer=f"c{n % 3}", at=T0 + n * 60_000) for n in range(1, 30)]
    together, alone = State(program), State(program)
    one = take(together, *requests)
    others = [take(alone, request).items[0] for request in requests]
    assert [item.decision.body for item in one.items] == [item.decision.body for item in others]
    assert together.digest() == alone.digest()


def test_a_repeat_in_the_group_points_at_the_first(state):
    group = take(state, ask("a"), ask("a"), ask("b"))
    assert [type(one) for one in group.items] == [Taken, Repeat, Taken]
    assert (group.items[1].offset, group.items[2].offset, state.head) == (0, 2, 4)


def test_a_repeat_of_what_was_seen_before_changes_nothing(state):
    before = state.digest()
    group = take(state, ask("a"), seen={"a": 77})
    assert group.items[0].offset == 77
    assert state.digest() == before


def test_a_refusal_takes_an_offset_and_the_rest_goes_on(state):
    group = take(state, ask("a"), ask("bad", -1), ask("b"))
    assert [type(one) for one in group.items] == [Taken, Refusal, Taken]
    assert (group.items[2].offset, state.head) == (3, 5)


def test_the_same_id_of_another_client_is_another_request(state):
    group = take(state, ask("a"), ask("a", client="branch"))
    assert [type(one) for one in group.items] == [Taken, Taken]


def test_an_empty_group(state):
    group = take(state)
    assert (group.items, state.head) == ([], 0)


def test_a_dry_run_changes_nothing_and_answers_the_same(state):
    take(state, ask("a"), ask("b"), ask("c"))
    before = state.digest(), state.head
    intake = Intake(state.program.types, PlainPseudonyms())
    dry = try_alone(state, intake, ask("d"), T0, {})
    assert (state.digest(), state.head) == before
    real = take(state, ask("d"))
    assert dry.decision.body == real.items[0].decision.body
    assert real.items[0].decision.body.reasons == ["too_many_requests"]


def test_past_its_deadline_the_fallback_is_given(state):
    late, right_on, none = take(
        state, ask("a", deadline_ms=T0 - 1), ask("b", deadline_ms=T0), ask("c", deadline_ms=0)
    ).items
    assert (late.decision.body.outcome, late.decision.body.status) == ("review", LATE)
    assert late.decision.body.reasons == ["deadline_passed"]
    assert late.decision.body.opinions[0].trace == []
    assert [right_on.decision.body.status, none.decision.body.status] == [DECIDED, DECIDED]


@pytest.fixture
def flow(state):
    return state.program.flows[state.program.codes["shop.request"]][0]


def test_a_policy_that_raises_is_a_recorded_fallback(state, flow, monkeypatch):
    def policy(values):
        raise ZeroDivisionError("the amount of customer anna was 0")

    monkeypatch.setattr(flow, "quick", policy)
    body = take(state, ask("a")).items[0].decision.body
    assert (body.outcome, body.status, body.reasons) == ("review", FAILED, ["policy_failed"])
    assert body.opinions[0].note == "ZeroDivisionError"  # The text of an error may hold personal data.


@pytest.mark.parametrize(
    "result",
    [
        None,
        "approve",
        [],
        {},
        {"outcome": "maybe", "reasons": []},
        {"outcome": None},
        {"outcome": "approve", "reasons": "amount_over_limit"},
        {"outcome": ["approve"], "reasons": []},
    ],
    ids=repr,
)
def test_a_result_that_is_no_declared_outcome_is_a_recorded_fallback(state, flow, monkeypatch, result):
    monkeypatch.setattr(flow, "quick", lambda values: Judgement(result, ()))
    body = take(state, ask("a")).items[0].decision.body
    assert (body.outcome, body.status, body.reasons) == ("review", FAILED, ["policy_failed"])
    assert body.opinions[0].note == "the policy gave no declared outcome (no rule gave one)"


def test_a_policy_that_fails_for_one_answers_the_others(state, flow, monkeypatch):
    policy = flow.quick

    def some(values):
        if 13 in values:
            raise ValueError("13")
        return policy(values)

    monkeypatch.setattr(flow, "quick", some)
    items = take(state, ask("a"), ask("b", 13), ask("c")).items
    assert [item.decision.body.status for item in items] == [DECIDED, FAILED, DECIDED]


def test_reasons_may_be_absent_and_empty_ones_are_left_out(state, flow, monkeypatch):
    monkeypatch.setattr(flow, "quick", lambda values: Judgement({"outcome": "approve"}, ()))
    assert take(state, ask("a")).items[0].decision.body.reasons == []
    monkeypatch.setattr(flow, "quick", lambda values: Judgement({"outcome": "decline", "reasons": ["x", None]}, ()))
    assert take(state, ask("b")).items[0].decision.body.reasons == ["x"]


def test_a_late_event_is_placed_at_its_own_time(state):
    take(state, ask("now", 10_000, at=T0 + 5 * DAY_MS), received_ms=T0 + 5 * DAY_MS)
    old = take(state, ask("old", 40_000, at=T0)).items[0]
    assert features(state, old)["shop.customer_count_1d"] == 1
    again = take(state, ask("next", 10_000, at=T0 + 5 * DAY_MS + 1), received_ms=T0 + 5 * DAY_MS + 1).items[0]
    assert features(state, again) == {"shop.customer_count_1d": 2, "shop.customer_mean_30d_before": 25_000}


def test_what_comes_more_than_thirty_days_late_is_counted_and_unknown(state):
    """The limit that docs/concepts/time-and-late-events.md tells."""
    take(state, ask("newer", at=T0 + 400 * DAY_MS), received_ms=T0 + 400 * DAY_MS)
    old = take(state, ask("old")).items[0]
    assert features(state, old) == {"shop.customer_count_1d": None, "shop.customer_mean_30d_before": None}
    assert sum(state.features.late.values()) > 0
    other = take(state, ask("other", customer="bert")).items[0]
    assert features(state, other)["shop.customer_count_1d"] == 1


def test_an_event_of_the_far_future_is_refused_so_that_it_cannot_blind_its_keys(state):
    refused = take(state, ask("ahead", at=T0 + DAY_MS + 1)).items[0]
    assert "the event is placed too far in the future" in str(refused.error)
    assert "86400001 ms after it was received" in str(refused.error)
    assert isinstance(take(state, ask("a day ahead", at=T0 + DAY_MS)).items[0], Taken)


def test_an_id_that_is_no_text_is_refused_and_the_rest_goes_on(state):
    refused, other = take(state, ask("\ud800"), ask("b")).items
    assert "the request id is not UTF-8 text" in str(refused.error)
    assert isinstance(other, Taken)


def test_counts_of_decisions(state):
    take(state, ask("a"), ask("b", LIMIT_MINOR + 1), ask("c", deadline_ms=1), ask("bad", 0))
    assert state.outcomes() == {"approve": 1, "decline": 1, "review": 1}
    assert state.statuses() == {"decided": 2, "late": 1}
    assert state.events == {state.program.codes["shop.request"]: 3}


def test_time_is_told_never_read(tmp_path):
    clock = HandClock(T0 - DAY_MS)
    engine = opened(tmp_path, clock)
    engine.submit([ask("a")])
    clock.now_ms -= 1_000_000  # The machine's clock may go back; the stamps of the writer may not.
    engine.submit([ask("b")])
    stamps = [engine.log.record(offset).received_ms for offset in range(engine.log.head)]
    assert stamps == [T0 - DAY_MS] * 5
    engine.close()


NOTE = """[event."shop.note"]
title = {en = "A note that nobody decides", zh = "备注"}
[event."shop.note".fields]
time_ms = {type = "time"}

"""


def note(id: str) -> Request:
    return Request("web", id, "shop.note", b'{"time_ms":%d}' % T0)


def test_events_that_nobody_decides_take_one_offset_wherever_they_stand(tmp_path):
    engine = opened(tmp_path)
    engine.activate(packs(("events.toml", '[event."shop.request"]', NOTE + '[event."shop.request"]')))
    first = engine.log.head
    sent = [note("n1"), ask("a"), note("n2"), ask("bad", -1), note("n3"), ask("b")]
    replies = engine.submit(sent)
    assert [reply.status for reply in replies] == ["recorded", "decided", "recorded", "rejected", "recorded", "decided"]
    assert [reply.offset - first for reply in replies] == [0, 1, 3, -1 - first, 5, 6]
    assert engine.log.head == engine.state.head == first + 8
    for one, reply in zip(sent, replies, strict=True):
        if reply.status != "rejected":
            assert engine.reader.event(reply.offset).body.id == one.id
            assert (engine.reader.decision_of(reply.offset) is None) == one.id.startswith("n")
    assert engine.rejects()["items"][0]["offset"] == first + 4
    assert [reply.status for reply in engine.submit(sent)] == ["repeated"] * 3 + ["rejected"] + ["repeated"] * 2
    engine.close()


def test_a_flow_by_the_clock_of_events_takes_the_parameters_of_each_events_own_day():
    lower = '{from = 2026-01-14, value = 10_000, source = "Lower"},\n]\n\n[parameter.customer_count_1d_max]'
    changed = shop(
        ("pack.toml", 'decide   = "answer"', 'clock = "event"\ndecide   = "answer"'),
        ("parameters/limits.toml", "]\n\n[parameter.customer_count_1d_max]", f"  {lower}"),
    )
    declared = load_packs(["shop"], {"party": read_packs()["party"], "shop": changed})
    state = State(Program(declared, {"shop.request": 16}))
    days = (T0 - 2 * DAY_MS, T0, T0 - 2 * DAY_MS - 1, 1_768_348_799_999, 1_768_348_800_000)  # The last two: midnight.
    group = take(state, *(ask(str(at), 20_000, customer=str(at), at=at) for at in days), received_ms=T0)
    outcomes = ["approve", "decline", "approve", "approve", "decline"]
    assert [item.decision.body.outcome for item in group.items] == outcomes
    alone = [take(state, ask(f"alone {at}", 20_000, customer=str(at), at=at)).items[0] for at in days]
    assert [item.decision.body.outcome for item in alone] == outcomes
    early = take(state, ask("early", 20_000, at=0)).items[0].decision.body
    assert (early.outcome, early.status) == ("approve", DECIDED), "before its first date a parameter is null"
