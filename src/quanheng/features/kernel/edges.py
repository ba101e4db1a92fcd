"""Low boundaries that are found anew for each moment: units of a calendar, the last so many rows, sessions.

Each is a boundary like the others, a pointer with sums up to there (kernel/bounds.py): whatever is read between two
boundaries is read between these. Only where it must stand is another question. Events in order move it forward alone,
so that it costs O(1) amortised; a moment further back moves it there and back.
"""

import numpy as np
from numba import njit, types

from quanheng.features.kernel.bounds import sums_add, sums_remove
from quanheng.features.kernel.parts import part
from quanheng.features.kernel.ring import read_extreme, row_at
from quanheng.features.kernel.sessions import session_start
from quanheng.features.kernel.starts import unit_start
from quanheng.features.kernel.words import (
    C_OUT,
    FIRST,
    FIRST_TIME,
    J_AGE,
    J_HIGH,
    J_LOW,
    J_OUT,
    J_PARTS,
    J_PLACE,
    J_THROUGH,
    J_WITHOUT,
    J_WORDS,
    K_HEAD,
    L_KEY,
    L_NTH,
    L_PLACE,
    L_THROUGH,
    LAST_THROUGH,
    LAST_TIME,
    NTH_LAST,
    NULL,
    OVERFLOW,
    Q_AT,
    Q_DELAY,
    Q_GAP,
    Q_HIGH,
    Q_LAST,
    Q_SESSION,
    Q_UNIT,
    Q_WINDOW,
    Q_WITHOUT,
    Q_WORDS,
    Q_ZONE,
    RANGE,
    SEEN,
    SINCE_FIRST,
    T_AGES,
    T_AGES_N,
    T_BASE_AT,
    T_BASE_FIRST,
    T_EDGES,
    T_EDGES_N,
    T_STRIDE,
    T_SUMS_N,
    UNKNOWN,
    X_OVERFLOWS,
    X_PLACE,
    X_STEP,
)


@part(types.void)
def edges_move(P, A, table, slot, time, own):
    """Move each low edge to where it stands at `time`; the boundaries that are distances stand there already."""
    stride, sums_n = P[table + T_STRIDE], P[table + T_SUMS_N]
    for edge_n in range(P[table + T_EDGES_N]):
        edge = P[table + T_EDGES] + edge_n * Q_WORDS
        bound, head = slot + P[edge + Q_AT], A[slot + K_HEAD]
        stop, moment = A[slot + P[edge + Q_HIGH]], time - P[edge + Q_DELAY]
        if P[edge + Q_WITHOUT] != 0 and own >= 0:
            stop -= 1  # The event being decided is the last row.
        before, floor = np.int64(NULL), head  # Rows up to that time, and that position, lie before the window.
        if P[edge + Q_WINDOW] >= 0:
            before = moment - P[edge + Q_WINDOW]
        if P[edge + Q_UNIT] >= 0:
            before = max(before, unit_start(P, P[edge + Q_ZONE], P[edge + Q_UNIT], moment) - 1)
        if P[edge + Q_LAST] != 0:
            floor = max(floor, stop - P[edge + Q_LAST])
        if P[edge + Q_GAP] >= 0:
            start = session_start(P, A, table, slot, slot + P[edge + Q_SESSION], stop, P[edge + Q_GAP])
            floor = max(floor, start)
            if stop > head and moment - A[row_at(A, slot, stride, stop - 1)] > P[edge + Q_GAP]:
                floor = stop
        position = A[bound]
        while position < floor or (position < stop and A[row_at(A, slot, stride, position)] <= before):
            sums_add(A, bound, row_at(A, slot, stride, position), sums_n)
            position += 1
        while position > floor and A[row_at(A, slot, stride, position - 1)] > before:
            position -= 1
            sums_remove(A, bound, row_at(A, slot, stride, position), sums_n)
        A[bound] = position


@njit(nogil=True, error_model="numpy")
def read_range(P, A, X, table, slot, argument, low, high):
    """Largest less smallest value; NULL without values, OVERFLOW and counted if it does not fit."""
    if high <= low:
        return np.int64(NULL)
    least = read_extreme(P, A, table, slot, P[argument + 1], low, high)
    most = read_extreme(P, A, table, slot, P[argument], low, high)
    if most == NULL:
        return most
    if most - least < 0 or most - least == 2**63 - 1:  # Above NUMBER_MAX, or around the end of int64.
        X[X_OVERFLOWS] += 1
        return np.int64(OVERFLOW)
    return most - least


@part()
def read_edge(P, A, X, table, slot, kind, argument, low, high, time):
    """Folds that read the first row of a window, the n-th last, or two extremes; `argument`: L_... in the plan."""
    if kind == SEEN:
        return np.int64(high > low)
    if kind == RANGE:
        return read_range(P, A, X, table, slot, argument, low, high)
    first = kind == FIRST or kind == FIRST_TIME or kind == SINCE_FIRST  # noqa: PLR1714 - numba
    position = low if first else high - (P[argument + L_NTH] if kind == NTH_LAST else 1)
    if kind == LAST_THROUGH:
        X[P[argument + L_THROUGH] + 2] = 0
    if position < low or position >= high:
        return np.int64(NULL)
    if position >= A[slot + K_HEAD]:
        row = row_at(A, slot, P[table + T_STRIDE], position)
    else:
        row = slot + P[table + (T_BASE_FIRST if first else T_BASE_AT)]
    if kind == FIRST_TIME or kind == LAST_TIME:  # noqa: PLR1714, SIM109
        return A[row]
    if kind == SINCE_FIRST:
        return time - A[row]
    value = row + 1 + P[argument + L_PLACE]
    if P[argument + L_KEY] == 0:
        return A[value]
    if A[value] == 0 and A[value + 1] == 0:
        return np.int64(NULL)
    if kind == LAST_THROUGH:
        answer = P[argument + L_THROUGH]
        X[answer], X[answer + 1], X[answer + 2] = A[value], A[value + 1], 1
    return np.int64(np.uint64(A[value]) >> np.uint64(11))  # 53 bits, as `last` gives.


@part(types.void)
def ages(P, A, X, table, slot, time, own, out, at):
    """Folds whose newest event is older than they allow are not known."""
    stride, base = P[table + T_STRIDE], slot + P[table + T_BASE_AT]
    for age_n in range(P[table + T_AGES_N]):
        age = P[table + T_AGES] + age_n * J_WORDS
        high = A[slot + P[age + J_HIGH]]
        low = np.int64(0) if P[age + J_LOW] == 0 else A[slot + P[age + J_LOW]]
        if P[age + J_WITHOUT] != 0 and own >= 0:
            high -= 1
        if high <= low:
            continue
        row = row_at(A, slot, stride, high - 1) if high > A[slot + K_HEAD] else base
        if time - A[row] <= P[age + J_AGE]:
            continue
        place = at + P[age + (J_OUT if X[X_PLACE] == C_OUT else J_PLACE)] * X[X_STEP]
        for _ in range(P[age + J_PARTS]):
            if out[place] == OVERFLOW:
                X[X_OVERFLOWS] -= 1
            out[place] = UNKNOWN
            place += X[X_STEP]
        if P[age + J_THROUGH] != 0:
            X[P[age + J_THROUGH] + 2] = 2
