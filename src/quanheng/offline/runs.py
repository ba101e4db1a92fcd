"""Rows of int64 words sorted: in memory while they are one run, else on disk in runs that are merged block by block.

Memory is bounded by the run.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.files import Files

Rows = NDArray[np.int64]
"""i8[n, width]"""

RUN_BYTES = 256 << 20
"""How large one run is: the rows that are sorted in memory at once."""

BLOCK_BYTES = 64 << 20
"""How many of the sorted rows are given out at a time, at most."""


class Runs:
    """Rows that come in any order and leave in the order of their first `key` words.

    Parameters
    ----------
    folder : where the runs lie; each is written whole or not at all
    width, key : words of a row, and how many of them, from the first on, it is sorted by
    run_bytes : size of a run

    Rows of less than one run are written by `flush` alone: until then they are not durable, and cost no disk.
    """

    def __init__(self, folder: Path, width: int, key: int, run_bytes: int = RUN_BYTES) -> None:
        self.folder, self.width, self.key = folder, width, key
        self.run_rows = max(1, run_bytes // (8 * max(width, 1)))
        self.block_rows = max(1, min(run_bytes, BLOCK_BYTES) // (8 * max(width, 1)))
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
        out = io.BytesIO()
        np.save(out, self._sorted())
        Files().write_durably(self.folder / f"{len(self.files()):06d}.npy", out.getvalue())
        self._waiting, self._held = [], 0

    def _sorted(self) -> Rows:
        """What waits, in order; it waits on as one piece."""
        rows = self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting)
        self._waiting = [_in_order(rows, self.key)]
        return self._waiting[0]

    def files(self) -> list[Path]:
        """The runs that are written, in order."""
        return sorted(self.folder.glob("[0-9]*.npy"))

    def keep(self, count: int) -> None:
        """Remove every run after the first `count`: they were written after the moment that is gone back to."""
        for file in self.files()[count:]:
            file.unlink()

    def merged(self, skip: int = 0) -> Iterator[Rows]:
        """All rows in order, a block at a time, without the first `skip`. Rows are unique in their key."""
        if self._held and self.files():
            self.flush()
        runs: list[Rows] = [self._sorted()] if self._held else [np.load(one, mmap_mode="r") for one in self.files()]
        at = [0] * len(runs)
        block = max(1, self.block_rows // max(1, len(runs)))
        while any(place < len(run) for place, run in zip(at, runs, strict=True)):
            heads = [np.asarray(run[place : place + block]) for run, place in zip(runs, at, strict=True)]
            # No run may have a row behind its block that is smaller than what is given out.
            tails = [
                tuple(head[-1, : self.key].tolist())
                for head, run, place in zip(heads, runs, at, strict=True)
                if place + len(head) < len(run)
            ]
            counts = [len(head) if not tails else _upto(head, min(tails), self.key) for head in heads]
            pieces = [head[:count] for head, count in zip(heads, counts, strict=True)]
            rows = pieces[0] if len(pieces) == 1 else _in_order(np.concatenate(pieces), self.key)
            at = [place + count for place, count in zip(at, counts, strict=True)]
            passed, skip = min(skip, len(rows)), max(0, skip - len(rows))
            if passed < len(rows):
                yield rows[passed:]


class Ahead:
    """Sorted blocks of rows, taken up to a bound of their first word."""

    def __init__(self, blocks: Iterator[Rows], width: int) -> None:
        self._blocks, self._width = blocks, width
        self._held: Rows | None = next(blocks, None)

    def before(self, bound: int | None) -> Rows:
        """Rows whose first word is below the bound (None: all that are left)."""
        taken: list[Rows] = []
        while self._held is not None:
            held = self._held
            count = len(held) if bound is None else int(np.searchsorted(held[:, 0], bound, side="left"))
            taken.append(held[:count])
            if count < len(held):
                self._held = held[count:]
                break
            self._held = next(self._blocks, None)
        return np.concatenate(taken) if taken else np.empty((0, self._width), np.int64)


def _in_order(rows: Rows, key: int) -> Rows:
    """Rows in the order of their key; those that already are stay where they are."""
    columns = [np.ascontiguousarray(rows[:, word]) for word in range(key)]
    order: NDArray[np.intp] = np.lexsort(columns[::-1])
    return rows if (order[1:] > order[:-1]).all() else np.take(rows, order, axis=0)


def _upto(rows: Rows, last: tuple[int, ...], key: int) -> int:
    """How many of the sorted rows have a key of at most `last`."""
    below = np.zeros(len(rows), bool)
    equal = np.ones(len(rows), bool)
    for word in range(key):
        below |= equal & (rows[:, word] < last[word])
        equal &= rows[:, word] == last[word]
    return int((below | equal).sum())
