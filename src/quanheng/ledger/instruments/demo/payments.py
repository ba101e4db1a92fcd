"""A day of card payments: authorised, captured in parts, voided, refunded, fees split among three takers."""

from __future__ import annotations

import random
from typing import Any

from quanheng.ledger.instruments.action_fold import Party
from quanheng.ledger.instruments.demo import Played
from quanheng.ledger.instruments.demo.business import Business
from quanheng.ledger.instruments.demo.witness import Witness
from quanheng.ledger.instruments.fees import ROUNDINGS, Share, Split
from quanheng.ledger.instruments.instrument import LedgerLike, part_id
from quanheng.ledger.instruments.payment import Authorise, Capture, Payment, Payments, Refund, Void

ASSET, CODE, ACTIONS = 100, 1_000, 300
PAYERS, PAYEES, TAKERS = 12, 4, 3
FUNDS_MINOR, AMOUNT_MINOR_MAX = 5_000_000, 40_000
DAY_MS, TIMEOUT_MS_MAX = 20 * 3_600_000, 12 * 3_600_000


def account_of(seed: int, name: str) -> int:
    """Account of a name in the day of `seed`."""
    return part_id(seed, f"payments {name}")


def play(ledger: LedgerLike, seed: int, start_ms: int, day: int) -> Played:
    """A seeded day of two-phase payments on a ledger; the same seed plays the same day."""
    rng, payments, now_ms = random.Random(seed), Payments(), start_ms
    business = Business(ledger, payments, day)
    bound = [account_of(seed, f"payer {n}") for n in range(PAYERS)]
    bound += [account_of(seed, f"payee {n}") for n in range(PAYEES)]
    free = [account_of(seed, name) for name in ("bank", "residue", *(f"taker {n}" for n in range(TAKERS)))]
    business.open(bound, free, ASSET, CODE, now_ms)
    business.fund(free[0], bound, FUNDS_MINOR, CODE, now_ms)
    for number in range(ACTIONS):
        now_ms += rng.randrange(2 * DAY_MS // ACTIONS)
        repeat = bool(business.asked) and rng.random() < 0.05
        business.do(rng.choice(business.asked) if repeat else _action(rng, seed, number, payments), now_ms)
    laws = _laws(business.witness, payments, seed, now_ms, day)
    return business.played("payment", Payments(), laws, _figures(payments), now_ms)


def _party(seed: int, name: str) -> Party:
    return Party(part_id(seed, f"payments owner {name}"), account_of(seed, name))


def _action(rng: random.Random, seed: int, number: int, payments: Payments) -> Any:
    id = part_id(seed, f"payments action {number}")
    if not payments.payments or rng.random() < 0.4:
        payer, payee = (
            _party(seed, f"payer {rng.randrange(PAYERS)}"),
            _party(seed, f"payee {rng.randrange(PAYEES)}"),
        )
        amount, timeout_ms = rng.randint(1, AMOUNT_MINOR_MAX), rng.randint(1, TIMEOUT_MS_MAX)
        returned = rng.random() < 0.5
        return Authorise(id, payer.owner, payer, payee, amount, CODE, timeout_ms, _split(rng, seed), returned)
    kind, every = rng.random(), payments.payments
    wanted = [about for about in list(every)[-30:] if bool(every[about].holding) == (kind < 0.7)]
    about = rng.choice(wanted or list(every))
    by = every[about].payee.owner if rng.random() < 0.97 else id
    holding = every[about].holding
    if kind < 0.1:
        return Void(id, by, about)
    if kind < 0.7:
        held = holding.amount_minor if holding else AMOUNT_MINOR_MAX
        return Capture(id, by, about, rng.randint(1, held + held // 50 + 1), rng.random() < 0.5)
    return Refund(id, by, about, rng.randint(1, every[about].refundable_minor + 10))


def _split(rng: random.Random, seed: int) -> Split:
    shares = [
        Share(account_of(seed, f"taker {n}"), rng.randrange(3), rng.randrange(150), rng.choice(ROUNDINGS))
        for n in range(TAKERS)
    ]
    return Split(tuple(shares), account_of(seed, "residue"))


def _laws(witness: Witness, payments: Payments, seed: int, now_ms: int, day: int) -> dict[str, bool]:
    every = list(payments.payments.items())
    balances = witness.balances(now_ms, day)
    payers = [balances[account_of(seed, f"payer {n}")] for n in range(PAYERS)]
    figures = _figures(payments)
    held = [one.holding for _, one in every if one.holding and not one.holding.expired(now_ms)]
    authorised = {id: payments.done[id][0].amount_minor for id, _ in every}
    return {
        "captured is at most authorised": all(_captured_minor(one) <= authorised[id] for id, one in every),
        "refunded is at most captured": all(0 <= one.refundable_minor <= _captured_minor(one) for _, one in every),
        "payers paid what was captured": sum(one.debits_posted_minor for one in payers) == figures["captured_minor"],
        "payers have back what was refunded": (
            sum(one.credits_posted_minor for one in payers) == PAYERS * FUNDS_MINOR + figures["refunded_minor"]
        ),
        "held is what is authorised": (
            sum(one.debits_held_minor for one in payers) == sum(one.amount_minor for one in held)
        ),
    }


def _captured_minor(payment: Payment) -> int:
    return sum(one.amount_minor for one in payment.captures)


def _figures(payments: Payments) -> dict[str, int]:
    every: list[Payment] = list(payments.payments.values())
    captures = [captured for one in every for captured in one.captures]
    return {
        "payments": len(every),
        "captures": len(captures),
        "captured_minor": sum(one.amount_minor for one in captures),
        "refunded_minor": sum(one.refunded_minor for one in captures),
        "fees_minor": sum(fee.amount_minor for one in captures for fee in one.fees),
    }
