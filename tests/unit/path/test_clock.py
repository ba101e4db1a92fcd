"""Clocks that go wrong under a writer: what is stamped, what is answered, what is refused on opening, and the cure."""

from __future__ import annotations

import re

import pytest
from shop import T0, HandClock, ask, opened

from quanheng.engine import Engine
from quanheng.kernel.errors import ConfigurationError
from quanheng.kernel.steady import SteadyClock

YEAR_MS = 365 * 86_400_000


@pytest.fixture
def hands():
    """A wall clock and the time that passes, both moved by hand."""
    return HandClock(), HandClock(0)


def steady(hands) -> SteadyClock:
    return SteadyClock(*hands, jump_ms_max=1_000)


def stamps(engine: Engine) -> list[int]:
    return [engine.log.record(offset).received_ms for offset in range(engine.log.head)]


def test_a_leap_of_the_machines_clock_is_not_stamped_into_the_log(tmp_path, hands):
    wall, passed = hands
    engine = opened(tmp_path, steady(hands))
    engine.submit([ask("a")])
    wall.now_ms += YEAR_MS
    engine.submit([ask("b")])
    wall.now_ms += 60_000
    passed.now_ms += 60_000
    engine.submit([ask("c")])
    assert stamps(engine)[-1] <= T0 + 60_000 * 11 // 10 + 1_000
    assert engine.metrics()["clock_jumps"] == 1
    assert engine.metrics()["clock_ahead_ms"] == T0 + 67_000 - wall.now_ms
    wall.now_ms -= YEAR_MS  # The operator sets it right.
    engine.submit([ask("d")])
    passed.now_ms += 100_000
    wall.now_ms += 100_000
    engine.submit([ask("e")])
    assert stamps(engine)[-1] == wall.now_ms
    assert engine.metrics()["clock_ahead_ms"] == 0
    engine.close()
    engine = opened(tmp_path, wall)  # And the next start finds nothing odd.
    engine.close()


def test_a_clock_set_back_stops_nothing_and_stamps_never_decrease(tmp_path, hands):
    wall, passed = hands
    engine = opened(tmp_path, steady(hands))
    wall.now_ms -= YEAR_MS
    for number in range(50):
        wall.now_ms += 100
        passed.now_ms += 100
        engine.submit([ask(f"r{number}")])
    seen = stamps(engine)
    assert seen == sorted(seen)
    assert seen[-1] >= T0 + 3_000  # Time goes on: time-outs fire.
    engine.close()


def stamped_ahead(folder, ahead_ms: int) -> None:
    engine = opened(folder, HandClock(T0 + ahead_ms))
    engine.submit([ask("a")])
    engine.close()


def test_a_log_from_the_future_is_refused_with_the_cure(tmp_path):
    stamped_ahead(tmp_path, YEAR_MS)
    with pytest.raises(ConfigurationError) as caught:
        opened(tmp_path, HandClock())
    assert str(caught.value) == (
        f"clock: the newest stamp of the log is ahead of this machine's clock; was {YEAR_MS} ms, "
        "2027-01-15T10:00:00.000Z; allowed: at most 1000 ms (clock.jump_ms_max). Set the clock of the machine. If it "
        "is right and the log was stamped by a wrong one, restore a copy of before, or go on from its stamp with "
        "clock.accept_log_ahead = true."
    )
    opened(tmp_path, HandClock(T0 + YEAR_MS)).close()


def test_a_log_a_little_ahead_is_opened(tmp_path):
    """Two machines of one stand-by pair never agree to the millisecond."""
    stamped_ahead(tmp_path, 1_000)
    opened(tmp_path, HandClock()).close()


def test_whoever_goes_on_from_a_log_ahead_gets_time_that_passes(tmp_path, hands):
    wall, passed = hands
    stamped_ahead(tmp_path, YEAR_MS)
    engine = opened(tmp_path, steady(hands), log_ahead_ms_max=None)
    assert engine.metrics()["clock_ahead_ms"] == YEAR_MS
    wall.now_ms += 10_000
    passed.now_ms += 10_000
    engine.submit([ask("b")])
    assert stamps(engine)[-1] == T0 + YEAR_MS + 9_000
    engine.close()


def test_the_machines_own_clock_is_followed_by_default(tmp_path):
    engine = Engine.open(tmp_path / "data")
    engine.issue_token("web", ["read"])
    assert abs(engine.clock_ahead_ms()) <= 1_000
    assert re.fullmatch(r"\d{13}", str(stamps(engine)[-1]))
    engine.close()
