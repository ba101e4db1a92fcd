"""Laws of conditional payouts on random attestations: the plain twin counts signers and computes tiers by fractions."""

from __future__ import annotations

import random
import sys
from fractions import Fraction
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from quanheng.feel import NUMBER
from quanheng.ledger.instruments.attestation import Attestation, Attester, attest
from quanheng.ledger.instruments.conditions import Fact
from quanheng.ledger.instruments.payout import Attest, Lock, PayoutRefusal, Payouts, Terms, Waive

sys.path.insert(0, str(Path(__file__).parents[3] / "unit" / "ledger" / "instruments"))
from instrument_bench import CODE, Bench, party

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # A seed does not shrink.
NAMES = ("north", "east", "south")
KEYS = {name: bytes([n + 1]) * 32 for n, name in enumerate((*NAMES, "stranger"))}
TERMS = [Terms("storm", "event.speed > 30", "locked * (event.speed - 30) / 7", (("speed", NUMBER),), "ROUND_DOWN")]
ATTESTERS = [
    Attester(name, Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw())
    for name, key in KEYS.items()
]


def random_action(rng, asked, number, now_ms):
    if asked and rng.random() < 0.1:
        return rng.choice(asked)
    id, known = 1_000 + number, [one.id for one in asked if isinstance(one, Lock)]
    if not known or rng.random() < 0.15:
        funder, farmer = rng.sample([1, 2, 3], 2)
        period_ms = now_ms, now_ms + rng.choice([5, 100])
        by = funder if rng.random() < 0.9 else 4
        amount, timeout_ms = rng.choice([1, 100, 999, 6_000]), rng.choice([1, 50, 500])
        quorum = rng.randint(1, 3)
        asking = party(funder), party(farmer), "storm", NAMES, quorum
        return Lock(id, by, *asking, *period_ms, amount, CODE, timeout_ms)
    lock = rng.choice([*known[-4:], 5])
    if rng.random() < 0.05:
        return Waive(id, rng.randint(1, 3), lock)
    name = rng.choice([*NAMES, *NAMES, "stranger"])
    fact = Fact.of("wind", max(0, now_ms - rng.choice([0, 0, 1, 20])), speed=rng.randint(28, 38))
    told = [one.attestation.fact for one in asked if isinstance(one, Attest) and one.lock == lock]
    fact = rng.choice(told) if told and rng.random() < 0.6 else fact
    good = attest(KEYS[name], name, fact)
    return Attest(id, lock, Attestation(name, fact, bytes(64)) if rng.random() < 0.05 else good)


class Twin:
    """Who signed what, per lock; what is paid, as fractions cut off."""

    def __init__(self):
        self.locks, self.signers, self.paid, self.over = {}, {}, {}, set()

    def fold(self, action):
        if isinstance(action, Lock):
            self.locks[action.id] = action
        elif isinstance(action, Waive):
            self.over.add(action.lock)
        else:
            lock, fact = self.locks[action.lock], action.attestation.fact
            signers = self.signers.setdefault((action.lock, fact), set())
            signers.add(action.attestation.attester)
            speed = dict(fact.fields)["speed"]
            if len(signers) == lock.quorum and speed > 30:
                minor = min(lock.amount_minor, int(Fraction(lock.amount_minor * (speed - 30), 7)))
                if minor:
                    self.paid[action.lock] = minor
                    self.over.add(action.lock)


def run(seed, actions_n=70):
    rng, asked, twin = random.Random(seed), [], Twin()
    bench, codes = Bench(Payouts(TERMS, ATTESTERS)), set()
    for number in range(actions_n):
        bench.now_ms += rng.choice([0, 0, 1, 5, 30])
        action = random_action(rng, asked, number, bench.now_ms)
        asked.append(action)
        bench.ledger.transfer([], bench.now_ms, bench.day)
        before, repeated = bench.everything(), action.id in bench.instrument.done
        about = getattr(action, "lock", None)
        result = bench.do(action)
        if not result.applied or repeated:
            assert bench.everything() == before, f"seed={seed} {action}"
            codes.add(result.refusal.code if result.refusal else result.outcome)
            continue
        assert about not in twin.over, f"seed={seed}: paid or returned twice"
        twin.fold(action)
        assert bench.ledger.is_conserved(bench.now_ms, bench.day), f"seed={seed} {action}"
        paid = {id: one.paid_minor for id, one in bench.instrument.locks.items() if one.paid_minor}
        assert paid == twin.paid, f"seed={seed} {action}"
    check_money(bench, twin)
    bench.check_replay(Payouts(TERMS, ATTESTERS))
    return codes


def check_money(bench, twin):
    """After every lock's date each party has what it had, less what it paid, and what it was paid."""
    bench.now_ms += 10_000
    bench.ledger.transfer([], bench.now_ms, bench.day)
    for account in (1, 2, 3):
        got = sum(minor for id, minor in twin.paid.items() if twin.locks[id].beneficiary.account == account)
        gave = sum(minor for id, minor in twin.paid.items() if twin.locks[id].funder.account == account)
        assert bench.has(account) == 10_000 + got - gave


@settings(max_examples=40, deadline=None, phases=PHASES)
@given(st.integers(0, 2**32))
@example(0)
def test_laws_of_payouts(seed):
    run(seed)


def test_the_random_actions_reach_the_refusals():
    met = set().union(*(run(seed) for seed in range(25)))
    wanted = {
        PayoutRefusal.LOCK_NOT_FOUND, PayoutRefusal.ACTOR_MAY_NOT, PayoutRefusal.LOCK_HAS_ENDED,
        PayoutRefusal.LOCK_HAS_EXPIRED, PayoutRefusal.ATTESTER_IS_NOT_NAMED, PayoutRefusal.FACT_IS_OUTSIDE_PERIOD,
        PayoutRefusal.SIGNATURE_IS_WRONG, PayoutRefusal.WAS_ATTESTED,
    }  # fmt: skip
    assert wanted <= met


def test_a_repeat_with_other_content_is_refused():
    bench = Bench(Payouts(TERMS, ATTESTERS))
    lock = Lock(9, 1, party(1), party(2), "storm", NAMES, 1, 0, 2**40, 5, CODE, 100)
    bench.must(lock)
    assert bench.refused(replace(lock, amount_minor=6)) == PayoutRefusal.ID_HAS_OTHER_CONTENT
