"""Laws of two-phase payments on random actions: repeats, wrong order, wrong party, time that runs out."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from quanheng.ledger.entries import ALL
from quanheng.ledger.instruments.fees import ROUNDINGS, Share, Split
from quanheng.ledger.instruments.payment import Authorise, Capture, PaymentRefusal, Payments, Refund, Void

sys.path.insert(0, str(Path(__file__).parents[3] / "unit" / "ledger" / "instruments"))
from instrument_bench import CODE, Bench, party

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # A seed does not shrink.


def random_split(rng):
    if rng.random() < 0.3:
        return None
    most = rng.choice([50, 3_400])
    shares = [
        Share(rng.randint(2, 6), rng.randrange(4), rng.randrange(most), rng.choice(ROUNDINGS))
        for _ in range(rng.randint(1, 3))
    ]
    return Split(tuple(shares), rng.randint(2, 6), rng.choice(ROUNDINGS))


def random_action(rng, asked, number):
    if asked and rng.random() < 0.1:
        action = rng.choice(asked)
        return replace(action, by=rng.randint(1, 6)) if rng.random() < 0.3 else action
    id, by = 1_000 + number, rng.randint(1, 3)
    known = [one.id for one in asked if isinstance(one, Authorise)]
    if not known or rng.random() < 0.25:
        payer, payee = rng.randint(1, 3), rng.randint(1, 3)
        by = payer if rng.random() < 0.9 else by
        timeout_ms = rng.choice([1, 10, 100, 1_000])
        asking = party(payer), party(payee), rng.choice([1, 7, 100, 4_000]), CODE, timeout_ms
        return Authorise(id, by, *asking, random_split(rng), rng.random() < 0.5)
    payment = rng.choice([*known[-6:], 5])
    amount = rng.choice([0, 1, 2, 7, 50, 1_000, ALL])
    by = next((one.payee.owner for one in asked if one.id == payment), by) if rng.random() < 0.9 else by
    kind = rng.random()
    if kind < 0.5:
        return Capture(id, by, payment, amount, rng.random() < 0.3)
    return Refund(id, by, payment, amount) if kind < 0.9 else Void(id, by, payment)


class Model:
    """The plain twin: what each party has, told from the applied actions alone."""

    def __init__(self):
        self.asked, self.captured, self.refunded = {}, {}, {}

    def fold(self, action, posted_minor):
        if isinstance(action, Authorise):
            self.asked[action.id] = action
            self.captured[action.id] = self.refunded[action.id] = 0
        elif isinstance(action, Capture):
            self.captured[action.payment] += posted_minor
        elif isinstance(action, Refund):
            left = self.captured[action.payment] - self.refunded[action.payment]
            self.refunded[action.payment] += left if action.amount_minor == ALL else action.amount_minor
        for id, asked in self.asked.items():
            assert self.captured[id] <= asked.amount_minor
            assert self.refunded[id] <= self.captured[id]


def run(seed, actions_n=70):
    rng, asked, model = random.Random(seed), [], Model()
    bench, codes = Bench(Payments(), funds_minor=10_000), set()
    for number in range(actions_n):
        action = random_action(rng, asked, number)
        asked.append(action)
        bench.now_ms += rng.choice([0, 0, 1, 5, 50])
        bench.ledger.transfer([], bench.now_ms, bench.day)
        before, repeated = bench.everything(), action.id in bench.instrument.done
        result = bench.do(action)
        if not result.applied or repeated:
            assert bench.everything() == before, f"seed={seed} {action}"
            codes.add(result.refusal.code if result.refusal else result.outcome)
            continue
        model.fold(action, result.answers[0].amount_minor)
        assert bench.ledger.is_conserved(bench.now_ms, bench.day), f"seed={seed} {action}"
        assert sum(one.refundable_minor for one in bench.instrument.payments.values()) == (
            sum(model.captured.values()) - sum(model.refunded.values())
        ), f"seed={seed} {action}"
    check_refunded_in_full(bench, model)
    bench.check_replay(Payments())
    return codes


def check_refunded_in_full(bench, model):
    """Who gets everything back has what it had before: the payer always, everybody where fees are returned."""
    for id, asked in model.asked.items():
        left = model.captured[id] - model.refunded[id]
        if left and bench.do(Refund(50_000 + id, asked.payee.owner, id, ALL)).applied:
            [*_, last] = bench.instrument.payments[id].captures
            assert last.refunded_minor == last.amount_minor
            assert not asked.fees_returned or all(fee.returned_minor == fee.amount_minor for fee in last.fees)


@settings(max_examples=40, deadline=None, phases=PHASES)
@given(st.integers(0, 2**32))
@example(0)
def test_laws_of_payments(seed):
    run(seed)


def test_the_random_actions_reach_the_refusals():
    """What a random run never meets, it does not test."""
    met = set().union(*(run(seed) for seed in range(25)))
    rare = {
        PaymentRefusal.ID_IS_OUT_OF_RANGE, PaymentRefusal.CODE_IS_OUT_OF_RANGE, PaymentRefusal.TIMEOUT_IS_OUT_OF_RANGE,
        PaymentRefusal.CAPTURES_ARE_USED_UP, PaymentRefusal.SPLIT_IS_WRONG,
    }  # fmt: skip
    assert set(PaymentRefusal) - rare <= met
