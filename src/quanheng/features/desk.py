"""The control array of a call for one event, with the event and its vector in it."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from quanheng.features.flag_columns import FlagColumns
from quanheng.features.kernel import words as w
from quanheng.features.kernel.clock import STACK_MAX
from quanheng.features.plan import Plan


def control_words(plan: Plan) -> int:
    """Control words, room to remember the keys of the events looked ahead at, and scratch: to combine answers in, or
    the stack of a condition."""
    return w.X_WORDS + w.AHEAD * w.Y_WORDS * int(plan.words[w.P_OPS_N]) + max(w.LIMBS, STACK_MAX)


class Desk:
    """The control array of `FeatureState.one`, with room for one event and its vector behind it."""

    def __init__(self, plan: Plan, flags: FlagColumns | None = None) -> None:
        keys_n, numbers_n = int(plan.words[w.P_KEYS_N]), int(plan.words[w.P_NUMBERS_N])
        start = control_words(plan)
        self.words = np.zeros(start + 2 + 2 * keys_n + numbers_n + len(plan.columns), dtype=np.int64)
        self.out = self.words[len(self.words) - len(plan.columns) :]
        self.memory = memoryview(self.words).cast("B")  # type: ignore[arg-type]
        self.start = start * 8
        self.pack: Callable[..., None] = struct.Struct(f"<qq{16 * keys_n}s{numbers_n}q").pack_into
        self.words[w.X_READ], self.words[w.X_COLUMN], self.words[w.X_ROW] = w.READ_ALL, 1, len(plan.columns)
        self.words[w.X_PLACE], self.words[w.X_STEP] = w.C_OUT, 1
        self.words[w.X_KEYS_N], self.words[w.X_NUMBERS_N] = keys_n, numbers_n
        self.words[w.X_CODE], self.words[w.X_TIME], self.words[w.X_KEYS] = start, start + 1, start + 2
        self.words[w.X_NUMBERS] = start + 2 + 2 * keys_n
        self.words[w.X_OUT] = start + 2 + 2 * keys_n + numbers_n
        self.words[w.X_PLAN] = plan.words.ctypes.data
        self.asks = bool(plan.words[w.P_ASKED_N])
        if flags is not None:
            self._columns = flags
            self._flags = np.zeros(len(plan.flags), dtype=np.uint8)
            self.words[w.X_FLAGS_AT], self.words[w.X_FLAGS_N] = self._flags.ctypes.data, len(plan.flags)
            self._pack, self.pack = self.pack, self._pack_with_flags

    def _pack_with_flags(
        self, memory: memoryview, start: int, code: int, time_ms: int, keys: bytes, *numbers: int
    ) -> None:
        """`pack`, with what only FEEL can say of the event beside it."""
        self._pack(memory, start, code, time_ms, keys, *numbers)
        self._columns.one(code, time_ms, keys, numbers, self._flags)

    def place(self, arena: np.ndarray) -> None:
        """The arena lies here now."""
        arena[w.A_SIZE] = len(arena)
        self.words[w.X_ARENA] = arena.ctypes.data
