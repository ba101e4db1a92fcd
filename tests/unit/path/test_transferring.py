"""Decisions that ask the ledger for transfers, through the whole path."""

from __future__ import annotations

import json
import random
import re

import pytest
from shop import DAY_MS, HandClock
from wallet import T0, business, captures, opened, pays, refunds, releases, topped_up, wallet, wallet_of

from quanheng import recovery
from quanheng.events.intake import Request
from quanheng.facts import Ask, Asked, DecisionBody, DecisionFact
from quanheng.kernel.errors import DeclarationError, InputError
from quanheng.ledger.business_days import BusinessDays
from quanheng.ledger.entries import BATCH_MAX, Account, Transfer
from quanheng.loading.files import read_pack
from quanheng.making import together
from quanheng.past.explaining import explain_decision
from quanheng.replay import replay
from quanheng.state import State
from quanheng.transferring import transfer
from quanheng.writer import RECENT_TRANSFERS_MAX

OTHER = b"""
[pack]
name     = "other"
version  = "1.0.0"
requires = ["party >= 1.0.0", "wallet >= 1.0.0"]
title    = {en = "Other", zh = "\xe5\x85\xb6\xe4\xbb\x96"}
outcomes = ["approve", "review", "decline"]

[purpose.payment_service]
basis  = "contract"
source = "GDPR article 6(1)(b)"
title  = {en = "Carrying out payments", zh = "\xe6\x94\xaf\xe4\xbb\x98"}

[[flow]]
when         = "wallet.topped_up"
purpose      = "payment_service"
decide       = "accept"
fallback     = "decline"
then.approve = ["transfer:top_up"]
refused_as   = "decline"
"""
"""A second pack that decides what tops up a wallet."""


@pytest.fixture
def engine(tmp_path):
    engine = opened(tmp_path)
    yield engine
    engine.close()


def one(engine, request):
    (reply,) = engine.submit([request])
    return reply


def moved(reply) -> list[tuple[str, str, int]]:
    return [(one.name.removeprefix("wallet."), one.outcome, one.amount_minor) for one in reply.transfers]


def available(engine, customer: str) -> int:
    balance = engine.state.ledger.balance(wallet_of(engine, customer))
    return balance.credits_posted_minor - balance.debits_posted_minor - balance.debits_held_minor


def test_a_payment_is_held_captured_and_given_back(engine):
    assert moved(one(engine, topped_up("a", 10_000))) == [("top_up.principal", "APPLIED", 10_000)]
    reply = one(engine, pays("b", 2_500, payment="p"))
    assert (reply.status, reply.outcome, moved(reply)) == (
        "decided", "approve", [("authorise.principal", "APPLIED", 2_500)],
    )  # fmt: skip
    assert available(engine, "anna") == 7_500
    assert moved(one(engine, captures("c", "p", 2_000))) == [
        ("capture.principal", "APPLIED", 2_000), ("capture.fee", "APPLIED", 12),
    ]  # fmt: skip
    assert available(engine, "anna") == 8_000
    assert moved(one(engine, refunds("d", "p", 500))) == [("refund.principal", "APPLIED", 500)]
    assert available(engine, "anna") == 8_500


def test_what_the_ledger_refuses_has_another_outcome_and_may_cost(engine):
    one(engine, topped_up("a", 100_000))
    reply = one(engine, pays("b", 50_001))
    assert (reply.status, reply.outcome) == ("refused", "decline")
    assert reply.reasons == ["amount_is_large", "ledger_refused"]
    assert moved(reply) == [
        ("authorise.principal", "PAYMENT_LIMIT_EXCEEDED", 0), ("refusal_fee.fee", "APPLIED", 50),
    ]  # fmt: skip
    assert engine.state.statuses() == {"decided": 1, "refused": 1}
    assert engine.state.outcomes() == {"approve": 1, "decline": 1}
    assert available(engine, "anna") == 99_950


def test_no_policy_is_explained_as_the_one_that_refused(engine):
    one(engine, topped_up("a", 100_000))
    reply = one(engine, pays("b", 50_001))
    text = (
        rf"decision {reply.decision}: the ledger refused the transfers of this decision, so no policy gave its "
        rf"outcome; was refused: decline. See its transfers by `quanheng decision {reply.decision}`, or explain what a "
        rf"pack had said: --pack."
    )
    with pytest.raises(InputError, match=text):
        explain_decision(engine.reader, reply.decision)
    assert explain_decision(engine.reader, reply.decision, pack="wallet").outcome == "review"


def test_what_is_declined_asks_nothing_and_opens_nothing(engine):
    reply = one(engine, pays("a", 1))
    assert (reply.status, reply.outcome, reply.transfers) == ("decided", "decline", ())
    assert engine.state.ledger.facts_n == 0


def test_each_event_of_a_group_sees_what_those_before_it_left(engine):
    replies = engine.submit([topped_up("a", 1_000), pays("b", 600), pays("c", 600), pays("d", 400), pays("e", 1)])
    assert [reply.outcome for reply in replies] == ["approve", "approve", "decline", "approve", "decline"]
    assert available(engine, "anna") == 0


def test_said_again_it_is_answered_again_from_memory_and_from_the_log(engine):
    one(engine, topped_up("a", 10_000))
    first = one(engine, pays("b", 2_500))
    for _ in range(2):
        again = one(engine, pays("b", 2_500))
        assert (again.status, again.outcome, again.transfers) == ("repeated", "approve", first.transfers)
        engine.writer.forget_recent()
    assert available(engine, "anna") == 7_500


def test_the_same_deal_under_another_request_is_not_moved_twice(engine):
    one(engine, topped_up("a", 10_000))
    one(engine, pays("b", 2_500, payment="p"))
    again = one(engine, pays("c", 2_500, payment="p"))
    assert (again.status, moved(again)) == ("decided", [("authorise.principal", "EXISTS", 2_500)])
    other = one(engine, pays("d", 2_501, payment="p"))
    assert (other.status, moved(other)[0]) == ("refused", ("authorise.principal", "EXISTS_WITH_OTHER_AMOUNT", 0))
    assert available(engine, "anna") == 7_500 - 50  # The refusal costs.


def test_a_chain_moves_whole_or_not_at_all(engine):
    one(engine, topped_up("a", 10_000))
    one(engine, pays("b", 10_000, payment="p"))
    one(engine, releases("c", "p"))
    reply = one(engine, captures("d", "p", 10_000))
    assert moved(reply) == [("capture.principal", "HOLD_WAS_VOIDED", 0), ("capture.fee", "CHAIN_FAILED", 0)]
    assert (reply.status, reply.outcome) == ("refused", "decline")


def many(count: int) -> tuple[str, str, str]:
    """A change of the wallet: a top-up asks for so many transfers more."""
    transfers = "".join(
        f'[posting.top_up.transfer.t{number}]\ndebit = "bank"\ncredit = "wallet(customer)"\namount = "1"\ncode = 1\n\n'
        for number in range(count)
    )
    return "accounts.toml", "[posting.authorise]\n", f"{transfers}[posting.authorise]\n"


def test_an_answer_with_many_transfers_is_read_from_the_log_again(tmp_path):
    engine = opened(tmp_path, packs=without_cases(many(RECENT_TRANSFERS_MAX)))
    first, again = one(engine, topped_up("a", 100)), one(engine, topped_up("a", 100))
    assert (again.status, list(again.transfers)) == ("repeated", list(first.transfers))
    assert len(first.transfers) == RECENT_TRANSFERS_MAX + 1
    assert not engine.writer._recent  # Tens of thousands of such answers would not fit into memory.
    engine.close()


def without_cases(*changes):
    party, mine = wallet(*changes)
    return [party, read_pack({name: text for name, text in mine.files.items() if "cases" not in name}, "wallet")]


def test_packs_that_together_ask_for_more_than_a_chain_holds_are_refused(tmp_path):
    party, mine = without_cases(many(5_000))
    other = {**mine.files, "pack.toml": OTHER, "events.toml": b"", "reasons.toml": b""}
    del other["policies/wallet.dmn"], other["parameters/fees.toml"]
    text = other["accounts.toml"].partition(b"[posting.authorise]")[0]
    policy = re.sub(rb'<decision id="authorise".*?</decision>', b"", mine.files["policies/wallet.dmn"], flags=re.DOTALL)
    other |= {"accounts.toml": text, "policies/other.dmn": policy}
    text = (
        "the packs cannot be active together: 1 problem\n  pack.toml: then.approve: the packs on wallet.topped_up "
        "together ask for too many transfers at once; was 10002 transfers; allowed: at most 8190. Ask for fewer in "
        "one of the packs."
    )
    with pytest.raises(DeclarationError, match=re.escape(text)):
        opened(tmp_path, packs=[party, mine, read_pack(other, "other")])


def test_a_hold_whose_time_is_out_is_there_again_for_the_next_event(tmp_path):
    clock = HandClock()
    engine = opened(tmp_path, clock)
    engine.submit([topped_up("a", 10_000), pays("b", 10_000)])
    clock.now_ms += 7 * DAY_MS
    reply = one(engine, pays("c", 10_000, at=clock.now_ms))
    assert (reply.outcome, reply.status) == ("approve", "decided")
    event = engine.reader.event(reply.offset)
    assert event.record.received_ms == clock.now_ms
    decision = engine.decision(reply.decision)
    assert decision["sources"]["wallet.wallet_available"] == 100  # The hold ended before anything looked.
    assert decision["transfers"] == [
        {
            "name": "wallet.authorise.principal",
            "id": str(int.from_bytes(reply.transfers[0].id, "little")),
            "outcome": "APPLIED",
            "amount_minor": 10_000,
        }
    ]
    assert replay(engine.reader, None, reply.decision).same
    engine.close()


def test_records_of_a_decision_name_it_as_their_cause(engine):
    reply = one(engine, topped_up("a", 10_000))
    records = [engine.log.record(offset) for offset in range(reply.decision + 1, engine.log.head)]
    # Two accounts were opened, then value moved.
    assert [(record.type, record.cause) for record in records] == [
        (4, reply.decision), (4, reply.decision), (1, reply.decision),
    ]  # fmt: skip


def test_a_dry_run_says_what_would_be_and_leaves_no_trace(engine):
    one(engine, topped_up("a", 60_000))
    before = engine.state.digest()
    requests = [
        topped_up("x", 5, "nobody"), pays("y", 2_500), pays("z", 50_001), captures("w", "none", 1),
        pays("v", 60_001), topped_up("a", 60_000),
    ]  # fmt: skip
    replies = engine.dry_run(requests)
    assert engine.state.digest() == before
    assert [(reply.status, moved(reply)) for reply in replies] == [
        ("decided", [("top_up.principal", "APPLIED", 5)]),
        ("decided", [("authorise.principal", "APPLIED", 2_500)]),
        ("refused", [("authorise.principal", "PAYMENT_LIMIT_EXCEEDED", 0), ("refusal_fee.fee", "APPLIED", 50)]),
        ("refused", [("capture.principal", "HOLD_NOT_FOUND", 0)]),
        ("decided", []),
        ("repeated", [("top_up.principal", "APPLIED", 60_000)]),
    ]
    for request, dry in zip(requests[:3], replies[:3], strict=True):
        real = one(engine, request)
        assert (real.status, real.outcome, moved(real)) == (dry.status, dry.outcome, moved(dry))


def test_an_amount_that_is_no_whole_cent_is_refused_where_nobody_says_how_to_round(tmp_path):
    engine = opened(tmp_path, packs=wallet(("accounts.toml", 'rounding = "half_even"\n', "")))
    engine.submit([topped_up("a", 10_000), pays("b", 2_500, payment="p")])
    reply = one(engine, captures("c", "p", 2_499))
    assert moved(reply) == [("capture.principal", "CHAIN_FAILED", 0), ("capture.fee", "AMOUNT_DOES_NOT_FIT", 0)]
    assert (reply.status, reply.outcome) == ("refused", "decline")
    engine.close()


@pytest.mark.parametrize("seed", range(6))
def test_however_events_are_grouped_the_same_is_decided_and_moved(tmp_path, seed):
    rng = random.Random(seed)
    requests = business(rng, 150)
    alone, grouped = opened(tmp_path / "alone"), opened(tmp_path / "grouped")
    first = [one(alone, request) for request in requests]
    second, at = [], 0
    while at < len(requests):
        size = rng.randrange(1, 40)
        second += grouped.submit(requests[at : at + size])
        at += size

    def told(replies):
        return [(reply.status, reply.outcome, list(reply.reasons), moved(reply)) for reply in replies]

    assert told(first) == told(second)
    assert {reply.status for reply in first} >= {"decided", "refused", "repeated"}
    assert {balance_of(alone, who) for who in "abc"} == {balance_of(grouped, who) for who in "abc"}
    digest = grouped.state.digest()
    assert recovery.rebuild(grouped.log, grouped.content, None).digest() == digest
    for reply in second:
        if reply.decision >= 0:
            report = replay(grouped.reader, None, reply.decision)
            assert report.same, report
    alone.close()
    grouped.close()
    again = opened(tmp_path / "grouped")
    assert again.state.digest() == digest
    again.close()


def balance_of(engine, initial: str):
    name = {"a": "anna", "b": "ben", "c": "cleo"}[initial]
    id = wallet_of(engine, name)
    return (initial, engine.state.ledger.balance(id) if engine.state.ledger.is_open(id) else None)


def test_value_is_neither_made_nor_lost(tmp_path):
    engine = opened(tmp_path)
    engine.submit(business(random.Random(99), 400))
    totals = [state.balance for state in engine.state.ledger.accounts()]
    assert sum(one.debits_posted_minor for one in totals) == sum(one.credits_posted_minor for one in totals) > 0
    assert sum(one.debits_held_minor for one in totals) == sum(one.credits_held_minor for one in totals)
    engine.close()


def test_the_clock_of_a_group_that_moves_nothing_leaves_no_trace(tmp_path):
    clock = HandClock()
    engine = opened(tmp_path, clock)
    engine.submit([topped_up("a", 10_000)])
    clock.now_ms += 1_000
    assert one(engine, captures("b", "none", 1)).status == "refused"
    assert engine.state.ledger.now_ms == T0
    assert recovery.rebuild(engine.log, engine.content, None).digest() == engine.state.digest()
    engine.close()


def test_more_than_a_batch_of_the_ledger_is_asked_in_parts_of_whole_chains():
    state = State(recovery.empty_program())
    ledger = state.ledger
    ledger.open_accounts([Account(1, 978, 1), Account(2, 978, 1)], 0, 0)
    body = DecisionBody("approve", "decided", [], [], b"", b"", b"", 0, "")
    decisions = []
    for first in range(1, 3 * BATCH_MAX, 2_000):
        asks = tuple(Ask(f"p.q.t{n}", Transfer(n, 1, 2, 1, code=1)) for n in range(first, first + 2_000))
        decisions.append(DecisionFact(16, 0, 0, b"", (0, 0, 0), body, b"", Asked(asks, (), "decline")))
    made = transfer(state, decisions, 0, 0)
    assert made.facts == [2_000] * len(decisions)
    assert {one.outcome for decision in made.decisions for one in decision.body.transfers} == {"APPLIED"}
    assert ledger.balance(2).credits_posted_minor == 2_000 * len(decisions) > 2 * BATCH_MAX


def test_an_open_account_goes_on_under_its_own_rules_when_the_pack_declares_others(engine):
    one(engine, topped_up("a", 100))
    flags = engine.state.ledger.account(wallet_of(engine, "anna")).account.flags
    engine.activate(wallet(("accounts.toml", "history           = true\n", "")))
    assert moved(one(engine, topped_up("b", 100))) == [("top_up.principal", "APPLIED", 100)]
    assert moved(one(engine, topped_up("c", 100, "ben"))) == [("top_up.principal", "APPLIED", 100)]
    assert engine.state.ledger.account(wallet_of(engine, "anna")).account.flags == flags
    assert engine.state.ledger.account(wallet_of(engine, "ben")).account.flags != flags


@pytest.mark.parametrize("field", ["merchant", "payment"])
def test_a_key_that_is_null_names_no_account_and_no_deal(tmp_path, field):
    entity = {"merchant": '"party.merchant"', "payment": '"payment"'}[field]
    pad = " " * (12 - len(field))
    old = f'{field}{pad} = {{type = "key", entity = {entity}}}'
    engine = opened(tmp_path, packs=wallet(("events.toml", old, old[:-1] + ", optional = true}")))
    one(engine, topped_up("a", 10_000))
    data = {"time_ms": T0, "payer": "anna", "merchant": "bakery", "payment": "p", "amount_minor": 100}
    del data[field]
    reply = one(engine, Request("web", "b", "wallet.payment", json.dumps(data).encode()))
    assert (reply.status, moved(reply)[0]) == ("refused", ("authorise.principal", "KEY_IS_NULL", 0))
    assert replay(engine.reader, None, reply.decision).same
    engine.close()


def test_accounts_say_whose_they_are_and_transfers_of_which_deal(engine):
    one(engine, topped_up("a", 10_000))
    moved_id = int.from_bytes(one(engine, pays("b", 100, payment="p")).transfers[0].id, "little")
    anna, deal = engine.ring.pseudonym("party.customer", "anna"), engine.ring.pseudonym("wallet.payment", "p")
    account = engine.state.ledger.account(wallet_of(engine, "anna")).account
    assert account.owner == int.from_bytes(anna, "little")
    assert engine.state.ledger.transfer_of(moved_id).user_data == int.from_bytes(deal, "little")


def test_limits_of_a_day_are_judged_again_by_the_day_on_which_they_were(tmp_path):
    clock = HandClock()
    limit = "payment_max_minor = 50_000"
    limited = wallet(("accounts.toml", limit, f"{limit}\nday_max_minor = 50_000"))
    engine = opened(tmp_path, clock, limited)
    engine.submit([topped_up("a", 200_000), pays("b", 30_000)])
    refused = one(engine, pays("c", 30_000))
    clock.now_ms += DAY_MS
    later = one(engine, pays("d", 30_000, at=clock.now_ms))
    assert [moved(reply)[0][1] for reply in (refused, later)] == ["DAY_LIMIT_EXCEEDED", "APPLIED"]
    assert all(replay(engine.reader, None, reply.decision).same for reply in (refused, later))
    engine.close()


def test_what_is_refused_at_intake_stands_behind_the_transfers_before_it(engine):
    bad = Request("web", "bad", "wallet.topped_up", b'{"customer": "anna"}')
    replies = engine.submit([bad, topped_up("a", 500), bad, pays("b", 100), bad])
    assert [reply.status for reply in replies] == ["rejected", "decided", "rejected", "decided", "rejected"]
    assert len(engine.rejects()["items"]) == 3
    assert [engine.log.record(reply.decision + 1).cause for reply in (replies[1], replies[3])] == [
        replies[1].decision, replies[3].decision,
    ]  # fmt: skip
    assert recovery.rebuild(engine.log, engine.content, None).digest() == engine.state.digest()
    assert engine.log.verify().ok


def test_a_business_day_never_goes_back_under_decisions_either(engine):
    engine.writer.days = BusinessDays("Asia/Shanghai", 12)  # 18:00 there: a day further than in UTC.
    one(engine, topped_up("a", 500))
    day = engine.state.ledger.day
    engine.writer.days = BusinessDays()
    reply = one(engine, pays("b", 100))
    assert (reply.status, engine.state.ledger.day) == ("decided", day)
    assert replay(engine.reader, None, reply.decision).same


def test_holds_that_end_stand_before_what_intake_refuses(tmp_path):
    clock = HandClock()
    engine = opened(tmp_path, clock)
    engine.submit([topped_up("a", 500), pays("b", 500)])
    clock.now_ms += 7 * DAY_MS
    bad = Request("web", "bad", "wallet.topped_up", b'{"customer": "anna"}')
    head = engine.log.head
    assert [reply.status for reply in engine.submit([bad, pays("c", 500, at=clock.now_ms)])] == ["rejected", "decided"]
    assert engine.log.record(head).type == 2  # An expiry.
    assert [one["offset"] for one in engine.rejects()["items"]] == [head + 1]
    assert recovery.rebuild(engine.log, engine.content, None).digest() == engine.state.digest()
    engine.close()


def test_the_more_severe_of_two_flows_outcomes_is_given_where_the_ledger_refuses(engine):
    mild, severe = Asked((), (), "review"), Asked((), (), "decline")
    program = engine.state.program
    assert {together(program, *pair).outcome for pair in ((mild, severe), (severe, mild))} == {"decline"}
    assert together(program, None, mild) is mild
