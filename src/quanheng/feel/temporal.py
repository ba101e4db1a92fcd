"""Dates, times and durations (DMN 1.5, 10.3.2.3.4 to .8).

Years run from -999,999,999 to 999,999,999 in the proleptic Gregorian calendar, so Python's own datetime does not
do. A moment is days since 1970-01-01 plus nanoseconds of the day; an offset is in seconds, a zone by its IANA name.
Nothing here reads a clock: `now()` and `today()` answer from the time the caller passes with the evaluation.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from quanheng.feel.types import ANY, DATE, DATE_TIME, DAYS_DURATION, TIME, YEARS_DURATION, FeelType
from quanheng.feel.values import CLASSES, DATE_TO_DATE_TIME, NUMBERS, Run

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
YEAR_MAX = 999_999_999
MONTHS_MAX = 12 * YEAR_MAX
OFFSET_MAX = 18 * 3600
"""Seconds; the furthest offset from UTC that the standard knows."""


@dataclass(frozen=True, slots=True)
class Date:
    """`days` since 1970-01-01."""

    days: int
    kind_name = "date"

    def __str__(self) -> str:
        year, month, day = civil(self.days)
        return f"{'-' if year < 0 else ''}{abs(year):04d}-{month:02d}-{day:02d}"


@dataclass(frozen=True, slots=True)
class Time:
    """`nanos` of the day, `offset` seconds from UTC or None, `zone` by name or empty."""

    nanos: int
    offset: int | None = None
    zone: str = ""
    kind_name = "time"

    def __str__(self) -> str:
        seconds, fraction = divmod(self.nanos, SECOND)
        text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        return text + (f".{fraction:09d}".rstrip("0") if fraction else "") + _offset_text(self)

    def utc_offset(self) -> int | None:
        """Seconds; a zone without a date has the offset it had on 1970-01-01."""
        return zone_offset(self.zone, 0, self.nanos) if self.zone else self.offset


@dataclass(frozen=True, slots=True)
class DateTime:
    """A moment: local `days` and `nanos`, with offset or zone as in `Time`."""

    days: int
    nanos: int
    offset: int | None = None
    zone: str = ""
    kind_name = "date and time"

    def __str__(self) -> str:
        return f"{Date(self.days)}T{Time(self.nanos, self.offset, self.zone)}"

    def utc_offset(self) -> int | None:
        return zone_offset(self.zone, self.days, self.nanos) if self.zone else self.offset

    def instant(self) -> int:
        """Nanoseconds since 1970-01-01 UTC; local time is taken as it stands."""
        return self.days * DAY + self.nanos - (self.utc_offset() or 0) * SECOND


@dataclass(frozen=True, slots=True)
class DaysDuration:
    """A days and time duration in nanoseconds."""

    nanos: int
    kind_name = "days and time duration"

    def parts(self) -> tuple[int, int, int, int, int]:
        """Days, hours, minutes, seconds, nanoseconds of the absolute value."""
        seconds, fraction = divmod(abs(self.nanos), SECOND)
        return seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60, fraction

    def __str__(self) -> str:
        days, hours, minutes, seconds, fraction = self.parts()
        if not self.nanos:
            return "PT0S"
        tail = f".{fraction:09d}".rstrip("0") if fraction else ""
        time = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
        time += f"{seconds}{tail}S" if seconds or tail else ""
        return f"{'-' if self.nanos < 0 else ''}P{f'{days}D' if days else ''}{'T' + time if time else ''}"


@dataclass(frozen=True, slots=True)
class YearsDuration:
    """A years and months duration in months."""

    months: int
    kind_name = "years and months duration"

    def __str__(self) -> str:
        years, months = divmod(abs(self.months), 12)
        if not self.months:
            return "P0M"
        return f"{'-' if self.months < 0 else ''}P{f'{years}Y' if years else ''}{f'{months}M' if months else ''}"


Temporal = Date | Time | DateTime | DaysDuration | YearsDuration
CLASSES.update(
    {
        DATE: (Date,),
        TIME: (Time,),
        DATE_TIME: (DateTime,),
        DAYS_DURATION: (DaysDuration,),
        YEARS_DURATION: (YearsDuration,),
    }
)


# -- the calendar


def days_of(year: int, month: int, day: int) -> int | None:
    """Days since 1970-01-01 of a date; None when there is no such date."""
    if not (-YEAR_MAX <= year <= YEAR_MAX and 1 <= month <= 12 and 1 <= day <= month_length(year, month)):
        return None
    shifted = year - (month <= 2)
    era, year_of_era = divmod(shifted, 400)
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def civil(days: int) -> tuple[int, int, int]:
    """Year, month and day of days since 1970-01-01."""
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year_of_era + era * 400 + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1


def month_length(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def add_months(days: int, months: int) -> int | None:
    """The same day of another month, or its last day where it is shorter; None beyond the calendar."""
    year, month, day = civil(days)
    year, month = divmod(year * 12 + month - 1 + months, 12)
    return days_of(year, month + 1, min(day, month_length(year, month + 1)))


_DAYS_MIN, _DAYS_MAX = days_of(-YEAR_MAX, 1, 1) or 0, days_of(YEAR_MAX, 12, 31) or 0


def in_calendar(days: int) -> bool:
    return _DAYS_MIN <= days <= _DAYS_MAX


@lru_cache(maxsize=700)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def zone_offset(name: str, days: int, nanos: int) -> int:
    """Offset in seconds of a zone at a local time; years that Python cannot hold use the nearest it can."""
    zone = _zone(name)
    first, last = -719_162, 2_932_895
    local = dt.datetime(1970, 1, 1) + dt.timedelta(days=min(max(days, first), last), microseconds=nanos // 1000)
    offset = local.replace(tzinfo=zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _offset_text(value: Time) -> str:
    if value.zone:
        return f"@{value.zone}"
    if value.offset is None:
        return ""
    if value.offset == 0:
        return "Z"
    hours, rest = divmod(abs(value.offset), 3600)
    seconds = f":{rest % 60:02d}" if rest % 60 else ""
    return f"{'-' if value.offset < 0 else '+'}{hours:02d}:{rest // 60:02d}{seconds}"


# -- literals

_DATE = re.compile(r"(-?)(\d{4}|[1-9]\d{4,8})-(\d\d)-(\d\d)", re.ASCII)
_TIME = re.compile(
    r"(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:([zZ])|([+-])(\d\d):(\d\d)(?::(\d\d))?|@([A-Za-z0-9_+\-/]+))?", re.ASCII
)
_DAYS = re.compile(r"(-?)P(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d*))?S)?)?", re.ASCII)
_YEARS = re.compile(r"(-?)P(?:(\d+)Y)?(?:(\d+)M)?", re.ASCII)
_LONGEST = 120
"""Characters of a literal; longer ones are no dates."""


def parse_date(text: str) -> Date | None:
    match = _DATE.fullmatch(text[:_LONGEST])
    if match is None:
        return None
    year = int(match[2]) * (-1 if match[1] else 1)
    if match[1] and not year:
        return None  # there is no year -0
    days = days_of(year, int(match[3]), int(match[4]))
    return None if days is None else Date(days)


def parse_time(text: str) -> Time | None:
    """A time of day, with its offset or zone where it has one; None where the text is none."""
    match = _TIME.fullmatch(text[:_LONGEST])
    if match is None:
        return None
    hour, minute, second = int(match[1]), int(match[2]), int(match[3])
    offset = 0 if match[5] else None
    if match[6]:
        offset = int(match[7]) * 3600 + int(match[8]) * 60 + int(match[9] or 0)
        if offset > OFFSET_MAX or int(match[8]) > 59:
            return None
        offset = -offset if match[6] == "-" else offset
    if match[10] and _zone(match[10]) is None:
        return None
    if hour > 23 or minute > 59 or second > 59:
        return None
    nanos = (hour * 3600 + minute * 60 + second) * SECOND + int(f"{match[4] or '':0<9}"[:9])
    return Time(nanos, offset, match[10] or "")


def parse_date_time(text: str) -> DateTime | None:
    """`date` alone is its midnight, without an offset."""
    day, mark, clock = text.partition("T")
    date = parse_date(day)
    late = clock.startswith("24:00:00") and not clock[8:9].isdigit() and clock[8:9] != "."
    time = parse_time("00" + clock[2:] if late else clock) if mark else Time(0)
    return None if date is None or time is None else DateTime(date.days + late, time.nanos, time.offset, time.zone)


def parse_duration(text: str) -> DaysDuration | YearsDuration | None:
    text = text[:_LONGEST]
    if (match := _YEARS.fullmatch(text)) and (match[2] or match[3]):
        months = int(match[2] or 0) * 12 + int(match[3] or 0)
        return YearsDuration(-months if match[1] else months) if months <= MONTHS_MAX else None
    if (match := _DAYS.fullmatch(text)) and any(match.group(2, 3, 4, 5)):
        seconds = int(match[2] or 0) * 86400 + int(match[3] or 0) * 3600 + int(match[4] or 0) * 60 + int(match[5] or 0)
        nanos = seconds * SECOND + int(f"{match[6] or '':0<9}"[:9])
        return DaysDuration(-nanos if match[1] else nanos) if abs(nanos) < 10**27 else None
    return None


def temporal_literal(text: str) -> tuple[object, FeelType]:
    """Value and type of `@"text"`; (None, Any) when it is no date, time or duration."""
    duration = parse_duration(text)
    if duration is not None:
        return duration, YEARS_DURATION if isinstance(duration, YearsDuration) else DAYS_DURATION
    if (date := parse_date(text)) is not None:
        return date, DATE
    if (time := parse_time(text)) is not None:
        return time, TIME
    moment = parse_date_time(text) if "T" in text else None
    return (moment, DATE_TIME) if moment is not None else (None, ANY)


def midnight(value: object) -> DateTime:
    """A date where a date and time is wanted: its midnight UTC."""
    assert isinstance(value, Date)
    return DateTime(value.days, 0, 0)


DATE_TO_DATE_TIME.append(midnight)


def moment_of(run: Run) -> DateTime | None:
    """The time the caller passed with the evaluation."""
    if run.now_ms is None:
        return None
    days, rest = divmod(run.now_ms, 86_400_000)
    return DateTime(days, rest * 1_000_000, 0)


def scaled(value: int, factor: int | Decimal) -> int | Decimal:
    """A count of nanoseconds or months times a number."""
    return NUMBERS.multiply(value, factor) if isinstance(factor, Decimal) else value * factor
