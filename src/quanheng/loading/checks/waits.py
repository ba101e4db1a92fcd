"""When a timer or a job is due, as processes.toml says it: durations, business days, times of the day, kept moments."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping

from quanheng.kernel.calendars import Calendar
from quanheng.kernel.errors import InputError
from quanheng.kernel.zones import is_zone
from quanheng.loading.checks.calendars import WEEKDAYS
from quanheng.loading.notes import Words
from quanheng.loading.table import NAME, Table
from quanheng.processes.times import Wait, recurs

DAYS_MAX, MONTHS_MAX, DAY_OF_MONTH_MAX = 3_660, 240, 31
ROLLS = ("following", "preceding")
BY_DAYS = ("days", "months", "at", "weekday", "day_of_month", "roll", "cut_off")
"""Settings that speak of days: `after` counts time alone."""
SAYS_WHEN = ("days", "months", "at", "weekday", "day_of_month", "until")
"""Settings each of which is enough beside `after`, or `every` with a duration."""

_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")


def read_wait(
    table: Table, calendars: Mapping[str, Calendar], numbers: Mapping[str, int], *, job: bool = False
) -> Wait:
    """The settings of a table that say when something is due.

    Parameters
    ----------
    calendars : those that may be named
    numbers : kept number → decimals; those of none are moments that `until` may name
    job : it runs again and again, and has no instance whose number it could wait for
    """
    length = "every" if job or isinstance(table.values.get("every"), str) else "after"
    after_ms = table.duration_ms(length, least_ms=1)
    if job and table.has("after"):
        table.any("after")
        table.problem("after", "a job runs again and again", found=table.values["after"], cure='Write every = "…".')
    elif length == "every" and table.has("after"):
        table.any("after")
        cure = "Keep `every` where the timer fires again and again, `after` where it fires once."
        table.problem("after", "the duration is said twice", found=Words("`after` and `every`"), cure=cure)
    if length == "after":
        table.boolean("every")
    wait = Wait(
        after_ms=-1 if after_ms is None else after_ms,
        days=table.integer("days", required=False, default=-1, least=0, most=DAYS_MAX),
        months=table.integer("months", required=False, default=-1, least=1, most=MONTHS_MAX),
        time_of_day_ms=_time_of_day_ms(table, "at"),
        weekday=_weekday(table),
        day_of_month=table.integer("day_of_month", required=False, default=0, least=1, most=DAY_OF_MONTH_MAX),
        roll=table.choice("roll", ROLLS, required=False),
        until="" if job else table.text("until", required=False, pattern=NAME, wanted="a kept number"),
        zone=_zone(table),
        calendar=table.text("calendar", required=False, wanted="a calendar"),
        cut_off_ms=_time_of_day_ms(table, "cut_off"),
    )
    _check_together(table, length)
    _check_calendar(table, wait, calendars)
    if wait.until:
        _check_until(table, wait.until, numbers)
    if table.sound:
        _check_zero(table, wait)
        if (job or table.values.get("every")) and not recurs(wait):
            cure = "Remove `every`, or say how much later the next one is: days, months or a duration."
            table.problem("every", "the moment comes once", found=Words("`until`"), cure=cure)
    return wait


def _time_of_day_ms(table: Table, name: str) -> int:
    """A time of the day as text, "18:00", or as TOML's own, 18:00:00."""
    value = table.any(name, required=False)
    if value is None:
        return -1
    if isinstance(value, dt.time):
        value = value.isoformat("seconds") if not value.microsecond else value.isoformat()
    match = _TIME_OF_DAY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        table.problem(name, "the time of day cannot be read", found=value, known='"00:00" to "23:59", in quotes')
        return -1
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((hours * 60 + minutes) * 60 + seconds) * 1000


def _weekday(table: Table) -> int:
    name = table.choice("weekday", WEEKDAYS, required=False)
    return WEEKDAYS.index(name) + 1 if name else 0


def _zone(table: Table) -> str:
    zone = table.text("zone", required=False, default="UTC", wanted='an IANA zone such as "Asia/Shanghai"')
    if not is_zone(zone):
        known = 'an IANA name such as "Asia/Shanghai", or "UTC"'
        table.problem("zone", "there is no such time zone", found=zone, known=known)
        return "UTC"
    return zone


def _check_together(table: Table, length: str) -> None:
    """What is said fits together, and is enough."""
    said = [name for name in SAYS_WHEN if table.has(name)]
    if not said and not (table.has("every") or table.has("after")):
        known = f"{'every' if length == 'every' else 'after'}, {', '.join(SAYS_WHEN[:-1])} or {SAYS_WHEN[-1]}"
        table.problem("", "it is not said when this is due; a key is missing", known=known)
    if table.has(length) and (beside := [name for name in BY_DAYS if table.has(name)]):
        message = f"`{length}` counts time alone, and this speaks of days"
        cure = f"Keep `{length}`, or write days = 1 and the like."
        table.problem(beside[0], message, found=table.values[beside[0]], cure=cure)
    if table.has("weekday") and table.has("day_of_month"):
        cure = "Keep one of the two."
        message = "a day is named by the week or by the month"
        table.problem("day_of_month", message, found=Words("`weekday` and `day_of_month`"), cure=cure)


def _check_calendar(table: Table, wait: Wait, calendars: Mapping[str, Calendar]) -> None:
    """The calendar is there, covers its years one after another, and something counts by it."""
    if wait.roll and not table.has("calendar"):
        cure = "Say which: calendar."
        table.problem("roll", "every day is a business day where no calendar is named", found=wait.roll, cure=cure)
    if not wait.calendar:
        return
    if wait.calendar not in calendars:
        message = "no such calendar is declared in calendars/, and none of this name comes with Quanheng"
        table.problem("calendar", message, found=wait.calendar, known=list(calendars), of="calendar")
        return
    if not any(table.has(name) for name in ("days", "roll", "after", "every")):
        cure = "Say days, or roll, or remove it."
        table.problem("calendar", "nothing counts by the calendar", found=wait.calendar, cure=cure)
    years = sorted(one.year for one in calendars[wait.calendar].years)
    if missing := sorted(set(range(years[0], years[-1] + 1)) - set(years)) if years else []:
        message = "the calendar has gaps, so nobody can say which days of these years are business days"
        found = Words(f"{wait.calendar} without {', '.join(map(str, missing[:5]))}")
        table.problem("calendar", message, found=found, cure="Declare every year from the first to the last.")
    try:
        calendars[wait.calendar].check()
    except InputError as error:
        message = "the calendar leaves no business day for two months, so nobody can say when this is due"
        found = Words(f"{wait.calendar} from {error.found}")
        table.problem("calendar", message, found=found, cure="Look at its weekend and days off.")


def _check_until(table: Table, until: str, numbers: Mapping[str, int]) -> None:
    moments = [name for name, decimals in numbers.items() if not decimals]
    if until not in moments:
        message = "`until` names a kept number that holds a moment, in milliseconds since 1970"
        table.problem("until", message, found=until, known=moments, cure="" if moments else "Keep it: keep.", of="kept")


def _check_zero(table: Table, wait: Wait) -> None:
    """It is due later than now. A business day that is none may be waited for, and so may a time of the day."""
    others = (wait.months > 0, wait.weekday, wait.day_of_month, wait.time_of_day_ms >= 0, wait.cut_off_ms >= 0)
    if wait.days == 0 and not any((*others, wait.until, wait.calendar)):
        cure = "Make the move itself, by `do` and `to` of the move before, or say a time."
        table.problem("days", "it is due at once", found=0, cure=cure)
