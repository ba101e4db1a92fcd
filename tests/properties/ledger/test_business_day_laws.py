"""Business days with a calendar: the first one that is not off, never before the moment, never going back."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from quanheng.kernel.calendars import Calendar
from quanheng.kernel.errors import ConfigurationError
from quanheng.ledger.business_days import BusinessDays, date_of
from quanheng.ledger.closing.days import DAY_MS, CutOff

HOUR_MS = 3_600_000
numbers = st.integers(0, 400)
calendars = st.builds(
    lambda weekend, off, work: Calendar.of(map(date_of, off), map(date_of, work - off), tuple(sorted(weekend))),
    st.frozensets(st.integers(1, 7), max_size=6),
    st.frozensets(numbers, max_size=60),
    st.frozensets(numbers, max_size=9),
)
moments = st.integers(0, 400 * DAY_MS)


def days_of(hour, calendar):
    try:
        return BusinessDays("UTC", hour, calendar)
    except ConfigurationError:  # So many days off that two months have no other: refused, as it says.
        assume(False)
        raise


@given(calendars, moments, moments, st.integers(1, 36))
def test_a_moment_belongs_to_the_first_business_day_from_its_own_on(calendar, first_ms, second_ms, hour):
    days, plain = days_of(hour, calendar), BusinessDays("UTC", hour)
    day, own = days.day_of(first_ms), plain.day_of(first_ms)
    assert calendar.is_business_day(date_of(day))
    assert not any(calendar.is_business_day(date_of(own) + timedelta(days=n)) for n in range(day - own))
    assert days.day_of(max(first_ms, second_ms)) >= days.day_of(min(first_ms, second_ms))


@given(calendars, moments, st.integers(1, 24))
def test_the_door_and_the_end_of_the_day_agree(calendar, now_ms, hour):
    """Two ways to say a cut-off; the closing one has a fixed offset in place of a zone."""
    assert days_of(hour, calendar).day_of(now_ms) == CutOff(0, hour * HOUR_MS, calendar).day_of(now_ms)
