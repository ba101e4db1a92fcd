"""Worked examples of business time: each row says from when, what is waited for, and when that is due."""

from __future__ import annotations

from datetime import date

import pytest

from quanheng.kernel.calendars import Calendar, CalendarYear
from quanheng.kernel.errors import InputError
from quanheng.kernel.time import DAY_MS, HOUR_MS, MINUTE_MS, format_time, parse_time_ms
from quanheng.loading.checks.calendars import shipped_calendars
from quanheng.processes.times import Wait, due, due_ms, next_due, next_due_ms

BANK = Calendar("bank", (6, 7), (CalendarYear(2026, (date(2026, 5, 1), date(2026, 5, 25)), (), "own"),))
PLAIN = {"weekends": Calendar("weekends"), "saturdays": Calendar("saturdays", (6,))}
CALENDARS = {**shipped_calendars(), **PLAIN, "bank": BANK}


def at(hours, minutes=0):
    return hours * HOUR_MS + minutes * MINUTE_MS


SHANGHAI = {"zone": "Asia/Shanghai", "calendar": "china"}
NEW_YORK, BERLIN, LORD_HOWE = {"zone": "America/New_York"}, {"zone": "Europe/Berlin"}, {"zone": "Australia/Lord_Howe"}
GULF = {"zone": "Asia/Dubai"}

# what, from (its own offset), wait, due
FIRST = [
    ("a duration", "2026-03-01T12:00Z", Wait(after_ms=at(0, 15)), "2026-03-01T12:15Z"),
    ("a duration goes over a change of clocks as it is", "2026-03-07T12:00-05:00", Wait(after_ms=DAY_MS, **NEW_YORK),
     "2026-03-08T13:00-04:00"),
    ("nothing at all is at once", "2026-03-01T12:00Z", Wait(), "2026-03-01T12:00Z"),
    # Spring Festival 2026: worked on Saturday 14 February, off from the 15th to the 23rd, worked on Saturday the 28th.
    ("the Saturday before the festival is worked", "2026-02-13T10:00+08:00", Wait(days=1, **SHANGHAI),
     "2026-02-14T10:00+08:00"),
    ("two business days lead over the festival", "2026-02-13T10:00+08:00", Wait(days=2, **SHANGHAI),
     "2026-02-24T10:00+08:00"),
    ("the Saturday behind the festival is worked", "2026-02-27T10:00+08:00", Wait(days=1, **SHANGHAI),
     "2026-02-28T10:00+08:00"),
    ("and the Sunday behind it is not", "2026-02-28T10:00+08:00", Wait(days=1, **SHANGHAI), "2026-03-02T10:00+08:00"),
    ("what comes in the festival is of the first day behind it", "2026-02-18T10:00+08:00", Wait(days=1, **SHANGHAI),
     "2026-02-25T10:00+08:00"),
    ("National Day, weekend alone", "2026-09-30T10:00+08:00", Wait(days=1, zone="Asia/Shanghai", calendar="weekends"),
     "2026-10-01T10:00+08:00"),
    ("National Day in China", "2026-09-30T10:00+08:00", Wait(days=1, **SHANGHAI), "2026-10-08T10:00+08:00"),
    # Cut-off at 17:00 before a long weekend: Friday 1 May 2026 is off.
    ("before the cut-off", "2026-04-30T16:59+02:00", Wait(days=1, calendar="bank", cut_off_ms=at(17), **BERLIN),
     "2026-05-04T16:59+02:00"),
    ("from the cut-off on it is of Monday", "2026-04-30T17:00+02:00",
     Wait(days=1, calendar="bank", cut_off_ms=at(17), **BERLIN), "2026-05-05T17:00+02:00"),
    ("the same, by nine in the morning", "2026-04-30T17:00+02:00",
     Wait(days=1, time_of_day_ms=at(9), calendar="bank", cut_off_ms=at(17), **BERLIN), "2026-05-05T09:00+02:00"),
    ("end of the same business day", "2026-04-30T16:00+02:00",
     Wait(days=0, time_of_day_ms=at(18), calendar="bank", cut_off_ms=at(17), **BERLIN), "2026-04-30T18:00+02:00"),
    ("end of the same business day, which is Monday", "2026-04-30T17:30+02:00",
     Wait(days=0, time_of_day_ms=at(18), calendar="bank", cut_off_ms=at(17), **BERLIN), "2026-05-04T18:00+02:00"),
    ("a day of no calendar is any day", "2026-04-30T17:30Z", Wait(days=2), "2026-05-02T17:30Z"),
    ("a cut-off alone", "2026-04-30T17:30Z", Wait(time_of_day_ms=at(18), cut_off_ms=at(17)), "2026-05-01T18:00Z"),
    # The next such time.
    ("later today", "2026-03-02T08:59Z", Wait(time_of_day_ms=at(9)), "2026-03-02T09:00Z"),
    ("now", "2026-03-02T09:00Z", Wait(time_of_day_ms=at(9)), "2026-03-02T09:00Z"),
    ("tomorrow", "2026-03-02T09:00:00.001Z", Wait(time_of_day_ms=at(9)), "2026-03-03T09:00Z"),
    ("the zone says what today is", "2026-03-01T23:00Z", Wait(time_of_day_ms=at(9), zone="Asia/Shanghai"),
     "2026-03-02T09:00+08:00"),
    ("same day, too late for it, on the next business day", "2026-05-22T19:00+02:00",
     Wait(days=0, time_of_day_ms=at(18), calendar="bank", **BERLIN), "2026-05-26T18:00+02:00"),
    ("next Friday", "2026-03-02T09:00Z", Wait(weekday=5, time_of_day_ms=at(18)), "2026-03-06T18:00Z"),
    ("this Friday is over", "2026-03-06T18:30Z", Wait(weekday=5, time_of_day_ms=at(18)), "2026-03-13T18:00Z"),
    ("a Friday that is off, the day before", "2026-04-28T09:00+02:00",
     Wait(weekday=5, time_of_day_ms=at(18), roll="preceding", calendar="bank", **BERLIN), "2026-04-30T18:00+02:00"),
    ("that is over too", "2026-04-30T18:30+02:00",
     Wait(weekday=5, time_of_day_ms=at(18), roll="preceding", calendar="bank", **BERLIN), "2026-05-08T18:00+02:00"),
    ("the 15th", "2026-03-16T00:00Z", Wait(day_of_month=15, time_of_day_ms=0), "2026-04-15T00:00Z"),
    ("the last day of a month", "2026-02-03T00:00Z", Wait(day_of_month=31), "2026-02-28T00:00Z"),
    ("the last day of a leap February", "2028-02-03T00:00Z", Wait(day_of_month=31), "2028-02-29T00:00Z"),
    ("the last day, a Sunday, rolled out of the month", "2026-05-03T00:00Z",
     Wait(day_of_month=31, roll="following", calendar="weekends"), "2026-06-01T00:00Z"),
    # Months.
    ("a month from the end of January", "2026-01-31T10:00Z", Wait(months=1), "2026-02-28T10:00Z"),
    ("thirteen months", "2026-12-15T10:00Z", Wait(months=13), "2028-01-15T10:00Z"),
    ("a month to a Saturday, rolled", "2026-07-15T10:00Z", Wait(months=1, roll="following", calendar="weekends"),
     "2026-08-17T10:00Z"),
    ("three days and two months", "2026-01-30T10:00Z", Wait(days=3, months=2), "2026-04-02T10:00Z"),
    ("a month, then the first", "2026-01-10T10:00Z", Wait(months=1, day_of_month=1), "2026-03-01T10:00Z"),
    # Clocks in New York go from 02:00 to 03:00 on 8 March 2026, from 02:00 back to 01:00 on 1 November.
    ("a time that does not exist is the moment behind the gap", "2026-03-07T12:00-05:00",
     Wait(time_of_day_ms=at(2, 30), **NEW_YORK), "2026-03-08T03:00-04:00"),
    ("so is the same time a day later", "2026-03-07T02:45-05:00", Wait(days=1, **NEW_YORK), "2026-03-08T03:00-04:00"),
    ("a time that comes twice is the first of the two", "2026-10-31T12:00-04:00",
     Wait(time_of_day_ms=at(1, 30), **NEW_YORK), "2026-11-01T01:30-04:00"),
    ("between the two it is over", "2026-11-01T01:40-04:00", Wait(time_of_day_ms=at(1, 30), **NEW_YORK),
     "2026-11-02T01:30-05:00"),
    ("and behind the second too", "2026-11-01T01:40-05:00", Wait(time_of_day_ms=at(1, 30), **NEW_YORK),
     "2026-11-02T01:30-05:00"),
    ("a day that has 25 hours", "2026-10-31T12:00-04:00", Wait(days=1, **NEW_YORK), "2026-11-01T12:00-05:00"),
    # Berlin: 29 March 2026, 02:00 to 03:00; 25 October, 03:00 back to 02:00.
    ("Berlin in spring", "2026-03-28T12:00+01:00", Wait(time_of_day_ms=at(2), **BERLIN), "2026-03-29T03:00+02:00"),
    ("Berlin in autumn", "2026-10-24T12:00+02:00", Wait(time_of_day_ms=at(2), **BERLIN), "2026-10-25T02:00+02:00"),
    # Lord Howe Island moves its clocks by half an hour: 4 October 2026, 02:00 to 02:30; 5 April, 02:00 back to 01:30.
    ("Lord Howe in spring", "2026-10-03T12:00+10:30", Wait(time_of_day_ms=at(2, 15), **LORD_HOWE),
     "2026-10-04T02:30+11:00"),
    ("Lord Howe in autumn", "2026-04-04T12:00+11:00", Wait(time_of_day_ms=at(1, 45), **LORD_HOWE),
     "2026-04-05T01:45+11:00"),
    # Samoa left out 30 December 2011 whole.
    ("a day that was left out", "2011-12-29T09:00-10:00", Wait(days=1, zone="Pacific/Apia"), "2011-12-31T00:00+14:00"),
    # Time of business days alone.
    ("two days of business time over a weekend", "2026-03-06T15:00Z", Wait(after_ms=2 * DAY_MS, calendar="weekends"),
     "2026-03-10T15:00Z"),
    ("it begins when business does", "2026-03-07T15:00Z", Wait(after_ms=at(4), calendar="weekends"),
     "2026-03-09T04:00Z"),
    ("it may end with the day", "2026-03-06T20:00Z", Wait(after_ms=at(4), calendar="weekends"), "2026-03-07T00:00Z"),
    ("from a Saturday on, all of Monday", "2026-03-28T12:00+01:00",
     Wait(after_ms=DAY_MS, calendar="weekends", **BERLIN), "2026-03-31T00:00+02:00"),
    ("a Sunday that is worked has 23 hours", "2026-03-28T12:00+01:00",
     Wait(after_ms=DAY_MS + 1, calendar="saturdays", **BERLIN), "2026-03-30T01:00:00.001+02:00"),
    ("no time at all is at once, on a day off too", "2026-03-07T15:00Z", Wait(after_ms=0, calendar="weekends"),
     "2026-03-07T15:00Z"),
]  # fmt: skip


@pytest.mark.parametrize(("from_", "wait", "expected"), [row[1:] for row in FIRST], ids=[row[0] for row in FIRST])
def test_due(from_, wait, expected):
    found = due_ms(wait, parse_time_ms(from_), None, CALENDARS)
    assert format_time(found) == format_time(parse_time_ms(expected))


# what, from, wait, due moments of `every`, in order
ROWS = [
    ("a duration", "2026-03-01T12:00Z", Wait(after_ms=at(6)), ["03-01T18:00Z", "03-02T00:00Z", "03-02T06:00Z"]),
    ("business time", "2026-03-06T12:00Z", Wait(after_ms=at(18), calendar="weekends"),
     ["03-09T06:00Z", "03-10T00:00Z", "03-10T18:00Z"]),
    ("month ends do not drift", "2026-01-31T10:00Z", Wait(months=1), ["02-28T10:00Z", "03-31T10:00Z", "04-30T10:00Z"]),
    ("quarters that are rolled do not drift", "2026-01-15T10:00Z",
     Wait(months=3, day_of_month=31, roll="following", calendar="weekends"),
     ["04-30T10:00Z", "07-31T10:00Z", "11-02T10:00Z"]),
    ("the first of each month, rolled", "2026-07-15T00:00Z",
     Wait(day_of_month=1, time_of_day_ms=at(9), roll="following", calendar="weekends"),
     ["08-03T09:00Z", "09-01T09:00Z", "10-01T09:00Z", "11-02T09:00Z"]),
    ("the first of each month, rolled back", "2026-07-15T00:00Z",
     Wait(day_of_month=1, time_of_day_ms=at(9), roll="preceding", calendar="weekends"),
     ["07-31T09:00Z", "09-01T09:00Z", "10-01T09:00Z", "10-30T09:00Z"]),
    ("each business day, once", "2026-04-30T12:00Z", Wait(days=1, time_of_day_ms=at(9), calendar="bank"),
     ["05-04T09:00Z", "05-05T09:00Z", "05-06T09:00Z"]),
    ("each day, rolled: two that fall on one fire once", "2026-04-30T12:00Z",
     Wait(time_of_day_ms=at(9), roll="following", calendar="bank"), ["05-04T09:00Z", "05-05T09:00Z", "05-06T09:00Z"]),
    ("the cut-off counts for the first alone", "2026-04-30T18:00Z",
     Wait(days=1, cut_off_ms=at(17), calendar="bank"), ["05-05T18:00Z", "05-06T18:00Z", "05-07T18:00Z"]),
    ("an hour left out is back on the next day", "2026-03-06T12:00Z", Wait(time_of_day_ms=at(2, 30), **NEW_YORK),
     ["03-07T02:30-05:00", "03-08T03:00-04:00", "03-09T02:30-04:00"]),
    ("an hour that comes twice fires once", "2026-10-31T12:00Z", Wait(time_of_day_ms=at(1, 30), **NEW_YORK),
     ["11-01T01:30-04:00", "11-02T01:30-05:00"]),
    ("each Friday", "2026-03-02T00:00Z", Wait(weekday=5, time_of_day_ms=at(17), **GULF),
     ["03-06T17:00+04:00", "03-13T17:00+04:00"]),
    ("every third business day", "2026-02-12T10:00+08:00", Wait(days=3, **SHANGHAI),
     ["02-24T10:00+08:00", "02-27T10:00+08:00", "03-03T10:00+08:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("from_", "wait", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_every(from_, wait, expected):
    from_ms = parse_time_ms(from_)
    found = [due_ms(wait, from_ms, None, CALENDARS)]
    while len(found) < len(expected):
        found.append(next_due_ms(wait, from_ms, found[-1], None, CALENDARS))
    assert [format_time(one) for one in found] == [format_time(parse_time_ms(f"2026-{one}")) for one in expected]


def test_until_is_counted_from_and_null_is_not_armed():
    now, moment = parse_time_ms("2026-03-02T12:00Z"), parse_time_ms("2026-03-06T15:00Z")
    assert due_ms(Wait(until="due_ms"), now, None, {}) is None
    assert due(Wait(until="due_ms"), now, moment, {}) == (moment, True, False)
    grace = Wait(until="due_ms", days=3, calendar="weekends")
    assert format_time(due_ms(grace, now, moment, CALENDARS)) == "2026-03-11T15:00:00.000Z"
    assert due_ms(Wait(until="due_ms", after_ms=at(1)), now, moment, {}) == moment + HOUR_MS
    assert next_due(Wait(until="due_ms", months=1), now, moment, None, {}) is None


def test_a_moment_that_has_passed_is_due_at_once_and_says_so():
    now = parse_time_ms("2026-03-02T12:00Z")
    assert due(Wait(until="due_ms"), now, now - 1, {}) == (now, True, True)
    assert due(Wait(until="due_ms", days=1), now, now - 5 * DAY_MS, {}) == (now, True, True)
    assert due(Wait(until="due_ms"), now, now, {}) == (now, True, False)
    every = Wait(until="due_ms", after_ms=DAY_MS)
    assert next_due_ms(every, now, now, now - HOUR_MS, {}) == now + 23 * HOUR_MS  # The row goes on as it was.


def test_a_moment_of_another_age_is_no_error():
    """What a kept number holds is not known before: it may be anything."""
    now = parse_time_ms("2026-03-02T12:00Z")
    for more in ({}, {"months": 1200}, {"day_of_month": 1}, {"days": 9}, {"time_of_day_ms": 5}, {"after_ms": 2**62}):
        wait = Wait(until="x", **more)
        assert more.get("after_ms") or due(wait, now, -(2**62), {}) == (now, True, True)
        assert format_time(due_ms(wait, now, 2**62, {})).startswith("9999-12-")
        assert next_due_ms(wait, now, due_ms(wait, now, 2**62, {}), 2**62, {}) is None


def test_a_year_that_is_not_covered_is_told():
    eve = parse_time_ms("2026-12-31T02:00Z")
    assert due(Wait(days=1, **SHANGHAI), eve, None, CALENDARS) == (parse_time_ms("2027-01-01T02:00Z"), False, False)
    assert due(Wait(days=0, **SHANGHAI), eve, None, CALENDARS).covered
    assert due(Wait(after_ms=HOUR_MS, **SHANGHAI), eve, None, CALENDARS).covered
    assert not due(Wait(after_ms=DAY_MS, **SHANGHAI), eve, None, CALENDARS).covered
    assert not next_due(Wait(days=1, **SHANGHAI), eve - DAY_MS, eve, None, CALENDARS).covered
    saturday = Wait(day_of_month=1, months=12, roll="preceding", **SHANGHAI)  # 1 January 2028, asked for, not used.
    assert due(saturday, parse_time_ms("2026-12-15T02:00Z"), None, CALENDARS) == (
        parse_time_ms("2027-12-31T02:00Z"), False, False,
    )  # fmt: skip
    assert due(Wait(days=400), eve, None, {}).covered


@pytest.mark.parametrize("wait", [Wait(), Wait(after_ms=0), Wait(months=0), Wait(until="x"), Wait(roll="following")])
def test_a_wait_that_says_one_moment_does_not_come_again(wait):
    assert next_due(wait, 0, 0, 5, {}) is None


def test_a_calendar_without_business_days_is_told():
    closed = {"closed": Calendar("closed", tuple(range(1, 8)))}
    with pytest.raises(InputError, match=r"calendar: the calendar has no business day near the date; was 1970-01-01"):
        due(Wait(days=1, calendar="closed"), 0, None, closed)
