"""When a timer is due: durations, business days, times of the day in a zone, cut-offs. Reads no clock.

docs/concepts/time-in-processes.md says it whole. A day is found first, in this order: the day that the moment belongs
to (`cut_off_ms`), `days`, `months`, `weekday`, `day_of_month`, `roll`; then the time of that day.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from datetime import date
from typing import Literal, NamedTuple

import msgspec

from quanheng.kernel.calendars import EPOCH_ORDINAL, Calendar
from quanheng.kernel.time import DAY_MS, TIME_MS_MAX, TIME_MS_MIN
from quanheng.kernel.zones import first_moment_ms, local_ms, offsets_of

EARLIEST_MS, LATEST_MS = TIME_MS_MIN + 2 * DAY_MS, TIME_MS_MAX - 2 * DAY_MS
"""A moment outside is taken for the nearer of the two, whatever a kept number holds: the years 1 to 9999."""


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """When a timer is due, counted from the moment its state was entered, or from its last due moment (`every`).

    after_ms : so long after it; nothing else is then said but `until`, `calendar` and `zone`. With a calendar only time
        of business days counts, days as they begin and end in `zone`
    days : so many business days of `calendar` later (calendar days where there is none), from the business day that the
        moment belongs to: its own, or the next one where that is none or `cut_off` has passed
    months : so many calendar months later, the last day of a shorter month
    time_of_day_ms : at this time of the day in `zone`, ms since midnight; -1 = none: the same time of day
    weekday : on the next such ISO weekday (1 = Monday) that is not before the day found; 0 = any
    day_of_month : on the next such day of a month; 0 = any; the last day of a shorter month
    roll : what becomes of a day that is no business day of `calendar`: the following or the preceding one
    until : a kept number that holds a moment (epoch ms): it is counted from that; "" = not so
    calendar : name of a calendar of the pack or of Quanheng; "" = every day is a business day
    cut_off_ms : a moment from this time of day on belongs to the next day; -1 = none
    """

    after_ms: int = -1
    days: int = -1
    months: int = -1
    time_of_day_ms: int = -1
    weekday: int = 0
    day_of_month: int = 0
    roll: Literal["", "following", "preceding"] = ""
    until: str = ""
    zone: str = "UTC"
    calendar: str = ""
    cut_off_ms: int = -1


class DueMoment(NamedTuple):
    """When a timer is due.

    due_ms : epoch ms UTC, never before the moment it is armed
    covered : False = a year that the calendar does not cover was asked for, of which it knows the weekend alone
    passed : it was over already when the timer was armed, which is therefore due at once (`until`)
    """

    due_ms: int
    covered: bool = True
    passed: bool = False


def due(wait: Wait, from_ms: int, until_ms: int | None, calendars: Mapping[str, Calendar]) -> DueMoment | None:
    """When a timer is due for the first time. O(log n) in days and months; in `after_ms` with a calendar, O(days).

    Parameters
    ----------
    from_ms : when its state was entered
    until_ms : value of the kept number `wait.until`; None = it is null, or there is none
    calendars : by name; `wait.calendar` is among them

    Returns
    -------
    None where `until` is null: the timer is not armed

    Raises
    ------
    InputError : the calendar leaves 60 days without a business day (`Calendar.check` tells that at load)
    """
    if wait.until and until_ms is None:
        return None
    days = _Days(wait, calendars)
    base_ms = _base_ms(wait, from_ms, until_ms)
    found = min(_first_ms(wait, base_ms, days), LATEST_MS)
    return DueMoment(max(found, from_ms), days.covered(), found < from_ms)


def next_due(
    wait: Wait, from_ms: int, last_ms: int, until_ms: int | None, calendars: Mapping[str, Calendar]
) -> DueMoment | None:
    """When an `every` timer is due again: the first moment of its row that is later than `last_ms`.

    The row is counted from where it began, so that nothing drifts: a firing that is late, a day that was rolled, the
    end of a short month, an hour that a change of the clocks left out.

    Parameters
    ----------
    from_ms : when its state was entered, as it was given to `due`
    last_ms : when it was last due, not when it was fired

    Returns
    -------
    None where there is no later one: `until` is null, or the wait says one moment only (`recurs`)

    Raises
    ------
    InputError : as for `due`
    """
    if not recurs(wait) or (wait.until and until_ms is None) or last_ms >= LATEST_MS:
        return None
    days = _Days(wait, calendars)
    base_ms = _base_ms(wait, from_ms, until_ms)
    return DueMoment(min(_later_ms(wait, base_ms, last_ms, days), LATEST_MS), days.covered())


def due_ms(wait: Wait, from_ms: int, until_ms: int | None, calendars: Mapping[str, Calendar]) -> int | None:
    """`due`, the moment alone."""
    found = due(wait, from_ms, until_ms, calendars)
    return None if found is None else found.due_ms


def next_due_ms(
    wait: Wait, from_ms: int, last_ms: int, until_ms: int | None, calendars: Mapping[str, Calendar]
) -> int | None:
    """`next_due`, the moment alone."""
    found = next_due(wait, from_ms, last_ms, until_ms, calendars)
    return None if found is None else found.due_ms


def recurs(wait: Wait) -> bool:
    """Whether a wait can be said to come again (`every`): it moves on from moment to moment."""
    if wait.after_ms >= 0:
        return wait.after_ms > 0
    return wait.days >= 0 or wait.months > 0 or wait.time_of_day_ms >= 0 or wait.weekday > 0 or wait.day_of_month > 0


class _Days:
    """Business days of one calendar, and between which days it was asked; `low` above `high` = it was not."""

    __slots__ = ("calendar", "high", "low")

    def __init__(self, wait: Wait, calendars: Mapping[str, Calendar]) -> None:
        self.calendar = calendars[wait.calendar] if wait.calendar else None
        self.forget()

    def forget(self) -> None:
        """As if it had not been asked."""
        self.low, self.high = 0, -1

    def _asked(self, first: int, last: int) -> int:
        if self.low > self.high:
            self.low, self.high = first, last
        else:
            self.low, self.high = min(self.low, first), max(self.high, last)
        return last

    def open_from(self, day: int) -> int:
        """The first business day that is not before a day."""
        return day if self.calendar is None else self._asked(day, self.calendar.next_open(day))

    def open_until(self, day: int) -> int:
        """The last business day that is not behind a day."""
        if self.calendar is None:
            return day
        found = self.calendar.next_open(day, -1)
        self._asked(found, day)
        return found

    def ahead(self, day: int, count: int) -> int:
        """So many business days behind a business day."""
        return day + count if self.calendar is None else self._asked(day, self.calendar.ahead(day, count))

    def between(self, day: int, other: int) -> int:
        """Business days from one day to another, which does not count itself."""
        return other - day if self.calendar is None else self.calendar.opened(other) - self.calendar.opened(day)

    def is_open(self, day: int) -> bool:
        """Whether a day is a business day."""
        return self.calendar is None or self.calendar.is_open(self._asked(day, day))

    def covered(self) -> bool:
        """Whether the calendar covers every year that was asked for."""
        if self.calendar is None or self.low > self.high:
            return True
        calendar, (first, last) = self.calendar, (_date(day).year for day in (self.low, self.high))
        return all(calendar.covers(year) for year in range(first, last + 1))


def _date(day: int) -> date:
    return date.fromordinal(max(1, min(day + EPOCH_ORDINAL, date.max.toordinal())))


def _base_ms(wait: Wait, from_ms: int, until_ms: int | None) -> int:
    """The moment that is counted from."""
    base = until_ms if wait.until and until_ms is not None else from_ms
    return max(EARLIEST_MS, min(base, LATEST_MS))


def _first_ms(wait: Wait, base_ms: int, days: _Days) -> int:
    if wait.after_ms >= 0:
        return _elapsed_ms(wait, base_ms, wait.after_ms, days)
    start, time_ms = _start(wait, base_ms)
    if _steps(wait):
        return max(base_ms, _moment_ms(wait, start, time_ms, 1, days))
    if not recurs(wait):  # A roll at most, which may lead to a day before.
        return max(base_ms, _moment_ms(wait, start, time_ms, 1, days))
    return _search_ms(wait, start, time_ms, days, lambda found: found >= base_ms)


def _later_ms(wait: Wait, base_ms: int, last_ms: int, days: _Days) -> int:
    if wait.after_ms >= 0:
        if base_ms > last_ms:  # What it is counted from was set to a later moment meanwhile.
            return _elapsed_ms(wait, base_ms, wait.after_ms, days)
        passed_ms = _passed_ms(wait, base_ms, last_ms, days)
        days.forget()
        return _elapsed_ms(wait, last_ms, wait.after_ms - passed_ms % wait.after_ms, days)
    start, time_ms = _start(wait, base_ms)
    last_day = local_ms(wait.zone, last_ms) // DAY_MS
    if not _steps(wait):  # A day sooner: a time that clocks leave out around midnight is due on the day behind.
        return _search_ms(wait, max(start, last_day - 1), time_ms, days, lambda found: found > last_ms)
    times = max(1, _times_guessed(wait, start, last_day, days))
    while times > 1 and _moment_ms(wait, start, time_ms, times, days) > last_ms:
        times -= 1
    while (found := _moment_ms(wait, start, time_ms, times, days)) <= last_ms:
        times += 1
    return found


def _steps(wait: Wait) -> bool:
    """Whether a wait counts days or months on; else it looks for the next moment of a kind."""
    return wait.days > 0 or wait.months > 0


def _start(wait: Wait, base_ms: int) -> tuple[int, int]:
    """The day that is counted from, as its number since 1970-01-01 in the zone, and the time of day that is meant."""
    day, time_ms = divmod(local_ms(wait.zone, base_ms), DAY_MS)
    if 0 <= wait.cut_off_ms <= time_ms:
        day += 1
    return day, time_ms if wait.time_of_day_ms < 0 else wait.time_of_day_ms


def _moment_ms(wait: Wait, day: int, time_ms: int, times: int, days: _Days) -> int:
    """The moment of a row that comes `times` steps behind the day that is counted from."""
    days.forget()  # Whether it is covered is said of the moment that is found, not of those tried.
    if wait.days >= 0:
        day = days.ahead(days.open_from(day), wait.days * times)
    if wait.months > 0:
        day = _months_on(day, wait.months * times)
    if wait.weekday:
        day += (wait.weekday - 4 - day) % 7  # Day 0 was a Thursday.
    if wait.day_of_month:
        day = _on_day_of_month(day, wait.day_of_month)
    if wait.roll:
        day = days.open_from(day) if wait.roll == "following" else days.open_until(day)
    return first_moment_ms(wait.zone, day * DAY_MS + time_ms)


def _search_ms(wait: Wait, start: int, time_ms: int, days: _Days, fits: Callable[[int], bool]) -> int:
    """The first moment that fits, of those that belong to the days from `start` on. At most two months are walked."""
    while not fits(found := _moment_ms(wait, start, time_ms, 1, days)) and found < LATEST_MS:
        start += 1
    return found


def _times_guessed(wait: Wait, start: int, last_day: int, days: _Days) -> int:
    """About how many steps of a row lie before a day; exact but for what rolls and times of day shift."""
    if wait.months <= 0:
        return days.between(days.open_from(start), last_day) // wait.days
    first, last = _date(start), _date(last_day)
    months = (last.year - first.year) * 12 + last.month - first.month
    return months // (wait.months + max(wait.days, 0) // 14)


def _months_on(day: int, months: int) -> int:
    """The same day so many months on, or the last day of that month if it is shorter."""
    was = _date(day)
    years, month = divmod(was.year * 12 + was.month - 1 + months, 12)
    if years >= date.max.year:
        return date.max.toordinal() - EPOCH_ORDINAL
    return _first_of(years, month + 1) + min(was.day, _length(years, month + 1)) - 1


def _on_day_of_month(day: int, wanted: int) -> int:
    """The first such day of a month that is not before a day; the last day of a month that is shorter."""
    was = _date(day)
    if was.day <= (found := min(wanted, _length(was.year, was.month))):
        return day + found - was.day
    year, month = (was.year, was.month + 1) if was.month < 12 else (was.year + 1, 1)
    if year > date.max.year:
        return date.max.toordinal() - EPOCH_ORDINAL
    return _first_of(year, month) + min(wanted, _length(year, month)) - 1


def _first_of(year: int, month: int) -> int:
    return date(year, month, 1).toordinal() - EPOCH_ORDINAL


def _length(year: int, month: int) -> int:
    """Days of a month."""
    return 31 if month == 12 else date(year, month + 1, 1).toordinal() - date(year, month, 1).toordinal()


def _elapsed_ms(wait: Wait, moment_ms: int, left_ms: int, days: _Days) -> int:
    """The first moment by which so much time has passed; of business days alone where there is a calendar.

    A day is what lies between the first moments of two dates in the zone, 23 or 25 hours where clocks change.
    """
    if days.calendar is None or left_ms == 0:
        return moment_ms + left_ms
    day = _day_at(wait.zone, moment_ms)
    end = _begin_ms(wait.zone, day + 1)
    while True:
        if days.is_open(day):
            if moment_ms + left_ms <= end:
                return moment_ms + left_ms
            left_ms -= end - moment_ms
            following = day + 1
        else:
            following = days.open_from(day)
        moment_ms = _begin_ms(wait.zone, following)
        day, end = following, _begin_ms(wait.zone, following + 1)


def _passed_ms(wait: Wait, from_ms: int, until_ms: int, days: _Days) -> int:
    """How much time passes between two moments; of business days alone where there is a calendar."""
    if days.calendar is None or until_ms <= from_ms:
        return until_ms - from_ms
    first, last = _day_at(wait.zone, from_ms), _day_at(wait.zone, until_ms)
    changes = offsets_of(wait.zone).changes
    odd = {
        _day_at(wait.zone, moment)
        for change in changes[bisect_left(changes, from_ms) : bisect_right(changes, until_ms)]
        for moment in (change - 1, change)
    }
    whole = days.between(first, last) * DAY_MS  # From the first day on, up to the last, as if all had 24 hours.
    whole += sum(_length_ms(wait.zone, day) - DAY_MS for day in odd if first <= day < last and days.is_open(day))
    if days.is_open(first):
        whole -= from_ms - _begin_ms(wait.zone, first)
    return whole + (until_ms - _begin_ms(wait.zone, last) if days.is_open(last) else 0)


def _day_at(zone: str, moment_ms: int) -> int:
    """The day that a moment lies in: the newest of which a clock there has shown the beginning."""
    day = local_ms(zone, moment_ms) // DAY_MS
    return day if _begin_ms(zone, day + 1) > moment_ms else day + 1  # Set back over midnight, it shows a day again.


def _begin_ms(zone: str, day: int) -> int:
    return first_moment_ms(zone, day * DAY_MS)


def _length_ms(zone: str, day: int) -> int:
    return _begin_ms(zone, day + 1) - _begin_ms(zone, day)
