"""Calendars as words of a plan."""

from __future__ import annotations

from datetime import date, timedelta

from quanheng.features.kernel.clock import DAYS_IN_WORD
from quanheng.kernel.calendars import EPOCH_ORDINAL, WEEKEND, Calendar


def calendar_words(calendar: Calendar) -> tuple[int, ...]:
    """First day (since 1970-01-01), number of days, then two bits a day."""
    if not calendar.years:
        return 0, 0
    first = date(min(one.year for one in calendar.years), 1, 1)
    last = date(max(one.year for one in calendar.years), 12, 31)
    codes = [calendar.code(first + timedelta(days=number)) for number in range((last - first).days + 1)]
    words = [
        sum(code << 2 * place for place, code in enumerate(codes[start : start + DAYS_IN_WORD]))
        for start in range(0, len(codes), DAYS_IN_WORD)
    ]
    return first.toordinal() - EPOCH_ORDINAL, len(codes), *words


def weekend_bits(calendar: Calendar | None) -> int:
    """Weekend days as bits, Monday the lowest."""
    return sum(1 << day - 1 for day in (WEEKEND if calendar is None else calendar.weekend))
