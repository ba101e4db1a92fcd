"""A day of conditional payouts: wind that stations attest pays farmers in tiers, a bill of lading pays an exporter."""

from __future__ import annotations

import random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from quanheng.feel import NUMBER, STRING
from quanheng.ledger.instruments.action_fold import Party
from quanheng.ledger.instruments.attestation import Attestation, Attester, attest
from quanheng.ledger.instruments.conditions import Fact
from quanheng.ledger.instruments.demo import Played
from quanheng.ledger.instruments.demo.business import Business
from quanheng.ledger.instruments.instrument import LedgerLike, part_id
from quanheng.ledger.instruments.payout import Attest, Lock, Payouts, Terms, Waive

ASSET, CODE, ACTIONS = 120, 1_200, 260
BENEFICIARIES = 8
FUNDS_MINOR, AMOUNT_MINOR_MAX = 90_000_000, 2_000_000
DAY_MS, HOUR_MS = 20 * 3_600_000, 3_600_000
STATIONS, REGISTRARS = ("north", "east", "south"), ("port", "line")
TERMS = (
    Terms(
        "typhoon",
        'event.kind = "wind" and event.speed_m_s >= 30',
        "if event.speed_m_s >= 40 then locked else locked * (event.speed_m_s - 30) / 10",
        (("speed_m_s", NUMBER),),
        "ROUND_DOWN",
    ),
    Terms("shipped", 'event.kind = "bill of lading" and event.port = "Ningbo"', fields=(("port", STRING),)),
)


def account_of(seed: int, name: str) -> int:
    """Account of a name in the day of `seed`."""
    return part_id(seed, f"payouts {name}")


def key_of(seed: int, attester: str) -> bytes:
    """Private key of an attester in the demo of `seed`; a real one never leaves the attester."""
    return random.Random(f"{seed} {attester}").randbytes(32)


def play(ledger: LedgerLike, seed: int, start_ms: int, day: int) -> Played:
    """A seeded day of conditional payouts on a ledger; the same seed plays the same day."""
    rng, now_ms = random.Random(seed), start_ms
    public = {
        name: Ed25519PrivateKey.from_private_bytes(key_of(seed, name)).public_key().public_bytes_raw()
        for name in STATIONS + REGISTRARS
    }
    attesters = [Attester(name, key) for name, key in public.items()]
    payouts = Payouts(TERMS, attesters)
    business = Business(ledger, payouts, day)
    insurer, bank = account_of(seed, "insurer"), account_of(seed, "bank")
    farmers = [account_of(seed, f"beneficiary {n}") for n in range(BENEFICIARIES)]
    business.open([insurer, *farmers], [bank], ASSET, CODE, now_ms)
    business.fund(bank, [insurer], FUNDS_MINOR, CODE, now_ms)
    for number in range(ACTIONS):
        now_ms += rng.randrange(2 * DAY_MS // ACTIONS)
        repeat = bool(business.asked) and rng.random() < 0.05
        business.do(rng.choice(business.asked) if repeat else _action(rng, seed, number, payouts, now_ms), now_ms)
    balances, locks = business.witness.balances(now_ms, day), list(payouts.locks.values())
    live = [one.holding.amount_minor for one in locks if one.holding and not one.holding.expired(now_ms)]
    paid = sum(one.paid_minor for one in locks)
    laws = {
        "held is what is locked": balances[insurer].debits_held_minor == sum(live),
        "the funder paid what terms say": balances[insurer].debits_posted_minor == paid,
        "beneficiaries have it": sum(balances[one].credits_posted_minor for one in farmers) == paid,
        "paid is at most locked": all(one.paid_minor <= one.lock.amount_minor for one in locks),
    }
    figures = {
        "locks": len(locks),
        "paid": sum(one.paid_minor > 0 for one in locks),
        "attestations": sum(len(signers) for one in locks for signers in one.votes.values()),
        "locked_minor": sum(one.lock.amount_minor for one in locks),
        "paid_minor": paid,
        "held_minor": sum(live),
    }
    return business.played("payout", Payouts(TERMS, attesters), laws, figures, now_ms)


def _action(rng: random.Random, seed: int, number: int, payouts: Payouts, now_ms: int) -> Any:
    id = part_id(seed, f"payouts action {number}")
    if not payouts.locks or rng.random() < 0.2:
        return _lock(rng, seed, id, now_ms)
    live = [about for about, one in payouts.locks.items() if one.holding and not one.holding.expired(now_ms)]
    about = rng.choice(live or list(payouts.locks))
    locked, kind = payouts.locks[about], rng.random()
    if kind < 0.03:
        return Waive(id, locked.lock.beneficiary.owner if rng.random() < 0.5 else id, about)
    attester = rng.choice(locked.lock.attesters)
    if locked.votes and kind < 0.6:
        told = [
            one.attestation.fact for one, _ in payouts.done.values() if isinstance(one, Attest) and one.lock == about
        ]
        fact = rng.choice(told)
    else:
        fact = _fact(rng, locked.lock.terms, now_ms)
    signed = attest(key_of(seed, attester), attester, fact)
    if kind > 0.96:
        signed = Attestation(attester, fact, rng.randbytes(64))
    return Attest(id, about, signed)


def _fact(rng: random.Random, terms: str, now_ms: int) -> Fact:
    at_ms = now_ms - rng.randrange(HOUR_MS)
    if terms == "typhoon":
        return Fact.of("wind", at_ms, speed_m_s=rng.randint(15, 45))
    return Fact.of("bill of lading", at_ms, port=rng.choice(["Ningbo", "Ningbo", "Xiamen"]))


def _lock(rng: random.Random, seed: int, id: int, now_ms: int) -> Lock:
    def owner_of(name: str) -> Party:
        return Party(part_id(seed, f"payouts owner {name}"), account_of(seed, name))

    terms, attesters, quorum = rng.choice([("typhoon", STATIONS, 2), ("shipped", REGISTRARS, 1)])
    insurer, farmer = owner_of("insurer"), owner_of(f"beneficiary {rng.randrange(BENEFICIARIES)}")
    period_ms = now_ms, now_ms + rng.randint(1, 6) * HOUR_MS
    timeout_ms = rng.randint(2, 8) * HOUR_MS
    amount = rng.randint(10_000, AMOUNT_MINOR_MAX)
    return Lock(id, insurer.owner, insurer, farmer, terms, attesters, quorum, *period_ms, amount, CODE, timeout_ms)
