"""What a log store must do. A store keeps batches; the log above it computes digests and the tree.

The promise every store makes, and `quanheng.testing.log_store` tries: `append` returns only when the batch would
survive the loss of power; it is refused when another writer has appended (`HeadMoved`) or taken over (`EpochFenced`),
so two writers can never both write; a batch is there whole or not at all.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

from quanheng.kernel.errors import LogCorrupt

GENESIS_DIGEST = bytes(32)
ROWS_PER_READ = 16
_DIGEST_HEADER = struct.Struct("<16s32sqqqq32sI")
_TYPES = (int, int, int, int, bytes, bytes, bytes, bytes)
_DIGEST_TAG = b"quanheng batch 1"


class BatchRow(NamedTuple):
    """One durable append: `count` records from offset `first` on.

    `peaks` (32 bytes each, left to right) and `previous_root` are those of the Merkle tree of `first` leaves, before
    this batch. `digest` chains the batch to the one before. `body` is the concatenated records, empty where a reader
    asked for no bodies.
    """

    first: int
    count: int  # type: ignore[assignment]
    epoch: int
    received_ms: int
    peaks: bytes
    previous_root: bytes
    digest: bytes
    body: bytes

    @property
    def last(self) -> int:
        """Offset after the last record: the `first` of the next batch."""
        return self.first + self.count


class Tip(NamedTuple):
    """Where the log ends: number of records, current epoch, digest of the last batch."""

    head: int
    epoch: int
    digest: bytes


class LogStore(Protocol):
    """A durable, ordered, fenced keeper of batches."""

    def acquire(self, owner: str) -> int:
        """Become the writer: a new epoch, which fences every earlier writer."""

    def append(self, batch: BatchRow, expected_head: int, epoch: int) -> int:
        """Make `batch` durable and give the new head.

        Raises
        ------
        HeadMoved : the head is not `expected_head`; nothing was written
        EpochFenced : a newer writer exists; nothing was written
        AppendFailed : the store did not confirm; the batch may or may not be there
        """

    def read(self, first: int, last: int | None = None, bodies: bool = True) -> Iterator[BatchRow]:
        """Batches that hold records with first <= offset < last, in order."""

    def tip(self) -> Tip:
        """Head, epoch and last digest, read together."""

    def head(self) -> int:
        """Number of records."""

    def close(self) -> None:
        """Release connections. The store may be opened again."""


def paged(ask: Callable[[int, int], Sequence[Any]], first: int, start: int, bodies: bool) -> Iterator[BatchRow]:
    """Batches that reach beyond `first`, asked for a few at a time: no long read keeps a store from cleaning up.

    Parameters
    ----------
    ask : (from which `first` on, how many) → rows of batches in order
    start : where the batch that holds `first` begins
    """
    limit = ROWS_PER_READ if bodies else 64 * ROWS_PER_READ
    while True:
        rows = ask(start, limit)
        for row in rows:
            batch = BatchRow._make(row)
            if tuple(map(type, batch)) != _TYPES:
                raise _mistyped(batch)
            if batch.last > first:
                yield batch
        if len(rows) < limit:
            return
        start = rows[-1][0] + 1


def _mistyped(batch: BatchRow) -> LogCorrupt:
    """SQLite keeps a text or a null where a number or bytes were declared; nothing of ours writes one."""
    wrong = [name for name, one, type_ in zip(BatchRow._fields, batch, _TYPES, strict=True) if type(one) is not type_]
    return LogCorrupt(
        "a batch has a field of another type than the one it was written with",
        where=f"log offset {batch.first}",
        found=", ".join(wrong),
        cure="The store was changed by hand: do not append, restore the log from a copy.",
    )


def batch_digest(
    previous_digest: bytes,
    first: int,
    count: int,
    epoch: int,
    received_ms: int,
    peaks: bytes,
    previous_root: bytes,
    body: bytes,
) -> bytes:
    """SHA-256 over a tag, the previous digest, every field of the row, and the body."""
    head = _DIGEST_HEADER.pack(
        _DIGEST_TAG, previous_digest, first, count, epoch, received_ms, previous_root, len(peaks)
    )
    hasher = sha256(head + peaks)
    hasher.update(body)
    return hasher.digest()
