"""Blocks of the arena: allocation with free lists, the index of keys, counting hashes."""

import numpy as np
from numba import njit

from quanheng.features.kernel.parts import part
from quanheng.features.kernel.words import (
    A_FREE_INDEX,
    A_FREE_SETS,
    A_NEED,
    A_SIZE,
    A_USED,
    D_BLOCK,
    D_ENTRIES,
    D_USED,
    I_LOCAL,
    I_NUMBER,
    I_SLOT,
    I_WORDS,
    K_0,
    K_1,
    K_MOMENT,
    K_NEWEST,
    NULL,
    S_FREE_SLOT,
    S_INDEX,
    S_MASK,
    S_SLOTS_N,
    S_STAMP,
    SIZES,
    T_SLOT,
    T_STATE,
)

_C1 = np.uint64(0xFF51AFD7ED558CCD)  # Finaliser of MurmurHash3 (public domain, Austin Appleby).
_C2 = np.uint64(0xC4CEB9FE1A85EC53)
_C3 = np.uint64(0x9E3779B97F4A7C15)
_33 = np.uint64(33)


@njit(nogil=True, error_model="numpy", forceinline=True)
def mix(word):
    """Mix 64 bits so that each input bit reaches each output bit (MurmurHash3 finaliser)."""
    word ^= word >> _33
    word *= _C1
    word ^= word >> _33
    word *= _C2
    word ^= word >> _33
    return word


@njit(nogil=True, error_model="numpy", forceinline=True)
def hash_key(first, second):
    """Hash of a 128-bit key given as two int64 halves."""
    return np.int64(mix(np.uint64(first) + np.uint64(second) * _C3))


@njit(nogil=True, error_model="numpy", forceinline=True)
def clear(A, start, words):
    """Zero a block."""
    for word in range(start, start + words):
        A[word] = 0


@njit(nogil=True, error_model="numpy", forceinline=True)
def copy(A, target, source, words):
    """Copy a few words; the blocks do not overlap, or the target comes first."""
    for word in range(words):
        A[target + word] = A[source + word]


@njit(nogil=True, error_model="numpy")
def log2(power):
    """Exponent of a power of two."""
    exponent = 0
    while (1 << exponent) < power:
        exponent += 1
    return exponent


@njit(nogil=True, error_model="numpy")
def take(A, words, free_list):
    """A block of `words`, from the free list if it holds one, else from the end; 0 if the arena must grow."""
    block = A[free_list]
    if block != 0:
        A[free_list] = A[block]
        return block
    block = A[A_USED]
    if words >= 8:
        block = (block + 7) & ~7  # Start at a cache line.
    if block + words > A[A_SIZE]:
        A[A_NEED] = words + 8
        return 0
    A[A_USED] = block + words
    return block


@njit(nogil=True, error_model="numpy")
def give(A, block, free_list):
    """Put a block back on its free list."""
    A[block] = A[free_list]
    A[free_list] = block


@njit(nogil=True, error_model="numpy", forceinline=True)
def find_entry(A, state, first, second, hashed):
    """Index entry of a key in the table whose changing words start at `state`, or the empty one where it would stand;
    0 if there is no index yet.

    The index holds whole keys (first, second, slot, spare: half a cache line), so a slot is not read to be found.
    """
    block = A[state + S_INDEX]
    if block == 0:
        return np.int64(0)
    mask = A[state + S_MASK]
    place = hashed & mask
    while True:
        entry = block + I_WORDS * place
        if A[entry + I_SLOT] == 0 or (A[entry] == first and A[entry + 1] == second):
            return entry
        place = (place + 1) & mask


@njit(nogil=True, error_model="numpy", forceinline=True)
def find(A, state, first, second, hashed):
    """Slot of a key; 0 if there is none."""
    entry = find_entry(A, state, first, second, hashed)
    return A[entry + I_SLOT] if entry != 0 else np.int64(0)


@njit(nogil=True, error_model="numpy")
def index_put(A, block, mask, first, second, slot, local):
    """Enter a key that is not there yet, with when it was touched; the caller has made room."""
    place = hash_key(first, second) & mask
    while A[block + I_WORDS * place + 2] != 0:
        place = (place + 1) & mask
    entry = block + I_WORDS * place
    A[entry], A[entry + 1], A[entry + 2], A[entry + I_LOCAL] = first, second, slot, local


@njit(nogil=True, error_model="numpy")
def grow_index(A, state):
    """Make room for one more key, at most 2/3 full; False if the arena must grow."""
    old, entries = A[state + S_INDEX], A[state + S_MASK] + 1
    if old != 0 and (A[state + S_SLOTS_N] + 1) * 3 <= entries * 2:
        return True
    wider = 16 if old == 0 else entries * 2
    block = take(A, wider * I_WORDS, A_FREE_INDEX + log2(wider))
    if block == 0:
        return False
    clear(A, block, wider * I_WORDS)
    if old != 0:
        for entry in range(old, old + entries * I_WORDS, I_WORDS):
            if A[entry + 2] != 0:
                index_put(A, block, wider - 1, A[entry], A[entry + 1], A[entry + 2], A[entry + I_LOCAL])
        give(A, old, A_FREE_INDEX + log2(entries))
    A[state + S_INDEX] = block
    A[state + S_MASK] = wider - 1
    return True


@njit(nogil=True, error_model="numpy")
def make_slot(P, A, table, first, second):
    """A new, empty slot entered in the index; 0 if the arena must grow (what the index holds is not changed then)."""
    state = P[table + T_STATE]
    if not grow_index(A, state):
        return 0
    words = P[table + T_SLOT]
    slot = take(A, words, state + S_FREE_SLOT)
    if slot == 0:
        return 0
    clear(A, slot, words)
    A[slot + K_0] = first
    A[slot + K_1] = second
    A[slot + K_NEWEST] = NULL
    A[slot + K_MOMENT] = NULL
    local = (A[state + S_STAMP] << I_NUMBER) - 1  # Before every number of a chunk that begins now.
    index_put(A, A[state + S_INDEX], A[state + S_MASK], first, second, slot, local)
    A[state + S_SLOTS_N] += 1
    return slot


@njit(nogil=True, error_model="numpy")
def drop_slot(P, A, table, slot):
    """Take a slot out of the index (backward shift, so no tombstones) and free it."""
    state = P[table + T_STATE]
    block, mask = A[state + S_INDEX], A[state + S_MASK]
    place = hash_key(A[slot + K_0], A[slot + K_1]) & mask
    while A[block + I_WORDS * place + 2] != slot:
        place = (place + 1) & mask
    hole, place = place, (place + 1) & mask
    while A[block + I_WORDS * place + 2] != 0:
        entry = block + I_WORDS * place
        home = hash_key(A[entry], A[entry + 1]) & mask
        if ((place - home) & mask) >= ((place - hole) & mask):
            copy(A, block + I_WORDS * hole, entry, I_WORDS)
            hole = place
        place = (place + 1) & mask
    A[block + I_WORDS * hole + 2] = 0
    A[state + S_SLOTS_N] -= 1
    give(A, slot, state + S_FREE_SLOT)


@njit(nogil=True, error_model="numpy")
def set_place(A, counted, width, first, second):
    """Offset of the entry of a value, or of the empty entry where it belongs. For width 2, `second` is `first`."""
    block, mask = A[counted + D_BLOCK], A[counted + D_ENTRIES] - 1
    entry = hash_key(first, second) & mask
    while True:
        place = block + entry * width
        if A[place + width - 1] == 0 or (A[place] == first and A[place + width - 2] == second):
            return place
        entry = (entry + 1) & mask


@njit(nogil=True, error_model="numpy", forceinline=True)
def is_null(first, second, width):
    """Whether a value of width 2 (a number, `second` is `first`) or 3 (both halves of a key) is none."""
    return first == NULL if width == 2 else first == 0 and second == 0


@njit(nogil=True, error_model="numpy", forceinline=True)
def free_sets(words):
    """Free lists of hash blocks with so many words an entry."""
    return A_FREE_SETS + (words - 2) * SIZES


@part()
def set_reserve(A, counted, width, tree):
    """Make room for one more distinct value in a counting hash, at most 3/4 full; False if the arena must grow.

    `tree` words an entry lie behind the entries; they are left to the caller.
    """
    entries = A[counted + D_ENTRIES]
    if (A[counted + D_USED] + 1) * 4 <= entries * 3:
        return True
    wider = 4 if entries == 0 else entries * 2
    block = take(A, wider * (width + tree), free_sets(width + tree) + log2(wider))
    if block == 0:
        return False
    clear(A, block, wider * width)
    old = A[counted + D_BLOCK]
    A[counted + D_BLOCK] = block
    A[counted + D_ENTRIES] = wider
    if entries != 0:
        for entry in range(entries):
            source = old + entry * width
            if A[source + width - 1] != 0:
                place = set_place(A, counted, width, A[source], A[source + width - 2])
                copy(A, place, source, width)
        give(A, old, free_sets(width + tree) + log2(entries))
    return True


@njit(nogil=True, error_model="numpy")
def set_add(A, counted, width, first, second):
    """Count a value once more; the caller has reserved room."""
    place = set_place(A, counted, width, first, second)
    if A[place + width - 1] == 0:
        A[place] = first
        A[place + width - 2] = second
        A[counted + D_USED] += 1
    A[place + width - 1] += 1


@njit(nogil=True, error_model="numpy")
def set_remove(A, counted, width, first, second):
    """Count a value once less; an entry that reaches zero is removed by backward shift."""
    place = set_place(A, counted, width, first, second)
    A[place + width - 1] -= 1
    if A[place + width - 1] != 0:
        return
    A[counted + D_USED] -= 1
    block, mask = A[counted + D_BLOCK], A[counted + D_ENTRIES] - 1
    hole = (place - block) // width
    entry = (hole + 1) & mask
    while True:
        source = block + entry * width
        if A[source + width - 1] == 0:
            return
        home = hash_key(A[source], A[source + width - 2]) & mask
        if ((entry - home) & mask) >= ((entry - hole) & mask):
            target = block + hole * width
            copy(A, target, source, width)
            A[source + width - 1] = 0
            hole = entry
        entry = (entry + 1) & mask
