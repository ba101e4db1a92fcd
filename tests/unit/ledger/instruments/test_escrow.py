"""Escrow: a row for each refusal in order of precedence, and what value does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from quanheng.feel import NUMBER
from quanheng.ledger.entries import ALL, AccountFlag, Amendment
from quanheng.ledger.instruments import escrow as of
from quanheng.ledger.instruments.conditions import Condition, Fact
from quanheng.ledger.instruments.demo import escrows as demo
from quanheng.ledger.instruments.escrow import Award, Dispute, Escrows, Fund, GiveBack, Milestone, Release, Report
from quanheng.ledger.instruments.escrow import EscrowRefusal as R
from quanheng.ledger.outcomes import TransferOutcome

sys.path.insert(0, str(Path(__file__).parent))
from instrument_bench import CODE, DAY, LEDGERS, START_MS, Bench, new_ledger, party

BUYER, SELLER, ARBITER, CARRIER = 1, 2, 3, 4
CONDITIONS = [
    Condition("delivered", 'event.kind = "delivered"'),
    Condition("tested", 'count(events[kind = "tested" and score >= 90]) >= 2', (("score", NUMBER),)),
    Condition("half_left", "held * 2 <= amount"),
]
MILESTONES = (Milestone("delivered", 400), Milestone("tested", 500))
FUND = Fund(
    1_000, BUYER, party(BUYER), party(SELLER), ARBITER, (CARRIER, SELLER), MILESTONES, 1_000, CODE, 60_000, 30_000
)
SHIPPED, DELIVERED = Fact.of("shipped", START_MS), Fact.of("delivered", START_MS)


def result_of(score):
    return Fact.of("tested", START_MS, score=score)


@pytest.fixture(params=LEDGERS)
def bench(request):
    return Bench(Escrows(CONDITIONS), request.param)


def test_milestones_are_paid_once_when_their_conditions_are_met(bench):
    bench.must(FUND)
    bench.must(Report(2, CARRIER, 1_000, SHIPPED))
    assert (bench.has(BUYER), bench.has(SELLER)) == (9_000, 10_000)
    bench.must(Report(3, CARRIER, 1_000, DELIVERED))
    bench.must(Report(4, CARRIER, 1_000, DELIVERED))
    assert (bench.has(BUYER), bench.has(SELLER)) == (9_000, 10_400)
    for id, score in ((5, 95), (6, 80), (7, 90)):
        bench.must(Report(id, CARRIER, 1_000, result_of(score)))
    assert (bench.has(BUYER), bench.has(SELLER)) == (9_000, 10_900)
    assert bench.instrument.escrows[1_000].paid == {0, 1}
    bench.must(Release(8, BUYER, 1_000, ALL))
    assert bench.has(SELLER) == 11_000
    bench.check_replay(Escrows(CONDITIONS))


def test_two_milestones_in_one_chain_pay_what_is_left(bench):
    milestones = Milestone("half_left", 300), Milestone("delivered", 400)
    bench.must(replace(FUND, milestones=milestones))
    bench.must(Release(2, BUYER, 1_000, 550))
    bench.must(Report(3, CARRIER, 1_000, DELIVERED))
    assert (bench.has(BUYER), bench.has(SELLER)) == (9_000, 11_000)
    assert bench.instrument.escrows[1_000].holding is None


def test_what_is_not_paid_goes_back_by_itself(bench):
    bench.must(FUND)
    bench.must(Report(2, CARRIER, 1_000, DELIVERED), after_ms=59_999)
    assert bench.refused(Report(3, CARRIER, 1_000, result_of(95)), after_ms=1) == R.ESCROW_HAS_EXPIRED
    assert (bench.has(BUYER), bench.has(SELLER)) == (9_600, 10_400)


def test_a_dispute_stops_milestones_and_time_until_the_award(bench):
    bench.must(FUND)
    bench.must(Dispute(2, SELLER, 1_000), after_ms=59_000)
    assert bench.refused(Report(3, CARRIER, 1_000, DELIVERED), after_ms=20_000) == R.ESCROW_IS_DISPUTED
    assert bench.has(BUYER) == 9_000
    bench.must(Award(4, ARBITER, 1_000, 250))
    assert (bench.has(BUYER), bench.has(SELLER)) == (9_750, 10_250)
    assert bench.refused(Award(5, ARBITER, 1_000, 250)) == R.ESCROW_HAS_ENDED
    bench.check_replay(Escrows(CONDITIONS))


@pytest.mark.parametrize(("seller_minor", "left"), [(0, (10_000, 10_000)), (ALL, (9_000, 11_000))])
def test_an_award_of_nothing_or_all(bench, seller_minor, left):
    bench.must(FUND)
    bench.must(Dispute(2, BUYER, 1_000))
    bench.must(Award(3, ARBITER, 1_000, seller_minor))
    assert (bench.has(BUYER), bench.has(SELLER)) == left


def test_without_an_award_the_buyer_has_it_back(bench):
    bench.must(FUND)
    bench.must(Dispute(2, BUYER, 1_000))
    assert bench.refused(Award(3, ARBITER, 1_000, ALL), after_ms=30_000) == R.ESCROW_HAS_EXPIRED
    assert bench.has(BUYER) == 10_000


def test_parties_may_give_in_also_during_a_dispute(bench):
    bench.must(FUND)
    bench.must(GiveBack(2, SELLER, 1_000, 100))
    bench.must(Dispute(3, BUYER, 1_000))
    bench.must(Release(4, BUYER, 1_000, 200))
    bench.must(GiveBack(5, SELLER, 1_000, 300))
    assert (bench.has(BUYER), bench.has(SELLER)) == (9_400, 10_200)
    bench.must(GiveBack(6, SELLER, 1_000, ALL))
    assert (bench.has(BUYER), bench.has(SELLER)) == (9_800, 10_200)
    bench.check_replay(Escrows(CONDITIONS))


def test_a_report_that_comes_twice_is_one_fact(bench):
    bench.must(FUND)
    bench.must(Report(2, CARRIER, 1_000, result_of(95)))
    before = bench.everything()
    bench.must(Report(2, CARRIER, 1_000, result_of(95)), after_ms=7)
    assert bench.everything() == before


def test_a_frozen_buyer_blocks_parts_and_nothing_is_half_done(bench):
    bench.must(FUND)
    frozen = int(AccountFlag.DEBITS_BOUND | AccountFlag.DEBITS_FROZEN)
    bench.ledger.amend_accounts([Amendment(BUYER, frozen)], bench.now_ms, DAY)
    assert bench.refused(Report(2, CARRIER, 1_000, DELIVERED)) == TransferOutcome.DEBIT_ACCOUNT_IS_FROZEN
    assert bench.instrument.escrows[1_000].facts == ()
    bench.must(Release(3, BUYER, 1_000, ALL))
    assert bench.has(SELLER) == 11_000


ROWS = [
    (replace(FUND, id=0, by=9), R.ID_IS_OUT_OF_RANGE),
    (Release(1_000, 9, 7, 0), R.ID_HAS_OTHER_CONTENT),
    (Release(2, 9, 7, 0), R.ESCROW_NOT_FOUND),
    (replace(FUND, id=2, by=SELLER, arbiter=BUYER), R.ACTOR_MAY_NOT),
    (Report(2, BUYER, 1_000, Fact("", 0)), R.ACTOR_MAY_NOT),
    (Release(2, SELLER, 1_000, 0), R.ACTOR_MAY_NOT),
    (GiveBack(2, BUYER, 1_000, 0), R.ACTOR_MAY_NOT),
    (Dispute(2, CARRIER, 1_000), R.ACTOR_MAY_NOT),
    (Award(2, BUYER, 1_000, -1), R.ACTOR_MAY_NOT),
    (replace(FUND, id=2, arbiter=SELLER, code=0), R.PARTIES_MUST_DIFFER),
    (replace(FUND, id=2, seller=party(BUYER)), R.PARTIES_MUST_DIFFER),
    (replace(FUND, id=2, code=65_536, amount_minor=0), R.CODE_IS_OUT_OF_RANGE),
    (replace(FUND, id=2, amount_minor=0, timeout_ms=0), R.AMOUNT_IS_OUT_OF_RANGE),
    (replace(FUND, id=2, milestones=(Milestone("delivered", 0),)), R.AMOUNT_IS_OUT_OF_RANGE),
    (Release(2, BUYER, 1_001, 0), R.AMOUNT_IS_OUT_OF_RANGE),
    (Award(2, ARBITER, 1_001, -1), R.AMOUNT_IS_OUT_OF_RANGE),
    (replace(FUND, id=2, timeout_ms=0, reporters=(9,) * 65), R.TIMEOUT_IS_OUT_OF_RANGE),
    (replace(FUND, id=2, arbitration_ms=0), R.TIMEOUT_IS_OUT_OF_RANGE),
    (replace(FUND, id=2, milestones=(Milestone("unknown", 1),) * 65), R.TOO_MANY_PARTS),
    (replace(FUND, id=2, milestones=(Milestone("unknown", 2_000),)), R.CONDITION_NOT_DECLARED),
    (replace(FUND, id=2, amount_minor=899), R.MILESTONES_EXCEED_AMOUNT),
    (Report(2, CARRIER, 1_001, Fact("", 0)), R.FACT_IS_WRONG),
    (Report(2, CARRIER, 1_000, Fact("late", START_MS + 10**9)), R.FACT_IS_WRONG),
    (Release(2, BUYER, 1_001, 5_000), R.ESCROW_HAS_ENDED),
    (Award(2, ARBITER, 1_002, 5_000), R.ESCROW_HAS_EXPIRED),
    (Dispute(2, BUYER, 1_003), R.ESCROW_IS_DISPUTED),
    (Report(2, CARRIER, 1_003, DELIVERED), R.ESCROW_IS_DISPUTED),
    (Award(2, ARBITER, 1_000, 5_000), R.ESCROW_IS_NOT_DISPUTED),
    (Report(2, CARRIER, 1_004, SHIPPED), R.FACTS_ARE_USED_UP),
    (Release(2, BUYER, 1_000, 1_001), R.AMOUNT_EXCEEDS_HELD),
    (GiveBack(2, SELLER, 1_000, 1_001), R.AMOUNT_EXCEEDS_HELD),
    (Award(2, ARBITER, 1_003, 1_001), R.AMOUNT_EXCEEDS_HELD),
]


@pytest.fixture(scope="module")
def crowded():
    """1000 stands, 1001 has ended, 1002 has expired, 1003 is disputed, 1004 has all its facts."""
    bench = Bench(Escrows(CONDITIONS))
    bench.must(replace(FUND, id=1_001))
    bench.must(Release(11, BUYER, 1_001, ALL))
    bench.must(replace(FUND, id=1_002, timeout_ms=5))
    bench.must(FUND, after_ms=5)
    bench.must(replace(FUND, id=1_003))
    bench.must(Dispute(12, BUYER, 1_003))
    bench.must(replace(FUND, id=1_004))
    for number in range(of.FACTS_MAX):
        bench.must(Report(100 + number, CARRIER, 1_004, SHIPPED))
    return bench


@pytest.mark.parametrize(("action", "code"), ROWS, ids=[f"{code}-{n}" for n, (_, code) in enumerate(ROWS)])
def test_refusals(crowded, action, code):
    assert crowded.refused(action) == code


def test_every_refusal_has_a_row_in_order_of_precedence_and_titles():
    assert list(dict.fromkeys(code for _, code in ROWS)) == list(R)
    assert all(one.en and one.zh and one == one.name for one in R)


@pytest.mark.parametrize("kind", LEDGERS)
def test_a_day_of_escrows(kind):
    played = demo.play(new_ledger(kind), 7, START_MS, DAY)
    assert all(played.checked.values()), played
    assert played.refused > 0
    assert min(played.figures.values()) > 0
