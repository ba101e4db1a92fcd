"""A day of a bond: offer and allotment, transfers, a coupon with its record time, redemption in part and whole."""

from __future__ import annotations

import random
from decimal import Decimal

from quanheng.ledger.instruments.demo import Played
from quanheng.ledger.instruments.demo.business import Business
from quanheng.ledger.instruments.demo.witness import spendable_minor
from quanheng.ledger.instruments.instrument import LedgerLike, part_id
from quanheng.ledger.instruments.securities.actions import (
    Admit,
    Allot,
    Declare,
    Deliver,
    PayOut,
    Redeem,
    SecurityTerms,
    Subscribe,
)
from quanheng.ledger.instruments.securities.security import Security

UNIT, CASH, CODE, OWNERS, TRADES = 510, 511, 5_100, 12, 100
FUNDS_MINOR, DAY_MS = 10_000_000, 20 * 3_600_000


def play(ledger: LedgerLike, seed: int, start_ms: int, day: int) -> Played:
    """A seeded day of one security on a ledger; the same seed plays the same day."""
    rng = random.Random(seed)
    security = new_security(seed, start_ms)
    business, step = Business(ledger, security, day), DAY_MS // 8
    accounts = [_cash(seed, n) for n in range(OWNERS + 1)]
    bank = _cash(seed, -1)
    business.open(accounts, [bank], CASH, CODE, start_ms)
    business.fund(bank, accounts, FUNDS_MINOR, CODE, start_ms)
    _offer(business, security, rng, seed, start_ms)
    residue, now_ms = 0, start_ms + step
    for coupon in range(2):
        record_ms = now_ms + step
        declared = Declare(
            _id(seed, f"coupon {coupon}"), security.terms.issuer, record_ms, record_ms + 1, Decimal("12.345")
        )
        business.do(declared, now_ms)
        for number in range(TRADES // 2):
            now_ms += rng.randrange(2 * step * 2 // TRADES)
            _trade(business, rng, seed, f"trade {coupon} {number}", now_ms)
        now_ms = max(now_ms, record_ms + 1)
        business.do(PayOut(_id(seed, f"pay {coupon}"), security.terms.issuer, declared.id), now_ms)
        residue += security.entitlements(declared.id)[1]
    redeemed = rng.randint(100, 400)
    business.do(Redeem(_id(seed, "part"), security.terms.issuer, redeemed, 10_100), now_ms)
    left = security.outstanding_units
    laws = {
        "the register is what the ledger has": _is_registered(business, security, now_ms, day),
        "the residue is booked": _has(business, security.account_of("residue"), now_ms, day) == residue,
    }
    business.do(Redeem(_id(seed, "whole"), security.terms.issuer, 0, 10_000), now_ms)
    issued = _has(business, security.account_of("issued"), now_ms, day)
    laws["nothing is left after redemption"] = security.outstanding_units == issued == 0
    figures = {
        "allotted": sum((security.allotted or {}).values()),
        "subscribed": sum(one.units for one in security.subscriptions.values()),
        "redeemed in part": redeemed,
        "redeemed at last": left,
        "entitled": sum(len(security.entitlements(one)[0]) for one in security.declarations),
        "residue_minor": residue,
    }
    return business.played("securities", new_security(seed, start_ms), laws, figures, now_ms)


def new_security(seed: int, start_ms: int) -> Security:
    """The bond of the day of `seed`."""
    issuer, number = _owner(seed, OWNERS), part_id(seed, "security")
    terms = SecurityTerms(
        UNIT, CASH, CODE, issuer, _cash(seed, OWNERS), 10_000, 1_000, start_ms + DAY_MS // 8, holding_max_units=400
    )
    return Security(number, terms)


def _id(seed: int, name: str) -> int:
    return part_id(seed, f"security {name}")


def _owner(seed: int, n: int) -> int:
    return part_id(seed, f"security owner {n}")


def _cash(seed: int, n: int) -> int:
    return part_id(seed, f"security cash {n}")


def _offer(business: Business, security: Security, rng: random.Random, seed: int, now_ms: int) -> None:
    issuer = security.terms.issuer
    for n in range(OWNERS - 1):  # The last one is not admitted.
        until = now_ms + DAY_MS // 2 if n == 0 else 0
        business.do(Admit(_id(seed, f"admit {n}"), issuer, _owner(seed, n), _cash(seed, n), True, until), now_ms)
    for n in range(OWNERS):
        business.do(Subscribe(_id(seed, f"subscribe {n}"), _owner(seed, n), rng.randint(50, 250)), now_ms + n)
    for wait_ms in (DAY_MS // 8 - 1, DAY_MS // 8):
        business.do(Allot(_id(seed, f"allot {wait_ms}"), issuer), now_ms + wait_ms)


def _trade(business: Business, rng: random.Random, seed: int, name: str, now_ms: int) -> None:
    by, to = (_owner(seed, rng.randrange(OWNERS)) for _ in range(2))
    action = Deliver(_id(seed, name), by, to, rng.randint(1, 80))
    business.do(action, now_ms)
    if rng.random() < 0.05:
        business.do(action, now_ms)


def _has(business: Business, account: int, now_ms: int, day: int) -> int:
    return spendable_minor(business.witness.balances(now_ms, day)[account])


def _is_registered(business: Business, security: Security, now_ms: int, day: int) -> bool:
    balances = business.witness.balances(now_ms, day)
    return all(
        spendable_minor(balances[security.account_of(owner)]) == security.register.units(owner)
        for owner in security.register.entries
    )
