"""Memory for the arena: zeroed words, on large pages where the system offers them, that grow where they lie."""

from __future__ import annotations

import mmap
import sys

import numpy as np

_LARGE_BYTES = 1 << 22
_RESERVED_BYTES = 1 << 36  # Addresses, not memory: a page is real once it is written.
_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)


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


class Arena:
    """Words that grow. On Linux 64 GB of addresses are reserved, so that growing neither copies nor moves anything;
    elsewhere, beyond that, or where the system reserves none (strict overcommit), growing copies.

    words : the words in use; taken anew after `grow`
    """

    def __init__(self, words: int) -> None:
        self._whole = reserved(words)
        self.words = zeroed(words) if self._whole is None else self._whole[:words]

    def grow(self, words: int) -> None:
        """At least so many words, what is there included."""
        if self._whole is not None and words <= len(self._whole):
            self.words = self._whole[:words]
            return
        wider = zeroed(words)
        wider[: len(self.words)] = self.words
        self._whole, self.words = None, wider


def reserved(words: int) -> np.ndarray | None:
    """Zeros that take addresses alone until they are written; None where that is not to be had."""
    if not sys.platform.startswith("linux") or words * 8 > _RESERVED_BYTES:
        return None
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE
    try:
        memory = mmap.mmap(-1, _RESERVED_BYTES, flags=flags)
    except OSError:
        return None
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, dtype=np.int64)
