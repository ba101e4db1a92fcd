"""Times as integer milliseconds UTC, durations as integer milliseconds. Nothing here reads a clock."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from quanheng.kernel.errors import InputError

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_UNITS = {"ms": 1, "s": SECOND_MS, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}
_DURATION = re.compile(r"(?:[0-9]+(?:ms|s|m|h|d|w))+", re.ASCII)
_PART = re.compile(r"([0-9]+)(ms|s|m|h|d|w)", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:[.,]([0-9]{1,9}))?"
    r"([Zz]|[+-][0-9]{2}:?[0-9]{2})?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
TIME_MS_MIN = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MS
TIME_MS_MAX = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MS


def parse_duration_ms(text: str) -> int:
    """Milliseconds of "7d", "36h", "30s", "500ms" or several parts as in "1d12h".

    Raises
    ------
    InputError : another form, or more than 100 000 days
    """
    if not isinstance(text, str) or not _DURATION.fullmatch(text):
        raise InputError(
            "not a duration", found=repr(text), allowed='a form such as "7d", "36h", "15m", "30s", "500ms"'
        )
    total = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if total > 100_000 * DAY_MS:
        raise InputError("the duration is too long", found=repr(text), allowed="at most 100000d")
    return total


def format_duration(duration_ms: int) -> str:
    """The shortest exact text of a duration, as `parse_duration_ms` reads it: 129600000 -> "36h"."""
    if duration_ms < 0:
        raise InputError("a duration is not negative", found=str(duration_ms))
    for unit in ("d", "h", "m", "s"):
        if duration_ms and duration_ms % _UNITS[unit] == 0:
            return f"{duration_ms // _UNITS[unit]}{unit}"
    return f"{duration_ms}ms"


def parse_time_ms(value: str | date) -> int:
    """Milliseconds UTC of an ISO 8601 time or date (midnight UTC), as text, `date` or `datetime`.

    A time without an offset is UTC. Digits beyond milliseconds are cut, not rounded, so that a time never moves into
    the next day.

    Raises
    ------
    InputError : another form, or no such day or time
    """
    if isinstance(value, datetime):
        return (value.replace(tzinfo=value.tzinfo or UTC) - _EPOCH) // _MS
    if isinstance(value, date):
        return (value - _EPOCH.date()).days * DAY_MS
    text = value.strip() if isinstance(value, str) else ""
    try:
        if _DATE.fullmatch(text):
            return (date.fromisoformat(text) - _EPOCH.date()).days * DAY_MS
        found = _TIME.fullmatch(text)
        if found:
            day, clock, fraction, zone = found.groups()
            moment = datetime.fromisoformat(f"{day}T{clock}{_zone(zone)}")
            return (moment - _EPOCH) // _MS + int(((fraction or "") + "000")[:3])
    except ValueError as error:
        raise InputError("no such time", found=repr(value), allowed="ISO 8601") from error
    raise InputError(
        "not a time", found=repr(value), allowed='ISO 8601 such as "2018-04-01T12:30:00.250Z" or "2018-04-01"'
    )


def _zone(zone: str | None) -> str:
    if zone is None or zone in "Zz":
        return "+00:00"
    return zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"


def format_time(time_ms: int) -> str:
    """ISO 8601 in UTC with milliseconds: 0 -> "1970-01-01T00:00:00.000Z".

    Raises
    ------
    InputError : outside the years 1..9999
    """
    if not TIME_MS_MIN <= time_ms <= TIME_MS_MAX:
        raise InputError("the time is out of range", found=str(time_ms), allowed=f"{TIME_MS_MIN}..{TIME_MS_MAX} ms")
    moment = _EPOCH + timedelta(milliseconds=time_ms)
    return f"{moment:%m-%dT%H:%M:%S}".join((f"{moment.year:04d}-", f".{time_ms % 1000:03d}Z"))
