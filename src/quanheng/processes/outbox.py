"""Messages that are to be sent: a fold of the log.

A message waits from the record that asks for it until the event that tells what became of it. One that ended badly is a
dead letter: it can be asked for again, under its own id. Nothing is sent here, and nothing is read but headers, so
recovery needs no keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DEAD_KEPT_MAX = 100_000
"""Dead letters that are kept, the newest; the others are counted and stay in the log."""
ROOM_MIN = 1024
MESSAGE = np.dtype(
    [
        ("id", "<u8", 2), ("serial", "<i8"), ("cause", "<i8"), ("received_ms", "<i8"),
        ("code", "<i4"), ("again", "<i4"),
    ]
)  # fmt: skip
DEAD = np.dtype(
    [("id", "<u8", 2), ("cause", "<i8"), ("asked_ms", "<i8"), ("ended_ms", "<i8"), ("code", "<i4"), ("again", "<i4"),
     ("reason", "<i4")]
)  # fmt: skip


class Message(NamedTuple):
    """A message that waits to be sent.

    id : 16 bytes, the same however often it is sent
    serial : of the asking, rising
    cause : offset of the decision whose body says what is sent
    code : of the call in the log's code map
    received_ms : when it was asked for, by the writer's clock
    again : how often it was asked for again
    """

    id: bytes
    serial: int
    cause: int
    received_ms: int
    code: int
    again: int

    @property
    def request_id(self) -> str:
        """Request id of the event that tells what became of it: of each asking there is one."""
        return f"{self.id.hex()}.{self.again}" if self.again else self.id.hex()


class DeadLetter(NamedTuple):
    """A message that was not answered or taken.

    asked_ms, ended_ms : when it was asked for, and when that became of it
    reason : place in the closed list of reasons, -1 = none was told
    """

    id: bytes
    cause: int
    asked_ms: int
    ended_ms: int
    code: int
    again: int
    reason: int

    @property
    def request_id(self) -> str:
        """Request id of the event that told what became of it."""
        return f"{self.id.hex()}.{self.again}" if self.again else self.id.hex()


class Counts(NamedTuple):
    """Of one call, since the beginning of the log. What was asked for and is not ended waits."""

    asked: int = 0
    ended: int = 0
    dead: int = 0


class Outbox:
    """Messages that wait, in the order in which they were asked for, and dead letters.

    Asking and ending take a time that does not depend on how many wait. A message takes about 220 bytes.

    Attributes
    ----------
    counts : code of a call → what became of its messages
    unexpected : events that told of a message that did not wait
    forgotten : dead letters that are not kept any more
    """

    def __init__(self) -> None:
        self._rows = np.zeros(ROOM_MIN, MESSAGE)
        self._order = np.zeros(ROOM_MIN, np.int64)
        self._waits = np.zeros(ROOM_MIN, bool)
        self._used, self._next = 0, 0
        self._serials: dict[bytes, int] = {}
        self._dead: dict[bytes, DeadLetter] = {}
        self.counts: dict[int, Counts] = {}
        self.unexpected, self.forgotten = 0, 0

    def __len__(self) -> int:
        return len(self._serials)

    @property
    def dead_n(self) -> int:
        """Dead letters that are kept."""
        return len(self._dead)

    @property
    def next_serial(self) -> int:
        """Serial of the next message that is asked for."""
        return self._next

    def ask(
        self,
        ids: NDArray[np.uint64],
        causes: NDArray[np.int64],
        codes: NDArray[np.int64],
        received_ms: NDArray[np.int64],
    ) -> None:
        """Messages that records of the log ask for, in its order. One that waits already is passed over.

        Parameters
        ----------
        ids : u64[n, 2]; the others i64[n], as `Message` explains them
        """
        for place, id in enumerate(ids_of(ids)):
            if id not in self._serials:
                code = int(codes[place])
                self._add(id, int(causes[place]), int(received_ms[place]), code, 0)
                asked, ended, dead = self.counts.get(code, Counts())
                self.counts[code] = Counts(asked + 1, ended, dead)

    def _add(self, id: bytes, cause: int, received_ms: int, code: int, again: int) -> None:
        if self._used == len(self._rows):
            self._make_room()
        halves = int.from_bytes(id[:8], "little"), int.from_bytes(id[8:], "little")
        self._rows[self._used] = (halves, self._next, cause, received_ms, code, again)
        self._order[self._used], self._waits[self._used] = self._next, True
        self._serials[id] = self._next
        self._used, self._next = self._used + 1, self._next + 1

    def _make_room(self) -> None:
        """Leave out what has ended; where that is little, twice the room."""
        waiting = self._waiting()
        self._take(waiting, len(self._rows) if 2 * len(waiting) <= len(self._rows) else 2 * len(self._rows))

    def _take(self, waiting: NDArray[np.void], room: int) -> None:
        """Hold these messages and nothing else; serials stand apart, where they can be searched without a copy."""
        room, self._used = max(ROOM_MIN, room), len(waiting)
        self._rows, self._order, self._waits = np.zeros(room, MESSAGE), np.zeros(room, np.int64), np.zeros(room, bool)
        self._rows[: self._used], self._order[: self._used] = waiting, waiting["serial"]
        self._waits[: self._used] = True

    def _waiting(self) -> NDArray[np.void]:
        return self._rows[: self._used][self._waits[: self._used]]

    def end(
        self,
        ids: NDArray[np.uint64],
        dead: NDArray[np.bool_],
        reasons: NDArray[np.int64],
        ended_ms: NDArray[np.int64],
    ) -> None:
        """Events that tell what became of messages, in the order of the log.

        Parameters
        ----------
        ids : u64[n, 2]
        dead : it was not answered or taken; reasons : why, -1 = not told
        ended_ms : when that became of it
        """
        for place, id in enumerate(ids_of(ids)):
            serial = self._serials.pop(id, -1)
            if serial < 0:
                self.unexpected += 1
                continue
            row = self._row(serial)
            self._waits[row] = False
            one = self._message(row)
            asked, ended, died = self.counts[one.code]
            self.counts[one.code] = Counts(asked, ended + 1, died + bool(dead[place]))
            if dead[place]:
                letter = (
                    id,
                    one.cause,
                    one.received_ms,
                    int(ended_ms[place]),
                    one.code,
                    one.again,
                    int(reasons[place]),
                )
                self._bury(DeadLetter(*letter))

    def _bury(self, letter: DeadLetter) -> None:
        self._dead.pop(letter.id, None)
        if len(self._dead) >= DEAD_KEPT_MAX:
            del self._dead[next(iter(self._dead))]
            self.forgotten += 1
        self._dead[letter.id] = letter

    def ask_again(self, ids: NDArray[np.uint64], received_ms: int) -> int:
        """Dead letters wait again from here on, how many of them. Others are passed over."""
        count = 0
        for id in ids_of(ids):
            letter = None if id in self._serials else self._dead.pop(id, None)
            if letter is not None:
                self._add(id, letter.cause, received_ms, letter.code, letter.again + 1)
                asked, ended, dead = self.counts[letter.code]
                self.counts[letter.code] = Counts(asked + 1, ended, dead)
                count += 1
        return count

    def waiting(self, serial: int = 0, most: int = 1000) -> list[Message]:
        """Messages that wait, from a serial on, in the order of asking."""
        found: list[Message] = []
        row = self._row(serial)
        while row < self._used and len(found) < most:
            some = row + np.flatnonzero(self._waits[row : min(self._used, row + 4 * most)])
            found += [self._message(one) for one in some[: most - len(found)].tolist()]
            row += 4 * most
        return found

    def message(self, id: bytes) -> Message | None:
        """One that waits."""
        serial = self._serials.get(id)
        return None if serial is None else self._message(self._row(serial))

    def waits(self, id: bytes, serial: int) -> bool:
        """Whether this asking of a message still waits."""
        return self._serials.get(id) == serial

    def letter(self, id: bytes) -> DeadLetter | None:
        """One dead letter."""
        return self._dead.get(id)

    def letters(self, most: int = 1000, code: int = -1) -> list[DeadLetter]:
        """The newest dead letters, newest first, of one call where a code is given."""
        found: list[DeadLetter] = []
        for letter in reversed(self._dead.values()):
            if len(found) == most:
                break
            if code in (-1, letter.code):
                found.append(letter)
        return found

    def _row(self, serial: int) -> int:
        return int(np.searchsorted(self._order[: self._used], serial))

    def _message(self, row: int) -> Message:
        one = self._rows[row]
        return Message(
            one["id"].tobytes(),
            *(int(one[name]) for name in ("serial", "cause", "received_ms", "code", "again")),
        )

    def dump(self) -> dict[str, NDArray]:
        """Everything as arrays; `load` makes an equal one of them."""
        dead = np.zeros(len(self._dead), DEAD)
        for place, letter in enumerate(self._dead.values()):
            dead[place] = (np.frombuffer(letter.id, "<u8"), *letter[1:])
        return {
            "waiting": self._waiting(),
            "dead": dead,
            "counts": np.array([[code, *counts] for code, counts in sorted(self.counts.items())], np.int64).reshape(
                -1, 4
            ),
            "totals": np.array([self._next, self.unexpected, self.forgotten], np.int64),
        }

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray]) -> Outbox:
        """What `dump` gave."""
        made, waiting = cls(), arrays["waiting"]
        made._take(waiting, len(waiting))
        made._serials = dict(zip(ids_of(waiting["id"]), waiting["serial"].tolist(), strict=True))
        names = ("cause", "asked_ms", "ended_ms", "code", "again", "reason")
        dead = arrays["dead"]
        columns = (ids_of(dead["id"]), *(dead[name].tolist() for name in names))
        made._dead = {row[0]: DeadLetter(*row) for row in zip(*columns, strict=True)}
        made.counts = {code: Counts(*rest) for code, *rest in arrays["counts"].tolist()}
        made._next, made.unexpected, made.forgotten = arrays["totals"].tolist()
        return made

    def digest(self) -> str:
        """BLAKE2b of everything, to compare two folds of one log."""
        made = hashlib.blake2b(digest_size=16)
        for name, array in self.dump().items():
            made.update(name.encode() + np.ascontiguousarray(array).tobytes())
        return made.hexdigest()


def ids_of(ids: NDArray[np.uint64]) -> list[bytes]:
    """u64[n, 2] as 16 bytes each."""
    data = np.ascontiguousarray(ids).tobytes()
    return [data[at : at + 16] for at in range(0, len(data), 16)]
