"""Business calendars and roll conventions: where a due date goes that is no business day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from enum import StrEnum

import msgspec

from quanheng.kernel.errors import InputError
from quanheng.ledger.instruments.loan.day_count import day_of

_FAR_DAYS = 60


class Roll(StrEnum):
    """Business day conventions (2006 ISDA Definitions, 4.12; MODIFIED_PRECEDING is its mirror)."""

    NONE = "none"
    FOLLOWING = "following"
    MODIFIED_FOLLOWING = "modified following"
    PRECEDING = "preceding"
    MODIFIED_PRECEDING = "modified preceding"


class Calendar(msgspec.Struct, frozen=True):
    """Which days are business days.

    weekend : days of the week that are none, Monday is 0
    holidays, workdays : exceptions to that, as days since 1970-01-01; a workday may fall on a weekend
    """

    weekend: tuple[int, ...] = (5, 6)
    holidays: frozenset[int] = frozenset()
    workdays: frozenset[int] = frozenset()

    @classmethod
    def of(
        cls, holidays: Iterable[date] = (), workdays: Iterable[date] = (), weekend: tuple[int, ...] = (5, 6)
    ) -> Calendar:
        """From dates."""
        return cls(weekend, frozenset(map(day_of, holidays)), frozenset(map(day_of, workdays)))

    def is_business_day(self, day: date) -> bool:
        """Whether business is done on it."""
        number = day_of(day)
        return number in self.workdays or (day.weekday() not in self.weekend and number not in self.holidays)

    def roll(self, day: date, how: Roll) -> date:
        """The date itself if it is a business day, else the one that the convention says.

        Raises
        ------
        InputError : no business day within 60 days
        """
        if how == Roll.NONE or self.is_business_day(day):
            return day
        step = 1 if how in (Roll.FOLLOWING, Roll.MODIFIED_FOLLOWING) else -1
        found = self._next(day, step)
        if how in (Roll.MODIFIED_FOLLOWING, Roll.MODIFIED_PRECEDING) and found.month != day.month:
            return self._next(day, -step)
        return found

    def _next(self, day: date, step: int) -> date:
        for distance in range(1, _FAR_DAYS):
            found = day + timedelta(days=step * distance)
            if self.is_business_day(found):
                return found
        raise InputError(
            "the calendar has no business day near the date",
            where="calendar",
            found=day.isoformat(),
            allowed=f"a business day within {_FAR_DAYS} days",
            cure="Look at its weekend and holidays.",
        )
