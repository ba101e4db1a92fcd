"""Totals of 128 bits as two limbs, low one first, in an array of words; and sums of them for judging.

A total is at most 2^127 - 1, so a sum of two, or of one and an amount, fits 128 bits without a sign: what is above
2^127 - 1 has the highest bit set and is seen before anything is written.
"""

import numpy as np
from numba import njit

_0, _1, _63 = np.uint64(0), np.uint64(1), np.uint64(63)


@njit(nogil=True, error_model="numpy", forceinline=True)
def add(A, row, at, amount):
    """Add an amount >= 0 to a total."""
    old = np.uint64(A[row, at])
    low = old + np.uint64(amount)
    A[row, at] = np.int64(low)
    A[row, at + 1] = np.int64(np.uint64(A[row, at + 1]) + np.uint64(low < old))


@njit(nogil=True, error_model="numpy", forceinline=True)
def take(A, row, at, amount):
    """Take an amount >= 0, which is in it, from a total."""
    old = np.uint64(A[row, at])
    less = np.uint64(amount)
    A[row, at] = np.int64(old - less)
    A[row, at + 1] = np.int64(np.uint64(A[row, at + 1]) - np.uint64(old < less))


@njit(nogil=True, error_model="numpy", forceinline=True)
def plus(A, row, at, amount):
    """A total and an amount >= 0, as (high, low)."""
    old = np.uint64(A[row, at])
    low = old + np.uint64(amount)
    return np.uint64(A[row, at + 1]) + np.uint64(low < old), low


@njit(nogil=True, error_model="numpy", forceinline=True)
def both(A, row, one, other, amount):
    """Two totals and an amount >= 0, as (high, low)."""
    high, low = plus(A, row, one, amount)
    more = low + np.uint64(A[row, other])
    return high + np.uint64(A[row, other + 1]) + np.uint64(more < low), more


@njit(nogil=True, error_model="numpy", forceinline=True)
def overflows(high):
    """Whether a sum is above 2^127 - 1."""
    return (high >> _63) != _0


@njit(nogil=True, error_model="numpy", forceinline=True)
def exceeds(high, low, other_high, other_low):
    """Whether the first of two sums is the larger one."""
    return high > other_high or (high == other_high and low > other_low)


@njit(nogil=True, error_model="numpy", forceinline=True)
def up_to(amount, high, low, less_high, less_low):
    """The amount, or the difference of two sums if that is smaller; 0 if it is negative."""
    if exceeds(less_high, less_low, high, low):
        return np.int64(0)
    rest = high - less_high - np.uint64(low < less_low)
    there = low - less_low
    if rest != _0 or there > np.uint64(amount):
        return amount
    return np.int64(there)


@njit(nogil=True, error_model="numpy", forceinline=True)
def equal(A, row, one, other):
    """Whether two totals of an account are equal."""
    return A[row, one] == A[row, other] and A[row, one + 1] == A[row, other + 1]


@njit(nogil=True, error_model="numpy", forceinline=True)
def is_zero(A, row, at):
    """Whether a total is 0."""
    return A[row, at] == 0 and A[row, at + 1] == 0
