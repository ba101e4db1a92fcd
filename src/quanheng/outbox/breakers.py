"""Circuit breakers: an address that fails again and again is left alone for a while.

Closed: everything is tried. So many failures in a row, whoever asked, open it: nothing is tried for a while. Then one
message is tried: if it is taken the circuit closes, else it stays open for as long again.
"""

from __future__ import annotations

from quanheng.loading.declared_calls import CallDeclaration

FAILURES = frozenset({"timed_out", "unreachable", "failing", "wrong_answer"})
"""Reasons that speak against the address. A refusal of one message does not."""


class Breaker:
    """The circuit of one address. Thresholds are those of the call that asks.

    Attributes
    ----------
    failures : in a row; failed_ms : moment of the newest
    """

    def __init__(self) -> None:
        self.failures, self.failed_ms = 0, 0
        self._trying = False

    def opens_ms(self, call: CallDeclaration, now_ms: int) -> int:
        """Up to when the circuit is open for this call; not later than now = it may be tried."""
        if not self.is_open(call):
            return now_ms
        until_ms = self.failed_ms + call.breaker_ms
        return max(until_ms, now_ms + call.timeout_ms) if self._trying else until_ms

    def is_open(self, call: CallDeclaration) -> bool:
        """Whether so many tries have failed in a row."""
        return 0 < call.breaker_failures <= self.failures

    def begin(self, call: CallDeclaration) -> None:
        """A try begins: of an open circuit no other until it has ended."""
        self._trying = self._trying or self.is_open(call)

    def leave(self) -> None:
        """A try was broken off: nothing is known of it."""
        self._trying = False

    def end(self, reason: str, now_ms: int) -> None:
        """A try has ended; no reason = the message was taken."""
        self._trying = False
        if reason in FAILURES:
            self.failures, self.failed_ms = self.failures + 1, now_ms
        else:
            self.failures = 0
