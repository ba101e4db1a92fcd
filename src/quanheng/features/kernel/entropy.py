"""Shannon's entropy of the values of a window, from whole numbers (C. E. Shannon, A Mathematical Theory of
Communication, 1948).

With counts c that sum to n, H = log2 n - (1/n) * sum of c * log2 c bits. The sum is kept as the whole number
S = sum of c * L(c) in two limbs, with L(c) close to 2^32 * log2 c: each change of a count adds the difference of two
terms, so that what came and went leaves no trace. H = (n * L(n) - S) / n / 2^32.

L(c) is read from a table for c < 2048, rounded from exact digits. For larger c = t * 2^s * (1 + x) with
1024 <= t < 2048 and x < 2^-10, it is L(t) + 2^32 * s plus 2^32 * (x - x^2/2 + x^3/3) / ln 2 in whole numbers. What the
series leaves out (x^4 / (4 ln 2) < 2^-41), the constant 1/ln 2 in 24 bits (2^-34) and the roundings (1.5 * 2^-32) are
together below 2^-31. Each c weighs c/n in the sum, so |error of H| < 2 * 2^-31 = 2^-30 bits.
"""

import numpy as np
from numba import njit, types

from quanheng.features.kernel.parts import part
from quanheng.features.kernel.words import D_SUM, D_SUM_HIGH, D_TOTAL, LOGARITHMS, M_ARGUMENT

_PER_LN2 = 24204406  # 2^24 / ln 2, rounded.
_LIMB = 18446744073709551616.0  # 2^64
_UNIT = 4294967296.0  # 2^32
_LOW = np.int64(0xFFFFFF)


@njit(nogil=True, error_model="numpy")
def log2_fixed(P, at, count):
    """L(count) for a count below 2^47; 0 for 0 and 1. `at`: the table in the plan."""
    if count < LOGARITHMS:
        return P[at + count]
    shift = np.int64(1)
    while count >> shift >= LOGARITHMS:
        shift += 1
    head = count >> shift
    x = ((count - (head << shift)) << (48 - shift)) // head  # 2^48 * x
    half = x >> 7
    square = (half * half) >> 34
    cube = (square * (x >> 4)) >> 44
    return P[at + head] + (shift << 32) + (((x - (square >> 1) + cube // 3) * _PER_LN2) >> 40)


@njit(nogil=True, error_model="numpy")
def add_term(low, high, term):
    """A two-limb sum plus a signed word."""
    total = low + term
    return total, high + (term >> 63) + np.int64(np.uint64(total) < np.uint64(low))


@njit(nogil=True, error_model="numpy")
def term_change(P, at, before, after):
    """after * L(after) - before * L(before): small, so that what overflows on the way cancels out."""
    return after * log2_fixed(P, at, after) - before * log2_fixed(P, at, before)


@part(types.void)
def entropy_change(P, A, meta, counted, before, after):
    """A count has changed."""
    change = term_change(P, P[meta + M_ARGUMENT], before, after)
    A[counted + D_SUM], A[counted + D_SUM_HIGH] = add_term(A[counted + D_SUM], A[counted + D_SUM_HIGH], change)


@njit(nogil=True, error_model="numpy")
def entropy_of(P, A, meta, counted, own_count):
    """H in bits, with one less of the value that has `own_count` (0: of none); at least one value is left."""
    at, low, high, total = P[meta + M_ARGUMENT], A[counted + D_SUM], A[counted + D_SUM_HIGH], A[counted + D_TOTAL]
    if own_count > 0:
        total -= 1
        low, high = add_term(low, high, term_change(P, at, own_count, own_count - 1))
    log = log2_fixed(P, at, total)
    # total * log in two limbs: log < 2^38, total in parts of 24 bits.
    upper, lower = (total >> 24) * log, (total & _LOW) * log
    whole, whole_high = add_term(upper << 24, upper >> 40, lower)
    rest = whole - low
    rest_high = whole_high - high - np.int64(np.uint64(whole) < np.uint64(low))
    if rest_high < 0:  # The roundings outweigh an entropy next to nothing.
        return 0.0
    return (np.float64(rest_high) * _LIMB + np.float64(np.uint64(rest))) / np.float64(total) / _UNIT
