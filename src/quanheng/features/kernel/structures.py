"""What is kept about the values between two boundaries, whatever its kind: room, a row more or less, letting go.

A structure (M_... in the plan, D_... in a slot) holds the rows of some positions. It is a counting hash, which may keep
a tournament for the most frequent value and a sum for the entropy beside it; a sketch for percentiles; or a bounded
count of distinct values over all history.
"""

import numpy as np
from numba import njit, types

from quanheng.features.kernel.arena import (
    hash_key,
    mix,
    set_add,
    set_place,
    set_remove,
    set_reserve,
)
from quanheng.features.kernel.entropy import entropy_change
from quanheng.features.kernel.parts import part
from quanheng.features.kernel.registers import bounded_count, bounded_let_go, bounded_reserve
from quanheng.features.kernel.sketch import sketch_count, sketch_reserve
from quanheng.features.kernel.top import cluster_end, top_rebuild, top_touch
from quanheng.features.kernel.words import (
    BOUNDED,
    D_BLOCK,
    D_ENTRIES,
    D_GONE,
    D_REGISTERS,
    D_TOTAL,
    D_USED,
    HASH_ENTROPY,
    HASH_TOP,
    M_ARGUMENT,
    M_AT,
    M_KIND,
    M_VALUE_WORDS,
    M_WORDS,
    R_GONE,
    R_SEEN,
    SKETCH,
    T_SETS,
)

_SEED_1, _SEED_2 = np.uint64(0x243F6A8885A308D3), np.uint64(0x13198A2E03707344)  # Digits of pi.


@part()
def structure_reserve(P, A, meta, counted):
    """Room for one more value; False if the arena must grow."""
    kind, width = P[meta + M_KIND], P[meta + M_VALUE_WORDS] + 1
    if kind == SKETCH:
        return sketch_reserve(A, counted) != 0
    if kind == BOUNDED:
        return bounded_reserve(P, A, meta, counted) != 0
    if kind & HASH_TOP == 0:
        return set_reserve(A, counted, width, 0) != 0
    before = A[counted + D_BLOCK]
    if not set_reserve(A, counted, width, 1):
        return False
    if A[counted + D_BLOCK] != before:
        top_rebuild(A, counted, width)
    return True


@part(types.void)
def structure_row(P, A, meta, counted, first, second, adds):
    """A value comes in (room is there) or goes."""
    kind, width, step = P[meta + M_KIND], P[meta + M_VALUE_WORDS] + 1, np.int64(1) if adds else np.int64(-1)
    if kind == SKETCH:
        sketch_count(P, A, meta, counted, first, step)
        return
    if kind == BOUNDED:
        bounded_count(P, A, meta, counted, first, second, adds)
        return
    A[counted + D_TOTAL] += step
    place = set_place(A, counted, width, first, second)
    count, entry = A[place + width - 1], (place - A[counted + D_BLOCK]) // width
    if kind & HASH_ENTROPY != 0:
        entropy_change(P, A, meta, counted, count, count + step)
    if kind & HASH_TOP == 0:
        if adds:
            set_add(A, counted, width, first, second)
        else:
            set_remove(A, counted, width, first, second)
    elif adds:
        set_add(A, counted, width, first, second)
        top_touch(A, counted, width, entry, True)
    elif count > 1:
        set_remove(A, counted, width, first, second)
        top_touch(A, counted, width, entry, True)
    else:
        end, mask = cluster_end(A, counted, width, entry), A[counted + D_ENTRIES] - 1
        set_remove(A, counted, width, first, second)
        while entry != end:
            top_touch(A, counted, width, entry, False)
            entry = (entry + 1) & mask


@part(types.void)
def structure_let_go(P, A, meta, counted, first, second):
    """A value that is counted over all history is let go for good."""
    bounded_let_go(P, A, meta, counted, first, second)


@njit(nogil=True, error_model="numpy")
def structure_sums(P, A, table, slot, set_n):
    """Two sums over the mixed content of a structure: the same for the same content, however it lies."""
    meta = P[table + T_SETS] + M_WORDS * set_n
    counted, kind = slot + P[meta + M_AT], P[meta + M_KIND]
    width, block, entries = P[meta + M_VALUE_WORDS] + 1, A[counted + D_BLOCK], A[counted + D_ENTRIES]
    if kind == SKETCH:
        width, entries = np.int64(2), A[counted + D_USED]
    one, two = np.uint64(0), np.uint64(0)
    if kind == BOUNDED and A[counted + D_GONE] > P[meta + M_ARGUMENT]:
        block = A[counted + D_REGISTERS] + R_GONE
        for word in range(R_GONE - R_SEEN):
            mixed = mix(np.uint64(word) + _SEED_1) ^ np.uint64(A[block + word])
            one += mix(mixed ^ _SEED_2)
            two += mix(mixed ^ _SEED_1)
        return np.int64(one), np.int64(two)
    for entry in range(entries):
        place = block + entry * width
        if A[place + width - 1] != 0:
            mixed = np.uint64(hash_key(A[place], A[place + width - 2])) + np.uint64(A[place + width - 1]) * _SEED_1
            one += mix(mixed ^ _SEED_2)
            two += mix(mixed ^ _SEED_1)
    return np.int64(one), np.int64(two)
