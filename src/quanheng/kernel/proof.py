"""The Merkle tree of RFC 6962 (and RFC 9162), a leaf per record: roots, proofs, and their verification.

Leaf hash = SHA-256(0x00 || record), node hash = SHA-256(0x01 || left || right), root of no leaves = SHA-256("").
Only the *peaks* are kept (the roots of the perfect subtrees that the bits of the size name, from left to right), so a
log of any length needs at most 64 hashes to go on growing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.hashing import LEAF, NODE, hash_pairs, hash_pieces

Hashes = NDArray[np.uint8]
"""u8[n, 32]: n hashes."""

EMPTY_ROOT = sha256(b"").digest()
FEW = 8
"""Nodes of a level that are hashed one by one rather than as an array."""

RangeHash = Callable[[int, int], bytes]
"""(start, level) -> root of the perfect subtree over leaves start .. start + 2**level."""


def leaf_hash(record: bytes) -> bytes:
    """SHA-256(0x00 || record), RFC 6962 section 2.1."""
    return sha256(LEAF + record).digest()


def leaf_hashes(records: Sequence[bytes]) -> Hashes:
    """`leaf_hash` of many records."""
    starts = np.cumsum([0, *map(len, records)], dtype=np.int64)
    return leaves_of(b"".join(records), starts)


def leaves_of(body: bytes, starts: NDArray[np.int64]) -> Hashes:
    """`leaf_hash` of the records of `body`, which begin at `starts`; the last of these is the end of the body."""
    return hash_pieces(LEAF, body, starts)


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right), RFC 6962 section 2.1."""
    return sha256(NODE + left + right).digest()


def extend_peaks(size: int, peaks: Sequence[bytes], leaves: Hashes) -> list[bytes]:
    """Peaks of the tree after `leaves` were added to a tree of `size` leaves with `peaks` (left to right).

    Works level by level over the whole batch, which costs one hash per new interior node and no bookkeeping per leaf.
    """
    if len(peaks) != size.bit_count():
        raise ValueError(f"a tree of {size} leaves has {size.bit_count()} peaks; was {len(peaks)}")
    waiting, made, start, nodes = list(peaks), list[bytes](), size, leaves
    while len(nodes) > FEW:
        if start & 1:
            nodes = np.vstack([np.frombuffer(waiting.pop(), np.uint8), nodes])
        if len(nodes) & 1:
            made.append(nodes[-1].tobytes())
            nodes = nodes[:-1]
        nodes = hash_pairs(NODE, nodes)
        start >>= 1
    few = [node.tobytes() for node in nodes]
    while start or few:  # Mostly one node a level, up to the root: here an array would cost more than its hashes.
        if start & 1:
            few.insert(0, waiting.pop())
        if len(few) & 1:
            made.append(few.pop())
        few = [node_hash(few[at], few[at + 1]) for at in range(0, len(few), 2)]
        start >>= 1
    made.reverse()
    return made


def root_of(peaks: Sequence[bytes]) -> bytes:
    """Root of the tree whose peaks (left to right) are given."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = sha256(NODE + peak + root).digest()
    return root


class InclusionProof(NamedTuple):
    """That the leaf at `leaf_index` is in the tree of `size` leaves with `root`."""

    leaf_index: int
    size: int
    leaf: bytes
    path: tuple[bytes, ...]
    root: bytes


class ConsistencyProof(NamedTuple):
    """That the tree of `new_size` leaves begins with the tree of `old_size` leaves."""

    old_size: int
    new_size: int
    old_root: bytes
    new_root: bytes
    path: tuple[bytes, ...]


def peaks_of(size: int) -> list[tuple[int, int]]:
    """(first leaf, level) of each peak of a tree of `size` leaves, from left to right."""
    peaks, at = [], 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            peaks.append((at, level))
            at += 1 << level
    return peaks


def _subtree(start: int, stop: int, range_hash: RangeHash) -> bytes:
    """MTH(D[start:stop]) where start is aligned: fold of the peaks of that range."""
    return root_of([range_hash(start + at, level) for at, level in peaks_of(stop - start)])


def inclusion_path(index: int, size: int, range_hash: RangeHash) -> tuple[bytes, ...]:
    """PATH(index, D[size]) of RFC 6962 section 2.1.1, nearest sibling first.

    Raises
    ------
    ValueError : index is outside the tree
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf index {index} is outside a tree of {size} leaves")
    path: list[bytes] = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + (1 << ((stop - start - 1).bit_length() - 1))
        if index < middle:
            path.append(_subtree(middle, stop, range_hash))
            stop = middle
        else:
            path.append(_subtree(start, middle, range_hash))
            start = middle
    path.reverse()
    return tuple(path)


def consistency_path(old_size: int, new_size: int, range_hash: RangeHash) -> tuple[bytes, ...]:
    """PROOF(old_size, D[new_size]) of RFC 6962 section 2.1.2.

    Raises
    ------
    ValueError : not 0 <= old_size <= new_size
    """
    if not 0 <= old_size <= new_size:
        raise ValueError(f"old size {old_size} is outside 0..{new_size}")
    if old_size in (0, new_size):
        return ()
    path: list[bytes] = []
    start, stop, wanted, whole = 0, new_size, old_size, True
    while wanted != stop:
        middle = start + (1 << ((stop - start - 1).bit_length() - 1))
        if wanted <= middle:
            path.append(_subtree(middle, stop, range_hash))
            stop = middle
        else:
            path.append(_subtree(start, middle, range_hash))
            start, whole = middle, False
    if not whole:
        path.append(_subtree(start, stop, range_hash))
    path.reverse()
    return tuple(path)


def verify_inclusion(proof: InclusionProof) -> bool:
    """Check an inclusion proof by the algorithm of RFC 9162 section 2.1.3.2."""
    if not 0 <= proof.leaf_index < proof.size:
        return False
    node, last = proof.leaf_index, proof.size - 1
    current = proof.leaf
    for sibling in proof.path:
        if last == 0:
            return False
        if node & 1 or node == last:
            current = node_hash(sibling, current)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            current = node_hash(current, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and current == proof.root


def verify_consistency(proof: ConsistencyProof) -> bool:
    """Check a consistency proof by the algorithm of RFC 9162 section 2.1.4.2."""
    old, new = proof.old_size, proof.new_size
    if not 0 <= old <= new:
        return False
    if old == new:
        return not proof.path and proof.old_root == proof.new_root
    if old == 0:
        return not proof.path and proof.old_root == EMPTY_ROOT
    path = list(proof.path)
    if old & (old - 1) == 0:
        path.insert(0, proof.old_root)
    if not path:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old_root = new_root = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old_root = node_hash(sibling, old_root)
            new_root = node_hash(sibling, new_root)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            new_root = node_hash(new_root, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and old_root == proof.old_root and new_root == proof.new_root
