"""Entries of the request index in memory: rows side by side, found by key, until they are written as one run.

No object is kept per entry: the garbage collector would walk all of them while callers wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

NO_DECISION = -1
ROW = np.dtype([("key", "V16"), ("event", "<i8"), ("digest", "V16"), ("decision", "<i8")])


class Entry(NamedTuple):
    """Where a request is recorded: offset of its event, digest of its content, offset of its decision (-1 none)."""

    event: int
    digest: bytes
    decision: int = NO_DECISION


class Entries:
    """Entries by key. One thread adds; others may look up meanwhile.

    Parameters
    ----------
    room : rows that fit without moving
    upto : the log offset up to (not with) which the entries are known, those before them included
    """

    def __init__(self, room: int, upto: int) -> None:
        self.upto = upto
        self._rows = np.empty(room, ROW)
        self._end = 0
        self._places: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._places)

    def add(
        self, keys: Sequence[bytes], events: Sequence[int], digests: bytes, decisions: Sequence[int], upto: int
    ) -> None:
        """Add entries, given side by side (`digests` joined); a key that is there already gets the new one."""
        self.upto = upto
        first, end = self._end, self._end + len(keys)
        if end > len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty(end, ROW)])
        rows = self._rows[first:end]
        rows["key"] = np.frombuffer(b"".join(keys), "V16")
        rows["event"], rows["decision"] = events, decisions
        rows["digest"] = np.frombuffer(digests, "V16")
        self._end = end
        self._places.update(zip(keys, range(first, end), strict=True))  # Last: who finds the key finds its row.

    def find(self, key: bytes) -> Entry | None:
        """The entry of `key`."""
        place = self._places.get(key)
        return None if place is None else entry_of(self._rows[place])

    def rows(self) -> np.ndarray[Any, Any]:
        """A copy of the rows, in the order of their keys' coming."""
        return self._rows[np.fromiter(self._places.values(), np.int64, len(self._places))]


def entry_of(row: np.void) -> Entry:
    """The entry that a row says."""
    _, event, digest, decision = row.tolist()
    return Entry(event, bytes(digest), decision)
