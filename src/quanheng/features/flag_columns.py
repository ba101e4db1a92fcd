"""The flags of events (features/flags.py) as the kernel reads them: a byte per event and flag, 1 where it is true."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from quanheng.features.flags import Flag, Input, Remembered, same_keys
from quanheng.features.kernel.asked import ask_of
from quanheng.features.plan import Plan

_KEY_BYTES = 16
_NO_KEY = bytes(_KEY_BYTES)
_FEW = 8
"""Events up to which each is asked by itself: whole columns cost more than they save."""


class FlagColumns:
    """Finds the flags of a plan.

    share : (which, of how many): as of `FeatureState`; the flags of other tables are left 0
    """

    def __init__(self, plan: Plan, share: tuple[int, int] = (0, 1)) -> None:
        first, step = share
        wanted = {table.condition.flag for table in plan.tables[first::step] if table.condition is not None}
        self._count = len(plan.flags)
        self._flags = [
            (number, _Asked(plan, flag, clock)) for number, (flag, clock) in enumerate(plan.flags) if flag in wanted
        ]

    def of(self, types: np.ndarray, times: np.ndarray, keys: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """u1[n, flags] of a group, given as `FeatureState.run` takes it."""
        found = np.zeros((len(types), self._count), dtype=np.uint8)
        if len(types) <= _FEW:
            events = zip(types.tolist(), times.tolist(), keys, numbers.tolist(), found, strict=True)
            for code, time_ms, own, row, flags in events:
                self.one(code, time_ms, own.tobytes(), row, flags)
            return found
        for number, asked in self._flags:
            rows = np.flatnonzero(types == asked.code)
            if len(rows) == len(types):
                found[:, number] = asked.group(times, keys, numbers)
            elif len(rows):
                found[rows, number] = asked.group(times[rows], keys[rows], numbers[rows])
        return found

    def one(self, code: int, time_ms: int, keys: bytes, numbers: Sequence[int], found: np.ndarray) -> None:
        """The flags of one event, given as `FeatureState.one` takes it, to u1[flags]."""
        for number, asked in self._flags:
            if asked.code == code:
                found[number] = asked.single(time_ms, keys, numbers)


class _Asked:
    """One flag, asked of events of its type."""

    def __init__(self, plan: Plan, flag: Flag, clock: int) -> None:
        self.code, self.inputs, self._words, self._clock = flag.layout.code, flag.inputs, plan.words, clock
        self._key_places = [one.place for one in flag.inputs if one.source == "key"]
        self._time, self._answer = np.zeros(1, np.int64), np.zeros(1, np.int64)
        # Of a moment there is hardly one like it.
        moments = any(one.source == "moment" for one in flag.inputs)
        self._holds: Callable[[tuple[int, ...]], int] = flag.holds if moments else Remembered(flag).__getitem__
        self.single = self._single()

    def group(self, times: np.ndarray, keys: np.ndarray, numbers: np.ndarray) -> list[int]:
        """1 or 0 for each event of a group."""
        same = iter(_same_keys(keys[:, self._key_places])) if self._key_places else iter(())
        columns = []
        for one in self.inputs:
            if one.source == "number":
                column = numbers[:, one.place]
            elif one.source == "asked":
                column = np.empty(len(times), np.int64)
                ask_of(self._words, one.place, self._clock, times.astype(np.int64), column)
            else:
                column = times if one.source == "moment" else next(same)
            columns.append(column.tolist())
        return list(map(self._holds, zip(*columns, strict=True))) if columns else [self._holds(())] * len(times)

    def _single(self) -> Callable[[int, bytes, Sequence[int]], int]:
        """Finds 1 or 0 for one event of a time, keys and numbers; in a shorter way where it reads numbers alone."""
        holds, reads = self._holds, [self._reader(one) for one in self.inputs]
        if all(one.source == "number" for one in self.inputs):
            places = [one.place for one in self.inputs]
            if len(places) == 1:
                [place] = places
                return lambda time_ms, keys, numbers: holds((numbers[place],))
            if places:
                chosen = itemgetter(*places)
                return lambda time_ms, keys, numbers: holds(chosen(numbers))

        def single(time_ms: int, keys: bytes, numbers: Sequence[int]) -> int:
            raw = (keys[_KEY_BYTES * place : _KEY_BYTES * (place + 1)] or _NO_KEY for place in self._key_places)
            same = iter(same_keys(raw, _NO_KEY))
            return holds(tuple([next(same) if read is None else read(time_ms, numbers) for read in reads]))

        return single

    def _reader(self, one: Input) -> Callable[[int, Sequence[int]], int] | None:
        """What gives the integer of an input for one event; None for a key, which is compared with the others."""
        place = one.place
        if one.source == "key":
            return None
        if one.source == "number":
            return lambda time_ms, numbers: numbers[place]
        if one.source == "asked":
            return lambda time_ms, numbers: self._ask(place, time_ms)
        return lambda time_ms, numbers: time_ms

    def _ask(self, asked: int, time_ms: int) -> int:
        self._time[0] = time_ms
        ask_of(self._words, asked, self._clock, self._time, self._answer)
        return int(self._answer[0])


def _same_keys(keys: np.ndarray) -> list[Any]:
    """`flags.same_keys` of every event: keys u8[n, fields, 2], a column for each field."""
    columns: list[np.ndarray] = []
    for place in range(keys.shape[1]):
        own = keys[:, place]
        column = np.where(own.any(axis=1), 1 + max((one.max(initial=0) for one in columns), default=0), 0)
        for other in range(place):
            column = np.where((own == keys[:, other]).all(axis=1), columns[other], column)
        columns.append(column)
    return columns
