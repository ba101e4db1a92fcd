"""Answers that need more than a sum: variance to trend, and decayed sums, from what lies between two marks.

What the answer is made of is combined in whole numbers first (n Σx² - (Σx)² and the like, up to 320 bits), then rounded
once to the nearest float64, and few floating point operations follow: all of them are those of IEEE 754 that round
correctly, in the order written here, so that a plain program gives the same bits (testing/slow_moments.py).
With up to 2^42 rows combinations stay below 2^319: n² Σx³ < 2^(3 x 42 + 3 x 63), and (n Σtx - Σt Σx) per is below
2^(2 x 42 + 61 + 63 + 1 + 60). A whole number that is not zero stays far from underflow, so that no answer is -0.0.

Sources of the formulas: sample variance and least squares, any textbook; skewness G1: D. N. Joanes and C. A. Gill,
"Comparing measures of sample skewness and kurtosis", The Statistician 47 (1998), 183-189.
"""

import math

import numpy as np
from numba import njit

from quanheng.features.kernel.bounds import fitted, less, window_sum
from quanheng.features.kernel.limbs import (
    bits_of,
    float_of,
    is_zero,
    minus,
    plus,
    product,
    ring_to_float,
    times,
    to_float,
    widen,
)
from quanheng.features.kernel.marks import row_in, weight, window_of
from quanheng.features.kernel.parts import part
from quanheng.features.kernel.pointers import at_address, offset
from quanheng.features.kernel.ring import row_at
from quanheng.features.kernel.words import (
    AHEAD,
    DECAYED,
    DECAYED_MEAN,
    H_HALF_LIFE,
    NULL,
    P_OPS_N,
    SKEW,
    STDDEV,
    TREND,
    V_CODE,
    V_NUMBER,
    V_OTHERS,
    V_OWN,
    V_WORDS,
    VARIANCE,
    X_CODES_AT,
    X_DECIDED,
    X_NUMBERS_AT,
    X_NUMBERS_N,
    X_STEP,
    X_WORDS,
    Y_WORDS,
    Z_ACCUMULATOR,
    Z_HIGH,
    Z_LOW,
    Z_LOW_AT,
    Z_MORE,
    Z_NEAR,
    Z_NEAR_AT,
    Z_UNIT,
    ZSCORE,
)

# Places of wide numbers in the scratch, behind what a window holds.
_X, _XX, _N_XX, _X_X, _SPREAD, _XXX, _THIRD, _PRODUCT = 16, 21, 26, 31, 36, 41, 46, 51
_HALF_LIVES = 64  # How far a decayed window reaches back.
_SCALE_DOWN = 2.0**-64


@njit(nogil=True, error_model="numpy")
def spread_of(X, s, n):
    """n Σx² - (Σx)² = n² times the variance of a population; its parts stay."""
    widen(X, s + _X, s + 1, 2)
    widen(X, s + _XX, s + 3, 3)
    times(X, s + _N_XX, s + _XX, n)
    product(X, s + _X_X, s + _X, s + _X)
    minus(X, s + _SPREAD, s + _N_XX, s + _X_X)


@njit(nogil=True, error_model="numpy")
def variance(X, s, n, kind, unit):
    """Of a sample: n Σx² - (Σx)² over n (n - 1); or its root."""
    spread_of(X, s, n)
    value = to_float(X, s + _SPREAD, 5) / (np.float64(n) * np.float64(n - 1))
    if kind == STDDEV:
        value = math.sqrt(value)
    return value / unit


@njit(nogil=True, error_model="numpy")
def skew(X, s, n):
    """G1 = g1 √(n (n - 1)) / (n - 2), g1 = (n² Σx³ - 3 n Σx Σx² + 2 (Σx)³) / (n Σx² - (Σx)²)^(3/2). -0.0: no spread."""
    spread_of(X, s, n)
    if is_zero(X, s + _SPREAD, 5):
        return -0.0
    widen(X, s + _XXX, s + 6, 4)
    times(X, s + _THIRD, s + _XXX, n)
    product(X, s + _PRODUCT, s + _X, s + _XX)
    times(X, s + _PRODUCT, s + _PRODUCT, 3)
    minus(X, s + _THIRD, s + _THIRD, s + _PRODUCT)
    times(X, s + _THIRD, s + _THIRD, n)
    product(X, s + _PRODUCT, s + _X_X, s + _X)
    plus(X, s + _THIRD, s + _THIRD, s + _PRODUCT)
    plus(X, s + _THIRD, s + _THIRD, s + _PRODUCT)
    spread = to_float(X, s + _SPREAD, 5)
    unbiased = math.sqrt(np.float64(n) * np.float64(n - 1)) / np.float64(n - 2)
    return to_float(X, s + _THIRD, 5) / (spread * math.sqrt(spread)) * unbiased


@njit(nogil=True, error_model="numpy")
def zscore(P, X, s, n, types):
    """(n x - Σx) / √(n (n Σx² - (Σx)²) / (n - 1)) for the own value x of the event being decided. -0.0: null."""
    code = np.int64(offset(at_address(X[X_CODES_AT]), 0, np.int32)[X[X_DECIDED]])
    own = types
    while P[own + V_CODE] != code:
        if P[own + V_CODE] < 0:
            return -0.0
        own += V_WORDS
    x = at_address(X[X_NUMBERS_AT])[X[X_DECIDED] * X[X_NUMBERS_N] + P[own + V_NUMBER]]
    spread_of(X, s, n)
    if x == NULL or is_zero(X, s + _SPREAD, 5):
        return -0.0
    X[s + _THIRD] = x
    widen(X, s + _THIRD, s + _THIRD, 1)
    times(X, s + _THIRD, s + _THIRD, n)
    times(X, s + _THIRD, s + _THIRD, P[own + V_OWN])
    times(X, s + _X, s + _X, P[own + V_OTHERS])
    minus(X, s + _THIRD, s + _THIRD, s + _X)
    times(X, s + _SPREAD, s + _SPREAD, n)
    root = math.sqrt(to_float(X, s + _SPREAD, 5) / np.float64(n - 1))
    return to_float(X, s + _THIRD, 5) / (root * np.float64(P[own + V_OTHERS]))


@njit(nogil=True, error_model="numpy")
def trend(X, s, n, unit, per_ms):
    """Least squares: (n Σtx - Σt Σx) per_ms / (n Σt² - (Σt)²). -0.0: one moment only, so no slope."""
    widen(X, s + _X, s + 3, 2)
    widen(X, s + _XX, s + 5, 3)
    times(X, s + _N_XX, s + _XX, n)
    product(X, s + _X_X, s + _X, s + _X)
    minus(X, s + _SPREAD, s + _N_XX, s + _X_X)
    if is_zero(X, s + _SPREAD, 5):
        return -0.0
    widen(X, s + _XXX, s + 8, 3)
    times(X, s + _THIRD, s + _XXX, n)
    widen(X, s + _XX, s + 1, 2)
    product(X, s + _PRODUCT, s + _X, s + _XX)
    minus(X, s + _THIRD, s + _THIRD, s + _PRODUCT)
    times(X, s + _THIRD, s + _THIRD, per_ms)
    return to_float(X, s + _THIRD, 5) / to_float(X, s + _SPREAD, 5) / unit


@njit(nogil=True, error_model="numpy")
def decayed(P, X, s, accumulator, kind, unit, moment):
    """Σ of x 2^-((T - t) / h), of 2^-((T - t) / h), or the one over the other, T = `moment`."""
    turn, mantissa = weight(P, moment, P[accumulator + H_HALF_LIFE])
    turn = _HALF_LIVES - turn  # Brings the oldest weight that a window may hold to 2^0.
    value = ring_to_float(X, s + 1, s + _X, turn)
    if kind == DECAYED_MEAN:
        return value / ring_to_float(X, s + 5, s + _X, turn) / unit
    return value / np.float64(np.int64(mantissa)) * _SCALE_DOWN / unit


@part()
def read_marks(P, A, X, slot, stride, kind, argument, without, time):
    """One answer as the bits of a float64; NULL (the bits of -0.0) where there is none."""
    s, accumulator = X_WORDS + AHEAD * Y_WORDS * P[P_OPS_N], P[argument + Z_ACCUMULATOR]
    low, near = P[argument + Z_LOW], P[argument + Z_NEAR]
    if near != 0 and (low == 0 or A[slot + P[argument + Z_NEAR_AT]] > A[slot + P[argument + Z_LOW_AT]]):
        low = near
    window_of(P, A, X, accumulator, slot + P[argument + Z_HIGH], slot + low if low != 0 else low, s)
    if without >= 0:
        row_in(P, A, X, accumulator, row_at(A, slot, stride, without), s, 0)
    n, unit, more = X[s], float_of(P[argument + Z_UNIT]), P[argument + Z_MORE]
    if kind == DECAYED or kind == DECAYED_MEAN:  # noqa: PLR1714, SIM109
        return bits_of(decayed(P, X, s, accumulator, kind, unit, time - more)) if n > 0 else np.int64(NULL)
    if n < 2 or (kind == SKEW and n < 3):
        return np.int64(NULL)
    if kind == VARIANCE or kind == STDDEV:  # noqa: PLR1714, SIM109
        return bits_of(variance(X, s, n, kind, unit))
    if kind == TREND:
        return bits_of(trend(X, s, n, unit, more))
    return bits_of(zscore(P, X, s, n, more) if kind == ZSCORE else skew(X, s, n))


@part()
def read_change(P, A, X, slot, stride, argument, low_bound, high_bound, without, out, place):
    """How much more than in the window before (NULL: that one holds nothing), and what that one holds, its sum."""
    sums, before_bound, second = P[argument], slot + P[argument + 1], place + X[X_STEP]
    more = A[high_bound] - A[low_bound] - (1 if without >= 0 else 0)
    before = A[low_bound] - A[before_bound]
    if sums < 0:
        out[place], out[second] = more - before if before > 0 else np.int64(NULL), before
        return 0
    low, high, nulls = window_sum(A, low_bound + sums, before_bound + sums, False)
    if before == nulls:
        out[place], out[second] = NULL, 0
        return 0
    more_low, more_high, _ = window_sum(A, high_bound + sums, low_bound + sums, False)
    if without >= 0:
        value = A[row_at(A, slot, stride, without) + 1 + (sums >> 1)]
        if value != NULL:
            more_low, more_high = less(more_low, more_high, value, value >> 63)
    more_low, more_high = less(more_low, more_high, low, high)
    out[place], out[second] = fitted(X, more_low, more_high), fitted(X, low, high)
    return 0
