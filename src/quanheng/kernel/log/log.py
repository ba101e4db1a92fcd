"""The one ordered log above a store: offsets, the chain of digests, the Merkle tree, verification.

Opening checks that the tail is whole. A failed append stops this object for good: what the store holds is then unknown,
and only opening the log again can tell (fail-stop).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from quanheng.kernel import proof
from quanheng.kernel.checkpoint import Checkpoint, Signer
from quanheng.kernel.errors import AppendFailed, ConfigurationError, EpochFenced, HeadMoved, LogCorrupt, NotFound
from quanheng.kernel.log import checking
from quanheng.kernel.log import records as rec
from quanheng.kernel.log.checking import Progress, Report, check_digest, check_tail, corrupt, digest_before
from quanheng.kernel.log.store import BatchRow, LogStore, Tip, batch_digest
from quanheng.kernel.log.tree import End, Tree


class Log:
    """The log above `store`. Open it with `Log.open` (to write) or `Log.reader` (to read only)."""

    def __init__(self, store: LogStore, epoch: int | None, signer: Signer | None, tip: Tip, peaks: list[bytes]) -> None:
        self.store, self.epoch, self._signer = store, epoch, signer
        self._end = End(tip.head, tip.digest, tuple(peaks), proof.root_of(peaks))
        self._signed = (-1, "")  # The newest checkpoint, by its size.
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
        return cls(store, epoch, signer, tip, check_tail(store, tip))

    @classmethod
    def reader(cls, store: LogStore, signer: Signer | None = None) -> Log:
        """A log that reads and proves as of now and never appends; it fences nobody."""
        tip = store.tip()
        while True:
            try:
                return cls(store, None, signer, tip, check_tail(store, tip))
            except LogCorrupt:
                before, tip = tip, store.tip()
                if tip == before:  # Else a writer went on between the two looks: look again.
                    raise

    @property
    def head(self) -> int:
        """Number of records."""
        return self._end.head

    def root(self) -> bytes:
        """Root of the Merkle tree over all records."""
        return self._end.root

    def append(self, records: list[bytes], received_ms: int, more: bytes = b"") -> int:
        """Append one group of whole records, and `more` of them joined, as one durable batch; offset of the first.

        Raises
        ------
        LogCorrupt : `records` are not whole records of version 1; nothing was written
        AppendFailed, HeadMoved, EpochFenced : this object refuses all later work
        """
        if self._stopped or self.epoch is None:
            raise self._refused()
        end = self._end
        first, pieces = end.head, len(records)
        body = b"".join([*records, more])
        if not body:
            return first
        starts = rec.bounds(body)
        n = len(starts) - 1
        if n < pieces or starts[pieces] != len(body) - len(more):
            raise LogCorrupt("a group to append holds bytes that are not one record each", found=f"{pieces} pieces")
        packed = b"".join(end.peaks)
        digest = batch_digest(end.digest, first, n, self.epoch, received_ms, packed, end.root, body)
        peaks = proof.extend_peaks(first, end.peaks, proof.leaves_of(body, starts))
        row = BatchRow(first, n, self.epoch, received_ms, packed, end.root, digest, body)
        try:
            head = self.store.append(row, first, self.epoch)
        except BaseException as error:  # Boundary: whatever went wrong, what is durable is now unknown.
            self._stopped = str(error) or type(error).__name__
            if isinstance(error, (AppendFailed, HeadMoved, EpochFenced, KeyboardInterrupt, SystemExit)):
                raise
            raise AppendFailed("the log store failed", found=repr(error), cure="Start again.") from error
        self._end = End(head, digest, tuple(peaks), proof.root_of(peaks))
        return first

    def read(self, first: int = 0, last: int | None = None) -> Iterator[BatchRow]:
        """Batches that hold records first <= offset < last; the digest of each is checked on the way."""
        previous, expected = None, None
        for row in self.store.read(first, last):
            if previous is None:
                previous = digest_before(self.store, row.first)
            elif row.first != expected:
                raise corrupt(row.first, "does not follow the batch before", f"{row.first}", f"{expected}")
            check_digest(row, previous)
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
        return digest_before(self.store, offset)

    def record(self, offset: int) -> rec.Record:
        """The record at `offset`.

        Raises
        ------
        NotFound : the log has no such offset
        """
        row = self._row_of(offset)
        positions = rec.positions(row.body)
        return rec.decode(row.body, int(positions[offset - row.first]))

    def record_bytes(self, offset: int) -> bytes:
        """The record at `offset` as it is stored: the bytes that its leaf hash is of.

        Raises
        ------
        NotFound : the log has no such offset
        """
        row = self._row_of(offset)
        start, stop = rec.bounds(row.body)[offset - row.first : offset - row.first + 2].tolist()
        return row.body[start:stop]

    def verify(
        self, progress: Progress | None = None, extends: Checkpoint | Sequence[Checkpoint] | None = None
    ) -> Report:
        """Check every batch: order, digests, the chain, each leaf and root; with `extends`, that the log begins with
        what those checkpoints signed. The report names the first bad batch, what is wrong with it, and where.
        """
        signed = [] if extends is None else [extends] if isinstance(extends, Checkpoint) else extends
        return checking.verify(self.store, progress, signed)

    def prove(self, offset: int, size: int | None = None) -> proof.InclusionProof:
        """That the record at `offset` is in the tree of `size` records (default: all); checked before it is given.

        Raises
        ------
        NotFound : the log has no such record, or not so many
        LogCorrupt : what is stored does not lead to the root
        """
        end = self._end
        size = end.head if size is None else size
        if not 0 <= offset < size <= end.head:
            raise NotFound("no such record to prove", found=f"{offset} of {size}", allowed=f"0..{end.head - 1}")
        tree = Tree(self.store, end, self._row_of)
        path = proof.inclusion_path(offset, size, tree.range_hash)
        made = proof.InclusionProof(offset, size, tree.range_hash(offset, 0), path, tree.root(size))
        if not proof.verify_inclusion(made):
            raise corrupt(offset, "does not lead to the root", made.leaf.hex(), "a proof that verifies")
        return made

    def prove_extends(self, old_size: int, new_size: int | None = None) -> proof.ConsistencyProof:
        """That the tree of `new_size` records (default: all) begins with that of `old_size`.

        Raises
        ------
        NotFound : the log never had such a size
        LogCorrupt : what is stored does not lead to the root
        """
        end = self._end
        new_size = end.head if new_size is None else new_size
        if not 0 <= old_size <= new_size <= end.head:
            raise NotFound("no such size to prove", found=f"{old_size}..{new_size}", allowed=f"0..{end.head}")
        tree = Tree(self.store, end, self._row_of)
        path = proof.consistency_path(old_size, new_size, tree.range_hash)
        made = proof.ConsistencyProof(old_size, new_size, tree.root(old_size), tree.root(new_size), path)
        if not proof.verify_consistency(made):
            raise corrupt(old_size, "does not lead to the root", "another root", "a proof that verifies")
        return made

    def checkpoint(self) -> str:
        """A signed statement of size and root, as text (C2SP tlog-checkpoint). It is signed once for each size.

        Raises
        ------
        ConfigurationError : the log was opened without a signer
        """
        if self._signer is None:
            raise ConfigurationError("this log has no signing key", cure="Open it with `signer=ring.signer(origin)`.")
        end, (size, note) = self._end, self._signed
        if size != end.head:
            note = self._signer.sign(end.head, end.root)
            self._signed = (end.head, note)
        return note

    def close(self) -> None:
        """Close the store. This object refuses all later work."""
        self._stopped = self._stopped or "the log was closed"
        self.store.close()

    def _row_of(self, offset: int) -> BatchRow:
        if 0 <= offset < self.head:
            for row in self.read(offset, offset + 1):
                return row
        raise NotFound("no record at this offset", found=str(offset), allowed=f"0..{self.head - 1}")

    def _refused(self) -> AppendFailed:
        if self.epoch is None:
            return AppendFailed("this log was opened for reading", cure="Open it with Log.open.")
        return AppendFailed(
            "the log has stopped and takes no more records",
            found=self._stopped,
            cure="Start the process again; opening the log checks what is durable.",
        )


def columns_of(
    rows: list[BatchRow], first: int, n_keys_max: int, n_numbers_max: int, last: int | None
) -> tuple[int, rec.Columns]:
    """Batches that follow each other, as columns cut to first <= offset < last, and where they begin."""
    begin, count = rows[0].first, sum(row.count for row in rows)
    columns = rec.columns([row.body for row in rows] if len(rows) > 1 else rows[0].body, n_keys_max, n_numbers_max)
    if len(columns) != count:
        raise corrupt(begin, "holds another number of records than it says", f"{len(columns)}", f"{count}")
    start = max(first - begin, 0)
    stop = count if last is None else min(last - begin, count)
    return begin + start, columns.cut(start, stop) if start or stop < count else columns
