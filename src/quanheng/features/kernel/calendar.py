"""Local time and civil dates in the kernel: hour, weekday, day, month, and days off, of a moment in a zone.

Civil dates are computed as Howard Hinnant does in "chrono-Compatible Low-Level Date Algorithms" (2013): eras of 400
years, which begin on the first of March, so that the day that leap years add is the last of its year.
"""

import numpy as np
from numba import njit

from quanheng.features.kernel.clock import (
    CLOCK_DAYS,
    CLOCK_WEEKEND,
    CLOCK_ZONE,
    DAYS_IN_WORD,
    HOLIDAY,
    HOUR,
    MONTH,
    MONTH_DAY,
    NIGHT,
    NIGHT_FROM,
    NIGHT_TO,
    WEEKDAY,
    WEEKEND,
)
from quanheng.features.kernel.words import NULL
from quanheng.kernel.calendars import DECLARED, NOT_COVERED, WORK

DAY_MS = np.int64(86_400_000)


@njit(nogil=True, error_model="numpy")
def changes_until(P, zone, time):
    """How many changes of its clocks a zone has had at a moment; `zone` as features/zones.py writes it."""
    low, high = np.int64(0), P[zone]
    while low < high:
        middle = (low + high) >> 1
        if P[zone + 2 + middle] <= time:
            low = middle + 1
        else:
            high = middle
    return low


@njit(nogil=True, error_model="numpy")
def offset_after(P, zone, changes):
    """ms east of UTC after so many changes."""
    return P[zone + 1] if changes == 0 else P[zone + 1 + P[zone] + changes]


@njit(nogil=True, error_model="numpy")
def civil(day):
    """Year, month (1-12) and day of the month of a day since 1970-01-01."""
    shifted = day + 719_468
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day_of_month = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return year + era * 400 + np.int64(month <= 2), month, day_of_month


@njit(nogil=True, error_model="numpy")
def day_code(P, days, day):
    """What a calendar says of a day. Words: first day, number of days, then the codes."""
    place = day - P[days]
    if place < 0 or place >= P[days + 1]:
        return np.int64(NOT_COVERED)
    return (P[days + 2 + place // DAYS_IN_WORD] >> (2 * (place % DAYS_IN_WORD))) & 3


@njit(nogil=True, error_model="numpy")
def of_moment(P, asked, clock, time):
    """One answer about a moment, by a clock (kernel/clock.py). NULL where its calendar does not cover the day."""
    zone = P[clock + CLOCK_ZONE]
    local = time + offset_after(P, zone, changes_until(P, zone, time))
    day = local // DAY_MS
    if asked == HOUR or asked == NIGHT:  # noqa: PLR1714, SIM109
        hour = (local - day * DAY_MS) // 3_600_000
        if asked == HOUR:
            return hour
        return np.int64(hour >= NIGHT_FROM or hour < NIGHT_TO)
    if asked == WEEKDAY or asked == WEEKEND:  # noqa: PLR1714, SIM109
        weekday = (day + 3) % 7  # The first day was a Thursday.
        return weekday + 1 if asked == WEEKDAY else (P[clock + CLOCK_WEEKEND] >> weekday) & 1
    if asked == MONTH_DAY or asked == MONTH:  # noqa: PLR1714, SIM109
        _, month, day_of_month = civil(day)
        return month if asked == MONTH else day_of_month
    code = day_code(P, P[clock + CLOCK_DAYS], day) if P[clock + CLOCK_DAYS] != 0 else np.int64(NOT_COVERED)
    if code == NOT_COVERED:
        return np.int64(NULL)
    return np.int64(code == DECLARED) if asked == HOLIDAY else np.int64(code == WORK)
