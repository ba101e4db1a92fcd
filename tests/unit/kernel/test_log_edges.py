"""Edges of the log: a tip moved by one, a proof that ends at the head, a note of the witness that is torn, a field out
of its record. Each is a place where one comparison decides.
"""

from __future__ import annotations

import sqlite3
from itertools import accumulate

import numpy as np
import pytest

from quanheng.kernel import proof
from quanheng.kernel.checkpoint import Checkpoint
from quanheng.kernel.errors import LogCorrupt, NotFound
from quanheng.kernel.log import records as rec
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.kernel.log.store import Tip, batch_digest
from quanheng.kernel.log.witness import Witness


def log_of(path, make_record, groups) -> Log:
    log = Log.open(SqliteLogStore(path, witness=False), "test")
    for first, count in zip(accumulate(groups, initial=0), groups, strict=False):
        log.append([make_record(first + number) for number in range(count)], 1_000)
    return log


def move_tip(log, head) -> None:
    with sqlite3.connect(log.store.path) as connection:
        connection.execute("UPDATE tip SET head = ?", (head,))


@pytest.mark.parametrize("head", [4, 6])
def test_a_tip_whose_head_alone_was_moved_is_found(tmp_path, make_record, head):
    log = log_of(tmp_path / "log.db", make_record, [3, 2])
    move_tip(log, head)
    assert "is the end of the batches, but not of the log; was 5" in log.verify().problem
    with pytest.raises(LogCorrupt, match=r"is not the end the log remembers|is missing at the end of the log"):
        Log.reader(log.store)
    log.close()


def test_a_digest_is_that_of_a_batch_that_ends_there(tmp_path, make_record):
    log = log_of(tmp_path / "log.db", make_record, [3, 2])
    assert log.digest_at(0) == bytes(32)
    assert log.digest_at(5) == log.store.tip().digest != log.digest_at(3)
    with pytest.raises(
        LogCorrupt, match="log offset 4: the batch does not follow a batch; was a gap; allowed: a batch that ends at 4"
    ):
        log.digest_at(4)
    log.close()


def test_every_record_is_proved_however_the_batches_are_cut(tmp_path, make_record):
    for number, groups in enumerate(([5, 5, 2], [3, 3, 2], [1] * 13, [2, 9, 1], [8, 8], [7, 1, 8, 8])):
        log, head = log_of(tmp_path / f"{number}.db", make_record, groups), sum(groups)
        for offset in range(head):
            made = log.prove(offset)
            assert made.leaf == proof.leaf_hash(make_record(offset))
            assert (made.root, proof.verify_inclusion(made)) == (log.root(), True)
        for size in range(head + 1):
            assert proof.verify_consistency(log.prove_extends(size))
        for asked in ((0, head + 1), (head + 1, head + 1), (-1, head)):
            with pytest.raises(NotFound, match="no such size to prove"):
                log.prove_extends(*asked)
        log.close()


def test_a_signed_statement_about_an_empty_log_is_compared_too(tmp_path, make_record):
    log = Log.open(SqliteLogStore(tmp_path / "log.db"), "test")
    assert log.verify(extends=Checkpoint("x", 0, proof.EMPTY_ROOT)).ok
    assert "is not what a signed checkpoint covers" in log.verify(extends=Checkpoint("x", 0, bytes(32))).problem
    log.append([make_record(0)], 1_000)
    assert log.verify(extends=Checkpoint("x", 0, proof.EMPTY_ROOT)).ok
    assert "is not what a signed checkpoint covers" in log.verify(extends=Checkpoint("x", 0, bytes(32))).problem
    log.close()


FIELDS = (bytes(32), 7, 2, 3, 1_000, bytes(64), bytes(32), b"body")


@pytest.mark.parametrize("place", range(len(FIELDS)))
def test_the_digest_of_a_batch_depends_on_every_field(place):
    value = FIELDS[place]
    other = value + 1 if isinstance(value, int) else b"\x01" + value[1:]
    assert batch_digest(*FIELDS) != batch_digest(*FIELDS[:place], other, *FIELDS[place + 1 :])
    assert batch_digest(*FIELDS[:5], bytes(32), bytes(32), bytes(32) + b"body") != batch_digest(*FIELDS)


def tip(head, digest=b"d") -> Tip:
    return Tip(head, 1, digest * 32)


def test_the_witness_remembers_the_furthest_whole_note(tmp_path):
    path = tmp_path / "log.db.head"
    witness = Witness(path)
    assert witness.remembered() is None
    for head in (3, 5, 9):
        witness.note(tip(head))
        assert witness.remembered() == tip(head)
    raw = bytearray(path.read_bytes())
    for torn, left in ((raw.index((9).to_bytes(8, "little")), tip(5)), (raw.index((5).to_bytes(8, "little")), None)):
        raw[torn] ^= 1
        path.write_bytes(raw)
        assert witness.remembered() == left
    witness.close()


def test_the_witness_compares_head_and_digest(tmp_path):
    witness = Witness(tmp_path / "log.db.head")
    for remembered, found in ((None, tip(5)), (tip(4), tip(5)), (tip(5), tip(5))):
        witness.check(remembered, found)
    for remembered, found in ((tip(6, b"e"), tip(5)), (tip(5, b"e"), tip(5))):
        with pytest.raises(LogCorrupt, match="the log does not reach what it has acknowledged"):
            witness.check(remembered, found)


def spoilt(record: bytes, at: int, value: int, size: int = 1) -> bytes:
    return record[:at] + value.to_bytes(size, "little") + record[at + size :]


def test_a_length_that_does_not_fit_its_record_is_refused(make_record):
    record = make_record(1)
    header = 88 + 2 * 16 + 2 * 8
    for length in (87, 88, header - 1, len(record) + 1):
        for read in (rec.count, rec.decode):
            with pytest.raises(LogCorrupt, match="not a record of the log"):
                read(spoilt(record, 0, length, 4))
    assert rec.decode(spoilt(record, 0, header, 4)).payload == b""
    for body in (spoilt(record[:88], 0, 88, 4), spoilt(record, 4, 2), record + b"\x00" * 87):
        with pytest.raises(LogCorrupt, match="not a record of the log"):
            rec.count(body)


def test_columns_have_room_for_what_they_are_asked_for_and_null_beyond(make_record):
    body = make_record(1) + make_record(2)
    found = rec.columns(body, 4, 3)
    assert found.numbers.tolist() == [[1, rec.NULL, rec.NULL], [2, rec.NULL, rec.NULL]]
    assert found.keys[:, 0, 0].tolist() == [1, 2]
    assert not np.any(found.keys[:, 1:])
    for keys, numbers in ((1, 2), (2, 1)):
        with pytest.raises(
            LogCorrupt, match=f"was 2 keys and 2 numbers; allowed: at most {keys} keys and {numbers} numbers"
        ):
            rec.columns(body, keys, numbers)
