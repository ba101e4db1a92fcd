"""Pending timers in arrays, compiled by numba: a heap by (due, serial), and where a serial and an owner are found.

A timer is a row of T; its place in the heap stands in the row, so that any timer is taken out in O(log n) and nothing
dead stays. The heap has four children a node, with the due moments beside one another: one look at memory a level. The
two indexes are open addressing with linear probing, closed up at each removal; serials and owners are numbers of ours,
so their hash needs no secret. The timers of one owner are a list.

All functions stand in one file: numba's cache on disk goes by it.
"""

import numpy as np
from numba import njit

# Words of a row; WHAT is part << 32 | timer, NEXT the next row of the same owner, or of the free ones; -1 = none.
SERIAL, OWNER, WHAT, NEXT, PLACE, ROW_WORDS = 0, 1, 2, 3, 4, 5
# Words of the state: pending timers, the first free row, rows that were ever used, the next serial.
COUNT, FREE, USED, SERIALS, STATE_WORDS = 0, 1, 2, 3, 4
# What is told of a timer.
TOLD_SERIAL, TOLD_OWNER, TOLD_PART, TOLD_TIMER, TOLD_DUE, TOLD_WORDS = 0, 1, 2, 3, 4, 5

_CHILDREN = 4
_LOW = np.int64(0xFFFF_FFFF)
_GOLDEN = np.uint64(0x9E37_79B9_7F4A_7C15)  # 2**64 over the golden ratio: D. Knuth, TAOCP 3, 6.4.
_32 = np.uint64(32)


@njit(nogil=True, error_model="numpy", inline="always")
def _home(slots, key):
    word = np.uint64(key) * _GOLDEN
    return np.int64((word ^ (word >> _32)) & np.uint64(len(slots) - 1))


@njit(nogil=True, error_model="numpy")
def _slot_of(slots, T, word, key):
    """Where a key stands, or the empty slot where it would."""
    mask, at = len(slots) - 1, _home(slots, key)
    while slots[at] >= 0 and T[slots[at], word] != key:
        at = (at + 1) & mask
    return at


@njit(nogil=True, error_model="numpy")
def _vacate(slots, T, word, hole):
    """Empty a slot and move up what stood behind it."""
    mask = len(slots) - 1
    at = hole
    while True:
        at = (at + 1) & mask
        if slots[at] < 0:
            break
        home = _home(slots, T[slots[at], word])
        if ((at - home) & mask) >= ((at - hole) & mask):  # Its home is not behind the hole.
            slots[hole] = slots[at]
            hole = at
    slots[hole] = -1


@njit(nogil=True, error_model="numpy", inline="always")
def _before(T, due_ms, row, other_ms, other):
    return due_ms < other_ms or (due_ms == other_ms and T[row, SERIAL] < T[other, SERIAL])


@njit(nogil=True, error_model="numpy")
def _rise(T, dues, rows, at, due_ms, row):
    """Put a timer at a place of the heap, or above it."""
    while at > 0:
        above = (at - 1) // _CHILDREN
        if not _before(T, due_ms, row, dues[above], rows[above]):
            break
        dues[at], rows[at] = dues[above], rows[above]
        T[rows[at], PLACE] = at
        at = above
    dues[at], rows[at] = due_ms, row
    T[row, PLACE] = at


@njit(nogil=True, error_model="numpy")
def _sink(T, dues, rows, count, at, due_ms, row):
    """Put a timer at a place of the heap, or below it."""
    while True:
        first = _CHILDREN * at + 1
        if first >= count:
            break
        least = first
        for child in range(first + 1, min(first + _CHILDREN, count)):
            if _before(T, dues[child], rows[child], dues[least], rows[least]):
                least = child
        if not _before(T, dues[least], rows[least], due_ms, row):
            break
        dues[at], rows[at] = dues[least], rows[least]
        T[rows[at], PLACE] = at
        at = least
    dues[at], rows[at] = due_ms, row
    T[row, PLACE] = at


@njit(nogil=True, error_model="numpy")
def _put(
    S, T, dues, rows, by_serial, by_owner,
    serial, owner, what, due_ms,
):  # fmt: skip
    """Put in a timer of a new serial. There is room."""
    row = S[FREE]
    if row >= 0:
        S[FREE] = T[row, NEXT]
    else:
        row = S[USED]
        S[USED] += 1
    T[row, SERIAL], T[row, OWNER], T[row, WHAT] = serial, owner, what
    by_serial[_slot_of(by_serial, T, SERIAL, serial)] = row
    at = _slot_of(by_owner, T, OWNER, owner)
    T[row, NEXT] = by_owner[at]
    by_owner[at] = row
    S[COUNT] += 1
    _rise(T, dues, rows, S[COUNT] - 1, due_ms, row)


@njit(nogil=True, error_model="numpy")
def _take(S, T, dues, rows, by_serial, by_owner, row):
    """Take out a timer."""
    _vacate(by_serial, T, SERIAL, _slot_of(by_serial, T, SERIAL, T[row, SERIAL]))
    at = _slot_of(by_owner, T, OWNER, T[row, OWNER])
    if by_owner[at] != row:
        one = by_owner[at]
        while T[one, NEXT] != row:
            one = T[one, NEXT]
        T[one, NEXT] = T[row, NEXT]
    elif T[row, NEXT] >= 0:
        by_owner[at] = T[row, NEXT]
    else:
        _vacate(by_owner, T, OWNER, at)
    S[COUNT] -= 1
    place, last = T[row, PLACE], S[COUNT]
    if place != last:  # The last of the heap fills its place, and goes down or up from there.
        due_ms, moved = dues[last], rows[last]
        above = (place - 1) // _CHILDREN
        if place > 0 and _before(T, due_ms, moved, dues[above], rows[above]):
            _rise(T, dues, rows, place, due_ms, moved)
        else:
            _sink(T, dues, rows, last, place, due_ms, moved)
    T[row, NEXT] = S[FREE]
    S[FREE] = row


@njit(nogil=True, error_model="numpy", cache=True)
def arm(
    S, T, dues, rows, by_serial, by_owner,
    owner, part, timer, due_ms,
):  # fmt: skip
    """Put in a timer; its serial, or -1 where there is no room."""
    if S[COUNT] == len(dues):
        return -1
    serial = S[SERIALS]
    S[SERIALS] += 1
    _put(S, T, dues, rows, by_serial, by_owner, serial, owner, np.int64(part) << 32 | timer, due_ms)
    return serial


@njit(nogil=True, error_model="numpy", cache=True)
def index_all(T, rows, by_serial, by_owner, count):
    """Fill empty indexes, and make the lists of owners anew."""
    for at in range(count):
        row = rows[at]
        by_serial[_slot_of(by_serial, T, SERIAL, T[row, SERIAL])] = row
        slot = _slot_of(by_owner, T, OWNER, T[row, OWNER])
        T[row, NEXT] = by_owner[slot]
        by_owner[slot] = row


@njit(nogil=True, error_model="numpy", cache=True)
def put_all(
    S, T, dues, rows, by_serial, by_owner,
    serials, owners, parts, timers, due,
):  # fmt: skip
    """Put in timers, in order. There is room."""
    for at in range(len(due)):
        what = parts[at] << 32 | timers[at]
        _put(S, T, dues, rows, by_serial, by_owner, serials[at], owners[at], what, due[at])


@njit(nogil=True, error_model="numpy", cache=True)
def step_all(
    S, T, dues, rows, by_serial, by_owner,
    owners, parts, leaves, fired, counts, timers, due,
):  # fmt: skip
    """What steps make of timers, one step after another: a part that is left loses its timers, one that stays the one
    that has fired (`fired`, its low 16 bits; 0 = none); then so many (`counts`) of `timers` are put in. There is room.
    """
    one = 0
    for at in range(len(owners)):
        if leaves[at] or fired[at]:
            row = np.int64(by_owner[_slot_of(by_owner, T, OWNER, owners[at])])
            while row >= 0:
                following, what = T[row, NEXT], T[row, WHAT]
                if what >> 32 == parts[at] and (leaves[at] or what & 0xFFFF == fired[at]):
                    _take(S, T, dues, rows, by_serial, by_owner, row)
                row = following
        for _ in range(counts[at]):
            serial = S[SERIALS]
            S[SERIALS] += 1
            what = parts[at] << 32 | timers[one]
            _put(S, T, dues, rows, by_serial, by_owner, serial, owners[at], what, due[one])
            one += 1


@njit(nogil=True, error_model="numpy", cache=True)
def take_serials(S, T, dues, rows, by_serial, by_owner, serials):
    """Take out timers by their serials; how many of them were armed."""
    found = 0
    for at in range(len(serials)):
        row = by_serial[_slot_of(by_serial, T, SERIAL, serials[at])]
        if row >= 0:
            _take(S, T, dues, rows, by_serial, by_owner, row)
            found += 1
    return found


@njit(nogil=True, error_model="numpy", cache=True)
def take_serial(S, T, dues, rows, by_serial, by_owner, serial):
    """Take out a timer by its serial; whether it was armed."""
    row = by_serial[_slot_of(by_serial, T, SERIAL, serial)]
    if row >= 0:
        _take(S, T, dues, rows, by_serial, by_owner, row)
    return row >= 0


@njit(nogil=True, error_model="numpy", cache=True)
def take_part(S, T, dues, rows, by_serial, by_owner, owner, part):
    """Take out all timers of a part of an owner; how many there were."""
    row = np.int64(by_owner[_slot_of(by_owner, T, OWNER, owner)])
    found = 0
    while row >= 0:
        following = T[row, NEXT]
        if T[row, WHAT] >> 32 == part:
            _take(S, T, dues, rows, by_serial, by_owner, row)
            found += 1
        row = following
    return found


@njit(nogil=True, error_model="numpy", cache=True)
def has_serial(T, by_serial, serial):
    """Whether a timer is armed."""
    return by_serial[_slot_of(by_serial, T, SERIAL, serial)] >= 0


@njit(nogil=True, error_model="numpy")
def _tell(T, dues, row, out, at):
    out[at, TOLD_SERIAL], out[at, TOLD_OWNER], out[at, TOLD_DUE] = T[row, SERIAL], T[row, OWNER], dues[T[row, PLACE]]
    out[at, TOLD_PART], out[at, TOLD_TIMER] = T[row, WHAT] >> 32, T[row, WHAT] & _LOW


@njit(nogil=True, error_model="numpy", cache=True)
def of_owner(T, dues, by_owner, owner):
    """The timers of an owner, in the order of their serials."""
    head = np.int64(by_owner[_slot_of(by_owner, T, OWNER, owner)])
    count, row = 0, head
    while row >= 0:
        count, row = count + 1, T[row, NEXT]
    out, row = np.empty((count, TOLD_WORDS), np.int64), head
    for at in range(count):
        _tell(T, dues, row, out, at)
        row = T[row, NEXT]
    return out[np.argsort(out[:, TOLD_SERIAL])]


@njit(nogil=True, error_model="numpy", cache=True)
def every(T, dues, rows, count):
    """All timers, in the order of their serials."""
    out = np.empty((count, TOLD_WORDS), np.int64)
    for at in range(count):
        _tell(T, dues, rows[at], out, at)
    return out[np.argsort(out[:, TOLD_SERIAL])]


@njit(nogil=True, error_model="numpy", cache=True)
def due_first(T, dues, rows, count, now_ms, most):
    """Up to `most` timers that are due, in order. The heap stays: a smaller heap holds the places to be looked at next,
    which are children of places that were told."""
    most = min(most, count)
    out = np.empty((most, TOLD_WORDS), np.int64)
    front = np.empty((_CHILDREN - 1) * most + 1, np.int64)
    front[0], size, found = 0, 1, 0
    while found < most and size > 0:
        place = front[0]
        if dues[place] > now_ms:
            break
        _tell(T, dues, rows[place], out, found)
        found += 1
        first = _CHILDREN * place + 1
        size -= 1
        _sift(T, dues, rows, front, size, front[size])
        for child in range(first, min(first + _CHILDREN, count)):
            if dues[child] <= now_ms and found < most:
                _lift(T, dues, rows, front, size, child)
                size += 1
    return out[:found]


@njit(nogil=True, error_model="numpy")
def _sift(T, dues, rows, front, size, place):
    """Put a place of the heap at the top of the front, or below it."""
    at = 0
    while True:
        least = 2 * at + 1
        if least >= size:
            break
        one, other = front[least], front[min(least + 1, size - 1)]
        if _before(T, dues[other], rows[other], dues[one], rows[one]):
            least, one = least + 1, other
        if not _before(T, dues[one], rows[one], dues[place], rows[place]):
            break
        front[at] = one
        at = least
    front[at] = place


@njit(nogil=True, error_model="numpy")
def _lift(T, dues, rows, front, size, place):
    """Put a place of the heap at the end of the front, or above it."""
    at = size
    while at > 0:
        above = front[(at - 1) >> 1]
        if not _before(T, dues[place], rows[place], dues[above], rows[above]):
            break
        front[at] = above
        at = (at - 1) >> 1
    front[at] = place
