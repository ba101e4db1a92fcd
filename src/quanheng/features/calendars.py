"""Calendars of days off, as a pack or Quanheng declares them, and as words of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from quanheng.features.kernel.clock import DAYS_IN_WORD, DECLARED, NOT_COVERED, OFF, WORK

_EPOCH = date(1970, 1, 1)
WEEKEND = (6, 7)
"""Weekend days where no calendar says otherwise: Saturday and Sunday."""


@dataclass(frozen=True, slots=True)
class CalendarYear:
    """One covered year: days off beside the weekends, weekend days on which people work, and where that is written."""

    year: int
    off: tuple[date, ...]
    work: tuple[date, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Calendar:
    """Days off of a country or market. `weekend` holds ISO weekdays (Monday = 1); years that are not there are unknown.

    A day of `off` is a holiday, whatever weekday it has. A workday is a day of `work`, or one that is neither a
    holiday nor of the weekend.
    """

    name: str
    weekend: tuple[int, ...]
    years: tuple[CalendarYear, ...]

    def code(self, day: date) -> int:
        """What the calendar says of a day (kernel/clock.py)."""
        year = next((one for one in self.years if one.year == day.year), None)
        if year is None:
            return NOT_COVERED
        if day in year.off:
            return DECLARED
        return OFF if day.isoweekday() in self.weekend and day not in year.work else WORK

    def words(self) -> tuple[int, ...]:
        """First day (since 1970-01-01), number of days, then two bits a day."""
        if not self.years:
            return 0, 0
        first = date(min(one.year for one in self.years), 1, 1)
        last = date(max(one.year for one in self.years), 12, 31)
        codes = [self.code(first + timedelta(days=number)) for number in range((last - first).days + 1)]
        words = [
            sum(code << 2 * place for place, code in enumerate(codes[start : start + DAYS_IN_WORD]))
            for start in range(0, len(codes), DAYS_IN_WORD)
        ]
        return (first - _EPOCH).days, len(codes), *words


Calendars = Mapping[str, Calendar]


def weekend_bits(calendar: Calendar | None) -> int:
    """Weekend days as bits, Monday the lowest."""
    return sum(1 << day - 1 for day in (WEEKEND if calendar is None else calendar.weekend))
