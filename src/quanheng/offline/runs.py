"""Rows of int64 words sorted on disk: runs that fit in memory, merged block by block. Memory is bounded by the run."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.files import Files

Rows = NDArray[np.int64]
"""i8[n, width]"""

RUN_BYTES = 64 << 20
"""How large one run is: the rows that are sorted in memory at once."""


class Runs:
    """Rows that come in any order and leave in the order of their first `key` words.

    Parameters
    ----------
    folder : where the runs lie; each is written whole or not at all
    width, key : words of a row, and how many of them, from the first on, it is sorted by
    run_bytes : size of a run
    """

    def __init__(self, folder: Path, width: int, key: int, run_bytes: int = RUN_BYTES) -> None:
        self.folder, self.width, self.key = folder, width, key
        self.run_rows = max(1, run_bytes // (8 * max(width, 1)))
        self._waiting: list[Rows] = []
        self._held = 0
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, rows: Rows) -> None:
        """Take rows; a full run is sorted and written."""
        for first in range(0, len(rows), self.run_rows):
            part = rows[first : first + self.run_rows]
            if self._held + len(part) > self.run_rows:
                self.flush()
            self._waiting.append(part)
            self._held += len(part)

    def flush(self) -> None:
        """Write what waits as a run of its own, durably."""
        if not self._held:
            return
        rows = np.concatenate(self._waiting)
        out = io.BytesIO()
        np.save(out, rows[_order(rows, self.key)])
        Files().write_durably(self.folder / f"{len(self.files()):06d}.npy", out.getvalue())
        self._waiting, self._held = [], 0

    def files(self) -> list[Path]:
        """The runs that are written, in order."""
        return sorted(self.folder.glob("[0-9]*.npy"))

    def keep(self, count: int) -> None:
        """Remove every run after the first `count`: they were written after the moment that is gone back to."""
        for file in self.files()[count:]:
            file.unlink()

    def merged(self, skip: int = 0) -> Iterator[Rows]:
        """All written rows in order, a block at a time, without the first `skip`. Rows are unique in their key."""
        runs = [np.load(file, mmap_mode="r") for file in self.files()]
        at = [0] * len(runs)
        block = max(1, self.run_rows // max(1, len(runs)))
        while any(place < len(run) for place, run in zip(at, runs, strict=True)):
            heads = [np.asarray(run[place : place + block]) for run, place in zip(runs, at, strict=True)]
            # No run may have a row behind its block that is smaller than what is given out.
            tails = [
                tuple(head[-1, : self.key].tolist())
                for head, run, place in zip(heads, runs, at, strict=True)
                if place + len(head) < len(run)
            ]
            counts = [len(head) if not tails else _upto(head, min(tails), self.key) for head in heads]
            rows = np.concatenate([head[:count] for head, count in zip(heads, counts, strict=True)])
            at = [place + count for place, count in zip(at, counts, strict=True)]
            passed, skip = min(skip, len(rows)), max(0, skip - len(rows))
            if passed < len(rows):
                yield rows[_order(rows, self.key)][passed:]


def _order(rows: Rows, key: int) -> NDArray[np.intp]:
    return np.lexsort([rows[:, word] for word in reversed(range(key))])


def _upto(rows: Rows, last: tuple[int, ...], key: int) -> int:
    """How many of the sorted rows have a key of at most `last`."""
    below = np.zeros(len(rows), bool)
    equal = np.ones(len(rows), bool)
    for word in range(key):
        below |= equal & (rows[:, word] < last[word])
        equal &= rows[:, word] == last[word]
    return int((below | equal).sum())
