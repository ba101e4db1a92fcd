"""What a large group is worked in: one array of words, cut into parts. All of it may be forgotten between two groups.

With `size` events: pairs in log order, then 32-bit words: the place of each event's row, the number of each pair's key,
how many pairs each key has; then the scratch of a run, the records (pairs in the order of keys) and the rows.
"""

import numpy as np
from numba import njit

from quanheng.features.kernel.pointers import offset
from quanheng.features.kernel.vectors import EIGHT
from quanheng.features.kernel.words import P_RECORD_MAX, P_RUN_WORDS, P_WIDTH_MAX, ROWS_FIRST


def scratch_words(plan_words: np.ndarray, size: int) -> int:
    """Words for groups of `size` events (an even number)."""
    run, record, width = (int(plan_words[at]) for at in (P_RUN_WORDS, P_RECORD_MAX, P_WIDTH_MAX))
    return size * 5 // 2 + 8 + run + size * record + (ROWS_FIRST + size) * width + EIGHT


@njit(nogil=True, error_model="numpy", forceinline=True)
def places_of(pairs, size):
    """i4[size] : where the row of an event begins"""
    return offset(pairs, size, np.int32)


@njit(nogil=True, error_model="numpy", forceinline=True)
def locals_of(pairs, size):
    """i4[size] : number of the key of a pair"""
    return offset(pairs, size + size // 2, np.int32)


@njit(nogil=True, error_model="numpy", forceinline=True)
def counts_of(pairs, size):
    """i4[size + 16] : per key"""
    return offset(pairs, 2 * size, np.int32)


@njit(nogil=True, error_model="numpy", forceinline=True)
def run_of(pairs, size):
    """The scratch of a run (G_...)."""
    return offset(pairs, 2 * size + size // 2 + 8, np.int64)


@njit(nogil=True, error_model="numpy", forceinline=True)
def records_of(P, pairs, size):
    """Pairs in the order of keys, each with the row that it puts in."""
    return offset(pairs, 2 * size + size // 2 + 8 + P[P_RUN_WORDS], np.int64)


@njit(nogil=True, error_model="numpy", forceinline=True)
def rows_of(P, pairs, size):
    """Rows of one table in the order of keys."""
    return offset(pairs, 2 * size + size // 2 + 8 + P[P_RUN_WORDS] + size * P[P_RECORD_MAX], np.int64)
