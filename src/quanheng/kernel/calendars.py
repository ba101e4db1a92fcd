"""Calendars of days off, and roll conventions: where a date goes that is no business day.

One class for all that asks for business days: folds, instruments, the business day of the ledger, and timers. In a year
that a calendar does not cover, its weekend alone is off; whoever must know that asks `code` or `covers`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property

from quanheng.kernel.errors import InputError

NOT_COVERED, WORK, OFF, DECLARED = 0, 1, 2, 3
"""What a calendar says of a day. DECLARED is a day off that the calendar names, a holiday; OFF one of the weekend."""

WEEKEND = (6, 7)
"""ISO weekdays that are off where no calendar says otherwise: Saturday and Sunday."""

FAR_DAYS = 60
"""So many days on, a business day must have been found."""

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
"""What `date.toordinal` is more than the number of a day since 1970-01-01."""

_FAR_WEEK = date(2201, 1, 1).toordinal() - EPOCH_ORDINAL  # Of a year that no calendar covers.


class Roll(StrEnum):
    """Business day conventions (2006 ISDA Definitions, 4.12; MODIFIED_PRECEDING is its mirror)."""

    NONE = "none"
    FOLLOWING = "following"
    MODIFIED_FOLLOWING = "modified following"
    PRECEDING = "preceding"
    MODIFIED_PRECEDING = "modified preceding"


@dataclass(frozen=True, slots=True)
class CalendarYear:
    """One covered year: days off beside the weekends, weekend days on which people work, and where that is written."""

    year: int
    off: tuple[date, ...]
    work: tuple[date, ...]
    source: str = ""


@dataclass(frozen=True)
class Calendar:
    """Days off of a country or market. `weekend` holds ISO weekdays (Monday = 1); years that are not there are unknown.

    A day of `off` is a holiday, whatever weekday it has. A workday is a day of `work`, or one that is neither a
    holiday nor of the weekend.
    """

    name: str = ""
    weekend: tuple[int, ...] = WEEKEND
    years: tuple[CalendarYear, ...] = ()

    @classmethod
    def of(cls, off: Iterable[date] = (), work: Iterable[date] = (), weekend: tuple[int, ...] = WEEKEND) -> Calendar:
        """From dates; it covers the years of which one is given."""
        away, worked = sorted(set(off)), sorted(set(work))

        def of_year(days: list[date], year: int) -> tuple[date, ...]:
            return tuple(day for day in days if day.year == year)

        years = sorted({day.year for day in (*away, *worked)})
        return cls("", weekend, tuple(CalendarYear(one, of_year(away, one), of_year(worked, one)) for one in years))

    def covers(self, year: int) -> bool:
        """Whether the days off of a year are known."""
        return year in self._covered

    def code(self, day: date) -> int:
        """What the calendar says of a day: NOT_COVERED, WORK, OFF or DECLARED."""
        if day.year not in self._covered:
            return NOT_COVERED
        number = day.toordinal() - EPOCH_ORDINAL
        return DECLARED if number in self._off else WORK if self.is_open(number) else OFF

    def is_business_day(self, day: date) -> bool:
        """Whether business is done on it."""
        return self.is_open(day.toordinal() - EPOCH_ORDINAL)

    def is_open(self, day: int) -> bool:
        """Whether business is done on a day, as its number since 1970-01-01."""
        if day in self._off:
            return False
        return (day + 3) % 7 not in self._weekend or day in self._work  # The first day was a Thursday.

    def roll(self, day: date, how: Roll) -> date:
        """The date itself if it is a business day, else the one that the convention says.

        Raises
        ------
        InputError : no business day within 60 days
        """
        if how == Roll.NONE:
            return day
        number = day.toordinal() - EPOCH_ORDINAL
        step = 1 if how in (Roll.FOLLOWING, Roll.MODIFIED_FOLLOWING) else -1
        found = date.fromordinal(self.next_open(number, step) + EPOCH_ORDINAL)
        if how in (Roll.MODIFIED_FOLLOWING, Roll.MODIFIED_PRECEDING) and found.month != day.month:
            return date.fromordinal(self.next_open(number, -step) + EPOCH_ORDINAL)
        return found

    def next_open(self, day: int, step: int = 1) -> int:
        """The first business day from a day on, itself included; backwards where `step` is -1. Numbers since 1970.

        Raises
        ------
        InputError : none within 60 days
        """
        for found in range(day, day + step * FAR_DAYS, step):
            if self.is_open(found):
                return found
        raise InputError(
            "the calendar has no business day near the date",
            where="calendar",
            found=(date(1970, 1, 1) + timedelta(days=day)).isoformat(),
            allowed=f"a business day within {FAR_DAYS} days",
            cure="Look at its weekend and holidays.",
        )

    def opened(self, day: int) -> int:
        """Business days from 1970-01-01 up to a day, which does not count; below 0 before. O(log(exceptions))."""
        weeks, rest = divmod(day + 3, 7)
        ordinary = weeks * self._open_of_week[7] + self._open_of_week[rest] - self._open_of_week[3]
        return ordinary - bisect_left(self._closed, day) + bisect_left(self._worked, day) + self._before_epoch

    def ahead(self, day: int, count: int) -> int:
        """The business day that comes `count` business days behind a day that is one. O(log(exceptions)).

        Raises
        ------
        InputError : there are 60 days without a business day
        """
        week = self._open_of_week[7]
        if week == 0:  # Only days of `work` are business days: they are few.
            for _ in range(count):
                day = self.next_open(day + 1)
            return day
        wanted, day = self.opened(day) + count, day + count * 7 // week
        while missing := wanted - self.opened(day):
            day += missing  # Never too far: a day holds at most one business day.
        return self.next_open(day)

    def check(self) -> None:
        """Whether a business day follows every day, so that none is looked for in vain later on.

        Raises
        ------
        InputError : there are 60 days without one
        """
        week = range(_FAR_WEEK, _FAR_WEEK + 7)
        for day in (*week, *sorted({day - back for day in self._off for back in range(7)})):
            self.next_open(day)

    @cached_property
    def _covered(self) -> frozenset[int]:
        return frozenset(one.year for one in self.years)

    @cached_property
    def _weekend(self) -> frozenset[int]:
        """Weekdays that are off, Monday = 0."""
        return frozenset(day - 1 for day in self.weekend)

    @cached_property
    def _off(self) -> frozenset[int]:
        return frozenset(day.toordinal() - EPOCH_ORDINAL for one in self.years for day in one.off)

    @cached_property
    def _open_of_week(self) -> tuple[int, ...]:
        """Ordinary business days among the first 0, 1, .. 7 days of a week."""
        return tuple(sum(day not in self._weekend for day in range(days)) for days in range(8))

    @cached_property
    def _closed(self) -> tuple[int, ...]:
        """Days off that are not of the weekend, rising."""
        return tuple(sorted(day for day in self._off if (day + 3) % 7 not in self._weekend))

    @cached_property
    def _worked(self) -> tuple[int, ...]:
        """Days of the weekend that are worked, rising."""
        return tuple(sorted(day for day in self._work - self._off if (day + 3) % 7 in self._weekend))

    @cached_property
    def _before_epoch(self) -> int:
        return bisect_left(self._closed, 0) - bisect_left(self._worked, 0)

    @cached_property
    def _work(self) -> frozenset[int]:
        return frozenset(day.toordinal() - EPOCH_ORDINAL for one in self.years for day in one.work)


Calendars = Mapping[str, Calendar]
