"""A clock for a writer: it follows the machine's clock, but never by a jump larger than a declared bound.

What the writer stamps stays in the log for good, so a wall clock that leaps (a bad time server, a wrong hand, a machine
restored from an image) must not be believed at once. A monotonic clock beside it tells how much time really passed.
Between two readings that are t ms apart this clock moves by t, and corrects itself towards the wall clock by at most
`jump_ms_max` at once and a tenth of the time that passes: in any span of t ms it moves by t ± (t / 10 + jump_ms_max).
Both clocks are passed in.
"""

from __future__ import annotations

from collections.abc import Callable

from quanheng.kernel.errors import ConfigurationError
from quanheng.kernel.time import format_time

SLEW = 10
"""A correction beyond the bound takes this many times as long as it is large."""

_US = 1_000


class SteadyClock:
    """Call it for epoch milliseconds UTC. Not for several threads at once.

    Parameters
    ----------
    wall : the machine's clock, epoch milliseconds UTC
    monotonic : milliseconds since some moment, never set by anybody; counts sleep of the machine where it can
    jump_ms_max : largest correction at once
    on_jump : if given, told when the wall clock leaps away: milliseconds it is ahead (negative: behind)

    Attributes
    ----------
    off_ms : how far the wall clock was ahead at the last reading, after the correction; 0 = followed
    jumps : how often it leapt away by more than the bound
    """

    def __init__(
        self,
        wall: Callable[[], int],
        monotonic: Callable[[], int],
        jump_ms_max: int,
        on_jump: Callable[[int], None] | None = None,
    ) -> None:
        self.wall, self._monotonic, self._on_jump = wall, monotonic, on_jump
        self._bound_us = self._room_us = jump_ms_max * _US
        self._now_us, self._read_ms = wall() * _US, monotonic()
        self.off_ms, self.jumps = 0, 0
        self._away = False

    def begin_at(self, time_ms: int) -> None:
        """Go on from `time_ms`, whatever the wall clock says: a log was taken over that is ahead of it."""
        self._now_us = time_ms * _US
        self._room_us = 0

    def __call__(self) -> int:
        """Epoch milliseconds UTC."""
        wall_us, read_ms = self.wall() * _US, self._monotonic()
        passed_us = max(0, read_ms - self._read_ms) * _US
        self._read_ms = read_ms
        self._now_us += passed_us
        self._room_us += passed_us // SLEW
        off_us = wall_us - self._now_us
        self._note(off_us)
        correction_us = max(-self._room_us, min(self._room_us, off_us))
        self._room_us = min(self._bound_us, self._room_us - abs(correction_us))
        self._now_us += correction_us
        self.off_ms = (off_us - correction_us) // _US
        return self._now_us // _US

    def _note(self, off_us: int) -> None:
        """Tell of a leap once, until the wall clock has been caught up with."""
        if abs(off_us) > self._bound_us and not self._away:
            self._away = True
            self.jumps += 1
            if self._on_jump is not None:
                self._on_jump(off_us // _US)
        elif abs(off_us) <= self._room_us:
            self._away = False


def begin_after(clock: Callable[[], int], last_ms: int, ahead_ms_max: int | None) -> None:
    """Refuse a log whose newest stamp lies in the future, or go on from there if that is wished."""
    ahead_ms = last_ms - clock()
    if ahead_ms_max is not None and ahead_ms > ahead_ms_max:
        raise ConfigurationError(
            "the newest stamp of the log is ahead of this machine's clock",
            where="clock",
            found=f"{ahead_ms} ms, {format_time(last_ms)}",
            allowed=f"at most {ahead_ms_max} ms (clock.jump_ms_max)",
            cure="Set the clock of the machine. If it is right and the log was stamped by a wrong one, restore a copy "
            "of before, or go on from its stamp with clock.accept_log_ahead = true.",
        )
    if ahead_ms > 0 and isinstance(clock, SteadyClock):
        clock.begin_at(last_ms)
