"""When timers are due, the plain way: dates one after another, a minute after another, clocks by `zoneinfo`.

The twin of `processes/times.py`. It knows zones whose offsets are whole minutes (all since 1973).
"""

from __future__ import annotations

import calendar as months
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from quanheng.kernel.calendars import Calendar
from quanheng.processes.times import DueMoment, Wait

DAY, HOUR, MINUTE, MS = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def slow_due(wait: Wait, from_ms: int, until_ms: int | None, calendars: Mapping[str, Calendar]) -> DueMoment | None:
    """The twin of `due`."""
    if wait.until and until_ms is None:
        return None
    began, base = EPOCH + from_ms * MS, EPOCH + (until_ms if wait.until and until_ms is not None else from_ms) * MS
    for found, covered in _row(wait, base, calendars):
        if found >= base or not _comes_again(wait) or wait.days > 0 or wait.months > 0:
            due = max(found, base)
            return DueMoment(_ms(max(due, began)), covered, due < began)
    raise AssertionError("a row has a first moment")


def slow_next_due(
    wait: Wait, from_ms: int, last_ms: int, until_ms: int | None, calendars: Mapping[str, Calendar]
) -> DueMoment | None:
    """The twin of `next_due`."""
    if not _comes_again(wait) or (wait.until and until_ms is None):
        return None
    base = EPOCH + (until_ms if wait.until and until_ms is not None else from_ms) * MS
    for found, covered in _row(wait, base, calendars):
        if found > EPOCH + last_ms * MS:
            return DueMoment(_ms(found), covered)
    raise AssertionError("a row has no end")


def _ms(moment: datetime) -> int:
    return (moment - EPOCH) // MS


def _comes_again(wait: Wait) -> bool:
    if wait.after_ms >= 0:
        return wait.after_ms != 0
    said = (wait.days >= 0, wait.months > 0, wait.time_of_day_ms >= 0, wait.weekday, wait.day_of_month)
    return any(said)


def _wall(moment: datetime, zone: str) -> datetime:
    """What a clock on the wall shows."""
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def _first_moment(wall: datetime, zone: str) -> datetime:
    """The first moment at which a clock shows `wall` or later, looked for a minute after another."""
    moment = (wall - timedelta(hours=15)).replace(second=0, microsecond=0, tzinfo=UTC)
    while _wall(moment + HOUR, zone) < wall - 3 * HOUR:  # No clock is set back by so much.
        moment += HOUR
    while True:
        shown = _wall(moment, zone)
        if shown > wall:  # It was left out.
            return moment
        if shown + MINUTE > wall:
            return moment + (wall - shown)
        moment += MINUTE


class _Asked:
    """A calendar that notes the years it was asked for."""

    def __init__(self, wait: Wait, calendars: Mapping[str, Calendar]) -> None:
        self.calendar = calendars[wait.calendar] if wait.calendar else None
        self.years: set[int] = set()

    def is_open(self, day: date) -> bool:
        if self.calendar is None:
            return True
        self.years.add(day.year)
        known = next((one for one in self.calendar.years if one.year == day.year), None)
        if known is not None and day in known.off:
            return False
        return day.isoweekday() not in self.calendar.weekend or (known is not None and day in known.work)

    def covered(self) -> bool:
        return self.calendar is None or self.years <= {one.year for one in self.calendar.years}


def _row(wait: Wait, base: datetime, calendars: Mapping[str, Calendar]) -> Iterator[tuple[datetime, bool]]:
    """The moments of a wait, in order, and whether the calendar knew the days that were asked for."""
    if wait.after_ms >= 0:
        moment = base
        while True:
            asked = _Asked(wait, calendars)
            moment = _elapsed(wait, moment, asked)
            yield moment, asked.covered()
    wall = _wall(base, wait.zone)
    midnight = datetime(wall.year, wall.month, wall.day)
    start, time_of_day = wall.date(), wall - midnight
    if wait.cut_off_ms >= 0 and time_of_day >= wait.cut_off_ms * MS:
        start += DAY
    if wait.time_of_day_ms >= 0:
        time_of_day = wait.time_of_day_ms * MS
    steps, times = wait.days > 0 or wait.months > 0, 1
    while True:
        asked = _Asked(wait, calendars)
        day = _day(wait, start, times, asked)
        yield _first_moment(datetime(day.year, day.month, day.day) + time_of_day, wait.zone), asked.covered()
        start, times = (start, times + 1) if steps else (start + DAY, 1)


def _day(wait: Wait, day: date, times: int, asked: _Asked) -> date:
    if wait.days >= 0:
        while not asked.is_open(day):
            day += DAY
        for _ in range(wait.days * times):
            day += DAY
            while not asked.is_open(day):
                day += DAY
    if wait.months > 0:
        wanted = day.day
        for _ in range(wait.months * times):  # The day of the first month stays in mind.
            day = day.replace(day=1) + timedelta(days=31)
            day = day.replace(day=min(wanted, months.monthrange(day.year, day.month)[1]))
    while wait.weekday and day.isoweekday() != wait.weekday:
        day += DAY
    while wait.day_of_month and day.day != min(wait.day_of_month, months.monthrange(day.year, day.month)[1]):
        day += DAY
    while wait.roll and not asked.is_open(day):
        day += DAY if wait.roll == "following" else -DAY
    return day


def _elapsed(wait: Wait, moment: datetime, asked: _Asked) -> datetime:
    """A minute after another: it counts where the newest date that a clock has shown is a business day."""
    left = wait.after_ms * MS
    if asked.calendar is None:
        return moment + left
    newest = max(_wall(moment - MINUTE * back, wait.zone).date() for back in range(180))
    while left:
        newest = max(newest, _wall(moment, wait.zone).date())
        minute = moment.replace(second=0, microsecond=0) + MINUTE
        step = minute - moment
        if asked.is_open(newest):
            step = min(step, left)
            left -= step
        moment += step
    return moment
