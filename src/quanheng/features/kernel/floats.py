"""Raw integer columns to float64: scale, divide means, put in `empty`."""

import numpy as np
from numba import njit

from quanheng.features.kernel.words import NULL, UNKNOWN


@njit(nogil=True, cache=True)
def floats(plan, raw, out):
    """plan f8[folds, 4]: first raw column, kind (0 plain, 1 count, 2 mean), divisor, value for empty."""
    for fold in range(plan.shape[0]):
        column, kind, divisor, empty = int(plan[fold, 0]), int(plan[fold, 1]), plan[fold, 2], plan[fold, 3]
        for row in range(raw.shape[0]):
            value = raw[row, column]
            if value == UNKNOWN:
                out[row, fold] = np.nan
            elif value == NULL or (kind == 1 and value == 0):
                out[row, fold] = empty
            elif kind == 2:
                out[row, fold] = (np.float64(value) / divisor) / np.float64(raw[row, column + 1])
            else:
                out[row, fold] = np.float64(value) / divisor
