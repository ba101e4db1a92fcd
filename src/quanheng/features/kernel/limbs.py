"""Whole numbers of several 64-bit limbs, little end first, in place in an array of words; and their nearest float.

Two rings. Ordinary: words limbs hold a number modulo 2^(64 words), read as two's complement. So what was added can be
taken away again without a trace, whatever happened between, and a difference is exact where the true one fits. And the
ring modulo 2^256 - 1 (`ring_...`), where a multiplication by a power of two is a rotation: see kernel/marks.py.
"""

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic

WIDE = 5  # Limbs of a number that answers are combined from: 320 bits.
RING = 4  # Limbs of a number modulo 2^256 - 1.
_0, _1, _63, _64 = np.uint64(0), np.uint64(1), np.uint64(63), np.uint64(64)


@intrinsic
def mul_high(typing_context, one, other):
    """High 64 bits of the product of two uint64."""

    def lower(context, builder, signature, arguments):
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(arguments[0], wide), builder.zext(arguments[1], wide))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), lower


@intrinsic
def leading_zeros(typing_context, word):
    """Zero bits above the highest one bit of a uint64; 64 for zero."""

    def lower(context, builder, signature, arguments):
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), lower


@intrinsic
def float_of(typing_context, bits):
    """The float64 with these bits."""

    def lower(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), lower


@intrinsic
def bits_of(typing_context, number):
    """The bits of a float64."""

    def lower(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), lower


@njit(nogil=True, error_model="numpy", forceinline=True)
def size_of(value):
    """Absolute value of a number or time as uint64: both are above -2^63."""
    return np.uint64(-value) if value < 0 else np.uint64(value)


@njit(nogil=True, error_model="numpy", forceinline=True)
def put(B, at, words, low, middle, high, adds):
    """Add a positive number of up to three limbs to `words` limbs, or take it away."""
    carry = _0
    for word in range(words):
        limb = low if word == 0 else middle if word == 1 else high if word == 2 else _0
        old = np.uint64(B[at + word])
        if adds:
            total = old + limb
            more = np.uint64(total < old)
            total += carry
            carry = more | np.uint64(total < carry)
        else:
            total = old - limb
            more = np.uint64(old < limb)
            carry, total = more | np.uint64(total < carry), total - carry
        B[at + word] = np.int64(total)


@njit(nogil=True, error_model="numpy", forceinline=True)
def difference(A, high, low, X, at, words):
    """A[high...] - A[low...] to X[at...]; low 0 stands for nothing."""
    borrow = _0
    for word in range(words):
        total = np.uint64(A[high + word])
        if low != 0:
            less = np.uint64(A[low + word])
            old, total = total, total - less
            more = np.uint64(old < less)
            borrow, total = more | np.uint64(total < borrow), total - borrow
        X[at + word] = np.int64(total)


@njit(nogil=True, error_model="numpy")
def widen(X, to, at, words):
    """The number at `at` as a wide one, its sign spread."""
    for word in range(words):
        X[to + word] = X[at + word]
    for word in range(words, WIDE):
        X[to + word] = X[at + words - 1] >> 63


@njit(nogil=True, error_model="numpy")
def plus(X, to, one, other):
    """Sum of two wide numbers; `to` may be one of them."""
    carry = _0
    for word in range(WIDE):
        first = np.uint64(X[one + word])
        total = first + np.uint64(X[other + word])
        more = np.uint64(total < first)
        total += carry
        carry = more | np.uint64(total < carry)
        X[to + word] = np.int64(total)


@njit(nogil=True, error_model="numpy")
def minus(X, to, one, other):
    """Difference of two wide numbers; `to` may be one of them."""
    difference(X, one, other, X, to, WIDE)


@njit(nogil=True, error_model="numpy")
def times(X, to, one, factor):
    """A wide number times a whole number from 0 to 2^63 - 1; `to` may be the number."""
    carry, by = _0, np.uint64(factor)
    for word in range(WIDE):
        limb = np.uint64(X[one + word])
        low = limb * by
        high = mul_high(limb, by)
        low += carry
        carry = high + np.uint64(low < carry)
        X[to + word] = np.int64(low)


@njit(nogil=True, error_model="numpy")
def product(X, to, one, other):
    """Product of two wide numbers, which must fit; `to` is neither. Two's complement needs no look at signs here: both
    have their sign spread over all limbs, and what lies above them falls away."""
    for word in range(WIDE):
        X[to + word] = 0
    for first in range(WIDE):
        carry, limb = _0, np.uint64(X[one + first])
        for second in range(WIDE - first):
            factor, old = np.uint64(X[other + second]), np.uint64(X[to + first + second])
            low = limb * factor
            high = mul_high(limb, factor)
            low += carry
            high += np.uint64(low < carry)
            low += old
            carry = high + np.uint64(low < old)
            X[to + first + second] = np.int64(low)


@njit(nogil=True, error_model="numpy")
def is_zero(X, at, words):
    """Whether all limbs are zero."""
    bits = np.int64(0)
    for word in range(words):
        bits |= X[at + word]
    return bits == 0


@njit(nogil=True, error_model="numpy")
def size_to_float(X, at, words):
    """The float64 nearest to a number without sign; of two as near, the even one (IEEE 754).

    The highest 64 bits are taken; whether any bit below is set goes into the lowest of them. 63 bits with that mark are
    converted, and the processor rounds them as it would round the whole number: 10 bits lie below the last that stays.
    """
    top = words - 1
    while top >= 0 and X[at + top] == 0:
        top -= 1
    if top < 0:
        return 0.0
    word, below = np.uint64(X[at + top]), np.uint64(X[at + top - 1]) if top > 0 else _0
    shift = leading_zeros(word)
    if shift != _0:
        word = (word << shift) | (below >> (_64 - shift))
        below <<= shift
    for lower in range(top - 1):
        below |= np.uint64(X[at + lower])
    word = (word >> _1) | (word & _1) | np.uint64(below != _0)
    exponent = 64 * top - np.int64(shift) + 1
    return np.float64(np.int64(word)) * float_of((1023 + exponent) << 52)


@njit(nogil=True, error_model="numpy")
def to_float(X, at, words):
    """The float64 nearest to a number in two's complement, which becomes its absolute value."""
    if X[at + words - 1] >= 0:
        return size_to_float(X, at, words)
    carry = _1
    for word in range(words):
        total = ~np.uint64(X[at + word]) + carry
        carry &= np.uint64(total == _0)
        X[at + word] = np.int64(total)
    return -size_to_float(X, at, words)


@njit(nogil=True, error_model="numpy", forceinline=True)
def ring_end(B, at, carry):
    """The carry out of the highest limb is put in at the lowest: 2^256 = 1. Zero has one form: all bits zero."""
    ones = np.int64(-1)
    for word in range(RING):
        total = np.uint64(B[at + word]) + carry
        carry &= np.uint64(total == _0)
        B[at + word] = np.int64(total)
        ones &= B[at + word]
    if ones == -1:
        for word in range(RING):
            B[at + word] = 0


@njit(nogil=True, error_model="numpy")
def ring_put(B, at, low, high, turn, adds):
    """Add (low + 2^64 high) 2^turn to a number modulo 2^256 - 1, or take it away: add its complement."""
    if low == _0 and high == _0:
        return
    first, bits = (turn >> 6) & 3, np.uint64(turn & 63)
    one, two, three = low << bits, high << bits, _0
    if bits != _0:
        two |= low >> (_64 - bits)
        three = high >> (_64 - bits)
    flip, carry = _0 if adds else ~_0, _0
    for word in range(RING):
        turned = (word - first) & 3
        limb = (one if turned == 0 else two if turned == 1 else three if turned == 2 else _0) ^ flip
        total = np.uint64(B[at + word]) + limb
        more = np.uint64(total < limb)
        total += carry
        carry = more | np.uint64(total < carry)
        B[at + word] = np.int64(total)
    ring_end(B, at, carry)


@njit(nogil=True, error_model="numpy")
def ring_difference(A, high, low, X, at):
    """A[high...] - A[low...] modulo 2^256 - 1 to X[at...]."""
    carry = _0
    for word in range(RING):
        limb = ~np.uint64(A[low + word])
        total = np.uint64(A[high + word]) + limb
        more = np.uint64(total < limb)
        total += carry
        carry = more | np.uint64(total < carry)
        X[at + word] = np.int64(total)
    ring_end(X, at, carry)


@njit(nogil=True, error_model="numpy")
def ring_to_float(X, at, to, turn):
    """The float64 nearest to a number times 2^turn modulo 2^256 - 1, read as a residue between -2^255 and 2^255."""
    first, bits = (turn >> 6) & 3, np.uint64(turn & 63)
    for word in range(RING):
        limb = np.uint64(X[at + ((word - first) & 3)]) << bits
        if bits != _0:
            limb |= np.uint64(X[at + ((word - first - 1) & 3)]) >> (_64 - bits)
        X[to + word] = np.int64(limb)
    if X[to + RING - 1] >= 0:
        return size_to_float(X, to, RING)
    for word in range(RING):
        X[to + word] = ~X[to + word]
    return -size_to_float(X, to, RING)
