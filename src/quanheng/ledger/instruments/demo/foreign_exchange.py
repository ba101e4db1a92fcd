"""A day of a foreign exchange dealer in four currencies: quotes, conversions, locked rates, hourly revaluation."""

from __future__ import annotations

import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from quanheng.ledger.entries import Balance
from quanheng.ledger.instruments.conversion import ROUNDINGS, Amounts, Price, convert
from quanheng.ledger.instruments.demo import Played
from quanheng.ledger.instruments.demo.business import Business
from quanheng.ledger.instruments.demo.witness import spendable_minor
from quanheng.ledger.instruments.foreign_exchange import ForeignExchange, marks_of, worth_minor
from quanheng.ledger.instruments.foreign_exchange_actions import (
    Book,
    Convert,
    Dealer,
    Exercise,
    Quote,
    Release,
    Revalue,
)
from quanheng.ledger.instruments.instrument import LedgerLike, part_id

ASSETS = {"EUR": 310, "JPY": 311, "KWD": 312, "USD": 313}
MID_IN_EUR = {"EUR": Decimal(1), "JPY": Decimal("0.0062"), "KWD": Decimal("3.01"), "USD": Decimal("0.92")}
CUSTOMERS, ACTIONS, CODE = 5, 300, 3_100
FUNDS_MINOR, AMOUNT_MINOR_MAX = 10_000_000, 300_000
DAY_MS, VALID_MS = 20 * 3_600_000, 3_600_000


def account_of(seed: int, currency: str, name: str) -> int:
    """Account of a name in the day of `seed`."""
    return part_id(seed, f"fx {currency} {name}")


def dealer_of(seed: int) -> Dealer:
    """The dealer of the day of `seed`."""
    books = {one: Book(*(account_of(seed, one, name) for name in ("position", "spread", "residue"))) for one in ASSETS}
    valued = account_of(seed, "EUR", "revaluation"), account_of(seed, "EUR", "result")
    return Dealer(part_id(seed, "fx dealer"), books, "EUR", *valued)


def play(ledger: LedgerLike, seed: int, start_ms: int, day: int) -> Played:
    """A seeded day of foreign exchange on a ledger; the same seed plays the same day."""
    rng, dealer, now_ms = random.Random(seed), dealer_of(seed), start_ms
    dealing = ForeignExchange(dealer)
    business = Business(ledger, dealing, day)
    for currency, asset in ASSETS.items():
        customers = [account_of(seed, currency, f"customer {n}") for n in range(CUSTOMERS)]
        free = [account_of(seed, currency, name) for name in ("bank", "position", "spread", "residue")]
        free += [dealer.revaluation, dealer.result] if currency == dealer.reporting else []
        business.open(customers, free, asset, CODE, start_ms)
        business.fund(free[0], customers, FUNDS_MINOR, CODE, start_ms)
    valued = True
    for number in range(ACTIONS):
        now_ms += rng.randrange(2 * DAY_MS // ACTIONS)
        repeat = bool(business.asked) and rng.random() < 0.05
        id = part_id(seed, f"fx action {number}")
        if number % 60 == 59:
            balances = business.witness.balances(now_ms, day)
            valued &= _revalue(business, id, balances, now_ms)
        else:
            business.do(rng.choice(business.asked) if repeat else _action(rng, seed, id, dealing), now_ms)
    laws = {**_laws(dealing, business.witness.balances(now_ms, day), now_ms), "positions are valued at marks": valued}
    return business.played("foreign exchange", ForeignExchange(dealer), laws, _figures(dealing), now_ms)


def _action(rng: random.Random, seed: int, id: int, dealing: ForeignExchange) -> Any:
    customer = rng.randrange(CUSTOMERS)
    by = part_id(seed, f"fx customer {customer}")
    if len(dealing.quotes) < 3 or rng.random() < 0.25:
        base, term = rng.sample(sorted(ASSETS), 2)
        mid = (MID_IN_EUR[base] / MID_IN_EUR[term]).quantize(Decimal("0.000001")) * rng.randint(98, 102) / 100
        modes = [rng.choice(sorted(ROUNDINGS)) for _ in range(3)]
        lock_ms = rng.choice([0, VALID_MS, 2 * VALID_MS])
        price = Price(base, term, mid, rng.randrange(120), *modes)
        return Quote(id, dealing.dealer.owner, price, rng.choice([0, 0, by]), VALID_MS, 10**7, lock_ms)
    if dealing.locks and rng.random() < 0.3:
        lock = rng.choice(list(dealing.locks)[-8:])
        kind = Release if rng.random() < 0.25 else Exercise
        return kind(id, dealing.locks[lock].owner, lock)
    quote = rng.choice(list(dealing.quotes)[-6:])
    given = dealing.quotes[quote].quote
    by = given.customer or by
    customer = next(n for n in range(CUSTOMERS) if part_id(seed, f"fx customer {n}") == by)
    sell, buy = rng.sample([given.price.base, given.price.term], 2)
    given_from, taken_to = (account_of(seed, one, f"customer {customer}") for one in (sell, buy))
    lock_ms = rng.choice([0, given.lock_max_ms, given.lock_max_ms])
    amount = rng.choice([rng.randint(1, 20), rng.randint(1, AMOUNT_MINOR_MAX)])
    return Convert(id, by, quote, sell, amount, given_from, taken_to, CODE, rng.random() < 0.4, lock_ms)


def _revalue(business: Business, id: int, balances: Mapping[int, Balance], now_ms: int) -> bool:
    """Revalue; whether the result then is what the positions are worth."""
    dealing = business.instrument
    assert isinstance(dealing, ForeignExchange)
    dealer = dealing.dealer
    marks = marks_of(dealer, lambda one: _posted_minor(balances[one]), MID_IN_EUR)
    action = Revalue(id, dealer.owner, marks, CODE)
    business.do(action, now_ms)
    result = business.witness.balances(now_ms, business.day)[dealer.result]
    return _posted_minor(result) == sum(worth_minor(one, dealer.reporting, action.rounding) for one in marks)


def _posted_minor(balance: Balance) -> int:
    return balance.credits_posted_minor - balance.debits_posted_minor


def converted(dealing: ForeignExchange) -> list[tuple[Convert, Amounts]]:
    """Conversions that moved value: those at once, and the locks that were exercised."""
    actions = [action for action, _ in dealing.done.values()]
    exercised = {action.lock for action in actions if isinstance(action, Exercise)}
    return [
        (one, convert(dealing.quotes[one.quote].quote.price, one.sell, one.fixed_minor, one.buys_fixed))
        for one in actions
        if isinstance(one, Convert) and (not one.lock_ms or one.id in exercised)
    ]


def _laws(dealing: ForeignExchange, balances: Mapping[int, Balance], now_ms: int) -> dict[str, bool]:
    """Every account is what the conversions say."""
    expected = {
        account: 0 for one in dealing.dealer.books.values() for account in (one.position, one.spread, one.residue)
    }
    for one, amounts in converted(dealing):
        price = dealing.quotes[one.quote].quote.price
        buy = price.term if one.sell == price.base else price.base
        books = dealing.dealer.books
        sign = 1 if one.buys_fixed else -1
        fixed = -amounts.bought_minor if one.buys_fixed else amounts.sold_minor
        expected[books[amounts.derived].position] += sign * amounts.position_minor
        expected[books[buy if one.buys_fixed else one.sell].position] += fixed
        expected[books[amounts.derived].spread] += amounts.spread_minor
        expected[books[amounts.derived].residue] += amounts.residue_minor
    used_up = [one for one in dealing.quotes.values() if one.used_minor > one.quote.base_max_minor]
    standing = [one for one in dealing.locks.values() if one.holds and one.until_ms > now_ms]
    held = any(one.credits_held_minor or one.debits_held_minor for one in balances.values())
    return {
        "positions, spreads and residues are those of the conversions": all(
            _posted_minor(balances[account]) == amount for account, amount in expected.items()
        ),
        "no quote is exceeded": not used_up,
        "value is held for locks that stand, and only then": held == bool(standing),
        "no customer is below zero": all(
            spendable_minor(balances[one.from_account]) >= 0 for one, _ in converted(dealing)
        ),
    }


def _figures(dealing: ForeignExchange) -> dict[str, int]:
    actions = [action for action, _ in dealing.done.values()]
    done = converted(dealing)
    return {
        "quotes": len(dealing.quotes),
        "conversions": len(done),
        "locks": len(dealing.locks),
        "exercised": sum(isinstance(one, Exercise) for one in actions),
        "released": sum(isinstance(one, Release) for one in actions),
        "revaluations": sum(isinstance(one, Revalue) for one in actions),
        "residues": sum(bool(amounts.residue_minor) for _, amounts in done),
    }
