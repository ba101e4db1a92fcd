"""Whether a log is as it was written: its tail on opening, every batch, and what earlier checkpoints signed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

from quanheng.kernel import proof
from quanheng.kernel.checkpoint import Checkpoint
from quanheng.kernel.errors import LogCorrupt
from quanheng.kernel.log import records as rec
from quanheng.kernel.log.store import GENESIS_DIGEST, BatchRow, LogStore, Tip, batch_digest

Progress = Callable[[int, int], None]
"""(records checked so far, records in all)"""

_CURE = (
    "Do not append. Restore the log from a copy, or from the standby; `quanheng log verify` names the first bad batch."
)


class Damage(StrEnum):
    """What is wrong with a log. Of one place the first that applies is told."""

    NONE = ""
    MISSING = "missing"
    """A batch is not there, or not in its place."""
    EPOCH = "epoch"
    """A batch was written by an older writer than the one before it."""
    RECORDS = "records"
    """Records are not those that were written."""
    BATCH = "batch"
    """The records are those that were written; another field of the batch is not."""
    FORKED = "forked"
    """Whole in itself, but not what a checkpoint signed: the log was written anew, or it is another."""
    TRUNCATED = "truncated"
    """The log ends before what it acknowledged, or before what a checkpoint signed."""


class Report(NamedTuple):
    """What a verification found: records and batches that are good, and the first bad place if there is one.

    bad_batch : offset at which the first bad batch begins, or should
    problem : what is wrong, as a sentence
    damage : of which kind it is
    first, last : the records concerned, first <= offset < last, as narrowly as hashes that are left can tell
    """

    records: int
    batches: int
    root: bytes
    bad_batch: int | None = None
    problem: str = ""
    damage: Damage = Damage.NONE
    first: int = 0
    last: int = 0

    @property
    def ok(self) -> bool:
        """True when every batch is as it was written."""
        return self.bad_batch is None


class _Seen(NamedTuple):
    """How far a verification has come."""

    records: int = 0
    batches: int = 0
    digest: bytes = GENESIS_DIGEST
    epoch: int = 0
    peaks: list[bytes] = []
    signed: int = 0  # Size of the newest checkpoint that was met.

    def bad(self, damage: Damage, error: LogCorrupt, first: int, last: int) -> Report:
        root = proof.root_of(self.peaks)
        return Report(self.records, self.batches, root, self.records, str(error), damage, first, last)


def verify(store: LogStore, progress: Progress | None = None, signed: Sequence[Checkpoint] = ()) -> Report:
    """Check every batch: order, digests, the chain, each leaf and root, and that the log begins with what `signed` say.

    Several checkpoints bound where a log that was written anew departs from the one that was signed.
    """
    tip, seen = store.tip(), _Seen()
    waiting = sorted(signed, key=lambda one: one.size)
    rows = store.read(0, tip.head)
    while True:
        try:
            row = next(rows, None)
        except LogCorrupt as error:
            return seen.bad(Damage.RECORDS, error, seen.records, tip.head)
        if row is None:
            return _ends(tip, seen, waiting)
        report = _misplaced(row, seen)
        while report is None and waiting and waiting[0].size <= row.last:
            report = _departs(row, seen, waiting[0])
            seen = seen._replace(signed=waiting.pop(0).size)
        if report is not None:
            return report
        try:
            peaks = check_batch(row, seen.digest, seen.peaks)
        except LogCorrupt as error:
            return seen.bad(*_located(store, row, seen, error))
        seen = _Seen(row.last, seen.batches + 1, row.digest, row.epoch, peaks, seen.signed)
        if progress is not None:
            progress(row.last, tip.head)


def _misplaced(row: BatchRow, seen: _Seen) -> Report | None:
    if row.first != seen.records:
        error = corrupt(seen.records, "is missing or out of order", f"{row.first}", f"{seen.records}")
        return seen.bad(Damage.MISSING, error, seen.records, max(row.first, seen.records))
    if row.epoch < seen.epoch:
        error = corrupt(row.first, "has an older epoch than the batch before", f"{row.epoch}", f"{seen.epoch}..")
        return seen.bad(Damage.EPOCH, error, row.first, row.last)
    return None


def _departs(row: BatchRow, seen: _Seen, signed: Checkpoint) -> Report | None:
    """Whether the tree of `signed.size` records is another than the one that was signed; the batch must be whole."""
    try:
        leaves = _leaves(row.body)[: signed.size - row.first]
    except LogCorrupt:
        return None  # What is wrong with the batch itself is found next.
    root = proof.root_of(proof.extend_peaks(row.first, seen.peaks, leaves))
    if root == signed.root or not _intact(row, seen.digest, seen.peaks):
        return None
    error = corrupt(row.first, "is not what a signed checkpoint covers", root.hex(), signed.root.hex())
    return seen.bad(Damage.FORKED, error, seen.signed, signed.size)


def _intact(row: BatchRow, previous_digest: bytes, peaks: list[bytes]) -> bool:
    try:
        check_batch(row, previous_digest, peaks)
    except LogCorrupt:
        return False
    return True


def _ends(tip: Tip, seen: _Seen, waiting: list[Checkpoint]) -> Report:
    head = seen.records
    if head != tip.head or seen.digest != tip.digest:
        error = corrupt(head, "is the end of the batches, but not of the log", f"{head}", f"{tip.head}")
        return seen.bad(Damage.TRUNCATED, error, head, max(tip.head, head))
    if waiting and waiting[0].size == head == 0:  # An empty log has no batch to compare at.
        if waiting[0].root == proof.EMPTY_ROOT:
            waiting = waiting[1:]
        else:
            error = corrupt(0, "is not what a signed checkpoint covers", "no record", waiting[0].root.hex())
            return seen.bad(Damage.FORKED, error, 0, 0)
    if waiting:
        error = corrupt(head, "ends before a signed checkpoint", f"{head}", f"{waiting[-1].size}")
        return seen.bad(Damage.TRUNCATED, error, head, waiting[-1].size)
    return Report(head, seen.batches, proof.root_of(seen.peaks))


def _located(store: LogStore, row: BatchRow, seen: _Seen, error: LogCorrupt) -> tuple[Damage, LogCorrupt, int, int]:
    """What is wrong with `row`, and with which records: the peaks in it and in the next batch remember them."""
    stored = _split(row.peaks)
    if stored != seen.peaks and len(stored) == len(seen.peaks) and _own_digest(row, seen.digest):
        return Damage.RECORDS, error, *_differing(row.first, seen.peaks, stored, 0, row.first)
    try:
        peaks = proof.extend_peaks(row.first, seen.peaks, _leaves(row.body))
    except LogCorrupt:
        return Damage.RECORDS, error, row.first, row.last
    for after in store.read(row.last, row.last + 1, bodies=False):
        remembered = _split(after.peaks)
        if after.first == row.last and len(remembered) == len(peaks) == row.last.bit_count():
            if remembered == peaks:
                return Damage.BATCH, error, row.first, row.last
            return Damage.RECORDS, error, *_differing(row.last, peaks, remembered, row.first, row.last)
    return Damage.RECORDS, error, row.first, row.last


def _differing(size: int, found: list[bytes], stored: list[bytes], low: int, high: int) -> tuple[int, int]:
    """The records between `low` and `high` under those peaks of a tree of `size` leaves that differ."""
    bad = [where for where, one, other in zip(proof.peaks_of(size), found, stored, strict=True) if one != other]
    if not bad:
        return low, high
    return max(low, bad[0][0]), min(high, bad[-1][0] + (1 << bad[-1][1]))


def _split(peaks: bytes) -> list[bytes]:
    return [peaks[at : at + 32] for at in range(0, len(peaks), 32)]


def _leaves(body: bytes) -> proof.Hashes:
    return proof.leaves_of(body, rec.bounds(body))


def check_batch(row: BatchRow, previous_digest: bytes, peaks: list[bytes]) -> list[bytes]:
    """Check one batch against the state before it; the peaks after it.

    Raises
    ------
    LogCorrupt : it is not what was written
    """
    check_digest(row, previous_digest)
    if row.peaks != b"".join(peaks) or row.previous_root != proof.root_of(peaks):
        raise corrupt(
            row.first, "carries another tree than the batches before it", row.previous_root.hex(), "their root"
        )
    try:
        leaves = _leaves(row.body)
    except LogCorrupt as error:
        raise corrupt(row.first, "holds bytes that are not records", str(error), "whole records") from error
    if len(leaves) != row.count:
        raise corrupt(row.first, "holds another number of records than it says", f"{len(leaves)}", f"{row.count}")
    return proof.extend_peaks(row.first, peaks, leaves)


def check_digest(row: BatchRow, previous_digest: bytes) -> None:
    """Check that a batch matches its digest and follows the batch with `previous_digest`.

    Raises
    ------
    LogCorrupt : it does not
    """
    if not _own_digest(row, previous_digest):
        raise corrupt(row.first, "does not match its digest", "another digest", row.digest.hex())


def _own_digest(row: BatchRow, previous_digest: bytes) -> bool:
    digest = batch_digest(
        previous_digest, row.first, row.count, row.epoch, row.received_ms, row.peaks, row.previous_root, row.body
    )
    return digest == row.digest


def digest_before(store: LogStore, first: int) -> bytes:
    """Digest of the batch that ends at `first`; the chain begins with zeros.

    Raises
    ------
    LogCorrupt : no batch ends there
    """
    if first == 0:
        return GENESIS_DIGEST
    for row in store.read(first - 1, first, bodies=False):
        if row.last == first:
            return row.digest
    raise corrupt(first, "does not follow a batch", "a gap", f"a batch that ends at {first}")


def check_tail(store: LogStore, tip: Tip) -> list[bytes]:
    """Check that the last batch ends at the head, matches its digest and chain; the peaks after it.

    Raises
    ------
    LogCorrupt : it does not
    """
    if tip.head == 0:
        for row in store.read(0, bodies=False):
            raise corrupt(row.first, "lies behind the end of the log", f"{row.last}", "0")
        return []
    rows = list(store.read(tip.head - 1))
    if not rows:
        raise corrupt(tip.head - 1, "is missing at the end of the log", "no batch", f"a batch that ends at {tip.head}")
    row = rows[0]
    if len(rows) > 1 or row.last != tip.head or row.digest != tip.digest:
        raise corrupt(row.first, "is not the end the log remembers", f"{rows[-1].last}", f"{tip.head}")
    check_digest(row, digest_before(store, row.first))
    peaks = _split(row.peaks)
    if len(peaks) != row.first.bit_count():
        raise corrupt(row.first, "carries a wrong number of peaks", f"{len(peaks)}", f"{row.first.bit_count()}")
    return check_batch(row, digest_before(store, row.first), peaks)


def corrupt(first: int, what: str, found: str, allowed: str) -> LogCorrupt:
    """The error of a batch that begins at `first`, or should."""
    return LogCorrupt(f"the batch {what}", where=f"log offset {first}", found=found, allowed=allowed, cure=_CURE)
