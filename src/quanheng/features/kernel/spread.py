"""From rows in the order of keys to the vectors of a chunk in the order of the log.

What is folded key by key lies in rows one behind the other: a row is what one table gives for one pair, raw integers or
the bits of floats. Each event has the place of its row. A block of events is taken at a time: its rows stay in the
first-level cache while one column after the other is written, so memory is read at random once a row and written in
order.
"""

import numpy as np
from numba import njit

from quanheng.features.kernel.floats import (
    COUNTS,
    IS_FLOAT,
    IS_MEAN,
    IS_QUOTIENT,
    mean_of,
    number_of,
    quotient_of,
    special,
)
from quanheng.features.kernel.parts import part
from quanheng.features.kernel.pointers import address, fetch, offset
from quanheng.features.kernel.read import write_empty
from quanheng.features.kernel.scratch import places_of, rows_of
from quanheng.features.kernel.vectors import EIGHT, eight_to_columns, settle
from quanheng.features.kernel.words import (
    EMPTY_ROW,
    NULL,
    OVERFLOW,
    P_TABLES,
    ROWS_FIRST,
    T_FIRSTS,
    T_FOLDS,
    T_FOLDS_N,
    T_OUTS,
    T_WIDTH,
    UNREAD_ROW,
    X_COLUMN,
    X_FLOATS,
    X_ROW,
    X_SIZE,
    X_TABLE,
    X_WIDTH,
)

_BLOCK = 64
_FAR = 32  # How many events ahead rows are fetched.


@njit(nogil=True, error_model="numpy")
def row_to_floats(P, F, table, rows, at):
    """Raw columns of a row to the bits of floats, in place: no fold stands behind its first column.

    A sum that does not fit stays the word OVERFLOW for the caller to find.
    """
    numbers = offset(rows, 0, np.float64)
    for fold_n in range(P[table + T_FOLDS_N]):
        fold, raw = P[P[table + T_FOLDS] + fold_n], at + P[P[table + T_FIRSTS] + fold_n]
        kind, divisor, empty = np.int64(F[4 * fold + 1]), F[4 * fold + 2], F[4 * fold + 3]
        if rows[raw] == OVERFLOW:
            rows[at + fold_n] = OVERFLOW
        elif kind == IS_MEAN:
            numbers[at + fold_n] = mean_of(rows[raw], rows[raw + 1], divisor, empty)
        elif kind == IS_FLOAT:
            numbers[at + fold_n] = special(rows[raw], False, numbers[raw], empty)
        elif kind == IS_QUOTIENT:
            if rows[raw + 1] == OVERFLOW:
                rows[at + fold_n] = OVERFLOW
            else:
                numbers[at + fold_n] = quotient_of(rows[raw], rows[raw + 1], divisor, empty)
        else:
            numbers[at + fold_n] = number_of(rows[raw], kind == COUNTS, divisor, empty)


@njit(nogil=True, error_model="numpy", forceinline=True)
def spread_lines(rows, places, width, out, outs, at, column, lines):
    """Columns that begin at cache lines, a line of each at a time; rows to come are fetched."""
    for line in range(lines):
        block = offset(places, line * EIGHT, np.int32)
        for event in range(_FAR, _FAR + EIGHT):  # Behind the last place lies other memory: only a wrong hint.
            for word in range(0, width + EIGHT - 1, EIGHT):
                fetch(rows, np.int64(block[event]) + min(word, width - 1))
        for own in range(0, width, EIGHT):
            eight_to_columns(rows, block, own, width, out, outs, at + line * EIGHT, column)
    settle()


@part()
def spread(P, X, F, out, pairs, first, last):
    """The columns of one table for the events first..last-1 of the group."""
    size, table = X[X_SIZE], P[P[P_TABLES] + X[X_TABLE]]
    places, rows, width = places_of(pairs, size), rows_of(P, pairs, size), X[X_WIDTH]
    outs, row, column, start = P[table + T_OUTS], X[X_ROW], X[X_COLUMN], first
    if X[X_FLOATS] != 0:
        outs = P[table + T_FOLDS]
    if row == 1 and (column | first) & (EIGHT - 1) == 0 and address(out) & (8 * EIGHT - 1) == 0:
        lines = (last - first) // EIGHT
        spread_lines(rows, places, width, out, offset(P, outs, np.int64), first, column, lines)
        start += lines * EIGHT
    while start < last:
        block, count = offset(places, start - first, np.int32), min(_BLOCK, last - start)
        for own in range(width):
            at = start * row + P[outs + own] * column
            for event in range(count):
                out[at + event * row] = rows[np.int64(block[event]) + own]
        start += count
    return 0


@njit(nogil=True, error_model="numpy")
def fixed_rows(P, X, F, table, rows):
    """The rows of events without a pair: of a key never seen, and of no vector."""
    width, spare = X[X_WIDTH], ROWS_FIRST * X[X_WIDTH]
    for row in (UNREAD_ROW, EMPTY_ROW):
        for column in range(P[table + T_WIDTH]):
            rows[spare + column] = NULL
        if row == EMPTY_ROW:
            write_empty(P, X, table, rows, spare, False)
        if X[X_FLOATS] != 0:
            row_to_floats(P, F, table, rows, spare)
        for column in range(width):
            rows[row * width + column] = rows[spare + column]
