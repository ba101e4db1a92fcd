"""Boundaries of one key: how far the log reaches "up to d ms before the moment", with exact sums up to there.

A window (t-d-w, t-d] is the difference of two boundaries, so windows that share an edge share its work, and all
history is a boundary alone. Sums are kept in 128 bits (a low limb; the high limb and the count of nulls share a word),
so they never overflow; whether a window's sum fits 64 bits is asked when it is read. (A window holds 2^32 nulls.)
"""

import numpy as np
from numba import njit, types

from quanheng.features.kernel.arena import is_null, set_add, set_remove, set_reserve
from quanheng.features.kernel.marks import marks_evict
from quanheng.features.kernel.parts import part
from quanheng.features.kernel.ring import row_at, score
from quanheng.features.kernel.sessions import sessions_forget, sessions_open
from quanheng.features.kernel.structures import structure_let_go, structure_reserve, structure_row
from quanheng.features.kernel.words import (
    BOUNDED,
    BREAKS,
    D_HIGH,
    D_LOW,
    K_BOUNDS,
    K_CAPACITY,
    K_HEAD,
    K_MOMENT,
    K_RING,
    K_TAIL,
    M_AT,
    M_KIND,
    M_LOW,
    M_PLACE,
    M_VALUE_WORDS,
    M_WORDS,
    NULL,
    NUMBER_MAX,
    NUMBER_MIN,
    OVERFLOW,
    T_BASE_AT,
    T_BASE_FIRST,
    T_BASE_ON,
    T_BOUND_WORDS,
    T_BOUNDS,
    T_BOUNDS_N,
    T_EDGES_N,
    T_KEEP_ROWS,
    T_MARKS_N,
    T_SETS,
    T_SETS_N,
    T_STRIDE,
    T_SUMS_N,
    T_TIMED_N,
    T_TREES,
    T_TREES_N,
    X_OVERFLOWS,
)

_LOW_HALF = np.int64(0xFFFFFFFF)


@njit(nogil=True, error_model="numpy", forceinline=True)
def sums_add(A, bound, row, sums_n):
    """Let a row into a boundary's sums."""
    for value_n in range(sums_n):
        at, value = bound + 1 + 2 * value_n, A[row + 1 + value_n]
        if value == NULL:
            A[at + 1] += 1
        else:
            total = A[at] + value
            carry = np.int64(np.uint64(total) < np.uint64(A[at]))
            A[at] = total
            A[at + 1] += ((value >> 63) + carry) << 32


@njit(nogil=True, error_model="numpy", forceinline=True)
def sums_remove(A, bound, row, sums_n):
    """Take a row out of a boundary's sums: the exact inverse of `sums_add`."""
    for value_n in range(sums_n):
        at, value = bound + 1 + 2 * value_n, A[row + 1 + value_n]
        if value == NULL:
            A[at + 1] -= 1
        else:
            total = A[at] - value
            borrow = np.int64(np.uint64(total) > np.uint64(A[at]))
            A[at] = total
            A[at + 1] -= ((value >> 63) + borrow) << 32


@njit(nogil=True, error_model="numpy", forceinline=True)
def window_sum(A, high, low, history):
    """Sum of a window as (low limb, high limb, nulls), from the places of the sums of its boundaries."""
    total, rest = A[high], A[high + 1]
    if history:
        return total, rest >> 32, rest & _LOW_HALF
    under = A[low]
    rest -= A[low + 1]
    return total - under, (rest >> 32) - np.int64(np.uint64(total) < np.uint64(under)), rest & _LOW_HALF


@njit(nogil=True, error_model="numpy", forceinline=True)
def less(low, high, other_low, other_high):
    """Difference of two numbers of two limbs."""
    return low - other_low, high - other_high - np.int64(np.uint64(low) < np.uint64(other_low))


@njit(nogil=True, error_model="numpy", forceinline=True)
def fitted(X, low, high):
    """A number of two limbs as one word; OVERFLOW, and counted, if it does not fit."""
    if high != low >> 63 or low < NUMBER_MIN or low > NUMBER_MAX:
        X[X_OVERFLOWS] += 1
        return np.int64(OVERFLOW)
    return low


@njit(nogil=True, error_model="numpy", forceinline=True)
def bounds_move(P, A, table, slot, time):
    """Move every boundary that is a distance to the moment `time`: forward, or back for an earlier moment."""
    stride, sums_n, words = P[table + T_STRIDE], P[table + T_SUMS_N], P[table + T_BOUND_WORDS]
    distances, bounds_n = P[table + T_BOUNDS], P[table + T_TIMED_N]
    tail, ring, mask = A[slot + K_TAIL], A[slot + K_RING], A[slot + K_CAPACITY] - 1
    bound, back = slot + K_BOUNDS, time < A[slot + K_MOMENT]
    A[slot + K_MOMENT] = time
    for bound_n in range(bounds_n):
        edge = time - P[distances + bound_n]
        position = A[bound]
        while position < tail:  # Also where the moment is an earlier one: a row may have come since.
            row = ring + (position & mask) * stride
            if A[row] > edge:
                break
            sums_add(A, bound, row, sums_n)
            position += 1
        A[bound] = position
        if back:
            bound_back(A, bound, edge, A[slot + K_HEAD], ring, mask, stride, sums_n)
        bound += words


@njit(nogil=True, error_model="numpy")
def bound_back(A, bound, edge, head, ring, mask, stride, sums_n):
    """Move one boundary back to `edge`."""
    position = A[bound]
    while position > head:
        row = ring + ((position - 1) & mask) * stride
        if A[row] <= edge:
            break
        sums_remove(A, bound, row, sums_n)
        position -= 1
    A[bound] = position


@njit(nogil=True, error_model="numpy")
def bounds_insert(P, A, table, slot, position):
    """A row was put at a position: boundaries beyond it take it in."""
    row, words = row_at(A, slot, P[table + T_STRIDE], position), P[table + T_BOUND_WORDS]
    bound = slot + K_BOUNDS
    for _ in range(P[table + T_BOUNDS_N]):
        if position < A[bound]:
            sums_add(A, bound, row, P[table + T_SUMS_N])
            A[bound] += 1
        bound += words
    if P[table + T_EDGES_N] != 0:
        sessions_open(P, A, table, slot, position)


@njit(nogil=True, error_model="numpy")
def bounds_remove(P, A, table, slot, position):
    """The row at a position is about to be removed: boundaries beyond it let it go."""
    row, words = row_at(A, slot, P[table + T_STRIDE], position), P[table + T_BOUND_WORDS]
    bound = slot + K_BOUNDS
    for _ in range(P[table + T_BOUNDS_N]):
        if position < A[bound]:
            sums_remove(A, bound, row, P[table + T_SUMS_N])
            A[bound] -= 1
        bound += words
    if P[table + T_EDGES_N] != 0:
        sessions_forget(P, A, table, slot, position)


@njit(nogil=True, error_model="numpy", forceinline=True)
def room(P, A, meta, counted):
    """Room for one more value in a structure; False if the arena must grow."""
    if P[meta + M_KIND] == 0:
        return set_reserve(A, counted, P[meta + M_VALUE_WORDS] + 1, 0) != 0
    return structure_reserve(P, A, meta, counted) != 0


@part(types.void)
def set_row(P, A, table, slot, set_n, position, adds):
    """Let the value of a row into a structure, or out of it; null counts as nothing."""
    meta = P[table + T_SETS] + M_WORDS * set_n
    place = row_at(A, slot, P[table + T_STRIDE], position) + 1 + P[meta + M_PLACE]
    width = P[meta + M_VALUE_WORDS] + 1
    first, second = A[place], A[place + width - 2]
    if is_null(first, second, width):
        return
    counted = slot + P[meta + M_AT]
    if P[meta + M_KIND] != 0:
        structure_row(P, A, meta, counted, first, second, adds)
    elif adds:
        set_add(A, counted, width, first, second)
    else:
        set_remove(A, counted, width, first, second)


@part(types.void)
def set_let_go(P, A, table, slot, set_n, position):
    """The row at a position, which a bounded structure holds, leaves the ring."""
    meta = P[table + T_SETS] + M_WORDS * set_n
    place = row_at(A, slot, P[table + T_STRIDE], position) + 1 + P[meta + M_PLACE]
    width = P[meta + M_VALUE_WORDS] + 1
    first, second = A[place], A[place + width - 2]
    if is_null(first, second, width):
        return
    structure_let_go(P, A, meta, slot + P[meta + M_AT], first, second)


@part()
def set_move(P, A, table, slot, set_n, low, high):
    """Make a structure hold exactly positions low..high-1; False if the arena must grow (call again then).

    All-history structures pass low = 0 and never let a row go at that end.
    """
    meta = P[table + T_SETS] + M_WORDS * set_n
    counted = slot + P[meta + M_AT]
    if low >= A[counted + D_HIGH]:  # Nothing in common: empty it before filling it.
        while A[counted + D_LOW] < A[counted + D_HIGH]:
            set_row(P, A, table, slot, set_n, A[counted + D_LOW], False)
            A[counted + D_LOW] += 1
        if low > A[counted + D_HIGH]:
            A[counted + D_LOW] = low
            A[counted + D_HIGH] = low
    while A[counted + D_HIGH] > high and A[counted + D_HIGH] > A[counted + D_LOW]:
        A[counted + D_HIGH] -= 1
        set_row(P, A, table, slot, set_n, A[counted + D_HIGH], False)
    if high < A[counted + D_LOW]:  # It is empty now, and lies behind the wanted window.
        A[counted + D_LOW] = high
        A[counted + D_HIGH] = high
    while A[counted + D_LOW] < low:
        set_row(P, A, table, slot, set_n, A[counted + D_LOW], False)
        A[counted + D_LOW] += 1
    while A[counted + D_LOW] > low:
        if not room(P, A, meta, counted):
            return False
        A[counted + D_LOW] -= 1
        set_row(P, A, table, slot, set_n, A[counted + D_LOW], True)
    while A[counted + D_HIGH] < high:
        if not room(P, A, meta, counted):
            return False
        set_row(P, A, table, slot, set_n, A[counted + D_HIGH], True)
        A[counted + D_HIGH] += 1
    return True


@njit(nogil=True, error_model="numpy")
def sets_reserve(P, A, table, slot):
    """Room for one more value in every structure; False if the arena must grow."""
    for set_n in range(P[table + T_SETS_N]):
        meta = P[table + T_SETS] + M_WORDS * set_n
        if not room(P, A, meta, slot + P[meta + M_AT]):
            return False
    return True


@njit(nogil=True, error_model="numpy")
def sets_insert(P, A, table, slot, position):
    """A row was put at a position: structures whose span it fell into count it, those behind it move up."""
    for set_n in range(P[table + T_SETS_N]):
        counted = slot + P[P[table + T_SETS] + M_WORDS * set_n + M_AT]
        if position < A[counted + D_HIGH]:
            A[counted + D_HIGH] += 1
            if position < A[counted + D_LOW]:
                A[counted + D_LOW] += 1
            else:
                set_row(P, A, table, slot, set_n, position, True)


@njit(nogil=True, error_model="numpy")
def sets_remove(P, A, table, slot, position):
    """The row at a position is about to be removed: the inverse of `sets_insert`."""
    for set_n in range(P[table + T_SETS_N]):
        counted = slot + P[P[table + T_SETS] + M_WORDS * set_n + M_AT]
        if position < A[counted + D_HIGH]:
            if position < A[counted + D_LOW]:
                A[counted + D_LOW] -= 1
            else:
                set_row(P, A, table, slot, set_n, position, False)
            A[counted + D_HIGH] -= 1


@njit(nogil=True, error_model="numpy")
def sets_evict(P, A, table, slot, head):
    """Let the row at the head go from structures over a window, into those over all history; False to grow first."""
    if not sets_reserve(P, A, table, slot):
        return False
    for set_n in range(P[table + T_SETS_N]):
        meta = P[table + T_SETS] + M_WORDS * set_n
        counted = slot + P[meta + M_AT]
        if P[meta + M_LOW] < 0:
            if A[counted + D_HIGH] == head:
                set_row(P, A, table, slot, set_n, head, True)
                A[counted + D_HIGH] += 1
            if P[meta + M_KIND] == BOUNDED:
                set_let_go(P, A, table, slot, set_n, head)
        elif A[counted + D_LOW] == head:
            if A[counted + D_HIGH] > head:
                set_row(P, A, table, slot, set_n, head, False)
            else:
                A[counted + D_HIGH] += 1
            A[counted + D_LOW] += 1
    return True


@njit(nogil=True, error_model="numpy")
def base_add(P, A, table, slot, row):
    """The base keeps of all rows let go the last, the first where asked for, the best score of each tree, streaks."""
    stride = P[table + T_STRIDE]
    base = slot + P[table + T_BASE_AT]
    first = A[slot + K_HEAD] == 0
    for word in range(stride):
        A[base + word] = A[row + word]
    if first and P[table + T_BASE_FIRST] != 0:
        for word in range(stride):
            A[slot + P[table + T_BASE_FIRST] + word] = A[row + word]
    for tree in range(P[table + T_TREES_N]):
        meta = P[table + T_TREES] + 2 * tree
        value = score(A[row + 1 + P[meta]], P[meta + 1])
        if P[meta + 1] == BREAKS:
            A[base + stride + tree] = (A[base + stride + tree] + 1) * (1 - value)
        elif first or value > A[base + stride + tree]:
            A[base + stride + tree] = value


@part()
def evict(P, A, table, slot, horizon, stop):
    """Let go of rows before the position `stop` that lie at or before `horizon`, folding them into the base where a
    window is all history. A table may keep some rows more than their time asks for.

    False if the arena must grow; what was let go until then stays so (call again).
    """
    stride, sums_n, words = P[table + T_STRIDE], P[table + T_SUMS_N], P[table + T_BOUND_WORDS]
    keep = P[table + T_KEEP_ROWS]
    while A[slot + K_HEAD] + keep < stop:
        head = A[slot + K_HEAD]
        if A[row_at(A, slot, stride, head + keep)] > horizon:
            return True
        row = row_at(A, slot, stride, head)
        if P[table + T_SETS_N] != 0 and not sets_evict(P, A, table, slot, head):
            return False
        bound = slot + K_BOUNDS
        for _ in range(P[table + T_BOUNDS_N]):
            if A[bound] == head:
                sums_add(A, bound, row, sums_n)
                A[bound] += 1
            bound += words
        if P[table + T_MARKS_N] != 0:
            marks_evict(P, A, table, slot, head)
        if P[table + T_BASE_ON] != 0:
            base_add(P, A, table, slot, row)
        A[slot + K_HEAD] = head + 1
    return True
