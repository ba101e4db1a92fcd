"""A run: events of one key that come in order of time, folded and read together; for counts, sums and means.

In log order one event costs the walk through the operation tables for each of its columns, and how far each boundary
moves is a guess that the processor loses at every other event. A run does each step for all its events before the
next. Rows are appended; then, boundary by boundary, the rows that will pass it are summed up once, and where it stands
at each moment is found by counting, without a branch; then one column after the other is a difference of two arrays.
The answers and the state are the same bits as one event after another.

Within a run sums are single 64-bit words. That is safe as long as the window sums at its start and all numbers that
pass a boundary are small enough; where they are not, the run is taken back and its events are folded one by one.
"""

import numpy as np
from numba import njit

from quanheng.features.kernel.bounds import evict, window_sum
from quanheng.features.kernel.floats import mean_of, number_of
from quanheng.features.kernel.parts import part
from quanheng.features.kernel.passing import bounds_at, whole
from quanheng.features.kernel.pointers import offset
from quanheng.features.kernel.ring import ring_reserve
from quanheng.features.kernel.vectors import (
    EIGHT,
    eight_counts,
    eight_means,
    eight_scaled_means,
    eight_scaled_sums,
    eight_sums,
)
from quanheng.features.kernel.words import (
    C_ARG,
    C_FLOAT,
    C_FOLD,
    C_KIND,
    C_PLACE,
    C_WORDS,
    COUNT,
    G_BOUNDS,
    G_COUNT,
    G_HELD,
    G_KNOWN,
    G_OWN,
    G_TIME,
    G_TOTAL,
    G_ZEROS,
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
    PAIR_SLOT,
    READ_NONE,
    ROWS_FIRST,
    RUN,
    RUN_ROOM,
    T_BASE_ON,
    T_BOUND_WORDS,
    T_BOUNDS_N,
    T_KEEP,
    T_RECORD,
    T_STRIDE,
    T_SUMS_N,
    T_WINDOWS,
    T_WINDOWS_N,
    W_COLUMNS,
    W_COLUMNS_N,
    W_HIGH,
    W_LOW,
    W_WITHOUT,
    W_WORDS,
    X_FLOATS,
    X_READ,
    X_WIDTH,
)

_HELD = np.int64(1 << 61)  # What a window may hold at the start of a run.
EVENT_MASK = (1 << (PAIR_SLOT - PAIR_EVENT)) - 1
_LEAST = 3  # Pairs from which a run is worth its start.


@njit(nogil=True, error_model="numpy")
def run_length(A, slot, records, words, first, last, G):
    """Pairs from `first` on that come in order; their moments, and the rows known at each, go to G.

    0 if too few. The length ends where the ring is full, but never below RUN_ROOM for that reason.
    """
    latest, at = max(A[slot + K_NEWEST], A[slot + K_MOMENT]), first * words
    rows, room = A[slot + K_TAIL], max(A[slot + K_HEAD] + A[slot + K_CAPACITY], A[slot + K_TAIL] + RUN_ROOM)
    count = min(RUN, last - first)
    for place in range(count):
        time, own = records[at + 1], records[at] & PAIR_INSERT
        if time < latest or rows == room:
            count = place
            break
        latest = time
        rows += own
        at += words
        G[G_TIME + place] = time
        G[G_OWN + place] = own
        G[G_KNOWN + place] = rows
    return count if count >= _LEAST else 0


@njit(nogil=True, error_model="numpy")
def append_rows(P, A, table, slot, records, first, count):
    """Put the rows of a run behind the ring's last; room is there."""
    stride, mask, ring = P[table + T_STRIDE], A[slot + K_CAPACITY] - 1, A[slot + K_RING]
    tail, newest, at = A[slot + K_TAIL], A[slot + K_NEWEST], first * (1 + stride)
    for _ in range(count):
        if records[at] & PAIR_INSERT != 0:
            row = ring + (tail & mask) * stride
            newest = records[at + 1]
            for word in range(stride):
                A[row + word] = records[at + 1 + word]
            tail += 1
        at += 1 + stride
    A[slot + K_TAIL], A[slot + K_NEWEST] = tail, newest


@njit(nogil=True, error_model="numpy")
def move_bounds(P, A, table, slot, G, count):
    """Take the boundaries to the last moment of a run."""
    words, sums_n, bound, last = P[table + T_BOUND_WORDS], P[table + T_SUMS_N], slot + K_BOUNDS, G_BOUNDS + count - 1
    for _ in range(P[table + T_BOUNDS_N]):
        A[bound] += G[last]
        for value_n in range(sums_n):
            at, more = bound + 1 + 2 * value_n, G[last + (1 + 2 * value_n) * RUN]
            total = A[at] + more
            A[at + 1] += ((more >> 63) + np.int64(np.uint64(total) < np.uint64(more))) << 32
            A[at + 1] += G[last + (2 + 2 * value_n) * RUN]
            A[at] = total
        bound += words
        last += words * RUN
    A[slot + K_MOMENT] = G[G_TIME + count - 1]


@njit(nogil=True, error_model="numpy", forceinline=True)
def difference(G, target, held, high, low, count):
    """What a window holds at each moment: at its start, and what has passed its two boundaries since."""
    for place in range(whole(count)):
        G[target + place] = held + G[high + place] - G[low + place]


@njit(nogil=True, error_model="numpy", forceinline=True)
def without_own(A, table_ring, value_n, G, count):
    """Leave out the event being decided: the last row known at its moment."""
    ring, mask, stride = table_ring
    for place in range(count):
        if G[G_OWN + place] != 0:
            value = A[ring + ((G[G_KNOWN + place] - 1) & mask) * stride + 1 + value_n]
            if value != NULL:
                G[G_COUNT + place] -= 1
                G[G_TOTAL + place] -= value


@njit(nogil=True, error_model="numpy", forceinline=True)
def to_floats(F, fold, kind, G, count):
    """The raw column in G as the bits of floats, where the total was; in whole vectors, past the last pair."""
    numbers, divisor, empty = offset(G, G_TOTAL, np.float64), F[4 * fold + 2], F[4 * fold + 3]
    if kind == MEAN:
        for place in range(whole(count)):
            numbers[place] = mean_of(G[G_TOTAL + place], G[G_COUNT + place], divisor, empty)
    else:
        for place in range(whole(count)):
            numbers[place] = number_of(G[G_TOTAL + place], kind == COUNT, divisor, empty)


@njit(nogil=True, error_model="numpy", forceinline=True)
def write_column(P, F, column, G, out, at, width, floats, count):
    """A column from G to the rows."""
    kind = P[column + C_KIND]
    if floats:
        to_floats(F, P[column + C_FOLD], kind, G, count)
        at += P[column + C_FLOAT]
        for place in range(count):
            out[at + place * width] = G[G_TOTAL + place]
    else:
        at += P[column + C_PLACE]
        for place in range(count):
            out[at + place * width] = G[G_TOTAL + place]
        if kind == MEAN:
            for place in range(count):
                out[at + 1 + place * width] = G[G_COUNT + place]


@njit(nogil=True, error_model="numpy", forceinline=True)
def window_floats(P, A, F, slot, window, known, behind, before, out, at, width, G, count):
    """The columns of a window as floats, in one pass each. False: it holds too much for one word."""
    low, high, column = P[window + W_LOW], P[window + W_HIGH], P[window + W_COLUMNS]
    for _ in range(P[window + W_COLUMNS_N]):
        kind, argument, fold = P[column + C_KIND], P[column + C_ARG], P[column + C_FOLD]
        divisor, empty = F[4 * fold + 2], F[4 * fold + 3]
        if kind == COUNT:
            for place in range(0, count, EIGHT):
                eight_counts(G, G_TOTAL + place, known, behind + place, before + place, empty)
        else:
            held, limb, nulls = window_sum(A, slot + high + argument, slot + low + argument, low == 0)
            if limb != held >> 63 or held >= _HELD or held < -_HELD:
                return False
            sums, less, rows = behind + argument * RUN, before, known - nulls
            none, less_none = sums + RUN, before
            if low != 0:
                less, less_none = before + argument * RUN, before + argument * RUN + RUN
            for place in range(0, count, EIGHT):
                to, s, z, h, b = G_TOTAL + place, sums + place, less + place, behind + place, before + place
                n, e = none + place, less_none + place
                if kind == MEAN and divisor == 1.0:
                    eight_means(G, to, held, s, z, rows, h, b, n, e, divisor, empty)
                elif kind == MEAN:
                    eight_scaled_means(G, to, held, s, z, rows, h, b, n, e, divisor, empty)
                elif divisor == 1.0:
                    eight_sums(G, to, held, s, z, rows, h, b, n, e, divisor, empty)
                else:
                    eight_scaled_sums(G, to, held, s, z, rows, h, b, n, e, divisor, empty)
        own = at + P[column + C_FLOAT]
        for place in range(count):
            out[own + place * width] = G[G_TOTAL + place]
        column += C_WORDS
    return True


@njit(nogil=True, error_model="numpy")
def write_windows(P, A, X, F, table, slot, out, at, G, count):
    """The columns of all pairs of a run. False to go one by one: a window holds too much for one word."""
    table_ring = (A[slot + K_RING], A[slot + K_CAPACITY] - 1, P[table + T_STRIDE])
    window, width, floats = P[table + T_WINDOWS], X[X_WIDTH], X[X_FLOATS] != 0
    for _ in range(P[table + T_WINDOWS_N]):
        low, high, without = P[window + W_LOW], P[window + W_HIGH], P[window + W_WITHOUT]
        history, known = low == 0, A[slot + high]
        behind, before = G_BOUNDS + (high - K_BOUNDS) * RUN, G_BOUNDS + (low - K_BOUNDS) * RUN
        if history:
            before = np.int64(G_ZEROS)
        else:
            known -= A[slot + low]
        if floats and without == 0:
            if not window_floats(P, A, F, slot, window, known, behind, before, out, at, width, G, count):
                return False
            window += W_WORDS
            continue
        difference(G, G_HELD, known, behind, before, count)
        if without != 0:
            for place in range(whole(count)):
                G[G_HELD + place] -= G[G_OWN + place]
        column = P[window + W_COLUMNS]
        for _ in range(P[window + W_COLUMNS_N]):
            if P[column + C_KIND] == COUNT:
                for place in range(whole(count)):
                    G[G_TOTAL + place] = G[G_HELD + place]
            else:
                argument = P[column + C_ARG]
                held, limb, nulls = window_sum(A, slot + high + argument, slot + low + argument, history)
                if limb != held >> 63 or held >= _HELD or held < -_HELD:
                    return False
                sums, less = behind + argument * RUN, before if history else before + argument * RUN
                difference(G, G_TOTAL, held, sums, less, count)
                difference(G, G_COUNT, known - nulls, behind, before, count)
                none, less_none = sums + RUN, less if history else less + RUN
                for place in range(whole(count)):
                    G[G_COUNT + place] -= G[none + place] - G[less_none + place]
                if without != 0:
                    without_own(A, table_ring, argument >> 1, G, count)
                for place in range(whole(count)):
                    total = G[G_TOTAL + place]
                    G[G_TOTAL + place] = total if G[G_COUNT + place] != 0 else np.int64(NULL)
            write_column(P, F, column, G, out, at, width, floats, count)
            column += C_WORDS
        window += W_WORDS
    return True


@njit(nogil=True, error_model="numpy", forceinline=True)
def let_go(P, A, table, slot):
    """What the last row would have let go before it was put in. Boundaries lie behind it, so that it is forgotten."""
    horizon, stop, stride = A[slot + K_NEWEST] - P[table + T_KEEP], A[slot + K_TAIL] - 1, P[table + T_STRIDE]
    ring, mask, head = A[slot + K_RING], A[slot + K_CAPACITY] - 1, A[slot + K_HEAD]
    while head < stop and A[ring + (head & mask) * stride] <= horizon:
        head += 1
    A[slot + K_HEAD] = head


@part()
def fold_run(P, A, X, F, table, slot, out, records, first, last, G):
    """Fold and read the run that begins at a pair; its key ends before `last`.

    The pairs done; -1 if the arena must grow; -2 - n if the next n pairs are to be done one by one.
    """
    count = run_length(A, slot, records, P[table + T_RECORD], first, last, G)
    if count == 0:
        return np.int64(-3)
    tail, newest = A[slot + K_TAIL], A[slot + K_NEWEST]
    if not ring_reserve(P, A, table, slot, G[G_KNOWN + count - 1] - tail):
        return np.int64(-1)
    append_rows(P, A, table, slot, records, first, count)
    # Also where nothing is read: whoever reads next would else wait until the boundaries have caught up.
    done = bounds_at(P, A, table, slot, G, count)
    if done and X[X_READ] != READ_NONE:
        done = write_windows(P, A, X, F, table, slot, out, (ROWS_FIRST + first) * X[X_WIDTH], G, count)
    if not done:
        A[slot + K_TAIL], A[slot + K_NEWEST] = tail, newest
        return -2 - count
    move_bounds(P, A, table, slot, G, count)
    if A[slot + K_TAIL] != tail:
        if P[table + T_BASE_ON] != 0:
            evict(P, A, table, slot, A[slot + K_NEWEST] - P[table + T_KEEP], A[slot + K_TAIL] - 1)
        else:
            let_go(P, A, table, slot)
    return count
