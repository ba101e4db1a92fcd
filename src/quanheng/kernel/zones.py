"""Time zones as exact numbers: when the offset from UTC changes, and to what; between local time and UTC."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

FIRST_YEAR, HORIZON_YEAR = 1840, 2200
"""Before the first no place had another time than its own; from the horizon on the offset of its eve stays."""

DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Offsets(NamedTuple):
    """A zone's offsets, ms east of UTC.

    changes : moments at which the offset changes, ms UTC, rising
    offsets : the one before the first change, then the one after each
    """

    changes: tuple[int, ...]
    offsets: tuple[int, ...]


@lru_cache(maxsize=64)
def offsets_of(name: str) -> Offsets:
    """The offsets of a time zone.

    Changes are looked for day by day and then found to the second; two within a day that cancel out are not seen.

    Parameters
    ----------
    name : IANA name, such as "Asia/Shanghai"

    Raises
    ------
    ValueError : there is no such zone
    """
    if name == "UTC":
        return Offsets((), (0,))
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
    return Offsets(tuple(times), tuple(offsets))


def is_zone(name: str) -> bool:
    """Whether there is a time zone of this name."""
    try:
        offsets_of(name)
    except ValueError:
        return False
    return True


def local_ms(name: str, time_ms: int) -> int:
    """What a clock on the wall shows at `time_ms`, as ms since 1970-01-01 there."""
    changes, offsets = offsets_of(name)
    return time_ms + offsets[bisect_right(changes, time_ms)]


def first_moment_ms(name: str, wall_ms: int) -> int:
    """The first moment at which a clock on the wall shows `wall_ms` or later: the inverse of `local_ms`.

    A local time that exists twice is the first of the two; one that does not exist is the first moment after the gap.
    """
    changes, offsets = offsets_of(name)
    place = bisect_right(changes, wall_ms - DAY_MS)  # No offset is a day: clocks of before have not shown it.
    while place < len(changes) and wall_ms - offsets[place] >= changes[place]:
        place += 1
    found = wall_ms - offsets[place]
    return found if place == 0 else max(found, changes[place - 1])
