"""Hashes of any perfect subtree of the log, found with few reads.

No index of inner nodes is kept: every batch carries the peaks before it, so the left subtrees of any path are on the
disk already. What is left to hash lies in a few batches. docs/operating/benches.md has what a proof costs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple

from quanheng.kernel import proof
from quanheng.kernel.log import records as rec
from quanheng.kernel.log.checking import corrupt
from quanheng.kernel.log.store import BatchRow, LogStore


class End(NamedTuple):
    """Where a log ends, as one value: whoever reads it beside an append sees all of it before, or all of it after."""

    head: int
    digest: bytes
    peaks: tuple[bytes, ...]
    root: bytes


class Tree:
    """The Merkle tree of the first `end.head` records of `store`.

    Parameters
    ----------
    row_of : the batch that holds an offset, with its body, its digest checked
    """

    def __init__(self, store: LogStore, end: End, row_of: Callable[[int], BatchRow]) -> None:
        self._store, self._end, self._row_of = store, end, row_of
        self._leaves: dict[int, proof.Hashes] = {}
        self._nodes: dict[tuple[int, int], bytes] = {}
        self._firsts: list[int] = []  # Of `_rows`, both in order of the log.
        self._rows: list[BatchRow] = []

    def root(self, size: int) -> bytes:
        """Root of the tree over the first `size` records; an earlier one is proved to lead to the root of all."""
        head, whole = self._end.head, self._end.root
        if size == head:
            return whole
        root = self._root_of_peaks(size)
        path = proof.consistency_path(size, head, self.range_hash)
        made = proof.ConsistencyProof(size, head, root, whole, path)
        if not proof.verify_consistency(made):
            raise corrupt(size, "does not lead to the root", root.hex(), "a proof that verifies")
        return root

    def _root_of_peaks(self, size: int) -> bytes:
        return proof.root_of([self.range_hash(at, level) for at, level in proof.peaks_of(size)])

    def range_hash(self, start: int, level: int) -> bytes:
        """Root over records start .. start + 2**level: from leaves of one batch, else a stored peak, else halves."""
        node = self._nodes.get((start, level))
        if node is None:
            node = self._nodes[start, level] = self._found(start, level)
        return node

    def _found(self, start: int, level: int) -> bytes:
        width = 1 << level
        row = self._head_row(start)
        if level == 0 or start + width <= row.last:
            at = start - row.first
            return proof.root_of(proof.extend_peaks(0, [], self._leaves_of(row)[at : at + width]))
        if not start >> level & 1:
            found = self._peak(start, level)
            if found is not None:
                return found
        half = width >> 1
        return proof.node_hash(self.range_hash(start, level - 1), self.range_hash(start + half, level - 1))

    def _peak(self, start: int, level: int) -> bytes | None:
        """The subtree is a peak of every tree of start + 2**level .. start + 2**(level+1) - 1 leaves."""
        width = 1 << level
        if start + width >= self._end.head:
            return None
        row = self._head_row(start + width)
        if row.first != start + width:
            if row.last >= min(start + 2 * width, self._end.head):
                return None
            row = self._head_row(row.last)
        above = (row.first >> (level + 1)).bit_count()
        return row.peaks[32 * above : 32 * above + 32]

    def _head_row(self, offset: int) -> BatchRow:
        """The batch that holds `offset`, without its body."""
        at = bisect_right(self._firsts, offset)
        if at and offset < self._rows[at - 1].last:
            return self._rows[at - 1]
        for row in self._store.read(offset, offset + 1, bodies=False):
            self._firsts.insert(at, row.first)
            self._rows.insert(at, row)
            return row
        raise corrupt(offset, "is missing", "no batch", "a batch")

    def _leaves_of(self, row: BatchRow) -> proof.Hashes:
        leaves = self._leaves.get(row.first)
        if leaves is None:
            body = self._row_of(row.first).body
            leaves = self._leaves[row.first] = proof.leaves_of(body, rec.bounds(body))
        return leaves
