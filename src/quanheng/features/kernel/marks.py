"""Marks of one key: at some of its boundaries, sums that are more than a sum of values.

A mark stands at a boundary and holds accumulators over all rows before it, from the first row ever on. A window is the
difference of two marks. Every accumulator is exact and takes a row out as it let it in, so that a window holds no trace
of what has left it, and the order of arrival has no meaning. A mark has a pointer of its own and follows its boundary
when it is read (`marks_move`), so that tables without marks, and boundaries that nobody asks such sums of, do nothing.

Powers: n, sums of x, x^2 and, at level 3, x^3. Trend: n, sums of x, t, t^2, t x. With |x| < 2^63 and |t| <= 2^61 the
limbs given to each (2, 3 and 4 for the powers; 2, 2, 3, 3 for the trend) hold 2^63 rows: 2^(3 x 63 + 63) < 2^255.

Decay: the weight of an event at t is 2^(t/h). With t = q h + r, 0 <= r < h, it is 2^q m / 2^32, where m is the whole
number nearest to 2^32 2^(r/h), r/h cut off to 33 binary digits, from three tables of 2^11 powers each (`decay.py`).
The sum of x m 2^q is kept modulo 2^256 - 1, where 2^256 = 1: a power of two, however large or small, turns 256 bits,
so nothing is ever rescaled or rounded. Within the 64 half-lives that a window reaches back, the sum of a window is
below 2^(63 + 33 + 64 + 63) < 2^255 in units of its oldest weight: it is read from the residue without loss. (Forward
decay: G. Cormode, V. Shkapenyuk, D. Srivastava, B. Xu, "Forward Decay", ICDE 2009.)
"""

import numpy as np
from numba import njit, types

from quanheng.features.kernel.limbs import difference, mul_high, put, ring_difference, ring_put, size_of
from quanheng.features.kernel.parts import part
from quanheng.features.kernel.ring import row_at
from quanheng.features.kernel.words import (
    H_AT,
    H_DECAY,
    H_HALF_LIFE,
    H_KIND,
    H_LEVEL,
    H_ONES,
    H_PLACE,
    H_POWERS,
    H_SUMS,
    H_WORDS,
    K_CAPACITY,
    K_HEAD,
    K_RING,
    N_ACCUMULATORS,
    N_ACCUMULATORS_N,
    N_AT,
    N_BOUND,
    N_SIZE,
    N_WORDS,
    NULL,
    P_DECAY,
    T_MARKS,
    T_MARKS_N,
    T_STRIDE,
)

DIGITS = 11  # Binary digits of r/h that each of the three tables reads.
_1, _11, _30 = np.uint64(1), np.uint64(DIGITS), np.uint64(30)
_HALF = np.uint64(1 << 29)
_ZERO = np.uint64(0)


@njit(nogil=True, error_model="numpy")
def weight(P, time, half_life):
    """q and m of a moment: its weight is m 2^(q - 32). Three divisions give the digits of r/h exactly."""
    tables, by = P[P_DECAY], np.uint64(half_life)
    turn = time // half_life
    rest = np.uint64(time - turn * half_life) << _11
    digits = rest // by
    one = np.uint64(P[tables + np.int64(digits)])
    rest = (rest - digits * by) << _11
    digits = rest // by
    two = np.uint64(P[tables + (1 << DIGITS) + np.int64(digits)])
    rest = (rest - digits * by) << _11
    three = np.uint64(P[tables + (2 << DIGITS) + np.int64(rest // by)])
    # Each is 2^63 times a number from 1 to 2, and so is every product: their exponents sum to less than 1.
    power = mul_high(mul_high(one, two) << _1, three)
    return turn, (power + _HALF) >> _30


@part(types.void)
def row_in(P, A, B, accumulator, row, at, adds):
    """Let a row of A into the accumulator at B[at...], or take it out (`adds` 0)."""
    place, value = P[accumulator + H_PLACE], np.int64(1)
    if place >= 0:
        value = A[row + 1 + place]
        if value == NULL:
            return
    B[at] += 1 if adds != 0 else -1
    kind, level, size, grows = P[accumulator + H_KIND], P[accumulator + H_LEVEL], size_of(value), adds != 0
    if kind == H_DECAY:
        turn, mantissa = weight(P, A[row], P[accumulator + H_HALF_LIFE])
        if level & H_SUMS != 0:
            ring_put(B, at + 1, size * mantissa, mul_high(size, mantissa), turn, grows != (value < 0))
            at += 4
        if level & H_ONES != 0:
            ring_put(B, at + 1, mantissa, _ZERO, turn, grows)
        return
    put(B, at + 1, 2, size, _ZERO, _ZERO, grows != (value < 0))
    low, high = size * size, mul_high(size, size)
    if kind == H_POWERS:
        put(B, at + 3, 3, low, high, _ZERO, grows)
        if level == 3:
            middle, top = high * size + mul_high(low, size), mul_high(high, size)
            top += np.uint64(middle < high * size)
            put(B, at + 6, 4, low * size, middle, top, grows != (value < 0))
        return
    time = size_of(A[row])
    put(B, at + 3, 2, time, _ZERO, _ZERO, grows != (A[row] < 0))
    put(B, at + 5, 3, time * time, mul_high(time, time), _ZERO, grows)
    put(B, at + 8, 3, time * size, mul_high(time, size), _ZERO, grows != ((A[row] < 0) != (value < 0)))


@part(types.void)
def window_of(P, A, X, accumulator, high, low, at):
    """What lies between two accumulators of a kind, to X[at...]; low 0 stands for the beginning."""
    kind, level = P[accumulator + H_KIND], P[accumulator + H_LEVEL]
    difference(A, high, low, X, at, 1)
    if kind == H_DECAY:
        for word in range(1, 9 if level == H_SUMS | H_ONES else 5, 4):
            ring_difference(A, high + word, low + word, X, at + word)
        return
    difference(A, high + 1, low + 1 if low != 0 else low, X, at + 1, 2)
    if kind == H_POWERS:
        difference(A, high + 3, low + 3 if low != 0 else low, X, at + 3, 3)
        if level == 3:
            difference(A, high + 6, low + 6 if low != 0 else low, X, at + 6, 4)
        return
    difference(A, high + 3, low + 3 if low != 0 else low, X, at + 3, 2)
    difference(A, high + 5, low + 5 if low != 0 else low, X, at + 5, 3)
    difference(A, high + 8, low + 8 if low != 0 else low, X, at + 8, 3)


@njit(nogil=True, error_model="numpy", forceinline=True)
def mark_row(P, A, slot, mark, row, adds):
    """Let a row into all accumulators of a mark, or take it out."""
    accumulator = P[mark + N_ACCUMULATORS]
    for _ in range(P[mark + N_ACCUMULATORS_N]):
        row_in(P, A, A, accumulator, row, slot + P[accumulator + H_AT], adds)
        accumulator += H_WORDS


@part(types.void)
def marks_move(P, A, table, slot):
    """Bring every mark to where its boundary stands."""
    stride, ring, mask = P[table + T_STRIDE], A[slot + K_RING], A[slot + K_CAPACITY] - 1
    mark = P[table + T_MARKS]
    for _ in range(P[table + T_MARKS_N]):
        at, target = slot + P[mark + N_AT], A[slot + P[mark + N_BOUND]]
        while A[at] < target:
            mark_row(P, A, slot, mark, ring + (A[at] & mask) * stride, 1)
            A[at] += 1
        while A[at] > target:
            A[at] -= 1
            mark_row(P, A, slot, mark, ring + (A[at] & mask) * stride, 0)
        mark += N_WORDS


@part(types.void)
def marks_row(P, A, table, slot, position, adds):
    """A row was put at a position, or (`adds` 0) is about to be removed: marks beyond it take it in, or let it go."""
    row, mark, step = row_at(A, slot, P[table + T_STRIDE], position), P[table + T_MARKS], 1 if adds != 0 else -1
    for _ in range(P[table + T_MARKS_N]):
        at = slot + P[mark + N_AT]
        if position < A[at]:
            mark_row(P, A, slot, mark, row, adds)
            A[at] += step
        mark += N_WORDS


@part(types.void)
def marks_evict(P, A, table, slot, head):
    """The row at the head is let go: marks that stand there take it in."""
    row, mark = row_at(A, slot, P[table + T_STRIDE], head), P[table + T_MARKS]
    for _ in range(P[table + T_MARKS_N]):
        at = slot + P[mark + N_AT]
        if A[at] == head:
            mark_row(P, A, slot, mark, row, 1)
            A[at] += 1
        mark += N_WORDS


@njit(nogil=True, error_model="numpy")
def marks_export(P, A, table, slot, out, need, room):
    """What the marks hold of the rows let go: each is moved back to the head, wherever its boundary stands; words so
    far. The next read moves them on again."""
    stride, head, mark = P[table + T_STRIDE], A[slot + K_HEAD], P[table + T_MARKS]
    for _ in range(P[table + T_MARKS_N]):
        at = slot + P[mark + N_AT]
        while A[at] > head:
            A[at] -= 1
            mark_row(P, A, slot, mark, row_at(A, slot, stride, A[at]), 0)
        size = P[mark + N_SIZE] - 1  # Without the pointer.
        if need + size <= room:
            for word in range(size):
                out[need + word] = A[slot + P[mark + N_AT] + 1 + word]
        need += size
        mark += N_WORDS
    return need
