"""Which business day a moment belongs to: a time zone, the hour at which a day is cut off, and a calendar of days off.

The ledger itself is told the day (limits of a day count by it), so that it reads no clock and no table of time zones.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from quanheng.kernel.calendars import Calendar, Roll
from quanheng.kernel.errors import ConfigurationError, InputError

CUT_OFF_HOURS = 1, 36
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY = date(1970, 1, 1).toordinal()


class BusinessDays:
    """Days of one place.

    Parameters
    ----------
    time_zone : IANA name, such as "Europe/Berlin"
    cut_off_hour : a moment from this hour of local time on belongs to the next day. 24 = midnight; 17 = what comes from
        17:00 on is of tomorrow; 28 = what comes before 04:00 is of yesterday

    calendar : a moment of a day off belongs to the next business day; None: every day is one

    Raises
    ------
    ConfigurationError : there is no such zone or hour, or the calendar has no business day for two months
    """

    def __init__(self, time_zone: str = "UTC", cut_off_hour: int = 24, calendar: Calendar | None = None) -> None:
        low, high = CUT_OFF_HOURS
        if not low <= cut_off_hour <= high:
            raise ConfigurationError(
                "a business day cannot be cut off at this hour",
                where="ledger.cut_off_hour",
                found=str(cut_off_hour),
                allowed=f"{low} to {high}",
                cure="24 is midnight; 28 is 04:00 of the next morning.",
            )
        try:
            self._zone = UTC if time_zone == "UTC" else ZoneInfo(time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ConfigurationError(
                "there is no such time zone",
                where="ledger.time_zone",
                found=repr(time_zone),
                allowed="an IANA name that this machine knows",
                cure="Write it like Europe/Berlin; install the package tzdata if the machine knows no zones.",
            ) from None
        self.time_zone, self.cut_off_hour, self.calendar = time_zone, cut_off_hour, calendar
        if calendar is not None:
            _check(calendar)
        self._cut_off = timedelta(hours=cut_off_hour)

    def day_of(self, time_ms: int) -> int:
        """Number of the business day of a moment (epoch ms UTC): days since 1970-01-01, below 0 before.

        Where clocks are set back over a cut-off, the day would go back for that hour: whoever posts keeps the newest.
        """
        local = (_EPOCH + timedelta(milliseconds=time_ms)).astimezone(self._zone).replace(tzinfo=None)
        day = (local - self._cut_off).date() + timedelta(days=1)
        if self.calendar is not None:
            day = self.calendar.roll(day, Roll.FOLLOWING)
        return day.toordinal() - _FIRST_DAY

    def __repr__(self) -> str:
        calendar = "" if self.calendar is None else f", {sum(len(one.off) for one in self.calendar.years)} holidays"
        return f"BusinessDays({self.time_zone!r}, {self.cut_off_hour}{calendar})"


def _check(calendar: Calendar) -> None:
    """Whether a business day follows every day, so that no moment finds none later on."""
    try:
        calendar.check()
    except InputError as error:
        raise ConfigurationError(
            "the calendar leaves no business day for two months",
            where="ledger.calendar",
            found=error.found,
            allowed=error.allowed,
            cure="Look at its weekend and holidays.",
        ) from None


def date_of(day: int) -> date:
    """The date of a business day's number."""
    return date.fromordinal(day + _FIRST_DAY)
