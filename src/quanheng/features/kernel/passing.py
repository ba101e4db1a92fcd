"""Which rows pass the boundaries of a key within a run, and where each boundary stands at each moment of it.

Times of rows and moments both rise, so that the place of a boundary is found by counting on from its last one. That
count depends on the one before it, and the processor waits for it; so four boundaries are counted side by side.
"""

import numpy as np
from numba import njit

from quanheng.features.kernel.words import (
    G_BOUNDS,
    G_KNOWN,
    G_LANE,
    G_LANES,
    G_PASSED,
    G_SPARE,
    G_SUMS,
    G_TIME,
    K_BOUNDS,
    K_CAPACITY,
    K_RING,
    K_TAIL,
    LANES,
    NULL,
    NUMBER_MAX,
    PASSED,
    RUN,
    SMALL,
    T_BOUND_WORDS,
    T_BOUNDS,
    T_BOUNDS_N,
    T_STRIDE,
    T_SUMS_N,
)

_AT_ONCE = 4  # Rows that are compared with an edge before it is asked whether more have passed; a power of two.
_DISTANCE, _TARGET, _ROWS = 0, LANES, 2 * LANES  # What is noted of a lane, from G_LANES on.


@njit(nogil=True, error_model="numpy", forceinline=True)
def whole(count):
    """Places up to the end of a vector of eight: loops over whole vectors leave no rest, and what one writes the next
    reads without waiting for single words."""
    return (count + 7) & -8


@njit(nogil=True, error_model="numpy", forceinline=True)
def rows_passing(A, position, edge, tail, ring, mask, stride, G, lane):
    """Rows from a position on up to `edge`: their number (more than PASSED if too many), their times to G."""
    rows, at = np.int64(0), G_PASSED + lane * G_LANE
    while position + rows < tail and rows <= PASSED:
        time = A[ring + ((position + rows) & mask) * stride]
        if time > edge:
            break
        G[at + rows] = time
        rows += 1
    for behind in range(_AT_ONCE):
        G[at + rows + behind] = NUMBER_MAX
    return rows


@njit(nogil=True, error_model="numpy", forceinline=True)
def passed(G, at, edge):
    """How many of the next _AT_ONCE rows lie at or before an edge."""
    near = np.int64(G[at] <= edge) + np.int64(G[at + 1] <= edge)
    return near + (np.int64(G[at + 2] <= edge) + np.int64(G[at + 3] <= edge))


@njit(nogil=True, error_model="numpy", forceinline=True)
def places_at(G, count):
    """How many of the passing rows lie behind each boundary of the lanes at each moment."""
    start_0, start_1, start_2, start_3 = G_PASSED, G_PASSED + G_LANE, G_PASSED + 2 * G_LANE, G_PASSED + 3 * G_LANE
    at_0, at_1, at_2, at_3 = np.int64(start_0), np.int64(start_1), np.int64(start_2), np.int64(start_3)
    less_0, less_1 = G[G_LANES + _DISTANCE], G[G_LANES + _DISTANCE + 1]
    less_2, less_3 = G[G_LANES + _DISTANCE + 2], G[G_LANES + _DISTANCE + 3]
    to_0, to_1 = G[G_LANES + _TARGET], G[G_LANES + _TARGET + 1]
    to_2, to_3 = G[G_LANES + _TARGET + 2], G[G_LANES + _TARGET + 3]
    for place in range(count):
        moment, more = G[G_TIME + place], np.int64(_AT_ONCE)
        while more & _AT_ONCE != 0:  # Most moments pass fewer rows.
            more_0, more_1 = passed(G, at_0, moment - less_0), passed(G, at_1, moment - less_1)
            more_2, more_3 = passed(G, at_2, moment - less_2), passed(G, at_3, moment - less_3)
            at_0, at_1, at_2, at_3 = at_0 + more_0, at_1 + more_1, at_2 + more_2, at_3 + more_3
            more = more_0 | more_1 | more_2 | more_3
        G[to_0 + place], G[to_1 + place] = at_0 - start_0, at_1 - start_1
        G[to_2 + place], G[to_3 + place] = at_2 - start_2, at_3 - start_3


@njit(nogil=True, error_model="numpy", forceinline=True)
def sums_at(A, position, value_n, rows, ring, mask, stride, G, places, target, count):
    """Sum and number of nulls of the passing rows behind the boundary at each moment. False: a number is too large."""
    total, nulls, bits, row_n = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    G[G_SUMS] = 0
    while row_n < rows:
        value = A[ring + ((position + row_n) & mask) * stride + 1 + value_n]
        if value == NULL:
            nulls += 1
            value = np.int64(0)
        bits |= value ^ (value >> 63)
        total += value
        row_n += 1
        G[G_SUMS + row_n] = total
    for place in range(count):
        G[target + place] = G[G_SUMS + G[places + place]]
    if nulls == 0:
        for place in range(whole(count)):
            G[target + RUN + place] = 0
        return bits < SMALL
    nulls = np.int64(0)
    for row_n in range(rows):
        nulls += np.int64(A[ring + ((position + row_n) & mask) * stride + 1 + value_n] == NULL)
        G[G_SUMS + row_n + 1] = nulls
    for place in range(count):
        G[target + RUN + place] = G[G_SUMS + G[places + place]]
    return bits < SMALL


@njit(nogil=True, error_model="numpy", forceinline=True)
def take_lanes(P, A, table, slot, G, first, lanes_n, count):
    """Boundaries first.. of a run: the rows that pass each, and where it stands at each moment. False if too many."""
    stride, mask, ring, tail = P[table + T_STRIDE], A[slot + K_CAPACITY] - 1, A[slot + K_RING], A[slot + K_TAIL]
    words, last, timed_n = P[table + T_BOUND_WORDS], G[G_TIME + count - 1], np.int64(0)
    for lane in range(lanes_n):
        position, distance = A[slot + K_BOUNDS + (first + lane) * words], P[P[table + T_BOUNDS] + first + lane]
        places = G_BOUNDS + (first + lane) * words * RUN
        if distance == 0:  # All that is known lies behind it: the moments are the newest.
            rows = tail - position
            for place in range(count):
                G[places + place] = G[G_KNOWN + place] - position
        else:
            rows = rows_passing(A, position, last - distance, tail, ring, mask, stride, G, timed_n)
            G[G_LANES + _DISTANCE + timed_n], G[G_LANES + _TARGET + timed_n] = distance, places
            timed_n += 1
        G[G_LANES + _ROWS + lane] = rows
        if rows > PASSED:
            return False
    if timed_n == 0:
        return True
    for lane in range(timed_n, LANES):  # Idle lanes: no row ever passes.
        G[G_LANES + _DISTANCE + lane], G[G_LANES + _TARGET + lane] = 0, G_SPARE
        for row_n in range(_AT_ONCE):
            G[G_PASSED + lane * G_LANE + row_n] = NUMBER_MAX
    places_at(G, count)
    return True


@njit(nogil=True, error_model="numpy")
def bounds_at(P, A, table, slot, G, count):
    """Where every boundary stands at each moment, and its sums there, to G. False to go one by one."""
    stride, mask, ring = P[table + T_STRIDE], A[slot + K_CAPACITY] - 1, A[slot + K_RING]
    words, sums_n, bounds_n = P[table + T_BOUND_WORDS], P[table + T_SUMS_N], P[table + T_BOUNDS_N]
    for first in range(0, bounds_n, LANES):
        lanes_n = min(LANES, bounds_n - first)
        if not take_lanes(P, A, table, slot, G, first, lanes_n, count):
            return False
        for lane in range(lanes_n):
            position, rows = A[slot + K_BOUNDS + (first + lane) * words], G[G_LANES + _ROWS + lane]
            places = G_BOUNDS + (first + lane) * words * RUN
            for value_n in range(sums_n):
                target = places + (1 + 2 * value_n) * RUN
                if not sums_at(A, position, value_n, rows, ring, mask, stride, G, places, target, count):
                    return False
    return True
