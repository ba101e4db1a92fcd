"""A clock that follows the machine's, but not by leaps: what is stamped into a log stays there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quanheng.kernel.steady import SLEW, SteadyClock

T0 = 1_768_471_200_000
HOUR_MS = 3_600_000


class Machine:
    """A wall clock that can be set, and the time that really passes."""

    def __init__(self):
        self.wall_ms, self.passed_ms = T0, 12_345

    def wait(self, ms):
        self.wall_ms += ms
        self.passed_ms += ms

    def clock(self, jump_ms_max=1_000):
        self.told = []
        return SteadyClock(lambda: self.wall_ms, lambda: self.passed_ms, jump_ms_max, self.told.append)


def test_an_ordinary_clock_is_followed():
    machine = Machine()
    clock = machine.clock()
    for _ in range(100):
        machine.wait(37)
        machine.wall_ms += 3  # As a time server slews it.
        assert clock() == machine.wall_ms
    assert (clock.off_ms, clock.jumps, machine.told) == (0, 0, [])


def test_a_small_step_is_followed_at_once():
    machine = Machine()
    clock = machine.clock()
    machine.wall_ms += 1_000
    assert clock() == machine.wall_ms
    machine.wait(10_000)
    machine.wall_ms -= 900
    assert clock() == machine.wall_ms
    assert machine.told == []


def test_a_leap_of_a_year_is_told_once_and_not_followed():
    machine = Machine()
    clock = machine.clock()
    machine.wall_ms += 365 * 24 * HOUR_MS
    first = clock()
    assert first == T0 + 1_000  # The bound at once,
    machine.wait(10_000)
    assert clock() == first + 10_000 + 1_000  # then a tenth of the time that passes.
    assert machine.told == [365 * 24 * HOUR_MS]
    assert clock.jumps == 1
    assert clock.off_ms == machine.wall_ms - clock()


def test_a_clock_that_is_set_back_is_waited_for_and_time_goes_on():
    machine = Machine()
    clock = machine.clock()
    machine.wall_ms -= HOUR_MS
    assert clock() == T0 - 1_000  # The writer does not stamp backwards: it stands for a second.
    machine.wait(10_000)
    assert clock() == T0 - 1_000 + 9_000
    assert machine.told == [-HOUR_MS]


def test_after_the_catch_up_the_next_leap_is_told_again():
    machine = Machine()
    clock = machine.clock(jump_ms_max=100)
    for _ in range(2):
        machine.wall_ms += 5_000
        clock()
        for _ in range(60):
            machine.wait(1_000)
            clock()
        assert (clock(), clock.off_ms) == (machine.wall_ms, 0)
    assert machine.told == [5_000, 5_000]


def test_a_leap_that_is_mended_leaves_no_trace():
    machine = Machine()
    clock = machine.clock()
    machine.wall_ms += HOUR_MS
    clock()
    machine.wait(60_000)
    machine.wall_ms -= HOUR_MS
    clock()
    machine.wait(120_000)
    assert clock() == machine.wall_ms


def test_a_clock_that_begins_ahead_goes_on_from_there_and_slows_down():
    machine = Machine()
    clock = machine.clock()
    clock.begin_at(T0 + HOUR_MS)
    assert clock() == T0 + HOUR_MS
    machine.wait(1_000)
    assert clock() == T0 + HOUR_MS + 900
    machine.wait(SLEW * HOUR_MS)
    assert clock() == machine.wall_ms


steps = st.lists(st.tuples(st.integers(0, 5_000), st.integers(-(10**9), 10**9)), min_size=1, max_size=60)


@given(steps, st.integers(0, 5_000))
def test_in_any_span_it_moves_by_the_time_that_passed_within_the_bound(moves, bound):
    """Whatever the wall clock does, between any two readings: |moved - passed| <= passed / 10 + bound."""
    machine = Machine()
    clock = machine.clock(bound)
    seen = [(machine.passed_ms, clock())]
    for wait_ms, leap_ms in moves:
        machine.wait(wait_ms)
        machine.wall_ms += leap_ms
        seen.append((machine.passed_ms, clock()))
    for index, (passed, at) in enumerate(seen):
        for later_passed, later in seen[index + 1 :]:
            span = later_passed - passed
            assert abs(later - at - span) <= span // SLEW + bound + 1  # 1: both are whole milliseconds.


@given(st.integers(-(10**7), 10**7), st.integers(0, 5_000))
def test_it_comes_back_to_a_wall_clock_that_keeps_still(leap_ms, bound):
    machine = Machine()
    clock = machine.clock(bound)
    machine.wall_ms += leap_ms
    clock()
    machine.wait(SLEW * abs(leap_ms) + SLEW)
    assert clock() == machine.wall_ms
