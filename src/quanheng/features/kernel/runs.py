"""A run: events of one key that come in order of time, folded and read together; for counts, sums and means.

In log order one event costs the walk through the operation tables for each of its columns. A run does each step for
all its events before the next: rows are appended, then one boundary after the other is moved through all moments, then
one column after the other is written. The answers and the state are the same bits as one event after another.

Within a run sums are single 64-bit words. That is safe as long as the window sums at its start and all values that
pass a boundary are small enough; where they are not, nothing is changed and the events are folded one by one.
"""

import numpy as np
from numba import njit

from quanheng.features.kernel.bounds import evict
from quanheng.features.kernel.pointers import fetch
from quanheng.features.kernel.ring import ring_reserve
from quanheng.features.kernel.words import (
    C_ARG,
    C_KIND,
    C_OUT,
    C_WORDS,
    COUNT,
    G_AT,
    G_BOUNDS,
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
    PAIR_EVENT,
    PAIR_INSERT,
    PAIR_READ,
    PAIR_SLOT,
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
    X_PAIRS_N,
    X_ROW,
)

_LOW_HALF = np.int64(0xFFFFFFFF)
_VALUE_BITS, _ROWS_BITS, _SUM_BITS = 40, 20, 60  # 2^40 * 2^20 = 2^60, and 3 * 2^60 + 2^40 fits 64 bits.
EVENT_MASK = (1 << (PAIR_SLOT - PAIR_EVENT)) - 1
RUN_GROW = -(2**20)
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


@njit(nogil=True, error_model="numpy")
def walk(P, A, table, slot, bound_n, G, count):
    """Move one boundary through all moments of a run, in scratch only. False if a sum could grow too large."""
    stride, mask, ring = P[table + T_STRIDE], A[slot + K_CAPACITY] - 1, A[slot + K_RING]
    distance, words, summed = P[P[table + T_BOUNDS] + bound_n], P[table + T_BOUND_WORDS], P[table + T_SUMS_N] != 0
    bound, at = slot + K_BOUNDS + bound_n * words, (G_BOUNDS + bound_n * words) * RUN
    position, total, nulls, size = A[bound], np.int64(0), np.int64(0), np.int64(0)
    if summed:
        total, nulls = A[bound + 1], A[bound + 2] & _LOW_HALF
    for place in range(count):
        edge, known = G[G_TIME * RUN + place] - distance, G[G_ROWS * RUN + place]
        while position < known:
            row = ring + (position & mask) * stride
            if A[row] > edge:
                break
            if summed:
                value = A[row + 1]
                null = np.int64(value == NULL)
                value &= null - 1  # 0 for a null.
                total += value
                nulls += null
                size |= value ^ (value >> 63)
            position += 1
        G[at + place] = position
        G[at + RUN + place] = total
        G[at + 2 * RUN + place] = nulls
    small = size >> _VALUE_BITS == 0 and (position - A[bound]) >> _ROWS_BITS == 0
    for value_n in range(1, P[table + T_SUMS_N]):
        small = walk_value(A, ring, mask, stride, bound, value_n, G, at, count) and small
    return small


@njit(nogil=True, error_model="numpy")
def walk_value(A, ring, mask, stride, bound, value_n, G, at, count):
    """The sums of a further value at one boundary, whose positions are known."""
    position, size = A[bound], np.int64(0)
    total, nulls = A[bound + 1 + 2 * value_n], A[bound + 2 + 2 * value_n] & _LOW_HALF
    for place in range(count):
        while position < G[at + place]:
            value = A[ring + (position & mask) * stride + 1 + value_n]
            null = np.int64(value == NULL)
            value &= null - 1
            total += value
            nulls += null
            size |= value ^ (value >> 63)
            position += 1
        G[at + (1 + 2 * value_n) * RUN + place] = total
        G[at + (2 + 2 * value_n) * RUN + place] = nulls
    return size >> _VALUE_BITS == 0


@njit(nogil=True, error_model="numpy")
def sums_are_small(P, A, table, slot):
    """Whether the sums of all windows, as the boundaries stand, leave room for a run."""
    window = P[table + T_WINDOWS]
    for _ in range(P[table + T_WINDOWS_N]):
        low, high = P[window + W_LOW], slot + P[window + W_HIGH]
        for value_n in range(P[table + T_SUMS_N]):
            at = 1 + 2 * value_n
            total, limb = A[high + at], A[high + at + 1] >> 32
            if low != 0:
                less = A[slot + low + at]
                limb -= (A[slot + low + at + 1] >> 32) + np.int64(np.uint64(total) < np.uint64(less))
                total -= less
            if limb != total >> 63 or (total ^ limb) >> _SUM_BITS != 0:
                return False
        window += W_WORDS
    return True


@njit(nogil=True, error_model="numpy")
def write_columns(P, A, X, table, slot, out, G, count):
    """Write the columns of the pairs that are read, window by window."""
    window, step = P[table + T_WINDOWS], X[X_COLUMN]
    for _ in range(P[table + T_WINDOWS_N]):
        history, without = P[window + W_LOW] == 0, P[window + W_WITHOUT]
        low, high = (G_BOUNDS - K_BOUNDS + P[window + W_LOW]) * RUN, (G_BOUNDS - K_BOUNDS + P[window + W_HIGH]) * RUN
        column = P[window + W_COLUMNS]
        for _ in range(P[window + W_COLUMNS_N]):
            shift = P[column + C_OUT] * step
            if P[column + C_KIND] == COUNT:
                for place in range(count):
                    at, rows = G[G_AT * RUN + place], G[high + place] - without * G[G_OWN * RUN + place]
                    if not history:
                        rows -= G[low + place]
                    if at >= 0:
                        out[at + shift] = rows
            else:
                argument, more = P[column + C_ARG], step if P[column + C_KIND] == MEAN else np.int64(0)
                write_sums(P, A, table, slot, argument, low, high, history, without, out, shift, more, G, count)
            column += C_WORDS
        window += W_WORDS


@njit(nogil=True, error_model="numpy")
def write_sums(P, A, table, slot, argument, low, high, history, without, out, shift, more, G, count):
    """One column of sums, NULL where no value is held; `more` words behind it, if not 0, the number of values."""
    stride, mask, ring = P[table + T_STRIDE], A[slot + K_CAPACITY] - 1, A[slot + K_RING]
    sums = argument * RUN
    for place in range(count):
        at, total = G[G_AT * RUN + place], G[high + sums + place]
        present = G[high + place] - G[high + sums + RUN + place]
        if not history:
            present -= G[low + place] - G[low + sums + RUN + place]
            total -= G[low + sums + place]
        if without != 0 and G[G_OWN * RUN + place] != 0:
            value = A[ring + ((G[G_ROWS * RUN + place] - 1) & mask) * stride + 1 + (argument >> 1)]
            if value != NULL:
                total -= value
                present -= 1
        if at >= 0:
            out[at + shift] = total if present != 0 else np.int64(NULL)
            if more != 0:
                out[at + shift + more] = present


@njit(nogil=True, error_model="numpy")
def commit(P, A, table, slot, G, last):
    """The boundaries stand where they were at the last moment of the run; sums become two limbs again."""
    words, bound = P[table + T_BOUND_WORDS], slot + K_BOUNDS
    at = G_BOUNDS * RUN + last
    for _ in range(P[table + T_BOUNDS_N]):
        A[bound] = G[at]
        for value_n in range(P[table + T_SUMS_N]):
            old, total = A[bound + 1 + 2 * value_n], G[at + (1 + 2 * value_n) * RUN]
            rest, nulls = A[bound + 2 + 2 * value_n], G[at + (2 + 2 * value_n) * RUN]
            limb = (rest >> 32) + ((total - old) >> 63) + np.int64(np.uint64(total) < np.uint64(old))
            A[bound + 1 + 2 * value_n], A[bound + 2 + 2 * value_n] = total, (limb << 32) | nulls
        bound += words
        at += words * RUN
    A[slot + K_MOMENT] = G[G_TIME * RUN + last]


@njit(nogil=True, error_model="numpy")
def fold_run(P, A, X, table, times, keys, numbers, out, pairs, first, G):
    """Fold and read the run that begins at a pair.

    The pairs done; 0 if there is no run, -n if the next n have to be done one by one, RUN_GROW if the arena must grow.
    """
    count = run_length(P, A, X, table, times, out, pairs, first, G)
    if count == 0:
        return np.int64(0)
    slot = (pairs[first] >> PAIR_SLOT) << 3
    tail, newest, keep = A[slot + K_TAIL], A[slot + K_NEWEST], P[table + T_KEEP]
    read = False
    for place in range(count):
        read = read or G[G_AT * RUN + place] >= 0
    if read and not sums_are_small(P, A, table, slot):
        return -count
    if G[G_OWN * RUN] != 0:
        evict(P, A, table, slot, G[G_TIME * RUN] - keep, tail)
    if not ring_reserve(P, A, table, slot, G[G_ROWS * RUN + count - 1] - tail):
        return np.int64(RUN_GROW)
    append_rows(P, A, X, table, slot, keys, numbers, pairs, first, count, G)
    if read:
        small = True
        for bound_n in range(P[table + T_BOUNDS_N]):
            small = walk(P, A, table, slot, bound_n, G, count) and small
        if not small:
            A[slot + K_TAIL], A[slot + K_NEWEST] = tail, newest
            return -count
        write_columns(P, A, X, table, slot, out, G, count)
        commit(P, A, table, slot, G, count - 1)
    if A[slot + K_TAIL] != tail:  # What the last row would have let go before it was put in.
        evict(P, A, table, slot, A[slot + K_NEWEST] - keep, A[slot + K_TAIL] - 1)
    return count
