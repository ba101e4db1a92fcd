"""When a timer is due: durations, business days, times of the day in a zone, cut-offs. Reads no clock."""

from __future__ import annotations

from typing import Literal

import msgspec


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """When a timer is due, counted from the moment its state was entered, or from its last firing (`every`).

    after_ms : so long after it; nothing else is then said but `until`, `calendar`
    days : so many business days of `calendar` later (calendar days where there is none); from the next one on where
        `cut_off` has passed
    months : so many calendar months later, the last day of a shorter month
    time_of_day_ms : at this time of the day in `zone`, ms since midnight; -1 = none: the same time of day
    weekday : on the next such ISO weekday (1 = Monday) that is not before the day found; 0 = any
    day_of_month : on the next such day of a month; 0 = any; the last day of a shorter month
    roll : what becomes of a day that is no business day of `calendar`: the following or the preceding one
    until : a kept number that holds a moment (epoch ms): the timer is due at it; "" = not so
    calendar : name of a calendar of the pack or of Quanheng; "" = every day is a business day
    cut_off_ms : a moment after this time of day belongs to the next day; -1 = none
    """

    after_ms: int = -1
    days: int = -1
    months: int = -1
    time_of_day_ms: int = -1
    weekday: int = 0
    day_of_month: int = 0
    roll: Literal["", "following", "preceding"] = ""
    until: str = ""
    zone: str = "UTC"
    calendar: str = ""
    cut_off_ms: int = -1
