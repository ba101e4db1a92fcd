"""Integers to 128-bit keys, for histories whose keys are numbers."""

import numpy as np
from numba import njit

from quanheng.features.kernel.arena import mix

_ONE, _TWO = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)


@njit(nogil=True, cache=True)
def hash_integers(values, pairs):
    """u8[n, 2] from i8[n]: two bijective mixes, so different integers never share a key; never both zero."""
    for row in range(len(values)):
        word = np.uint64(values[row])
        pairs[row, 0] = mix(word + _ONE)
        pairs[row, 1] = mix(word ^ _TWO)
