"""Multilateral netting: a row for each refusal in order of precedence, caps, queues, settlement, failure."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from quanheng.ledger.entries import AMOUNT_MAX, BATCH_MAX, NO_LIMIT
from quanheng.ledger.instruments.demo import netting as demo
from quanheng.ledger.instruments.netting import Netting, part_id
from quanheng.ledger.instruments.netting_actions import (
    ClearingAccount,
    CloseCycle,
    DeclareFailure,
    FailureRule,
    Member,
    OpenCycle,
    Resolve,
    SetCap,
    SettleNet,
    Submit,
    Withdraw,
)
from quanheng.ledger.instruments.netting_actions import NettingRefusal as R
from quanheng.ledger.instruments.netting_cycle import SUBMITTED_MAX, Status, loss_shares
from quanheng.ledger.instruments.netting_rounds import settle_or_fail
from quanheng.ledger.outcomes import TransferOutcome

sys.path.insert(0, str(Path(__file__).parent))
from asset_bench import AssetBench, account
from instrument_bench import CODE, DAY, LEDGERS, START_MS, new_ledger

EUR, USD, OPERATOR, CLEARING = 1, 2, 90, 50
MEMBERS = tuple(Member(n, asset, account(asset, n), 1_000, 600 * n) for asset in (EUR, USD) for n in (1, 2, 3, 4))
OPEN = OpenCycle(
    7, OPERATOR, MEMBERS, tuple(ClearingAccount(asset, account(asset, CLEARING)) for asset in (EUR, USD)), CODE
)
SHARED = replace(OPEN, failure=FailureRule.SHARE_LOSS)


def owes(id, debtor, creditor, amount_minor, asset=EUR, priority=5):
    return Submit(id, debtor, 7, creditor, asset, amount_minor, priority)


def new_bench(kind="slow", funds_minor=10_000, caps=None):
    return AssetBench(Netting(OPERATOR), kind, (EUR, USD), 4, funds_minor, (CLEARING,), caps)


@pytest.fixture(params=LEDGERS)
def bench(request):
    one = new_bench(request.param)
    one.must(OPEN)
    return one


def cycle(bench):
    return bench.instrument.cycles[7]


def status(bench, *ids):
    return [cycle(bench).obligations[id].status for id in ids]


def nets(bench, asset=EUR):
    return [cycle(bench).position(n, asset) for n in (1, 2, 3, 4)]


def test_only_net_positions_move(bench):
    for one in (owes(101, 1, 2, 900), owes(102, 2, 3, 800), owes(103, 3, 1, 700)):
        bench.must(one)
    assert nets(bench) == [-200, 100, 100, 0]
    result = bench.must(SettleNet(104, OPERATOR, 7))
    assert [answer.amount_minor for answer in result.answers] == [200, 100, 100]
    assert bench.holds(EUR) == [9_800, 10_100, 10_100, 10_000]
    assert bench.has(account(EUR, CLEARING)) == 0
    assert status(bench, 101, 102, 103) == [Status.SETTLED] * 3
    bench.must(SettleNet(104, OPERATOR, 7))
    assert bench.holds(EUR)[0] == 9_800, "asked twice, settled once"
    assert bench.refused(SettleNet(105, OPERATOR, 7)) == R.NOTHING_TO_SETTLE
    bench.check_replay(Netting(OPERATOR))


def test_what_the_cap_does_not_allow_waits_and_what_follows_it_too(bench):
    bench.must(owes(101, 1, 2, 900))
    bench.must(owes(102, 1, 3, 200))
    bench.must(owes(103, 1, 3, 50))
    bench.must(owes(104, 1, 3, 60, priority=0))
    assert status(bench, 101, 102, 103, 104) == [Status.NETTED, Status.QUEUED, Status.QUEUED, Status.NETTED]
    bench.must(owes(105, 3, 1, 160))
    assert status(bench, 102) == [Status.QUEUED], "money that comes releases nothing by itself"
    bench.must(Resolve(106, OPERATOR, 7))
    assert status(bench, 102, 103) == [Status.NETTED, Status.QUEUED], "up to the cap, not beyond it"
    assert nets(bench) == [-1_000, 900, 100, 0]


def test_a_cycle_that_bypasses_passes_over_what_has_no_room(bench):
    bench = new_bench()
    bench.must(replace(OPEN, bypasses=True))
    for one in (owes(101, 1, 2, 900), owes(102, 1, 3, 200), owes(103, 1, 3, 50)):
        bench.must(one)
    assert status(bench, 102, 103) == [Status.QUEUED, Status.NETTED]


def test_a_gridlock_is_resolved(bench):
    """Nobody can owe more than 1 000, everybody owes 1 500 in a ring."""
    for n in (1, 2, 3, 4):
        bench.must(owes(100 + n, n, n % 4 + 1, 1_500))
    assert status(bench, 101, 102, 103, 104) == [Status.QUEUED] * 4
    bench.must(Resolve(110, OPERATOR, 7))
    assert status(bench, 101, 102, 103, 104) == [Status.NETTED] * 4
    assert nets(bench) == [0, 0, 0, 0]
    assert bench.must(SettleNet(111, OPERATOR, 7)).answers == []
    assert status(bench, 101) == [Status.SETTLED]


def test_assets_settled_one_by_one_or_in_one_chain_come_to_the_same():
    together, apart = new_bench(), new_bench()
    for bench in (together, apart):
        bench.must(OPEN)
        for place, one in enumerate([(1, 2, 500, EUR), (2, 1, 400, USD), (3, 1, 90, USD), (4, 2, 70, EUR)]):
            bench.must(owes(100 + place, *one))
    together.must(SettleNet(110, OPERATOR, 7))
    for asset in (USD, EUR):
        apart.must(SettleNet(110 + asset, OPERATOR, 7, (asset,)))
    assert [together.holds(one) for one in (EUR, USD)] == [apart.holds(one) for one in (EUR, USD)]


def test_settlement_is_all_or_nothing(bench):
    bench.give(EUR, 2, -9_900)
    bench.must(owes(101, 1, 3, 500))
    bench.must(owes(102, 2, 3, 101))
    assert bench.refused(SettleNet(103, OPERATOR, 7)) == TransferOutcome.BALANCE_IS_TOO_LOW
    assert bench.holds(EUR) == [10_000, 100, 10_000, 10_000]


def test_the_cap_of_the_account_is_judged_by_the_ledger():
    bench = new_bench(caps={1: 400})
    bench.must(OPEN)
    bench.must(owes(101, 1, 3, 401))
    bench.day += 1  # Funds that came on the day before do not count as its credits.
    assert bench.refused(SettleNet(103, OPERATOR, 7)) == TransferOutcome.NET_DEBIT_CAP_EXCEEDED
    bench.must(owes(104, 3, 1, 1))
    bench.must(SettleNet(105, OPERATOR, 7))
    assert bench.holds(EUR)[0] == 9_600


def test_a_failure_is_unwound_and_what_others_then_cannot_bear_is_queued_again(bench):
    """2 owed 1 500 with 900 from 1 in view; without them it is beyond its cap of 1 000."""
    bench.must(owes(101, 1, 2, 900))
    bench.must(owes(102, 2, 3, 800))
    bench.must(owes(103, 2, 4, 700))
    bench.must(owes(104, 3, 4, 10))
    bench.must(DeclareFailure(105, OPERATOR, 7, 1))
    assert status(bench, 101, 102, 103, 104) == [Status.UNWOUND, Status.NETTED, Status.QUEUED, Status.NETTED]
    assert nets(bench) == [0, -800, 790, 10]
    assert bench.refused(owes(106, 1, 2, 1)) == R.MEMBER_HAS_FAILED
    bench.must(SettleNet(107, OPERATOR, 7))
    bench.check_replay(Netting(OPERATOR))


def test_what_has_no_room_after_a_failure_is_returned_where_the_cycle_is_closed():
    bench = new_bench()
    for one in (OPEN, owes(101, 1, 2, 900), owes(102, 2, 3, 800), owes(103, 2, 4, 700), CloseCycle(104, OPERATOR, 7)):
        bench.must(one)
    bench.must(DeclareFailure(105, OPERATOR, 7, 1))
    assert status(bench, 101, 102, 103) == [Status.UNWOUND, Status.NETTED, Status.RETURNED]


def test_a_loss_is_shared_in_proportion_to_what_each_bears():
    bench = new_bench()
    bench.must(SHARED)
    bench.must(owes(101, 1, 2, 901))
    bench.must(owes(102, 2, 3, 300))
    assert loss_shares(cycle(bench), 1, EUR) == {2: 200, 3: 300, 4: 401}
    bench.must(DeclareFailure(103, OPERATOR, 7, 1))
    assert nets(bench) == [0, 401, 0, -401]
    assert cycle(bench).losses_minor == {(EUR, 1, 2): 200, (EUR, 1, 3): 300, (EUR, 1, 4): 401}
    bench.must(SettleNet(104, OPERATOR, 7))
    assert bench.holds(EUR) == [10_000, 10_401, 10_000, 9_599]


def test_what_was_borne_before_counts_for_the_next_loss():
    """3 and 4 bear 1 800 and 2 400 at most; after a first loss 1 500 and 2 000 are left."""
    bench = new_bench()
    bench.must(SHARED)
    bench.must(owes(101, 1, 3, 900))
    bench.must(DeclareFailure(102, OPERATOR, 7, 1))
    bench.must(SetCap(103, OPERATOR, 7, 2, EUR, NO_LIMIT))
    bench.must(owes(104, 2, 3, 3_301))
    assert bench.refused(DeclareFailure(105, OPERATOR, 7, 2)) == R.LOSS_EXCEEDS_SHARES
    bench.must(owes(106, 4, 2, 1))
    assert loss_shares(cycle(bench), 2, EUR) == {3: 1_500, 4: 2_000}
    bench.must(DeclareFailure(107, OPERATOR, 7, 2))
    assert cycle(bench).borne_minor == {(2, EUR): 200, (3, EUR): 1_800, (4, EUR): 2_400}


@pytest.mark.parametrize("opened", [OPEN, SHARED])
@pytest.mark.parametrize("kind", LEDGERS)
def test_a_round_declares_who_cannot_pay_and_settles_the_rest(opened, kind):
    bench = new_bench(kind)
    bench.must(opened)
    bench.give(EUR, 1, -9_990)
    bench.must(owes(101, 1, 2, 900))
    bench.must(owes(102, 2, 3, 300))
    done = settle_or_fail(bench.ledger, bench.instrument, 7, 500, bench.now_ms, bench.day)
    assert done.last.applied
    assert done.failed == ((1, TransferOutcome.BALANCE_IS_TOO_LOW),)
    shared = opened is SHARED
    assert bench.holds(EUR) == [10, *([10_400, 10_000, 9_600] if shared else [9_700, 10_300, 10_000])]


def pledging(of, minor):
    """The members, of whom 1 has collateral in euros."""
    return (replace(MEMBERS[0], collateral=of, collateral_minor=minor), *MEMBERS[1:])


def retaining(of):
    return (replace(OPEN.clearing[0], retained=of), replace(OPEN.clearing[1], retained=account(USD, RETAINED)))


RETAINED, PLEDGED = 60, account(EUR, 5)
# Member 1 owes 900 euros and cannot pay, and is owed 500 dollars. 2 owes 3 300 euros besides.
# rule, collateral declared, collateral there, is retained -> euros of 1 to 4, called of the collateral, dollars of 1,
# dollars retained
FAILURES = [
    (FailureRule.UNWIND, 0, 0, False, [0, -300, 300, 0], 0, 0, 0),
    (FailureRule.UNWIND, 540, 540, True, [0, -300, 300, 0], 0, 0, 0),
    (FailureRule.SHARE_LOSS, 0, 0, False, [0, 400, 0, -400], 0, 500, 0),
    (FailureRule.SHARE_LOSS, 0, 0, True, [0, 400, 0, -400], 0, 0, 500),
    (FailureRule.SHARE_LOSS, 540, 540, False, [0, 520, 180, -160], 540, 500, 0),
    (FailureRule.SHARE_LOSS, 540, 540, True, [0, 520, 180, -160], 540, 0, 500),
    (FailureRule.SHARE_LOSS, 900, 900, True, [0, 600, 300, 0], 900, 500, 0),
    (FailureRule.SHARE_LOSS, 5_000, 5_000, True, [0, 600, 300, 0], 900, 500, 0),
    (FailureRule.SHARE_LOSS, 540, 539, True, [0, 400, 0, -400], 0, 0, 500),
]


@pytest.mark.parametrize("kind", LEDGERS)
@pytest.mark.parametrize(("rule", "declared", "there", "retains", "euros", "called", "dollars", "kept"), FAILURES)
def test_what_happens_when_a_member_fails(rule, declared, there, retains, euros, called, dollars, kept, kind):
    bench = AssetBench(Netting(OPERATOR), kind, (EUR, USD), 5, 10_000, (CLEARING, RETAINED))
    members = pledging(PLEDGED, declared) if declared else MEMBERS
    clearing = retaining(account(EUR, RETAINED)) if retains else OPEN.clearing
    bench.must(replace(OPEN, failure=rule, members=members, clearing=clearing))
    bench.give(EUR, 1, -9_990)
    bench.give(EUR, 5, there - 10_000)
    for one in (owes(101, 1, 2, 900), owes(102, 2, 3, 300), owes(103, 2, 1, 500, asset=USD)):
        bench.must(one)
    before = bench.holds(EUR), bench.holds(USD)
    done = settle_or_fail(bench.ledger, bench.instrument, 7, 500, bench.now_ms, bench.day)
    assert done.last.applied
    assert done.failed == ((1, TransferOutcome.BALANCE_IS_TOO_LOW),)
    moved = [now - was for now, was in zip(bench.holds(EUR), before[0], strict=True)]
    assert (moved[:4], -moved[4]) == (euros, called)
    assert bench.holds(USD)[0] - before[1][0] == dollars
    assert [bench.has(account(asset, RETAINED)) for asset in (EUR, USD)] == [0, kept]
    assert [bench.has(account(asset, CLEARING)) for asset in (EUR, USD)] == [0, 0]
    cycle = bench.instrument.cycles[7]
    assert cycle.retained_minor == ({(1, USD): kept} if kept else {})
    assert cycle.called_minor == ({(1, EUR): called} if called else {})
    shares = sum(cycle.losses_minor.values())
    assert shares == (0 if rule == FailureRule.UNWIND else 900 - called)


def test_what_collateral_has_paid_waits_in_clearing_until_it_is_settled():
    """In euros; dollars are settled before, and say nothing of it."""
    other = AssetBench(Netting(OPERATOR), "slow", (EUR, USD), 5, 10_000, (CLEARING,))
    other.must(replace(SHARED, members=pledging(PLEDGED, 600)))
    for one in (owes(101, 1, 2, 600), owes(102, 3, 4, 5, asset=USD), DeclareFailure(103, OPERATOR, 7, 1)):
        other.must(one)
    assert (other.has(account(EUR, CLEARING)), other.instrument.cycles[7].paid_in_minor) == (600, {EUR: 600})
    other.must(SettleNet(104, OPERATOR, 7, (USD,)))
    assert other.has(account(EUR, CLEARING)) == 600
    other.must(SettleNet(105, OPERATOR, 7))
    assert (other.has(account(EUR, CLEARING)), other.instrument.cycles[7].paid_in_minor) == (0, {})
    assert other.holds(EUR)[:2] == [10_000, 10_600]
    other.check_replay(Netting(OPERATOR))


def test_a_call_that_the_ledger_refuses_changes_nothing():
    other = AssetBench(Netting(OPERATOR), "slow", (EUR, USD), 5, 10_000, (CLEARING,))
    other.must(replace(SHARED, members=pledging(PLEDGED, 600)))
    other.give(EUR, 5, -9_500)
    other.must(owes(101, 1, 2, 600))
    assert other.refused(DeclareFailure(102, OPERATOR, 7, 1)) == TransferOutcome.BALANCE_IS_TOO_LOW
    other.must(DeclareFailure(103, OPERATOR, 7, 1, collateral=False))
    assert sum(other.instrument.cycles[7].losses_minor.values()) == 600


def test_a_round_stops_where_survivors_do_not_bear_the_loss():
    bench = new_bench()
    bench.must(replace(SHARED, members=tuple(replace(one, loss_max_minor=10) for one in MEMBERS)))
    bench.give(EUR, 1, -9_990)
    bench.must(owes(101, 1, 2, 900))
    done = settle_or_fail(bench.ledger, bench.instrument, 7, 500, bench.now_ms, bench.day)
    assert (done.last.outcome, done.failed) == (TransferOutcome.BALANCE_IS_TOO_LOW, ())
    assert done.stopped.refusal.code == R.LOSS_EXCEEDS_SHARES
    assert bench.holds(EUR)[1] == 10_000


def test_a_round_without_a_failure():
    bench = new_bench()
    bench.must(OPEN)
    assert settle_or_fail(bench.ledger, bench.instrument, 7, 500, bench.now_ms, bench.day).last.refusal.code == (
        R.NOTHING_TO_SETTLE
    )
    bench.must(owes(101, 1, 2, 900))
    assert settle_or_fail(bench.ledger, bench.instrument, 7, 501, bench.now_ms, bench.day).failed == ()
    assert bench.holds(EUR)[0] == 9_100


def fold_more_than_fits(bench):
    """One debtor more than fits one chain of pay-ins and a pay-out. Folded alone: a bench makes digests each time."""
    members = tuple(Member(n, EUR, 100_000 + n) for n in range(1, BATCH_MAX + 2))
    bench.instrument.apply(OpenCycle(7, OPERATOR, members, (ClearingAccount(EUR, 5),), CODE), bench.now_ms)
    for n in range(2, BATCH_MAX + 2):
        bench.instrument.apply(Submit(10_000 + n, n, 7, 1, EUR, 1), bench.now_ms)


OWED = owes(101, 1, 2, 900)
CAPPED = tuple(replace(one, cap_minor=-2) for one in MEMBERS)
# refusal, actions before, the action
TABLE = [
    (R.ID_IS_OUT_OF_RANGE, [OPEN], replace(OWED, id=0)),
    (R.ID_HAS_OTHER_CONTENT, [OPEN, OWED], replace(OWED, amount_minor=5)),
    (R.CYCLE_NOT_FOUND, [], OWED),
    (R.ACTOR_MAY_NOT, [], replace(OPEN, by=1)),
    (R.ACTOR_MAY_NOT, [OPEN], Resolve(9, 1, 7)),
    (R.ACTOR_MAY_NOT, [OPEN, owes(101, 1, 2, 1_001)], Withdraw(9, 2, 7, 101)),
    (R.CODE_IS_OUT_OF_RANGE, [], replace(OPEN, code=0)),
    (R.MEMBERS_ARE_WRONG, [], replace(OPEN, members=())),
    (R.MEMBERS_ARE_WRONG, [], replace(OPEN, members=(*MEMBERS, MEMBERS[0]))),
    (R.CAP_IS_OUT_OF_RANGE, [], replace(OPEN, members=CAPPED)),
    (R.CAP_IS_OUT_OF_RANGE, [OPEN], SetCap(9, OPERATOR, 7, 1, EUR, AMOUNT_MAX + 1)),
    (R.CLEARING_IS_WRONG, [], replace(OPEN, clearing=OPEN.clearing[:1])),
    (R.CLEARING_IS_WRONG, [], replace(OPEN, clearing=(OPEN.clearing[0], ClearingAccount(USD, account(USD, 1))))),
    (R.CLEARING_IS_WRONG, [], replace(OPEN, clearing=retaining(account(EUR, 1)))),
    (R.CLEARING_IS_WRONG, [], replace(OPEN, clearing=retaining(account(EUR, CLEARING)))),
    (R.COLLATERAL_IS_WRONG, [], replace(OPEN, members=pledging(account(EUR, 5), 0))),
    (R.COLLATERAL_IS_WRONG, [], replace(OPEN, members=pledging(0, 5))),
    (R.COLLATERAL_IS_WRONG, [], replace(OPEN, members=pledging(account(EUR, 2), 5))),
    (R.COLLATERAL_IS_WRONG, [], replace(OPEN, members=pledging(account(EUR, CLEARING), 5))),
    (R.CYCLE_IS_CLOSED, [OPEN, CloseCycle(8, OPERATOR, 7)], OWED),
    (R.CYCLE_IS_CLOSED, [OPEN, CloseCycle(8, OPERATOR, 7)], Resolve(9, OPERATOR, 7)),
    (R.MEMBER_NOT_FOUND, [OPEN], replace(OWED, creditor=5)),
    (R.MEMBER_NOT_FOUND, [OPEN], SetCap(9, OPERATOR, 7, 1, 3, 5)),
    (R.MEMBER_NOT_FOUND, [OPEN], DeclareFailure(9, OPERATOR, 7, 5)),
    (R.MEMBER_HAS_FAILED, [OPEN, DeclareFailure(8, OPERATOR, 7, 2)], OWED),
    (R.MEMBER_HAS_FAILED, [OPEN, DeclareFailure(8, OPERATOR, 7, 2)], DeclareFailure(9, OPERATOR, 7, 2)),
    (R.PARTIES_MUST_DIFFER, [OPEN], replace(OWED, creditor=1)),
    (R.AMOUNT_IS_OUT_OF_RANGE, [OPEN], replace(OWED, amount_minor=0)),
    (R.PRIORITY_IS_OUT_OF_RANGE, [OPEN], replace(OWED, priority=10)),
    (R.PRIORITY_IS_OUT_OF_RANGE, [OPEN], replace(OWED, priority=None)),
    (R.CYCLE_IS_FULL, [OPEN, owes(102, 2, 1, SUBMITTED_MAX - 899)], OWED),
    (R.OBLIGATION_NOT_FOUND, [OPEN], Withdraw(9, 1, 7, 101)),
    (R.OBLIGATION_IS_NOT_QUEUED, [OPEN, OWED], Withdraw(9, 1, 7, 101)),
    (R.CAP_IS_BELOW_POSITION, [OPEN, OWED], SetCap(9, OPERATOR, 7, 1, EUR, 899)),
    (R.ASSET_IS_NOT_CLEARED, [OPEN, OWED], SettleNet(9, OPERATOR, 7, (EUR, 3))),
    (R.NOTHING_TO_SETTLE, [OPEN, OWED], SettleNet(9, OPERATOR, 7, (USD,))),
    (R.BATCH_IS_TOO_LARGE, "many", SettleNet(9, OPERATOR, 7)),
    (R.LOSS_EXCEEDS_SHARES, [replace(SHARED, members=MEMBERS[:2], clearing=OPEN.clearing[:1]),
                             SetCap(8, OPERATOR, 7, 2, EUR, NO_LIMIT), owes(101, 2, 1, 601)],
     DeclareFailure(9, OPERATOR, 7, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("refusal", "before", "action"), TABLE)
def test_each_refusal(refusal, before, action):
    bench = new_bench()
    if before == "many":
        fold_more_than_fits(bench)
        before = []
    for one in before:
        bench.must(one)
    assert bench.refused(action) == refusal


def test_the_table_is_the_list_in_order_of_precedence():
    assert list(dict.fromkeys(row[0] for row in TABLE)) == list(R)


@pytest.mark.parametrize("code", R)
def test_titles(code):
    assert code.en
    assert re.search(r"[\u4e00-\u9fff]", code.zh)


def test_a_queued_obligation_is_withdrawn_and_closing_returns_the_others(bench):
    bench.must(owes(101, 1, 2, 1_001))
    bench.must(owes(102, 1, 2, 5))
    bench.must(Withdraw(103, 1, 7, 101))
    bench.must(CloseCycle(104, OPERATOR, 7))
    assert status(bench, 101, 102) == [Status.WITHDRAWN, Status.RETURNED]


def test_ids_of_transfers_are_those_of_the_parties(bench):
    bench.must(OWED)
    step = bench.instrument.decide(SettleNet(9, OPERATOR, 7), bench.now_ms)
    assert [one.id for one in step.transfers] == [part_id(9, "1 1"), part_id(9, "2 1")]


@pytest.mark.parametrize("kind", LEDGERS)
def test_a_day_of_business(kind):
    played = demo.play(new_ledger(kind), 5, START_MS, DAY)
    assert all(played.checked.values()), played.checked
    assert played == demo.play(new_ledger("slow"), 5, START_MS, DAY)
    figures = played.figures
    assert min(figures[name] for name in ("settled", "returned", "unwound", "failures", "losses_minor")) > 0
    assert 0 < figures["settled_net_minor"] < figures["settled_gross_minor"]
