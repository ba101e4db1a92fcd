"""Where days, weeks, months, quarters and years begin in a time zone.

Civil dates as in Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2013): eras of 400 years that begin on
the first of March, so that the day leap years add is the last of its year.
"""

import numpy as np
from numba import njit

_DAY_MS = np.int64(86_400_000)  # Also longer than any offset from UTC.
_EARLIEST, _LATEST = np.int64(-(2**63)), np.int64(2**63 - 1)
DAY, WEEK, MONTH, QUARTER, YEAR = 0, 1, 2, 3, 4  # Places in `kinds.STARTS`.


@njit(nogil=True, error_model="numpy")
def day_of(year, month):
    """Days from 1970-01-01 to the first of a month (1 to 12)."""
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
    shifted = day + 719_468
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    month = (5 * (of_era - (365 * year + year // 4 - year // 100)) + 2) // 153  # 0 is March.
    month = month + 3 if month < 10 else month - 9
    year += era * 400 + np.int64(month <= 2)
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
    changes = P[zone]
    low, high = np.int64(0), changes
    while low < high:  # How many changes lie at or before the moment.
        middle = (low + high) >> 1
        if P[zone + 2 + middle] <= time:
            low = middle + 1
        else:
            high = middle
    offset = P[zone + 1] if low == 0 else P[zone + 1 + changes + low]
    wall = first_day(unit, (time + offset) // _DAY_MS) * _DAY_MS
    best, end = time, _LATEST
    while True:
        offset = P[zone + 1] if low == 0 else P[zone + 1 + changes + low]
        begin = _EARLIEST if low == 0 else P[zone + 1 + low]
        candidate = max(begin, wall - offset)
        if candidate < end and candidate < best:
            best = candidate
        if low == 0 or begin + _DAY_MS < wall:  # Before it no clock of the zone showed the unit yet.
            return best
        end = begin
        low -= 1
