"""A day at a settlement agent: trades in two securities against cash, and in two currencies, settled in rounds."""

from __future__ import annotations

import random
from collections.abc import Mapping

from quanheng.ledger.entries import Balance
from quanheng.ledger.instruments.demo import Played
from quanheng.ledger.instruments.demo.business import Business
from quanheng.ledger.instruments.demo.witness import Witness, spendable_minor
from quanheng.ledger.instruments.exchange import (
    Cancel,
    Exchanges,
    Instruct,
    Leg,
    SafekeepingAccount,
    Terms,
    Trade,
    part_amounts,
)
from quanheng.ledger.instruments.exchange_rounds import Round, settle_due
from quanheng.ledger.instruments.instrument import LedgerLike, part_id

BOND, SHARE, EUR, USD = ASSETS = 300, 301, 302, 303
PARTIES, TRADES, ROUNDS, CODE = 6, 60, 10, 3_000
FUNDS_MINOR = {BOND: 600, SHARE: 400, EUR: 50_000, USD: 50_000}
DAY_MS = 20 * 3_600_000


def account_of(seed: int, asset: int, member: int) -> int:
    """Account of a member in the day of `seed`; member -1 is the asset's issuer."""
    return part_id(seed, f"exchange {asset} {member}")


def play(ledger: LedgerLike, seed: int, start_ms: int, day: int) -> Played:
    """A seeded day of DvP and PvP on a ledger; the same seed plays the same day."""
    rng, agent = random.Random(seed), part_id(seed, "exchange agent")
    exchanges = _Noted(agent)
    business = Business(ledger, exchanges, day)
    for asset in ASSETS:
        accounts, issuer = [account_of(seed, asset, n) for n in range(PARTIES)], account_of(seed, asset, -1)
        business.open(accounts, [issuer], asset, CODE, start_ms)
        business.fund(issuer, accounts, FUNDS_MINOR[asset], CODE, start_ms)
    rounds, now_ms, unbroken = [], start_ms, True
    for number in range(ROUNDS):
        for _ in range(TRADES // ROUNDS):
            now_ms += rng.randrange(DAY_MS // TRADES)
            _instruct(business, rng, part_id(seed, f"exchange trade {rng.random()}"), seed, now_ms)
        rounds.append(settle_due(business.witness, exchanges, part_id(seed, f"round {number}"), now_ms, day))
        unbroken &= _all_or_nothing(business.witness, exchanges, seed, now_ms, day)
    business.done = exchanges.noted
    laws = {"every trade settles in all legs or in none": unbroken}
    return business.played("exchange", Exchanges(agent), laws, _figures(exchanges.trades, rounds), now_ms)


class _Noted(Exchanges):
    """Exchanges that note what was applied and when, rounds included."""

    def __init__(self, agent: int) -> None:
        super().__init__(agent)
        self.noted: list[tuple[object, int]] = []

    def apply(self, action: object, now_ms: int) -> None:
        super().apply(action, now_ms)
        self.noted.append((action, now_ms))


def _instruct(business: Business, rng: random.Random, trade: int, seed: int, now_ms: int) -> None:
    """All parties of a new trade instruct; now and then one of them other terms, or both cancel."""
    terms = _terms(rng, seed, now_ms)
    for owner in sorted(terms.parties):
        moved = sorted({leg.asset for leg in terms.legs if owner in (leg.deliverer, leg.receiver)})
        member = next(n for n in range(PARTIES) if _owner(seed, n) == owner)
        accounts = tuple(SafekeepingAccount(asset, account_of(seed, asset, member)) for asset in moved)
        business.do(Instruct(part_id(trade, f"of {member}"), owner, trade, terms, accounts), now_ms)
        if rng.random() < 0.05:
            terms = Terms(terms.legs, terms.code, terms.due_ms, terms.deadline_ms, terms.partial_min_minor, 9)
    if rng.random() < 0.08:
        for owner in sorted(terms.parties):
            business.do(Cancel(part_id(trade, f"cancel of {owner}"), owner, trade), now_ms)


def _owner(seed: int, member: int) -> int:
    return part_id(seed, f"exchange owner {member}")


def _terms(rng: random.Random, seed: int, now_ms: int) -> Terms:
    one, other, broker = (_owner(seed, n) for n in rng.sample(range(PARTIES), 3))
    kind, quantity = rng.random(), rng.randint(1, 300)
    if kind < 0.5:
        legs = [Leg(one, other, BOND, quantity), Leg(other, one, EUR, quantity * rng.randint(90, 110))]
    elif kind < 0.75:
        legs = [Leg(one, other, EUR, quantity * 100), Leg(other, one, USD, quantity * rng.randint(100, 120))]
    else:
        price = rng.randint(150, 250)
        legs = [Leg(one, broker, SHARE, quantity), Leg(broker, other, SHARE, quantity)]
        legs += [Leg(other, broker, USD, quantity * (price + 1)), Leg(broker, one, USD, quantity * price)]
    due_ms = now_ms + rng.choice([0, DAY_MS // 10])
    smallest = rng.choice([0, 0, 1, 10])
    deadline_ms = due_ms + rng.randint(DAY_MS // 20, DAY_MS // 3)
    return Terms(tuple(legs), CODE, due_ms, deadline_ms, min(smallest, quantity), rng.randrange(3))


def _all_or_nothing(witness: Witness, exchanges: Exchanges, seed: int, now_ms: int, day: int) -> bool:
    """Whether every balance is what the settled parts of all trades make of the funds."""
    expected = {account_of(seed, asset, n): FUNDS_MINOR[asset] for asset in ASSETS for n in range(PARTIES)}
    for trade in exchanges.trades.values():
        if not trade.matched:
            continue
        amounts = part_amounts(trade.terms, 0, trade.settled_minor)
        for leg, amount in zip(trade.terms.legs, amounts, strict=True):
            expected[_account(trade, leg.deliverer, leg.asset)] -= amount
            expected[_account(trade, leg.receiver, leg.asset)] += amount
    balances: Mapping[int, Balance] = witness.balances(now_ms, day)
    return all(spendable_minor(balances[one]) == amount for one, amount in expected.items())


def _account(trade: Trade, owner: int, asset: int) -> int:
    return next(one.account for one in trade.instructed[owner].accounts if one.asset == asset)


def _figures(trades: Mapping[int, Trade], rounds: list[Round]) -> dict[str, int]:
    matched = [one for one in trades.values() if one.matched]
    return {
        "trades": len(trades),
        "matched": len(matched),
        "settled": sum(one.rest_minor == 0 for one in matched),
        "parts": sum(len(one.parts) for one in rounds),
        "fails": sum(one.fails for one in matched),
        "lapsed": sum(len(one.lapsed) for one in rounds),
        "cancelled": sum(len(one.cancelled_by) == len(one.parties) for one in matched),
    }
