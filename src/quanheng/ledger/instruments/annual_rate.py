"""The all-in annual rate of a credit, as three laws say it: European Union, United States, China.

All solve: what is paid out, discounted, equals what is paid back, discounted. They differ in how time is counted and in
whether a year compounds. Computed in Decimal with 40 digits by bisection, so a root is found wherever one is, to within
`TOLERANCE`; rounding is the last step.

Sources
-------
* Directive 2008/48/EC of the European Parliament and of the Council, Annex I, part I; the same equation in Directive
  (EU) 2023/2225, Annex III, part I.
* Regulation Z (Truth in Lending), 12 CFR part 1026, appendix J, the actuarial method.
* People's Bank of China, Announcement [2021] No. 3: all loan products state an annualised rate, of all that is charged
  to the borrower over the principal in use; the annex computes with the internal rate of return, simple or compound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import StrEnum
from typing import NamedTuple

from quanheng.kernel.errors import InputError
from quanheng.ledger.instruments.loan.day_count import add_months

_WIDE = Context(prec=40)
_ONE = Decimal(1)
TOLERANCE = Decimal("1e-15")
"""Of a rate as a fraction: the root is between two numbers that are no further apart."""
RATE_MIN, RATE_MAX = Decimal("-0.99"), Decimal(10**9)
_YEAR_DAYS, _YEAR_WEEKS, _YEAR_MONTHS = 365, 52, 12


class Flow(NamedTuple):
    """Money that moves: `amount_minor` > 0 to the borrower (a drawdown), < 0 from the borrower (what is paid back)."""

    day: date
    amount_minor: int


class Interval(StrEnum):
    """How the European equation counts time: in whole ones of these from the first drawdown, back from each flow.

    Annex I, part I, remark (c): intervals are expressed in years or fractions of a year, a year being 365 days (366 in
    leap years), 52 weeks or 12 equal months, an equal month 30.41666 days (365/12) whether or not the year is leap.
    Where an interval is no whole number of years, months or weeks, as 2011/90/EU adds, it is whole periods and days,
    each day 1/365, or 1/366 in a leap year.
    """

    DAYS = "days"
    WEEKS = "weeks"
    MONTHS = "months"
    YEARS = "years"


class UnitPeriod(StrEnum):
    """The unit period of Regulation Z, appendix J (b)(4): the common period between advances or payments."""

    MONTH = "month"
    TWO_MONTHS = "two months"
    QUARTER = "quarter"
    HALF_YEAR = "half-year"
    YEAR = "year"
    DAY = "day"
    WEEK = "week"
    TWO_WEEKS = "two weeks"


_US_MONTHS = {
    UnitPeriod.MONTH: 1, UnitPeriod.TWO_MONTHS: 2, UnitPeriod.QUARTER: 3, UnitPeriod.HALF_YEAR: 6, UnitPeriod.YEAR: 12
}  # fmt: skip
_US_DAYS = {UnitPeriod.DAY: 1, UnitPeriod.WEEK: 7, UnitPeriod.TWO_WEEKS: 14}


def apr_eu(flows: Sequence[Flow], interval: Interval = Interval.MONTHS) -> Decimal:
    """Annual percentage rate of charge X, as a fraction: sum C_k (1 + X)**-t_k = sum D_l (1 + X)**-s_l.

    t and s are years from the first drawdown by the convention of `interval`. The law rounds to one decimal of a
    percent, a following figure of 5 or more up (`percent`).

    Raises
    ------
    InputError : no drawdown first, nothing paid back, or no rate solves the equation
    """
    first = _first_of(flows)
    times = [eu_years(first, one.day, interval) for one in flows]
    return _root(lambda rate: _present(flows, times, _WIDE.add(_ONE, rate)))


def eu_years(first: date, day: date, interval: Interval) -> Decimal:
    """Years between two days, `first` not after `day`; what is no whole interval is days at the beginning."""
    if interval == Interval.DAYS:
        return _day_years(first, day)
    if interval == Interval.WEEKS:
        weeks, rest = divmod((day - first).days, 7)
        whole = _WIDE.divide(Decimal(weeks), Decimal(_YEAR_WEEKS))
        return _WIDE.add(whole, _day_years(first, first + timedelta(days=rest)))
    step = 1 if interval == Interval.MONTHS else 12
    count = _steps_back(first, day, step)
    whole = _WIDE.divide(Decimal(count * step), Decimal(_YEAR_MONTHS))
    return _WIDE.add(whole, _day_years(first, add_months(day, -count * step, is_last(day) and is_last(first))))


def is_last(day: date) -> bool:
    """Whether it is the last day of its month."""
    return (day + timedelta(days=1)).day == 1


def _steps_back(first: date, day: date, step: int) -> int:
    """How many whole steps of months there are between two days. The end of a month answers any later day."""
    count = ((day.year - first.year) * 12 + day.month - first.month) // step
    while count and add_months(first, count * step, is_last(first)) > day:
        count -= 1
    return count


def _day_years(first: date, day: date) -> Decimal:
    """Days over 365, those in leap years over 366."""
    total = Decimal(0)
    while first < day:
        end = min(day, date(first.year + 1, 1, 1))
        days = 366 if (date(first.year + 1, 1, 1) - date(first.year, 1, 1)).days == 366 else _YEAR_DAYS
        total = _WIDE.add(total, _WIDE.divide(Decimal((end - first).days), Decimal(days)))
        first = end
    return total


def apr_us(flows: Sequence[Flow], unit: UnitPeriod = UnitPeriod.MONTH) -> Decimal:
    """Annual percentage rate of Regulation Z as a fraction: unit periods a year times the rate i of one of them.

    Appendix J (b)(8): sum A / ((1 + f i)(1 + i)**t) over advances equals that over payments, t whole unit periods and f
    the fraction of one that is left, for which interest is simple. Accurate within 1/8 of a percentage point is what
    the law asks (1026.22 (a)(2)).

    Raises
    ------
    InputError : as `apr_eu`
    """
    first = _first_of(flows)
    times = [us_unit_periods(first, one.day, unit) for one in flows]

    def difference(rate: Decimal) -> Decimal:
        total = Decimal(0)
        for one, (whole, part) in zip(flows, times, strict=True):
            grown = _WIDE.multiply(_WIDE.add(_ONE, _WIDE.multiply(part, rate)), _power(_WIDE.add(_ONE, rate), whole))
            total = _WIDE.add(total, _WIDE.divide(Decimal(one.amount_minor), grown))
        return total

    return _WIDE.multiply(_root(difference), us_periods_a_year(unit))


def us_periods_a_year(unit: UnitPeriod) -> Decimal:
    """Appendix J (b)(5)(vi): 12, 6, 4, 2, 1 for months; 365, 52 and 26 for days, weeks and pairs of weeks."""
    if unit in _US_MONTHS:
        return Decimal(12 // _US_MONTHS[unit])
    return {UnitPeriod.DAY: Decimal(365), UnitPeriod.WEEK: Decimal(52), UnitPeriod.TWO_WEEKS: Decimal(26)}[unit]


def us_unit_periods(first: date, day: date, unit: UnitPeriod) -> tuple[int, Decimal]:
    """Whole unit periods between two days, counted back from the later one, and the fraction that is left.

    Appendix J (b)(5): what is left of a month is days over 30, of other multiples of a month whole months and days over
    30 for each (180 for a half-year), of a year days over 365, of weeks days over their number.
    """
    if unit in _US_DAYS:
        whole, rest = divmod((day - first).days, _US_DAYS[unit])
        return whole, _WIDE.divide(Decimal(rest), Decimal(_US_DAYS[unit]))
    months = (day.year - first.year) * 12 + day.month - first.month
    keeps = is_last(day)
    while months and add_months(day, -months, keeps) < first:
        months -= 1
    whole, more = divmod(months, _US_MONTHS[unit])
    days = (add_months(day, -months, keeps) - first).days
    if unit == UnitPeriod.YEAR:
        days = (add_months(day, -whole * 12, keeps) - first).days
        return whole, _WIDE.divide(Decimal(days), Decimal(365))
    return whole, _WIDE.divide(Decimal(30 * more + days), Decimal(30 * _US_MONTHS[unit]))


def irr_period(amounts_minor: Sequence[int]) -> Decimal:
    """Internal rate of return of one period, as a fraction: sum of CF_k / (1 + r)**k = 0, k = 0, 1, 2 ...

    amounts_minor : of each period; signs as `Flow`

    Raises
    ------
    InputError : as `apr_eu`
    """
    _check(amounts_minor)
    return _root(lambda rate: _series(amounts_minor, _WIDE.add(_ONE, rate)))


def rate_cn(amounts_minor: Sequence[int], periods_a_year: int = 12, compound: bool = False) -> Decimal:
    """Annualised rate of the People's Bank's announcement, as a fraction: IRR of a period, by the year.

    Simple (IRR times periods a year), which the announcement shows as one of the two methods, or compound. What is
    charged (interest, fees, insurance that must be taken) is in the amounts; a method that is used is to be told.

    Raises
    ------
    InputError : as `apr_eu`; periods a year below 1
    """
    if periods_a_year < 1:
        raise InputError(
            "a year has no such number of periods",
            where="periods_a_year",
            found=str(periods_a_year),
            allowed="1 or more",
            cure="Pass 12 for monthly instalments.",
        )
    rate = irr_period(amounts_minor)
    if compound:
        return _WIDE.subtract(_power(_WIDE.add(_ONE, rate), periods_a_year), _ONE)
    return _WIDE.multiply(rate, Decimal(periods_a_year))


def percent(rate: Decimal, decimals: int = 1) -> Decimal:
    """A rate in percent, half up. Annex I, remark (d), rounds to one decimal at least."""
    return (100 * rate).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)


# --- solving


def _present(flows: Iterable[Flow], times: Sequence[Decimal], growth: Decimal) -> Decimal:
    log, total = _WIDE.ln(growth), Decimal(0)
    for one, time in zip(flows, times, strict=True):
        total = _WIDE.add(
            total, _WIDE.multiply(Decimal(one.amount_minor), _WIDE.exp(_WIDE.minus(_WIDE.multiply(time, log))))
        )
    return total


def _series(amounts: Sequence[int], growth: Decimal) -> Decimal:
    total = Decimal(0)
    for amount in reversed(amounts):
        total = _WIDE.add(_WIDE.divide(total, growth), Decimal(amount))
    return total


def _power(base: Decimal, count: int) -> Decimal:
    return _WIDE.power(base, count)


def _root(difference: Callable[[Decimal], Decimal]) -> Decimal:
    """Where what is paid out and what is paid back are equal: the lowest root from zero up, else below zero."""
    low, high = Decimal(0), Decimal("0.01")
    at_low = difference(low)
    if at_low > 0:  # Less is paid back than was lent.
        low, high = RATE_MIN, Decimal(0)
        if difference(low) > 0:
            raise _no_rate()
    else:
        while difference(high) < 0:
            low, high = high, _WIDE.multiply(Decimal(2), high)
            if high > RATE_MAX:
                raise _no_rate()
    while _WIDE.subtract(high, low) > TOLERANCE * max(_ONE, high):
        middle = _WIDE.divide(_WIDE.add(low, high), Decimal(2))
        if difference(middle) < 0:
            low = middle
        else:
            high = middle
    return _WIDE.divide(_WIDE.add(low, high), Decimal(2))


def _first_of(flows: Sequence[Flow]) -> date:
    _check([one.amount_minor for one in flows])
    days = [one.day for one in flows]
    if min(days) != days[0]:
        raise InputError(
            "a credit begins with its first drawdown",
            where="flows",
            found=f"{min(days)} before {days[0]}",
            allowed="flows from the first drawdown on",
            cure="Put the first drawdown first, and no flow before it.",
        )
    return days[0]


def _check(amounts: Sequence[int]) -> None:
    if not amounts or amounts[0] <= 0 or not any(one < 0 for one in amounts):
        raise InputError(
            "there is no credit in these flows",
            where="flows",
            found=f"{len(amounts)} amounts, the first {amounts[0] if amounts else 'missing'}",
            allowed="a positive amount first, and some negative ones",
            cure="Amounts to the borrower are positive, those that are paid back negative.",
        )


def _no_rate() -> InputError:
    return InputError(
        "no annual rate makes what is paid back equal to what was lent",
        where="flows",
        allowed=f"a rate of a period from {RATE_MIN} to {RATE_MAX}",
        cure="Look at the signs and the size of the amounts.",
    )
