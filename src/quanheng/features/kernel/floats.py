"""Raw integer columns to float64: scale, divide means, put in `empty`."""

import numpy as np
from numba import njit

from quanheng.features.kernel.words import UNKNOWN

# Kinds of a fold: its zero is "nothing"; it has two raw columns that are divided; its column has the bits of a float;
# it has two raw columns of which the second may be null or zero.
COUNTS, IS_MEAN, IS_FLOAT, IS_QUOTIENT = 1, 2, 3, 4
_BLOCK = 128  # Rows that stay in the first-level cache while their columns are written.


@njit(nogil=True, cache=True, error_model="numpy")
def floats(plan, raw, out):
    """plan f8[folds, 4]: first raw column, kind (0 plain, or one of these), divisor, value for empty."""
    rows, bits = raw.shape[0], raw.view(np.float64)
    for start in range(0, rows, _BLOCK):
        stop = min(start + _BLOCK, rows)
        for fold in range(plan.shape[0]):
            column, kind, divisor, empty = int(plan[fold, 0]), int(plan[fold, 1]), plan[fold, 2], plan[fold, 3]
            if kind == IS_MEAN:
                for row in range(start, stop):
                    out[row, fold] = mean_of(raw[row, column], raw[row, column + 1], divisor, empty)
            elif kind == IS_FLOAT:
                for row in range(start, stop):
                    out[row, fold] = special(raw[row, column], False, bits[row, column], empty)
            elif kind == IS_QUOTIENT:
                for row in range(start, stop):
                    out[row, fold] = quotient_of(raw[row, column], raw[row, column + 1], divisor, empty)
            else:
                for row in range(start, stop):
                    out[row, fold] = number_of(raw[row, column], kind == COUNTS, divisor, empty)


@njit(nogil=True, error_model="numpy", forceinline=True)
def number_of(value, counts, divisor, empty):
    """A raw value as float."""
    number = np.float64(value)
    if divisor != 1.0:
        number /= divisor
    return special(value, counts, number, empty)


@njit(nogil=True, error_model="numpy", forceinline=True)
def mean_of(total, count, divisor, empty):
    """A mean from its sum and its number."""
    number = np.float64(total)
    if divisor != 1.0:
        number /= divisor
    return special(total, False, number / np.float64(count), empty)


@njit(nogil=True, error_model="numpy", forceinline=True)
def quotient_of(over, under, divisor, empty):
    """One raw value over another: nothing where one of them is nothing or would divide by zero. A divisor below zero
    says to multiply instead: its power of ten is negative."""
    if over <= UNKNOWN or under <= UNKNOWN or under == 0:
        return np.nan if over == UNKNOWN or under == UNKNOWN else empty  # noqa: PLR1714
    number = np.float64(over) / np.float64(under)
    if divisor < 0.0:
        return number * -divisor
    return number / divisor if divisor != 1.0 else number


@njit(nogil=True, error_model="numpy", forceinline=True)
def special(value, counts, number, empty):
    """`number`, unless the raw value says that it is not known or that there is nothing.

    The bits of a float are never one of these words: they are those of -0.0 and of denormal numbers next to it.
    """
    if value <= UNKNOWN:
        return np.nan if value == UNKNOWN else empty
    return empty if counts and value == 0 else number
