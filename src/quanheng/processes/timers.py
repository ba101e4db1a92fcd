"""Timers that are pending: armed, cancelled, found in the order in which they are due. They cost nothing until then."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quanheng.kernel.errors import InputError
from quanheng.processes.kernel import pending as kernel

COLUMNS = ("serial", "owner", "part", "timer", "due_ms")
NEXT_SERIAL = "next_serial"
CODE_MAX = 2**31 - 1
"""Largest number of a part and of a timer."""

_ROOM_LEAST = 1_024
_NONE: NDArray[np.int32] = np.empty(0, np.int32)
_NOTHING: NDArray[np.int64] = np.empty((0, kernel.TOLD_WORDS), np.int64)

# What numba makes of a function does not tell the checker of types what it takes.
_arm: Callable[..., int] = kernel.arm
_put_all: Callable[..., None] = kernel.put_all
_step_all: Callable[..., None] = kernel.step_all
_take_part: Callable[..., int] = kernel.take_part
_take_serial: Callable[..., bool] = kernel.take_serial
_take_serials: Callable[..., int] = kernel.take_serials


class Armed(NamedTuple):
    """A pending timer of an owner."""

    serial: int
    part: int
    timer: int
    due_ms: int


class Due(NamedTuple):
    """A pending timer that is due."""

    serial: int
    owner: int
    part: int
    timer: int
    due_ms: int


class Timers:
    """Pending timers of many owners (instances of processes).

    A timer has a serial, which rises with each that is armed and is never used again. Order is (due_ms, serial): what
    is due first, and of those due at one moment what was armed first. Serials, owners and moments are int64; parts and
    timers from 0 to 2**31 - 1. Memory is at most 90 bytes a timer where there are many. As long as none was ever armed,
    nothing is compiled.
    """

    def __init__(self) -> None:
        self._by_serial = self._by_owner = _NONE
        self._arrays: tuple[NDArray, ...] = ()
        self._empty(_ROOM_LEAST, 1)

    @property
    def count(self) -> int:
        """How many are pending."""
        return self._state.item(kernel.COUNT)

    @property
    def next_serial(self) -> int:
        """The serial that the next timer gets."""
        return self._state.item(kernel.SERIALS)

    @property
    def next_due_ms(self) -> int | None:
        """When the first of them is due; None = none is pending. O(1)."""
        return self._dues.item(0) if self._state.item(kernel.COUNT) else None

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the arrays take."""
        return sum(one.nbytes for one in self._arrays)

    def arm(self, owner: int, part: int, timer: int, due_ms: int) -> int:
        """Put in a timer; its serial. O(log n).

        Raises
        ------
        InputError : the number of the part or the timer is out of range
        """
        if not (0 <= part <= CODE_MAX and 0 <= timer <= CODE_MAX):
            raise _out_of_range(min(part, timer) if min(part, timer) < 0 else max(part, timer))
        serial = _arm(*self._arrays, owner, part, timer, due_ms)
        if serial < 0:
            self._make_room(self.count + 1)
            serial = _arm(*self._arrays, owner, part, timer, due_ms)
        return serial

    def arm_many(self, owners: ArrayLike, parts: ArrayLike, timers: ArrayLike, dues_ms: ArrayLike) -> int:
        """Put in timers, in the order given, with serials that follow one another; the first of them.

        Raises
        ------
        InputError : the number of a part or a timer is out of range, or the arrays have different lengths
        """
        columns = [np.ascontiguousarray(one, np.int64) for one in (owners, parts, timers, dues_ms)]
        count, first = _checked(columns), self.next_serial
        self._make_room(self.count + count)
        self._state[kernel.SERIALS] += count
        _put_all(*self._arrays, np.arange(first, first + count), *columns)
        return first

    def step_many(
        self, owners: NDArray[np.int64], parts: NDArray[np.int64], leaves: NDArray[np.bool_], fired: NDArray[np.int64],
        counts: NDArray[np.int64], timers: NDArray[np.int64], dues_ms: NDArray[np.int64],
    ) -> None:  # fmt: skip
        """What steps make of timers, one step after another.

        Parameters
        ----------
        leaves : whether the part is left, and loses its timers
        fired : timer that has fired where it stays; 0 = none
        counts : how many of `timers`, with their due moments, each step puts in
        """
        self._make_room(self.count + len(timers))
        _step_all(*self._arrays, owners, parts, leaves, fired, counts, timers, dues_ms)

    def cancel(self, owner: int, part: int) -> int:
        """Take out all timers of a part of an owner; how many there were."""
        return _take_part(*self._arrays, owner, part) if self._state.item(kernel.COUNT) else 0

    def fire(self, serial: int) -> bool:
        """Take out a timer that has fired; whether it was pending. O(log n)."""
        return _take_serial(*self._arrays, serial)

    def fire_many(self, serials: ArrayLike) -> int:
        """Take out timers that have fired; how many of them were pending."""
        return _take_serials(*self._arrays, np.ascontiguousarray(serials, np.int64))

    def is_armed(self, serial: int) -> bool:
        """Whether a timer is pending."""
        return bool(kernel.has_serial(self._rows, self._by_serial, serial))

    def of(self, owner: int) -> list[Armed]:
        """Timers of an owner, in the order of their serials."""
        found = kernel.of_owner(self._rows, self._dues, self._by_owner, owner).tolist()
        return [Armed(serial, part, timer, due_ms) for serial, _, part, timer, due_ms in found]

    def due(self, now_ms: int, most: int) -> list[Due]:
        """Up to `most` timers that are due at a moment, in order. They stay pending. O(1) where there is none."""
        if not self._state.item(kernel.COUNT) or self._dues.item(0) > now_ms:
            return []
        return list(map(Due._make, self.due_columns(now_ms, most).tolist()))

    def due_columns(self, now_ms: int, most: int) -> NDArray[np.int64]:
        """`due` as i8[n, 5]: serial, owner, part, timer, due_ms."""
        if most <= 0 or not self._state.item(kernel.COUNT) or self._dues.item(0) > now_ms:
            return _NOTHING.copy()
        found: NDArray[np.int64] = kernel.due_first(self._rows, self._dues, self._places, self.count, now_ms, most)
        return found

    def dump(self) -> dict[str, NDArray[np.int64]]:
        """What is pending, as columns in the order of their serials, and the next serial (one value)."""
        told = kernel.every(self._rows, self._dues, self._places, self.count) if self.count else _NOTHING
        columns = {name: np.ascontiguousarray(told[:, at]) for at, name in enumerate(COLUMNS)}
        return {**columns, NEXT_SERIAL: np.array([self.next_serial])}

    def load(self, arrays: Mapping[str, ArrayLike]) -> None:
        """Take what `dump` gave in the place of all that is there.

        Raises
        ------
        InputError : a number is out of range, columns have different lengths, or serials do not rise to the next one
        """
        columns = [np.ascontiguousarray(arrays[name], np.int64) for name in COLUMNS]
        count, following = _checked(columns[1:]), int(np.asarray(arrays[NEXT_SERIAL]).item())
        serials = columns[0]
        if len(serials) != count or np.any(np.diff(np.append(serials, following)) <= 0) or np.any(serials < 1):
            raise InputError(
                "the serials of timers are out of order",
                where="serial",
                found=f"{len(serials)} of {count}, next {following}",
                allowed="one for each timer, rising from 1, below the next one",
                cure="Take what `dump` gave.",
            )
        self._empty(max(count, _ROOM_LEAST), following)
        if count:
            _put_all(*self._arrays, *columns)

    def digest(self) -> str:
        """BLAKE2b-256, as hex, of what `dump` gives: equal where the content is, whatever came before."""
        content = hashlib.blake2b(digest_size=32, person=b"quanheng timers")
        dumped = self.dump()
        content.update(len(dumped["serial"]).to_bytes(8, "little"))
        for name in (NEXT_SERIAL, *COLUMNS):
            content.update(dumped[name].astype("<i8").tobytes())
        return content.hexdigest()

    def _empty(self, room: int, next_serial: int) -> None:
        """Arrays for so many timers, without any."""
        self._state = np.array([0, -1, 0, next_serial], np.int64)
        self._rows, self._dues = np.empty((room, kernel.ROW_WORDS), np.int64), np.empty(room, np.int64)
        self._places = np.empty(room, np.int32)
        self._index()

    def _make_room(self, wanted: int) -> None:
        """Let there be room for `wanted` timers: for a quarter more than that, where there is none yet."""
        if wanted <= len(self._dues):
            return
        room = wanted + wanted // 4
        self._arrays = ()  # So that the old ones go one by one.
        self._rows, self._dues = _longer(self._rows, room), _longer(self._dues, room)
        self._places = _longer(self._places, room)
        self._index()

    def _index(self) -> None:
        """Indexes that fit the room: at most two thirds full."""
        slots = 1 << (len(self._dues) * 3 // 2 - 1).bit_length()
        if slots != len(self._by_serial) or not self._state[kernel.COUNT]:
            self._by_serial = self._by_owner = _NONE  # Given back before there are new ones.
            self._by_serial, self._by_owner = np.full(slots, -1, np.int32), np.full(slots, -1, np.int32)
            if self.count:
                kernel.index_all(self._rows, self._places, self._by_serial, self._by_owner, self.count)
        self._arrays = (self._state, self._rows, self._dues, self._places, self._by_serial, self._by_owner)


def _longer(array: NDArray, length: int) -> NDArray:
    """A copy with room for more."""
    found = np.empty((length, *array.shape[1:]), array.dtype)
    found[: len(array)] = array
    return found


def _checked(columns: list[NDArray[np.int64]]) -> int:
    """How many timers these columns (owners, parts, timers, due moments) hold."""
    _, parts, timers, dues = columns
    if any(one.ndim != 1 or len(one) != len(dues) for one in columns):
        raise InputError(
            "columns of timers have different lengths",
            where="timers",
            found=", ".join(str(one.shape) for one in columns),
            allowed="arrays of one dimension and one length",
            cure="Give an owner, a part, a timer and a moment for each.",
        )
    for one in (parts, timers):
        if len(one) and (one.min() < 0 or one.max() > CODE_MAX):
            raise _out_of_range(int(one.min() if one.min() < 0 else one.max()))
    return len(dues)


def _out_of_range(found: int) -> InputError:
    return InputError(
        "the number of a part or a timer is out of range",
        where="timers",
        found=str(found),
        allowed=f"0 to {CODE_MAX}",
        cure="Give the place of the part and the code of the timer.",
    )
