"""Time zones as words of a plan: when the offset from UTC changes, and to what."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

FIRST_YEAR, HORIZON_YEAR = 1840, 2200
"""Before the first no place had another time than its own; from the horizon on the offset of its eve stays."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=64)
def zone_words(name: str) -> tuple[int, ...]:
    """A time zone as the kernel reads it (kernel/calendar.py).

    Parameters
    ----------
    name : IANA name, such as "Asia/Shanghai"

    Returns
    -------
    n, the offset before the first change, n times of changes (ms UTC, rising), n offsets after them (ms east of UTC).
    Changes are looked for day by day and then found to the second; two within a day that cancel out are not seen.

    Raises
    ------
    ValueError : there is no such zone
    """
    if name == "UTC":
        return 0, 0
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(name) from None

    def offset(second: int) -> int:
        found = zone.utcoffset((_EPOCH + timedelta(seconds=second)).astimezone(zone))
        return 0 if found is None else int(found.total_seconds() * 1000)

    def change(low: int, high: int, old: int) -> int:
        """The first second after `low`, where the offset is `old`, up to `high`, where it is not, that has another."""
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == old else (low, middle)
        return high

    first, last = (
        int((datetime(year, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()) for year in (FIRST_YEAR, HORIZON_YEAR)
    )
    times, offsets, before = [], [offset(first)], first
    for day in range(first + 86_400, last, 86_400):
        now = offset(day)
        while now != offsets[-1]:  # Once more where the offset changed twice within the day.
            before = change(before, day, offsets[-1])
            times.append(before * 1000)
            offsets.append(offset(before))
        before = day
    return len(times), offsets[0], *times, *offsets[1:]


def is_zone(name: str) -> bool:
    """Whether there is a time zone of this name."""
    try:
        zone_words(name)
    except ValueError:
        return False
    return True


def local_ms(name: str, time_ms: int) -> int:
    """What a clock on the wall shows at `time_ms`, as ms since 1970-01-01 there."""
    words = zone_words(name)
    changes = words[2 : 2 + words[0]]
    place = bisect_right(changes, time_ms)
    return time_ms + (words[1] if place == 0 else words[1 + words[0] + place])
