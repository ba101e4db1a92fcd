"""Laws of a pool: the formula is the best that keeps the product, and no sequence of actions takes value out of it."""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from quanheng.ledger.entries import AMOUNT_MAX, ID_MAX, Balance
from quanheng.ledger.instruments.pool import (
    AddLiquidity,
    Pool,
    PoolTerms,
    RemoveLiquidity,
    SwapIn,
    SwapOut,
)
from quanheng.ledger.instruments.pool import PoolRefusal as R
from quanheng.ledger.instruments.pool_formula import (
    BASIS_POINTS,
    Reserves,
    amount_in,
    amount_out,
    liquidity,
    withdrawal,
)
from quanheng.ledger.outcomes import TransferOutcome
from quanheng.testing.slow_pool import ISSUED, OUT, POOR, SlowPool, least, most

sys.path.insert(0, str(Path(__file__).parents[3] / "unit" / "ledger" / "instruments"))
from asset_bench import AssetBench, account
from instrument_bench import CODE

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # A seed does not shrink.
A, B, SHARE, FUNDS = 1, 2, 3, 100_000
amounts = st.integers(1, 2**63 - 2) | st.integers(1, 30)
fees = st.integers(0, 9_999)


def keeps_product(given, got, into, out, fee):
    """The law that prices: reserves after the swap, the fee left aside, have no smaller product."""
    return (into * BASIS_POINTS + given * (BASIS_POINTS - fee)) * (out - got) >= into * out * BASIS_POINTS


@given(amounts, amounts, amounts, fees)
def test_an_amount_out_is_the_most_that_keeps_the_product(given, into, out, fee):
    got = amount_out(given, into, out, fee)
    assert 0 <= got < out
    assert keeps_product(given, got, into, out, fee)
    assert not keeps_product(given, got + 1, into, out, fee)
    assert (into + given) * (out - got) >= into * out


@given(st.data(), amounts, fees)
def test_an_amount_in_is_the_least_that_keeps_the_product(data, into, fee):
    out = data.draw(st.integers(2, 2**63 - 2) | st.integers(2, 30))
    got = data.draw(st.integers(1, out - 1))
    given = amount_in(got, into, out, fee)
    assert keeps_product(given, got, into, out, fee)
    assert not keeps_product(given - 1, got, into, out, fee)
    assert amount_out(given, into, out, fee) >= got


@given(amounts, amounts, amounts, fees)
def test_there_and_back_is_no_gain(given, into, out, fee):
    got = amount_out(given, into, out, fee)
    assert got == 0 or amount_out(got, out - got, into + given, fee) <= given


@given(amounts, amounts, amounts, amounts, amounts)
def test_liquidity_in_and_out_is_no_gain(first, second, shares, some, other):
    before = Reserves(first, second, shares)
    taken = liquidity(some, other, before)
    if taken.shares:
        assert taken.first_minor <= some
        assert taken.second_minor <= other
        after = Reserves(*(old + new for old, new in zip(before, taken, strict=True)))
        back = withdrawal(taken.shares, after)
        assert back[0] <= taken.first_minor
        assert back[1] <= taken.second_minor
        # A share is worth no less than before, in each asset.
        assert after.first_minor * before.shares >= before.first_minor * after.shares
        assert after.second_minor * before.shares >= before.second_minor * after.shares


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_most_and_the_least_are_what_trying_every_number_finds(bound, upto):
    assert most(lambda n: n <= bound, upto) == max(n for n in range(upto + 1) if n <= bound)
    assert least(lambda n: n >= bound, upto) == min([n for n in range(upto + 1) if n >= bound] or [upto])


@given(st.data(), amounts, amounts, amounts, fees)
def test_the_formula_is_what_the_twin_finds_without_it(data, first, second, shares, fee):
    twin = SlowPool(PoolTerms(A, B, SHARE, CODE, fee), Counter())
    twin.balances.update({("pool", 1): first, ("pool", 2): second, ISSUED: -shares})
    reserves = Reserves(first, second, shares)
    given, got = data.draw(amounts), data.draw(st.integers(0, second - 1))
    assert twin.swapped(SwapIn(1, 1, A, given, 0, 1, 1, 0)) == (given, amount_out(given, first, second, fee))
    if got:
        assert twin.swapped(SwapOut(1, 1, A, got, 1, 1, 1, 0)) == (amount_in(got, first, second, fee), got)
    some, other, back = data.draw(amounts), data.draw(amounts), data.draw(st.integers(1, shares))
    assert twin.added(AddLiquidity(1, 1, some, other, 0, 1, 1, 0)) == liquidity(some, other, reserves)
    assert twin.removed(back) == withdrawal(back, reserves)


class EmptyAccountsAside(AssetBench):
    """An action that the ledger refuses may have opened accounts; they stay empty."""

    def everything(self):
        return self.instrument.digest(), {one: book for one, book in self.balances().items() if book != Balance()}


def random_action(rng, pool, number, now_ms):
    id, by, kind, asset = 1_000 + number, rng.randint(1, 4), rng.random(), rng.choice([A, B])
    one, other, last = account(A, by), account(B, by), now_ms + rng.choice([0, 0, 10, 10, 10, -1])
    size = rng.choice([1, 3, 50, 50, 700, 700, 9_000, 9_000, 60_000, 60_000, AMOUNT_MAX, 0])
    by = by if rng.random() < 0.98 else ID_MAX
    into, out = (one, other) if asset == A else (other, one)
    if kind < 0.2:
        return AddLiquidity(id, by, size, rng.choice([1, 900, 8_000]), rng.choice([0, 0, 0, 50]), one, other, last)
    if kind < 0.35:
        shares = rng.choice([1, 40, 700, 5_000, max(1, pool.reserves.shares // 3)])
        return RemoveLiquidity(id, by, shares, rng.choice([0, 0, 5]), rng.choice([0, 0, 700]), one, other, last)
    asset = asset if rng.random() < 0.98 else SHARE
    if kind < 0.7:
        return SwapIn(id, by, asset, size, rng.choice([0, 0, 30, 600]), into, out, last)
    most = rng.choice([50, 9_000, 2**62])
    return SwapOut(id, by, asset, rng.choice([size, max(1, pool.reserves.first_minor - 1)]), most, into, out, last)


def do(bench, twin, action):
    """The outcome, which is the twin's: applied, refused for the same reason, or refused by the ledger."""
    result, expected = bench.do(action), twin.do(action, bench.now_ms)
    found = result.refusal.code if result.refusal else POOR if result.outcome else ""
    assert found == expected, (action, result)
    return result


def check_reserves(bench, twin):
    """Reserves are what the accounts have, and shares what was issued; owners have what the twin says."""
    pool, balances = bench.instrument, bench.balances()

    def has(name):
        book = balances.get(pool.account_of(name), Balance())
        return book.credits_posted_minor - book.debits_posted_minor

    assert (has("first"), has("second"), -has("issued")) == tuple(pool.reserves)
    assert sum(has(name) for name in (1, 2, 3, 4, "locked")) == pool.reserves.shares
    assert tuple(pool.reserves) == twin.reserves
    assert has("locked") == twin.balances[OUT]
    assert [has(n) for n in (1, 2, 3, 4)] == [twin.balances["shares", n] for n in (1, 2, 3, 4)]
    for asset in (A, B):
        assert bench.holds(asset) == [twin.balances["cash", account(asset, n)] for n in (1, 2, 3, 4)]


def check_law(action, before, after):
    """The product never falls by a swap; a share's part of it never falls by liquidity."""
    was, now = before.first_minor * before.second_minor, after.first_minor * after.second_minor
    if isinstance(action, (SwapIn, SwapOut)):
        assert now >= was
    if before.shares:
        assert now * before.shares**2 >= was * after.shares**2
        assert min(after) > 0


def run(seed, actions_n=70, kind="slow"):
    rng = random.Random(seed)
    terms = PoolTerms(A, B, SHARE, CODE, rng.choice([0, 1, 30, 100, 9_999]))
    bench = EmptyAccountsAside(Pool(7, terms), kind, assets=(A, B), parties=4, funds_minor=FUNDS)
    pool, asked, codes = bench.instrument, [], set()
    funds = {("cash", account(asset, n)): FUNDS for asset in (A, B) for n in (1, 2, 3, 4)}
    twin = SlowPool(terms, Counter(funds))
    for number in range(actions_n):
        bench.now_ms += rng.choice([0, 1, 5])
        if asked and rng.random() < 0.08:
            action = rng.choice(asked)
            action = replace(action, by=3) if rng.random() < 0.3 else action
        else:
            action = random_action(rng, pool, number, bench.now_ms)
        asked.append(action)
        before, reserves, repeated = bench.everything(), pool.reserves, action.id in pool.done
        result = do(bench, twin, action)
        if not result.applied or repeated:
            assert bench.everything() == before, f"seed={seed} {action}"
            codes.add(result.refusal.code if result.refusal else result.outcome)
        else:
            check_law(action, reserves, pool.reserves)
            assert bench.now_ms <= action.deadline_ms
        check_reserves(bench, twin)
    assert bench.ledger.is_conserved(bench.now_ms, bench.day)
    other = EmptyAccountsAside(Pool(7, terms), **bench.made)
    for action, now_ms in bench.applied:
        other.now_ms = now_ms
        other.must(action)
    assert other.everything() == bench.everything()
    return codes


@settings(max_examples=25, deadline=None, phases=PHASES)
@given(st.integers(0, 2**32))
@example(0)
def test_laws_of_pools(seed):
    run(seed)


def test_the_laws_on_the_core():
    for seed in range(3):
        run(seed, kind="core")


def test_the_random_actions_reach_the_refusals():
    """What a random run never meets, it does not test."""
    met = set().union(*(run(seed, 150) for seed in range(20)))
    rare = {R.ID_IS_OUT_OF_RANGE}
    assert {*R, TransferOutcome.BALANCE_IS_TOO_LOW} - rare <= met, set(R) - rare - met
