"""Schedules: known instalments, stubs of the calendar, grace, and terms that cannot be."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from loan_bench import FIRST, terms

from quanheng.kernel.calendars import Roll
from quanheng.kernel.errors import InputError
from quanheng.ledger.instruments.action_fold import Party
from quanheng.ledger.instruments.loan.day_count import DayCount, day_of
from quanheng.ledger.instruments.loan.schedule import due_dates, level_instalment, schedule
from quanheng.ledger.instruments.loan.terms import Allocation, Grace, Kind, LenderBooks, Method, Penalty, wrong_in


def test_the_level_instalment_is_that_of_the_formula():
    """P g / (1 - (1 + g)**-n) for 12,000.00 at half a percent a month: 1,032.80; 200,000.00 at 6 % over 30 years:
    1,199.10."""
    assert level_instalment(Fraction(1_200_000), [Fraction(5, 1000)] * 12, "ROUND_HALF_EVEN") == 103_280
    assert level_instalment(Fraction(20_000_000), [Fraction(5, 1000)] * 360, "ROUND_HALF_EVEN") == 119_910
    assert level_instalment(Fraction(1_200_000), [Fraction(0)] * 12, "ROUND_HALF_EVEN") == 100_000


# method -> principal and interest of the first, the second and the last instalment
METHODS = [
    (Method.ANNUITY, (97_280, 6_000), (97_766, 5_514), (102_764, 514)),
    (Method.EQUAL_PRINCIPAL, (100_000, 6_000), (100_000, 5_500), (100_000, 500)),
    (Method.INTEREST_ONLY, (0, 6_000), (0, 6_000), (1_200_000, 6_000)),
    (Method.BULLET, (0, 0), (0, 0), (1_200_000, 72_000)),
]


@pytest.mark.parametrize("row", METHODS, ids=[row[0] for row in METHODS])
def test_methods(row):
    lines = schedule(terms(method=row[0], day_count=DayCount.THIRTY_E_360))
    assert [(one.principal_minor, one.interest_minor) for one in (lines[0], lines[1], lines[-1])] == list(row[1:])
    assert sum(one.principal_minor for one in lines) == 1_200_000
    assert [one.left_minor for one in lines][-1] == 0


def test_every_method_has_a_row():
    assert [row[0] for row in METHODS] == list(Method)


def test_the_last_instalment_takes_what_rounding_left():
    lines = schedule(terms(principal_minor=100, periods=7, rate=Decimal(0), method=Method.EQUAL_PRINCIPAL))
    assert [one.principal_minor for one in lines] == [14] * 6 + [16]


def test_in_grace_interest_is_paid_or_capitalised():
    pays = schedule(terms(grace_periods=3, day_count=DayCount.THIRTY_E_360))
    assert [one.interest_minor for one in pays[:3]] == [6_000] * 3
    assert [one.principal_minor for one in pays[:3]] == [0] * 3
    capitalises = schedule(terms(grace_periods=3, grace=Grace.CAPITALISES, day_count=DayCount.THIRTY_E_360))
    assert [one.left_minor for one in capitalises[:3]] == [1_206_000, 1_212_030, 1_218_090]
    assert sum(one.principal_minor for one in capitalises) == 1_218_090


def test_periods_accrue_between_rolled_dates():
    agreed = terms(first_day=day_of(date(2024, 1, 31)), periods=3, roll=Roll.MODIFIED_FOLLOWING, end_of_month=True)
    assert [str(one) for one in due_dates(agreed)] == ["2024-01-31", "2024-02-29", "2024-03-29", "2024-04-30"]
    assert schedule(agreed)[0].interest_minor == 5_800  # 29 days of 360.


@pytest.mark.parametrize(("end_of_month", "due"), [(False, "2024-05-30"), (True, "2024-05-31")])
def test_a_month_of_icma_is_a_twelfth_of_a_year(end_of_month, due):
    """Also where the first day is the last of a month, whether the dates stay there or not."""
    first = day_of(date(2024, 4, 30))
    agreed = terms(first_day=first, day_count=DayCount.ACT_ACT_ICMA, end_of_month=end_of_month)
    assert str(schedule(agreed)[0].due) == due
    assert schedule(agreed)[0].interest_minor == 6_000


# field, value that cannot be
WRONG = [
    ("lender", 0), ("borrower", Party(0, 1)), ("books", LenderBooks(1, 2, 3, 4, 5, 6, 0)), ("asset", 0), ("code", 0),
    ("principal_minor", 0), ("rate", Decimal("-0.01")), ("rate", Decimal("NaN")), ("rate", Decimal(11)),
    ("first_day", -1), ("periods", 0), ("periods", 601), ("period_months", 5), ("grace_periods", 12),
    ("penalty", Penalty(Decimal("1.5"), cap_multiple=Decimal(4))), ("penalty", Penalty(Decimal("1.5"), year_days=252)),
    ("allocation", Allocation((Kind.FEES,))), ("level_rounding", "ROUND_05UP"), ("accrual_rounding", ""),
    ("billing_rounding", ""), ("penalty_rounding", ""), ("fee_rounding", ""), ("prepayment_fee_rate", Decimal(1)),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_terms_that_cannot_be_are_named(field, value):
    with pytest.raises(InputError, match="the terms of the loan cannot be") as caught:
        schedule(terms(**{field: value}))
    assert caught.value.where == f"terms.{field}"


def test_a_bullet_has_no_grace():
    assert wrong_in(terms(method=Method.BULLET, grace_periods=1)) == "grace_periods"
    assert wrong_in(terms()) == ""
    assert terms().first_day == FIRST
