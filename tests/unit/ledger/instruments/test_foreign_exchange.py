"""Foreign exchange: a row for each refusal in order of precedence, what conversions move, locks, revaluation."""

from __future__ import annotations

import decimal
import re
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from msgspec.structs import replace

from quanheng.kernel.errors import InputError
from quanheng.ledger.entries import AMOUNT_MAX, ID_MAX
from quanheng.ledger.instruments.conversion import Amounts, Price, convert, rounded
from quanheng.ledger.instruments.demo import foreign_exchange as demo
from quanheng.ledger.instruments.foreign_exchange import ForeignExchange, marks_of
from quanheng.ledger.instruments.foreign_exchange_actions import (
    Book,
    Convert,
    Dealer,
    Exercise,
    Mark,
    Quote,
    Release,
    Revalue,
)
from quanheng.ledger.instruments.foreign_exchange_actions import FxRefusal as R
from quanheng.ledger.outcomes import TransferOutcome

sys.path.insert(0, str(Path(__file__).parent))
from asset_bench import AssetBench, account
from instrument_bench import CODE, DAY, LEDGERS, START_MS, new_ledger

EUR, JPY, KWD, DEALER, ANNA, BEN = 1, 2, 3, 90, 1, 2
POSITION, SPREAD, RESIDUE, REVALUATION, RESULT = 50, 51, 52, 53, 54
CODES = {"EUR": EUR, "JPY": JPY, "KWD": KWD}
BOOKS = {
    name: Book(account(asset, POSITION), account(asset, SPREAD), account(asset, RESIDUE))
    for name, asset in CODES.items()
}
AT = Dealer(DEALER, BOOKS, "EUR", account(EUR, REVALUATION), account(EUR, RESULT))
YEN = Price("EUR", "JPY", Decimal("161.23"), 50)
ASK = Quote(100, DEALER, YEN, 0, 1_000, 1_000_000, lock_max_ms=5_000)


def sells(id, fixed_minor, by=ANNA, sell="EUR", buy="JPY", **rest):
    return Convert(id, by, 100, sell, fixed_minor, account(CODES[sell], by), account(CODES[buy], by), CODE, **rest)


def new_bench(kind="slow"):
    free = (POSITION, SPREAD, RESIDUE, REVALUATION, RESULT)
    return AssetBench(ForeignExchange(AT), kind, (EUR, JPY, KWD), 2, 100_000, free)


@pytest.fixture(params=LEDGERS)
def bench(request):
    return new_bench(request.param)


def test_converting_what_is_sold_splits_what_leaves_the_position(bench):
    """100.00 EUR at 161.23 less 25 basis points are 16 082.6925 yen; at the mid 16 123."""
    bench.must(ASK)
    bench.must(sells(101, 100_00))
    assert (bench.holds(EUR)[0], bench.holds(JPY)[0]) == (90_000, 116_083)
    assert bench.has(account(EUR, POSITION)) == 100_00
    of_yen = [bench.has(account(JPY, one)) for one in (POSITION, SPREAD, RESIDUE)]
    assert of_yen == [-16_123, 40, 0]
    bench.check_replay(ForeignExchange(AT))


def test_converting_what_is_bought_splits_what_the_customer_pays(bench):
    """10 000 yen at 161.23 less 25 basis points are 62.178.. EUR, at the mid 62.023..; the cent is the residue's."""
    bench.must(ASK)
    bench.must(sells(101, 10_000, buys_fixed=True))
    assert (bench.holds(EUR)[0], bench.holds(JPY)[0]) == (100_000 - 6_218, 110_000)
    assert [bench.has(account(EUR, one)) for one in (POSITION, SPREAD, RESIDUE)] == [6_202, 16, 0]


def test_a_negative_residue_comes_from_the_residue_account(bench):
    modes = {"customer_rounding": decimal.ROUND_UP, "dealer_rounding": decimal.ROUND_DOWN}
    bench.must(replace(ASK, price=replace(YEN, **modes, spread_rounding=decimal.ROUND_UP)))
    amounts = convert(bench.instrument.quotes[100].quote.price, "EUR", 99_99, False)
    bench.must(sells(101, 99_99))
    of_yen = [bench.has(account(JPY, one)) for one in (POSITION, SPREAD, RESIDUE)]
    assert amounts == Amounts(99_99, 16_082, "JPY", 16_121, 41, -2)
    assert of_yen == [-16_121, 41, -2]


@pytest.mark.parametrize(
    ("price", "sell", "fixed", "buys_fixed", "sold", "bought"),
    [
        (Price("KWD", "JPY", Decimal("480.55"), 0), "KWD", 1_234, False, 1_234, 593),  # 1.234 KWD = 592.9987 yen
        (Price("KWD", "JPY", Decimal("480.55"), 0), "JPY", 593, False, 593, 1_234),
        (Price("EUR", "KWD", Decimal("0.3321"), 0), "EUR", 1, False, 1, 3),  # 0.01 EUR = 0.003321 KWD
        (Price("EUR", "KWD", Decimal("0.3321"), 0), "KWD", 1, True, 3, 1),  # A cent costs 3.321 fils.
        (Price("EUR", "JPY", Decimal("160"), 200), "JPY", 16_160, False, 16_160, 10_000),  # The ask is 161.6.
    ],
)
def test_exponents_of_currencies(price, sell, fixed, buys_fixed, sold, bought):
    amounts = convert(price, sell, fixed, buys_fixed)
    assert amounts[:2] == (sold, bought)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("mode", ["ROUND_HALF_EVEN", "ROUND_HALF_UP", "ROUND_HALF_DOWN", "ROUND_CEILING", "ROUND_UP"])
def test_rounding_of_ties_and_of_what_is_a_hair_beside_them(mode, sign):
    for exact in (
        Fraction(5, 2),
        Fraction(7, 2),
        Fraction(5, 2) + Fraction(1, 10**90),
        Fraction(5, 2) - Fraction(1, 10**90),
    ):
        wide = decimal.Context(prec=200)
        text = wide.divide(Decimal(sign * exact.numerator), Decimal(exact.denominator))
        assert rounded(sign * exact, mode) == int(text.to_integral_value(mode, wide))


def test_a_locked_rate_outlives_the_quote_and_reserves_both_sides(bench):
    bench.must(ASK)
    bench.must(sells(101, 100_00, lock_ms=5_000))
    assert (bench.holds(EUR)[0], bench.has(account(JPY, POSITION))) == (90_000, -16_123)
    assert bench.holds(JPY)[0] == 100_000, "held, not posted"
    assert bench.refused(sells(102, 1_00), after_ms=1_000) == R.QUOTE_HAS_EXPIRED
    bench.must(Exercise(103, ANNA, 101), after_ms=3_999)
    assert bench.holds(JPY)[0] == 116_083
    assert bench.refused(Release(104, ANNA, 101)) == R.LOCK_HAS_ENDED
    bench.check_replay(ForeignExchange(AT))


def test_a_lock_that_is_released_or_runs_out_gives_everything_back(bench):
    bench.must(ASK)
    bench.must(sells(101, 100_00, lock_ms=5_000))
    bench.must(sells(102, 200_00, lock_ms=4_000))
    assert bench.instrument.quotes[100].used_minor == 300_00
    bench.must(Release(103, ANNA, 102))
    assert bench.instrument.quotes[100].used_minor == 100_00
    assert bench.refused(Exercise(104, ANNA, 101), after_ms=5_000) == R.LOCK_HAS_EXPIRED
    assert [bench.holds(EUR)[0], bench.holds(JPY)[0], bench.has(account(JPY, POSITION))] == [100_000, 100_000, 0]


def test_a_customer_without_funds_is_refused_by_the_ledger(bench):
    bench.must(ASK)
    assert bench.refused(sells(101, 100_001)) == TransferOutcome.BALANCE_IS_TOO_LOW


def test_revaluation_takes_the_last_one_back_and_books_the_new(bench):
    """At the mid nothing is won; when the yen falls, the dealer who owes yen wins."""
    bench.must(replace(ASK, price=replace(YEN, spread_basis_points=0)))
    bench.must(sells(101, 1_000_00, buys_fixed=False))
    read = bench.has
    at_mid = {"JPY": 1 / YEN.mid, "KWD": Decimal(3)}
    at_mid["JPY"] = at_mid["JPY"].quantize(Decimal("1e-30"))
    bench.must(Revalue(102, DEALER, marks_of(AT, read, at_mid), CODE))
    assert read(account(EUR, RESULT)) == 0
    fallen = {"JPY": Decimal("0.006"), "KWD": Decimal(3)}
    bench.must(Revalue(103, DEALER, marks_of(AT, read, fallen), CODE))
    assert read(account(EUR, RESULT)) == 1_000_00 - 967_38
    assert read(account(EUR, REVALUATION)) == -(1_000_00 - 967_38)
    bench.must(Revalue(104, DEALER, marks_of(AT, read, at_mid), CODE))
    assert read(account(EUR, RESULT)) == 0
    bench.check_replay(ForeignExchange(AT))


def test_a_dealer_of_an_unknown_currency():
    with pytest.raises(InputError, match="not a currency of ISO 4217"):
        ForeignExchange(replace(AT, reporting="XXZ"))


MARKS = tuple(Mark(name, 0, Decimal(1)) for name in BOOKS)
VALUE = Revalue(9, DEALER, MARKS, CODE)
LOCKED = sells(101, 100_00, lock_ms=1_000)
HUGE = replace(ASK, price=replace(YEN, mid=Decimal("1e30")), base_max_minor=AMOUNT_MAX)
# refusal, actions before, the action, ms that pass before it
TABLE = [
    (R.ID_IS_OUT_OF_RANGE, [], replace(ASK, id=0), 0),
    (R.ID_HAS_OTHER_CONTENT, [ASK], replace(ASK, valid_ms=5), 0),
    (R.QUOTE_NOT_FOUND, [], sells(1, 1), 0),
    (R.LOCK_NOT_FOUND, [], Exercise(1, ANNA, 101), 0),
    (R.ACTOR_MAY_NOT, [], replace(ASK, by=ANNA), 0),
    (R.ACTOR_MAY_NOT, [replace(ASK, customer=BEN)], sells(1, 1), 0),
    (R.ACTOR_MAY_NOT, [ASK, LOCKED], Exercise(1, BEN, 101), 0),
    (R.ACTOR_MAY_NOT, [], replace(VALUE, by=ANNA), 0),
    (R.CURRENCY_IS_NOT_DEALT, [], replace(ASK, price=replace(YEN, term="USD")), 0),
    (R.CURRENCY_IS_NOT_DEALT, [ASK], sells(1, 1, sell="KWD"), 0),
    (R.CURRENCIES_MUST_DIFFER, [], replace(ASK, price=replace(YEN, term="EUR")), 0),
    (R.RATE_IS_OUT_OF_RANGE, [], replace(ASK, price=replace(YEN, mid=Decimal(0))), 0),
    (R.RATE_IS_OUT_OF_RANGE, [], replace(ASK, price=replace(YEN, mid=Decimal("NaN"))), 0),
    (R.RATE_IS_OUT_OF_RANGE, [], replace(ASK, price=replace(YEN, mid=1.5)), 0),
    (R.SPREAD_IS_OUT_OF_RANGE, [], replace(ASK, price=replace(YEN, spread_basis_points=20_000)), 0),
    (R.SPREAD_IS_OUT_OF_RANGE, [], replace(ASK, price=replace(YEN, spread_basis_points=0.5)), 0),
    (R.ROUNDING_IS_UNKNOWN, [], replace(ASK, price=replace(YEN, dealer_rounding="ROUND")), 0),
    (R.ROUNDING_IS_UNKNOWN, [], replace(VALUE, rounding="ROUND"), 0),
    (R.VALIDITY_IS_OUT_OF_RANGE, [], replace(ASK, valid_ms=0), 0),
    (R.ACCOUNT_IS_OUT_OF_RANGE, [ASK], replace(sells(1, 1), to_account=ID_MAX), 0),
    (R.ACCOUNT_IS_OUT_OF_RANGE, [ASK], replace(sells(1, 1), from_account=account(EUR, RESIDUE)), 0),
    (R.CODE_IS_OUT_OF_RANGE, [ASK], replace(sells(1, 1), code=0), 0),
    (R.CODE_IS_OUT_OF_RANGE, [], replace(VALUE, code=65_536), 0),
    (R.MARKS_ARE_WRONG, [], replace(VALUE, marks=MARKS[:2]), 0),
    (R.MARKS_ARE_WRONG, [], replace(VALUE, marks=(Mark("EUR", 0, Decimal(2)), *MARKS[1:])), 0),
    (R.MARKS_ARE_WRONG, [], replace(VALUE, marks=(*MARKS[:2], Mark("KWD", 0.5, Decimal(1)))), 0),
    (R.AMOUNT_IS_OUT_OF_RANGE, [], replace(ASK, base_max_minor=0), 0),
    (R.AMOUNT_IS_OUT_OF_RANGE, [ASK], sells(1, 0), 0),
    (R.TIMEOUT_IS_OUT_OF_RANGE, [], replace(ASK, lock_max_ms=-1), 0),
    (R.TIMEOUT_IS_OUT_OF_RANGE, [ASK], sells(1, 1, lock_ms=5_001), 0),
    (R.QUOTE_HAS_EXPIRED, [ASK], sells(1, 1), 1_000),
    (R.QUOTE_IS_EXCEEDED, [replace(ASK, base_max_minor=50), sells(1, 20)], sells(2, 31), 0),
    (R.CONVERTED_IS_NOTHING, [replace(ASK, price=replace(YEN, mid=Decimal("1.5")))], sells(1, 1), 0),
    (R.CONVERTED_IS_TOO_MUCH, [HUGE], sells(1, 1), 0),
    (R.CONVERTED_IS_TOO_MUCH, [], replace(VALUE, marks=(*MARKS[:2], Mark("KWD", 10**20, Decimal(1)))), 0),
    (R.LOCK_HAS_ENDED, [ASK, LOCKED, Release(1, ANNA, 101)], Exercise(2, ANNA, 101), 0),
    (R.LOCK_HAS_EXPIRED, [ASK, LOCKED], Exercise(2, ANNA, 101), 1_000),
]


@pytest.mark.parametrize(("refusal", "before", "action", "after_ms"), TABLE)
def test_each_refusal(refusal, before, action, after_ms):
    bench = new_bench()
    for one in before:
        bench.must(one)
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
    assert min(played.figures[name] for name in ("conversions", "locks", "exercised", "revaluations")) > 0
