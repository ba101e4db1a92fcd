"""A day of a pool of two currencies: liquidity comes and goes, customers swap with limits and deadlines."""

from __future__ import annotations

import random
from typing import Any

from quanheng.ledger.instruments.demo import Played
from quanheng.ledger.instruments.demo.business import Business
from quanheng.ledger.instruments.demo.witness import spendable_minor
from quanheng.ledger.instruments.instrument import LedgerLike, part_id
from quanheng.ledger.instruments.pool import (
    AddLiquidity,
    Pool,
    PoolTerms,
    RemoveLiquidity,
    SwapIn,
    SwapOut,
)

EUR, USD, SHARE = 520, 521, 522
CODE, OWNERS, ACTIONS, FUNDS_MINOR = 5_200, 8, 150, 10_000_000
DAY_MS, FEE_BASIS_POINTS = 20 * 3_600_000, 30


def play(ledger: LedgerLike, seed: int, start_ms: int, day: int) -> Played:
    """A seeded day of one pool on a ledger; the same seed plays the same day."""
    rng, pool, now_ms = random.Random(seed), new_pool(seed), start_ms
    business = Business(ledger, pool, day)
    for asset in (EUR, USD):
        accounts = [_account(seed, asset, n) for n in range(OWNERS)]
        business.open(accounts, [_account(seed, asset, -1)], asset, CODE, now_ms)
        business.fund(_account(seed, asset, -1), accounts, FUNDS_MINOR, CODE, now_ms)
    grows, counts = True, {"swaps": 0, "added": 0, "removed": 0}
    first = AddLiquidity(_id(seed, "first"), _owner(seed, 0), 5_000_000, 5_500_000, 0, *_both(seed, 0), start_ms)
    for number in range(ACTIONS):
        now_ms += rng.randrange(DAY_MS // ACTIONS) if number else 0
        action: Any = _action(rng, pool, seed, number, now_ms) if number else first
        before, fresh = pool.reserves, action.id not in pool.done
        if business.do(action, now_ms).applied and fresh:
            swap = isinstance(action, (SwapIn, SwapOut))
            grows &= not swap or _product(pool) >= before.first_minor * before.second_minor
            counts["swaps" if swap else "added" if isinstance(action, AddLiquidity) else "removed"] += 1
            if rng.random() < 0.05:
                business.do(action, now_ms)
    balances = business.witness.balances(now_ms, day)
    held = [spendable_minor(balances[pool.account_of(name)]) for name in ("first", "second", "issued")]
    laws = {
        "the product never falls by a swap": grows,
        "reserves are what the ledger has": [held[0], held[1], -held[2]] == list(pool.reserves),
    }
    reserves = {"first_minor": held[0], "second_minor": held[1], "shares": -held[2]}
    return business.played("pool", new_pool(seed), laws, {**counts, **reserves}, now_ms)


def new_pool(seed: int) -> Pool:
    """The pool of the day of `seed`."""
    return Pool(part_id(seed, "pool"), PoolTerms(EUR, USD, SHARE, CODE, FEE_BASIS_POINTS))


def _action(rng: random.Random, pool: Pool, seed: int, number: int, now_ms: int) -> Any:
    n, kind, amount = rng.randrange(OWNERS), rng.random(), rng.randint(1, 200_000)
    id, by, until = _id(seed, f"action {number}"), _owner(seed, n), now_ms + rng.choice([0, 1_000, 1_000, 1_000, -1])
    if kind < 0.12:
        return AddLiquidity(id, by, amount, rng.randint(1, 200_000), 0, *_both(seed, n), until)
    if kind < 0.2:
        return RemoveLiquidity(id, by, rng.randint(1, 100_000), 0, 0, *_both(seed, n), until)
    asset = rng.choice([EUR, USD])
    pays, gets = _both(seed, n) if asset == EUR else _both(seed, n)[::-1]
    if kind < 0.7:
        least = pool.quote_in(asset, amount) * rng.choice([99, 100, 101]) // 100
        return SwapIn(id, by, asset, amount, least, pays, gets, until)
    most = pool.quote_out(asset, amount) * rng.choice([100, 101, 99]) // 100 + 1
    return SwapOut(id, by, asset, amount, most, pays, gets, until)


def _product(pool: Pool) -> int:
    return pool.reserves.first_minor * pool.reserves.second_minor


def _id(seed: int, name: str) -> int:
    return part_id(seed, f"pool {name}")


def _owner(seed: int, n: int) -> int:
    return part_id(seed, f"pool owner {n}")


def _account(seed: int, asset: int, n: int) -> int:
    return part_id(seed, f"pool cash {asset} {n}")


def _both(seed: int, n: int) -> tuple[int, int]:
    return _account(seed, EUR, n), _account(seed, USD, n)
