"""Local time, civil dates, days off and starts of calendar units as columns: kernel/calendar.py and kernel/starts.py.

Everything is whole numbers, and the zone is that of the plan (features/zones.py), not the engine's own. `//` is FLOOR
of a float division in SQL, which is exact below 2^53: for times within 285,000 years.
"""

from __future__ import annotations

from datetime import date

from quanheng.features.calendars import calendar_words, weekend_bits
from quanheng.features.kernel.clock import DAYS_IN_WORD, NIGHT_FROM, NIGHT_TO
from quanheng.features.sql.columns import Columns, Value, stepped, whole
from quanheng.features.sql.reasons import import_ibis
from quanheng.features.zones import zone_words
from quanheng.kernel.calendars import DECLARED, NOT_COVERED, WORK, Calendar

_DAY_MS, _HOUR_MS = 86_400_000, 3_600_000
_EPOCH = date(1970, 1, 1).toordinal()


def _spans(zone: str) -> tuple[list[int], list[int]]:
    """Changes of a zone's offset and the offsets before, between and after them."""
    count, first, *rest = zone_words(zone)
    return rest[:count], [first, *rest[count:]]


def local_of(columns: Columns, time: Value, key: str, zone: str) -> Value:
    """Local time (ms since 1970-01-01 there) of a moment; `key` names the moment."""
    return columns.once((key, zone), lambda: time + stepped(time, *_spans(zone)))


def day_of(columns: Columns, time: Value, key: str, zone: str) -> Value:
    """Local day since 1970-01-01."""
    local = local_of(columns, time, key, zone)
    return columns.once((key, zone, "day"), lambda: local // _DAY_MS)


def civil(columns: Columns, day: Value) -> tuple[Value, Value, Value]:
    """Year, month (1-12) and day of the month, by Hinnant's algorithm (kernel/calendar.py)."""
    era = (day + 719_468) // 146_097
    of_era = columns.keep(day + 719_468 - era * 146_097)
    year = columns.keep((of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365)
    of_year = columns.keep(of_era - (year * 365 + year // 4 - year // 100))
    march = columns.keep((of_year * 5 + 2) // 153)  # 0 is March.
    month = columns.keep(march + import_ibis().ifelse(march < 10, 3, -9))
    calendar_year = year + (day + 719_468) // 146_097 * 400 + (month <= 2).cast("int64")
    return calendar_year, month, of_year - (march * 153 + 2) // 5 + 1


def day_from(columns: Columns, year: Value, month: Value) -> Value:
    """Days from 1970-01-01 to the first of a month."""
    year = columns.keep(year - (month <= 2).cast("int64"))
    of_year = ((month + import_ibis().ifelse(month > 2, -3, 9)) * 153 + 2) // 5
    of_era = columns.keep(year - year // 400 * 400)
    return columns.keep(year // 400 * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468)


def asked(columns: Columns, time: Value, key: str, what: str, zone: str, calendar: Calendar | None) -> Value:
    """What is asked of a moment (features/conditions.py, ASKED): a whole number, null outside a calendar's years."""
    return columns.once((key, zone, what, calendar and calendar.name), lambda: _asked(
        columns, time, key, what, zone, calendar
    ))  # fmt: skip


def _asked(columns: Columns, time: Value, key: str, what: str, zone: str, calendar: Calendar | None) -> Value:
    local, day = local_of(columns, time, key, zone), day_of(columns, time, key, zone)
    if what in {"hour", "night"}:
        hour = (local - day * _DAY_MS) // _HOUR_MS
        return hour if what == "hour" else ((hour >= NIGHT_FROM) | (hour < NIGHT_TO)).cast("int64")
    if what in {"weekday", "weekend"}:
        weekday = day + 3 - (day + 3) // 7 * 7
        days = [place for place in range(7) if weekend_bits(calendar) >> place & 1]
        return weekday + 1 if what == "weekday" else weekday.isin(days).cast("int64")
    if what in {"month", "month_day"}:
        _, month, of_month = columns.once((key, zone, "civil"), lambda: civil(columns, day))
        return month if what == "month" else of_month
    return _day_off(day, DECLARED if what == "holiday" else WORK, calendar)


def _day_off(day: Value, code: int, calendar: Calendar | None) -> Value:
    """Whether the calendar gives a day this code; null where it does not cover it. Runs of days with one answer."""
    ibis = import_ibis()
    if calendar is None:
        return ibis.null("int64")
    first, count, *words = calendar_words(calendar)
    codes = [words[place // DAYS_IN_WORD] >> 2 * (place % DAYS_IN_WORD) & 3 for place in range(count)]
    said = [-1, *(-1 if one == NOT_COVERED else int(one == code) for one in codes), -1]
    changes = [place for place in range(1, len(said)) if said[place] != said[place - 1]]
    answer = stepped(day, [first - 1 + place for place in changes], [-1, *(said[place] for place in changes)])
    return answer.nullif(-1)


def unit_start(columns: Columns, time: Value, key: str, unit: str, zone: str) -> Value:
    """First instant of the local unit that holds a moment (kernel/starts.py).

    That is the earliest instant at which a clock on the wall shows midnight of the unit's first day or later. With
    `most` the latest wall time that the spans of one offset up to each have shown, it lies in the first span whose
    `most` is beyond that midnight.
    """
    ibis = import_ibis()
    changes, offsets = _spans(zone)
    day = first_day(columns, day_of(columns, time, key, zone), unit)
    wall = columns.keep(day * _DAY_MS)
    most, spans = list[int](), list[int]()
    for place, change in enumerate(changes):
        if not most or change + offsets[place] > most[-1]:
            most.append(change + offsets[place])
            spans.append(place)
    spans.append(len(changes))
    answers = [(changes[place - 1] if place else -(2**62), offsets[place]) for place in spans]
    return columns.keep(stepped(wall, most, answers, lambda one: ibis.greatest(whole(one[0]), wall - one[1])))


def first_day(columns: Columns, day: Value, unit: str) -> Value:
    """The first day of the unit that holds a day."""
    if unit == "day":
        return day
    if unit == "week":
        return (day + 3) // 7 * 7 - 3
    year, month, _ = civil(columns, day)
    if unit == "quarter":
        month = columns.keep((month - 1) // 3 * 3 + 1)
    return day_from(columns, year, month if unit != "year" else whole(1))
