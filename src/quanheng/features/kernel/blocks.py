"""The blocks that hang on a slot, in one place: who adds a block to a slot adds it here, and it can go to disk."""

import numpy as np
from numba import njit

from quanheng.features.kernel.arena import drop_slot, free_sets, give, log2
from quanheng.features.kernel.ring import tree_words
from quanheng.features.kernel.words import (
    A_FREE_REGISTERS,
    B_FREE,
    B_POINTER,
    B_SIZE,
    B_WORDS,
    BOUNDED,
    D_BLOCK,
    D_CODES,
    D_ENTRIES,
    D_REGISTERS,
    HASH_TOP,
    K_CAPACITY,
    K_RING,
    M_AT,
    M_KIND,
    M_VALUE_WORDS,
    M_WORDS,
    R_WORDS,
    S_FREE_RINGS,
    SKETCH,
    T_SETS,
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
def put_hash(A, slot, counted, words, B, number):
    """Note the block of a hash or a sketch with so many words an entry, if it has one."""
    entries = A[slot + counted + D_ENTRIES]
    if entries == 0:
        return number
    return put_block(B, number, counted + D_BLOCK, entries * words, free_sets(words) + log2(entries))


@njit(nogil=True, error_model="numpy")
def slot_blocks(P, A, table, slot, B):
    """Note the blocks of a slot (B_...), from its own words alone: pointers may be stale. How many there are."""
    number, capacity = np.int64(0), A[slot + K_CAPACITY]
    if capacity != 0:
        size = capacity * P[table + T_STRIDE] + P[table + T_TREES_N] * tree_words(capacity)
        number = put_block(B, number, K_RING, size, P[table + T_STATE] + S_FREE_RINGS + log2(capacity))
    for set_n in range(P[table + T_SETS_N]):
        meta = P[table + T_SETS] + M_WORDS * set_n
        counted, kind = P[meta + M_AT], P[meta + M_KIND]
        words = np.int64(2)
        if kind != SKETCH:
            words = P[meta + M_VALUE_WORDS] + 1 + (kind & HASH_TOP)
        number = put_hash(A, slot, counted, words, B, number)
        if kind == BOUNDED and A[slot + counted + D_REGISTERS] != 0:
            number = put_block(B, number, counted + D_REGISTERS, R_WORDS, A_FREE_REGISTERS)
            number = put_hash(A, slot, counted + D_CODES, np.int64(2), B, number)
    return number


@njit(nogil=True, error_model="numpy")
def free_slot(P, A, table, slot, B):
    """Give back the blocks of a slot, and the slot."""
    for number in range(slot_blocks(P, A, table, slot, B)):
        block = number * B_WORDS
        give(A, A[slot + B[block + B_POINTER]], B[block + B_FREE])
    drop_slot(P, A, table, slot)


@njit(nogil=True, error_model="numpy")
def blocks_most(P, table):
    """Most blocks that a slot of a table may have."""
    return 1 + 3 * P[table + T_SETS_N]
