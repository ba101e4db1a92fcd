"""Reading back: what was decided, on which evidence, by which versions; and what there is not."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest
from shop import LIMIT_MINOR, T0, ask, opened, packs, shop
from test_engine import LOWER

from quanheng.kernel.errors import NotFound


@pytest.fixture
def engine(tmp_path):
    engine = opened(tmp_path)
    yield engine
    engine.close()


def test_a_decision_in_full(engine):
    engine.submit([ask("first", 10_000)])
    [reply] = engine.submit([ask("a", LIMIT_MINOR + 1, deadline_ms=T0 + 1)])
    shown = engine.decision(reply.decision)
    assert shown["decision"] == reply.decision
    assert (shown["outcome"], shown["status"]) == ("decline", "decided")
    assert shown["reasons"][0] == {
        "code": "amount_over_limit",
        "en": "The amount is above the limit.",
        "zh": "金额超过上限。",
    }
    assert shown["features"] == {"shop.customer_count_1d": 2, "shop.customer_mean_30d_before": Decimal(10_000)}
    assert list(shown["formulas"]) == ["shop.amount_to_mean"]
    assert shown["formulas"]["shop.amount_to_mean"] == pytest.approx(50.0001)
    assert (shown["time_ms"], shown["time"]) == (T0, "2026-01-15T10:00:00.000Z")
    assert (shown["received_ms"], shown["sources"]) == (T0, {})
    assert json.loads(msgspec.json.encode(shown))["event"]["data"]["customer"] == "anna"


def test_a_decision_names_every_version_it_used(engine):
    [reply] = engine.submit([ask("a")])
    versions = engine.decision(reply.decision)["versions"]
    assert (versions["engine"], versions["activation"]) == ("0.1.0", 0)
    assert versions["packs"]["shop"]["version"] == "0.1.0"
    assert versions["packs"]["shop"]["hash"] == engine.content.put_folder(dict(packs()[1].files))
    assert len(versions["packs"]["shop"]["policies"]["answer"]) == 64


def test_an_old_decision_keeps_its_versions(engine):
    [old] = engine.submit([ask("a")])
    engine.activate([shop(*LOWER)])
    [new] = engine.submit([ask("b")])
    one, two = engine.decision(old.decision)["versions"], engine.decision(new.decision)["versions"]
    assert one["packs"]["shop"]["hash"] != two["packs"]["shop"]["hash"]
    assert one["packs"]["party"] == two["packs"]["party"]


def test_the_trace_names_the_rules_that_matched(engine):
    [reply] = engine.submit([ask("a", LIMIT_MINOR + 1)])
    [opinion] = engine.decision(reply.decision)["opinions"]
    assert (opinion["flow"], opinion["outcome"], opinion["note"]) == ("shop.answer", "decline", "")
    steps = {step["decision"]: step for step in opinion["trace"]}
    assert steps["decline_reasons"]["rules"] == [1]
    assert steps["review_reasons"]["rules"] == []
    assert steps["answer"]["result"] == {"outcome": "decline", "reasons": ["amount_over_limit"]}


def test_an_unknown_feature_is_null(engine):
    [reply] = engine.submit([ask("a")])
    shown = engine.decision(reply.decision)
    assert shown["features"]["shop.customer_mean_30d_before"] is None
    assert shown["formulas"]["shop.amount_to_mean"] is None


@pytest.mark.parametrize("offset", [0, 1, 3, 4, 99, -1])
def test_what_is_no_decision_is_not_found(engine, offset):
    engine.submit([ask("a"), ask("bad", -1)])
    with pytest.raises(NotFound) as caught:
        engine.decision(offset)
    assert str(caught.value).startswith("offset: ") or str(offset) in str(caught.value)


def test_each_read_says_what_there_is_not(engine):
    engine.submit([ask("a"), ask("bad", -1)])
    message = "offset: there is no {} with this offset; was {}; allowed: 0 to 3. A decision's id is in the answer to"
    for read, what, offset in (
        (engine.reader.recorded_decision, "decision", 1),
        (engine.reader.event, "event", 2),
        (engine.reader.event, "event", 0),
        (engine.reader.rejected, "rejected request", 1),
        (engine.reader.activated, "activation", 1),
    ):
        with pytest.raises(NotFound) as caught:
            read(offset)
        assert str(caught.value).startswith(message.format(what, offset))


def test_an_event_as_it_was_sent(engine):
    [reply] = engine.submit([ask("a", 7)])
    event = engine.reader.event(reply.offset)
    assert (event.body.client, event.body.id) == ("web", "a")
    assert json.loads(event.body.data) == {"time_ms": T0, "customer": "anna", "amount_minor": 7, "currency": "EUR"}


def test_an_opinion_says_for_which_purpose_on_which_basis_as_declared_then(engine):
    [old] = engine.submit([ask("a")])
    source = ('source = "Put the statute', 'source = "Payment Services Act, article 98. Put the statute')
    engine.activate([shop(("pack.toml", *source), ("pack.toml", 'basis  = "contract"', 'basis  = "legal_obligation"'))])
    [new] = engine.submit([ask("b")])
    [was] = [opinion["purpose"] for opinion in engine.decision(old.decision)["opinions"]]
    [now] = [opinion["purpose"] for opinion in engine.decision(new.decision)["opinions"]]
    assert was == {
        "name": "serve_request",
        "basis": "contract",
        "source": "Put the statute and article here, such as GDPR article 6(1)(b)",
        "title": {"en": "Answering a customer's request", "zh": "处理客户请求"},
    }
    assert now["basis"] == "legal_obligation"
    assert now["source"].startswith("Payment Services Act, article 98.")


def test_a_decision_whose_evidence_could_not_be_computed_can_be_shown(engine, monkeypatch):
    [scopes] = engine.state.program.scopes.values()
    monkeypatch.setattr(scopes[0].formulas, "compute", lambda known, rows: 1 // 0)
    [reply] = engine.submit([ask("a")])
    assert (reply.status, list(reply.reasons)) == ("failed", ["policy_failed"])
    shown = engine.decision(reply.decision)
    assert shown["formulas"] == {"shop.amount_to_mean": None}
    assert shown["opinions"][0]["note"] == "ZeroDivisionError"


def test_neighbours_are_read_from_one_look_at_their_batch(engine, monkeypatch):
    first = [reply.decision for reply in engine.submit([ask(f"n{one}") for one in range(40)])]
    second = [reply.decision for reply in engine.submit([ask(f"m{one}") for one in range(40)])]
    looked, read = [], engine.log.read
    monkeypatch.setattr(engine.log, "read", lambda *place: looked.append(place) or read(*place))
    found = [engine.reader.decision_of(decision - 1).payload for decision in (*first, *second)]
    assert len(looked) == 2
    assert found == [engine.reader.recorded_decision(decision).payload for decision in (*first, *second)]
