"""When the next group is worth its fixed cost, and how many events it takes.

A group costs about a millisecond whatever its size. Callers who wait for an answer send the next request only after it,
so those who were answered together come back together. Taken as they come, 64 callers fall into groups of 3 and 61: the
three hold up the rest, and the writer stands still while the 61 travel. So the callers of the moment are taken in two
halves: one half is decided and made durable while the answers of the other travel.

Halves are not exact. A few more than a half are taken with it: left behind, they would wait for a whole group more, and
those few are the slowest of all. And the rest of the crowd, once it is all there, does not wait to become a half.
"""

from __future__ import annotations

HALVED_MIN = 16
"""Fewer events than this are not halved: two groups would cost more than the overlap saves."""
FORGET_SHARE = 8
"""Each group forgets an eighth of a crowd that has gone."""
OVER_SHARE = 4
"""A quarter more than a half is taken with it."""
SMOOTH = 8
FIRST_WAIT_S = 0.001


class Pace:
    """Watches how many events are under way, and how long it takes to decide a group.

    Parameters
    ----------
    group_events_max : events in a group at most
    """

    def __init__(self, group_events_max: int) -> None:
        self._group_events_max = group_events_max
        self._crowd = 0
        self.wait_s = FIRST_WAIT_S
        """How long an idle writer waits for callers who are on their way: as long as deciding a group takes."""

    def wanted(self, queued: int, committing: int) -> int:
        """Events that make a group worth starting; one for an idle writer when few are under way."""
        crowd = max(self._crowd, queued + committing)
        if crowd < HALVED_MIN:
            return max(1, committing)
        half = -(-crowd // 2)
        return min(half, max(crowd - committing, half // 2), self._group_events_max)

    def take(self, queued: int, committing: int) -> int:
        """A group is taken now: how many events at most."""
        forgotten = self._crowd // FORGET_SHARE + 1
        self._crowd = max(queued + committing, self._crowd - forgotten)
        if self._crowd < HALVED_MIN:
            return self._group_events_max
        half = -(-self._crowd // 2)
        return min(queued if queued <= half + half // OVER_SHARE else half, self._group_events_max)

    def decided(self, seconds: float) -> None:
        """A group took so long in memory."""
        self.wait_s += (seconds - self.wait_s) / SMOOTH
