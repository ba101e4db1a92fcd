"""Timers of many instances that wait to fire, in order of their due moments."""

from __future__ import annotations

import hashlib
import heapq
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Due(NamedTuple):
    """A timer that is due."""

    serial: int
    owner: int
    part: int
    timer: int
    due_ms: int


class Timers:
    """Pending timers."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int]] = []
        self._armed: dict[int, Due] = {}
        self._by: dict[tuple[int, int], list[int]] = {}
        self._next = 1

    @property
    def count(self) -> int:
        """How many wait."""
        return len(self._armed)

    def arm(self, owner: int, part: int, timer: int, due_ms: int) -> int:
        """A timer begins to wait. Returns its serial number."""
        serial = self._next
        self._next += 1
        self._armed[serial] = Due(serial, owner, part, timer, due_ms)
        self._by.setdefault((owner, part), []).append(serial)
        heapq.heappush(self._heap, (due_ms, serial))
        return serial

    def cancel(self, owner: int, part: int) -> None:
        """Those of a part of an owner wait no longer."""
        for serial in self._by.pop((owner, part), ()):
            self._armed.pop(serial, None)

    def fire(self, serial: int) -> None:
        """It has fired and waits no longer."""
        one = self._armed.pop(serial, None)
        if one is not None:
            self._by[one.owner, one.part].remove(serial)

    def get(self, serial: int) -> Due | None:
        """One that waits; None = it does not."""
        return self._armed.get(serial)

    def is_armed(self, serial: int) -> bool:
        """Whether it waits."""
        return serial in self._armed

    def of(self, owner: int) -> list[Due]:
        """Those of an owner, in the order they were armed."""
        return sorted(one for one in self._armed.values() if one.owner == owner)

    @property
    def next_due_ms(self) -> int | None:
        """When the first is due; None = none waits."""
        while self._heap and self._heap[0][1] not in self._armed:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now_ms: int, most: int) -> list[Due]:
        """Those due by now, at most so many, in order of due moment and serial."""
        if (first := self.next_due_ms) is None or first > now_ms:
            return []
        found = sorted((one.due_ms, one.serial) for one in self._armed.values() if one.due_ms <= now_ms)
        return [self._armed[serial] for _, serial in found[:most]]

    def dump(self) -> dict[str, NDArray]:
        """As arrays."""
        rows = [self._armed[serial] for serial in sorted(self._armed)]
        return {"timers": np.array(rows, np.int64).reshape(len(rows), 5), "next": np.array([self._next])}

    def load(self, arrays: dict[str, NDArray]) -> None:
        """What `dump` gave."""
        self.__init__()  # type: ignore[misc]
        for serial, owner, part, timer, due_ms in arrays["timers"].tolist():
            self._next = serial
            self.arm(owner, part, timer, due_ms)
        self._next = int(arrays["next"][0])

    def digest(self) -> str:
        """SHA-256 (hex) of all that waits."""
        return hashlib.sha256(b"".join(array.tobytes() for array in self.dump().values())).hexdigest()
