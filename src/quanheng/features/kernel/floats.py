"""Raw integer columns to float64: scale, divide means, put in `empty`; rows to columns."""

import numpy as np
from numba import njit

from quanheng.features.kernel.words import NULL, UNKNOWN

_BLOCK = 128  # Rows that stay in the first-level cache while their columns are written.


@njit(nogil=True, cache=True, error_model="numpy")
def floats(plan, raw, out):
    """plan f8[folds, 4]: first raw column, kind (0 plain, 1 count, 2 mean), divisor, value for empty."""
    rows = raw.shape[0]
    for start in range(0, rows, _BLOCK):
        for fold in range(plan.shape[0]):
            column, kind, divisor, empty = int(plan[fold, 0]), int(plan[fold, 1]), plan[fold, 2], plan[fold, 3]
            for row in range(start, min(start + _BLOCK, rows)):
                value = raw[row, column]
                if value == UNKNOWN:
                    out[row, fold] = np.nan
                elif value == NULL or (kind == 1 and value == 0):
                    out[row, fold] = empty
                elif kind == 2:
                    out[row, fold] = (np.float64(value) / divisor) / np.float64(raw[row, column + 1])
                else:
                    out[row, fold] = np.float64(value) / divisor


@njit(nogil=True, cache=True)
def transpose(raw, out):
    """out[column, row] = raw[row, column], in blocks of rows."""
    rows = raw.shape[0]
    for start in range(0, rows, _BLOCK):
        for column in range(raw.shape[1]):
            for row in range(start, min(start + _BLOCK, rows)):
                out[column, row] = raw[row, column]
