"""calendars/*.toml: days off of a country, market or firm, a year at a time, each with its source."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files as resource_files

from quanheng.kernel.calendars import Calendar, CalendarYear
from quanheng.loading.notes import Notes
from quanheng.loading.table import Table
from quanheng.loading.toml import read_toml

FOLDER = "calendars"
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
YEAR_MIN, YEAR_MAX = 1970, 2199
SHIPPED = ("china",)


def check_calendars(files: Mapping[str, dict[str, object]], notes: Notes) -> dict[str, Calendar]:
    """Read all calendar files (parsed, by name). A calendar has the name of its file."""
    found = {}
    for file, values in files.items():
        name = file.removeprefix(f"{FOLDER}/").removesuffix(".toml")
        if name in SHIPPED:
            cure = "Give the file another name."
            notes.add(file, "", "a calendar of this name comes with Quanheng", found=name, cure=cure)
        else:
            found[name] = read_calendar(name, values, file, notes)
    return found


def read_calendar(name: str, values: Mapping[str, object], file: str, notes: Notes) -> Calendar:
    """One calendar file."""
    top = Table(values, file, "", notes)
    top.title()
    weekend = tuple(sorted(WEEKDAYS.index(day) + 1 for day in top.texts("weekend") if _is_weekday(top, day)))
    years: list[CalendarYear] = []
    for table in top.tables("year", required=True):
        year = _year(table, weekend)
        if any(one.year == year.year for one in years):
            table.problem("year", "the year is declared twice", found=year.year, cure="Keep one of the two.")
        elif year.year:
            years.append(year)
    top.done()
    return Calendar(name, weekend, tuple(years))


def _is_weekday(table: Table, day: str) -> bool:
    if day not in WEEKDAYS:
        table.problem("weekend", "no such day of the week", found=day, known=", ".join(WEEKDAYS))
    return day in WEEKDAYS


def _year(table: Table, weekend: tuple[int, ...]) -> CalendarYear:
    year = table.integer("year", least=YEAR_MIN, most=YEAR_MAX)
    source = table.text("source", wanted="where these days are written")
    off, work = _days(table, "off", year), _days(table, "work", year)
    table.done()
    for day in work:
        if day in off:
            table.problem(
                "work", "a day is off and worked", found=str(day), cure="Take it out of one of the two lists."
            )
        elif day.isoweekday() not in weekend:
            cure = "`work` names weekend days on which people work."
            table.problem("work", "the day is no weekend day", found=str(day), cure=cure)
    return CalendarYear(year, off, work, source)


def _days(table: Table, name: str, year: int) -> tuple[dt.date, ...]:
    """A list of dates within the year."""
    value = table.any(name, required=False)
    if not isinstance(value, list):
        if value is not None:
            table.problem(name, "the value is no list of dates", found=value, known="[2026-01-01, 2026-05-01]")
        return ()
    days: list[dt.date] = []
    for one in value:
        if not isinstance(one, dt.date) or isinstance(one, dt.datetime):
            table.problem(name, "an entry is no date", found=one, known="2026-01-01, without quotes")
        elif year and one.year != year:
            table.problem(name, "the date lies in another year", found=str(one), known=str(year))
        elif one in days:
            table.problem(name, "the date stands in the list twice", found=str(one), cure="Keep one of the two.")
        else:
            days.append(one)
    return tuple(days)


@lru_cache
def shipped_calendars() -> Mapping[str, Calendar]:
    """The calendars that come with Quanheng, by name."""
    notes, found = Notes(), {}
    for name in SHIPPED:
        content = resource_files("quanheng.loading.calendars").joinpath(f"{name}.toml").read_bytes()
        found[name] = read_calendar(name, read_toml(content, f"{name}.toml", notes) or {}, f"{name}.toml", notes)
    assert not notes, notes.problems
    return found
