"""Laws of exchanges on random actions: repeats, wrong order, wrong party, broken chains, time that runs out."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from quanheng.ledger.instruments.exchange import (
    Cancel,
    Exchanges,
    Instruct,
    Lapse,
    Leg,
    NoteFail,
    SafekeepingAccount,
    Settle,
    Terms,
)
from quanheng.ledger.instruments.exchange import ExchangeRefusal as R

sys.path.insert(0, str(Path(__file__).parents[3] / "unit" / "ledger" / "instruments"))
from asset_bench import AssetBench, account
from instrument_bench import CODE, START_MS

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # A seed does not shrink.
AGENT, FUNDS = 90, 400


def random_terms(rng):
    legs = []
    for _ in range(rng.choice([1, 2, 2, 2, 3, 4])):
        deliverer, receiver = rng.sample(range(1, 5), 2) if rng.random() < 0.98 else (1, 1)
        legs.append(Leg(deliverer, receiver, rng.randint(1, 2), rng.choice([1, 3, 50, 100, 350])))
    due = START_MS + rng.choice([0, 0, 200])
    smallest = rng.choice([0, 1, 2, 30]) if legs[0].amount_minor > 30 else 0
    return Terms(tuple(legs), CODE, due, due + rng.choice([100, 1_000]), smallest)


def random_action(rng, asked, number, known):
    if asked and rng.random() < 0.08:
        action = rng.choice(asked)
        return replace(action, by=rng.randint(1, 5)) if rng.random() < 0.3 else action
    id, by = 1_000 + number, rng.randint(1, 4)
    newest = len(known) + (not known or rng.random() < 0.4)
    trade = rng.randint(max(1, newest - 3), newest)
    if trade not in known:
        known[trade] = random_terms(rng)
    terms = known[trade] if rng.random() < 0.95 else replace(known[trade], priority=1)
    kind = rng.random()
    if kind < 0.5:
        by = rng.choice(sorted(terms.parties)) if rng.random() < 0.95 else by
        moved = sorted({leg.asset for leg in terms.legs if by in (leg.deliverer, leg.receiver)})
        accounts = [SafekeepingAccount(asset, account(asset, by)) for asset in moved]
        return Instruct(id, by, trade, terms, tuple(accounts[: 9 if rng.random() < 0.97 else 0]))
    if kind < 0.78:
        return Settle(id, rng.choice([by, AGENT, AGENT]), trade, rng.choice([0, 0, 0, 1, 2, 40, -1, -1]))
    if kind < 0.87:
        return Cancel(id, rng.choice(sorted(terms.parties)), trade)
    other = Lapse(id, AGENT, trade), NoteFail(id, AGENT, trade, rng.choice([0, 123]), 0)
    return replace(rng.choice(other), by=rng.choice([AGENT, AGENT, by]))


def proportion(terms, settled_minor):
    """The plain twin of parts: unit by unit of the lead, each leg moves when its whole share is passed."""
    whole, moved = terms.legs[0].amount_minor, [0] * len(terms.legs)
    for done in range(1, settled_minor + 1):
        for place, leg in enumerate(terms.legs):
            while (moved[place] + 1) * whole <= leg.amount_minor * done:
                moved[place] += 1
    return moved


def check_balances(bench):
    """Value is where the settled parts of matched trades put it: each leg in the same proportion, or nothing moved.

    On the accounts that were instructed: whether they are those of their owners is for the caller to say.
    """
    expected = {account(asset, n): FUNDS for asset in (1, 2) for n in range(1, 5)}
    for trade in bench.instrument.trades.values():
        kept = {(by, one.asset): one.account for by, asked in trade.instructed.items() for one in asked.accounts}
        if not trade.settled_minor:
            continue  # Nothing of an unmatched trade is settled.
        for leg, amount in zip(trade.terms.legs, proportion(trade.terms, trade.settled_minor), strict=True):
            expected[kept[leg.deliverer, leg.asset]] -= amount
            expected[kept[leg.receiver, leg.asset]] += amount
    assert {id: bench.has(id) for id in expected} == expected


def run(seed, actions_n=80):
    rng, asked, known, codes = random.Random(seed), [], {}, set()
    bench = AssetBench(Exchanges(AGENT), funds_minor=FUNDS)
    for number in range(actions_n):
        action = random_action(rng, asked, number, known)
        asked.append(action)
        bench.now_ms += rng.choice([0, 0, 1, 20])
        before, repeated = bench.everything(), action.id in bench.instrument.done
        result = bench.do(action)
        if not result.applied or repeated:
            assert bench.everything() == before, f"seed={seed} {action}"
            codes.add(result.refusal.code if result.refusal else result.outcome)
        for trade in bench.instrument.trades.values():
            assert not trade.settled_minor or trade.matched, f"seed={seed} {action}"
            assert not trade.matched or trade.rest_minor >= 0, f"seed={seed} {action}"
    assert bench.ledger.is_conserved(bench.now_ms, bench.day)
    check_balances(bench)
    bench.check_replay(Exchanges(AGENT))
    return codes


@settings(max_examples=25, deadline=None, phases=PHASES)
@given(st.integers(0, 2**32))
@example(0)
@example(8505)  # Who instructed with the accounts of another.
def test_laws_of_exchanges(seed):
    run(seed)


def test_the_random_actions_reach_the_refusals():
    """What a random run never meets, it does not test."""
    met = set().union(*(run(seed, 200) for seed in range(30)))
    rare = {
        R.ID_IS_OUT_OF_RANGE, R.TRADE_IS_OUT_OF_RANGE, R.CODE_IS_OUT_OF_RANGE, R.TIMES_ARE_WRONG, R.PARTIAL_IS_WRONG,
        R.PARTIES_ARE_OTHERS, R.PRIORITY_IS_OUT_OF_RANGE,
    }  # fmt: skip
    assert set(R) - rare <= met, set(R) - rare - met
