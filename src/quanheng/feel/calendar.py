"""Operators on dates, times and durations (DMN 1.5, tables 53 and 55); `operators` asks here when nothing else fits."""

from __future__ import annotations

from decimal import Decimal

from quanheng.feel import access, operators
from quanheng.feel.temporal import (
    DAY,
    MONTHS_MAX,
    SECOND,
    Date,
    DateTime,
    DaysDuration,
    Time,
    YearsDuration,
    add_months,
    civil,
    in_calendar,
    midnight,
    scaled,
)
from quanheng.feel.values import NUMBERS, Run

DURATION_MAX = 10**27
"""Nanoseconds of the longest days and time duration."""


def _on_calendar(days: int) -> int:
    if not in_calendar(days):
        raise OverflowError
    return days


def shifted(value: object, nanos: int) -> object:
    """A date, time or moment some nanoseconds later; OverflowError beyond the calendar."""
    if isinstance(value, Time):
        return Time((value.nanos + nanos) % DAY, value.offset, value.zone)
    if isinstance(value, Date):
        return Date(_on_calendar(value.days + nanos // DAY))
    if isinstance(value, DateTime):
        days, rest = divmod(value.days * DAY + value.nanos + nanos, DAY)
        return DateTime(_on_calendar(days), rest, value.offset, value.zone)
    return None


def moved(value: object, months: int) -> object:
    """A date or moment some months later; OverflowError beyond the calendar."""
    if not isinstance(value, Date | DateTime):
        return None
    days = add_months(value.days, months)
    if days is None:
        raise OverflowError
    return Date(days) if isinstance(value, Date) else DateTime(days, value.nanos, value.offset, value.zone)


def days_duration(nanos: int) -> DaysDuration:
    """A duration; OverflowError beyond the longest."""
    if abs(nanos) >= DURATION_MAX:
        raise OverflowError
    return DaysDuration(nanos)


def years_duration(months: int) -> YearsDuration:
    """A duration; OverflowError beyond the longest."""
    if abs(months) > MONTHS_MAX:
        raise OverflowError
    return YearsDuration(months)


def _sum(left: object, right: object, sign: int) -> object:
    if isinstance(left, DaysDuration) and isinstance(right, DaysDuration):
        return days_duration(left.nanos + sign * right.nanos)
    if isinstance(left, YearsDuration) and isinstance(right, YearsDuration):
        return years_duration(left.months + sign * right.months)
    if isinstance(right, DaysDuration):
        return shifted(left, sign * right.nanos)
    if isinstance(right, YearsDuration):
        return moved(left, sign * right.months)
    return _sum(right, left, 1) if sign > 0 and isinstance(left, DaysDuration | YearsDuration) else None


def _difference(left: object, right: object) -> object:
    """Between two moments of the same kind: both with an offset, or both without."""
    if isinstance(left, Date) and isinstance(right, Date):
        return days_duration((left.days - right.days) * DAY)
    if isinstance(left, Time) and isinstance(right, Time):
        a, b = left.utc_offset(), right.utc_offset()
        if (a is None) != (b is None):
            return None
        return days_duration(left.nanos - right.nanos - ((a or 0) - (b or 0)) * SECOND)
    if isinstance(left, Date | DateTime) and isinstance(right, Date | DateTime):
        one = midnight(left) if isinstance(left, Date) else left
        other = midnight(right) if isinstance(right, Date) else right
        if (one.utc_offset() is None) != (other.utc_offset() is None):
            return None
        return days_duration(one.instant() - other.instant())
    return None


def _product(left: object, right: object) -> object:
    if operators.is_number(left):
        left, right = right, left
    assert isinstance(right, int | Decimal)
    if isinstance(left, DaysDuration):
        return days_duration(int(scaled(left.nanos, right)))
    return years_duration(int(scaled(left.months, right))) if isinstance(left, YearsDuration) else None


def _quotient(left: object, right: object) -> object:
    if isinstance(left, DaysDuration) and isinstance(right, DaysDuration):
        return NUMBERS.divide(left.nanos, right.nanos) if right.nanos else None
    if isinstance(left, YearsDuration) and isinstance(right, YearsDuration):
        return NUMBERS.divide(left.months, right.months) if right.months else None
    if operators.is_number(right) and right:
        if isinstance(left, DaysDuration):
            return days_duration(int(NUMBERS.divide(left.nanos, right)))  # type: ignore[arg-type]
        if isinstance(left, YearsDuration):
            return years_duration(int(NUMBERS.divide(left.months, right)))  # type: ignore[arg-type]
    return None


def properties(value: object) -> dict[str, object]:
    """Properties by name (DMN 1.5, table 65)."""
    if isinstance(value, DaysDuration):
        days, hours, minutes, seconds, _ = value.parts()
        sign = -1 if value.nanos < 0 else 1
        return {"days": sign * days, "hours": sign * hours, "minutes": sign * minutes, "seconds": sign * seconds}
    if isinstance(value, YearsDuration):
        years, months = divmod(abs(value.months), 12)
        sign = -1 if value.months < 0 else 1
        return {"years": sign * years, "months": sign * months}
    found: dict[str, object] = {}
    if isinstance(value, Date | DateTime):
        year, month, day = civil(value.days)
        found = {"year": year, "month": month, "day": day, "weekday": (value.days + 3) % 7 + 1}
    if isinstance(value, Time | DateTime):
        seconds = value.nanos // SECOND
        found |= {"hour": seconds // 3600, "minute": seconds // 60 % 60, "second": seconds % 60}
        offset = value.utc_offset()
        found["time offset"] = None if offset is None else DaysDuration(offset * SECOND)
        found["timezone"] = value.zone or None
    return found


_ZERO = (DaysDuration(0), YearsDuration(0))


class Calendar:
    """What `operators` asks."""

    def arithmetic(self, op: str, left: object, right: object) -> object:
        if op == "+":
            return _sum(left, right, 1)
        if op == "-":
            return _difference(left, right) or _sum(left, right, -1)
        if op == "*":
            return _product(left, right) if operators.is_number(left) != operators.is_number(right) else None
        return _quotient(left, right) if op == "/" else None

    def negate(self, value: object) -> object:
        if isinstance(value, DaysDuration):
            return DaysDuration(-value.nanos)
        return YearsDuration(-value.months) if isinstance(value, YearsDuration) else None

    def equal(self, left: object, right: object) -> bool | None:
        """Moments are equal to the second (the kit reads the standard so); with and without an offset never."""
        if isinstance(left, DaysDuration | YearsDuration) and isinstance(right, DaysDuration | YearsDuration):
            if left.__class__ is right.__class__:
                return left == right
            return True if left in _ZERO and right in _ZERO else None
        keys = _comparable(left, right)
        if keys is None:
            return None if not (isinstance(left, Time | DateTime) and left.__class__ is right.__class__) else False
        return keys[0] // SECOND == keys[1] // SECOND

    def order(self, left: object, right: object) -> int | None:
        if isinstance(left, DaysDuration) and isinstance(right, DaysDuration):
            return (left.nanos > right.nanos) - (left.nanos < right.nanos)
        if isinstance(left, YearsDuration) and isinstance(right, YearsDuration):
            return (left.months > right.months) - (left.months < right.months)
        keys = _comparable(left, right)
        return None if keys is None else (keys[0] > keys[1]) - (keys[0] < keys[1])

    def member(self, value: object, name: str) -> tuple[object, bool]:
        found = properties(value)
        return found.get(name), name in found

    def days(self, run: Run, first: object, last: object) -> list[object] | None:
        """A loop from date to date."""
        if not (isinstance(first, Date) and isinstance(last, Date)):
            return None
        run.spend(abs(last.days - first.days) + 1)
        step = 1 if last.days >= first.days else -1
        return [Date(day) for day in range(first.days, last.days + step, step)]


def _comparable(left: object, right: object) -> tuple[int, int] | None:
    """Two nanosecond counts on one axis; None where there is none."""
    if isinstance(left, Date) and isinstance(right, Date):
        return left.days * DAY, right.days * DAY
    if isinstance(left, Time) and isinstance(right, Time):
        a, b = left.utc_offset(), right.utc_offset()
        if (a is None) != (b is None):
            return None
        return left.nanos - (a or 0) * SECOND, right.nanos - (b or 0) * SECOND
    if isinstance(left, Date | DateTime) and isinstance(right, Date | DateTime):
        one = midnight(left) if isinstance(left, Date) else left
        other = midnight(right) if isinstance(right, Date) else right
        if (one.utc_offset() is None) == (other.utc_offset() is None):
            return one.instant(), other.instant()
    return None


operators.TEMPORAL.append(Calendar())
access.STEP.append(DaysDuration(DAY))
