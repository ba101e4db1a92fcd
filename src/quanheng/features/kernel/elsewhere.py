"""Reading a table under another key than the one an event is put in by: by other fields, or by what a fold answers."""

import numpy as np
from numba import njit

from quanheng.features.kernel.arena import find, hash_key
from quanheng.features.kernel.step import seek
from quanheng.features.kernel.words import (
    FOLLOWS,
    O_SPECIAL,
    O_TABLE,
    O_THROUGH,
    T_STATE,
    X_OWN,
    X_SLOT,
)


@njit(nogil=True, error_model="numpy")
def look_elsewhere(P, A, X, op, place):
    """X_SLOT becomes the slot that an operation reads: 0 if there is none, -1 if the fold that names it is not known.

    X_OWN stays where the operation before this one has put the event into the same slot.
    """
    table, slot, own = P[op + O_TABLE], np.int64(0), np.int64(-1)
    answer = P[op + O_THROUGH]
    if answer == 0:
        slot = max(seek(P, A, X, table, place), 0)
    elif X[answer + 2] == 2:
        slot = np.int64(-1)
    elif X[answer + 2] == 1:
        slot = find(A, P[table + T_STATE], X[answer], X[answer + 1], hash_key(X[answer], X[answer + 1]))
    if P[op + O_SPECIAL] & FOLLOWS != 0 and slot == X[X_SLOT]:
        own = X[X_OWN]
    X[X_SLOT], X[X_OWN] = slot, own
