"""Business calendars, roll conventions, and the rounding of exact fractions."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from quanheng.kernel.calendars import Calendar, Roll
from quanheng.kernel.errors import InputError
from quanheng.ledger.instruments.loan.rounding import ROUNDINGS, rounded

# A Saturday in the middle of a month, one at its end, a Sunday at its beginning -> date for each convention.
ROLLS = [
    (Roll.NONE, "2024-06-15", "2024-08-31", "2024-09-01"),
    (Roll.FOLLOWING, "2024-06-17", "2024-09-02", "2024-09-02"),
    (Roll.MODIFIED_FOLLOWING, "2024-06-17", "2024-08-30", "2024-09-02"),
    (Roll.PRECEDING, "2024-06-14", "2024-08-30", "2024-08-30"),
    (Roll.MODIFIED_PRECEDING, "2024-06-14", "2024-08-30", "2024-09-02"),
]


@pytest.mark.parametrize("row", ROLLS, ids=[row[0] for row in ROLLS])
def test_a_due_date_rolls(row):
    days = date(2024, 6, 15), date(2024, 8, 31), date(2024, 9, 1)
    assert [str(Calendar().roll(day, row[0])) for day in days] == list(row[1:])


def test_every_convention_has_a_row():
    assert [row[0] for row in ROLLS] == list(Roll)


def test_holidays_and_days_that_are_worked_in_their_place():
    calendar = Calendar.of([date(2024, 2, 12), date(2024, 2, 13)], [date(2024, 2, 18)])
    assert calendar.roll(date(2024, 2, 10), Roll.FOLLOWING) == date(2024, 2, 14)
    assert calendar.is_business_day(date(2024, 2, 18))


def test_a_calendar_without_business_days_is_told():
    with pytest.raises(InputError, match="the calendar has no business day near the date") as caught:
        Calendar(weekend=tuple(range(1, 8))).roll(date(2024, 2, 10), Roll.FOLLOWING)
    assert caught.value.found == "2024-02-10"


@pytest.mark.parametrize("mode", ROUNDINGS)
def test_fractions_round_as_decimals_do(mode):
    for sixteenths in range(-80, 81):
        exact = Decimal(sixteenths) / 16
        assert rounded(Fraction(sixteenths, 16), mode) == int(exact.to_integral_value(mode))
