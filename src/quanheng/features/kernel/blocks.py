"""The blocks that hang on a slot, in one place: who adds a block to a slot adds it here, and it can go to disk."""

import numpy as np
from numba import njit

from quanheng.features.kernel.arena import log2
from quanheng.features.kernel.ring import tree_words
from quanheng.features.kernel.words import (
    A_FREE_SETS,
    B_FREE,
    B_POINTER,
    B_SIZE,
    B_WORDS,
    D_BLOCK,
    D_ENTRIES,
    D_WORDS,
    K_CAPACITY,
    K_RING,
    S_FREE_RINGS,
    SIZES,
    T_SETS,
    T_SETS_AT,
    T_SETS_N,
    T_STATE,
    T_STRIDE,
    T_TREES_N,
)


@njit(nogil=True, error_model="numpy", forceinline=True)
def put_block(B, number, pointer, size, free_list):
    """Note a block: offset in the slot of the word that points to it, its words, where it goes when it is freed."""
    B[number * B_WORDS + B_POINTER], B[number * B_WORDS + B_SIZE] = pointer, size
    B[number * B_WORDS + B_FREE] = free_list
    return number + 1


@njit(nogil=True, error_model="numpy")
def slot_blocks(P, A, table, slot, B):
    """Note the blocks of a slot (B_...), from its own words alone: pointers may be stale. How many there are."""
    number, capacity = np.int64(0), A[slot + K_CAPACITY]
    if capacity != 0:
        size = capacity * P[table + T_STRIDE] + P[table + T_TREES_N] * tree_words(capacity)
        number = put_block(B, number, K_RING, size, P[table + T_STATE] + S_FREE_RINGS + log2(capacity))
    for set_n in range(P[table + T_SETS_N]):
        counted = P[table + T_SETS_AT] + D_WORDS * set_n
        width, entries = P[P[table + T_SETS] + 4 * set_n + 3] + 1, A[slot + counted + D_ENTRIES]
        if entries != 0:
            free_list = A_FREE_SETS + (width - 2) * SIZES + log2(entries)
            number = put_block(B, number, counted + D_BLOCK, entries * width, free_list)
    return number


@njit(nogil=True, error_model="numpy")
def blocks_most(P, table):
    """Most blocks that a slot of a table may have."""
    return 1 + 2 * P[table + T_SETS_N]
