"""A run: events of one key that come in order of time, folded and read together; for counts, sums and means.

In log order one event costs the walk through the operation tables for each of its columns. A run does each step for
all its events before the next: rows are appended, then one boundary after the other is moved through all moments, then
one column after the other is written. The answers and the state are the same bits as one event after another.

Within a run sums are single 64-bit words. That is safe as long as the window sums at its start and all values that
pass a boundary are small enough; where they are not, nothing is changed and the events are folded one by one.
"""

import numpy as np
from numba import njit

from quanheng.features.kernel.bounds import evict, sums_add
from quanheng.features.kernel.parts import part
from quanheng.features.kernel.pointers import fetch
from quanheng.features.kernel.ring import ring_reserve
from quanheng.features.kernel.words import (
    C_ARG,
    C_KIND,
    C_OUT,
    C_WORDS,
    COUNT,
    G_AT,
    G_OWN,
    G_ROWS,
    G_TIME,
    K_BOUNDS,
    K_CAPACITY,
    K_HEAD,
    K_MOMENT,
    K_NEWEST,
    K_RING,
    K_TAIL,
    MEAN,
    NULL,
    NUMBER_MAX,
    NUMBER_MIN,
    OVERFLOW,
    PAIR_EVENT,
    PAIR_INSERT,
    PAIR_READ,
    PAIR_SLOT,
    READ_NONE,
    RUN,
    RUN_ROOM,
    T_BOUND_WORDS,
    T_BOUNDS,
    T_BOUNDS_N,
    T_FIRST_OUT,
    T_KEEP,
    T_STRIDE,
    T_SUMS_N,
    T_VALUES,
    T_VALUES_N,
    T_WINDOWS,
    T_WINDOWS_N,
    W_COLUMNS,
    W_COLUMNS_N,
    W_HIGH,
    W_LOW,
    W_WITHOUT,
    W_WORDS,
    X_CHUNK,
    X_COLUMN,
    X_KEYS_N,
    X_NUMBERS_N,
    X_OVERFLOWS,
    X_PAIRS_N,
    X_READ,
    X_ROW,
)

_LOW_HALF = np.int64(0xFFFFFFFF)
EVENT_MASK = (1 << (PAIR_SLOT - PAIR_EVENT)) - 1
_LEAST = 3  # Pairs from which a run is worth its start.


@njit(nogil=True, error_model="numpy")
def run_length(P, A, X, table, times, out, pairs, first, G):
    """Pairs from `first` on that have one key and come in order; their times and places of output go to G.

    0 if too few. The length ends where the ring is full, but never below RUN_ROOM for that reason.
    """
    word = pairs[first]
    slot, last = (word >> PAIR_SLOT) << 3, min(first + RUN, X[X_PAIRS_N])
    latest, chunk, row, column = max(A[slot + K_NEWEST], A[slot + K_MOMENT]), X[X_CHUNK], X[X_ROW], X[X_COLUMN]
    rows, room = A[slot + K_TAIL], max(A[slot + K_HEAD] + A[slot + K_CAPACITY], A[slot + K_TAIL] + RUN_ROOM)
    fetch_at, pair = P[table + T_FIRST_OUT] * column, first
    while pair < last:
        word = pairs[pair]
        event = chunk + ((word >> PAIR_EVENT) & EVENT_MASK)
        time = times[event]
        if (word >> PAIR_SLOT) << 3 != slot or time < latest or rows == room:
            break
        latest, own, place = time, word & PAIR_INSERT, pair - first
        rows += own
        G[G_TIME * RUN + place] = time
        G[G_OWN * RUN + place] = own
        G[G_ROWS * RUN + place] = rows
        G[G_AT * RUN + place] = event * row if word & PAIR_READ != 0 else np.int64(-1)
        if word & PAIR_READ != 0:
            fetch(out, event * row + fetch_at)
            fetch(out, event * row + fetch_at + 8 * column)
        pair += 1
    return pair - first if pair - first >= _LEAST else 0


@njit(nogil=True, error_model="numpy")
def append_rows(P, A, X, table, slot, keys, numbers, pairs, first, count, G):
    """Put the rows of a run behind the ring's last; room is there."""
    stride, mask, ring = P[table + T_STRIDE], A[slot + K_CAPACITY] - 1, A[slot + K_RING]
    tail, chunk, keys_n, numbers_n = A[slot + K_TAIL], X[X_CHUNK], 2 * X[X_KEYS_N], X[X_NUMBERS_N]
    values, values_n, newest = P[table + T_VALUES], P[table + T_VALUES_N], A[slot + K_NEWEST]
    for pair in range(first, first + count):
        if pairs[pair] & PAIR_INSERT != 0:
            event = chunk + ((pairs[pair] >> PAIR_EVENT) & EVENT_MASK)
            row = ring + (tail & mask) * stride
            A[row] = newest = G[G_TIME * RUN + pair - first]
            for value_n in range(values_n):
                source = P[values + value_n]
                if source >= 0:
                    A[row + 1 + value_n] = numbers[event * numbers_n + source]
                else:
                    A[row + 1 + value_n] = np.int64(keys[event * keys_n - source - 1])
            tail += 1
    A[slot + K_TAIL], A[slot + K_NEWEST] = tail, newest


@njit(nogil=True, error_model="numpy", forceinline=True)
def advance(A, bound, edge, known, ring, mask, stride, sums_n):
    """Move one boundary forward to `edge`, over rows before the position `known`."""
    position = A[bound]
    while position < known:
        row = ring + (position & mask) * stride
        if A[row] > edge:
            break
        sums_add(A, bound, row, sums_n)
        position += 1
    A[bound] = position


@njit(nogil=True, error_model="numpy", forceinline=True)
def window_sum(A, high, low, history):
    """Sum of a window as (low limb, high limb, nulls), from the places of the sums of its boundaries."""
    total, rest = A[high], A[high + 1]
    if history:
        return total, rest >> 32, rest & _LOW_HALF
    less = A[low]
    rest -= A[low + 1]
    return total - less, (rest >> 32) - np.int64(np.uint64(total) < np.uint64(less)), rest & _LOW_HALF


@njit(nogil=True, error_model="numpy")
def read_run(P, A, X, table, slot, out, G, count):
    """Move the boundaries from moment to moment and write the columns of the pairs that are read."""
    stride, mask, ring = P[table + T_STRIDE], A[slot + K_CAPACITY] - 1, A[slot + K_RING]
    words, sums_n, bounds_n = P[table + T_BOUND_WORDS], P[table + T_SUMS_N], P[table + T_BOUNDS_N]
    distances, windows, windows_n = P[table + T_BOUNDS], P[table + T_WINDOWS], P[table + T_WINDOWS_N]
    step, overflows = X[X_COLUMN], np.int64(0)
    for place in range(count):
        time, known, at = G[G_TIME * RUN + place], G[G_ROWS * RUN + place], G[G_AT * RUN + place]
        bound = slot + K_BOUNDS
        for bound_n in range(bounds_n):
            advance(A, bound, time - P[distances + bound_n], known, ring, mask, stride, sums_n)
            bound += words
        if at < 0:
            continue
        own, window = G[G_OWN * RUN + place], windows
        for _ in range(windows_n):
            low, high = P[window + W_LOW], slot + P[window + W_HIGH]
            history, without = low == 0, own & P[window + W_WITHOUT]
            low += slot
            rows = A[high] - without
            if not history:
                rows -= A[low]
            column, columns_n = P[window + W_COLUMNS], P[window + W_COLUMNS_N]
            for _ in range(columns_n):
                target = at + P[column + C_OUT] * step
                if P[column + C_KIND] == COUNT:
                    out[target] = rows
                else:
                    argument = P[column + C_ARG]
                    total, limb, nulls = window_sum(A, high + argument, low + argument, history)
                    if without != 0:
                        value = A[ring + ((known - 1) & mask) * stride + 1 + (argument >> 1)]
                        if value == NULL:
                            nulls -= 1
                        else:
                            limb -= (value >> 63) + np.int64(np.uint64(total) < np.uint64(value))
                            total -= value
                    if rows == nulls:
                        total = np.int64(NULL)
                    elif limb != total >> 63 or total < NUMBER_MIN or total > NUMBER_MAX:
                        overflows += 1
                        total = np.int64(OVERFLOW)
                    out[target] = total
                    if P[column + C_KIND] == MEAN:
                        out[target + step] = rows - nulls
                column += C_WORDS
            window += W_WORDS
    X[X_OVERFLOWS] += overflows
    A[slot + K_MOMENT] = G[G_TIME * RUN + count - 1]


@part()
def fold_run(P, A, X, table, times, keys, numbers, out, pairs, first, G):
    """Fold and read the run that begins at a pair. The pairs done, 0 if there is no run, -1 if the arena must grow."""
    count = run_length(P, A, X, table, times, out, pairs, first, G)
    if count == 0:
        return np.int64(0)
    slot = (pairs[first] >> PAIR_SLOT) << 3
    tail, keep = A[slot + K_TAIL], P[table + T_KEEP]
    if G[G_OWN * RUN] != 0:
        evict(P, A, table, slot, G[G_TIME * RUN] - keep, tail)
    if not ring_reserve(P, A, table, slot, G[G_ROWS * RUN + count - 1] - tail):
        return np.int64(-1)
    append_rows(P, A, X, table, slot, keys, numbers, pairs, first, count, G)
    if X[X_READ] != READ_NONE:
        read_run(P, A, X, table, slot, out, G, count)
    if A[slot + K_TAIL] != tail:  # What the last row would have let go before it was put in.
        evict(P, A, table, slot, A[slot + K_NEWEST] - keep, A[slot + K_TAIL] - 1)
    return count
