"""Dates, times and durations (DMN 1.5, 10.3.4.1, 10.3.4.7 and 10.3.4.9)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from quanheng.feel.calendar import years_duration
from quanheng.feel.functions.registry import builtin
from quanheng.feel.temporal import (
    OFFSET_MAX,
    SECOND,
    Date,
    DateTime,
    DaysDuration,
    Time,
    YearsDuration,
    civil,
    days_of,
    moment_of,
    parse_date,
    parse_date_time,
    parse_duration,
    parse_time,
)
from quanheng.feel.values import Run, shown, whole

Number = int | Decimal
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
           "December")  # fmt: skip


def _none(run: Run, at: int, what: str, text: object) -> Any:
    run.append((at, f"{shown(text)} is no {what}"))


@builtin("date(from: string): date")
def date_from_text(run: Run, at: int, text: str) -> Date | None:
    found = parse_date(text)
    return _none(run, at, "date", text) if found is None else found


@builtin("date(from: date): date")
def date_itself(_run: Run, _at: int, value: Date) -> Date:
    return value


@builtin("date(from: date and time): date")
def date_of_moment(_run: Run, _at: int, value: DateTime) -> Date:
    return Date(value.days)


@builtin("date(year: number, month: number, day: number): date")
def date_of(run: Run, at: int, year: Number, month: Number, day: Number) -> Date | None:
    days = days_of(whole(year), whole(month), whole(day)) if all(n == int(n) for n in (year, month, day)) else None
    return _none(run, at, "date", f"{year}-{month}-{day}") if days is None else Date(days)


@builtin("time(from: string): time")
def time_from_text(run: Run, at: int, text: str) -> Time | None:
    found = parse_time(text)
    return _none(run, at, "time", text) if found is None else found


@builtin("time(from: time): time")
def time_itself(_run: Run, _at: int, value: Time) -> Time:
    return value


@builtin("time(from: date): time")
def time_of_date(_run: Run, _at: int, _value: Date) -> Time:
    return Time(0, 0)


@builtin("time(from: date and time): time")
def time_of_moment(_run: Run, _at: int, value: DateTime) -> Time:
    return Time(value.nanos, value.offset, value.zone)


@builtin("time(hour: number, minute: number, second: number, offset?: days and time duration|null): time")
def time_of(
    run: Run, at: int, hour: Number, minute: Number, second: Number, offset: DaysDuration | None = None
) -> Time | None:
    in_day = 0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60
    if not in_day or (offset is not None and abs(offset.nanos) > OFFSET_MAX * SECOND):
        _none(run, at, "time", f"{hour}:{minute}:{second}")
        return None
    nanos = (whole(hour) * 3600 + whole(minute) * 60) * SECOND + int(second * SECOND)
    return Time(nanos, None if offset is None else int(offset.nanos / SECOND))


@builtin("date and time(from: string): date and time")
def moment_from_text(run: Run, at: int, text: str) -> DateTime | None:
    found = parse_date_time(text)
    return _none(run, at, "date and time", text) if found is None else found


@builtin("date and time(from: date and time): date and time")
def moment_itself(_run: Run, _at: int, value: DateTime) -> DateTime:
    return value


@builtin("date and time(date: date, time: time): date and time")
def moment_of_parts(_run: Run, _at: int, date: Date, time: Time) -> DateTime:
    return DateTime(date.days, time.nanos, time.offset, time.zone)


@builtin("date and time(date: date and time, time: time): date and time")
def moment_with_time(_run: Run, _at: int, date: DateTime, time: Time) -> DateTime:
    return DateTime(date.days, time.nanos, time.offset, time.zone)


@builtin("date and time(date: date and time, timezone: string): date and time")
def moment_in_zone(run: Run, at: int, date: DateTime, timezone: str) -> DateTime | None:
    time = parse_time(f"00:00:00@{timezone}")
    return _none(run, at, "time zone", timezone) if time is None else DateTime(date.days, date.nanos, None, timezone)


_PARTS = "year: number, month: number, day: number, hour: number, minute: number, second: number"


@builtin(f"date and time({_PARTS}, offset?: days and time duration|null): date and time")
def moment_of_numbers(
    run: Run, at: int, year: Number, month: Number, day: Number, hour: Number, minute: Number, second: Number,
    offset: DaysDuration | None = None,
) -> DateTime | None:  # fmt: skip
    date, time = date_of(run, at, year, month, day), time_of(run, at, hour, minute, second, offset)
    return None if date is None or time is None else DateTime(date.days, time.nanos, time.offset)


@builtin(f"date and time({_PARTS}, timezone: string): date and time")
def moment_of_numbers_in_zone(
    run: Run, at: int, year: Number, month: Number, day: Number, hour: Number, minute: Number, second: Number,
    timezone: str,
) -> DateTime | None:  # fmt: skip
    moment = moment_of_numbers(run, at, year, month, day, hour, minute, second)
    return None if moment is None else moment_in_zone(run, at, moment, timezone)


@builtin("duration(from: string): Any")
def duration(run: Run, at: int, text: str) -> DaysDuration | YearsDuration | None:
    found = parse_duration(text)
    return _none(run, at, "duration", text) if found is None else found


@builtin("duration(from: days and time duration): days and time duration")
def duration_itself(_run: Run, _at: int, value: DaysDuration) -> DaysDuration:
    return value


@builtin("duration(from: years and months duration): years and months duration")
def years_itself(_run: Run, _at: int, value: YearsDuration) -> YearsDuration:
    return value


def _months_between(start: Date | DateTime, end: Date | DateTime) -> YearsDuration:
    if end.days < start.days:
        return YearsDuration(-_months_between(end, start).months)
    (year, month, day), (year2, month2, day2) = civil(start.days), civil(end.days)
    return years_duration((year2 - year) * 12 + month2 - month - (day2 < day))


def _between(run: Run, at: int, start: Date | DateTime, end: Date | DateTime) -> YearsDuration | None:
    try:
        return _months_between(start, end)
    except OverflowError:
        run.append((at, "years and months duration(): the duration is out of range"))
        return None


for _first in ("date", "date and time"):
    for _second in ("date", "date and time"):
        builtin(f"years and months duration(from: {_first}, to: {_second}): years and months duration")(_between)


def _day_of_week(days: int) -> str:
    return _WEEKDAYS[(days + 3) % 7]


def _day_of_year(days: int) -> int:
    return days - (days_of(civil(days)[0], 1, 1) or 0) + 1


def _week_of_year(days: int) -> int:
    """ISO 8601: the week that holds the Thursday."""
    thursday = days - (days + 3) % 7 + 3
    return (_day_of_year(thursday) - 1) // 7 + 1


for _name, _answer, _result in (
    ("day of week", _day_of_week, "string"),
    ("day of year", _day_of_year, "number"),
    ("week of year", _week_of_year, "number"),
    ("month of year", lambda days: _MONTHS[civil(days)[1] - 1], "string"),
):
    for _first in ("date", "date and time"):
        builtin(f"{_name}(date: {_first}): {_result}")(lambda _run, _at, value, answer=_answer: answer(value.days))  # type: ignore[misc]


@builtin("now(): date and time")
def now(run: Run, at: int) -> DateTime | None:
    """The time passed with the evaluation, never the clock of the machine."""
    return moment_of(run) or _unknown_time(run, at)


@builtin("today(): date")
def today(run: Run, at: int) -> Date | None:
    moment = moment_of(run)
    return Date(moment.days) if moment is not None else _unknown_time(run, at)


def _unknown_time(run: Run, at: int) -> Any:
    run.append((at, "now() and today() need the time passed with the evaluation (now_ms)"))
