"""Keys that leave the arena as words and come back as the same words; and which keys of a group are not there.

A record of a key is its slot, word by word, and behind it its blocks in the order of `slot_blocks`. Nothing is computed
anew, so what can no longer be computed (rows that were let go, registers) comes back as well, bit for bit. Pointers in
a record are stale; they are set when its blocks have a place again.
"""

import numpy as np
from numba import njit

from quanheng.features.kernel.arena import find_entry, hash_key, make_slot, take
from quanheng.features.kernel.blocks import blocks_most, free_slot, slot_blocks
from quanheng.features.kernel.keys import key_of, record_of
from quanheng.features.kernel.parts import SOURCE
from quanheng.features.kernel.pointers import pointer
from quanheng.features.kernel.words import (
    A_NEED,
    A_SIZE,
    A_USED,
    ABSENT_KEY_1,
    ABSENT_KEY_2,
    ABSENT_TABLE,
    ABSENT_WORDS,
    B_FREE,
    B_POINTER,
    B_SIZE,
    B_WORDS,
    E_OPS,
    E_OPS_N,
    I_LOCAL,
    I_NUMBER,
    I_SLOT,
    I_WORDS,
    K_0,
    K_1,
    O_TABLE,
    O_WORDS,
    P_TABLES,
    P_TABLES_N,
    S_MASK,
    S_STAMP,
    T_SLOT,
    T_STATE,
    X_KEY_1,
    X_KEY_2,
    X_KEYS_N,
    X_SOURCE,
)


@njit(nogil=True, error_model="numpy")
def next_stamp(P, A):
    """A new stamp, the same for all tables."""
    stamp = np.int64(0)
    for table_n in range(P[P_TABLES_N]):
        stamp = max(stamp, A[P[P[P[P_TABLES] + table_n] + T_STATE] + S_STAMP])
    for table_n in range(P[P_TABLES_N]):
        A[P[P[P[P_TABLES] + table_n] + T_STATE] + S_STAMP] = stamp + 1


@njit(nogil=True, error_model="numpy")
def table_number(P, table):
    """Number of a table by its offset."""
    number = 0
    while P[P[P_TABLES] + number] != table:
        number += 1
    return number


@njit(nogil=True, error_model="numpy")
def absent_keys(P, A, X, codes, keys, events_n, touches, out):
    """Write the keys (ABSENT_...) of events that have no slot to `out`; stamp the others where `touches`. How many."""
    if touches:
        next_stamp(P, A)
    count = 0
    for event in range(events_n):
        record = record_of(P, codes, event)
        if record == 0:
            continue
        for op_n in range(P[record + E_OPS_N]):
            op = P[record + E_OPS] + op_n * O_WORDS
            if not key_of(P, op, keys, event, X):
                continue
            state = P[P[op + O_TABLE] + T_STATE]
            entry = find_entry(A, state, X[X_KEY_1], X[X_KEY_2], hash_key(X[X_KEY_1], X[X_KEY_2]))
            if entry != 0 and A[entry + I_SLOT] != 0:
                if touches:
                    A[entry + I_LOCAL] = A[state + S_STAMP] << I_NUMBER
            else:
                at = count * ABSENT_WORDS
                out[at + ABSENT_TABLE] = table_number(P, P[op + O_TABLE])
                out[at + ABSENT_KEY_1], out[at + ABSENT_KEY_2] = X[X_KEY_1], X[X_KEY_2]
                count += 1
    return count


@njit(nogil=True, error_model="numpy")
def record_words(P, A, table, slot, B):
    """Words of the record of a slot."""
    words = P[table + T_SLOT]
    for number in range(slot_blocks(P, A, table, slot, B)):
        words += B[number * B_WORDS + B_SIZE]
    return words


@njit(nogil=True, error_model="numpy")
def write_records(P, A, table, slots, slots_n, ends, out, room, B):
    """Records of slots one behind the other, and where each ends; words needed, so call with no room first."""
    at = 0
    for slot_n in range(slots_n):
        slot = slots[slot_n]
        words = record_words(P, A, table, slot, B)
        ends[slot_n] = at + words
        if at + words <= room:
            for word in range(P[table + T_SLOT]):
                out[at + word] = A[slot + word]
            place = at + P[table + T_SLOT]
            for number in range(slot_blocks(P, A, table, slot, B)):
                block = A[slot + B[number * B_WORDS + B_POINTER]]
                for word in range(B[number * B_WORDS + B_SIZE]):
                    out[place + word] = A[block + word]
                place += B[number * B_WORDS + B_SIZE]
        at += words
    return at


@njit(nogil=True, error_model="numpy")
def read_record(P, A, table, records, at, end, local, B):
    """Put a record into the arena; False if it must grow first (nothing is changed then)."""
    state = P[table + T_STATE]
    room = (end - at) + 16 * (2 + blocks_most(P, table)) + 2 * (A[state + S_MASK] + 16) * I_WORDS
    if A[A_USED] + room > A[A_SIZE]:
        A[A_NEED] = room
        return False
    slot = make_slot(P, A, table, records[at + K_0], records[at + K_1])
    for word in range(P[table + T_SLOT]):
        A[slot + word] = records[at + word]
    place = at + P[table + T_SLOT]
    for number in range(slot_blocks(P, A, table, slot, B)):
        size = B[number * B_WORDS + B_SIZE]
        block = take(A, size, B[number * B_WORDS + B_FREE])
        for word in range(size):
            A[block + word] = records[place + word]
        A[slot + B[number * B_WORDS + B_POINTER]] = block
        place += size
    entry = find_entry(A, state, A[slot + K_0], A[slot + K_1], hash_key(A[slot + K_0], A[slot + K_1]))
    A[entry + I_LOCAL] = local
    return True


def _compile(source):
    """The entries, with `source` as a closure cell: part of the key of numba's cache."""

    @njit(nogil=True, cache=True, boundscheck=False)
    def absent(words, arena, control, types, keys, touches, out):
        """Keys of a group without a slot, to `out` (i8[operations x ABSENT_WORDS]); how many. Stamps those with one."""
        X = pointer(control)
        X[X_SOURCE], X[X_KEYS_N] = source, keys.shape[1]
        return absent_keys(
            pointer(words), pointer(arena), X, pointer(types), pointer(keys), len(types), touches, pointer(out)
        )

    @njit(nogil=True, cache=True, boundscheck=False)
    def records(words, arena, table, slots, ends, out):
        """Records of slots; words needed."""
        if source == 0:
            return -1
        P, blocks = pointer(words), np.empty(B_WORDS * blocks_most(pointer(words), table), dtype=np.int64)
        return write_records(
            P, pointer(arena), table, pointer(slots), len(slots), pointer(ends), pointer(out), len(out), pointer(blocks)
        )

    @njit(nogil=True, cache=True, boundscheck=False)
    def release(words, arena, table, slots):
        """Take slots out of the arena."""
        P, blocks = pointer(words), np.empty(B_WORDS * blocks_most(pointer(words), table), dtype=np.int64)
        for slot_n in range(len(slots)):
            free_slot(P, pointer(arena), table, slots[slot_n], pointer(blocks))
        return source

    @njit(nogil=True, cache=True, boundscheck=False)
    def put(words, arena, tables, ends, content, locals_, first):
        """Put records from number `first` on into the arena; the number of the first that finds no room.

        tables, ends, locals_ : of each record the number of its table, where it ends, and when it was touched (I_LOCAL)
        """
        P, A, C = pointer(words), pointer(arena), pointer(content)
        A[A_SIZE] = len(arena)
        number = first
        while number < len(tables):
            table = P[P[P_TABLES] + tables[number]]
            blocks = np.empty(B_WORDS * blocks_most(P, table), dtype=np.int64)
            at = ends[number - 1] if number > 0 else np.int64(0)
            if source == 0 or not read_record(P, A, table, C, at, ends[number], locals_[number], pointer(blocks)):
                break
            number += 1
        return number

    @njit(nogil=True, cache=True, boundscheck=False)
    def touched(words, arena, table, slots, out):
        """When each slot was touched (I_LOCAL of its entry)."""
        P, A = pointer(words), pointer(arena)
        state = P[table + T_STATE]
        for slot_n in range(len(slots)):
            first, second = A[slots[slot_n] + K_0], A[slots[slot_n] + K_1]
            out[slot_n] = A[find_entry(A, state, first, second, hash_key(first, second)) + I_LOCAL]
        return source

    return absent, records, release, put, touched


absent, records, release, put, touched = _compile(SOURCE)
