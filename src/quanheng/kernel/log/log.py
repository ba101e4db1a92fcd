"""The one ordered log above a store: offsets, the chain of digests, the Merkle tree, verification.

Opening checks that the tail is whole. A failed append stops this object for good: what the store holds is then unknown,
and only opening the log again can tell (fail-stop).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from quanheng.kernel import proof
from quanheng.kernel.checkpoint import Checkpoint, Signer
from quanheng.kernel.errors import AppendFailed, ConfigurationError, EpochFenced, HeadMoved, LogCorrupt, NotFound
from quanheng.kernel.log import records as rec
from quanheng.kernel.log.store import GENESIS_DIGEST, BatchRow, LogStore, Tip, batch_digest

Progress = Callable[[int, int], None]
"""(records checked so far, records in all)"""

_CURE = (
    "Do not append. Restore the log from a copy, or from the standby; `quanheng log verify` names the first bad batch."
)


class Report(NamedTuple):
    """What `Log.verify` found: records and batches that are good, and the first bad batch if there is one."""

    records: int
    batches: int
    root: bytes
    bad_batch: int | None = None
    problem: str = ""

    @property
    def ok(self) -> bool:
        """True when every batch is as it was written."""
        return self.bad_batch is None


class Log:
    """The log above `store`. Open it with `Log.open` (to write) or `Log.reader` (to read only)."""

    def __init__(self, store: LogStore, epoch: int | None, signer: Signer | None, tip: Tip, peaks: list[bytes]) -> None:
        self.store, self.epoch, self._signer = store, epoch, signer
        self._head, self._digest, self._peaks = tip.head, tip.digest, peaks
        self._root = proof.root_of(peaks)
        self._stopped = ""

    @classmethod
    def open(cls, store: LogStore, owner: str, signer: Signer | None = None) -> Log:
        """Become the writer and check that the tail is whole.

        Raises
        ------
        LogCorrupt : the last batches are not what was written
        """
        rec.count(b"")  # Loads the compiled walk now rather than in the first append.
        epoch = store.acquire(owner)
        tip = store.tip()
        return cls(store, epoch, signer, tip, _check_tail(store, tip))

    @classmethod
    def reader(cls, store: LogStore, signer: Signer | None = None) -> Log:
        """A log that reads and proves as of now and never appends; it fences nobody."""
        tip = store.tip()
        while True:
            try:
                return cls(store, None, signer, tip, _check_tail(store, tip))
            except LogCorrupt:
                before, tip = tip, store.tip()
                if tip == before:  # Else a writer went on between the two looks: look again.
                    raise

    @property
    def head(self) -> int:
        """Number of records."""
        return self._head

    def root(self) -> bytes:
        """Root of the Merkle tree over all records."""
        return self._root

    def append(self, records: list[bytes], received_ms: int, more: bytes = b"") -> int:
        """Append one group of whole records, and `more` of them joined, as one durable batch; offset of the first.

        Raises
        ------
        LogCorrupt : `records` are not whole records of version 1; nothing was written
        AppendFailed, HeadMoved, EpochFenced : this object refuses all later work
        """
        if self._stopped or self.epoch is None:
            raise self._refused()
        first, pieces = self._head, len(records)
        body = b"".join([*records, more])
        if not body:
            return first
        starts = rec.bounds(body)
        n = len(starts) - 1
        if n < pieces or starts[pieces] != len(body) - len(more):
            raise LogCorrupt("a group to append holds bytes that are not one record each", found=f"{pieces} pieces")
        before = self._peaks
        packed = b"".join(before)
        digest = batch_digest(self._digest, first, n, self.epoch, received_ms, packed, self._root, body)
        peaks = proof.extend_peaks(first, before, proof.leaves_of(body, starts))
        row = BatchRow(first, n, self.epoch, received_ms, packed, self._root, digest, body)
        try:
            head = self.store.append(row, first, self.epoch)
        except BaseException as error:  # Boundary: whatever went wrong, what is durable is now unknown.
            self._stopped = str(error) or type(error).__name__
            if isinstance(error, (AppendFailed, HeadMoved, EpochFenced, KeyboardInterrupt, SystemExit)):
                raise
            raise AppendFailed("the log store failed", found=repr(error), cure="Start again.") from error
        self._head, self._digest, self._peaks, self._root = head, digest, peaks, proof.root_of(peaks)
        return first

    def read(self, first: int = 0, last: int | None = None) -> Iterator[BatchRow]:
        """Batches that hold records first <= offset < last; the digest of each is checked on the way."""
        previous, expected = None, None
        for row in self.store.read(first, last):
            if previous is None:
                previous = _digest_before(self.store, row.first)
            elif row.first != expected:
                raise _corrupt(row.first, "does not follow the batch before", f"{row.first}", f"{expected}")
            _check_digest(row, previous)
            previous, expected = row.digest, row.last
            yield row

    def read_columns(
        self, first: int, n_keys_max: int, n_numbers_max: int, last: int | None = None, at_least: int = 1
    ) -> Iterator[tuple[int, rec.Columns]]:
        """(offset of the first record, headers as arrays), cut exactly to first <= offset < last.

        Batch by batch, or as many together as hold `at_least` records, which reads small batches many times faster.
        """
        together: list[BatchRow] = []
        held = 0
        for row in self.read(first, last):
            together.append(row)
            held += row.count
            if held >= at_least:
                yield columns_of(together, first, n_keys_max, n_numbers_max, last)
                together, held = [], 0
        if together:
            yield columns_of(together, first, n_keys_max, n_numbers_max, last)

    def digest_at(self, offset: int) -> bytes:
        """Digest of the chain up to `offset`, where a batch must end: what was derived from the log names it.

        Raises
        ------
        LogCorrupt : no batch ends there
        """
        return _digest_before(self.store, offset)

    def record(self, offset: int) -> rec.Record:
        """The record at `offset`.

        Raises
        ------
        NotFound : the log has no such offset
        """
        row = self._row_of(offset)
        positions = rec.positions(row.body)
        return rec.decode(row.body, int(positions[offset - row.first]))

    def verify(self, progress: Progress | None = None, extends: Checkpoint | None = None) -> Report:
        """Check every batch: order, digests, the chain, each leaf and root; with `extends`, that the log begins with
        what that checkpoint signed. The report names the first bad batch.
        """
        tip = self.store.tip()
        peaks: list[bytes] = []
        expected, digest, batches, epoch = 0, GENESIS_DIGEST, 0, 0
        pending = extends
        try:
            for row in self.store.read(0, tip.head):
                if row.first != expected:
                    raise _corrupt(expected, "is missing or out of order", f"{row.first}", f"{expected}")
                if row.epoch < epoch:
                    raise _corrupt(row.first, "has an older epoch than the batch before", f"{row.epoch}", f"{epoch}..")
                if pending is not None and row.last >= pending.size:
                    _check_extends(row, peaks, pending)
                    pending = None
                peaks = _check_batch(row, digest, peaks)
                expected, digest, epoch, batches = row.last, row.digest, row.epoch, batches + 1
                if progress is not None:
                    progress(expected, tip.head)
            if expected != tip.head or digest != tip.digest:
                raise _corrupt(expected, "is the end of the batches, but not of the log", f"{expected}", f"{tip.head}")
            if pending is not None and (pending.size or pending.root != proof.EMPTY_ROOT):
                raise _corrupt(expected, "ends before a signed checkpoint", f"{expected}", f"{pending.size}")
        except LogCorrupt as error:
            return Report(expected, batches, proof.root_of(peaks), expected, str(error))
        return Report(expected, batches, proof.root_of(peaks))

    def prove(self, offset: int, size: int | None = None) -> proof.InclusionProof:
        """That the record at `offset` is in the tree of `size` records (default: all); checked before it is given."""
        size = self._head if size is None else size
        if not 0 <= offset < size <= self._head:
            raise NotFound("no such record to prove", found=f"{offset} of {size}", allowed=f"0..{self._head - 1}")
        tree = _Tree(self)
        path = proof.inclusion_path(offset, size, tree.range_hash)
        made = proof.InclusionProof(offset, size, tree.range_hash(offset, 0), path, tree.root(size))
        if not proof.verify_inclusion(made):
            raise _corrupt(offset, "does not lead to the root", made.leaf.hex(), "a proof that verifies")
        return made

    def prove_extends(self, old_size: int, new_size: int | None = None) -> proof.ConsistencyProof:
        """That the tree of `new_size` records (default: all) begins with that of `old_size`."""
        new_size = self._head if new_size is None else new_size
        if not 0 <= old_size <= new_size <= self._head:
            raise NotFound("no such size to prove", found=f"{old_size}..{new_size}", allowed=f"0..{self._head}")
        tree = _Tree(self)
        path = proof.consistency_path(old_size, new_size, tree.range_hash)
        made = proof.ConsistencyProof(old_size, new_size, tree.root(old_size), tree.root(new_size), path)
        if not proof.verify_consistency(made):
            raise _corrupt(old_size, "does not lead to the root", "another root", "a proof that verifies")
        return made

    def checkpoint(self) -> str:
        """A signed statement of size and root, as text (C2SP tlog-checkpoint).

        Raises
        ------
        ConfigurationError : the log was opened without a signer
        """
        if self._signer is None:
            raise ConfigurationError("this log has no signing key", cure="Open it with `signer=ring.signer(origin)`.")
        return self._signer.sign(self._head, self._root)

    def close(self) -> None:
        """Close the store. This object refuses all later work."""
        self._stopped = self._stopped or "the log was closed"
        self.store.close()

    def _row_of(self, offset: int) -> BatchRow:
        if 0 <= offset < self._head:
            for row in self.read(offset, offset + 1):
                return row
        raise NotFound("no record at this offset", found=str(offset), allowed=f"0..{self._head - 1}")

    def _refused(self) -> AppendFailed:
        if self.epoch is None:
            return AppendFailed("this log was opened for reading", cure="Open it with Log.open.")
        return AppendFailed(
            "the log has stopped and takes no more records",
            found=self._stopped,
            cure="Start the process again; opening the log checks what is durable.",
        )


class _Tree:
    """Hashes of perfect subtrees, found with few reads: the left ones are among the peaks that batches carry."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._leaves: dict[int, proof.Hashes] = {}
        self._rows: list[BatchRow] = []

    def root(self, size: int) -> bytes:
        """Root of the tree over the first `size` records; an earlier one is proved to lead to the root of all."""
        if size == self._log.head:
            return self._log.root()
        root = self._root_of_peaks(size)
        path = proof.consistency_path(size, self._log.head, self.range_hash)
        made = proof.ConsistencyProof(size, self._log.head, root, self._log.root(), path)
        if not proof.verify_consistency(made):
            raise _corrupt(size, "does not lead to the root", root.hex(), "a proof that verifies")
        return root

    def _root_of_peaks(self, size: int) -> bytes:
        peaks, at = [], 0
        for level in range(size.bit_length() - 1, -1, -1):
            if size >> level & 1:
                peaks.append(self.range_hash(at, level))
                at += 1 << level
        return proof.root_of(peaks)

    def range_hash(self, start: int, level: int) -> bytes:
        """Root over records start .. start + 2**level: from leaves of one batch, else a stored peak, else halves."""
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
        if start + width >= self._log.head:
            return None
        row = self._head_row(start + width)
        if row.first != start + width:
            if row.last >= min(start + 2 * width, self._log.head):
                return None
            row = self._head_row(row.last)
        above = (row.first >> (level + 1)).bit_count()
        return row.peaks[32 * above : 32 * above + 32]

    def _head_row(self, offset: int) -> BatchRow:
        """The batch that holds `offset`, without its body."""
        for row in self._rows:
            if row.first <= offset < row.last:
                return row
        for row in self._log.store.read(offset, offset + 1, bodies=False):
            self._rows.append(row)
            return row
        raise _corrupt(offset, "is missing", "no batch", "a batch")

    def _leaves_of(self, row: BatchRow) -> proof.Hashes:
        leaves = self._leaves.get(row.first)
        if leaves is None:
            leaves = self._leaves[row.first] = _leaves(self._log._row_of(row.first).body)
        return leaves


def columns_of(
    rows: list[BatchRow], first: int, n_keys_max: int, n_numbers_max: int, last: int | None
) -> tuple[int, rec.Columns]:
    """Batches that follow each other, as columns cut to first <= offset < last, and where they begin."""
    begin, count = rows[0].first, sum(row.count for row in rows)
    columns = rec.columns([row.body for row in rows] if len(rows) > 1 else rows[0].body, n_keys_max, n_numbers_max)
    if len(columns) != count:
        raise _corrupt(begin, "holds another number of records than it says", f"{len(columns)}", f"{count}")
    start = max(first - begin, 0)
    stop = count if last is None else min(last - begin, count)
    return begin + start, columns.cut(start, stop) if start or stop < count else columns


def _leaves(body: bytes) -> proof.Hashes:
    return proof.leaves_of(body, rec.bounds(body))


def _check_batch(row: BatchRow, previous_digest: bytes, peaks: list[bytes]) -> list[bytes]:
    """Check one batch against the state before it; the peaks after it."""
    _check_digest(row, previous_digest)
    if row.peaks != b"".join(peaks) or row.previous_root != proof.root_of(peaks):
        raise _corrupt(
            row.first, "carries another tree than the batches before it", row.previous_root.hex(), "their root"
        )
    try:
        leaves = _leaves(row.body)
    except LogCorrupt as error:
        raise _corrupt(row.first, "holds bytes that are not records", str(error), "whole records") from error
    if len(leaves) != row.count:
        raise _corrupt(row.first, "holds another number of records than it says", f"{len(leaves)}", f"{row.count}")
    return proof.extend_peaks(row.first, peaks, leaves)


def _check_extends(row: BatchRow, peaks: list[bytes], seen: Checkpoint) -> None:
    leaves = _leaves(row.body)[: seen.size - row.first]
    root = proof.root_of(proof.extend_peaks(row.first, peaks, leaves))
    if root != seen.root:
        raise _corrupt(row.first, "is not what a signed checkpoint covers", root.hex(), seen.root.hex())


def _check_digest(row: BatchRow, previous_digest: bytes) -> None:
    digest = batch_digest(
        previous_digest, row.first, row.count, row.epoch, row.received_ms, row.peaks, row.previous_root, row.body
    )
    if digest != row.digest:
        raise _corrupt(row.first, "does not match its digest", digest.hex(), row.digest.hex())


def _digest_before(store: LogStore, first: int) -> bytes:
    if first == 0:
        return GENESIS_DIGEST
    for row in store.read(first - 1, first, bodies=False):
        if row.last == first:
            return row.digest
    raise _corrupt(first, "does not follow a batch", "a gap", f"a batch that ends at {first}")


def _check_tail(store: LogStore, tip: Tip) -> list[bytes]:
    """Check that the last batch ends at the head, matches its digest and chain; the peaks after it."""
    if tip.head == 0:
        for row in store.read(0, bodies=False):
            raise _corrupt(row.first, "lies behind the end of the log", f"{row.last}", "0")
        return []
    rows = list(store.read(tip.head - 1))
    if not rows:
        raise _corrupt(tip.head - 1, "is missing at the end of the log", "no batch", f"a batch that ends at {tip.head}")
    row = rows[0]
    if len(rows) > 1 or row.last != tip.head or row.digest != tip.digest:
        raise _corrupt(row.first, "is not the end the log remembers", f"{rows[-1].last}", f"{tip.head}")
    _check_digest(row, _digest_before(store, row.first))
    peaks = [row.peaks[at : at + 32] for at in range(0, len(row.peaks), 32)]
    if len(peaks) != row.first.bit_count():
        raise _corrupt(row.first, "carries a wrong number of peaks", f"{len(peaks)}", f"{row.first.bit_count()}")
    return _check_batch(row, _digest_before(store, row.first), peaks)


def _corrupt(first: int, what: str, found: str, allowed: str) -> LogCorrupt:
    return LogCorrupt(f"the batch {what}", where=f"log offset {first}", found=found, allowed=allowed, cure=_CURE)
