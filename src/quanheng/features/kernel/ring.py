"""The ring of one key: rows (time, values) sorted by (time, arrival), with running extremes over blocks of rows.

Positions are logical: the first row ever folded has position 0, each later row in order one more, and a late row
moves those behind it up by one. A row lies at `position & (capacity - 1)`. So a boundary pointer is a position, and
"how many rows since ever" is the pointer itself, whether or not they are still kept.

Extremes (min, max) are read over a tree with 16 children a node above the physical rows: an append touches one node a
level, a read at most 32 words a level, a late row rebuilds the nodes over the rows it moved. min is kept as max of ~v.
"""

import numpy as np
from numba import njit, types

from quanheng.features.kernel.arena import copy, give, log2, take
from quanheng.features.kernel.parts import part
from quanheng.features.kernel.pointers import move
from quanheng.features.kernel.words import (
    BRANCH,
    BREAKS,
    K_CAPACITY,
    K_HEAD,
    K_RING,
    K_TAIL,
    NULL,
    RING_FIRST,
    S_FREE_RINGS,
    T_BASE_AT,
    T_STATE,
    T_STRIDE,
    T_TREES,
    T_TREES_N,
)

_SHIFT = 4  # log2(BRANCH)


@njit(nogil=True, error_model="numpy", forceinline=True)
def row_at(A, slot, stride, position):
    """Offset of the row at a position that is still kept."""
    return A[slot + K_RING] + (position & (A[slot + K_CAPACITY] - 1)) * stride


@njit(nogil=True, error_model="numpy")
def tree_words(capacity):
    """Words of one tree over a ring of that capacity."""
    words, level = 0, capacity >> _SHIFT
    while level > 0:
        words += level
        level >>= _SHIFT
    return words


@njit(nogil=True, error_model="numpy", forceinline=True)
def score(value, flip):
    """What trees compare: v for max, ~v for min (reverses the order and cannot overflow); NULL loses to all.

    flip 2 (BREAKS): 1 for what ends a streak, zero or null, else 0.
    """
    if flip == 0:
        return value
    if flip == BREAKS:
        return np.int64(value == 0 or value == NULL)  # noqa: PLR1714
    return value if value == NULL else ~value


@njit(nogil=True, error_model="numpy")
def trees_range(P, A, table, slot, first, last, newest):
    """Compute the nodes over physical rows first..last. A node that holds the newest row ends there: behind it lie old
    rows, which must not enter a node that becomes whole by later appends."""
    stride, capacity = P[table + T_STRIDE], A[slot + K_CAPACITY]
    start = A[slot + K_RING] + capacity * stride
    for tree in range(P[table + T_TREES_N]):
        column, flip = 1 + P[P[table + T_TREES] + 2 * tree], P[P[table + T_TREES] + 2 * tree + 1]
        below, low, high, end, level = np.int64(0), first, last, newest, capacity
        while level >> _SHIFT > 0:
            for node in range(low >> _SHIFT, (high >> _SHIFT) + 1):
                stop = (node + 1) * BRANCH
                if node == end >> _SHIFT:
                    stop = end + 1
                best = np.int64(NULL)
                for child in range(node * BRANCH, stop):
                    if below == 0:
                        best = max(best, score(A[A[slot + K_RING] + child * stride + column], flip))
                    else:
                        best = max(best, A[below + child])
                A[start + node] = best
            below = start
            low, high, end, level = low >> _SHIFT, high >> _SHIFT, end >> _SHIFT, level >> _SHIFT
            start += level
        # `start` now lies behind this tree, where the next one begins.


@part(types.void)
def trees_rebuild(P, A, table, slot, position):
    """Compute anew all nodes over the rows from a position to the last."""
    capacity, tail = A[slot + K_CAPACITY], A[slot + K_TAIL]
    if P[table + T_TREES_N] == 0 or capacity < BRANCH or position >= tail:
        return
    first, last = position & (capacity - 1), (tail - 1) & (capacity - 1)
    if first <= last:
        trees_range(P, A, table, slot, first, last, last)
    else:
        trees_range(P, A, table, slot, first, capacity - 1, last)
        trees_range(P, A, table, slot, 0, last, last)


@part()
def ring_reserve(P, A, table, slot, more):
    """Room for `more` rows; False if the arena must grow (nothing is changed then)."""
    capacity, head, tail = A[slot + K_CAPACITY], A[slot + K_HEAD], A[slot + K_TAIL]
    if tail - head + more <= capacity:
        return True
    stride, trees_n = P[table + T_STRIDE], P[table + T_TREES_N]
    free_list = P[table + T_STATE] + S_FREE_RINGS
    wider = RING_FIRST if capacity == 0 else capacity * 2
    while wider < tail - head + more:
        wider *= 2
    block = take(A, wider * stride + trees_n * tree_words(wider), free_list + log2(wider))
    if block == 0:
        return False
    old = A[slot + K_RING]
    for position in range(head, tail):
        copy(A, block + (position & (wider - 1)) * stride, old + (position & (capacity - 1)) * stride, stride)
    A[slot + K_RING] = block
    A[slot + K_CAPACITY] = wider
    if capacity != 0:
        give(A, old, free_list + log2(capacity))
        trees_rebuild(P, A, table, slot, head)
    return True


@njit(nogil=True, error_model="numpy", forceinline=True)
def place_behind(A, slot, stride, time):
    """Position behind all rows of the same or an earlier time: looked for from the end, in steps that double."""
    low, high, step = A[slot + K_HEAD], A[slot + K_TAIL], 1
    while high - step >= low and A[row_at(A, slot, stride, high - step)] > time:
        high -= step
        step *= 2
    low = max(low, high - step + 1)
    while low < high:
        middle = (low + high) >> 1
        if A[row_at(A, slot, stride, middle)] <= time:
            low = middle + 1
        else:
            high = middle
    return low


@part(types.void)
def rows_up(A, slot, stride, position):
    """Move the rows from a position on up by one; the place behind the last is free."""
    ring, end = A[slot + K_RING], A[slot + K_CAPACITY] - 1
    first, last = position & end, A[slot + K_TAIL] & end
    if last < first:  # Around the end of the ring.
        move(A, ring + stride, ring, last * stride)
        move(A, ring, ring + end * stride, stride)
        last = end
    move(A, ring + (first + 1) * stride, ring + first * stride, (last - first) * stride)


@part(types.void)
def rows_down(A, slot, stride, position):
    """Move the rows behind a position down by one, over the row that lies there."""
    ring, end = A[slot + K_RING], A[slot + K_CAPACITY] - 1
    first, last = position & end, (A[slot + K_TAIL] - 1) & end
    if last < first:
        move(A, ring + first * stride, ring + (first + 1) * stride, (end - first) * stride)
        move(A, ring + end * stride, ring, stride)
        first = np.int64(0)
    move(A, ring + first * stride, ring + (first + 1) * stride, (last - first) * stride)


@njit(nogil=True, error_model="numpy", forceinline=True)
def ring_open(P, A, table, slot, time):
    """Open a gap for a row of that time behind all rows of the same or an earlier time; its position."""
    stride = P[table + T_STRIDE]
    position = place_behind(A, slot, stride, time)
    if position < A[slot + K_TAIL]:
        rows_up(A, slot, stride, position)
    A[slot + K_TAIL] += 1
    A[row_at(A, slot, stride, position)] = time
    return position


@njit(nogil=True, error_model="numpy")
def ring_close(P, A, table, slot, position):
    """Remove the row at a position: those behind it move down."""
    rows_down(A, slot, P[table + T_STRIDE], position)
    tail = A[slot + K_TAIL] - 1
    A[slot + K_TAIL] = tail
    if P[table + T_TREES_N] != 0 and tail > A[slot + K_HEAD]:
        trees_rebuild(P, A, table, slot, min(position, tail - 1))


@njit(nogil=True, error_model="numpy")
def trees_append(P, A, table, slot):
    """Fold the last row into the nodes above it. The first row of a node resets it: what was there is gone."""
    stride, trees_n = P[table + T_STRIDE], P[table + T_TREES_N]
    capacity, position = A[slot + K_CAPACITY], A[slot + K_TAIL] - 1
    if trees_n == 0 or capacity < BRANCH:
        return
    physical = position & (capacity - 1)
    row = A[slot + K_RING] + physical * stride
    start = A[slot + K_RING] + capacity * stride
    for tree in range(trees_n):
        value = score(A[row + 1 + P[P[table + T_TREES] + 2 * tree]], P[P[table + T_TREES] + 2 * tree + 1])
        node, level, first = physical >> _SHIFT, capacity >> _SHIFT, (physical & (BRANCH - 1)) == 0
        while level > 0:
            if first or value > A[start + node]:
                A[start + node] = value
            start += level
            first = first and (node & (BRANCH - 1)) == 0
            node >>= _SHIFT
            level >>= _SHIFT


@njit(nogil=True, error_model="numpy")
def extreme(P, A, table, slot, tree, low, high):
    """Best score over the kept positions low..high-1; NULL if all are null or there is none."""
    if low >= high:
        return np.int64(NULL)
    capacity = A[slot + K_CAPACITY]
    first, last = low & (capacity - 1), (high - 1) & (capacity - 1)
    if first <= last:
        return extreme_range(P, A, table, slot, tree, first, last + 1)
    return max(
        extreme_range(P, A, table, slot, tree, first, capacity),
        extreme_range(P, A, table, slot, tree, np.int64(0), last + 1),
    )


@njit(nogil=True, error_model="numpy")
def extreme_range(P, A, table, slot, tree, first, stop):
    """Best score over physical rows first..stop-1: rows up to a whole node, nodes between, rows again."""
    stride, capacity = P[table + T_STRIDE], A[slot + K_CAPACITY]
    column, flip = 1 + P[P[table + T_TREES] + 2 * tree], P[P[table + T_TREES] + 2 * tree + 1]
    ring, best = A[slot + K_RING], np.int64(NULL)
    while first < stop and (first & (BRANCH - 1)) != 0:
        best = max(best, score(A[ring + first * stride + column], flip))
        first += 1
    while first < stop and (stop & (BRANCH - 1)) != 0:
        stop -= 1
        best = max(best, score(A[ring + stop * stride + column], flip))
    nodes = ring + capacity * stride + tree * tree_words(capacity)
    level, first, stop = capacity >> _SHIFT, first >> _SHIFT, stop >> _SHIFT
    while first < stop:
        while first < stop and (first & (BRANCH - 1)) != 0:
            best = max(best, A[nodes + first])
            first += 1
        while first < stop and (stop & (BRANCH - 1)) != 0:
            stop -= 1
            best = max(best, A[nodes + stop])
        nodes += level
        level, first, stop = level >> _SHIFT, first >> _SHIFT, stop >> _SHIFT
    return best


@njit(nogil=True, error_model="numpy")
def read_extreme(P, A, table, slot, tree, low, high):
    """min or max over positions low..high-1, through the base for what has left the ring."""
    head = A[slot + K_HEAD]
    best = extreme(P, A, table, slot, tree, max(low, head), high)
    if low < head:
        best = max(best, A[slot + P[table + T_BASE_AT] + P[table + T_STRIDE] + tree])
    if best == NULL:
        return best
    return score(best, P[P[table + T_TREES] + 2 * tree + 1])
