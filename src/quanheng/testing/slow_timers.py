"""Pending timers the plain way: one dict, sorted whenever it is asked. The twin of `processes/timers.py`."""

from __future__ import annotations

from quanheng.processes.timers import Armed, Due


class SlowTimers:
    """The same answers, without arrays."""

    def __init__(self) -> None:
        self.pending: dict[int, Due] = {}
        self.next_serial = 1

    @property
    def count(self) -> int:
        """How many are pending."""
        return len(self.pending)

    @property
    def next_due_ms(self) -> int | None:
        """When the first of them is due."""
        return min((one.due_ms for one in self.pending.values()), default=None)

    def arm(self, owner: int, part: int, timer: int, due_ms: int) -> int:
        """Put in a timer; its serial."""
        serial, self.next_serial = self.next_serial, self.next_serial + 1
        self.pending[serial] = Due(serial, owner, part, timer, due_ms)
        return serial

    def cancel(self, owner: int, part: int) -> int:
        """Take out all timers of a part of an owner; how many there were."""
        found = [one.serial for one in self.pending.values() if (one.owner, one.part) == (owner, part)]
        for serial in found:
            del self.pending[serial]
        return len(found)

    def fire(self, serial: int) -> bool:
        """Take out a timer that has fired; whether it was pending."""
        return self.pending.pop(serial, None) is not None

    def is_armed(self, serial: int) -> bool:
        """Whether a timer is pending."""
        return serial in self.pending

    def of(self, owner: int) -> list[Armed]:
        """Timers of an owner, in the order of their serials."""
        return [Armed(one.serial, *one[2:]) for one in sorted(self.pending.values()) if one.owner == owner]

    def due(self, now_ms: int, most: int) -> list[Due]:
        """Up to `most` timers that are due at a moment, in order."""
        found = [one for one in self.pending.values() if one.due_ms <= now_ms]
        return sorted(found, key=lambda one: (one.due_ms, one.serial))[: max(most, 0)]
