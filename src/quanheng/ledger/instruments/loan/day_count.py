"""Day counts: the part of a year between two dates, as an exact fraction."""

from __future__ import annotations

import calendar
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction


class DayCount(StrEnum):
    """Conventions. Section numbers are those of the 2006 ISDA Definitions, 4.16.

    THIRTY_360_US : 30/360 with the rule for the end of February (SIA, Standard Securities Calculation Methods)
    THIRTY_360_BOND : 30/360 Bond Basis, (f)
    THIRTY_E_360 : 30E/360 Eurobond Basis, (g)
    THIRTY_E_360_ISDA : 30E/360 (ISDA), (h): the end of February is a 30th, except at maturity
    ACT_360 : (e)
    ACT_365F : (d)
    ACT_ACT_ISDA : (b): days in leap years over 366, other days over 365
    ACT_ACT_ICMA : ICMA Rule 251.1 (iii), (c): days over the days of the regular period times periods a year
    """

    THIRTY_360_US = "30/360 US"
    THIRTY_360_BOND = "30/360"
    THIRTY_E_360 = "30E/360"
    THIRTY_E_360_ISDA = "30E/360 ISDA"
    ACT_360 = "ACT/360"
    ACT_365F = "ACT/365F"
    ACT_ACT_ISDA = "ACT/ACT ISDA"
    ACT_ACT_ICMA = "ACT/ACT ICMA"


def is_month_end(day: date) -> bool:
    """Whether it is the last day of its month."""
    return day.day == calendar.monthrange(day.year, day.month)[1]


def add_months(day: date, months: int, end_of_month: bool = False) -> date:
    """The same day so many months on, or the last day of that month if it is shorter.

    end_of_month : the last day of a month stays the last day
    """
    place = day.year * 12 + day.month - 1 + months
    year, month = divmod(place, 12)
    last = calendar.monthrange(year, month + 1)[1]
    keeps = end_of_month and is_month_end(day)
    return date(year, month + 1, last if keeps else min(day.day, last))


def year_fraction(
    count: DayCount,
    start: date,
    end: date,
    *,
    anchor: date | None = None,
    months: int = 12,
    end_of_month: bool = True,
    maturity: date | None = None,
) -> Fraction:
    """Part of a year from `start` (included) to `end` (not included), `end` not before `start`.

    Parameters
    ----------
    anchor : ACT/ACT ICMA: a date on which a regular period begins or ends; without it `start`
    end_of_month : ACT/ACT ICMA: with an anchor at the end of a month, all regular dates are at the ends of months
    months : ACT/ACT ICMA: length of a regular period, a divisor of 12
    maturity : 30E/360 ISDA: the termination date
    """
    days = (end - start).days
    if count == DayCount.ACT_360:
        return Fraction(days, 360)
    if count == DayCount.ACT_365F:
        return Fraction(days, 365)
    if count == DayCount.ACT_ACT_ISDA:
        return _act_act_isda(start, end)
    if count == DayCount.ACT_ACT_ICMA:
        return _act_act_icma(start, end, anchor or start, months, end_of_month)
    return Fraction(_days_of_30(count, start, end, maturity), 360)


def _days_of_30(count: DayCount, start: date, end: date, maturity: date | None) -> int:
    """360 (Y2 - Y1) + 30 (M2 - M1) + (D2 - D1), with D1 and D2 changed as the convention says."""
    first, last = start.day, end.day
    if count == DayCount.THIRTY_E_360:
        first, last = min(first, 30), min(last, 30)
    elif count == DayCount.THIRTY_E_360_ISDA:
        first = 30 if is_month_end(start) else first
        last = 30 if last == 31 or (_is_end_of_february(end) and end != maturity) else last
    else:
        if count == DayCount.THIRTY_360_US and _is_end_of_february(start):
            last = 30 if _is_end_of_february(end) else last
            first = 30
        last = 30 if last == 31 and first >= 30 else last
        first = min(first, 30)
    return 360 * (end.year - start.year) + 30 * (end.month - start.month) + last - first


def _is_end_of_february(day: date) -> bool:
    return day.month == 2 and is_month_end(day)


def _act_act_isda(start: date, end: date) -> Fraction:
    total = Fraction(0)
    while start < end:
        stop = min(end, date(start.year + 1, 1, 1))
        total += Fraction((stop - start).days, 366 if calendar.isleap(start.year) else 365)
        start = stop
    return total


def _act_act_icma(start: date, end: date, anchor: date, months: int, end_of_month: bool) -> Fraction:
    """Sum over the regular periods that the days fall in, those of stubs are continued at both sides."""
    place = ((start.year - anchor.year) * 12 + start.month - anchor.month) // months - 1
    total = Fraction(0)
    while (begins := add_months(anchor, place * months, end_of_month)) < end:
        ends = add_months(anchor, (place + 1) * months, end_of_month)
        days = (min(end, ends) - max(start, begins)).days
        if days > 0:
            total += Fraction(days * months, (ends - begins).days * 12)
        place += 1
    return total


def day_of(day: date) -> int:
    """Days since 1970-01-01: how actions write a date."""
    return (day - date(1970, 1, 1)).days


def date_of(day: int) -> date:
    """The date of so many days since 1970-01-01."""
    return date(1970, 1, 1) + timedelta(days=day)
