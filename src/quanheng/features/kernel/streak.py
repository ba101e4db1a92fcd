"""How many of the last rows of a window hold, one after the other, a value that is neither zero nor null.

The row that ends the streak is the last one with a 1 in a tree of kind BREAKS over the ring: whole nodes are passed
over from the end, and the first that holds a 1 is gone down into: O(32 log16 n), like an extreme.
"""

import numpy as np
from numba import njit

from quanheng.features.kernel.parts import part
from quanheng.features.kernel.ring import score, tree_words
from quanheng.features.kernel.words import (
    BREAKS,
    K_CAPACITY,
    K_HEAD,
    K_RING,
    T_BASE_AT,
    T_STRIDE,
    T_TREES,
)

_SHIFT = 4  # log2(BRANCH)


@part()
def last_break(P, A, table, slot, tree, first, stop):
    """Last physical row of first..stop-1 that ends a streak; -1 if there is none."""
    stride, capacity, ring = P[table + T_STRIDE], A[slot + K_CAPACITY], A[slot + K_RING]
    column, nodes = 1 + P[P[table + T_TREES] + 2 * tree], ring + capacity * stride + tree * tree_words(capacity)
    level, most = np.int64(0), np.int64(62)  # Size of the block looked at is 16^level; none above `most` any more.
    while first < stop:
        shift = (level + 1) * _SHIFT
        while level < most and capacity >> shift > 0 and stop % (1 << shift) == 0 and stop - (1 << shift) >= first:
            nodes += capacity >> (level * _SHIFT) if level > 0 else 0
            level += 1
            shift += _SHIFT
        while level > 0 and stop - (1 << (level * _SHIFT)) < first:
            level -= 1
            nodes -= capacity >> (level * _SHIFT) if level > 0 else 0
        if level == 0:
            breaks = score(A[ring + (stop - 1) * stride + column], BREAKS)
        else:
            breaks = A[nodes + (stop >> (level * _SHIFT)) - 1]
        if breaks != 1:
            stop -= 1 << (level * _SHIFT)
        elif level == 0:
            return stop - 1
        else:
            level -= 1
            nodes -= capacity >> (level * _SHIFT) if level > 0 else 0
            most = level
    return np.int64(-1)


@njit(nogil=True, error_model="numpy")
def streak(P, A, table, slot, tree, low, high):
    """Length of the streak at the end of positions low..high-1; what has left the ring is known by its own streak."""
    capacity, head = A[slot + K_CAPACITY], A[slot + K_HEAD]
    start = max(low, head)
    if high > start:
        mask = capacity - 1
        first, last = start & mask, (high - 1) & mask
        begin = first if first <= last else np.int64(0)
        found = last_break(P, A, table, slot, tree, begin, last + 1)
        if found >= 0:
            return last - found
        if first > last:
            found = last_break(P, A, table, slot, tree, first, capacity)
            if found >= 0:
                return last + capacity - found
    length = high - start
    if low < head:  # All history.
        length += A[slot + P[table + T_BASE_AT] + P[table + T_STRIDE] + tree]
    return length
