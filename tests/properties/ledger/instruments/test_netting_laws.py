"""Laws of netting on random actions: repeats, wrong party, wrong order, poor members, failures, closed cycles."""

from __future__ import annotations

import random
import sys
from itertools import product
from pathlib import Path

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from quanheng.ledger.entries import NO_LIMIT
from quanheng.ledger.instruments.netting import Netting
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
from quanheng.ledger.instruments.netting_cycle import Status
from quanheng.testing.slow_gridlock import positions_after

sys.path.insert(0, str(Path(__file__).parents[3] / "unit" / "ledger" / "instruments"))
from asset_bench import AssetBench, account
from instrument_bench import CODE

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # A seed does not shrink.
OPERATOR, CLEARING, RETAINED, FUNDS, OWNERS, ASSETS = 90, 50, 60, 300, range(1, 6), (1, 2)
PARTIES = 2 * len(OWNERS)
"""Each member's collateral is the account of the party five numbers on."""


def random_cycle(rng, id):
    members = []
    for asset, n in product(ASSETS, OWNERS):
        caps, pledged = (rng.choice([NO_LIMIT, 0, 100, 250]), rng.choice([0, 50, 400])), rng.choice([0, 0, 70, 600])
        members.append(Member(n, asset, account(asset, n), *caps, account(asset, n + 5) if pledged else 0, pledged))
    retained = rng.choice([0, RETAINED, RETAINED])
    clearing = tuple(
        ClearingAccount(asset, account(asset, CLEARING), account(asset, retained) if retained else 0)
        for asset in ASSETS
    )
    rule = rng.choice(list(FailureRule))
    return OpenCycle(id, OPERATOR, tuple(members), clearing, CODE, rule, rng.random() < 0.3)


def random_action(rng, asked, number, netting):
    if asked and rng.random() < 0.06:
        action = rng.choice(asked)
        return replace(action, by=rng.choice([1, 2, OPERATOR])) if rng.random() < 0.4 else action
    id, cycles, kind = 1_000 + number, list(netting.cycles), rng.random()
    if not cycles or kind < 0.02:
        opened = random_cycle(rng, id)
        return replace(opened, clearing=opened.clearing[: rng.choice([1, 2, 2])])
    cycle = rng.choice(cycles[-2:]) if rng.random() < 0.98 else 5
    by = OPERATOR if rng.random() < 0.97 else 1
    owner, other = rng.choice(OWNERS), rng.choice([*OWNERS, *OWNERS, *OWNERS, 6])
    if kind < 0.72:
        amount, priority = rng.choice([1, 40, 90, 150, 260, 0 if rng.random() < 0.1 else 3]), rng.choice([1, 5, 5, 5])
        return Submit(id, owner, cycle, other, rng.choice(ASSETS), amount, priority)
    if kind < 0.76:
        known = sorted(netting.cycles[cycle].obligations) if cycle in netting.cycles else []
        obligation = rng.choice([*known, 5])
        by = netting.cycles[cycle].obligations[obligation].debtor if obligation in known else owner
        return Withdraw(id, by if rng.random() < 0.9 else other, cycle, obligation)
    if kind < 0.80:
        return SetCap(id, by, cycle, other, rng.choice(ASSETS), rng.choice([-1, 0, 10, 200, -2]))
    if kind < 0.86:
        return Resolve(id, by, cycle)
    if kind < 0.94:
        return SettleNet(id, by, cycle, rng.choice([(), (1,), (2,), (1, 3)]))
    failure = DeclareFailure(id, by, cycle, other, rng.random() < 0.7)
    return rng.choice([failure, failure, CloseCycle(id, by, cycle)])


def check_cycle(cycle):
    """Net positions are those of the netted obligations, losses and calls; each currency sums to what collateral has
    paid in; caps hold."""
    expected = positions_after(cycle.in_order(cycle.netted), {})
    for asset in ASSETS:
        positions = sum(net for (_, one), net in cycle.position_minor.items() if one == asset)
        assert positions == cycle.paid_in_minor.get(asset, 0)
    if not cycle.losses_minor and not cycle.called_minor:
        assert {one: net for one, net in cycle.position_minor.items() if net} == {
            one: net for one, net in expected.items() if net
        }
    for party, net in cycle.position_minor.items():
        cap = cycle.members[party].cap_minor
        assert cap == NO_LIMIT or net >= -cap - cycle.borne_minor.get(party, 0), party
        assert cycle.borne_minor.get(party, 0) <= cycle.members[party].loss_max_minor
    for participant, called in cycle.called_minor.items():
        assert 0 < called <= cycle.members[participant].collateral_minor
        assert cycle.opened.failure == FailureRule.SHARE_LOSS
        assert participant[0] in cycle.failed
    for owner, _ in cycle.retained_minor:
        assert any(failed == owner for _, failed, _ in cycle.losses_minor), "of whom others bear a loss"
    assert not (cycle.closed and cycle.queued)
    for id, one in cycle.obligations.items():
        assert (one.status == Status.QUEUED) == (id in cycle.queued)
        assert (one.status == Status.NETTED) == (id in cycle.netted)


def check_discharged(bench, funds=FUNDS):
    """Gross obligations that were settled, less losses, are the net amounts that moved, account by account."""
    expected = {account(asset, n): funds for asset in ASSETS for n in range(1, PARTIES + 1)}
    expected |= {account(asset, RETAINED): 0 for asset in ASSETS}
    for cycle in bench.instrument.cycles.values():
        open_losses = dict(cycle.position_minor)
        for one in cycle.obligations.values():
            sign = 1 if one.status == Status.SETTLED else 0
            expected[account(one.asset, one.debtor)] -= sign * one.amount_minor
            expected[account(one.asset, one.creditor)] += sign * one.amount_minor
        for (asset, failed, survivor), share in cycle.losses_minor.items():
            expected[account(asset, survivor)] -= share
            expected[account(asset, failed)] += share
        for (owner, asset), called in cycle.called_minor.items():
            expected[account(asset, owner)] += called
            expected[account(asset, owner + 5)] -= called
        for (owner, asset), kept in cycle.retained_minor.items():
            expected[account(asset, owner)] -= kept
            expected[account(asset, RETAINED)] += kept
        # What is netted and not settled has not moved: neither its obligations nor the losses that adjust them.
        for (owner, asset), net in open_losses.items():
            expected[account(asset, owner)] -= net
        for claim in cycle.in_order(cycle.netted):
            expected[account(claim.debtor[1], claim.debtor[0])] -= claim.amount_minor
            expected[account(claim.creditor[1], claim.creditor[0])] += claim.amount_minor
    assert {one: bench.has(one) for one in expected} == expected
    waiting = [sum(cycle.paid_in_minor.get(asset, 0) for cycle in bench.instrument.cycles.values()) for asset in ASSETS]
    assert [bench.has(account(asset, CLEARING)) for asset in ASSETS] == waiting


def run(seed, actions_n=90):
    rng, asked, codes = random.Random(seed), [], set()
    bench = AssetBench(Netting(OPERATOR), "slow", ASSETS, PARTIES, FUNDS, (CLEARING, RETAINED))
    for number in range(actions_n):
        action = random_action(rng, asked, number, bench.instrument)
        asked.append(action)
        bench.now_ms += rng.choice([0, 0, 1, 20])
        before, repeated = bench.everything(), action.id in bench.instrument.done
        result = bench.do(action)
        if not result.applied or repeated:
            assert bench.everything() == before, f"seed={seed} {action}"
            codes.add(result.refusal.code if result.refusal else result.outcome)
        for cycle in bench.instrument.cycles.values():
            check_cycle(cycle)
    assert bench.ledger.is_conserved(bench.now_ms, bench.day)
    check_discharged(bench)
    bench.check_replay(Netting(OPERATOR))
    return codes


@settings(max_examples=25, deadline=None, phases=PHASES)
@given(st.integers(0, 2**32))
@example(0)
def test_laws_of_netting(seed):
    run(seed)


def test_the_random_actions_reach_the_refusals():
    """What a random run never meets, it does not test."""
    met = set().union(*(run(seed, 150) for seed in range(20)))
    rare = {
        R.ID_IS_OUT_OF_RANGE, R.CODE_IS_OUT_OF_RANGE, R.MEMBERS_ARE_WRONG, R.PRIORITY_IS_OUT_OF_RANGE, R.CYCLE_IS_FULL,
        R.BATCH_IS_TOO_LARGE, R.COLLATERAL_IS_WRONG,
    }  # fmt: skip
    assert set(R) - rare <= met, set(R) - rare - met


def run_failures(seed):
    """Many obligations without caps, then failures between settlements of one asset or all."""
    rng = random.Random(seed)
    bench = AssetBench(Netting(OPERATOR), "slow", ASSETS, PARTIES, 5_000, (CLEARING, RETAINED))
    members = tuple(
        replace(one, cap_minor=NO_LIMIT, loss_max_minor=rng.choice([0, 900, 5_000]))
        for one in random_cycle(rng, 7).members
    )
    bench.must(replace(random_cycle(rng, 7), members=members, failure=FailureRule.SHARE_LOSS))
    cycle = bench.instrument.cycles[7]
    for n in range(30):
        debtor, creditor = rng.sample(OWNERS, 2)
        bench.do(Submit(100 + n, debtor, 7, creditor, rng.choice(ASSETS), rng.randint(1, 400)))
        if rng.random() < 0.1:
            bench.do(DeclareFailure(200 + n, OPERATOR, 7, rng.choice(OWNERS), rng.random() < 0.8))
        if rng.random() < 0.1:
            bench.do(SettleNet(300 + n, OPERATOR, 7, rng.choice([(), (1,), (2,)])))
        check_cycle(cycle)
    check_discharged(bench, 5_000)
    bench.do(SettleNet(400, OPERATOR, 7))
    check_discharged(bench, 5_000)
    assert bench.ledger.is_conserved(bench.now_ms, bench.day)
    bench.check_replay(Netting(OPERATOR))
    return bool(cycle.called_minor), bool(cycle.retained_minor), bool(cycle.losses_minor)


@settings(max_examples=25, deadline=None, phases=PHASES)
@given(st.integers(0, 2**32))
def test_laws_of_failures(seed):
    run_failures(seed)


def test_random_failures_call_collateral_share_losses_and_retain():
    assert all(map(any, zip(*(run_failures(seed) for seed in range(20)), strict=True)))


@pytest.mark.parametrize("seed", range(12))
def test_settlement_asset_by_asset_in_any_order_comes_to_the_same(seed):
    balances = []
    for order in ((1, 2), (2, 1), (0,)):
        rng = random.Random(seed)
        bench = AssetBench(Netting(OPERATOR), "slow", ASSETS, PARTIES, 100_000, (CLEARING, RETAINED))
        bench.must(random_cycle(rng, 7))
        for n in range(40):
            debtor, creditor = rng.sample(OWNERS, 2)
            bench.must(Submit(100 + n, debtor, 7, creditor, rng.choice(ASSETS), rng.randint(1, 200)))
        for asset in order:
            bench.must(SettleNet(200 + asset, OPERATOR, 7, (asset,) if asset else ()))
        balances.append([bench.holds(asset) for asset in ASSETS])
    assert balances[0] == balances[1] == balances[2]
