"""Securities: a row for each refusal in order of precedence, and what units and cash do."""

from __future__ import annotations

import decimal
import re
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from quanheng.kernel.errors import InputError
from quanheng.ledger.entries import AMOUNT_MAX, ID_MAX
from quanheng.ledger.instruments.demo import securities as demo
from quanheng.ledger.instruments.securities.actions import (
    HOLDERS_MAX,
    Admit,
    Allot,
    Declare,
    Deliver,
    PayOut,
    Redeem,
    Residue,
    SecurityTerms,
    Subscribe,
)
from quanheng.ledger.instruments.securities.actions import SecurityRefusal as R
from quanheng.ledger.instruments.securities.register import Register, in_proportion
from quanheng.ledger.instruments.securities.security import Security
from quanheng.ledger.outcomes import TransferOutcome

sys.path.insert(0, str(Path(__file__).parent))
from asset_bench import AssetBench, account
from instrument_bench import CODE, DAY, LEDGERS, START_MS, new_ledger

UNIT, CASH, ISSUER = 510, 2, 5
TERMS = SecurityTerms(
    UNIT, CASH, CODE, ISSUER, account(CASH, ISSUER), 10, 100, START_MS + 10, redeem_from_ms=START_MS + 1_000
)
ADMITTED = [Admit(10 + n, ISSUER, n, account(CASH, n)) for n in (1, 2, 3)]
ASKED = [Subscribe(21, 1, 70), Subscribe(22, 2, 50), Subscribe(23, 3, 20)]


def new_bench(kind="slow", terms=TERMS):
    return AssetBench(Security(7, terms), kind, assets=(CASH,), parties=5)


@pytest.fixture(params=LEDGERS)
def bench(request):
    return new_bench(request.param)


def allotted(bench):
    for one in [*ADMITTED, *ASKED]:
        bench.must(one)
    bench.must(Allot(30, ISSUER), after_ms=10)
    return bench


def test_an_offer_is_allotted_in_proportion_and_the_rest_paid_back(bench):
    """140 asked, 100 offered: 50, 35.7 and 14.3 are due."""
    allotted(bench)
    assert bench.instrument.register.holders() == {1: 50, 2: 36, 3: 14}
    assert bench.holds(CASH) == [9_500, 9_640, 9_860, 10_000, 11_000]
    units = [bench.has(bench.instrument.account_of(name)) for name in (1, 2, 3, "issued")]
    assert units == [50, 36, 14, -100]
    assert bench.has(bench.instrument.account_of("subscribed")) == 0
    bench.check_replay(Security(7, TERMS))


def test_what_a_proportion_leaves_over_may_stay_with_the_issuer():
    bench = allotted(new_bench(terms=replace(TERMS, residue=Residue.NOT_ALLOTTED)))
    assert bench.instrument.register.holders() == {1: 50, 2: 35, 3: 14}
    assert bench.holds(CASH)[:3] == [9_500, 9_650, 9_860]


def test_who_holds_at_the_record_time_is_entitled(bench):
    allotted(bench)
    bench.must(Declare(40, ISSUER, START_MS + 20, START_MS + 30, Decimal("0.39")))
    bench.must(Deliver(41, 1, 2, 10), after_ms=10)  # At the record time: counts.
    bench.must(Deliver(42, 1, 3, 40), after_ms=1)  # After it: does not.
    before = bench.holds(CASH)
    bench.must(PayOut(43, ISSUER, 40), after_ms=9)
    # 40 units 15.6, 46 units 17.94, 14 units 5.46, in all 39.
    assert bench.instrument.entitlements(40) == ({1: 15, 2: 17, 3: 5}, 2)
    assert [now - was for now, was in zip(bench.holds(CASH), before, strict=True)] == [15, 17, 5, 0, -39]
    assert bench.has(bench.instrument.account_of("residue")) == 2
    assert bench.refused(PayOut(44, ISSUER, 40)) == R.ALL_IS_PAID
    bench.check_replay(Security(7, TERMS))


def test_rounding_up_takes_the_residue_from_its_account():
    terms = replace(TERMS, rounding=decimal.ROUND_UP)
    bench = allotted(new_bench(terms=terms))
    bench.must(Declare(40, ISSUER, bench.now_ms, bench.now_ms + 1, Decimal("0.39")))
    bench.must(PayOut(41, ISSUER, 40), after_ms=1)
    assert bench.instrument.entitlements(40) == ({1: 20, 2: 15, 3: 6}, -2)
    assert bench.has(bench.instrument.account_of("residue")) == -2


def test_payment_in_parts_books_the_residue_once(bench):
    allotted(bench)
    bench.must(Declare(40, ISSUER, bench.now_ms, bench.now_ms + 1, Decimal("0.39")))
    bench.must(PayOut(41, ISSUER, 40, (2,)), after_ms=1)
    assert bench.refused(PayOut(42, ISSUER, 40, (2, 3))) == R.ALL_IS_PAID
    assert bench.refused(PayOut(43, ISSUER, 40, (3, 3))) == R.ALL_IS_PAID
    bench.must(PayOut(44, ISSUER, 40))
    assert bench.has(bench.instrument.account_of("residue")) == 39 - sum(bench.instrument.entitlements(40)[0].values())


def test_redemption_in_part_is_in_proportion_and_whole_takes_all(bench):
    allotted(bench)
    bench.must(Redeem(40, ISSUER, 25, 12), after_ms=1_000)  # 12.5, 9 and 3.5 are due; a tie goes to the earlier.
    assert bench.instrument.register.holders() == {1: 37, 2: 27, 3: 11}
    bench.must(Redeem(41, ISSUER, 0, 12))
    assert (bench.instrument.register.holders(), bench.has(bench.instrument.account_of("issued"))) == ({}, 0)
    assert bench.holds(CASH) == [9_500 + 600, 9_640 + 432, 9_860 + 168, 10_000, 9_800]
    bench.check_replay(Security(7, TERMS))


def test_the_register_is_what_the_ledger_had_at_any_time():
    bench = allotted(new_bench("core"))
    for n, (by, to, units) in enumerate([(1, 2, 10), (2, 3, 46), (3, 1, 60), (1, 3, 1)]):
        bench.must(Deliver(50 + n, by, to, units), after_ms=3)
    core = bench.ledger._ledger
    for at_ms in range(START_MS + 9, bench.now_ms + 2):
        for owner in (1, 2, 3):
            book = core.balance_at(bench.instrument.account_of(owner), at_ms)
            held = book.credits_posted_minor - book.debits_posted_minor
            assert held == bench.instrument.register.units(owner, at_ms), (owner, at_ms)


def test_a_declared_amount_is_not_paid_before_the_issuer_has_it(bench):
    allotted(bench)
    bench.must(Declare(40, ISSUER, bench.now_ms, bench.now_ms + 1, Decimal(200)))
    assert bench.refused(PayOut(41, ISSUER, 40), after_ms=1) == TransferOutcome.BALANCE_IS_TOO_LOW


def test_an_owner_off_the_whitelist_still_sells_and_is_paid(bench):
    allotted(bench)
    bench.must(Admit(40, ISSUER, 1, account(CASH, 1), admitted=False))
    assert bench.refused(Deliver(41, 2, 1, 1)) == R.OWNER_IS_NOT_ADMITTED
    bench.must(Deliver(42, 1, 2, 1))
    bench.must(Redeem(43, ISSUER, 0, 10), after_ms=1_000)
    assert bench.holds(CASH)[0] == 9_500 + 490


def test_a_part_is_redeemed_where_the_whole_would_cost_more_than_an_amount_can_be(bench):
    allotted(bench)
    result = bench.do(Redeem(40, ISSUER, 1, AMOUNT_MAX // 50), after_ms=1_000)
    assert (result.refusal, result.outcome) == (None, TransferOutcome.BALANCE_IS_TOO_LOW)
    assert bench.refused(Redeem(41, ISSUER, 0, AMOUNT_MAX // 50)) == R.AMOUNT_IS_OUT_OF_RANGE


def test_a_delivery_that_was_missed_in_a_crash_is_in_the_register_when_it_was_made(bench):
    """The ledger had it at 10, the register learned of it after another one at 20."""
    allotted(bench)
    missed, at_ms = Deliver(40, 1, 2, 10), bench.now_ms
    step = bench.instrument.decide(missed, at_ms)
    bench.ledger.transfer(step.transfers, at_ms, bench.day)
    bench.must(Deliver(41, 2, 3, 30), after_ms=10)
    bench.must(missed, after_ms=10)
    register = bench.instrument.register
    assert [register.holders(at_ms + after) for after in (-1, 0, 10)] == [
        {}, {1: 40, 2: 46, 3: 14}, {1: 40, 2: 16, 3: 44},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("offered_units", 0), ("price_minor", 0), ("price_minor", AMOUNT_MAX), ("rounding", "ROUND_AWAY"),
        ("holding_max_units", -1), ("holders_max", HOLDERS_MAX + 1), ("cash_asset", UNIT),
    ],
)  # fmt: skip
def test_terms_out_of_range(field, value):
    with pytest.raises(InputError) as error:
        Security(7, replace(TERMS, **{field: value}))
    assert (error.value.where, error.value.found) == (f"terms.{field}", str(value))
    assert "terms of a security are out of range" in str(error.value)


def test_registers_and_proportions_of_nothing():
    assert (Register().units(1), Register().holders(5)) == (0, {})
    assert (in_proportion(0, []), in_proportion(0, [0, 0])) == ([], [0, 0])


LOCKED = Admit(11, ISSUER, 1, account(CASH, 1), locked_until_ms=START_MS + 500)
OPEN, WHOLE = ADMITTED, "allotted"
CAPS = replace(TERMS, holding_max_units=80, holders_max=3)
DECLARED = Declare(40, ISSUER, START_MS + 10, START_MS + 30, Decimal(1))
# refusal, actions before (WHOLE: the offer was allotted), more of them, the action, ms that pass before it
TABLE = [
    (R.ID_IS_OUT_OF_RANGE, [], [], Allot(ID_MAX, ISSUER), 0),
    (R.ID_HAS_OTHER_CONTENT, OPEN, [], replace(ADMITTED[0], cash=5), 0),
    (R.ACTOR_MAY_NOT, OPEN, [], Allot(30, 1), 0),
    (R.ACTOR_MAY_NOT, WHOLE, [], Redeem(60, 1, 1, 1), 0),
    (R.OWNER_IS_OUT_OF_RANGE, [], [], Admit(10, ISSUER, 0, 1), 0),
    (R.OWNER_IS_OUT_OF_RANGE, WHOLE, [], Deliver(50, 1, ID_MAX, 1), 0),
    (R.CASH_ACCOUNT_IS_OF_THE_SECURITY, [], [], Admit(10, ISSUER, 1, Security(7, TERMS).account_of("subscribed")), 0),
    (R.CASH_ACCOUNT_IS_OF_THE_SECURITY, [], [], Admit(10, ISSUER, 1, Security(7, TERMS).account_of("residue")), 0),
    (R.UNITS_ARE_OUT_OF_RANGE, OPEN, [], Subscribe(20, 1, 0), 0),
    (R.UNITS_ARE_OUT_OF_RANGE, WHOLE, [], Redeem(50, ISSUER, -1, 1), 0),
    (R.AMOUNT_IS_OUT_OF_RANGE, OPEN, [], Subscribe(20, 1, AMOUNT_MAX), 0),
    (R.AMOUNT_IS_OUT_OF_RANGE, WHOLE, [], replace(DECLARED, per_unit_minor=Decimal(0)), 0),
    (R.AMOUNT_IS_OUT_OF_RANGE, WHOLE, [], replace(DECLARED, per_unit_minor=Decimal("NaN")), 0),
    (R.AMOUNT_IS_OUT_OF_RANGE, WHOLE, [], Redeem(50, ISSUER, 1, 0), 1_000),
    (R.TIMES_ARE_WRONG, OPEN, [], replace(ADMITTED[0], id=50, locked_until_ms=-1), 0),
    (R.TIMES_ARE_WRONG, WHOLE, [], replace(DECLARED, pay_ms=DECLARED.record_ms), 0),
    (R.OWNER_IS_NOT_ADMITTED, OPEN, [], Subscribe(20, 4, 1), 0),
    (R.OWNER_IS_NOT_ADMITTED, WHOLE, [], Deliver(50, 1, 4, 1), 0),
    (R.OFFER_IS_CLOSED, OPEN, [], Subscribe(20, 1, 1), 10),
    (R.OFFER_IS_OPEN, OPEN, [], Allot(30, ISSUER), 9),
    (R.OFFER_IS_ALLOTTED, WHOLE, [], Allot(31, ISSUER), 0),
    (R.SUBSCRIPTIONS_ARE_FULL, OPEN, [], Subscribe(20, 2, 1), 0),
    (R.UNITS_ARE_LOCKED, WHOLE, [replace(LOCKED, id=50)], Deliver(51, 1, 2, 1), 489),
    (R.HOLDING_CAP_EXCEEDED, OPEN, [Subscribe(20, 1, 80)], Subscribe(21, 1, 1), 0),
    (R.HOLDING_CAP_EXCEEDED, WHOLE, [], Deliver(50, 1, 2, 45), 0),
    (R.HOLDERS_CAP_EXCEEDED, WHOLE, [Admit(50, ISSUER, 4, 9)], Deliver(51, 1, 4, 49), 0),
    (R.DECLARATION_NOT_FOUND, WHOLE, [], PayOut(50, ISSUER, 40), 0),
    (R.NOT_DUE_YET, WHOLE, [DECLARED], PayOut(50, ISSUER, 40), 19),
    (R.NOT_DUE_YET, WHOLE, [], Redeem(50, ISSUER, 1, 1), 989),
    (R.OWNER_IS_NOT_ENTITLED, WHOLE, [DECLARED], PayOut(50, ISSUER, 40, (4,)), 20),
    (R.ALL_IS_PAID, WHOLE, [replace(DECLARED, record_ms=5)], PayOut(50, ISSUER, 40), 20),
    (R.EXCEEDS_OUTSTANDING, WHOLE, [], Deliver(50, 3, 3, 15), 0),
    (R.EXCEEDS_OUTSTANDING, WHOLE, [], Redeem(50, ISSUER, 101, 1), 1_000),
]


@pytest.mark.parametrize(("refusal", "before", "more", "action", "after_ms"), TABLE)
def test_each_refusal(refusal, before, more, action, after_ms):
    bench = new_bench(terms=CAPS)
    if before == WHOLE:
        allotted(bench)
    for one in [*(before if before != WHOLE else []), *more]:
        bench.must(one)
    if refusal == R.SUBSCRIPTIONS_ARE_FULL:  # Put there, for asking for them takes long.
        bench.instrument.subscriptions = {n: Subscribe(n, 1, 1) for n in range(1_000, 1_000 + HOLDERS_MAX)}
    assert bench.refused(action, after_ms) == refusal


def test_the_last_of_a_holding_may_go_to_a_new_holder_at_the_cap():
    bench = allotted(new_bench(terms=CAPS))
    bench.must(Admit(50, ISSUER, 4, account(CASH, 4)))
    bench.must(Deliver(51, 1, 4, 50))
    assert bench.instrument.register.holders() == {2: 36, 3: 14, 4: 50}


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
