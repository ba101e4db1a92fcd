"""Live state within a bound of memory: keys that were not touched for longest go to disk and come back when asked for.

Which keys lie where is not part of the meaning: answers, digest and what a dump restores are those of a state without
a bound. Disk is read before a group is folded and written after it, never while one is: a decision does no I/O.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator, Mapping
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from quanheng.features.arena import Arena
from quanheng.features.cold import BATCH, COLD, ColdStore, records_of, row_of, thaw, unpack
from quanheng.features.kernel import cold as kernel
from quanheng.features.kernel import group
from quanheng.features.kernel import words as w
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureOverflow, FeatureState
from quanheng.kernel.snapshot import Stream

SLICE = 1 << 15
"""Most events that are folded between two looks at the bound."""
_EVICT, _PACK, _KEEP = 5 / 8, 3 / 4, 1 / 4
"""Of the bound: from where keys go, from where what stays is packed anew, and how much of it stays then."""
_FEW = 256
_QUEUE = 1 / 8  # Of the keys in memory that are looked out at a time.
_RECORD_WORDS_MAX = 1 << 26  # A key with more (512 MB) stays in memory.


class Memory(NamedTuple):
    """bytes_max : of the arena; folder : where the file with the cold keys lies"""

    bytes_max: int
    folder: Path


class BoundedState(FeatureState):
    """`FeatureState` whose arena holds at most `memory.bytes_max` bytes between groups.

    Least recently touched keys go first; a touch is an event of the key or a vector that reads it, by the group; a dry
    run is none. Keys of tables that other folds look into (`through`) stay, because who looks is known only within a
    decision. While a group is folded the arena may exceed the bound by what its events (32,768 at most) touch.
    """

    def __init__(self, plan: Plan, memory: Memory, room_words: int = 0) -> None:
        super().__init__(plan, room_words)
        self._memory = memory
        self._store = ColdStore(memory.folder, len(plan.tables))
        self._asked = np.zeros(0, dtype=np.int64)
        self._mark = int(memory.bytes_max / 8 * _EVICT)
        self._queue: list[tuple[int, int, int]] = []  # Stamp, table, slot; the next victim last.
        through = {number for number, fold in enumerate(plan.folds) if fold.through}
        self._movable = [number for number, table in enumerate(plan.tables) if not through & set(table.folds)]
        self.evicted, self.returned, self.packed = 0, 0, 0

    # -- a group -------------------------------------------------------------------------------------------------

    def one(self, code: int, time_ms: int, keys: bytes, numbers: Any) -> np.ndarray:
        """As `FeatureState.one`."""
        pairs = np.frombuffer(keys, dtype=np.uint64).reshape(1, -1, 2)
        wide = np.zeros((1, max(int(self.plan.words[w.P_KEYS_N]), pairs.shape[1]), 2), dtype=np.uint64)
        wide[:, : pairs.shape[1]] = pairs
        self._fetch(np.array([code], dtype=np.int32), wide, touches=True)
        try:
            return super().one(code, time_ms, keys, numbers)
        finally:
            self._settle()

    def peek(self, types: Any, times: Any, keys: Any, numbers: Any, read: Any = True, out: Any = None) -> np.ndarray:
        """As `FeatureState.peek`. Keys that it brings back are the first to go again."""
        try:
            return super().peek(types, times, keys, numbers, read, out)
        finally:
            self._settle()

    def _call(self, types: Any, times: Any, keys: Any, numbers: Any, read: Any, out: np.ndarray) -> None:
        control, events_n = self._control, len(times)
        if control[w.X_PEEK]:
            self._fetch(types, keys, touches=False)
            super()._call(types, times, keys, numbers, read, out)
            return
        if events_n <= SLICE or _refused(times, numbers):  # What is refused is refused whole, before a slice is folded.
            self._fetch(types, keys, touches=True)
            try:
                super()._call(types, times, keys, numbers, read, out)
            finally:
                self._settle()
            return
        floats, cells = int(control[w.X_FLOATS]), list[tuple[int, str]]()
        edges = np.linspace(0, events_n, -(-events_n // SLICE) + 1).astype(int).tolist()
        for first, last in pairwise(edges):
            control[: w.X_WORDS] = 0
            control[w.X_FLOATS] = floats
            rows, mask = slice(first, last), read if isinstance(read, bool) else read[first:last]
            try:
                self._call(types[rows], times[rows], keys[rows], numbers[rows], mask, out[rows])
            except FeatureOverflow as overflow:
                cells += [(event + first, fold) for event, fold in overflow.cells]
        if cells:
            raise FeatureOverflow(cells, np.empty((events_n, 0), dtype=np.int64) if floats else out)

    def _fetch(self, types: np.ndarray, keys: np.ndarray, *, touches: bool) -> None:
        """Bring back the cold keys of a group, and note that its keys are touched."""
        words, need = self.plan.words, len(types) * int(self.plan.words[w.P_OPS_N]) * w.ABSENT_WORDS
        if len(self._asked) < need:
            self._asked = np.zeros(need, dtype=np.int64)
        count = kernel.absent(words, self._arena, self._control, types, keys, touches, self._asked)
        if not count or not any(self._store.counts):
            return
        found = self._store.take(self._asked[: count * w.ABSENT_WORDS].reshape(count, w.ABSENT_WORDS))
        tables = [table_n for table_n, _ in found]
        touched = [self._arena[self._state_of(table_n) + w.S_STAMP] << w.I_NUMBER for table_n in tables]
        when = np.array(touched if touches else [0] * len(found), dtype=np.int64)
        thaw(self, tables, [body for _, body in found], when)
        self.returned += len(found)

    # -- the bound -----------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Let keys go where the arena has grown beyond the bound."""
        used = int(self._arena[w.A_USED])
        if used <= self._mark:
            return
        due, freed = 2 * (used - self._mark), 0
        while freed < due and (words := self._evict(_FEW)):
            freed += words
        self._mark = used
        if used * 8 > self._memory.bytes_max * _PACK:
            self._pack()

    def _evict(self, count: int) -> int:
        """Let the next keys go, `count` at most; words that are free now. 0: no key is left that may go."""
        looked_out = False
        while True:
            if not self._queue:
                if looked_out:  # What was found there is too large to go.
                    return 0
                self._queue, looked_out = self._oldest(), True
                if not self._queue:
                    return 0
            chosen: dict[int, list[tuple[int, int]]] = {}
            for _ in range(min(count, len(self._queue))):
                stamp, table_n, slot = self._queue.pop()
                chosen.setdefault(table_n, []).append((stamp, slot))
            freed = sum(self._move(table_n, self._untouched(table_n, own)) for table_n, own in chosen.items())
            if freed:
                return freed

    def _untouched(self, table_n: int, chosen: list[tuple[int, int]]) -> np.ndarray:
        """Those of the chosen (stamp, slot) that were not touched since they were looked out."""
        stamps, slots = (np.array(part, dtype=np.int64) for part in zip(*chosen, strict=True))
        touched = np.empty(len(slots), dtype=np.int64)
        kernel.touched(self.plan.words, self._arena, self._table_of(table_n), slots, touched)
        still: np.ndarray = slots[touched >> w.I_NUMBER == stamps]
        return still

    def _oldest(self) -> list[tuple[int, int, int]]:
        """The keys touched longest ago: (stamp, table, slot), the oldest last."""
        stamps, tables, slots = [], [], []
        for table_n in self._movable:
            own, touched = self._hot(table_n)
            stamps.append(touched)
            slots.append(own)
            tables.append(np.full(len(own), table_n))
        stamp, table, slot = (np.concatenate(part) if part else np.zeros(0, int) for part in (stamps, tables, slots))
        count = min(len(stamp), max(4 * _FEW, int(len(stamp) * _QUEUE)))
        order = np.lexsort((slot, table, stamp))[:count][::-1]
        return list(zip(stamp[order].tolist(), table[order].tolist(), slot[order].tolist(), strict=True))

    def _hot(self, table_n: int) -> tuple[np.ndarray, np.ndarray]:
        """Slots of a table that are in memory, and the stamp of each."""
        arena, state = self._arena, self._state_of(table_n)
        index, entries = int(arena[state + w.S_INDEX]), int(arena[state + w.S_MASK]) + 1
        if index == 0:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        block = arena[index : index + w.I_WORDS * entries].reshape(entries, w.I_WORDS)
        held = block[block[:, w.I_SLOT] != 0]
        return held[:, w.I_SLOT].copy(), held[:, w.I_LOCAL] >> w.I_NUMBER

    def _move(self, table_n: int, slots: np.ndarray) -> int:
        """Write keys to disk and free their slots; words that are free now."""
        words = self.plan.words
        table, ends = int(words[words[w.P_TABLES] + table_n]), np.empty(len(slots), dtype=np.int64)
        kernel.records(words, self._arena, table, slots, ends, ends[:0])
        slots = np.ascontiguousarray(slots[np.diff(ends, prepend=0) <= _RECORD_WORDS_MAX])
        freed = 0
        for first in range(0, len(slots), BATCH):
            some = slots[first : first + BATCH]
            rows = records_of(self, table_n, some)
            self._store.put(table_n, rows)
            kernel.release(words, self._arena, table, some)
            freed += sum(len(row.body) for row in rows) // 8
        self.evicted += len(slots)
        return freed

    def _pack(self) -> None:
        """Free blocks lie scattered: keep the keys touched last, and copy them to an arena without gaps."""
        room, kept = self._memory.bytes_max * _KEEP / 8, dict[int, np.ndarray]()
        sizes, owners = list[np.ndarray](), list[np.ndarray]()
        found = [(table_n, *self._hot(table_n)) for table_n in range(len(self.plan.tables))]
        for table_n, slots, _ in found:
            ends = np.empty(len(slots), dtype=np.int64)
            kernel.records(self.plan.words, self._arena, self._table_of(table_n), slots, ends, ends[:0])
            sizes.append(np.diff(ends, prepend=0))
            owners.append(np.full(len(slots), table_n))
        stamp, size, owner = np.concatenate([one[2] for one in found]), np.concatenate(sizes), np.concatenate(owners)
        newest = np.argsort(-stamp, kind="stable")
        stays = np.zeros(len(stamp), dtype=bool)
        stays[newest[np.cumsum(size[newest]) <= room]] = True
        for table_n, slots, _ in found:
            stay = stays[owner == table_n]
            if table_n in self._movable:
                self._move(table_n, slots[~stay])
            kept[table_n] = self._hot(table_n)[0]
        self._rebuild(kept)
        self._queue, self.packed = [], self.packed + 1
        self._mark = max(int(self._memory.bytes_max / 8 * _EVICT), int(self._arena[w.A_USED]))

    def _rebuild(self, kept: Mapping[int, np.ndarray]) -> None:
        """Copy these slots to a new arena, which takes the place of the old one."""
        fresh = FeatureState(self.plan)
        for table_n, slots in kept.items():
            state = self._state_of(table_n)
            for word in (w.S_TOO_LATE, w.S_STAMP):
                fresh._arena[state + word] = self._arena[state + word]
            touched = np.empty(len(slots), dtype=np.int64)
            kernel.touched(self.plan.words, self._arena, self._table_of(table_n), slots, touched)
            for first in range(0, len(slots), BATCH):
                rows = records_of(self, table_n, slots[first : first + BATCH])
                bodies = [row.body for row in rows]
                thaw(fresh, [table_n] * len(rows), bodies, touched[first : first + BATCH])
        self._take(fresh._room)

    def _take(self, room: Arena) -> None:
        self._room, self._arena = room, room.words
        self._desk.place(self._arena)

    def _table_of(self, table_n: int) -> int:
        return int(self.plan.words[self.plan.words[w.P_TABLES] + table_n])

    def _state_of(self, table_n: int) -> int:
        return int(self.plan.words[self._table_of(table_n) + w.T_STATE])

    # -- saving and comparing ------------------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """As `FeatureState.dump`; with cold keys there is one array more, which holds all of them."""
        kept = super().dump()
        if any(self._store.counts):
            kept[COLD] = np.frombuffer(b"".join(self._store.parts()), dtype=np.int64)
        return kept

    def parts(self) -> dict[str, Any]:
        """`dump`, with the cold keys as a stream from disk: to be written before the next event is applied."""
        kept: dict[str, Any] = super().dump()
        if any(self._store.counts):
            kept[COLD] = Stream(self._store.parts_bytes, self._store.parts)
        return kept

    @classmethod
    def restored(cls, plan: Plan, memory: Memory, dump: Mapping[str, np.ndarray]) -> BoundedState:
        """State from a dump, of a state with or without a bound. Cold keys go to disk without passing the arena.

        Raises
        ------
        As `FeatureState.load`.
        """
        plain = FeatureState.load(plan, {name: part for name, part in dump.items() if name != COLD})
        state = cls(plan, memory)
        state._take(plain._room)
        for tables, bodies in unpack(dump[COLD]) if COLD in dump else ():
            for table_n in sorted(set(tables)):
                own = [body for number, body in zip(tables, bodies, strict=True) if number == table_n]
                state._store.put(table_n, map(row_of, own))
        state._settle()
        return state

    def digest(self) -> str:
        """As `FeatureState.digest`: cold keys are part of the meaning."""
        if not any(self._store.counts):
            return super().digest()
        digest = hashlib.sha256(bytes.fromhex(self.plan.digest))
        for table_n in range(len(self.plan.tables)):
            state = self._state_of(table_n)
            keys_n = int(self._arena[state + w.S_SLOTS_N]) + self._store.counts[table_n]
            head = [table_n, self._arena[state + w.S_TOO_LATE], keys_n]
            digest.update(np.array(head, dtype=np.int64).tobytes())
            for meaning in self._meanings(table_n):
                digest.update(meaning.tobytes())
        return digest.hexdigest()

    def _meanings(self, table_n: int) -> Iterator[np.ndarray]:
        """What the keys of a table mean, in their order, some at a time, through an arena of their own."""
        words, table, slots = self.plan.words, self._table_of(table_n), self._slots(self._state_of(table_n))
        hot = (row for at in range(0, len(slots), BATCH) for row in records_of(self, table_n, slots[at : at + BATCH]))
        rows = heapq.merge(hot, self._store.rows(table_n))
        while bodies := [row.body for row in islice(rows, BATCH)]:
            aside = FeatureState(self.plan)
            thaw(aside, [table_n] * len(bodies), bodies, np.zeros(len(bodies), dtype=np.int64))
            own = aside._slots(self._state_of(table_n))
            meaning = np.empty(group.export(words, aside._arena, table, own, own[:0]), dtype=np.int64)
            group.export(words, aside._arena, table, own, meaning)
            yield meaning

    # -- figures -------------------------------------------------------------------------------------------------

    @property
    def keys(self) -> dict[str, int]:
        """How many keys each table holds, cold ones included."""
        return {name: hot + cold for (name, hot), cold in zip(super().keys.items(), self._store.counts, strict=True)}

    @property
    def cold_keys(self) -> int:
        """Keys on disk."""
        return sum(self._store.counts)

    @property
    def cold_bytes(self) -> int:
        """Bytes of their records."""
        return self._store.bytes

    def metrics(self) -> dict[str, int | dict[str, int]]:
        """As `FeatureState.metrics`; with the bound, what lies on disk, and how often keys went there and came back."""
        return super().metrics() | {
            "feature_memory_bytes_max": self._memory.bytes_max,
            "feature_cold_keys": self.cold_keys,
            "feature_cold_bytes": self.cold_bytes,
            "feature_keys_evicted": self.evicted,
            "feature_keys_returned": self.returned,
        }


def _refused(times: np.ndarray, numbers: np.ndarray) -> bool:
    """Whether the kernel will refuse the group (kernel/group.py `check`)."""
    outside = (numbers > w.NUMBER_MAX) | ((numbers < w.NUMBER_MIN) & (numbers != w.NULL))
    return bool(((times > w.TIME_MAX) | (times < -w.TIME_MAX)).any() or outside.any())


class Here:
    """Makes windows in this process.

    memory : their bound, if there is one
    """

    def __init__(self, memory: Memory | None = None) -> None:
        self.memory = memory

    def __call__(self, plan: Plan) -> FeatureState:
        """The empty state of a plan."""
        return FeatureState(plan) if self.memory is None else BoundedState(plan, self.memory)

    def load(self, plan: Plan, dump: Mapping[str, np.ndarray]) -> FeatureState:
        """The state of a dump.

        Raises
        ------
        As `FeatureState.load`.
        """
        if self.memory is None:
            return FeatureState.load(plan, dump)
        return BoundedState.restored(plan, self.memory, dump)


HERE = Here()
"""Without a bound."""


def memory_of(folder: Path, bytes_max: int) -> Memory | None:
    """The bound for the windows of a data folder; None where `bytes_max` is 0."""
    return Memory(bytes_max, folder / "cold") if bytes_max else None
