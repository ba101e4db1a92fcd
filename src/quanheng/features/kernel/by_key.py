"""A large group: table by table, and within a table key by key.

Keys and tables do not touch each other, so the order between them is free; within a key the log order is kept (the
sort is stable). A key's slot and ring then stay in the first-level cache while all its events of the chunk are folded,
which is what makes a backfill several times faster than the same steps in log order. The answers are the same bits.
"""

import numpy as np
from numba import njit

from quanheng.features.kernel.ahead import fetch, fetch_rows, fetch_slot
from quanheng.features.kernel.arena import find, hash_key, make_slot
from quanheng.features.kernel.keys import key_of
from quanheng.features.kernel.read import read_columns, write_empty
from quanheng.features.kernel.step import apply
from quanheng.features.kernel.words import (
    CHUNK,
    DONE,
    E_BY_TABLE,
    E_DECIDES,
    GROW,
    NULL,
    O_INSERTS,
    O_READS,
    P_CODES,
    P_COLUMNS_N,
    P_MAP,
    P_TABLES,
    P_TABLES_N,
    READ_ALL,
    READ_NONE,
    T_FIRST_OUT,
    T_STATE,
    X_CHUNK,
    X_COLUMN,
    X_EVENTS_N,
    X_KEY_1,
    X_KEY_2,
    X_NUMBERS_N,
    X_OWN,
    X_PAIR,
    X_PAIRS_N,
    X_READ,
    X_ROW,
    X_STAGE,
    X_TABLE,
)

_BITS = 11  # Of a digit of the radix sort.
_FAR, _NEAR = 8, 4  # How many pairs ahead inputs and slots, and rows, are fetched.


@njit(nogil=True, error_model="numpy", forceinline=True)
def record_of(P, codes, event):
    """Type record of an event; 0 if no fold knows its type."""
    code = np.int64(codes[event])
    return P[P[P_MAP] + code] if 0 <= code < P[P_CODES] else np.int64(0)


@njit(nogil=True, error_model="numpy", forceinline=True)
def is_read(P, X, record, mask, event):
    """Whether the vector of an event is asked for."""
    if record == 0 or P[record + E_DECIDES] == 0 or X[X_READ] == READ_NONE:
        return False
    return X[X_READ] == READ_ALL or mask[event] != 0


@njit(nogil=True, error_model="numpy")
def fill_unread(P, X, codes, mask, out, first, last):
    """NULL in the rows that are not read."""
    for event in range(first, last):
        if not is_read(P, X, record_of(P, codes, event), mask, event):
            for column in range(P[P_COLUMNS_N]):
                out[event * X[X_ROW] + column * X[X_COLUMN]] = NULL


@njit(nogil=True, error_model="numpy")
def pair_up(P, A, X, codes, keys, mask, out, pairs, first, last):
    """(slot, event and what it does) of every event of a chunk that touches the table, in log order; makes new slots.

    The second word is event * 4, + 2 if the event is read, + 1 if it is put in.

    Events without a key, or read before their key was ever seen, are answered at once. Pairs written, or -1 to grow
    first: nothing was folded, so that the pass is repeated as it is.
    """
    table_n, pairs_n = X[X_TABLE], 0
    table = P[P[P_TABLES] + table_n]
    for event in range(first, last):
        record = record_of(P, codes, event)
        if record == 0:
            continue
        op = P[P[record + E_BY_TABLE] + table_n]
        if op == 0:
            continue
        wanted = P[op + O_READS] != 0 and is_read(P, X, record, mask, event)
        inserts = P[op + O_INSERTS] != 0
        if not wanted and not inserts:
            continue
        slot = np.int64(0)
        if key_of(P, op, keys, event, X):
            hashed = hash_key(X[X_KEY_1], X[X_KEY_2])
            slot = find(A, P[table + T_STATE], X[X_KEY_1], X[X_KEY_2], hashed)
            if slot == 0 and inserts:
                slot = make_slot(P, A, table, X[X_KEY_1], X[X_KEY_2])
                if slot == 0:
                    return -1
        if slot != 0:
            pairs[2 * pairs_n], pairs[2 * pairs_n + 1] = slot, event * 4 + (2 if wanted else 0) + (1 if inserts else 0)
            pairs_n += 1
        elif wanted:
            write_empty(P, X, table, out, event * X[X_ROW], False)
    return pairs_n


@njit(nogil=True, error_model="numpy")
def sort_pairs(pairs, pairs_n):
    """Sort by slot, stable: radix sort between the two halves of `pairs`; the result is in the first half."""
    other, shift, highest = 2 * CHUNK, 3, np.int64(0)
    for pair in range(pairs_n):
        highest = max(highest, pairs[2 * pair])
    counts = np.zeros(1 << _BITS, dtype=np.int64)
    source, target = 0, other
    while highest >> shift > 0:
        counts[:] = 0
        for pair in range(pairs_n):
            counts[(pairs[source + 2 * pair] >> shift) & ((1 << _BITS) - 1)] += 1
        total = 0
        for digit in range(1 << _BITS):
            count = counts[digit]
            counts[digit] = total
            total += count
        for pair in range(pairs_n):
            digit = (pairs[source + 2 * pair] >> shift) & ((1 << _BITS) - 1)
            place = target + 2 * counts[digit]
            pairs[place], pairs[place + 1] = pairs[source + 2 * pair], pairs[source + 2 * pair + 1]
            counts[digit] += 1
        source, target = target, source
        shift += _BITS
    if source != 0:
        for word in range(2 * pairs_n):
            pairs[word] = pairs[source + word]


@njit(nogil=True, error_model="numpy")
def fold_pairs(P, A, X, times, keys, numbers, out, undo, pairs):
    """Fold and read the pairs in their order. False to grow first (X_PAIR and X_STAGE say where to go on)."""
    table, pairs_n, stage = P[P[P_TABLES] + X[X_TABLE]], X[X_PAIRS_N], X[X_STAGE]
    for pair in range(X[X_PAIR], pairs_n):
        slot, event = pairs[2 * pair], pairs[2 * pair + 1] >> 2
        if pair + _FAR < pairs_n:
            fetch_pair(P, A, X, table, times, keys, numbers, out, pairs, pair)
        if stage == 0:
            X[X_OWN] = -1
            if pairs[2 * pair + 1] & 1 != 0 and not apply(
                P, A, X, table, slot, times[event], keys, numbers, event, undo
            ):
                X[X_PAIR], X[X_STAGE] = pair, 0
                return False
        if pairs[2 * pair + 1] & 2 != 0 and not read_columns(
            P, A, X, table, slot, times[event], X[X_OWN], out, event * X[X_ROW]
        ):
            X[X_PAIR], X[X_STAGE] = pair, 1
            return False
        stage = 0
    X[X_PAIR], X[X_STAGE] = 0, 0
    return True


@njit(nogil=True, error_model="numpy", forceinline=True)
def fetch_pair(P, A, X, table, times, keys, numbers, out, pairs, pair):
    """Fetch inputs and output of a pair ahead, and slot and rows of a key that begins there."""
    later = pairs[2 * (pair + _FAR) + 1] >> 2
    fetch(times, later)
    fetch(numbers, later * X[X_NUMBERS_N])
    row = later * X[X_ROW] + P[table + T_FIRST_OUT] * X[X_COLUMN]
    fetch(out, row)
    fetch(out, row + 8 * X[X_COLUMN])
    slot = pairs[2 * (pair + _FAR)]
    if slot != pairs[2 * (pair + _FAR - 1)]:
        fetch_slot(P, A, table, slot)
    slot = pairs[2 * (pair + _NEAR)]
    if slot != pairs[2 * (pair + _NEAR - 1)]:
        fetch_rows(P, A, table, slot)


@njit(nogil=True, error_model="numpy")
def events_by_key(P, A, X, codes, times, keys, numbers, mask, out, undo, pairs):
    """The loop over chunks and tables. Where the arena is full it stops between two steps and goes on there."""
    first = X[X_CHUNK]
    while first < X[X_EVENTS_N]:
        last = min(first + CHUNK, X[X_EVENTS_N])
        if X[X_TABLE] == 0 and X[X_PAIRS_N] < 0:
            fill_unread(P, X, codes, mask, out, first, last)
        while X[X_TABLE] < P[P_TABLES_N]:
            if X[X_PAIRS_N] < 0:
                pairs_n = pair_up(P, A, X, codes, keys, mask, out, pairs, first, last)
                if pairs_n < 0:
                    return GROW
                sort_pairs(pairs, pairs_n)
                X[X_PAIRS_N] = pairs_n
            if not fold_pairs(P, A, X, times, keys, numbers, out, undo, pairs):
                return GROW
            X[X_PAIRS_N] = -1
            X[X_TABLE] += 1
        X[X_TABLE] = 0
        first = last
        X[X_CHUNK] = first
    return DONE
