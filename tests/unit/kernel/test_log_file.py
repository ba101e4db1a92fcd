"""Damage to the file of the SQLite store: it is found, or it hit nothing that was written."""

from __future__ import annotations

import random
import shutil

import pytest

from quanheng.kernel.errors import LogCorrupt, LogError
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore


@pytest.fixture
def file_log(tmp_path, make_record):
    """A closed SQLite log of 40 batches, and its records."""
    folder = tmp_path / "whole"
    folder.mkdir()
    log = Log.open(SqliteLogStore(folder / "log.db"), "test")
    records = [make_record(number, random.Random(number).randbytes(700)) for number in range(80)]
    for first in range(0, 80, 2):
        log.append(records[first : first + 2], first)
    return folder, log, records


def outcome(folder, records) -> str:
    """ "found" if opening or verifying reports damage, "whole" if every record is there; anything else fails."""
    try:
        log = Log.open(SqliteLogStore(folder / "log.db"), "again")
    except LogError:
        return "found"
    try:
        if not log.verify().ok:
            return "found"
        stored = [row.body for row in log.read()]
    except LogError:
        return "found"
    finally:
        log.close()
    assert b"".join(stored) == b"".join(records), "damage was accepted"
    return "whole"


def test_flipped_bytes_of_the_file_are_found(file_log, tmp_path):
    folder, log, records = file_log
    log.close()
    rng = random.Random(1)
    outcomes = []
    for number in range(40):
        copy = shutil.copytree(folder, tmp_path / str(number))
        raw = bytearray((copy / "log.db").read_bytes())
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        (copy / "log.db").write_bytes(raw)
        outcomes.append(outcome(copy, records))
    assert outcomes.count("found") > 10


def test_a_cut_file_is_found(file_log, tmp_path):
    folder, log, records = file_log
    log.close()
    size = (folder / "log.db").stat().st_size
    for number, cut in enumerate([0, 100, size // 2, size - 16384, size - 1]):
        copy = shutil.copytree(folder, tmp_path / str(number))
        with open(copy / "log.db", "r+b") as file:
            file.truncate(cut)
        assert outcome(copy, records) == "found", f"cut to {cut} bytes of {size}"


def test_a_cut_or_flipped_wal_is_found_by_the_witness(file_log, tmp_path):
    folder, log, records = file_log
    size = (folder / "log.db-wal").stat().st_size
    assert size > 100_000
    rng = random.Random(2)
    for number in range(30):
        copy = shutil.copytree(folder, tmp_path / str(number))  # As if the process had been killed here.
        wal = bytearray((copy / "log.db-wal").read_bytes())
        if number % 2:
            del wal[rng.randrange(len(wal)) :]
        else:
            wal[rng.randrange(len(wal))] ^= 1 << rng.randrange(8)
        (copy / "log.db-wal").write_bytes(wal)
        assert outcome(copy, records) == "found", f"case {number}"
    copy = shutil.copytree(folder, tmp_path / "untouched")
    assert outcome(copy, records) == "whole"
    log.close()


def test_the_witness_says_what_to_do(file_log, tmp_path, make_record):
    folder, log, records = file_log
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "log.db-wal").unlink()
    with pytest.raises(LogCorrupt, match=r"does not reach what it has acknowledged.*delete this witness file"):
        SqliteLogStore(copy / "log.db")
    log.close()
    old = shutil.copytree(folder, tmp_path / "old")
    (old / "log.db.head").unlink()  # Deliberately back to a copy.
    assert outcome(old, records) == "whole"
    torn = shutil.copytree(folder, tmp_path / "torn")
    raw = bytearray((torn / "log.db.head").read_bytes())
    for at in (20, 532):
        raw[at] ^= 1
    (torn / "log.db.head").write_bytes(raw)  # Both notes torn: as if there were none.
    assert outcome(torn, records) == "whole"
