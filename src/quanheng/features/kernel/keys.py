"""What an event type does, and the key under which an event is folded: one member as it is, several mixed."""

import numpy as np
from numba import njit

from quanheng.features.kernel.arena import mix
from quanheng.features.kernel.words import O_KEYS, O_KEYS_N, P_CODES, P_MAP, X_KEY_1, X_KEY_2, X_KEYS_N

_SEED_1, _SEED_2 = np.uint64(0x243F6A8885A308D3), np.uint64(0x13198A2E03707344)  # Digits of pi.
_ROTATE = np.uint64(31)
_BACK = np.uint64(33)


@njit(nogil=True, error_model="numpy", forceinline=True)
def record_of(P, codes, event):
    """Type record of an event; 0 if no fold knows its type."""
    code = np.int64(codes[event])
    return P[P[P_MAP] + code] if 0 <= code < P[P_CODES] else np.int64(0)


@njit(nogil=True, error_model="numpy", forceinline=True)
def key_of(P, op, keys, event, X):
    """Key of an event for one operation as two int64 in X[X_KEY_1], X[X_KEY_2]; False if a member is null.

    One member is its own key; several are mixed in their declared order.
    """
    members, at = P[op + O_KEYS_N], P[op + O_KEYS]
    if members == 1:
        X[X_KEY_1] = np.int64(keys[(event * X[X_KEYS_N] + P[at]) * 2])
        X[X_KEY_2] = np.int64(keys[(event * X[X_KEYS_N] + P[at]) * 2 + 1])
        return X[X_KEY_1] != 0 or X[X_KEY_2] != 0
    if members < 0:  # The event lacks the fields: it has no such key.
        return False
    one, two = _SEED_1, _SEED_2
    for member in range(members):
        place = (event * X[X_KEYS_N] + P[at + member]) * 2
        first, second = keys[place], keys[place + 1]
        if first == 0 and second == 0:
            return False
        one = mix(one ^ first) + (second ^ ((two << _ROTATE) | (two >> _BACK)))
        two = mix(two ^ second) + mix(one)
    X[X_KEY_1], X[X_KEY_2] = np.int64(one), np.int64(two)
    return True
