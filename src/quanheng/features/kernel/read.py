"""From the boundaries of a key to raw columns: what a vector holds."""

import numpy as np
from numba import njit

from quanheng.features.kernel.arena import set_place
from quanheng.features.kernel.bounds import bounds_move, set_move
from quanheng.features.kernel.ring import extreme, row_at, score
from quanheng.features.kernel.words import (
    C_ARG,
    C_HIGH,
    C_KIND,
    C_LOW,
    C_OUT,
    C_WITHOUT,
    C_WORDS,
    COUNT,
    D_BLOCK,
    D_USED,
    D_WORDS,
    DISTINCT,
    EXTREME,
    K_BOUNDS,
    K_HEAD,
    K_NEWEST,
    LAST,
    LAST_KEY,
    NULL,
    NUMBER_MIN,
    OVERFLOW,
    PRESENT,
    SUM,
    T_BASE_AT,
    T_BOUND_WORDS,
    T_COLUMNS,
    T_COLUMNS_N,
    T_LATE,
    T_SETS,
    T_SETS_AT,
    T_SETS_N,
    T_STRIDE,
    T_TREES,
    UNKNOWN,
    X_COLUMN,
    X_OVERFLOWS,
)

_32 = 32
_LOW_HALF = np.int64(0xFFFFFFFF)


@njit(nogil=True, error_model="numpy")
def write_empty(P, X, table, out, at):
    """The columns of a key that is null or was never seen."""
    column = P[table + T_COLUMNS]
    for _ in range(P[table + T_COLUMNS_N]):
        kind = P[column + C_KIND]
        empty = 0 if kind in (COUNT, PRESENT, DISTINCT) else NULL
        out[at + P[column + C_OUT] * X[X_COLUMN]] = empty
        column += C_WORDS


@njit(nogil=True, error_model="numpy")
def write_unknown(P, X, table, out, at):
    """The columns at a moment too far back to be known exactly."""
    column = P[table + T_COLUMNS]
    for _ in range(P[table + T_COLUMNS_N]):
        out[at + P[column + C_OUT] * X[X_COLUMN]] = UNKNOWN
        column += C_WORDS


@njit(nogil=True, error_model="numpy")
def read_columns(P, A, X, table, slot, time, own, out, at):
    """Write the columns of one key as of `time`; `own` is the position of the event being decided, or -1.

    False if a counting hash needs room: call again after growth.
    """
    if time < A[slot + K_NEWEST] - P[table + T_LATE]:
        write_unknown(P, X, table, out, at)
        return True
    bounds_move(P, A, table, slot, time)
    words, bounds = P[table + T_BOUND_WORDS], slot + K_BOUNDS
    for set_n in range(P[table + T_SETS_N]):
        meta = P[table + T_SETS] + 4 * set_n
        low = np.int64(0) if P[meta] < 0 else A[bounds + P[meta] * words]
        if not set_move(P, A, table, slot, set_n, low, A[bounds + P[meta + 1] * words]):
            return False
    column = P[table + T_COLUMNS]
    for _ in range(P[table + T_COLUMNS_N]):
        high_bound = bounds + P[column + C_HIGH] * words
        low_bound = bounds + P[column + C_LOW] * words if P[column + C_LOW] >= 0 else np.int64(0)
        low = A[low_bound] if low_bound != 0 else np.int64(0)
        # The event being decided arrived last, so at its own moment it is the last row of an undelayed window.
        without = P[column + C_WITHOUT] != 0 and own >= 0
        high = A[high_bound] - (1 if without else 0)
        kind = P[column + C_KIND]
        if kind == COUNT:
            value = high - low
        elif kind in (SUM, PRESENT):
            value = read_sum(P, A, X, table, slot, column, low_bound, high_bound, high - low, own if without else -1)
        elif kind == DISTINCT:
            value = read_distinct(P, A, table, slot, P[column + C_ARG], own if without else -1)
        elif high <= low:
            value = np.int64(NULL)
        elif kind == EXTREME:
            value = read_extreme(P, A, table, slot, P[column + C_ARG], low, high)
        else:
            value = read_last(P, A, table, slot, kind, P[column + C_ARG], high - 1, time)
        out[at + P[column + C_OUT] * X[X_COLUMN]] = value
        column += C_WORDS
    return True


@njit(nogil=True, error_model="numpy")
def read_sum(P, A, X, table, slot, column, low_bound, high_bound, rows, own):
    """Sum of a window, or how many values it holds (PRESENT); NULL if none, OVERFLOW and counted if it does not fit."""
    at = 1 + 2 * P[column + C_ARG]
    total, rest = A[high_bound + at], A[high_bound + at + 1]
    limb = rest >> _32
    nulls = rest & _LOW_HALF
    if low_bound != 0:
        less = A[low_bound + at]
        rest -= A[low_bound + at + 1]
        limb, nulls = rest >> _32, rest & _LOW_HALF
        limb -= np.int64(np.uint64(total) < np.uint64(less))
        total -= less
    if own >= 0:
        value = A[row_at(A, slot, P[table + T_STRIDE], own) + 1 + P[column + C_ARG]]
        if value == NULL:
            nulls -= 1
        else:
            limb -= (value >> 63) + np.int64(np.uint64(total) < np.uint64(value))
            total -= value
    if P[column + C_KIND] == PRESENT:
        return rows - nulls
    if rows == nulls:
        return np.int64(NULL)
    if limb != total >> 63 or total < NUMBER_MIN:
        X[X_OVERFLOWS] += 1
        return np.int64(OVERFLOW)
    return total


@njit(nogil=True, error_model="numpy")
def read_distinct(P, A, table, slot, set_n, own):
    """Distinct values of a window; without the event being decided if no other row has its value."""
    counted = slot + P[table + T_SETS_AT] + D_WORDS * set_n
    used = A[counted + D_USED]
    if own < 0 or A[counted + D_BLOCK] == 0:
        return used
    meta = P[table + T_SETS] + 4 * set_n
    place, width = row_at(A, slot, P[table + T_STRIDE], own) + 1 + P[meta + 2], P[meta + 3] + 1
    first, second = A[place], A[place + width - 2]
    if (width == 2 and first == NULL) or (width == 3 and first == 0 and second == 0):
        return used
    entry = set_place(A, counted, width, first, second)
    return used - (1 if A[entry + width - 1] == 1 else 0)


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


@njit(nogil=True, error_model="numpy")
def read_last(P, A, table, slot, kind, value_n, position, time):
    """Value of the last row of a window, or ms since it."""
    row = slot + P[table + T_BASE_AT]
    if position >= A[slot + K_HEAD]:
        row = row_at(A, slot, P[table + T_STRIDE], position)
    if kind == LAST:
        return A[row + 1 + value_n]
    if kind == LAST_KEY:  # 53 bits of the key: equality survives a float64.
        if A[row + 1 + value_n] == 0 and A[row + 2 + value_n] == 0:
            return np.int64(NULL)
        return np.int64(np.uint64(A[row + 1 + value_n]) >> np.uint64(11))
    return time - A[row]
