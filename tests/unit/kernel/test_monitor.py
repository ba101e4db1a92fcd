"""A second party's watch: histories that were really rewritten, forked, cut and put back from a copy are found."""

from __future__ import annotations

import shutil
import sqlite3

import pytest

from quanheng.kernel import checkpoint, proof
from quanheng.kernel.checkpoint import Signer
from quanheng.kernel.errors import InputError, NotFound, ProofRefused
from quanheng.kernel.log import records as rec
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.kernel.log.store import BatchRow, batch_digest
from quanheng.kernel.monitor import ALARMING, Monitor, Sighting

SIGNER = Signer("bank.example/log", bytes(range(32)))
KEYS = [SIGNER.verifier_key()]


class Bank:
    """A log in a file that grows, and that its owner may tamper with; asked as a monitor asks."""

    is_live = True

    def __init__(self, path, make_record):
        self.path, self._make, self.number = path, make_record, 0
        self.grow(20)

    def grow(self, count):
        log = Log.open(SqliteLogStore(self.path, witness=False), "bank", SIGNER)
        for _ in range(count):
            log.append([self._make(self.number), self._make(self.number + 1)], 1_000)
            self.number += 2
        log.close()

    def reader(self):
        return Log.reader(SqliteLogStore(self.path, witness=False), SIGNER)

    def checkpoint(self):
        log = self.reader()
        try:
            return log.checkpoint()
        finally:
            log.close()

    def consistency(self, old_size, new_size):
        log = self.reader()
        try:
            return log.prove_extends(old_size, new_size).path
        finally:
            log.close()

    def copy_to(self, other):
        shutil.copy(self.path, other)

    def restore(self, other):
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        shutil.copy(other, self.path)

    def rewrite(self, offset):
        """Change one record, and compute every digest, peak and root after it anew: the log verifies again."""
        with sqlite3.connect(self.path) as db:
            rows = [BatchRow._make(row) for row in db.execute("SELECT * FROM batches ORDER BY first")]
            peaks, digest = [], bytes(32)
            for row in rows:
                body = row.body
                if row.first <= offset < row.last:
                    body = body[:-1] + bytes([body[-1] ^ 1])
                kept = (b"".join(peaks), proof.root_of(peaks))
                digest = batch_digest(digest, *row[:4], *kept, body)
                made = (*kept, digest, body, row.first)
                db.execute("UPDATE batches SET peaks=?, previous_root=?, digest=?, body=? WHERE first=?", made)
                peaks = proof.extend_peaks(row.first, peaks, proof.leaves_of(body, rec.bounds(body)))
            db.execute("UPDATE tip SET digest = ?", (digest,))
        db.close()


@pytest.fixture
def bank(tmp_path, make_record):
    return Bank(tmp_path / "log.db", make_record)


@pytest.fixture
def monitor(tmp_path):
    return Monitor(tmp_path / "seen", KEYS)


def test_an_honest_log_is_followed(bank, monitor):
    assert monitor.look(bank).sighting is Sighting.FIRST
    seen = monitor.look(bank)
    assert (seen.sighting, seen.sentence()) == (Sighting.SAME, "bank.example/log: 40 records, as before")
    for _ in range(5):
        bank.grow(3)
        seen = monitor.look(bank)
        assert (seen.sighting, seen.is_alarm, seen.evidence) == (Sighting.GROWN, False, None)
    assert seen.sentence() == "bank.example/log: 70 records; the first 64 are those that were there before"
    again = Monitor(monitor.folder, KEYS).look(bank)  # What it remembers is on the disk.
    assert (again.sighting, again.old.size) == (Sighting.SAME, 70)
    assert not (monitor.folder / "alarms").exists()


def alarmed(bank, monitor, sighting, text):
    remembered = (monitor.folder / "latest.checkpoint").read_text()
    seen = monitor.look(bank)
    assert (seen.sighting, seen.is_alarm) == (sighting, True)
    assert text in seen.sentence()
    assert (seen.evidence / "old.checkpoint").read_text() == remembered
    shown = (seen.evidence / "new.checkpoint").read_text()
    assert checkpoint.verify(shown, KEYS) == seen.new  # Signed by the bank itself: it cannot deny it.
    assert text in (seen.evidence / "alarm.txt").read_text()
    assert (monitor.folder / "latest.checkpoint").read_text() == remembered
    assert monitor.look(bank).is_alarm  # Until a person has judged.
    assert [one.name for one in seen.evidence.parent.iterdir()] == [seen.evidence.name]
    return seen


def test_a_rewritten_record_is_found_though_the_log_verifies(bank, monitor):
    monitor.look(bank)
    bank.rewrite(7)
    log = bank.reader()
    assert log.verify().ok
    log.close()
    alarmed(bank, monitor, Sighting.FORKED, "FORKED. 40 records under another root than the one it signed before")


def test_a_rewritten_record_is_found_when_the_log_has_grown_since(bank, monitor):
    monitor.look(bank)
    bank.rewrite(39)
    bank.grow(2)
    seen = alarmed(bank, monitor, Sighting.REWRITTEN, "REWRITTEN. 44 records, but not after the 40 it signed before")
    assert len((seen.evidence / "path.txt").read_text().split()) > 0


def test_an_old_copy_that_was_put_back_is_found(bank, monitor, tmp_path):
    bank.copy_to(tmp_path / "copy.db")
    bank.grow(4)
    monitor.look(bank)
    bank.restore(tmp_path / "copy.db")
    alarmed(bank, monitor, Sighting.SHRANK, "SHRANK. 40 records, where it signed 48 before")


@pytest.mark.parametrize(("batches", "sighting"), [(2, Sighting.SHRANK), (4, Sighting.FORKED), (6, Sighting.REWRITTEN)])
def test_an_old_copy_that_was_continued_is_found_at_every_size(bank, monitor, tmp_path, batches, sighting):
    bank.copy_to(tmp_path / "copy.db")
    bank.grow(4)
    monitor.look(bank)
    bank.restore(tmp_path / "copy.db")
    bank.number += 1_000  # Other records than those that were lost.
    bank.grow(batches)
    alarmed(bank, monitor, sighting, sighting.name)


def test_the_same_records_written_again_after_a_restore_are_the_same_log(bank, monitor, tmp_path):
    bank.copy_to(tmp_path / "copy.db")
    bank.grow(4)
    monitor.look(bank)
    bank.restore(tmp_path / "copy.db")
    bank.number -= 8
    bank.grow(4)
    assert monitor.look(bank).sighting is Sighting.SAME


def test_every_alarm_is_tried():
    assert set(ALARMING) == {Sighting.FORKED, Sighting.SHRANK, Sighting.REWRITTEN}


def test_a_log_that_grew_from_nothing(tmp_path, make_record, monitor):
    log = Log.open(SqliteLogStore(tmp_path / "log.db"), "bank", SIGNER)
    log.close()
    bank = Bank.__new__(Bank)
    bank.path, bank._make, bank.number = tmp_path / "log.db", make_record, 0
    assert monitor.look(bank).new.size == 0
    bank.grow(1)
    assert monitor.look(bank).sighting is Sighting.GROWN


class Lying:
    """Shows a note, and gives a path that may be anything."""

    is_live = True

    def __init__(self, note, path=()):
        self.note, self.path = note, path

    def checkpoint(self):
        return self.note

    def consistency(self, old_size, new_size):
        if self.path is None:
            raise NotFound("no such size to prove")
        return self.path


def test_a_path_that_proves_nothing_is_an_alarm_and_no_path_is_an_error(bank, monitor):
    monitor.look(bank)
    note = SIGNER.sign(50, bytes(32))
    for path in ((), (bytes(32),) * 3, (b"short",), (bytes(32),) * 1_000):
        assert monitor.look(Lying(note, path)).sighting is Sighting.REWRITTEN
    with pytest.raises(NotFound, match="no such size to prove"):
        monitor.look(Lying(note, None))
    assert monitor.look(bank).sighting is Sighting.SAME


def test_what_is_not_signed_is_neither_believed_nor_an_alarm(bank, monitor):
    monitor.look(bank)
    forged = Signer("bank.example/log", bytes(32)).sign(50, bytes(32))
    with pytest.raises(ProofRefused, match="not signed by the expected key"):
        monitor.look(Lying(forged))
    with pytest.raises(InputError, match="not a checkpoint"):
        monitor.look(Lying("nothing"))
    assert not (monitor.folder / "alarms").exists()


def test_an_older_note_from_a_file_says_nothing(bank, monitor):
    old = bank.checkpoint()
    bank.grow(1)
    monitor.look(bank)
    sent = Lying(old)
    sent.is_live = False
    with pytest.raises(InputError, match="the checkpoint is older than the remembered one, so it says nothing"):
        monitor.look(sent)


def test_a_memory_that_was_tampered_with_is_refused(bank, monitor):
    monitor.look(bank)
    latest = monitor.folder / "latest.checkpoint"
    latest.write_text(latest.read_text().replace("\n40\n", "\n39\n"))
    with pytest.raises(ProofRefused, match="the signature of the checkpoint does not verify"):
        monitor.look(bank)
    latest.unlink()
    latest.mkdir()
    with pytest.raises(InputError, match="the remembered checkpoint cannot be read"):
        monitor.look(bank)
