"""`log.verify` says what is wrong with a log, and with which records, whatever was done to it."""

from __future__ import annotations

import sqlite3

import pytest

from quanheng.kernel import checkpoint, proof
from quanheng.kernel.checkpoint import Checkpoint, Signer
from quanheng.kernel.log import records as rec
from quanheng.kernel.log.checking import Damage, verify
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.kernel.log.store import GENESIS_DIGEST, BatchRow, batch_digest

SIZES = (5, 3, 8, 1, 7)  # Batches begin at 0, 5, 8, 16, 17; the log ends at 24.


@pytest.fixture
def path(tmp_path, make_record):
    log = Log.open(SqliteLogStore(tmp_path / "log.db", witness=False), "test")
    made = 0
    for size in SIZES:
        log.append([make_record(made + i) for i in range(size)], 1_000)
        made += size
    log.close()
    return tmp_path / "log.db"


def checked(path, *signed):
    store = SqliteLogStore(path, witness=False)
    try:
        return verify(store, None, signed)
    finally:
        store.close()


def changed(path, statement, *values):
    with sqlite3.connect(path) as db:
        assert db.execute(statement, values).rowcount != 0
    db.close()


def body_of(path, first):
    with sqlite3.connect(path) as db:
        return bytearray(db.execute("SELECT body FROM batches WHERE first = ?", (first,)).fetchone()[0])


def tampered(path, offset, first):
    """The last byte of the payload of one record."""
    body = body_of(path, first)
    starts = rec.bounds(bytes(body))
    body[starts[offset - first + 1] - 1] ^= 1
    changed(path, "UPDATE batches SET body = ? WHERE first = ?", bytes(body), first)


def test_a_whole_log_is_whole(path):
    report = checked(path)
    assert report.ok
    assert (report.records, report.batches, report.damage) == (24, 5, Damage.NONE)


@pytest.mark.parametrize(
    ("offset", "first", "where"),
    [
        (0, 0, (0, 4)),  # The batch after it remembers the tree of 5 records: peaks over 0..4 and 4..5.
        (4, 0, (4, 5)),
        (6, 5, (5, 8)),  # That of 8 records has one peak, so the batch as a whole.
        (8, 8, (8, 16)),
        (16, 16, (16, 17)),
        (20, 17, (17, 24)),  # No batch comes after.
    ],
)
def test_changed_records_are_narrowed_down_by_the_peaks_of_the_next_batch(path, offset, first, where):
    tampered(path, offset, first)
    report = checked(path)
    assert (report.damage, report.bad_batch) == (Damage.RECORDS, first)
    assert (report.first, report.last) == where
    assert f"log offset {first}: the batch does not match its digest" in report.problem


@pytest.mark.parametrize("field", ["epoch = epoch + 1", "received_ms = 7", "previous_root = zeroblob(32)"])
def test_a_changed_field_of_a_batch_is_told_from_changed_records(path, field):
    changed(path, f"UPDATE batches SET {field} WHERE first = 8")
    report = checked(path)
    assert (report.damage, report.bad_batch, report.first, report.last) == (Damage.BATCH, 8, 8, 16)


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("body = 'text'", "body"),
        ("count = 'many'", "count"),
        ("epoch = 'late'", "epoch"),
        ("received_ms = 1.5", "received_ms"),
        ("peaks = 'text', digest = 'text'", "peaks, digest"),
    ],
)
def test_a_cell_of_another_type_is_damage_like_any_other(path, field, name):
    changed(path, f"UPDATE batches SET {field} WHERE first = 8")
    report = checked(path, Checkpoint("x", 9, bytes(32)))
    assert (report.damage, report.bad_batch, report.first, report.last) == (Damage.RECORDS, 8, 8, 24)
    assert f"a batch has a field of another type than the one it was written with; was {name}" in report.problem


def test_a_text_that_cannot_be_decoded_is_damage_too(path):
    changed(path, "UPDATE batches SET body = CAST(body AS TEXT) WHERE first = 8")
    report = checked(path)
    assert report.damage is Damage.RECORDS
    assert report.first <= 8 < report.last
    assert "the log file is damaged (read); was Could not decode" in report.problem


def test_bytes_that_are_no_records_any_more(path):
    body = body_of(path, 8)
    body[0] ^= 0xFF
    changed(path, "UPDATE batches SET body = ? WHERE first = 8", bytes(body))
    assert checked(path)[5:] == (Damage.RECORDS, 8, 16)


def test_a_batch_that_was_taken_out(path):
    changed(path, "DELETE FROM batches WHERE first = 5")
    report = checked(path)
    assert (report.damage, report.first, report.last) == (Damage.MISSING, 5, 8)
    assert "the batch is missing or out of order; was 8; allowed: 5" in report.problem


def test_a_log_that_was_cut(path):
    changed(path, "DELETE FROM batches WHERE first >= 16")
    report = checked(path)
    assert (report.damage, report.first, report.last) == (Damage.TRUNCATED, 16, 24)


def test_an_older_writer(path):
    rewritten(path, {}, epoch_of=lambda first: 2 if first < 8 else 1)
    report = checked(path)
    assert (report.damage, report.first, report.last) == (Damage.EPOCH, 8, 16)
    assert "has an older epoch than the batch before" in report.problem


def rewritten(path, replaced, epoch_of=None, upto=24, with_peaks=True):
    """Write the history anew with other records, every digest, peak and root computed as a writer would."""
    store = SqliteLogStore(path, witness=False)
    rows = list(store.read(0))
    store.close()
    peaks, digest, head = [], GENESIS_DIGEST, 0
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM batches")
        for row in rows:
            if row.first >= upto:
                break
            starts = rec.bounds(row.body).tolist()
            pieces = [row.body[starts[i] : starts[i + 1]] for i in range(row.count)]
            pieces = [replaced.get(row.first + i, one) for i, one in enumerate(pieces)]
            body, epoch = b"".join(pieces), epoch_of(row.first) if epoch_of else row.epoch
            kept = (b"".join(peaks), proof.root_of(peaks)) if with_peaks else (row.peaks, row.previous_root)
            digest = batch_digest(digest, row.first, row.count, epoch, row.received_ms, *kept, body)
            db.execute(
                "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                BatchRow(row.first, row.count, epoch, row.received_ms, *kept, digest, body),
            )
            peaks, head = proof.extend_peaks(row.first, peaks, proof.leaf_hashes(pieces)), row.last
        db.execute("UPDATE tip SET head = ?, digest = ?", (head, digest))
    db.close()


def signed(path, *sizes):
    log = Log.reader(SqliteLogStore(path, witness=False))
    found = [Checkpoint("x", size, log.prove_extends(size).old_root) for size in sizes]
    log.close()
    return found


def test_a_history_that_was_written_anew_is_whole_but_not_what_was_signed(path, make_record):
    before = signed(path, 3, 8, 10, 24)
    rewritten(path, {9: make_record(9, b"changed")})
    assert checked(path).ok
    for some, where in ((before, (8, 10)), (before[3:], (0, 24)), (before[:2], None), (before[1:], (8, 10))):
        report = checked(path, *some)
        if where is None:
            assert report.ok
        else:
            assert (report.damage, report.first, report.last) == (Damage.FORKED, *where)
            assert "is not what a signed checkpoint covers" in report.problem


def test_digests_computed_anew_without_the_tree_are_found_in_the_tree(path, make_record):
    rewritten(path, {9: make_record(9, b"changed")}, with_peaks=False)
    report = checked(path)
    assert (report.damage, report.bad_batch, report.first, report.last) == (Damage.RECORDS, 16, 0, 16)
    assert "carries another tree than the batches before it" in report.problem


def test_a_log_that_was_cut_back_and_looks_whole_ends_before_what_was_signed(path):
    before = signed(path, 8, 24)
    rewritten(path, {}, upto=16)
    assert checked(path, before[0]).ok
    report = checked(path, *before)
    assert (report.damage, report.first, report.last) == (Damage.TRUNCATED, 16, 24)
    assert "ends before a signed checkpoint; was 16; allowed: 24" in report.problem


def test_damage_is_told_before_a_checkpoint_that_it_breaks(path):
    before = signed(path, 24)
    tampered(path, 20, 17)
    assert checked(path, *before).damage is Damage.RECORDS


def test_a_checkpoint_is_signed_once_for_each_size(tmp_path, make_record):
    signer = Signer("bank.example/log", bytes(32))
    log = Log.open(SqliteLogStore(tmp_path / "log.db"), "test", signer)
    empty = log.checkpoint()
    log.append([make_record(0)], 1_000)
    one = log.checkpoint()
    assert log.checkpoint() is one
    assert [checkpoint.verify(note, signer.verifier_key()).size for note in (empty, one)] == [0, 1]
    log.close()
