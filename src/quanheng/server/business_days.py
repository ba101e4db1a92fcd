"""The business days of the ledger as configured: zone, cut-off, and a calendar of days off."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from quanheng.kernel.calendars import Calendar
from quanheng.kernel.errors import ConfigurationError, DeclarationError
from quanheng.ledger.business_days import BusinessDays

if TYPE_CHECKING:
    from quanheng.server.config import Config


def business_days_of(config: Config) -> BusinessDays:
    """Which business day a moment belongs to.

    Raises
    ------
    ConfigurationError : there is no such zone, hour or calendar, or the calendar has no business days
    DeclarationError : the calendar's file is wrong
    """
    asked = config.ledger
    return BusinessDays(asked.time_zone, asked.cut_off_hour, days_off(asked.calendar) if asked.calendar else None)


def days_off(name: str) -> Calendar:
    """A calendar that comes with Quanheng, or one of a file in the form in which packs declare theirs."""
    from quanheng.loading.checks.calendars import SHIPPED, read_calendar, shipped_calendars
    from quanheng.loading.notes import Notes
    from quanheng.loading.toml import read_toml

    if name in SHIPPED:
        return shipped_calendars()[name]
    path, notes = Path(name), Notes()
    if path.suffix != ".toml" or not path.is_file():
        raise ConfigurationError(
            "there is no such calendar",
            where="ledger.calendar",
            found=repr(name),
            allowed=f"{', '.join(SHIPPED)}, or a file that ends in .toml",
            cure="Write the file as a pack's calendars/*.toml.",
        )
    calendar = read_calendar(path.stem, read_toml(path.read_bytes(), str(path), notes) or {}, str(path), notes)
    if notes:
        raise DeclarationError("the calendar of ledger.calendar is wrong", notes.problems)
    return calendar


def uncovered(config: Config, today: date) -> str:
    """What to tell of a calendar that ends within two months, or has ended; "" = nothing."""
    if not config.ledger.calendar:
        return ""
    calendar = days_off(config.ledger.calendar)
    last = max(one.year for one in calendar.years)
    if (date(last, 12, 31) - today).days > 60:
        return ""
    return (
        f"The calendar {config.ledger.calendar} of the ledger ends with {last}. After that every day but the weekend "
        "is a business day: bring a calendar that goes on (ledger.calendar)."
    )
