"""`[ledger]` of the configuration: zone, cut-off and calendar, from the file to the facts of a payment on a holiday."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from quanheng.engine import Engine
from quanheng.kernel.errors import ConfigurationError, DeclarationError
from quanheng.ledger.business_days import date_of
from quanheng.ledger.entries import Account, Transfer
from quanheng.loading.checks.calendars import WEEKDAYS
from quanheng.server import config as configuration
from quanheng.server.business_days import business_days_of, days_off, uncovered
from quanheng.server.opening import open_engine

BANK = """
title   = {en = "A bank", zh = "一家银行"}
weekend = ["sunday"]
[[year]]
year   = 2026
source = "its own notice"
off    = [2026-03-02]
"""


def configured(tmp_path, **ledger):
    """A configuration file with these keys of [ledger], and folders of its own."""
    lines = [f"{name} = {value!r}" for name, value in ledger.items()]
    file = tmp_path / "quanheng.toml"
    file.write_text("[ledger]\n" + "\n".join(lines), encoding="utf-8")
    folders = {"storage.data": str(tmp_path / "data"), "storage.keys": str(tmp_path / "keys")}
    return configuration.read(file, folders)


def moment(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


def day_in(days, text):
    return str(date_of(days.day_of(moment(text))))


@pytest.mark.parametrize(
    ("at_utc", "day"),
    [
        ("2026-09-30T08:59:59", "2026-09-30"),  # 16:59:59 in Shanghai.
        ("2026-09-30T09:00:00", "2026-10-08"),  # After the cut-off, before the National Day holiday.
        ("2026-10-03T02:00:00", "2026-10-08"),
        ("2026-10-10T02:00:00", "2026-10-10"),  # A Saturday that is worked.
        ("2026-10-11T02:00:00", "2026-10-12"),  # A Sunday that is not.
        ("2027-01-01T02:00:00", "2027-01-01"),  # A year that is not covered: the weekend alone is off.
        ("2027-01-02T02:00:00", "2027-01-04"),
    ],
)
def test_days_off_in_china(tmp_path, at_utc, day):
    config = configured(tmp_path, time_zone="Asia/Shanghai", cut_off_hour=17, calendar="china")
    assert day_in(business_days_of(config), at_utc) == day


def test_without_a_calendar_every_day_is_one(tmp_path):
    assert day_in(business_days_of(configured(tmp_path)), "2026-10-03T02:00:00") == "2026-10-03"


def test_a_calendar_of_a_file(tmp_path):
    (tmp_path / "bank.toml").write_text(BANK, encoding="utf-8")
    days = business_days_of(configured(tmp_path, calendar=str(tmp_path / "bank.toml")))
    assert [day_in(days, f"2026-{at}T12:00:00") for at in ("02-28", "03-01", "03-02", "03-03")] == [
        "2026-02-28", "2026-03-03", "2026-03-03", "2026-03-03",
    ]  # fmt: skip
    assert repr(days) == "BusinessDays('UTC', 24, 1 holidays)"


def test_the_ledger_has_the_days_of_the_calendar():
    """Each day of the years that are covered is off or worked as the features say."""
    shipped = days_off("china")
    for number in range(date(2020, 1, 1).toordinal(), date(2027, 1, 1).toordinal()):
        day = date.fromordinal(number)
        year = next(one for one in shipped.years if one.year == day.year)
        is_off = day in year.off or (day.isoweekday() in shipped.weekend and day not in year.work)
        assert shipped.is_business_day(day) != is_off, day


def test_a_payment_on_a_holiday_counts_on_the_next_business_day(tmp_path, monkeypatch):
    """From the configuration to the facts, through the engine that is served."""
    monkeypatch.setattr("quanheng.engine.system_clock_ms", lambda: moment("2026-10-03T02:00:00"))
    engine = open_engine(configured(tmp_path, time_zone="Asia/Shanghai", calendar="china"))
    assert isinstance(engine, Engine)
    engine.open_accounts([Account(1, 156, 1), Account(2, 156, 1)])
    engine.post([Transfer(3, 1, 2, 5, code=1)])
    assert {str(date_of(day)) for day in engine.state.ledger.facts()["day"].tolist()} == {"2026-10-08"}
    engine.close()


@pytest.mark.parametrize("name", ["mars", "none.toml", "quanheng.lock"])
def test_a_calendar_that_is_not_there(tmp_path, name):
    says = rf"ledger.calendar: there is no such calendar; was '{name}'; allowed: china, or a file that ends in .toml"
    with pytest.raises(ConfigurationError, match=says):
        business_days_of(configured(tmp_path, calendar=name))


def test_a_calendar_that_is_wrong(tmp_path):
    (tmp_path / "bank.toml").write_text(BANK.replace("2026-03-02", "2025-03-02"), encoding="utf-8")
    with pytest.raises(DeclarationError, match=r"the calendar of ledger.calendar is wrong: 1 problem\n.*another year"):
        business_days_of(configured(tmp_path, calendar=str(tmp_path / "bank.toml")))


def test_a_calendar_without_business_days(tmp_path):
    week = ", ".join(f'"{day}"' for day in WEEKDAYS)
    (tmp_path / "bank.toml").write_text(BANK.replace('"sunday"', week), encoding="utf-8")
    says = "ledger.calendar: the calendar leaves no business day for two months; was 2201-01-01"
    with pytest.raises(ConfigurationError, match=says):
        business_days_of(configured(tmp_path, calendar=str(tmp_path / "bank.toml")))


def test_the_end_of_a_calendar_is_told_two_months_before(tmp_path):
    config = configured(tmp_path, calendar="china")
    assert uncovered(config, date(2026, 10, 31)) == ""
    told = uncovered(config, date(2026, 11, 1))
    assert told.startswith("The calendar china of the ledger ends with 2026. After that every day but the weekend")
    assert uncovered(config, date(2030, 1, 1)) == told
    assert uncovered(configured(tmp_path), date(2030, 1, 1)) == ""
