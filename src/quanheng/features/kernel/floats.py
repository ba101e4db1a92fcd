"""Raw integer columns to float64: scale, divide means, put in `empty`; rows to columns."""

import numpy as np
from numba import njit

from quanheng.features.kernel.words import UNKNOWN

_BLOCK = 128  # Rows that stay in the first-level cache while their columns are written.


@njit(nogil=True, cache=True, error_model="numpy")
def floats(plan, raw, out):
    """plan f8[folds, 4]: first raw column, kind (0 plain, 1 count, 2 mean), divisor, value for empty."""
    rows = raw.shape[0]
    for start in range(0, rows, _BLOCK):
        stop = min(start + _BLOCK, rows)
        for fold in range(plan.shape[0]):
            column, kind, divisor, empty = int(plan[fold, 0]), int(plan[fold, 1]), plan[fold, 2], plan[fold, 3]
            if kind == 2:
                for row in range(start, stop):
                    total = np.float64(raw[row, column])
                    if divisor != 1.0:
                        total /= divisor
                    mean = total / np.float64(raw[row, column + 1])
                    out[row, fold] = special(raw[row, column], False, mean, empty)
            elif divisor == 1.0:
                for row in range(start, stop):
                    out[row, fold] = special(raw[row, column], kind == 1, np.float64(raw[row, column]), empty)
            else:
                for row in range(start, stop):
                    out[row, fold] = special(raw[row, column], False, np.float64(raw[row, column]) / divisor, empty)


@njit(nogil=True, error_model="numpy", forceinline=True)
def special(value, counts, number, empty):
    """`number`, unless the raw value says that it is not known or that there is nothing."""
    if value <= UNKNOWN:
        return np.nan if value == UNKNOWN else empty
    return empty if counts and value == 0 else number


@njit(nogil=True, cache=True)
def transpose(raw, out):
    """out[column, row] = raw[row, column], in blocks of rows."""
    rows = raw.shape[0]
    for start in range(0, rows, _BLOCK):
        for column in range(raw.shape[1]):
            for row in range(start, min(start + _BLOCK, rows)):
                out[column, row] = raw[row, column]
