"""The log above both stores: offsets, chain, tree, proofs, fail-stop; every kind of damage is found and named."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest

from quanheng.kernel import checkpoint, proof
from quanheng.kernel.checkpoint import Checkpoint, Signer
from quanheng.kernel.errors import (
    AppendFailed,
    ConfigurationError,
    EpochFenced,
    HeadMoved,
    LogCorrupt,
    LogError,
    NotFound,
)
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.kernel.log.store import BatchRow, batch_digest

GROUPS = (3, 1, 4, 1, 5, 9, 2)
FIRSTS = (0, 3, 4, 8, 9, 14, 23)
HEAD = 25


@pytest.fixture
def filled(open_store, make_record):
    """A log of seven batches, and its records."""
    log = Log.open(open_store(), "test", Signer("bank.example/log", bytes(range(32))))
    records = [make_record(number, b"payload %d" % number) for number in range(HEAD)]
    for first, count in zip(FIRSTS, GROUPS, strict=True):
        assert log.append(records[first : first + count], 1_000 + first) == first
    yield log, records
    log.close()


def execute(store, statement, values=()):
    """Change the tables behind the log's back."""
    if isinstance(store, SqliteLogStore):
        connection = sqlite3.connect(store.path)
        connection.execute(statement, values)
        connection.commit()
        connection.close()
        return
    with psycopg.connect(store.dsn) as connection:
        connection.execute(f"SET search_path = {store.schema}")
        connection.execute(statement.replace("?", "%s"), values)


def flip(data: bytes, at: int = 0) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def row_of(log, first) -> BatchRow:
    return next(row for row in log.store.read(first, first + 1) if row.first == first)


def test_records_are_read_back_by_offset_and_range(filled):
    log, records = filled
    assert log.head == HEAD
    for offset, record in enumerate(records):
        found = log.record(offset)
        assert found.header + found.payload == record
    assert [row.first for row in log.read(4)] == list(FIRSTS[2:])
    assert [row.first for row in log.read(5, 10)] == [4, 8, 9]
    for first, last in ((0, None), (5, 10), (8, 9), (24, None), (10, 10)):
        numbers = [n for _, columns in log.read_columns(first, 2, 2, last) for n in columns.numbers[:, 0].tolist()]
        assert numbers == list(range(HEAD))[first:last]
        for at_least in (1, 3, 7, 1_000):
            parts = [*log.read_columns(first, 2, 2, last, at_least)]
            assert [n for _, columns in parts for n in columns.numbers[:, 0].tolist()] == numbers
            assert all(columns.numbers[0, 0] == offset for offset, columns in parts if len(columns))
            assert [columns.record(row).numbers[0] for _, columns in parts for row in range(len(columns))] == numbers
    assert [first for first, _ in log.read_columns(5, 2, 2)] == [5, 8, 9, 14, 23]
    together = [(first, len(columns)) for first, columns in log.read_columns(0, 2, 2, at_least=5)]
    assert together == [(0, 8), (8, 6), (14, 9), (23, 2)]


def test_the_root_is_that_of_all_records(filled):
    log, records = filled
    assert log.root() == proof.root_of(proof.extend_peaks(0, [], proof.leaf_hashes(records)))
    again = Log.reader(log.store)
    assert (again.head, again.root()) == (log.head, log.root())


def test_verify_reports_progress_and_the_root(filled):
    log, _ = filled
    seen = []
    report = log.verify(progress=lambda done, total: seen.append((done, total)))
    assert report.ok
    assert (report.records, report.batches, report.root) == (HEAD, len(GROUPS), log.root())
    assert seen == [(first + count, HEAD) for first, count in zip(FIRSTS, GROUPS, strict=True)]


def test_every_record_and_every_earlier_size_can_be_proved(filled):
    log, _ = filled
    for size in (1, 2, 5, 8, 9, 16, 23, HEAD):
        for offset in {0, size // 2, size - 1, max(size - 3, 0)}:
            assert proof.verify_inclusion(log.prove(offset, size))
        made = log.prove_extends(size)
        assert proof.verify_consistency(made)
        assert made.new_root == log.root()
    with pytest.raises(NotFound, match=r"no such record to prove; was 25 of 25; allowed: 0\.\.24"):
        log.prove(HEAD)
    with pytest.raises(NotFound, match=r"no such size to prove; was 26\.\.25"):
        log.prove_extends(26)


def test_no_record_at_an_offset(filled):
    log, _ = filled
    for offset in (-1, HEAD):
        with pytest.raises(NotFound, match=f"no record at this offset; was {offset}; allowed: 0..24"):
            log.record(offset)


def test_a_log_goes_on_after_opening_again(filled, open_store, make_record):
    log, _ = filled
    again = Log.open(open_store(), "second")
    assert again.epoch == log.epoch + 1
    assert again.append([make_record(HEAD)], 2_000) == HEAD
    assert again.verify().ok
    with pytest.raises(EpochFenced, match="a newer writer has taken over the log"):
        log.append([make_record(HEAD)], 2_000)
    with pytest.raises(AppendFailed, match=r"has stopped and takes no more records; was .*newer writer"):
        log.append([make_record(HEAD)], 2_000)
    again.close()


def test_an_empty_group_appends_nothing(filled):
    log, _ = filled
    assert log.append([], 1) == HEAD
    assert log.head == HEAD


def test_bytes_that_are_no_record_are_refused_and_stop_nothing(filled, make_record):
    log, _ = filled
    good = make_record(1)
    for bad in ([b"x"], [good[:-1]], [good + good], [good, b""]):
        with pytest.raises(LogCorrupt, match=r"not a record of the log|not one record each"):
            log.append(bad, 1)
    assert log.append([good], 1) == HEAD


class FailingStore:
    """A store whose append raises what it is given."""

    def __init__(self, store, error):
        self.store, self.error = store, error

    def __getattr__(self, name):
        return getattr(self.store, name)

    def append(self, batch, expected_head, epoch):
        raise self.error


@pytest.mark.parametrize(
    "error", [AppendFailed("no space"), HeadMoved("moved"), OSError("strange"), KeyboardInterrupt()]
)
def test_a_failed_append_stops_the_log_for_good(tmp_path, make_record, error):
    store = SqliteLogStore(tmp_path / "log.db")
    log = Log.open(FailingStore(store, error), "test")
    with pytest.raises((LogError, KeyboardInterrupt)):
        log.append([make_record(0)], 1)
    log.store.error = None
    with pytest.raises(AppendFailed, match=r"the log has stopped and takes no more records.*Start the process again"):
        log.append([make_record(0)], 1)
    assert log.head == 0
    log.close()


def test_a_strange_error_of_a_store_becomes_append_failed(tmp_path, make_record):
    log = Log.open(FailingStore(SqliteLogStore(tmp_path / "log.db"), OSError("strange")), "test")
    with pytest.raises(AppendFailed, match=r"the log store failed; was OSError\('strange'\)\. Start again"):
        log.append([make_record(0)], 1)
    log.close()


def test_a_reader_never_appends(filled, make_record):
    log, _ = filled
    reader = Log.reader(log.store)
    with pytest.raises(AppendFailed, match=r"opened for reading\. Open it with Log\.open"):
        reader.append([make_record(HEAD)], 1)
    assert log.append([make_record(HEAD)], 1) == HEAD


def test_a_closed_log_refuses(filled, make_record):
    log, _ = filled
    log.close()
    with pytest.raises(AppendFailed, match="takes no more records; was the log was closed"):
        log.append([make_record(HEAD)], 1)


# Damage. Each names the first batch that is not what was written.

FIELDS = {
    "count": lambda row: row.count + 1,
    "epoch": lambda row: row.epoch + 1,
    "received_ms": lambda row: row.received_ms - 1,
    "peaks": lambda row: flip(row.peaks) if row.peaks else bytes(32),
    "previous_root": lambda row: flip(row.previous_root),
    "digest": lambda row: flip(row.digest, 31),
    "body": lambda row: flip(row.body, len(row.body) - 1),
}


@pytest.mark.parametrize("first", [0, 8, 23])
@pytest.mark.parametrize("field", FIELDS)
def test_a_changed_field_is_found(filled, field, first):
    log, _ = filled
    execute(log.store, f"UPDATE batches SET {field} = ? WHERE first = ?", (FIELDS[field](row_of(log, first)), first))
    report = log.verify()
    assert not report.ok
    assert report.bad_batch == first
    assert f"log offset {first}: the batch" in report.problem
    assert report.records == first
    if first == 23:
        with pytest.raises(LogCorrupt, match=r"log offset .*Do not append\. Restore the log from a copy"):
            Log.open(log.store, "again")
        with pytest.raises(LogCorrupt, match="the batch"):
            list(log.read(24))


def test_a_lost_batch_is_found(filled):
    log, _ = filled
    execute(log.store, "DELETE FROM batches WHERE first = 8")
    report = log.verify()
    assert (report.bad_batch, report.records) == (8, 8)
    assert "log offset 8: the batch is missing or out of order; was 9; allowed: 8" in report.problem
    with pytest.raises(LogCorrupt, match="does not follow the batch before; was 9; allowed: 8"):
        list(log.read(4))
    with pytest.raises(LogCorrupt, match="does not follow a batch; was a gap"):
        list(log.read(9))


@pytest.mark.parametrize("kept", [6, 3, 0])
def test_lost_last_batches_are_found_on_opening_and_by_verify(filled, kept):
    log, _ = filled
    first = FIRSTS[kept]
    execute(log.store, "DELETE FROM batches WHERE first >= ?", (first,))
    report = log.verify()
    assert report.bad_batch == first
    assert "is the end of the batches, but not of the log" in report.problem
    with pytest.raises(LogCorrupt, match="the batch is missing at the end of the log; was no batch"):
        Log.open(log.store, "again")


def test_batches_behind_the_end_are_found(filled):
    log, _ = filled
    row = row_of(log, 14)
    execute(log.store, "UPDATE tip SET head = ?, digest = ?", (row.last, row.digest))
    with pytest.raises(LogCorrupt, match=r"is not the end the log remembers|is the end of the batches"):
        Log.open(log.store, "again")
    execute(log.store, "UPDATE tip SET head = 0")
    with pytest.raises(LogCorrupt, match="lies behind the end of the log"):
        Log.open(log.store, "again")


def test_a_changed_tip_is_found(filled):
    log, _ = filled
    execute(log.store, "UPDATE tip SET digest = ?", (bytes(32),))
    assert "is the end of the batches, but not of the log" in log.verify().problem
    with pytest.raises(LogCorrupt, match="is not the end the log remembers"):
        Log.open(log.store, "again")


def test_swapped_rows_are_found(filled):
    log, _ = filled
    one, two = row_of(log, 3), row_of(log, 8)  # Both hold one record.
    for row, other in ((one, two), (two, one)):
        execute(
            log.store,
            "UPDATE batches SET epoch = ?, received_ms = ?, peaks = ?, previous_root = ?, digest = ?, body = ?"
            " WHERE first = ?",
            (*other[2:], row.first),
        )
    report = log.verify()
    assert report.bad_batch == 3
    assert "does not match its digest" in report.problem


def rewritten(log, records, first_changed, rows):
    """A forger's log: a record is changed and every digest, peak and root after it is computed anew."""
    digest, peaks = bytes(32), []
    for row in rows:
        body = b"".join(records[row.first : row.last])
        packed, root = b"".join(peaks), proof.root_of(peaks)
        digest = batch_digest(digest, row.first, row.count, row.epoch, row.received_ms, packed, root, body)
        execute(
            log.store,
            "UPDATE batches SET peaks = ?, previous_root = ?, digest = ?, body = ? WHERE first = ?",
            (packed, root, digest, body, row.first),
        )
        peaks = proof.extend_peaks(row.first, peaks, proof.leaf_hashes(records[row.first : row.last]))
    execute(log.store, "UPDATE tip SET digest = ?", (digest,))


def test_a_forged_history_is_found_by_a_signed_checkpoint(filled):
    log, records = filled
    signer = Signer("bank.example/log", bytes(range(32)))
    seen = checkpoint.verify(log.checkpoint(), signer.verifier_key())
    assert log.verify(extends=seen).ok
    forged = [*records[:10], flip(records[10], 90), *records[11:]]
    rewritten(log, forged, 10, list(log.store.read(0)))
    assert log.verify().ok  # By itself the forged log is whole; only what was signed before can tell.
    report = log.verify(extends=seen)
    assert not report.ok
    assert "is not what a signed checkpoint covers" in report.problem


def test_a_log_cut_back_is_found_by_a_signed_checkpoint(filled):
    log, _ = filled
    seen = Checkpoint("bank.example/log", log.head, log.root())
    execute(log.store, "DELETE FROM batches WHERE first >= 14")
    execute(log.store, "UPDATE tip SET head = 14, digest = ?", (row_of(log, 9).digest,))
    assert log.verify().ok
    assert "ends before a signed checkpoint; was 14; allowed: 25" in log.verify(extends=seen).problem


def test_a_checkpoint_inside_a_batch_or_of_an_empty_log_is_checked(filled):
    log, _ = filled
    for size in (0, 1, 11, 14):
        root = log.prove_extends(size).old_root
        assert log.verify(extends=Checkpoint("x", size, root)).ok
    assert not log.verify(extends=Checkpoint("x", 11, bytes(32))).ok


def test_a_log_without_a_signer_signs_nothing(open_store):
    log = Log.open(open_store(), "test")
    with pytest.raises(ConfigurationError, match=r"no signing key\. Open it with `signer="):
        log.checkpoint()
    log.close()


def test_a_record_changed_under_a_proof_is_found(filled):
    log, _ = filled
    execute(log.store, "UPDATE batches SET peaks = ? WHERE first = 8", (bytes(32),))
    for question in (lambda: log.prove(12, 14), lambda: log.prove(12), lambda: log.prove_extends(14)):
        with pytest.raises(LogCorrupt, match="does not lead to the root"):
            question()


def appended(log, *, body, count=None, peaks=None, previous_root=None, epoch=None):
    """Append one row past the log, its digest computed over whatever it holds: a writer with a fault."""
    tip = log.store.tip()
    row = (tip.head, len(body) if count is None else count, tip.epoch if epoch is None else epoch, 9)
    tree = (b"".join(log._end.peaks) if peaks is None else peaks, previous_root or log.root())
    packed = b"".join(body)
    log.store.append(BatchRow(*row, *tree, batch_digest(tip.digest, *row, *tree, packed), packed), tip.head, tip.epoch)


FAULTS = {
    "carries another tree than the batches before it": {"previous_root": bytes(32)},
    "carries a wrong number of peaks": {"peaks": bytes(32)},
    "holds bytes that are not records": {"body": [b"no record at all"]},
    "holds another number of records than it says": {"count": 2},
    "has an older epoch than the batch before": {"epoch": 0},
}


@pytest.mark.parametrize("problem", FAULTS)
def test_a_writer_with_a_fault_is_found(filled, make_record, problem):
    log, _ = filled
    appended(log, **{"body": [make_record(HEAD)], **FAULTS[problem]})
    report = log.verify()
    assert (report.bad_batch, report.records) == (HEAD, HEAD)
    expected = "carries another tree" if "peaks" in FAULTS[problem] else problem
    assert expected in report.problem
    if "epoch" not in FAULTS[problem]:
        with pytest.raises(LogCorrupt, match=problem):
            Log.reader(log.store)
    if "count" in FAULTS[problem]:
        with pytest.raises(LogCorrupt, match=problem):
            list(log.read_columns(HEAD, 2, 2))


def test_rows_that_overlap_at_the_end_are_found(filled):
    log, _ = filled
    execute(log.store, "UPDATE batches SET first = 24 WHERE first = 14")
    with pytest.raises(LogCorrupt, match="the batch"):
        Log.open(log.store, "again")
    assert log.verify().bad_batch == 14
    with pytest.raises(LogCorrupt, match=r"is missing; was no batch|does not follow"):
        log.prove(15)


@pytest.mark.parametrize("at", [0, 1], ids=["empty", "filled"])
def test_a_reader_that_opens_while_a_writer_goes_on_is_not_told_of_damage(open_store, make_record, monkeypatch, at):
    store = open_store()
    log = Log.open(store, "test")
    for number in range(at):
        log.append([make_record(number)], 1_000)
    real, appended = store.tip, []

    def tip():
        """The tip, after which the writer goes on at once, a few times."""
        found = real()
        if len(appended) < 3:
            appended.append(log.append([make_record(100 + len(appended))], 1_000))
        return found

    monkeypatch.setattr(store, "tip", tip)
    assert Log.reader(store).head == at + 3
    log.close()
