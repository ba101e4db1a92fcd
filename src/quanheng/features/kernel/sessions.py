"""Sessions: rows that follow one another by at most a gap."""

import numpy as np
from numba import njit

from quanheng.features.kernel.ring import row_at
from quanheng.features.kernel.words import (
    K_HEAD,
    Q_GAP,
    Q_SESSION,
    Q_WORDS,
    T_EDGES,
    T_EDGES_N,
    T_STRIDE,
)


@njit(nogil=True, error_model="numpy")
def session_start(P, A, table, slot, session, stop, gap):
    """Position of the first row of the session that ends with the row before `stop`; what lies before the head, too,
    stands for the head.

    The slot remembers it with the `stop` it holds for. Further on, rows are looked at one by one; further back, or
    after a late row, the rows of the session are.
    """
    stride, head = P[table + T_STRIDE], A[slot + K_HEAD]
    start, known = A[session], A[session + 1]
    if known < 0 or known > stop:
        start = max(stop - 1, head)
        while start > head and A[row_at(A, slot, stride, start)] - A[row_at(A, slot, stride, start - 1)] <= gap:
            start -= 1
        known = stop
    known = max(known, head)  # What was let go is older than every window.
    while known < stop:
        if known > head and A[row_at(A, slot, stride, known)] - A[row_at(A, slot, stride, known - 1)] > gap:
            start = known
        known += 1
    A[session], A[session + 1] = start, known
    return start


@njit(nogil=True, error_model="numpy")
def sessions_forget(P, A, table, slot, position):
    """A row was put in, or will be taken out, at a position: sessions that are known beyond it are no longer."""
    for edge_n in range(P[table + T_EDGES_N]):
        edge = P[table + T_EDGES] + edge_n * Q_WORDS
        if P[edge + Q_GAP] >= 0:
            session = slot + P[edge + Q_SESSION]
            if position < A[session + 1]:
                whole = position == A[session + 1] - 1 and position > A[session]
                A[session + 1] = position if whole else np.int64(-1)


@njit(nogil=True, error_model="numpy")
def sessions_open(P, A, table, slot, position):
    """As `sessions_forget`, for a row put in between others."""
    for edge_n in range(P[table + T_EDGES_N]):
        edge = P[table + T_EDGES] + edge_n * Q_WORDS
        if P[edge + Q_GAP] >= 0 and position < A[slot + P[edge + Q_SESSION] + 1]:
            A[slot + P[edge + Q_SESSION] + 1] = -1
