"""Due moments equal those of the plain twin, over zones, changes of clocks, calendars and waits of every kind."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from quanheng.kernel.calendars import DECLARED, NOT_COVERED, OFF, WORK, Calendar, CalendarYear
from quanheng.kernel.time import DAY_MS, HOUR_MS, parse_time_ms
from quanheng.kernel.zones import first_moment_ms, local_ms, offsets_of
from quanheng.loading.checks.calendars import shipped_calendars
from quanheng.processes.times import Wait, due, next_due, recurs
from quanheng.testing.slow_times import slow_due, slow_next_due

ZONES = (
    "UTC", "Asia/Shanghai", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns",
    "America/Havana", "Pacific/Apia", "Atlantic/Azores", "Africa/Cairo",
)  # fmt: skip
"""Clocks change from 00:00 to 23:00 (Azores), at 00:01 (St John's, to 2011), midnight (Havana); Apia left out a day."""
FIRST, LAST = parse_time_ms("1999-06-01"), parse_time_ms("2030-01-01")


@st.composite
def calendars(draw):
    """Some years, not always one after another, with days off and weekend days that are worked."""
    weekend = tuple(sorted(draw(st.frozensets(st.integers(1, 7), max_size=3))))
    years = []
    for year in sorted(draw(st.frozensets(st.integers(2000, 2029), max_size=6))):
        days = [date(year, 1, 1) + timedelta(days=number) for number in range(365)]
        off = draw(st.frozensets(st.sampled_from(days), max_size=12))
        first = draw(st.integers(0, 350))
        off |= set(days[first : first + draw(st.integers(0, 12))])
        free = [day for day in days if day.isoweekday() in weekend and day not in off]
        work = draw(st.frozensets(st.sampled_from(free), max_size=5)) if free else ()
        years.append(CalendarYear(year, tuple(sorted(off)), tuple(sorted(work)), "invented"))
    return Calendar("days", weekend, tuple(years))


@st.composite
def moments(draw, zone):
    """Any, or one near a change of the clocks of the zone, a midnight there, or the turn of a year."""
    changes = [one for one in offsets_of(zone).changes if FIRST < one < LAST]
    near = draw(st.sampled_from(["any", "change", "midnight", "year"]))
    moment = draw(st.integers(FIRST, LAST))
    if near == "change" and changes:
        moment = draw(st.sampled_from(changes)) + draw(st.integers(-2 * DAY_MS, 2 * DAY_MS))
    elif near == "midnight":
        moment = first_moment_ms(zone, moment // DAY_MS * DAY_MS) + draw(st.sampled_from([-1, 0, 1]))
    elif near == "year":
        moment = parse_time_ms(f"{draw(st.integers(2000, 2029))}-12-31") + draw(st.integers(-DAY_MS, DAY_MS))
    return moment


times_of_day = st.sampled_from([-1, 0, 1, HOUR_MS, 9_000_000, 8_100_000, 23 * HOUR_MS + 1_800_000, DAY_MS - 1])


@st.composite
def waits(draw, zone):
    calendar = draw(st.sampled_from(["", "days", "china"]))
    until = draw(st.sampled_from(["", "", "", "moment"]))
    if draw(st.integers(0, 4)) == 0:
        after = draw(st.sampled_from([0, 1, HOUR_MS]) | st.integers(0, 3 * DAY_MS))
        return Wait(after_ms=after, calendar=calendar, zone=zone, until=until)
    return Wait(
        days=draw(st.sampled_from([-1, -1, 0, 1, 2, 5, 11])), months=draw(st.sampled_from([-1, -1, -1, 0, 1, 3, 12])),
        time_of_day_ms=draw(times_of_day), weekday=draw(st.sampled_from([0, 0, 1, 5, 7])),
        day_of_month=draw(st.sampled_from([0, 0, 1, 15, 30, 31])),
        roll=draw(st.sampled_from(["", "following", "preceding"])) if calendar else "", until=until, zone=zone,
        calendar=calendar, cut_off_ms=draw(st.sampled_from([-1, -1, 0, 17 * HOUR_MS])),
    )  # fmt: skip


@st.composite
def asked(draw):
    zone = draw(st.sampled_from(ZONES))
    until = draw(st.none() | moments(zone))
    return draw(waits(zone)), draw(moments(zone)), until, {"days": draw(calendars()), **shipped_calendars()}


BUSINESS_TIME = Wait(after_ms=DAY_MS, calendar="days", zone="Atlantic/Azores")


@settings(max_examples=150, deadline=None)
@given(asked())
@example((BUSINESS_TIME, parse_time_ms("2026-10-24T23:30Z"), None, {"days": Calendar("days", (7,))}))
@example((BUSINESS_TIME, parse_time_ms("2026-10-25T00:30Z"), None, {"days": Calendar("days", (7,))}))
def test_due_equals_the_twin(asked):
    wait, from_ms, until, known = asked
    found = due(wait, from_ms, until, known)
    assert found == slow_due(wait, from_ms, until, known)
    if wait.until and until is None:
        assert found is None
        return
    assert found.due_ms >= from_ms
    assert not found.passed or (wait.until and found.due_ms == from_ms)


@settings(max_examples=100, deadline=None)
@given(asked(), st.lists(st.just(0) | st.integers(0, 3 * DAY_MS), min_size=1, max_size=4))
def test_what_comes_again_equals_the_twin(asked, skipped_ms):
    """The last moment may be one of the row, or any between two of them: those before it are left out (`once`)."""
    wait, from_ms, until, known = asked
    if wait.until and until is not None:  # The twin walks from there, one moment of the row after another.
        near_ms = 1_000 * wait.after_ms + 2 if wait.after_ms >= 0 else 400 * DAY_MS
        until = from_ms + until % near_ms - near_ms // 2
    found = due(wait, from_ms, until, known)
    for skip_ms in skipped_ms if found else ():
        last_ms = found.due_ms + (skip_ms if wait.after_ms < 0 else min(skip_ms, 3 * wait.after_ms))
        following = next_due(wait, from_ms, last_ms, until, known)
        expected = slow_next_due(wait, from_ms, last_ms, until, known)
        assert (following and following.due_ms) == (expected and expected.due_ms)
        assert skip_ms or following == expected
        if following is None:
            assert not recurs(wait)
            return
        assert following.due_ms > found.due_ms
        found = following


@given(st.data(), st.sampled_from(ZONES))
def test_local_times_have_one_first_moment(data, zone):
    moment = data.draw(moments(zone))
    wall = local_ms(zone, moment)
    first = first_moment_ms(zone, wall)
    assert first <= moment
    assert local_ms(zone, first) == wall  # It exists, since it was shown.
    assert local_ms(zone, first - 1) < wall
    left_out = data.draw(st.integers(wall - DAY_MS, wall + DAY_MS))
    assert local_ms(zone, first_moment_ms(zone, left_out)) >= left_out
    assert local_ms(zone, first_moment_ms(zone, left_out) - 1) < left_out


@given(calendars(), st.integers(10_500, 22_000), st.integers(0, 700))
def test_business_days_are_counted_as_they_are_walked(calendar, day, count):
    walked = [one for one in range(day, day + 2 * count + 80) if calendar.is_open(one)]
    assert calendar.ahead(walked[0], min(count, len(walked) - 1)) == walked[min(count, len(walked) - 1)]
    assert calendar.opened(day + count) - calendar.opened(day) == sum(one < day + count for one in walked)
    assert calendar.opened(0) == 0
    assert all(calendar.is_open(one) == calendar.is_business_day(date(1970, 1, 1) + timedelta(one)) for one in walked)
    for one in range(day, day + 30):
        named = date(1970, 1, 1) + timedelta(one)
        known = (WORK,) if calendar.is_open(one) else (OFF, DECLARED)
        assert calendar.code(named) in (known if calendar.covers(named.year) else (NOT_COVERED,))
