"""A Bloom filter that grows: what it denies is surely absent. Keys of 16 bytes that are digests already."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

BITS_PER_KEY = 16
FIRST_LAYER_KEYS = 1 << 20


class Bloom:
    """Layers of bits, each twice the one before; a new one begins when the last is full."""

    def __init__(self) -> None:
        self._layers = [np.zeros(FIRST_LAYER_KEYS * BITS_PER_KEY // 64, np.uint64)]
        self._room = FIRST_LAYER_KEYS

    def add(self, keys: bytes) -> None:
        """Add the keys that are joined in `keys`."""
        pairs = np.frombuffer(keys, "<u8").reshape(-1, 2)
        if len(pairs) > self._room:
            size = len(self._layers[-1]) * 2
            self._layers.append(np.zeros(size, np.uint64))
            self._room = size * 64 // BITS_PER_KEY
        self._room -= len(pairs)
        _add(self._layers[-1], pairs)

    def maybe(self, keys: bytes) -> list[int] | None:
        """Positions of the keys that may be present; None if there are none."""
        pairs = np.frombuffer(keys, "<u8").reshape(-1, 2)
        hit = np.zeros(len(pairs), np.uint8)
        total = 0
        for layer in self._layers:
            total += _test(layer, pairs, hit)
        return np.flatnonzero(hit).tolist() if total else None


@njit(cache=True)
def _add(bits: Any, pairs: Any) -> None:
    mask = np.uint64(bits.shape[0] * 64 - 1)
    for i in range(pairs.shape[0]):
        a = pairs[i, 0]
        step = pairs[i, 1] | np.uint64(1)
        for _ in range(5):
            a += step
            at = (a ^ (a >> np.uint64(29))) & mask
            bits[at >> np.uint64(6)] |= np.uint64(1) << (at & np.uint64(63))


@njit(cache=True)
def _test(bits: Any, pairs: Any, hit: Any) -> Any:
    mask = np.uint64(bits.shape[0] * 64 - 1)
    total = 0
    for i in range(pairs.shape[0]):
        a = pairs[i, 0]
        step = pairs[i, 1] | np.uint64(1)
        present = True
        for _ in range(5):
            a += step
            at = (a ^ (a >> np.uint64(29))) & mask
            if not (bits[at >> np.uint64(6)] >> (at & np.uint64(63))) & np.uint64(1):
                present = False
                break
        if present:
            hit[i] = 1
            total += 1
    return total
