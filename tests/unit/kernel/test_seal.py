"""The key ring: sealing, erasing for good, keys apart from everything else."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
import time

import pytest

from quanheng.kernel.errors import AppendFailed, ConfigurationError, DataErased, KeyRingBusy, LogError, SealBroken
from quanheng.kernel.log import records as rec
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.kernel.seal import NO_SUBJECT, KeyRing


@pytest.fixture
def ring(tmp_path):
    ring = KeyRing.open(tmp_path / "ring")
    yield ring
    ring.close()


def sealed_record(ring, subject, payload=b"secret payload"):
    header = rec.encode_header(
        rec.EVENT, 1, 2, 3, -1, subject, rec.NONE_16, rec.NONE_16, [subject], [5], len(payload), True
    )
    return header + ring.seal_many([subject], [header], [payload])[0]


def test_the_first_opening_makes_a_development_ring_and_says_so(tmp_path):
    ring = KeyRing.open(tmp_path / "keys" / "ring")
    assert (ring.created, ring.is_development) == (True, True)
    master = tmp_path / "keys" / "ring" / "master.key"
    assert stat.S_IMODE(master.stat().st_mode) == 0o600
    assert stat.S_IMODE(master.parent.stat().st_mode) == 0o700
    ring.close()
    again = KeyRing.open(tmp_path / "keys" / "ring")
    assert (again.created, again.is_development) == (False, True)
    again.close()


def test_an_institution_brings_its_own_master_key(tmp_path):
    (tmp_path / "ring").mkdir()
    (tmp_path / "ring" / "master.key").write_text(bytes(range(32)).hex())
    ring = KeyRing.open(tmp_path / "ring")
    assert (ring.created, ring.is_development) == (False, False)
    ring.close()


def test_what_was_sealed_is_read_after_opening_again(tmp_path):
    ring = KeyRing.open(tmp_path / "ring")
    subjects = [ring.pseudonym("customer", str(i % 3)) for i in range(9)]
    headers = [b"header %d" % i for i in range(9)]
    payloads = [b"payload %d" % i for i in range(9)]
    sealed = ring.seal_many(subjects, headers, payloads)
    assert len(set(sealed)) == 9
    assert all(len(part) == len(payload) + rec.SEAL_BYTES for part, payload in zip(sealed, payloads, strict=True))
    ring.close()
    again = KeyRing.open(tmp_path / "ring")
    assert [again.unseal(*parts) for parts in zip(subjects, headers, sealed, strict=True)] == payloads
    assert again.seal_many(subjects[:1], headers[:1], payloads[:1]) != sealed[:1]
    again.close()


def test_a_payload_without_a_subject_stays_in_clear(ring):
    subject = ring.pseudonym("customer", "1")
    sealed = ring.seal_many([NO_SUBJECT, subject], [b"h", b"h"], [b"clear", b"secret"])
    assert sealed[0] == b"clear"
    assert ring.unseal(NO_SUBJECT, b"h", sealed[0]) == b"clear"
    assert ring.unseal(subject, b"h", sealed[1]) == b"secret"


def test_pseudonyms_are_keyed_and_apart(ring, tmp_path):
    assert len(ring.pseudonym("customer", "1")) == 16
    assert ring.pseudonym("customer", "1") == ring.pseudonym("customer", "1")
    names = [("customer", "1"), ("customer", "2"), ("device", "1"), ("customer1", ""), ("custome", "r1")]
    assert len({ring.pseudonym(*name) for name in names}) == len(names)
    assert ring.request_key("a", "bc") != ring.request_key("ab", "c")
    assert ring.request_key("customer", "1") != ring.pseudonym("customer", "1")
    other = KeyRing.open(tmp_path / "other")
    assert other.pseudonym("customer", "1") != ring.pseudonym("customer", "1")
    other.close()


def test_a_changed_header_or_payload_is_refused(ring):
    subject = ring.pseudonym("customer", "1")
    [sealed] = ring.seal_many([subject], [b"header"], [b"payload"])
    other = ring.pseudonym("customer", "2")
    ring.seal_many([other], [b"h"], [b"p"])
    for args in ((subject, b"Header", sealed), (subject, b"header", sealed[:-1] + b"x"), (other, b"header", sealed)):
        with pytest.raises(SealBroken, match=r"the sealed payload does not verify.*run `quanheng log verify`"):
            ring.unseal(*args)
    for short in (b"", sealed[:5], sealed[:20]):
        with pytest.raises(SealBroken, match="does not verify"):
            ring.unseal(subject, b"header", short)


def test_a_subject_unknown_to_the_ring(ring):
    with pytest.raises(SealBroken, match=r"no key for this subject\. Open the key ring that belongs to this log"):
        ring.unseal(bytes(15) + b"x", b"h", bytes(40))


def test_erasing_destroys_the_key_and_the_log_still_verifies(ring, tmp_path):
    kept, gone = ring.pseudonym("customer", "kept"), ring.pseudonym("customer", "gone")
    log = Log.open(SqliteLogStore(tmp_path / "log.db"), "test")
    log.append([sealed_record(ring, kept), sealed_record(ring, gone), sealed_record(ring, gone)], 1)
    assert ring.erase(gone) is True
    assert ring.erase(gone) is False
    assert (ring.is_erased(gone), ring.is_erased(kept)) == (True, False)
    record = log.record(1)
    with pytest.raises(DataErased, match=f"the key of this subject was destroyed|subject {gone.hex()}"):
        ring.unseal(record.subject, record.header, record.payload)
    record = log.record(0)
    assert ring.unseal(record.subject, record.header, record.payload) == b"secret payload"
    assert log.verify().ok
    log.close()


def test_an_erased_subject_that_comes_back_gets_a_new_key(ring):
    subject = ring.pseudonym("customer", "1")
    [old] = ring.seal_many([subject], [b"h"], [b"old"])
    ring.erase(subject)
    [new] = ring.seal_many([subject], [b"h"], [b"new"])
    assert ring.unseal(subject, b"h", new) == b"new"
    with pytest.raises(DataErased, match="sealed before the key of the subject was destroyed, or it was changed"):
        ring.unseal(subject, b"h", old)


@pytest.mark.parametrize("reopened", [False, True])
def test_the_bytes_of_an_erased_key_leave_the_files(tmp_path, reopened):
    folder = tmp_path / "ring"
    ring = KeyRing.open(folder)
    subjects = [ring.pseudonym("customer", str(i)) for i in range(2_000)]
    ring.seal_many(subjects, [b"h"] * 2_000, [b"p"] * 2_000)
    if reopened:
        ring.close()
        ring = KeyRing.open(folder)
    wrapped = dict(ring._db.execute("SELECT subject, wrapped FROM keys").fetchall())
    gone = subjects[::97]

    def on_disk() -> bytes:
        return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))

    assert all(wrapped[subject][:40] in on_disk() for subject in gone)
    for subject in gone:
        assert ring.erase(subject)
        left = on_disk()
        for start in range(0, 60, 12):
            assert wrapped[subject][start : start + 12] not in left
    kept = set(subjects) - set(gone)
    assert all(wrapped[subject] in on_disk() for subject in list(kept)[:50])
    ring.close()


HOLDS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
connection.execute("SELECT * FROM keys").fetchall()
print("held", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def held(path, begin):
    """Another process that holds a transaction on the file of keys."""
    command = [sys.executable, "-c", HOLDS, str(path), begin]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        yield
        other.stdin.close()


@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN IMMEDIATE"], ids=["reads", "writes"])
@pytest.mark.parametrize("wal_is_empty", [False, True])
def test_while_another_process_holds_the_ring_nothing_is_erased(tmp_path, begin, wal_is_empty):
    ring = KeyRing.open(tmp_path / "ring")
    subject = ring.pseudonym("customer", "1")
    [sealed] = ring.seal_many([subject], [b"h"], [b"p"])
    if wal_is_empty:
        ring.erase(bytes(range(16)))
    with held(tmp_path / "ring" / "keys.db", begin):
        started = time.monotonic()
        with pytest.raises(KeyRingBusy, match=r"another process holds the key ring; nothing was erased.*erase again"):
            ring.erase(subject)
        assert time.monotonic() - started < 5
        assert ring.unseal(subject, b"h", sealed) == b"p"
        assert not ring.is_erased(subject)
    assert ring.erase(subject) is True
    assert not ring.holds_erased_bytes
    with pytest.raises(DataErased):
        ring.unseal(subject, b"h", sealed)
    ring.close()


def test_an_erasure_that_is_not_recorded_destroys_nothing(ring):
    subject = ring.pseudonym("customer", "1")
    [sealed] = ring.seal_many([subject], [b"h"], [b"p"])
    with pytest.raises(ZeroDivisionError), ring.erasing(subject) as destroy:
        destroy(1 // 0)
    assert ring.unseal(subject, b"h", sealed) == b"p"
    assert ring.seal_many([ring.pseudonym("customer", "2")], [b"h"], [b"q"])


def test_a_destruction_that_the_disk_does_not_confirm_is_fatal(ring):
    subject = ring.pseudonym("customer", "1")
    [sealed] = ring.seal_many([subject], [b"h"], [b"p"])

    def on_a_full_disk():
        with ring.erasing(subject) as destroy:
            destroy(1)
            ring._db.execute("ROLLBACK")  # As SQLite does by itself then.

    with pytest.raises(AppendFailed, match="the key ring did not confirm the destruction of a key"):
        on_a_full_disk()
    assert ring.unseal(subject, b"h", sealed) == b"p"


def test_a_ring_that_cannot_be_written_says_so_and_erases_nothing(ring):
    subject = ring.pseudonym("customer", "1")
    [sealed] = ring.seal_many([subject], [b"h"], [b"p"])
    ring._db.execute("PRAGMA query_only = ON")
    with pytest.raises(LogError, match=r"the key ring cannot be written; nothing was erased; was .*readonly"):
        ring.erase(subject)
    ring._db.execute("PRAGMA query_only = OFF")
    assert ring.unseal(subject, b"h", sealed) == b"p"


def test_a_reader_that_comes_during_an_erasure_is_told_of(tmp_path):
    ring = KeyRing.open(tmp_path / "ring")
    subject = ring.pseudonym("customer", "1")
    ring.seal_many([subject], [b"h"], [b"p"])
    with ring.erasing(subject) as destroy:
        other = sqlite3.connect(tmp_path / "ring" / "keys.db", isolation_level=None)
        other.execute("BEGIN")
        other.execute("SELECT * FROM keys").fetchall()
        destroy(7)
    assert ring.holds_erased_bytes
    assert ring.erased_upto(subject) == 7
    other.close()
    ring.erase(subject, 8)
    assert not ring.holds_erased_bytes
    ring.close()


def test_a_key_erased_by_another_process_is_not_used_from_memory(tmp_path):
    ring, other = KeyRing.open(tmp_path / "ring"), KeyRing.open(tmp_path / "ring")
    subject = ring.pseudonym("customer", "1")
    [sealed] = ring.seal_many([subject], [b"h"], [b"p"])
    other.erase(subject)
    with pytest.raises(DataErased):
        ring.unseal(subject, b"h", sealed)
    [again] = ring.seal_many([subject], [b"h"], [b"q"])
    other.erase(subject)
    [back] = ring.seal_many([subject], [b"h"], [b"r"])  # Not under the key in memory: nobody finds it again.
    assert other.unseal(subject, b"h", back) == b"r"
    assert ring.unseal_many([subject] * 3, [b"h"] * 3, [sealed, again, back]) == [None, None, b"r"]
    other.erase(subject)
    assert ring.unseal_many([subject], [b"h"], [back]) == [None]
    ring.close()
    other.close()


def test_an_older_erasure_that_comes_later_does_not_undo_the_mark_of_the_newer(ring):
    subject = ring.pseudonym("customer", "1")
    for upto, marked in ((4, 4), (9, 9), (4, 9)):
        ring.erase(subject, upto)
        assert ring.erased_upto(subject) == marked


def test_more_subjects_than_the_cache_holds(ring, monkeypatch):
    monkeypatch.setattr("quanheng.kernel.seal.KEYS_CACHED_MAX", 10)
    monkeypatch.setattr("quanheng.kernel.seal.PSEUDONYMS_CACHED_MAX", 10)
    subjects = [ring.pseudonym("customer", str(i)) for i in range(35)]
    sealed = []
    for at in range(0, 35, 7):
        sealed += ring.seal_many(subjects[at : at + 7], [b"h"] * 7, [b"p"] * 7)
    assert len(ring._keys) <= 20
    assert len(ring._pseudonyms) <= 10
    assert [ring.pseudonym("customer", str(i)) for i in range(35)] == subjects
    assert all(ring.unseal(s, b"h", part) == b"p" for s, part in zip(subjects, sealed, strict=True))
    assert ring.seal_many(subjects, [b"h"] * 35, [b"p"] * 35)


def test_a_missing_master_key(ring, tmp_path):
    ring.seal_many([os.urandom(16)], [b"h"], [b"p"])
    (tmp_path / "ring" / "master.key").unlink()
    with pytest.raises(ConfigurationError, match=r"master key is missing but subject keys are there\. Put the master"):
        KeyRing.open(tmp_path / "ring")


def test_another_master_key(ring, tmp_path):
    ring.seal_many([os.urandom(16)], [b"h"], [b"p"])
    (tmp_path / "ring" / "master.key").write_text("00" * 32)
    with pytest.raises(ConfigurationError, match="master key is not the one these keys are wrapped with"):
        KeyRing.open(tmp_path / "ring")


@pytest.mark.parametrize("raw", [b"", b"short", b"\xff" * 64, b"zz" * 32, b"00" * 31])
def test_what_is_no_master_key(tmp_path, raw):
    (tmp_path / "ring").mkdir()
    (tmp_path / "ring" / "master.key").write_bytes(raw)
    with pytest.raises(ConfigurationError, match=f"not a master key; was {len(raw)} bytes; allowed: 64 hexadecimal"):
        KeyRing.open(tmp_path / "ring")


def test_a_damaged_ring(ring, tmp_path):
    subject = os.urandom(16)
    ring.seal_many([subject], [b"h"], [b"p"])
    ring.close()
    (tmp_path / "ring" / "keys.db").write_bytes(b"no database" * 1000)
    with pytest.raises(ConfigurationError, match=r"the key ring cannot be read; was .*not a database.*own copy"):
        KeyRing.open(tmp_path / "ring")


def test_a_damaged_key(ring):
    first, second = sorted(os.urandom(16) for _ in range(2))
    ring.seal_many([first, second], [b"h"] * 2, [b"p"] * 2)
    ring._db.execute("UPDATE keys SET wrapped = zeroblob(60) WHERE subject = ?", (second,))
    ring._keys = {}
    with pytest.raises(SealBroken, match=r"a stored key does not verify.*own copy"):
        ring.unseal(second, b"h", bytes(40))


def test_keys_that_cannot_be_written(ring):
    ring.seal_many([os.urandom(16)], [b"h"], [b"p"])
    ring._db.execute("PRAGMA query_only = ON")
    with pytest.raises(LogError, match=r"the key ring did not confirm a durable write; was .*readonly.*Check the disk"):
        ring.seal_many([os.urandom(16)], [b"h"], [b"p"])


def test_the_ring_signs_checkpoints_with_one_key(ring, tmp_path):
    key = ring.signer("bank.example/log").verifier_key()
    ring.close()
    again = KeyRing.open(tmp_path / "ring")
    assert again.signer("bank.example/log").verifier_key() == key
    again.close()
