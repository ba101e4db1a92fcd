"""Laws of foreign exchange: conversions against a plain twin, no gain by going round, random actions on a ledger."""

from __future__ import annotations

import decimal
import random
import sys
from decimal import Decimal
from pathlib import Path

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from quanheng.ledger.instruments.conversion import ROUNDINGS, Price, convert
from quanheng.ledger.instruments.demo.foreign_exchange import converted
from quanheng.ledger.instruments.foreign_exchange import ForeignExchange, marks_of
from quanheng.ledger.instruments.foreign_exchange_actions import (
    Book,
    Convert,
    Dealer,
    Exercise,
    Quote,
    Release,
    Revalue,
)
from quanheng.ledger.instruments.foreign_exchange_actions import FxRefusal as R
from quanheng.testing.slow_conversion import slow_customer_minor

sys.path.insert(0, str(Path(__file__).parents[3] / "unit" / "ledger" / "instruments"))
from asset_bench import AssetBench, account
from instrument_bench import CODE

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # A seed does not shrink.
CURRENCIES = {"EUR": 1, "JPY": 2, "KWD": 3}
FREE = POSITION, SPREAD, RESIDUE, REVALUATION, RESULT = 50, 51, 52, 53, 54
BOOKS = {name: Book(*(account(asset, one) for one in FREE[:3])) for name, asset in CURRENCIES.items()}
AT = Dealer(90, BOOKS, "EUR", account(1, REVALUATION), account(1, RESULT))
MODES = sorted(ROUNDINGS)

mids = st.decimals("0.000001", "1000000", places=6).filter(lambda one: one > 0)
prices = st.builds(
    Price,
    st.sampled_from(["EUR", "KWD"]),
    st.sampled_from(["JPY", "USD", "CLF"]),
    mids,
    st.integers(0, 19_999),
    *[st.sampled_from(MODES)] * 3,
)


@settings(max_examples=150, deadline=None)
@given(prices, st.booleans(), st.integers(1, 10**12), st.booleans())
def test_conversions_are_those_of_the_plain_twin_and_lose_nothing(price, sells_base, fixed, buys_fixed):
    sell = price.base if sells_base else price.term
    amounts = convert(price, sell, fixed, buys_fixed)
    customer = amounts.sold_minor if buys_fixed else amounts.bought_minor
    assert customer == slow_customer_minor(price, sell, fixed, buys_fixed)
    assert (amounts.bought_minor if buys_fixed else amounts.sold_minor) == fixed
    rest = amounts.position_minor, amounts.spread_minor, amounts.residue_minor
    assert rest[1] >= 0
    assert abs(rest[2]) <= 2, "three amounts, each less than one unit from exact"
    if buys_fixed:
        assert amounts.sold_minor == sum(rest)
    else:
        assert amounts.position_minor == amounts.bought_minor + amounts.spread_minor + amounts.residue_minor


@settings(max_examples=100, deadline=None)
@given(prices, st.booleans(), st.integers(1, 10**9))
def test_nobody_gains_by_going_there_and_back(price, sells_base, amount):
    against = replace(price, customer_rounding=decimal.ROUND_DOWN)
    sell, buy = (price.base, price.term) if sells_base else (price.term, price.base)
    there = convert(against, sell, amount, False).bought_minor
    assert convert(against, buy, there, False).bought_minor <= amount


@settings(max_examples=100, deadline=None)
@given(prices, st.booleans(), st.integers(1, 10**9), st.integers(1, 10**9))
def test_more_sold_is_never_less_bought(price, sells_base, one, more):
    sell = price.base if sells_base else price.term
    assert convert(price, sell, one, False).bought_minor <= convert(price, sell, one + more, False).bought_minor


def random_action(rng, asked, number, dealing):
    if asked and rng.random() < 0.08:
        action = rng.choice(asked)
        return replace(action, by=rng.choice([1, 2, 90])) if rng.random() < 0.4 else action
    id, by = 1_000 + number, rng.randint(1, 2)
    kind = rng.random()
    if kind < 0.2 or not dealing.quotes:
        base, term = (rng.choice(["EUR", "JPY", "KWD", "EUR", "USD"]) for _ in range(2))
        mid = Decimal(rng.choice(["161.3", "0.0062", "1", "1e-9", "0"]))
        price = Price(base, term, mid, rng.choice([0, 30, 19_000, 20_000]), *rng.choices([*MODES, "NONE"], k=3))
        limits = rng.choice([0, 100, 1_000]), rng.choice([5_000, 50_000]), rng.choice([0, 10, 200])
        return Quote(id, 90 if rng.random() < 0.95 else by, price, rng.choice([0, 0, by]), *limits)
    if kind < 0.65:
        quote = rng.choice([*list(dealing.quotes)[-3:], 5]) if rng.random() < 0.97 else 7
        pair = ("EUR", "JPY")
        if quote in dealing.quotes:
            pair = (dealing.quotes[quote].quote.price.base, dealing.quotes[quote].quote.price.term)
        sell, buy = rng.sample(pair, 2) if rng.random() < 0.95 else rng.sample(sorted(CURRENCIES), 2)
        accounts = account(CURRENCIES[sell], by), account(CURRENCIES[buy], rng.choice([by, by, by, SPREAD]))
        amount = rng.choice([0, 1, 2, 7, 777, 4_000, 60_000])
        return Convert(id, by, quote, sell, amount, *accounts, CODE, rng.random() < 0.4, rng.choice([0, 10, 100]))
    if kind < 0.95:
        lock = rng.choice([*list(dealing.locks)[-4:], 5])
        by = dealing.locks[lock].owner if lock in dealing.locks and rng.random() < 0.9 else by
        return rng.choice([Exercise, Release])(id, by, lock)
    return None


def revalue(bench, number, rng):
    """Positions from the ledger; a rate for each currency but one that may be missing."""
    posted = {one: b.credits_posted_minor - b.debits_posted_minor for one, b in bench.balances().items()}
    rates = {"JPY": Decimal(rng.choice(["0.0062", "0.007"])), "KWD": Decimal("3.01")}
    marks = marks_of(AT, posted.__getitem__, rates)
    return Revalue(1_000 + number, 90, marks[: 3 if rng.random() < 0.8 else 2], CODE, rng.choice(MODES))


def check(bench):
    """Positions, spreads and residues are those of the conversions, to the last unit."""
    expected = {account: 0 for book in BOOKS.values() for account in (book.position, book.spread, book.residue)}
    for one, amounts in converted(bench.instrument):
        price = bench.instrument.quotes[one.quote].quote.price
        buy = price.term if one.sell == price.base else price.base
        expected[BOOKS[one.sell].position] += amounts.position_minor if one.buys_fixed else amounts.sold_minor
        expected[BOOKS[buy].position] -= amounts.bought_minor if one.buys_fixed else amounts.position_minor
        book = BOOKS[amounts.derived]
        expected[book.spread] += amounts.spread_minor
        expected[book.residue] += amounts.residue_minor
    balances = bench.balances()
    posted = {one: balances[one].credits_posted_minor - balances[one].debits_posted_minor for one in expected}
    assert posted == expected


def run(seed, actions_n=80):
    rng, asked, codes = random.Random(seed), [], set()
    bench = AssetBench(ForeignExchange(AT), "slow", (1, 2, 3), 2, 50_000, FREE)
    for number in range(actions_n):
        action = random_action(rng, asked, number, bench.instrument) or revalue(bench, number, rng)
        asked.append(action)
        bench.now_ms += rng.choice([0, 0, 1, 20])
        bench.ledger.transfer([], bench.now_ms, bench.day)
        before, repeated = bench.everything(), action.id in bench.instrument.done
        result = bench.do(action)
        if not result.applied or repeated:
            assert bench.everything() == before, f"seed={seed} {action}"
            codes.add(result.refusal.code if result.refusal else result.outcome)
        assert all(0 <= one.used_minor <= one.quote.base_max_minor for one in bench.instrument.quotes.values())
    assert bench.ledger.is_conserved(bench.now_ms, bench.day)
    check(bench)
    bench.check_replay(ForeignExchange(AT))
    return codes


@settings(max_examples=25, deadline=None, phases=PHASES)
@given(st.integers(0, 2**32))
@example(0)
def test_laws_of_foreign_exchange(seed):
    run(seed)


def test_the_random_actions_reach_the_refusals():
    """What a random run never meets, it does not test."""
    met = set().union(*(run(seed, 150) for seed in range(20)))
    rare = {R.ID_IS_OUT_OF_RANGE, R.CODE_IS_OUT_OF_RANGE, R.CONVERTED_IS_TOO_MUCH}
    assert set(R) - rare <= met, set(R) - rare - met
