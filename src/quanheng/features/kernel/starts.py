"""Where days, weeks, months, quarters and years begin in a time zone."""

import numpy as np
from numba import njit

from quanheng.features.kernel.calendar import DAY_MS, changes_until, civil, offset_after

_EARLIEST, _LATEST = np.int64(-(2**63)), np.int64(2**63 - 1)
DAY, WEEK, MONTH, QUARTER, YEAR = 0, 1, 2, 3, 4  # Places in `kinds.STARTS`.


@njit(nogil=True, error_model="numpy")
def day_of(year, month):
    """Days from 1970-01-01 to the first of a month (1 to 12): the inverse of `calendar.civil`."""
    year -= np.int64(month <= 2)
    era = year // 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5
    of_era = (year - era * 400) * 365 + (year - era * 400) // 4 - (year - era * 400) // 100 + of_year
    return era * 146_097 + of_era - 719_468


@njit(nogil=True, error_model="numpy")
def first_day(unit, day):
    """The first day of the unit that holds a day; both in days since 1970-01-01, which was a Thursday."""
    if unit == DAY:
        return day
    if unit == WEEK:
        return day - (day + 3) % 7
    year, month, _ = civil(day)
    if unit == MONTH:
        return day_of(year, month)
    if unit == QUARTER:
        return day_of(year, month - (month - 1) % 3)
    return day_of(year, np.int64(1))


@njit(nogil=True, error_model="numpy")
def unit_start(P, zone, unit, time):
    """First instant of the local unit that holds `time`; `zone` as features/zones.py writes it.

    That is the earliest instant at which a clock on the wall shows the unit's first day or later. Where midnight does
    not exist it is the change of the clocks, where it exists twice the first of the two.
    """
    changes = changes_until(P, zone, time)
    wall = first_day(unit, (time + offset_after(P, zone, changes)) // DAY_MS) * DAY_MS
    best, end = time, _LATEST
    while True:
        begin = _EARLIEST if changes == 0 else P[zone + 1 + changes]
        candidate = max(begin, wall - offset_after(P, zone, changes))
        if candidate < end and candidate < best:
            best = candidate
        if changes == 0 or begin + DAY_MS < wall:  # No offset is a day: before it no clock showed the unit yet.
            return best
        end = begin
        changes -= 1
