"""A large group: table by table, and within a table key by key.

Keys and tables do not touch each other, so the order between them is free; within a key the log order is kept (the
sort is stable). A key's slot and ring then stay in the first-level cache while all its events of the chunk are folded,
which is what makes a backfill several times faster than the same steps in log order. The answers are the same bits.
"""

import numpy as np
from numba import njit

from quanheng.features.kernel.ahead import fetch_rows, fetch_slot
from quanheng.features.kernel.arena import find, hash_key, make_slot
from quanheng.features.kernel.keys import key_of
from quanheng.features.kernel.parts import part
from quanheng.features.kernel.pointers import fetch, offset
from quanheng.features.kernel.read import read_columns, write_empty
from quanheng.features.kernel.runs import EVENT_MASK, fold_run
from quanheng.features.kernel.step import apply
from quanheng.features.kernel.words import (
    CHUNK,
    DONE,
    E_BY_TABLE,
    E_DECIDES,
    GROW,
    K_BOUNDS,
    K_CAPACITY,
    K_HEAD,
    K_RING,
    K_TAIL,
    NULL,
    O_INSERTS,
    O_READS,
    P_CODES,
    P_COLUMNS_N,
    P_MAP,
    P_TABLES,
    P_TABLES_N,
    PAIR_EVENT,
    PAIR_INSERT,
    PAIR_READ,
    PAIR_SLOT,
    READ_ALL,
    READ_NONE,
    T_BOUND_WORDS,
    T_BOUNDS_N,
    T_FIRST_OUT,
    T_PLAIN,
    T_STATE,
    T_STRIDE,
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


@part()
def pair_up(P, A, X, codes, keys, mask, out, pairs, first, last):
    """A pair (PAIR_...) for every event of a chunk that touches the table, in log order; makes new slots.

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
            place = ((slot >> 3) << PAIR_SLOT) | ((event - first) << PAIR_EVENT)
            pairs[pairs_n] = place | (PAIR_READ if wanted else 0) | (PAIR_INSERT if inserts else 0)
            pairs_n += 1
        elif wanted:
            write_empty(P, X, table, out, event * X[X_ROW], False)
    return pairs_n


@njit(nogil=True, error_model="numpy")
def sort_pairs(pairs, pairs_n):
    """Sort by slot, stable: radix sort between the two halves of `pairs`; the result is in the first half."""
    if pairs_n == 0:
        return
    shift, highest, lowest = PAIR_SLOT, np.int64(0), pairs[0]
    for pair in range(pairs_n):
        highest, lowest = max(highest, pairs[pair]), min(lowest, pairs[pair])
    counts = np.zeros(1 << _BITS, dtype=np.int64)
    source, target = 0, CHUNK
    while highest >> shift != lowest >> shift:
        counts[:] = 0
        for pair in range(pairs_n):
            counts[(pairs[source + pair] >> shift) & ((1 << _BITS) - 1)] += 1
        total = 0
        for digit in range(1 << _BITS):
            count = counts[digit]
            counts[digit] = total
            total += count
        for pair in range(pairs_n):
            digit = (pairs[source + pair] >> shift) & ((1 << _BITS) - 1)
            pairs[target + counts[digit]] = pairs[source + pair]
            counts[digit] += 1
        source, target = target, source
        shift += _BITS
    if source != 0:
        for pair in range(pairs_n):
            pairs[pair] = pairs[source + pair]


@njit(nogil=True, error_model="numpy")
def fold_pairs(P, A, X, times, keys, numbers, out, undo, pairs):
    """Fold and read the pairs in their order. False to grow first (X_PAIR and X_STAGE say where to go on)."""
    table, pairs_n = P[P[P_TABLES] + X[X_TABLE]], X[X_PAIRS_N]
    pair, plain = X[X_PAIR], P[table + T_PLAIN] != 0
    scratch = offset(pairs, 2 * CHUNK, np.int64)
    alone = X[X_STAGE]  # Pairs that are to be done one by one before the next run is tried.
    near, far = pair, next_key(pairs, pair, pairs_n)
    while pair < pairs_n:
        if plain and alone == 0:
            if pair >= near:  # Here a key begins: its rows were fetched one key ago, its slot two.
                near, far = far, next_key(pairs, far, pairs_n)
                if near < pairs_n:
                    fetch_run(P, A, table, (pairs[near] >> PAIR_SLOT) << 3)
                if far < pairs_n:
                    fetch_slot(P, A, table, (pairs[far] >> PAIR_SLOT) << 3)
            done = fold_run(P, A, X, table, times, keys, numbers, out, pairs, pair, scratch)
            if done < 0:
                X[X_PAIR] = pair
                return False
            if done > 0:
                pair += done
                continue
            alone = 1
        if not fold_pair(P, A, X, table, times, keys, numbers, out, undo, pairs, pair):
            X[X_PAIR] = pair
            return False
        pair += 1
        alone -= 1
    X[X_PAIR] = 0
    return True


@njit(nogil=True, error_model="numpy", forceinline=True)
def next_key(pairs, pair, pairs_n):
    """Where the key behind that of a pair begins."""
    later = pair
    while later < pairs_n and pairs[later] >> PAIR_SLOT == pairs[pair] >> PAIR_SLOT:
        later += 1
    return later


@njit(nogil=True, error_model="numpy")
def fetch_run(P, A, table, slot):
    """Fetch the rows that a run of a key will touch: two lines at each boundary and behind the last row."""
    stride, ring, mask = P[table + T_STRIDE], A[slot + K_RING], A[slot + K_CAPACITY] - 1
    if mask < 0:
        return
    fetch(A, ring + (A[slot + K_HEAD] & mask) * stride)
    bound = slot + K_BOUNDS
    for _ in range(P[table + T_BOUNDS_N]):
        row = ring + (A[bound] & mask) * stride
        fetch(A, row)
        fetch(A, row + 8)
        bound += P[table + T_BOUND_WORDS]
    row = ring + (A[slot + K_TAIL] & mask) * stride
    fetch(A, row)
    fetch(A, row + 8)


@njit(nogil=True, error_model="numpy")
def fold_pair(P, A, X, table, times, keys, numbers, out, undo, pairs, pair):
    """Fold and read one pair. False to grow first (X_STAGE says where to go on)."""
    word = pairs[pair]
    slot, event = (word >> PAIR_SLOT) << 3, X[X_CHUNK] + ((word >> PAIR_EVENT) & EVENT_MASK)
    if pair + _FAR < X[X_PAIRS_N]:
        fetch_pair(P, A, X, table, times, keys, numbers, out, pairs, pair)
    if X[X_STAGE] == 0:
        X[X_OWN] = -1
        if word & PAIR_INSERT != 0 and not apply(P, A, X, table, slot, times[event], keys, numbers, event, undo):
            return False
    X[X_STAGE] = 1
    if word & PAIR_READ != 0 and not read_columns(P, A, X, table, slot, times[event], X[X_OWN], out, event * X[X_ROW]):
        return False
    X[X_STAGE] = 0
    return True


@njit(nogil=True, error_model="numpy", forceinline=True)
def fetch_pair(P, A, X, table, times, keys, numbers, out, pairs, pair):
    """Fetch inputs and output of a pair ahead, and slot and rows of a key that begins there."""
    later = X[X_CHUNK] + ((pairs[pair + _FAR] >> PAIR_EVENT) & EVENT_MASK)
    fetch(times, later)
    fetch(numbers, later * X[X_NUMBERS_N])
    row = later * X[X_ROW] + P[table + T_FIRST_OUT] * X[X_COLUMN]
    fetch(out, row)
    fetch(out, row + 8 * X[X_COLUMN])
    slot = pairs[pair + _FAR] >> PAIR_SLOT
    if slot != pairs[pair + _FAR - 1] >> PAIR_SLOT:
        fetch_slot(P, A, table, slot << 3)
    slot = pairs[pair + _NEAR] >> PAIR_SLOT
    if slot != pairs[pair + _NEAR - 1] >> PAIR_SLOT:
        fetch_rows(P, A, table, slot << 3)


@part()
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
