"""The Merkle tree of RFC 6962, section 2.1, word for word over lists of records: the judge of `kernel.proof`."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256


def root(records: Sequence[bytes]) -> bytes:
    """MTH(D[n])."""
    if not records:
        return sha256(b"").digest()
    if len(records) == 1:
        return sha256(b"\x00" + records[0]).digest()
    k = _split(len(records))
    return sha256(b"\x01" + root(records[:k]) + root(records[k:])).digest()


def path(index: int, records: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n]) of 2.1.1."""
    if len(records) == 1:
        return []
    k = _split(len(records))
    if index < k:
        return [*path(index, records[:k]), root(records[k:])]
    return [*path(index - k, records[k:]), root(records[:k])]


def proof(old_size: int, records: Sequence[bytes]) -> list[bytes]:
    """PROOF(m, D[n]) of 2.1.2, 0 < m < n; nothing for m = 0 and m = n."""
    return _subproof(old_size, records, True) if old_size else []


def _subproof(m: int, records: Sequence[bytes], whole: bool) -> list[bytes]:
    if m == len(records):
        return [] if whole else [root(records)]
    k = _split(len(records))
    if m <= k:
        return [*_subproof(m, records[:k], whole), root(records[k:])]
    return [*_subproof(m - k, records[k:], False), root(records[:k])]


def _split(n: int) -> int:
    """The largest power of two smaller than n."""
    return 1 << (n - 1).bit_length() - 1
