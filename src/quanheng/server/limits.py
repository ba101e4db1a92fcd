"""How many events a client may send: one token bucket a client, in whole micro-events, the clock passed in."""

from __future__ import annotations

from collections import OrderedDict

MICRO = 1_000_000


class RateLimiter:
    """Token buckets by client. The least recently seen client is forgotten when there are too many.

    Parameters
    ----------
    events_per_s : refill rate; 0 switches the limit off
    burst_events : size of a bucket
    clients_max : buckets kept

    Notes
    -----
    Levels are integers (millionths of an event) and time is integer microseconds, so nothing drifts: after t
    microseconds a bucket holds min(burst, level + rate * t). A request larger than the bucket passes when the bucket is
    full and leaves it in debt; otherwise it could never pass at all.
    """

    def __init__(self, events_per_s: int, burst_events: int, clients_max: int) -> None:
        self.events_per_s, self.burst, self.clients_max = events_per_s, burst_events * MICRO, clients_max
        self._buckets: OrderedDict[bytes, tuple[int, int]] = OrderedDict()

    def take(self, client: bytes, events: int, now_us: int) -> int:
        """Take `events` from the bucket of `client` at `now_us`.

        Returns
        -------
        0 if they may pass, else the seconds (rounded up, at least 1) after which they would
        """
        rate = self.events_per_s
        if not rate:
            return 0
        level, seen_us = self._buckets.get(client, (self.burst, now_us))
        level = min(self.burst, level + rate * max(0, now_us - seen_us))
        asked = events * MICRO
        needed = min(asked, self.burst)
        passes = level >= needed
        self._buckets[client] = (level - asked if passes else level, max(now_us, seen_us))
        self._buckets.move_to_end(client)
        if len(self._buckets) > self.clients_max:
            self._buckets.popitem(last=False)
        if passes:
            return 0
        wait_us = -(-(needed - level) // rate)
        return max(1, -(-wait_us // MICRO))

    def __len__(self) -> int:
        return len(self._buckets)
