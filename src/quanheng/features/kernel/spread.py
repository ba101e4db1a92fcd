"""From rows in the order of keys to the vectors of a chunk in the order of the log, as raw integers or as floats.

What is folded key by key lies in rows one behind the other (a row is the columns of one table for one pair). Each event
has the place of its row. A block of events is taken at a time: its rows stay in the first-level cache while one column
after the other is written, so memory is read at random once a row and written in order.
"""

import numpy as np
from numba import njit

from quanheng.features.kernel.floats import COUNTS, IS_MEAN, mean_of, number_of
from quanheng.features.kernel.parts import part
from quanheng.features.kernel.pointers import offset
from quanheng.features.kernel.read import write_empty
from quanheng.features.kernel.scratch import places_of, rows_of
from quanheng.features.kernel.words import (
    EMPTY_ROW,
    NULL,
    OVERFLOW,
    P_TABLES,
    T_FOLDS,
    T_FOLDS_N,
    T_OUTS,
    T_WIDTH,
    UNREAD_ROW,
    X_COLUMN,
    X_FLOATS,
    X_OVERFLOWS,
    X_ROW,
    X_SIZE,
    X_TABLE,
)

_BLOCK = 64


@njit(nogil=True, error_model="numpy")
def spread_raw(P, X, table, rows, places, out, at, count):
    """A block of raw columns. `at`: where the first event of the block has its vector."""
    row, column = X[X_ROW], X[X_COLUMN]
    for own in range(P[table + T_WIDTH]):
        target = at + P[P[table + T_OUTS] + own] * column
        for event in range(count):
            out[target + event * row] = rows[np.int64(places[event]) + own]


@njit(nogil=True, error_model="numpy")
def spread_floats(P, X, F, table, rows, places, out, at, count):
    """A block of float columns; a sum that does not fit is left as the word OVERFLOW for the caller to find."""
    row, column, numbers, meta = X[X_ROW], X[X_COLUMN], offset(out, 0, np.float64), P[table + T_FOLDS]
    for _ in range(P[table + T_FOLDS_N]):
        fold, own = P[meta], P[meta + 1]
        kind, divisor, empty = np.int64(F[4 * fold + 1]), F[4 * fold + 2], F[4 * fold + 3]
        target = at + fold * column
        if kind == IS_MEAN:
            for event in range(count):
                place = np.int64(places[event]) + own
                numbers[target + event * row] = mean_of(rows[place], rows[place + 1], divisor, empty)
        else:
            for event in range(count):
                place = np.int64(places[event]) + own
                numbers[target + event * row] = number_of(rows[place], kind == COUNTS, divisor, empty)
        if X[X_OVERFLOWS] != 0:
            for event in range(count):
                if rows[np.int64(places[event]) + own] == OVERFLOW:
                    out[target + event * row] = OVERFLOW
        meta += 2


@part()
def spread(P, X, F, out, pairs, first, last):
    """The columns of one table for the events first..last-1 of the group."""
    size, table = X[X_SIZE], P[P[P_TABLES] + X[X_TABLE]]
    places, rows, width = places_of(pairs, size), rows_of(P, pairs, size), P[table + T_WIDTH]
    write_empty(P, X, table, rows, EMPTY_ROW * width, False)
    for own in range(width):
        rows[UNREAD_ROW * width + own] = NULL
    for start in range(first, last, _BLOCK):
        count, block = min(_BLOCK, last - start), offset(places, start - first, np.int32)
        if X[X_FLOATS] != 0:
            spread_floats(P, X, F, table, rows, block, out, start * X[X_ROW], count)
        else:
            spread_raw(P, X, table, rows, block, out, start * X[X_ROW], count)
    return 0
