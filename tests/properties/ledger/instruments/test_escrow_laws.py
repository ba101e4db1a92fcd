"""Laws of escrow on random actions: value is with the buyer, held, or with the seller, and never twice."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from quanheng.ledger.entries import ALL, TransferFlag
from quanheng.ledger.instruments.conditions import Condition, Fact
from quanheng.ledger.instruments.escrow import (
    Award,
    Dispute,
    EscrowRefusal,
    Escrows,
    Fund,
    GiveBack,
    Milestone,
    Release,
    Report,
)

sys.path.insert(0, str(Path(__file__).parents[3] / "unit" / "ledger" / "instruments"))
from instrument_bench import CODE, Bench, party

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # A seed does not shrink.
CONDITIONS = [
    Condition("one", 'event.kind = "one"'),
    Condition("two", "count(events) >= 2"),
    Condition("never", "false"),
]


def random_action(rng, asked, number, now_ms):
    if asked and rng.random() < 0.1:
        action = rng.choice(asked)
        return replace(action, by=rng.randint(1, 4)) if rng.random() < 0.3 else action
    id, by, known = 1_000 + number, rng.randint(1, 4), [one.id for one in asked if isinstance(one, Fund)]
    if not known or rng.random() < 0.2:
        buyer, seller, arbiter = rng.sample([1, 2, 3, 4], 3)
        names = rng.choices([one.name for one in CONDITIONS], k=rng.randrange(4))
        parts = tuple(Milestone(name, rng.choice([1, 30, 60])) for name in names)
        times_ms = rng.choice([1, 50, 500]), rng.choice([20, 200])
        amount = rng.choice([1, 100, 4_000])
        return Fund(id, buyer, party(buyer), party(seller), arbiter, (3, 4), parts, amount, CODE, *times_ms)
    escrow, amount = rng.choice([*known[-5:], 5]), rng.choice([0, 1, 30, 100, ALL])
    terms = next((one for one in asked if one.id == escrow), None)
    kind = rng.choice([Report, Report, Release, GiveBack, Dispute, Award])
    if terms is not None and rng.random() < 0.9:
        arbiter, buyer, seller = terms.arbiter, terms.buyer.owner, terms.seller.owner
        by = {Release: buyer, GiveBack: seller, Dispute: rng.choice([buyer, seller]), Award: arbiter}.get(kind, by)
    if kind is Report:
        return Report(id, by, escrow, Fact(rng.choice(["one", "more"]), now_ms))
    return Dispute(id, by, escrow) if kind is Dispute else kind(id, by, escrow, amount)


def check_places(bench, posted):
    """What was posted and what is held is never above the amount; accounts hold what stands in escrow."""
    for id, escrow in bench.instrument.escrows.items():
        held = escrow.holding.amount_minor if escrow.holding else 0
        assert held >= 0
        assert posted.get(id, 0) + held <= escrow.terms.amount_minor
    now_ms, balances = bench.now_ms, bench.balances()
    live = [one.holding for one in bench.instrument.escrows.values() if one.holding]
    for account in range(1, 7):
        held = sum(one.amount_minor for one in live if one.debit == account and not one.expired(now_ms))
        assert balances[account].debits_held_minor == held


def run(seed, actions_n=70):
    rng, asked, posted = random.Random(seed), [], {}
    bench, codes = Bench(Escrows(CONDITIONS)), set()
    for number in range(actions_n):
        bench.now_ms += rng.choice([0, 0, 1, 5, 40])
        action = random_action(rng, asked, number, bench.now_ms)
        asked.append(action)
        bench.ledger.transfer([], bench.now_ms, bench.day)
        before, repeated = bench.everything(), action.id in bench.instrument.done
        result = bench.do(action)
        if not result.applied or repeated:
            assert bench.everything() == before, f"seed={seed} {action}"
            codes.add(result.refusal.code if result.refusal else result.outcome)
            continue
        for one, answer in zip(bench.instrument.done[action.id][1].transfers, result.answers, strict=True):
            if one.flags & TransferFlag.POST:
                posted[one.user_data] = posted.get(one.user_data, 0) + answer.amount_minor
        assert bench.ledger.is_conserved(bench.now_ms, bench.day), f"seed={seed} {action}"
        check_places(bench, posted)
    bench.check_replay(Escrows(CONDITIONS))
    bench.now_ms += 1_000
    bench.ledger.transfer([], bench.now_ms, bench.day)
    assert all(one.debits_held_minor == one.credits_held_minor == 0 for one in bench.balances().values())
    return codes


@settings(max_examples=40, deadline=None, phases=PHASES)
@given(st.integers(0, 2**32))
@example(0)
def test_laws_of_escrow(seed):
    run(seed)


def test_the_random_actions_reach_the_refusals():
    met = set().union(*(run(seed) for seed in range(25)))
    never = {
        EscrowRefusal.ID_IS_OUT_OF_RANGE, EscrowRefusal.PARTIES_MUST_DIFFER, EscrowRefusal.CODE_IS_OUT_OF_RANGE,
        EscrowRefusal.TIMEOUT_IS_OUT_OF_RANGE, EscrowRefusal.TOO_MANY_PARTS, EscrowRefusal.CONDITION_NOT_DECLARED,
        EscrowRefusal.FACT_IS_WRONG, EscrowRefusal.FACTS_ARE_USED_UP,
    }  # fmt: skip
    assert set(EscrowRefusal) - never <= met
