"""Annual rates against published examples, and against closed forms where a law gives none."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from quanheng.kernel.errors import InputError
from quanheng.ledger.instruments.annual_rate import (
    TOLERANCE,
    Flow,
    Interval,
    UnitPeriod,
    apr_eu,
    apr_us,
    eu_years,
    irr_period,
    percent,
    rate_cn,
    us_unit_periods,
)
from quanheng.ledger.instruments.loan.day_count import add_months

# 12 CFR part 1026, appendix J (c)(1), single advance transactions:
# advance, amount, first payment, each payment, how many, unit period, days or months between, percent
REGULATION_Z = [
    (date(1978, 1, 10), 5_000_00, date(1978, 2, 10), 230_00, 24, UnitPeriod.MONTH, 1, "9.69"),
    (date(1978, 2, 10), 6_000_00, date(1978, 4, 1), 200_00, 36, UnitPeriod.MONTH, 1, "11.82"),
    (date(1978, 5, 23), 10_000_00, date(1978, 10, 1), 385_00, 40, UnitPeriod.QUARTER, 3, "8.97"),
    (date(1978, 3, 20), 500_00, date(1978, 4, 21), 17_60, 30, UnitPeriod.WEEK, 7, "14.96"),
]


@pytest.mark.parametrize("row", REGULATION_Z)
def test_examples_of_regulation_z(row):
    advance, amount, first, payment, count, unit, gap, expected = row
    weekly = unit == UnitPeriod.WEEK
    days = [first + timedelta(gap * one) if weekly else add_months(first, gap * one) for one in range(count)]
    rate = apr_us([Flow(advance, amount), *(Flow(day, -payment) for day in days)], unit)
    assert percent(rate, 2) == Decimal(expected)


# Directive 98/7/EC, annex III, part A (calendar basis) and B (a year of 12 equal months): the examples of the equation
# that 2008/48/EC annex I and 2023/2225 annex III took over. Lent on 1 January 1994: amount, what is paid back, percent.
LENT = date(1994, 1, 1)
DIRECTIVE = [
    (Interval.DAYS, 1_000_00, [(date(1995, 7, 1), 1_200_00)], "12.96"),
    (Interval.DAYS, 950_00, [(date(1995, 7, 1), 1_200_00)], "16.90"),
    (Interval.DAYS, 1_000_00, [(date(1995, 1, 1), 600_00), (date(1996, 1, 1), 600_00)], "13.07"),
    (Interval.MONTHS, 1_000_00, [(date(1995, 7, 1), 1_200_00)], "12.92"),
    (Interval.MONTHS, 950_00, [(date(1995, 7, 1), 1_200_00)], "16.85"),
    (Interval.YEARS, 1_000_00, [(date(1995, 1, 1), 600_00), (date(1996, 1, 1), 600_00)], "13.07"),
    (
        Interval.MONTHS, 1_000_00,
        [(date(1994, 4, 1), 272_00), (date(1994, 7, 1), 272_00), (date(1995, 1, 1), 544_00)], "13.19",
    ),
]  # fmt: skip


@pytest.mark.parametrize("row", DIRECTIVE)
def test_examples_of_the_directive(row):
    interval, amount, paid, expected = row
    rate = apr_eu([Flow(LENT, amount), *(Flow(day, -back) for day, back in paid)], interval)
    assert percent(rate, 2) == Decimal(expected)
    if len(paid) == 1:  # The closed form of one payment.
        exact = (Decimal(paid[0][1]) / amount) ** (1 / eu_years(LENT, paid[0][0], interval)) - 1
        assert abs(rate - exact) < Decimal("1e-14")


def test_the_announcement_of_the_peoples_bank():
    """Twelve instalments of 1,000.00 and a fee of 0.5 percent of what was lent: not 6 percent, since it is repaid."""
    flows = [12_000_00, *[-1_060_00] * 12]
    month = irr_period(flows)
    assert abs(sum(Decimal(one) / (1 + month) ** k for k, one in enumerate(flows))) < Decimal("1e-6")
    assert (percent(rate_cn(flows), 2), percent(rate_cn(flows, compound=True), 2)) == (
        Decimal("10.90"),
        Decimal("11.46"),
    )
    assert abs(rate_cn([100_00, -106_00], 1) - Decimal("0.06")) < TOLERANCE
    assert abs(rate_cn([100_00, -106_00], 1, compound=True) - Decimal("0.06")) < TOLERANCE
    assert percent(rate_cn([100_00, *[-50_00] * 2]), 2) == 0


def test_time_is_counted_as_the_laws_say():
    for first, day, interval, expected in (
        (date(2023, 1, 31), date(2023, 2, 28), Interval.MONTHS, Decimal(1) / 12),
        (date(2023, 1, 1), date(2024, 7, 1), Interval.DAYS, 1 + Decimal(182) / 366),
        (date(2023, 1, 1), date(2023, 1, 15), Interval.WEEKS, Decimal(2) / 52),
    ):
        assert abs(eu_years(first, day, interval) - expected) < Decimal("1e-25")
    for first, day, unit, whole, days, of in (
        (date(1978, 2, 10), date(1978, 4, 1), UnitPeriod.MONTH, 1, 19, 30),
        (date(1978, 5, 23), date(1978, 10, 1), UnitPeriod.QUARTER, 1, 39, 90),
    ):
        count, part = us_unit_periods(first, day, unit)
        assert (count, round(part * of, 20)) == (whole, days)


def test_a_credit_that_gives_less_back_has_a_negative_rate():
    assert percent(apr_eu([Flow(LENT, 100_00), Flow(date(1995, 1, 1), -90_00)]), 1) == Decimal("-10.0")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: apr_eu([]), "there is no credit in these flows"),
        (lambda: apr_eu([Flow(LENT, -5), Flow(LENT, 5)]), "a positive amount first"),
        (lambda: apr_us([Flow(LENT, 5), Flow(date(1993, 1, 1), -5)]), "a credit begins with its first drawdown"),
        (lambda: apr_eu([Flow(LENT, 5), Flow(LENT, -9)]), "no annual rate makes what is paid back equal"),
        (lambda: rate_cn([5, -6], 0), "a year has no such number of periods"),
    ],
)
def test_flows_that_are_no_credit(call, text):
    with pytest.raises(InputError, match=text):
        call()
