"""Delivery and payment versus payment: a row for each refusal in order of precedence, and what value does."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from quanheng.ledger.entries import AMOUNT_MAX, ID_MAX
from quanheng.ledger.instruments.demo import exchanges as demo
from quanheng.ledger.instruments.exchange import (
    Cancel,
    Exchanges,
    Fail,
    Instruct,
    Lapse,
    Leg,
    NoteFail,
    SafekeepingAccount,
    Settle,
    Terms,
    part_amounts,
)
from quanheng.ledger.instruments.exchange import ExchangeRefusal as R
from quanheng.ledger.instruments.exchange_rounds import settle_due
from quanheng.ledger.outcomes import TransferOutcome

sys.path.insert(0, str(Path(__file__).parent))
from asset_bench import AssetBench, account
from instrument_bench import CODE, DAY, LEDGERS, START_MS, new_ledger

BOND, CASH, AGENT, SELLER, BUYER, BROKER = 1, 2, 90, 1, 2, 3
DVP = Terms((Leg(SELLER, BUYER, BOND, 100), Leg(BUYER, SELLER, CASH, 9_000)), CODE, START_MS + 10, START_MS + 1_000)


def keeps(n, *assets):
    return tuple(SafekeepingAccount(asset, account(asset, n)) for asset in assets)


def instruct(id, by, terms=DVP, trade=7):
    moved = {leg.asset for leg in terms.legs if by in (leg.deliverer, leg.receiver)}
    return Instruct(id, by, trade, terms, keeps(by, *sorted(moved)))


def match(bench, terms=DVP, trade=7, first=100):
    for place, by in enumerate(sorted(terms.parties)):
        bench.must(instruct(first + place, by, terms, trade))


@pytest.fixture(params=LEDGERS)
def bench(request):
    return AssetBench(Exchanges(AGENT), request.param)


def trade(bench, reference=7):
    return bench.instrument.trades[reference]


def test_both_sides_instruct_and_the_trade_settles_whole(bench):
    bench.must(instruct(100, SELLER))
    assert bench.refused(Settle(101, SELLER, 7)) == R.TRADE_IS_NOT_MATCHED
    bench.must(instruct(102, BUYER))
    assert trade(bench).matched
    assert bench.refused(Settle(103, AGENT, 7)) == R.NOT_DUE_YET
    bench.must(Settle(104, AGENT, 7), after_ms=10)
    assert (bench.holds(BOND)[:2], bench.holds(CASH)[:2]) == ([9_900, 10_100], [19_000, 1_000])
    bench.must(Settle(104, AGENT, 7))
    assert bench.holds(CASH)[:2] == [19_000, 1_000], "asked twice, settled once"
    bench.check_replay(Exchanges(AGENT))


def test_other_terms_do_not_match_until_one_side_instructs_anew(bench):
    other = replace(DVP, legs=(DVP.legs[0], Leg(BUYER, SELLER, CASH, 8_999)))
    bench.must(instruct(100, SELLER))
    bench.must(instruct(101, BUYER, other))
    assert not trade(bench).matched
    assert bench.refused(instruct(102, BUYER)) == R.INSTRUCTED_BEFORE
    bench.must(Cancel(103, BUYER, 7))
    bench.must(instruct(104, BUYER))
    assert trade(bench).matched


def test_a_leg_that_cannot_settle_stops_all_legs(bench):
    """Delivery is first in the chain and could settle; payment cannot."""
    match(bench, replace(DVP, legs=(DVP.legs[0], Leg(BUYER, SELLER, CASH, 10_001))))
    assert bench.refused(Settle(110, AGENT, 7), after_ms=10) == TransferOutcome.BALANCE_IS_TOO_LOW
    assert bench.holds(BOND) == [10_000] * 4


def test_a_ring_of_three_currencies_settles_at_once(bench):
    bench = AssetBench(Exchanges(AGENT), assets=(1, 2, 3))
    ring = replace(DVP, legs=(Leg(1, 2, 1, 100), Leg(2, 3, 2, 200), Leg(3, 1, 3, 300)))
    match(bench, ring)
    bench.must(Settle(110, 2, 7), after_ms=10)
    assert bench.holds(1)[:3] == [9_900, 10_100, 10_000]
    assert bench.holds(2)[:3] == [10_000, 9_800, 10_200]
    assert bench.holds(3)[:3] == [10_300, 10_000, 9_700]


def test_parts_are_in_proportion_and_sum_to_the_legs(bench):
    odd = replace(DVP, legs=(Leg(SELLER, BUYER, BOND, 7), Leg(BUYER, SELLER, CASH, 100)), partial_min_minor=2)
    match(bench, odd)
    bench.must(Settle(110, AGENT, 7, 3), after_ms=10)
    assert bench.holds(CASH)[:2] == [10_042, 9_958]
    assert bench.refused(Settle(111, AGENT, 7, 1)) == R.PART_IS_TOO_SMALL
    bench.must(Settle(112, AGENT, 7, 3))
    assert bench.holds(CASH)[:2] == [10_085, 9_915]
    bench.must(Settle(113, AGENT, 7, 1))
    assert (bench.holds(BOND)[:2], bench.holds(CASH)[:2]) == ([9_993, 10_007], [10_100, 9_900])
    bench.check_replay(Exchanges(AGENT))


def test_part_amounts_of_a_leg_smaller_than_the_lead():
    terms = replace(DVP, legs=(Leg(1, 2, 1, 10), Leg(2, 1, 2, 3)))
    assert [part_amounts(terms, n, n + 1)[1] for n in range(10)] == [0, 0, 0, 1, 0, 0, 1, 0, 0, 1]


def test_a_matched_trade_is_cancelled_by_all_parties_together(bench):
    match(bench)
    bench.must(Cancel(110, SELLER, 7))
    assert trade(bench).open
    bench.must(Cancel(111, BUYER, 7))
    assert bench.refused(Settle(112, AGENT, 7), after_ms=10) == R.TRADE_IS_CANCELLED


def test_a_round_notes_the_fail_and_settles_the_next_time(bench):
    match(bench, replace(DVP, legs=(DVP.legs[0], Leg(BUYER, SELLER, CASH, 12_000))))
    bench.now_ms += 10
    first = settle_due(bench.ledger, bench.instrument, 500, bench.now_ms, bench.day)
    assert first.failed == {7: TransferOutcome.BALANCE_IS_TOO_LOW}
    assert trade(bench).last_fail == Fail(TransferOutcome.BALANCE_IS_TOO_LOW, 1, bench.now_ms)
    bench.give(CASH, BUYER, 2_000)
    bench.now_ms += 1
    assert settle_due(bench.ledger, bench.instrument, 501, bench.now_ms, bench.day).settled == (7,)
    assert (trade(bench).fails, trade(bench).rest_minor) == (1, 0)


def test_one_settlement_makes_another_possible_in_the_same_round(bench):
    """The broker has nothing to deliver before it has bought; its sale has priority and is tried first."""
    bench.give(BOND, BROKER, -10_000)
    match(bench, replace(DVP, legs=(Leg(BROKER, BUYER, BOND, 50), Leg(BUYER, BROKER, CASH, 60)), priority=1), 8, 200)
    match(bench, replace(DVP, legs=(Leg(SELLER, BROKER, BOND, 50), Leg(BROKER, SELLER, CASH, 55))), 9, 300)
    bench.now_ms += 10
    done = settle_due(bench.ledger, bench.instrument, 500, bench.now_ms, bench.day)
    assert (done.settled, done.failed, done.attempts) == ((9, 8), {}, 3)
    assert bench.holds(CASH)[:3] == [10_055, 9_940, 10_005]


@pytest.mark.parametrize(("smallest", "part"), [(1, 3_333), (10, 3_330)])
def test_a_round_settles_a_part_less_than_the_smallest_below_what_there_is(bench, smallest, part):
    legs = Leg(SELLER, BUYER, BOND, 9_000), Leg(BUYER, SELLER, CASH, 27_000)
    match(bench, Terms(legs, CODE, 0, START_MS + 50, smallest))
    done = settle_due(bench.ledger, bench.instrument, 500, bench.now_ms, bench.day)
    assert done.parts == ((7, part),)
    assert bench.holds(CASH)[:2] == [10_000 + 3 * part, 10_000 - 3 * part]
    assert done.attempts <= 65
    bench.now_ms += 50
    assert settle_due(bench.ledger, bench.instrument, 501, bench.now_ms, bench.day).lapsed == (7,)
    assert bench.refused(Settle(900, AGENT, 7)) == R.TRADE_IS_CANCELLED


def test_a_round_asked_twice_changes_nothing_more(bench):
    match(bench)
    bench.now_ms += 10
    for _ in range(2):
        settle_due(bench.ledger, bench.instrument, 500, bench.now_ms, bench.day)
        assert bench.holds(CASH)[:2] == [19_000, 1_000]


FULL = replace(DVP, due_ms=0)
PARTS = replace(FULL, partial_min_minor=10)
ASK = instruct(1, SELLER)
# refusal, terms of trade 7 that is matched before (or None), actions before, the action, ms that pass before it
TABLE = [
    (R.ID_IS_OUT_OF_RANGE, None, [], replace(ASK, id=ID_MAX), 0),
    (R.ID_HAS_OTHER_CONTENT, None, [ASK], replace(ASK, trade=8), 0),
    (R.TRADE_NOT_FOUND, None, [], Settle(9, AGENT, 7), 0),
    (R.TRADE_IS_OUT_OF_RANGE, None, [], replace(ASK, trade=0), 0),
    (R.LEGS_ARE_WRONG, None, [], replace(ASK, terms=replace(DVP, legs=())), 0),
    (R.LEGS_ARE_WRONG, None, [], replace(ASK, terms=replace(DVP, legs=(Leg(1, 1, 1, 5),))), 0),
    (R.LEGS_ARE_WRONG, None, [], replace(ASK, terms=replace(DVP, legs=(Leg(1, 2, 1, AMOUNT_MAX + 1),))), 0),
    (R.CODE_IS_OUT_OF_RANGE, None, [], replace(ASK, terms=replace(DVP, code=0)), 0),
    (R.TIMES_ARE_WRONG, None, [], ASK, 1_000),
    (R.TIMES_ARE_WRONG, None, [], replace(ASK, terms=replace(DVP, due_ms=DVP.deadline_ms)), 0),
    (R.PARTIAL_IS_WRONG, None, [], replace(ASK, terms=replace(DVP, partial_min_minor=101)), 0),
    (R.PRIORITY_IS_OUT_OF_RANGE, None, [], replace(ASK, terms=replace(DVP, priority=10)), 0),
    (R.PRIORITY_IS_OUT_OF_RANGE, None, [], replace(ASK, terms=replace(DVP, priority="1")), 0),
    (R.PARTIES_ARE_OTHERS, None, [ASK], instruct(2, 3, replace(DVP, legs=(Leg(3, 4, 1, 5),))), 0),
    (R.ACTOR_MAY_NOT, None, [], replace(ASK, by=BROKER), 0),
    (R.ACTOR_MAY_NOT, FULL, [], Settle(9, BROKER, 7), 0),
    (R.ACTOR_MAY_NOT, FULL, [], NoteFail(9, SELLER, 7, 123, 0), 0),
    (R.ACCOUNTS_ARE_WRONG, None, [], replace(ASK, accounts=keeps(SELLER, BOND)), 0),
    (R.ACCOUNTS_ARE_WRONG, None, [], replace(ASK, accounts=keeps(SELLER, BOND, CASH, CASH)), 0),
    (R.TRADE_IS_CANCELLED, FULL, [Cancel(10, 1, 7), Cancel(11, 2, 7)], replace(ASK, terms=FULL), 0),
    (R.TRADE_IS_SETTLED, FULL, [Settle(10, 1, 7)], Cancel(11, 1, 7), 0),
    (R.TRADE_IS_MATCHED, FULL, [], replace(ASK, terms=FULL), 0),
    (R.INSTRUCTED_BEFORE, None, [ASK], replace(ASK, id=2), 0),
    (R.NOT_INSTRUCTED, None, [ASK], Cancel(2, BUYER, 7), 0),
    (R.TRADE_IS_NOT_MATCHED, None, [ASK], Lapse(2, AGENT, 7), 0),
    (R.NOT_DUE_YET, DVP, [], Settle(9, BUYER, 7), 9),
    (R.DEADLINE_HAS_PASSED, FULL, [], Settle(9, BUYER, 7), 1_000),
    (R.DEADLINE_HAS_NOT_PASSED, FULL, [], Lapse(9, AGENT, 7), 999),
    (R.AMOUNT_IS_OUT_OF_RANGE, PARTS, [], Settle(9, BUYER, 7, -1), 0),
    (R.AMOUNT_IS_OUT_OF_RANGE, PARTS, [], Settle(9, BUYER, 7, 20.0), 0),
    (R.PARTIAL_IS_NOT_ALLOWED, FULL, [], Settle(9, BUYER, 7, 50), 0),
    (R.PART_IS_TOO_SMALL, PARTS, [], Settle(9, BUYER, 7, 9), 0),
    (R.PART_EXCEEDS_REST, PARTS, [Settle(8, BUYER, 7, 30)], Settle(9, BUYER, 7, 71), 0),
    (R.REASON_IS_UNKNOWN, FULL, [], NoteFail(9, AGENT, 7, 0, 0), 0),
]


@pytest.mark.parametrize(("refusal", "matched", "before", "action", "after_ms"), TABLE)
def test_each_refusal(refusal, matched, before, action, after_ms):
    bench = AssetBench(Exchanges(AGENT))
    if matched:
        match(bench, matched)
    for one in before:
        bench.must(one)
    assert bench.refused(action, after_ms) == refusal


def test_the_table_is_the_list_in_order_of_precedence():
    assert list(dict.fromkeys(row[0] for row in TABLE)) == list(R)


@pytest.mark.parametrize("code", R)
def test_titles(code):
    assert code.en
    assert re.search(r"[\u4e00-\u9fff]", code.zh)


@pytest.mark.parametrize("kind", LEDGERS)
def test_a_day_of_business(kind):
    played = demo.play(new_ledger(kind), 5, START_MS, DAY)
    assert all(played.checked.values()), played.checked
    assert played == demo.play(new_ledger("slow"), 5, START_MS, DAY)
    assert min(played.figures[name] for name in ("settled", "parts", "fails", "lapsed", "cancelled")) > 0
