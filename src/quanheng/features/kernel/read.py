"""From the boundaries of a key to raw columns: what a vector holds."""

import numpy as np
from numba import njit

from quanheng.features.kernel.arena import is_null, set_place
from quanheng.features.kernel.bounds import bounds_move, fitted, less, set_move, window_sum
from quanheng.features.kernel.edges import ages, edges_move, read_edge
from quanheng.features.kernel.marks import marks_move
from quanheng.features.kernel.moments import read_change, read_marks
from quanheng.features.kernel.parts import part
from quanheng.features.kernel.read_structures import read_structure
from quanheng.features.kernel.ring import read_extreme, row_at
from quanheng.features.kernel.words import (
    C_ARG,
    C_KIND,
    C_WORDS,
    CHANGE,
    COUNT,
    D_BLOCK,
    D_USED,
    DISTINCT,
    ESTIMATE,
    EXTREME,
    FIRST,
    K_BOUNDS,
    K_HEAD,
    K_NEWEST,
    L_THROUGH,
    LAST,
    LAST_KEY,
    LAST_THROUGH,
    M_AT,
    M_HIGH,
    M_LOW,
    M_PLACE,
    M_VALUE_WORDS,
    M_WORDS,
    MEAN,
    NULL,
    SEEN,
    STREAK,
    SUM,
    T_AGES_N,
    T_BASE_AT,
    T_BOUND_WORDS,
    T_EDGES_N,
    T_LATE,
    T_MARKS_N,
    T_SETS,
    T_SETS_N,
    T_STRIDE,
    T_WINDOWS,
    T_WINDOWS_N,
    TOP,
    TOP_SHARE,
    UNKNOWN,
    W_COLUMNS,
    W_COLUMNS_N,
    W_HIGH,
    W_LOW,
    W_WITHOUT,
    W_WORDS,
    X_PLACE,
    X_PRESENT,
    X_STEP,
)

_ZERO = (COUNT, DISTINCT, ESTIMATE, SEEN, STREAK)  # What says 0 where there is nothing.


@njit(nogil=True, error_model="numpy")
def write_empty(P, X, table, out, at, unknown):
    """The columns of a key that is null or was never seen; or, if `unknown`, of a moment too far back to be known."""
    window = P[table + T_WINDOWS]
    for _ in range(P[table + T_WINDOWS_N]):
        column = P[window + W_COLUMNS]
        for _ in range(P[window + W_COLUMNS_N]):
            kind, place = P[column + C_KIND], at + P[column + X[X_PLACE]] * X[X_STEP]
            empty = np.int64(0) if kind in _ZERO else np.int64(NULL)
            out[place] = UNKNOWN if unknown else empty
            if kind == MEAN or kind == CHANGE or kind == TOP_SHARE:  # noqa: PLR1714, SIM109
                out[place + X[X_STEP]] = UNKNOWN if unknown else np.int64(0)
            elif kind == LAST_THROUGH:
                X[P[P[column + C_ARG] + L_THROUGH] + 2] = 2 if unknown else 0
            column += C_WORDS
        window += W_WORDS


@njit(nogil=True, error_model="numpy")
def move_sets(P, A, table, slot):
    """Bring the structures to where the boundaries stand; False to grow first."""
    words, bounds = P[table + T_BOUND_WORDS], slot + K_BOUNDS
    for set_n in range(P[table + T_SETS_N]):
        meta = P[table + T_SETS] + M_WORDS * set_n
        low = np.int64(0) if P[meta + M_LOW] < 0 else A[bounds + P[meta + M_LOW] * words]
        if not set_move(P, A, table, slot, set_n, low, A[bounds + P[meta + M_HIGH] * words]):
            return False
    return True


@njit(nogil=True, error_model="numpy", forceinline=True)
def read_sum(P, A, X, table, slot, argument, low_bound, high_bound, history, rows, without, out, place):
    """Sum of a window: NULL if it holds no value, OVERFLOW and counted if it does not fit. X_PRESENT: values held."""
    total, limb, nulls = window_sum(A, high_bound + argument, low_bound + argument, history)
    if without >= 0:
        value = A[row_at(A, slot, P[table + T_STRIDE], without) + 1 + (argument >> 1)]
        if value == NULL:
            nulls -= 1
        else:
            total, limb = less(total, limb, value, value >> 63)
    X[X_PRESENT] = rows - nulls
    out[place] = np.int64(NULL) if rows == nulls else fitted(X, total, limb)


@njit(nogil=True, error_model="numpy")
def read_distinct(P, A, table, slot, set_n, own):
    """Distinct values of a window; without the event being decided if no other row has its value."""
    meta = P[table + T_SETS] + M_WORDS * set_n
    counted = slot + P[meta + M_AT]
    used = A[counted + D_USED]
    if own < 0 or A[counted + D_BLOCK] == 0:
        return used
    place = row_at(A, slot, P[table + T_STRIDE], own) + 1 + P[meta + M_PLACE]
    width = P[meta + M_VALUE_WORDS] + 1
    first, second = A[place], A[place + width - 2]
    if is_null(first, second, width):
        return used
    entry = set_place(A, counted, width, first, second)
    return used - (1 if A[entry + width - 1] == 1 else 0)


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


@njit(nogil=True, error_model="numpy")
def read_other(P, A, table, slot, kind, argument, low, high, without, time):
    """Folds that look at rows: distinct, extremes, the last row."""
    if kind == DISTINCT:
        return read_distinct(P, A, table, slot, argument, without)
    if high <= low:
        return np.int64(NULL)
    if kind == EXTREME:
        return read_extreme(P, A, table, slot, argument, low, high)
    return read_last(P, A, table, slot, kind, argument, high - 1, time)


@part()
def read_columns(P, A, X, table, slot, time, own, out, at):
    """Write the columns of one key as of `time`; `own` is the position of the event being decided, or -1.

    False if a structure needs room: call again after growth.
    """
    newest = A[slot + K_NEWEST]
    if newest != NULL and time < newest - P[table + T_LATE]:
        write_empty(P, X, table, out, at, True)
        return True
    bounds_move(P, A, table, slot, time)
    if P[table + T_EDGES_N] != 0:
        edges_move(P, A, table, slot, time, own)
    if P[table + T_SETS_N] != 0 and not move_sets(P, A, table, slot):
        return False
    if P[table + T_MARKS_N] != 0:
        marks_move(P, A, table, slot)
    window, step, word = P[table + T_WINDOWS], X[X_STEP], X[X_PLACE]
    for _ in range(P[table + T_WINDOWS_N]):
        low_bound, high_bound = slot + P[window + W_LOW], slot + P[window + W_HIGH]
        history = P[window + W_LOW] == 0
        low, high = np.int64(0) if history else A[low_bound], A[high_bound]
        # The event being decided arrived last, so at its own moment it is the last row of an undelayed window.
        without = np.int64(-1)
        if P[window + W_WITHOUT] != 0 and own >= 0:
            without = own
            high -= 1
        column, columns_n = P[window + W_COLUMNS], P[window + W_COLUMNS_N]
        for _ in range(columns_n):
            kind, argument = P[column], P[column + C_ARG]
            place = at + P[column + word] * step
            if kind == COUNT:
                out[place] = high - low
            elif kind == SUM or kind == MEAN:  # noqa: PLR1714, SIM109
                rows = high - low
                read_sum(P, A, X, table, slot, argument, low_bound, high_bound, history, rows, without, out, place)
                if kind == MEAN:
                    out[place + step] = X[X_PRESENT]
            elif kind >= TOP:
                read_structure(P, A, table, slot, kind, argument, low, high, without, out, place, step)
            elif kind > CHANGE:
                out[place] = read_marks(P, A, X, slot, P[table + T_STRIDE], kind, argument, without, time)
            elif kind == CHANGE:
                stride = P[table + T_STRIDE]
                read_change(P, A, X, slot, stride, argument, low_bound, high_bound, without, out, place)
            elif kind >= FIRST:
                out[place] = read_edge(P, A, X, table, slot, kind, argument, low, high, time)
            else:
                out[place] = read_other(P, A, table, slot, kind, argument, low, high, without, time)
            column += C_WORDS
        window += W_WORDS
    if P[table + T_AGES_N] != 0:
        ages(P, A, X, table, slot, time, own, out, at)
    return True
