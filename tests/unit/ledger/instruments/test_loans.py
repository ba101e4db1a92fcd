"""Loans on law and core: each refusal has a row, and what each action books."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from loan_bench import BORROWER, FIRST, LATER_MS, LEDGERS, LENDER, OWNER, STRANGER, Lending, terms

from quanheng.ledger.entries import AMOUNT_MAX, ID_MAX
from quanheng.ledger.instruments.loan import loans as module
from quanheng.ledger.instruments.loan.actions import (
    Accrue,
    Charge,
    Effect,
    Originate,
    Pay,
    PayOff,
    Prepay,
    Recover,
    Refund,
    WriteOff,
)
from quanheng.ledger.instruments.loan.day_count import DayCount, day_of
from quanheng.ledger.instruments.loan.fold import LoanBooks, penalty_rate
from quanheng.ledger.instruments.loan.loans import LoanRefusal
from quanheng.ledger.instruments.loan.terms import Allocation, Grace, Kind, Method, Penalty, ReferenceRate

R = LoanRefusal
LAST = day_of(date(2025, 1, 15))


@pytest.fixture(params=list(LEDGERS))
def bench(request):
    return Lending(request.param)


# code -> actions that are applied before, the action that is refused
HUGE = {"principal_minor": AMOUNT_MAX // 1000, "rate": Decimal(10), "period_months": 12, "grace_periods": 5,
        "periods": 6, "grace": Grace.CAPITALISES}  # fmt: skip
LEND = Originate(7, LENDER, terms())
ROWS = [
    (R.ID_IS_OUT_OF_RANGE, [LEND], Pay(ID_MAX, STRANGER, 8, FIRST, 0)),
    (R.ID_HAS_OTHER_CONTENT, [LEND, Pay(9, OWNER, 7, FIRST, 5)], Pay(9, STRANGER, 8, FIRST, 0)),
    (R.LOAN_NOT_FOUND, [LEND], Pay(9, STRANGER, 8, FIRST, 0)),
    (R.ACTOR_MAY_NOT, [LEND], Charge(9, OWNER, 7, FIRST, 0)),
    (R.TERMS_ARE_WRONG, [LEND], Originate(9, LENDER, terms(periods=0, first_day=90_000))),
    (R.AMOUNT_IS_OUT_OF_RANGE, [LEND], Pay(9, OWNER, 7, 90_000, 0)),
    (R.DAY_IS_IN_THE_FUTURE, [LEND], PayOff(9, OWNER, 7, 90_000, 1)),
    (R.DAY_IS_BEFORE_THE_LOAN, [LEND], PayOff(9, OWNER, 7, FIRST - 1, 1)),
    (R.DAY_IS_BEFORE_THE_NEWEST, [LEND, WriteOff(8, LENDER, 7, FIRST + 9)], PayOff(9, OWNER, 7, FIRST + 8, 1)),
    (R.LOAN_IS_WRITTEN_OFF, [LEND, WriteOff(8, LENDER, 7, FIRST + 9)], PayOff(9, OWNER, 7, FIRST + 9, 1)),
    (R.LOAN_IS_NOT_WRITTEN_OFF, [LEND, Pay(8, OWNER, 7, LAST + 9, 2 * 10**6)], Recover(9, OWNER, 7, LAST + 9, 1)),
    (R.NOTHING_IS_OWED, [LEND, Pay(8, OWNER, 7, LAST + 9, 2 * 10**6)], WriteOff(9, LENDER, 7, LAST + 9)),
    (R.PAYOFF_IS_TOO_LOW, [LEND], PayOff(9, OWNER, 7, FIRST, 1_199_999)),
    (R.REFUND_EXCEEDS_UNALLOCATED, [LEND, Pay(8, OWNER, 7, FIRST, 5)], Refund(9, LENDER, 7, FIRST, 6)),
    (R.RECOVERY_EXCEEDS_WRITTEN_OFF, [LEND, WriteOff(8, LENDER, 7, FIRST)], Recover(9, OWNER, 7, FIRST, 1_200_001)),
    (
        R.REPLAY_CONTRADICTS_REFUND,
        [LEND, Pay(8, OWNER, 7, FIRST + 9, 5), Refund(10, LENDER, 7, FIRST + 9, 5)],
        Charge(9, LENDER, 7, FIRST, 3),
    ),
    (R.REPLAY_IS_TOO_LARGE, [Originate(7, LENDER, terms(**HUGE))], Accrue(9, LENDER, 7, FIRST + 1_900)),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_each_refusal(bench, row):
    code, before, action = row
    bench.must(*before)
    kept = bench.loans.state(), bench.nets()
    done = bench.do(action)
    assert done.refusal is not None
    assert done.refusal.code == code
    assert (bench.loans.state(), bench.nets()) == kept


def test_a_replay_must_fit_one_chain(bench, monkeypatch):
    bench.must(LEND, Accrue(8, LENDER, 7, LAST))
    monkeypatch.setattr(module, "BATCH_MAX", 12)
    assert bench.do(Pay(9, OWNER, 7, FIRST + 40, 200_000)).refusal.code == R.REPLAY_IS_TOO_LONG


def test_every_refusal_has_a_row_in_order_and_titles():
    assert [row[0] for row in ROWS] == list(R)[:-1]
    assert list(R)[-1] == R.REPLAY_IS_TOO_LONG
    assert all(one.en and one.zh for one in R)


def test_a_day_in_the_future_goes_by_the_business_zone(bench):
    bench.must(LEND)
    midnight_ms = (FIRST + 1) * module.DAY_MS
    bench.loans.zone_ms = -1
    assert bench.loans._refusal(Pay(9, OWNER, 7, FIRST + 1, 5), midnight_ms).code == R.DAY_IS_IN_THE_FUTURE
    bench.loans.zone_ms = 0
    assert bench.loans._refusal(Pay(9, OWNER, 7, FIRST + 1, 5), midnight_ms) is None


def test_a_life_on_the_books(bench):
    bench.lend(day_count=DayCount.THIRTY_E_360, penalty=None)
    bench.must(Accrue(8, LENDER, 7, FIRST + 15))
    assert bench.net(LoanBooks.of(7).interest) == 3_000
    bench.must(Pay(9, OWNER, 7, FIRST + 31, 103_280))
    nets = bench.nets()
    assert (nets["principal"], nets["interest"], nets["interest_income"]) == (1_102_720, 0, -6_000)
    assert nets["borrower"] == -(10**9) - 1_200_000 + 103_280
    assert bench.loans.coming(7)[0] == (day_of(date(2024, 3, 15)), 97_766)


# by_instalment, order -> what 150,000 on two unpaid instalments and a younger fee leave of fees, interest, principal
ORDERS = [
    (False, (Kind.FEES, Kind.PENALTY, Kind.INTEREST, Kind.PRINCIPAL), (0, 0, 1_062_014)),
    (False, (Kind.PRINCIPAL, Kind.INTEREST, Kind.PENALTY, Kind.FEES), (500, 11_514, 1_050_000)),
    (True, (Kind.FEES, Kind.PENALTY, Kind.INTEREST, Kind.PRINCIPAL), (500, 0, 1_061_514)),
    (True, (Kind.PRINCIPAL, Kind.INTEREST, Kind.PENALTY, Kind.FEES), (500, 5_514, 1_056_000)),
]


@pytest.mark.parametrize("row", ORDERS)
def test_a_payment_is_allocated_in_the_order_that_is_agreed(bench, row):
    by_instalment, order, left = row
    bench.lend(day_count=DayCount.THIRTY_E_360, penalty=None, allocation=Allocation(order, by_instalment))
    due = day_of(date(2024, 3, 15))
    bench.must(Charge(8, LENDER, 7, due, 500), Pay(9, OWNER, 7, due, 150_000))
    owed = bench.loans.owed(7, due)
    assert (owed.fees_minor, owed.interest_minor, owed.principal_minor) == left


def test_a_late_instalment_bears_penalty_in_place_of_interest(bench):
    """97,280 of principal for 10 days at 1.5 times 6 percent over 360."""
    bench.lend(day_count=DayCount.THIRTY_E_360, penalty=Penalty(Decimal("1.5")))
    bench.must(Accrue(8, LENDER, 7, day_of(date(2024, 2, 25))))
    assert bench.loans.owed(7, day_of(date(2024, 2, 25))).penalty_minor == 243
    assert bench.net(LoanBooks.of(7).interest) == 6_000 + 1_838  # 10 days of 30 on what is not due.


def test_a_penalty_follows_its_reference_up_to_a_cap():
    rates = ReferenceRate(FIRST, Decimal("0.0345")), ReferenceRate(FIRST + 30, Decimal("0.0310"))
    penalty = Penalty(Decimal("1.5"), Decimal("0.02"), rates)
    agreed = terms(penalty=penalty)
    found = [penalty_rate(agreed, FIRST + day) for day in (-5, 0, 29, 30)]
    assert found == [Decimal(one) for one in ("0.08175", "0.08175", "0.08175", "0.0765")]
    capped = terms(penalty=Penalty(Decimal(9), reference=rates, cap_multiple=Decimal(4)))
    assert penalty_rate(capped, FIRST + 40) == Decimal("0.138")
    assert penalty_rate(terms(penalty=None), FIRST) == 0


def test_days_of_grace_bear_no_penalty(bench):
    bench.lend(penalty=Penalty(Decimal("1.5"), grace_days=10))
    due = day_of(date(2024, 2, 15))
    assert bench.loans.owed(7, due + 10).penalty_minor == 0
    assert bench.loans.owed(7, due + 11).penalty_minor > 0


def test_a_payment_with_an_early_date_is_replayed(bench):
    """Accrued until June, then the instalment of February comes with its own date: the penalty on it is gone."""
    bench.lend()
    june, due = day_of(date(2024, 6, 1)), day_of(date(2024, 2, 15))
    bench.must(Accrue(8, LENDER, 7, june))
    before = bench.nets()
    done = bench.do(Pay(9, OWNER, 7, due, 103_328))
    assert done.applied
    assert len(done.answers) > 10
    after = bench.nets()
    assert (before["penalty"], after["penalty"]) == (6_432, 3_668)
    assert before["principal"] - after["principal"] == 97_128
    in_time = Lending()
    in_time.lend()
    in_time.must(Pay(9, OWNER, 7, due, 103_328), Accrue(8, LENDER, 7, june))
    assert in_time.nets() == after


def test_a_difference_of_roundings_is_booked(bench):
    bench.lend(principal_minor=999_999, accrual_rounding="ROUND_UP", billing_rounding="ROUND_DOWN")
    due = day_of(date(2024, 2, 15))
    bench.must(Accrue(8, LENDER, 7, due))
    nets = bench.nets()
    assert (nets["interest_income"], nets["rounding"], nets["interest"]) == (-5_167, 1, 5_166)


@pytest.mark.parametrize(("effect", "instalments"), [("shortens", 6), ("reduces", 11)])
def test_a_prepayment_shortens_or_reduces(bench, effect, instalments):
    bench.lend(day_count=DayCount.THIRTY_E_360, prepayment_fee_rate=Decimal("0.01"))
    due = day_of(date(2024, 2, 15))
    bench.must(Pay(8, OWNER, 7, due, 103_280), Prepay(9, OWNER, 7, due, 505_000, Effect(effect)))
    assert bench.loans.owed(7, due).principal_minor == 602_720
    assert bench.net(LoanBooks.of(7).fees) == 0
    assert bench.nets()["fee_income"] == -5_000
    coming = [part for _, part in bench.loans.coming(7) if part]
    assert len(coming) == instalments
    assert sum(coming) == 602_720


def test_paying_off_early_costs_the_fee(bench):
    bench.lend(day_count=DayCount.THIRTY_E_360, prepayment_fee_rate=Decimal("0.01"))
    day = FIRST + 15
    quote = bench.loans.payoff_quote(7, day)
    assert (quote.owed.interest_minor, quote.prepayment_fee_minor, quote.amount_minor) == (3_000, 12_000, 1_215_000)
    bench.must(PayOff(9, OWNER, 7, day, 1_215_007), Refund(10, LENDER, 7, day, 7))
    assert bench.loans.owed(7, day + 99).total_minor == 0
    assert bench.net(LoanBooks.of(7).settlement) == 0
    assert bench.do(Pay(11, OWNER, 7, day + 1, 1)).refusal.code == R.NOTHING_IS_OWED
    assert bench.net(BORROWER) == -(10**9) + 15_000


def test_what_is_written_off_can_be_recovered_in_parts(bench):
    bench.lend(method=Method.BULLET, day_count=DayCount.THIRTY_E_360)
    day = LAST + 20
    bench.must(WriteOff(8, LENDER, 7, day))
    nets = bench.nets()
    assert nets["loss"] == nets["written_off"] == 1_200_000 + 72_000 + 6_360  # 20 days at 9 percent on both.
    assert [nets[kind.value] for kind in Kind] == [0, 0, 0, 0]
    bench.must(Recover(9, OWNER, 7, day + 5, 1_000_000), Recover(11, LENDER, 7, day + 6, 278_360))
    after = bench.nets()
    assert (after["recovery_income"], after["written_off"], after["loss"]) == (-1_278_360, 0, 1_278_360)
    assert bench.loans.owed(7, day + 6).written_off_minor == 0


def test_a_recovery_of_what_was_not_written_off_after_all_is_the_borrowers(bench):
    """The payment before the write-off is heard of after the recovery."""
    bench.lend(principal_minor=6, rate=Decimal(0), periods=1)
    bench.must(WriteOff(8, LENDER, 7, FIRST + 40), Recover(9, OWNER, 7, FIRST + 41, 6), Pay(10, OWNER, 7, FIRST + 2, 7))
    nets = bench.nets()
    assert (nets["written_off"], nets["loss"], nets["recovery_income"], nets["settlement"]) == (0, 0, 0, -7)
    assert bench.do(Refund(11, LENDER, 7, FIRST + 41, 7)).applied


def test_money_that_waits_is_set_against_interest_before_a_write_off(bench):
    bench.lend(principal_minor=1_000_000, periods=1)
    bench.must(Pay(8, OWNER, 7, FIRST + 6, 1_000_600))
    bench.must(Charge(9, LENDER, 7, FIRST + 6, 5), WriteOff(10, LENDER, 7, FIRST + 6))
    nets = bench.nets()
    assert (nets["settlement"], nets["written_off"], nets["loss"]) == (0, 405, 405)  # 1,000 of interest, 5 of fees.


def test_asked_again_an_action_is_answered_and_not_folded_twice(bench):
    bench.must(LEND)
    pay = Pay(9, OWNER, 7, FIRST + 40, 150_000)
    bench.must(pay)
    kept = bench.loans.state(), bench.nets()
    assert bench.do(pay).applied
    assert bench.do(LEND, LATER_MS + 5).applied
    assert (bench.loans.state(), bench.nets()) == kept
