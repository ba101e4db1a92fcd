"""One event and one table: find the slot of its key, put the event in its place."""

import numpy as np
from numba import njit

from quanheng.features.kernel.arena import find, make_slot
from quanheng.features.kernel.bounds import (
    bounds_insert,
    evict,
    sets_insert,
    sets_reserve,
)
from quanheng.features.kernel.marks import marks_row
from quanheng.features.kernel.parts import part
from quanheng.features.kernel.ring import ring_open, ring_reserve, row_at, trees_append, trees_rebuild
from quanheng.features.kernel.words import (
    K_NEWEST,
    K_TAIL,
    NULL,
    S_TOO_LATE,
    T_KEEP,
    T_LATE,
    T_MARKS_N,
    T_SETS_N,
    T_STATE,
    T_STRIDE,
    T_TREES_N,
    T_VALUES,
    T_VALUES_N,
    U_WORDS,
    X_KEY_1,
    X_KEY_2,
    X_KEYS_N,
    X_NUMBERS_N,
    X_OWN,
    X_PEEK,
    X_SLOT,
    X_UNDO,
    Y_HASH,
    Y_KEY_1,
    Y_KEY_2,
    Y_SLOT,
)


@njit(nogil=True, error_model="numpy", forceinline=True)
def insert(P, A, X, table, slot, time, keys, numbers, event):
    """Put an event in its place; X[X_OWN] becomes its position, -1 if it came too late. False to grow first."""
    newest = A[slot + K_NEWEST]
    X[X_OWN] = -1
    if newest != NULL and time < newest - P[table + T_LATE]:
        if X[X_PEEK] == 0:
            A[P[table + T_STATE] + S_TOO_LATE] += 1
        return True
    latest = max(newest, time)
    if X[X_PEEK] == 0 and not evict(P, A, table, slot, latest - P[table + T_KEEP], A[slot + K_TAIL]):
        return False
    if P[table + T_SETS_N] != 0 and not sets_reserve(P, A, table, slot):
        return False
    if not ring_reserve(P, A, table, slot, 1):
        return False
    position = ring_open(P, A, table, slot, time)
    row = row_at(A, slot, P[table + T_STRIDE], position)
    for value_n in range(P[table + T_VALUES_N]):
        source = P[P[table + T_VALUES] + value_n]
        if source >= 0:
            A[row + 1 + value_n] = numbers[event * X[X_NUMBERS_N] + source]
        else:
            A[row + 1 + value_n] = np.int64(keys[event * X[X_KEYS_N] * 2 - source - 1])
    A[slot + K_NEWEST] = latest
    in_order = position == A[slot + K_TAIL] - 1
    if P[table + T_TREES_N] != 0:
        if in_order:
            trees_append(P, A, table, slot)
        else:
            trees_rebuild(P, A, table, slot, position)
    if not in_order:
        bounds_insert(P, A, table, slot, position)
        sets_insert(P, A, table, slot, position)
        if P[table + T_MARKS_N] != 0:
            marks_row(P, A, table, slot, position, 1)
    X[X_OWN] = position
    return True


@njit(nogil=True, error_model="numpy", forceinline=True)
def seek(P, A, X, table, place):
    """Slot of the key that looking ahead has remembered at `place`: 0 if it is new (X gets the key), -1 if null."""
    slot = X[place + Y_SLOT]
    if slot != 0:
        return slot
    X[X_KEY_1], X[X_KEY_2] = X[place + Y_KEY_1], X[place + Y_KEY_2]
    return find(A, P[table + T_STATE], X[X_KEY_1], X[X_KEY_2], X[place + Y_HASH])


@part()
def apply(P, A, X, table, slot, time, keys, numbers, event, undo):
    """Fold one event into one table: X_SLOT becomes the slot of its key. False to grow first."""
    if slot == 0:
        slot = make_slot(P, A, table, X[X_KEY_1], X[X_KEY_2])
        if slot == 0:
            return False
    X[X_SLOT] = slot
    newest = A[slot + K_NEWEST]
    if not insert(P, A, X, table, slot, time, keys, numbers, event):
        return False
    if X[X_PEEK] != 0 and X[X_OWN] >= 0:
        at = X[X_UNDO] * U_WORDS
        undo[at], undo[at + 1], undo[at + 2], undo[at + 3] = table, slot, X[X_OWN], newest
        X[X_UNDO] += 1
    return True
