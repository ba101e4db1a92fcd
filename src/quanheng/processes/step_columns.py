"""Steps side by side, as arrays read off log columns: what recovery folds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.log.records import STEP, Columns
from quanheng.processes.records import StepKind

_KEYS_AT = 80
"""Where the count of keys stands in a header."""


class StepColumns(NamedTuple):
    """n steps in the order of the log.

    process, kind, part, left, entered, fired : i64[n], as in a `Step`; received_ms : i64[n], the stamp
    ids : u64[n, 2], the instances; keys : u64[n, K, 2] and keys_n : i64[n], those a beginning keeps, and how many
    armed_n : i64[n], timers that each arms; timers, dues_ms : i64, of all of them, in order
    numbers_n : i64[n], kept numbers that each sets; numbers : i64[n, V], the first `numbers_n` count
    """

    process: NDArray[np.int64]
    kind: NDArray[np.int64]
    part: NDArray[np.int64]
    left: NDArray[np.int64]
    entered: NDArray[np.int64]
    fired: NDArray[np.int64]
    received_ms: NDArray[np.int64]
    ids: NDArray[np.uint64]
    keys: NDArray[np.uint64]
    keys_n: NDArray[np.int64]
    armed_n: NDArray[np.int64]
    timers: NDArray[np.int64]
    dues_ms: NDArray[np.int64]
    numbers_n: NDArray[np.int64]
    numbers: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def begins(self) -> NDArray[np.bool_]:
        """Which are beginnings."""
        begins: NDArray[np.bool_] = self.kind == StepKind.BEGIN
        return begins


def step_columns(columns: Columns) -> StepColumns:
    """The steps among log columns."""
    rows = np.flatnonzero(columns.kind == STEP)
    numbers, keys = columns.numbers[rows], columns.keys[rows]
    marks, codes = numbers[:, 0], numbers[:, 1]
    armed_n, numbers_n = marks >> 8 & 255, marks >> 16
    counts = np.frombuffer(columns.body, np.uint8)[columns.position[rows] + _KEYS_AT]
    step, behind = np.repeat(np.arange(len(rows)), armed_n), np.cumsum(armed_n)
    place = 2 + 2 * (np.arange(len(step)) - np.repeat(behind - armed_n, armed_n))
    widest = int(numbers_n.max(initial=0))
    at = np.minimum(2 + 2 * armed_n[:, None] + np.arange(widest), numbers.shape[1] - 1)
    return StepColumns(
        columns.type[rows].astype(np.int64), marks & 255, codes >> 48, codes & 0xFFFF, codes >> 16 & 0xFFFF,
        codes >> 32 & 0xFFFF, columns.received_ms[rows], keys[:, 0], keys[:, 1:], counts.astype(np.int64) - 1,
        armed_n, numbers[step, place], numbers[step, place + 1], numbers_n, np.take_along_axis(numbers, at, axis=1),
    )  # fmt: skip
