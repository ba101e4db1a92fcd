"""Holds that end, the next one first: a binary heap ordered by time and then by row."""

from numba import njit

from quanheng.ledger.kernel.entry import entry
from quanheng.ledger.kernel.words import F_APPLIED, F_MARKS, F_TIME, HELD, L_HOLD, S_FACTS, S_HEAP, UNTIL


@njit(nogil=True, error_model="numpy", forceinline=True)
def end_of(F, row):
    """When a hold with a time-out ends: at the moment it states, or so long after it was made."""
    return F[row, F_TIME] if F[row, F_MARKS] & UNTIL else F[row, F_APPLIED] + F[row, F_TIME]


@njit(nogil=True, error_model="numpy", forceinline=True)
def _before(H, one, other):
    return H[one, 0] < H[other, 0] or (H[one, 0] == H[other, 0] and H[one, 1] < H[other, 1])


@njit(nogil=True, error_model="numpy", forceinline=True)
def _swap(H, one, other):
    for word in range(2):
        H[one, word], H[other, word] = H[other, word], H[one, word]


@njit(nogil=True, error_model="numpy")
def push(T, expires_ms, row):
    """Remember when a hold ends."""
    H, at = T.H, T.S[S_HEAP]
    T.S[S_HEAP] += 1
    H[at, 0], H[at, 1] = expires_ms, row
    while at > 0 and _before(H, at, (at - 1) >> 1):
        _swap(H, at, (at - 1) >> 1)
        at = (at - 1) >> 1


@njit(nogil=True, error_model="numpy")
def pop(T):
    """Forget the hold that ends first."""
    H, last = T.H, T.S[S_HEAP] - 1
    T.S[S_HEAP] = last
    H[0, 0], H[0, 1] = H[last, 0], H[last, 1]
    at = 0
    while True:
        least = at
        for child in (2 * at + 1, 2 * at + 2):
            if child < last and _before(H, child, least):
                least = child
        if least == at:
            return
        _swap(H, at, least)
        at = least


@entry
def push_all(T):
    """Fill an empty heap from the facts, after a load."""
    for row in range(T.S[S_FACTS]):
        if T.L[row, L_HOLD] == HELD and T.F[row, F_TIME] != 0:
            push(T, end_of(T.F, row), row)


@entry
def forget_settled(T):
    """Make the heap again from the holds in it that stand."""
    count = T.S[S_HEAP]
    T.S[S_HEAP] = 0
    for at in range(count):
        expires_ms, row = T.H[at, 0], T.H[at, 1]
        if T.L[row, L_HOLD] == HELD:
            push(T, expires_ms, row)


@entry
def count_timed(T):
    """How many holds stand that end."""
    found = 0
    for row in range(T.S[S_FACTS]):
        if T.L[row, L_HOLD] == HELD and T.F[row, F_TIME] != 0:
            found += 1
    return found


@entry
def forget_next(T):
    """Forget the hold that stands and would end first, as a fault that a simulation must find."""
    while T.S[S_HEAP] > 1 and T.L[T.H[0, 1], L_HOLD] != HELD:
        pop(T)
    pop(T)
