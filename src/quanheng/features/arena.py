"""Memory for the arena: zeroed words, on large pages where the system offers them."""

from __future__ import annotations

import mmap

import numpy as np

_LARGE_BYTES = 1 << 22


def zeroed(words: int) -> np.ndarray:
    """i8[words] of zeros. From 4 MB on it asks for large pages: an arena is read at random, so that small pages cost
    a look-up of the address beside each look-up of the data."""
    if words * 8 < _LARGE_BYTES or not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.zeros(words, dtype=np.int64)
    memory = mmap.mmap(-1, words * 8, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, dtype=np.int64)


def flat_of(out: np.ndarray) -> np.ndarray:
    """One-dimensional window over the memory of a two-dimensional array."""
    if out.flags.c_contiguous:
        return out.reshape(-1)
    extent = 1 + sum((size - 1) * (stride >> 3) for size, stride in zip(out.shape, out.strides, strict=True))
    return np.lib.stride_tricks.as_strided(out, shape=(max(extent, 0),), strides=(8,))
