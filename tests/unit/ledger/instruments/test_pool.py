"""A liquidity pool: the formula on known figures, a row for each refusal in order of precedence, what value does."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from quanheng.kernel.errors import InputError
from quanheng.ledger.entries import AMOUNT_MAX, ID_MAX
from quanheng.ledger.instruments.demo import pool as demo
from quanheng.ledger.instruments.pool import (
    AddLiquidity,
    Pool,
    PoolTerms,
    RemoveLiquidity,
    SwapIn,
    SwapOut,
)
from quanheng.ledger.instruments.pool import PoolRefusal as R
from quanheng.ledger.instruments.pool_formula import SHARES_LOCKED, Reserves, amount_in, amount_out
from quanheng.ledger.outcomes import TransferOutcome

sys.path.insert(0, str(Path(__file__).parent))
from asset_bench import AssetBench, account
from instrument_bench import CODE, DAY, LEDGERS, START_MS, new_ledger

A, B, SHARE = 1, 2, 3
TERMS, LAST = PoolTerms(A, B, SHARE, CODE, 30), START_MS + 1_000
FUNDS = 10**12


def add(id, by, first, second, least=0):
    return AddLiquidity(id, by, first, second, least, account(A, by), account(B, by), LAST)


def remove(id, by, shares, first=0, second=0):
    return RemoveLiquidity(id, by, shares, first, second, account(A, by), account(B, by), LAST)


def swap(id, by, asset_in, given, least=0):
    return SwapIn(id, by, asset_in, given, least, account(asset_in, by), account(3 - asset_in, by), LAST)


def buy(id, by, asset_in, got, most):
    return SwapOut(id, by, asset_in, got, most, account(asset_in, by), account(3 - asset_in, by), LAST)


def new_bench(kind="slow", funds=FUNDS):
    return AssetBench(Pool(7, TERMS), kind, assets=(A, B), parties=3, funds_minor=funds)


@pytest.fixture(params=LEDGERS)
def bench(request):
    return new_bench(request.param)


def has(bench, name):
    return bench.has(bench.instrument.account_of(name))


@pytest.mark.parametrize(
    ("given", "into", "out", "got"),
    [
        # Cases of Uniswap v2's own tests (UniswapV2Pair.spec.ts, swapTestCases), in units of 10**18.
        (1, 5, 10, 1662497915624478906), (1, 10, 5, 453305446940074565),
        (2, 5, 10, 2851015155847869602), (2, 10, 5, 831248957812239453),
        (1, 10, 10, 906610893880149131), (1, 100, 100, 987158034397061298), (1, 1000, 1000, 996006981039903216),
    ],
)  # fmt: skip
def test_the_formula_gives_the_known_amounts(given, into, out, got):
    unit = 10**18
    assert amount_out(given * unit, into * unit, out * unit, 30) == got
    assert amount_in(got, into * unit, out * unit, 30) <= given * unit


def test_a_swap_moves_both_sides_and_leaves_its_fee_in_the_pool(bench):
    bench.must(add(100, 1, 10_000, 40_000))
    bench.must(swap(101, 2, A, 1_000, 3_626))
    # 1 000 x 0.997 in: 40 000 x 997 / 10 997 = 3 626.4 out.
    assert bench.instrument.reserves == Reserves(11_000, 40_000 - 3_626, 20_000)
    assert (has(bench, "first"), has(bench, "second")) == (11_000, 36_374)
    assert (bench.holds(A)[1], bench.holds(B)[1]) == (FUNDS - 1_000, FUNDS + 3_626)
    bench.must(buy(102, 2, B, 500, 2_000))
    assert (has(bench, "first"), has(bench, "second")) == (10_500, 36_374 + 1_738)
    bench.check_replay(Pool(7, TERMS))


def test_the_first_liquidity_leaves_shares_that_nobody_takes_out(bench):
    bench.must(add(100, 1, 10_000, 40_000))
    assert (has(bench, 1), has(bench, "locked"), has(bench, "issued")) == (19_000, SHARES_LOCKED, -20_000)
    bench.must(remove(101, 1, 19_000))
    assert bench.instrument.reserves == Reserves(500, 2_000, SHARES_LOCKED)
    assert bench.refused(remove(102, 1, 1)) == R.RESERVE_IS_TOO_SMALL


def test_later_liquidity_is_taken_in_the_proportion_of_the_reserves(bench):
    bench.must(add(100, 1, 10_000, 40_000))
    bench.must(add(101, 2, 500, 9_999_999))
    assert (has(bench, 2), bench.instrument.reserves) == (1_000, Reserves(10_500, 42_000, 21_000))
    assert (bench.holds(A)[1], bench.holds(B)[1]) == (FUNDS - 500, FUNDS - 2_000)


def test_only_the_owner_of_shares_takes_them_out(bench):
    bench.must(add(100, 1, 10_000, 40_000))
    bench.must(add(101, 2, 500, 2_000))
    assert bench.refused(remove(102, 2, 1_001)) == TransferOutcome.BALANCE_IS_TOO_LOW


def test_the_deadline_itself_is_in_time(bench):
    bench.must(add(100, 1, 10_000, 40_000), after_ms=1_000)
    assert bench.refused(swap(101, 1, A, 100), after_ms=1) == R.DEADLINE_HAS_PASSED


def test_a_price_that_moved_is_not_taken(bench):
    """Two owners saw the same price; the second one's limit protects it."""
    bench.must(add(100, 1, 10_000, 40_000))
    seen = bench.instrument.quote_in(A, 1_000)
    bench.must(swap(101, 2, A, 1_000, seen))
    assert bench.refused(swap(102, 3, A, 1_000, seen)) == R.SLIPPAGE_EXCEEDED
    assert bench.instrument.quote_in(A, 1_000) < seen


def test_an_empty_pool_quotes_nothing():
    assert Pool(7, TERMS).quote_in(A, 100) == 0


@pytest.mark.parametrize(("field", "value"), [("first_asset", B), ("code", 0), ("fee_basis_points", 10_000)])
def test_terms_out_of_range(field, value):
    with pytest.raises(InputError) as error:
        Pool(7, replace(TERMS, **{field: value}))
    assert error.value.where == f"terms.{field}"
    assert "terms of a pool are out of range" in str(error.value)


FIRST = add(100, 1, 10_000, 40_000)
# refusal, whether there is liquidity, the action, ms that pass before it
TABLE = [
    (R.ID_IS_OUT_OF_RANGE, True, swap(ID_MAX, 2, A, 1), 0),
    (R.ID_HAS_OTHER_CONTENT, True, replace(FIRST, shares_min=1), 0),
    (R.OWNER_IS_OUT_OF_RANGE, True, replace(swap(101, 2, A, 1), by=0), 0),
    (R.OWNER_IS_OUT_OF_RANGE, True, replace(swap(101, 2, A, 1), gets=ID_MAX), 0),
    (R.AMOUNT_IS_OUT_OF_RANGE, True, swap(101, 2, A, 0), 0),
    (R.AMOUNT_IS_OUT_OF_RANGE, True, swap(101, 2, A, 1, -1), 0),
    (R.AMOUNT_IS_OUT_OF_RANGE, False, add(101, 2, 1, AMOUNT_MAX + 1), 0),
    (R.AMOUNT_IS_OUT_OF_RANGE, True, remove(101, 1, 0), 0),
    (R.ASSET_IS_NOT_OF_THE_POOL, True, replace(swap(101, 2, A, 1), asset_in=SHARE), 0),
    (R.DEADLINE_HAS_PASSED, False, add(101, 1, 10_000, 40_000), 1_001),
    (R.POOL_IS_EMPTY, False, swap(101, 2, A, 100), 0),
    (R.POOL_IS_EMPTY, False, remove(101, 2, 100), 0),
    (R.RESERVE_IS_TOO_SMALL, True, buy(101, 2, A, 40_000, FUNDS), 0),
    (R.RESERVE_IS_TOO_SMALL, True, remove(101, 1, 19_001), 0),
    (R.RESERVE_WOULD_OVERFLOW, True, swap(101, 2, A, AMOUNT_MAX), 0),
    (R.RESERVE_WOULD_OVERFLOW, True, add(101, 2, AMOUNT_MAX, AMOUNT_MAX), 0),
    (R.LIQUIDITY_IS_TOO_SMALL, False, add(101, 2, 1_000, 1_000), 0),
    (R.LIQUIDITY_IS_TOO_SMALL, True, add(101, 2, 1, 1), 0),
    (R.NOTHING_COMES_OUT, True, swap(101, 2, B, 4), 0),
    (R.NOTHING_COMES_OUT, True, remove(101, 1, 1), 0),
    (R.SLIPPAGE_EXCEEDED, True, swap(101, 2, A, 1_000, 3_627), 0),
    (R.SLIPPAGE_EXCEEDED, True, buy(101, 2, A, 3_626, 999), 0),
    (R.SLIPPAGE_EXCEEDED, True, add(101, 2, 500, 2_000, 1_001), 0),
    (R.SLIPPAGE_EXCEEDED, True, remove(101, 1, 1_000, 500, 2_001), 0),
]


@pytest.mark.parametrize(("refusal", "filled", "action", "after_ms"), TABLE)
def test_each_refusal(refusal, filled, action, after_ms):
    bench = new_bench()
    if filled:
        bench.must(FIRST)
    assert bench.refused(action, after_ms) == refusal


def test_the_table_is_the_list_in_order_of_precedence():
    assert list(dict.fromkeys(row[0] for row in TABLE)) == list(R)


@pytest.mark.parametrize("code", R)
def test_titles(code):
    assert code.en
    assert re.search(r"[\u4e00-\u9fff]", code.zh)


@pytest.mark.parametrize("kind", LEDGERS)
def test_a_day_of_business(kind):
    played = demo.play(new_ledger(kind), 5, START_MS, DAY)
    assert all(played.checked.values()), played.checked
    assert played == demo.play(new_ledger("slow"), 5, START_MS, DAY)
    assert min(played.figures.values()) > 0, played.figures
