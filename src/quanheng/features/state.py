"""Live state of features: apply events, read vectors, dry run, dump, load, digest. One writer only.

The kernel releases the interpreter lock, so other threads run meanwhile; but nothing here is locked: two threads must
not call the same `FeatureState` at once. Readers read a dump or ask the writer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from quanheng.features.arena import Arena, flat_of, zeroed
from quanheng.features.cold import COLD, thaw_all
from quanheng.features.desk import Desk, control_words
from quanheng.features.flag_columns import FlagColumns
from quanheng.features.kernel import group
from quanheng.features.kernel import words as w
from quanheng.features.kernel.asked import ask, ask_one
from quanheng.features.kernel.scratch import scratch_words
from quanheng.features.overflows import float_overflows, overflows
from quanheng.features.plan import Plan
from quanheng.kernel.errors import InputError, QuanhengError

_ARENA_FIRST = 1 << 19  # Words (4 MB); doubled as needed. Large pages from the start, so that no early copy is slow.


class FeatureOverflow(QuanhengError):
    """Sums of a window do not fit 64 bits. The events are applied; only these columns of these vectors are unknown.

    fold : name of the first fold
    event : index of the first event within the group
    cells : every (event, fold name)
    raw : the raw columns of the whole group, UNKNOWN where a sum does not fit; none of a large group of floats
    """

    def __init__(self, cells: list[tuple[int, str]], raw: np.ndarray) -> None:
        self.cells, self.raw = cells, raw
        self.event, self.fold = cells[0]
        more = f" (and {len(cells) - 1} more)" if len(cells) > 1 else ""
        super().__init__(
            f"the sum over the window does not fit 64 bits{more}",
            where=f"fold {self.fold}, event {self.event} of the group",
            allowed=f"{w.NUMBER_MIN} to {w.NUMBER_MAX}",
            cure="Bound the field in events.toml (`max`), or shorten the window; the other columns are valid.",
        )


class FeatureState:
    """State of all folds of a plan.

    Parameters
    ----------
    plan : the compiled folds
    room_words : how large the arena is at first. What is not used costs no memory
    share : (which, of how many): only every so many-th table, from that one on, is folded and read. For `run` and
        `run_floats` of large groups of plans that need no log order (`can_share`); columns of other tables are left
        as they are
    """

    def __init__(self, plan: Plan, room_words: int = 0, share: tuple[int, int] = (0, 1)) -> None:
        self.plan, self._share = plan, share
        self._room = Arena(max(_ARENA_FIRST, 2 * plan.state_words, room_words))
        self._arena = self._room.words
        self._arena[w.A_USED] = (plan.state_words + 7) // 8 * 8
        self._control = np.zeros(control_words(plan), dtype=np.int64)
        self._undo, self._pairs = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        self._no_mask, self._columns_n = np.zeros(0, dtype=np.uint8), len(plan.columns)
        self._flags = FlagColumns(plan, share) if plan.flags else None
        self._desk = Desk(plan, self._flags)
        self._desk.place(self._arena)
        self.overflowed = False

    @staticmethod
    def can_share(plan: Plan, events_n: int) -> bool:
        """Whether the tables of a plan may be folded apart from each other, in groups of at least so many events."""
        return events_n >= w.LARGE and not plan.words[w.P_ORDERED]

    # -- applying and reading ------------------------------------------------------------------------------------

    def run(
        self,
        types: np.ndarray,
        times: np.ndarray,
        keys: np.ndarray,
        numbers: np.ndarray,
        read: bool | np.ndarray = True,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Apply events in log order and read the vector of each decided one at its own moment.

        Parameters
        ----------
        types : i4[n], type codes; a code no fold knows is passed over
        times : i8[n], ms UTC, where each event is placed
        keys : u8[n, K, 2], 128-bit keys as pairs, padded with zeros (null)
        numbers : i8[n, V], padded with NULL
        read : True reads every decided event, False none, an array of n booleans those that are true
        out : i8[n, columns] to write to (any strides of whole words, e.g. Fortran order); made if not given

        Returns
        -------
        i8[n, columns] : NULL where nothing is in the window and in rows that are not read (0 for counts), UNKNOWN
            where the moment is too far back to be known

        Raises
        ------
        FeatureOverflow : a sum does not fit 64 bits; the whole group is applied and `raw` holds the rest
        InputError : a time or number out of range; nothing is applied
        """
        if out is None:
            out = np.empty((len(times), self._columns_n), dtype=np.int64)
        self._control[: w.X_WORDS] = 0
        self._call(types, times, keys, numbers, read, out)
        return out

    def run_floats(
        self,
        types: np.ndarray,
        times: np.ndarray,
        keys: np.ndarray,
        numbers: np.ndarray,
        read: bool | np.ndarray = True,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """`run`, with the vectors as `Plan.floats` gives them; a large group never writes the raw ones.

        Parameters
        ----------
        types, times, keys, numbers, read : as for `run`
        out : f8[n, folds] to write to (any strides of whole words); made if not given

        Returns
        -------
        f8[n, folds] : rows that are not read hold what an empty window gives

        Raises
        ------
        As `run`; after a FeatureOverflow `out` holds the rest, and `raw` has no columns if the group was large.
        """
        if out is None:
            out = np.empty((len(times), len(self.plan.folds)))
        if len(times) < w.LARGE or self.plan.words[w.P_ORDERED]:
            try:
                return self.plan.floats(self.run(types, times, keys, numbers, read), out)
            except FeatureOverflow as overflow:
                self.plan.floats(overflow.raw, out)
                raise
        self._control[: w.X_WORDS] = 0
        self._control[w.X_FLOATS] = 1
        self._call(types, times, keys, numbers, read, out.view(np.int64))
        return out

    def one(self, code: int, time_ms: int, keys: bytes, numbers: Sequence[int]) -> np.ndarray:
        """`run` for one event, without building arrays: the fast way in for a single decision.

        Parameters
        ----------
        code, time_ms : type code and time of the event
        keys : its 16-byte keys one behind the other; what is missing is null
        numbers : exactly as many as the widest layout has; NULL = -2**63

        Returns
        -------
        i8[columns] : as a row of `run`; valid until the next call (copy it to keep it)

        Raises
        ------
        As `run`.
        """
        desk = self._desk
        desk.pack(desk.memory, desk.start, code, time_ms, keys, *numbers)
        status = group.one(desk.words)
        while status:
            if status & 15 == w.DONE:
                if desk.asks:
                    ask_one(self.plan.words, desk.out, code, time_ms)
                raise FeatureOverflow(overflows(self.plan, desk.out.reshape(1, -1)), desk.out.reshape(1, -1).copy())
            if status & 15 != w.GROW:
                self._control[:] = desk.words[: len(self._control)]
                self._refuse(status & 15, np.array([time_ms]), np.array([numbers]))
            self._grow()
            status = group.one(desk.words)
        if desk.asks:
            ask_one(self.plan.words, desk.out, code, time_ms)
        return desk.out

    def peek(
        self,
        types: np.ndarray,
        times: np.ndarray,
        keys: np.ndarray,
        numbers: np.ndarray,
        read: bool | np.ndarray = True,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """What `run` would answer, without changing what the state means (dry run): apply, read, take back."""
        if out is None:
            out = np.empty((len(times), self._columns_n), dtype=np.int64)
        need = len(times) * len(self.plan.tables) * w.U_WORDS
        if len(self._undo) < need:
            self._undo = np.zeros(need, dtype=np.int64)
        control = self._control
        control[: w.X_WORDS] = 0
        control[w.X_PEEK] = 1
        try:
            self._call(types, times, keys, numbers, read, out)
        finally:
            group.undo(self.plan.words, self._arena, control, self._undo)
        return out

    def _call(self, types: Any, times: Any, keys: Any, numbers: Any, read: Any, out: np.ndarray) -> None:
        control, plan = self._control, self.plan
        control[w.X_READ] = w.READ_ALL if read is True else w.READ_NONE if read is False else w.READ_MASK
        control[w.X_ROW], control[w.X_COLUMN] = out.strides[0] >> 3, out.strides[1] >> 3
        mask = self._no_mask if read is True or read is False else np.asarray(read, dtype=np.uint8)
        flat = flat_of(out)
        if self._flags is not None:
            flags = self._flags.of(types, times, keys, numbers)
            control[w.X_FLAGS_AT], control[w.X_FLAGS_N] = flags.ctypes.data, flags.shape[1]
        if len(times) >= w.LARGE and not plan.words[w.P_ORDERED]:
            size = min(len(times) + 1 & -2, w.CHUNK)
            control[w.X_PAIRS_N], control[w.X_SIZE] = -1, size
            control[w.X_TABLE_FIRST], control[w.X_TABLE_STEP] = self._share
            control[w.X_TABLE] = self._share[0]
            if len(self._pairs) < scratch_words(plan.words, size):
                self._pairs = zeroed(scratch_words(plan.words, size))
        while True:
            status = group.run(
                plan.words, self._arena, control, plan.float_plan, types, times, keys, numbers, mask, flat, self._undo,
                self._pairs,
            )  # fmt: skip
            if status == w.DONE:
                break
            if status != w.GROW:
                self._refuse(status, times, numbers)
            self._grow()
        if plan.words[w.P_ASKED_N] and self._share[0] == 0:
            ask(plan.words, plan.float_plan, control, types, times, mask, flat)
        self.overflowed = bool(control[w.X_OVERFLOWS])
        if self.overflowed and self._share[1] == 1:  # Else whoever joins the shares tells: others may still write.
            raise overflow_of(plan, out, bool(control[w.X_FLOATS]))

    def _grow(self) -> None:
        used = len(self._arena)
        self._room.grow(max(used * 2, used + int(self._arena[w.A_NEED])))
        self._arena = self._room.words
        self._desk.place(self._arena)

    def _refuse(self, status: int, times: np.ndarray, numbers: np.ndarray) -> None:
        event = int(self._control[w.X_BAD])
        if status == w.BAD_TIME:
            raise InputError(
                "the time is out of range",
                where=f"event {event} of the group",
                found=f"{int(times[event])} ms",
                allowed=f"{-w.TIME_MAX} to {w.TIME_MAX} ms",
                cure="Nothing of the group was applied. Reject the event at intake.",
            )
        number = int(self._control[w.X_OP])
        raise InputError(
            "the number is reserved",
            where=f"event {event} of the group, number column {number}",
            found=str(int(numbers[event, number])),
            allowed=f"{w.NUMBER_MIN} to {w.NUMBER_MAX}, or {w.NULL} for null",
            cure="Nothing of the group was applied. Bound the field in events.toml.",
        )

    # -- saving and comparing ------------------------------------------------------------------------------------

    def dump(self) -> dict[str, np.ndarray]:
        """The whole state as plain arrays, for a snapshot; independent of this object afterwards."""
        used = int(self._arena[w.A_USED])
        return {
            "plan": np.frombuffer(bytes.fromhex(self.plan.digest), dtype=np.uint8).copy(),
            "format": np.array([w.FORMAT], dtype=np.int64),
            "arena": self._arena[:used].copy(),
        }

    def parts(self) -> dict[str, Any]:
        """`dump` for a snapshot that is written before the next event is applied."""
        return dict(self.dump())

    @classmethod
    def load(cls, plan: Plan, dump: Mapping[str, np.ndarray]) -> FeatureState:
        """State from a dump of the same plan.

        Raises
        ------
        InputError : the dump is of another plan or kernel format, or not whole
        """
        cure = "Rebuild the state from the log."
        missing = {"plan", "format", "arena"} - set(dump)
        if missing:
            absent = f"no {', '.join(sorted(missing))}"
            raise InputError("the dump is not whole", where="features", found=absent, cure=cure)
        if int(dump["format"][0]) != w.FORMAT:
            raise InputError(
                "the dump has another format", where="features", found=str(int(dump["format"][0])),
                allowed=str(w.FORMAT), cure=cure,
            )  # fmt: skip
        digest = dump["plan"].tobytes().hex()
        if digest != plan.digest:
            raise InputError(
                "the dump belongs to other folds", where="features", found=digest[:16],
                allowed=plan.digest[:16], cure=cure,
            )  # fmt: skip
        arena = np.ascontiguousarray(dump["arena"], dtype=np.int64)
        if len(arena) < plan.state_words or int(arena[w.A_USED]) != len(arena):
            raise InputError("the dump is not whole", where="features", found=f"{len(arena)} words", cure=cure)
        state = cls(plan, len(arena) + len(arena) // 2)
        state._arena[: len(arena)] = arena
        state._desk.place(state._arena)
        if COLD in dump:
            thaw_all(state, dump[COLD])
        return state

    def digest(self) -> str:
        """SHA-256 (hex) of what the state means: the same for the same events however they were grouped, whatever
        was read or dry-run in between, and however the arena has grown."""
        digest = hashlib.sha256(bytes.fromhex(self.plan.digest))
        words, arena = self.plan.words, self._arena
        for number in range(len(self.plan.tables)):
            table = int(words[words[w.P_TABLES] + number])
            state = int(words[table + w.T_STATE])
            slots = self._slots(state)
            meaning = np.empty(group.export(words, arena, table, slots, np.empty(0, dtype=np.int64)), dtype=np.int64)
            group.export(words, arena, table, slots, meaning)
            digest.update(np.array([number, arena[state + w.S_TOO_LATE], len(slots)], dtype=np.int64).tobytes())
            digest.update(meaning.tobytes())
        return digest.hexdigest()

    def _slots(self, state: int) -> np.ndarray:
        """Slots of a table in the order of their keys."""
        arena = self._arena
        index, entries = int(arena[state + w.S_INDEX]), int(arena[state + w.S_MASK]) + 1
        if index == 0:
            return np.zeros(0, dtype=np.int64)
        slots = arena[index + 2 : index + w.I_WORDS * entries : w.I_WORDS]
        slots = slots[slots != 0]
        ordered: np.ndarray = slots[np.lexsort((arena[slots + w.K_1], arena[slots + w.K_0]))]
        return ordered

    # -- figures -------------------------------------------------------------------------------------------------

    @property
    def late(self) -> dict[str, int]:
        """Per fold, how many events came later than the declared lateness and are not in it."""
        counts = dict.fromkeys(self.plan.names, 0)
        words = self.plan.words
        for number, table in enumerate(self.plan.tables):
            state = int(words[words[words[w.P_TABLES] + number] + w.T_STATE])
            for fold in table.folds:
                counts[self.plan.names[fold]] = int(self._arena[state + w.S_TOO_LATE])
        return counts

    @property
    def keys(self) -> dict[str, int]:
        """How many keys each table holds, by "event by fields"."""
        words, counts = self.plan.words, {}
        for number, table in enumerate(self.plan.tables):
            state = int(words[words[words[w.P_TABLES] + number] + w.T_STATE])
            counts[table.title] = int(self._arena[state + w.S_SLOTS_N])
        return counts

    @property
    def memory_bytes(self) -> int:
        """Bytes of the arena, free room included."""
        return int(self._arena.nbytes)

    def metrics(self) -> dict[str, int | dict[str, int]]:
        """Figures for a metrics page: late events over all folds, keys of each table, bytes of memory."""
        return {
            "late_events": sum(self.late.values()),
            "feature_keys": self.keys,
            "feature_memory_bytes": self.memory_bytes,
        }

    @property
    def used_bytes(self) -> int:
        """Bytes of the arena that blocks have been cut from: the size of a dump."""
        return int(self._arena[w.A_USED]) * 8


def overflow_of(plan: Plan, out: np.ndarray, floats: bool) -> FeatureOverflow:
    """What is to be told of a group of which a sum does not fit, once every table has written to `out`."""
    if floats:
        return FeatureOverflow(float_overflows(plan, out), np.empty((len(out), 0), dtype=np.int64))
    return FeatureOverflow(overflows(plan, out), out)
