"""The request index: a fold of the log that answers which request is recorded where."""

from __future__ import annotations

import random

import pytest

from quanheng.kernel.entries import NO_DECISION, Entry
from quanheng.kernel.errors import LogCorrupt, LogError
from quanheng.kernel.index import RequestIndex
from quanheng.kernel.log import records as rec
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore


@pytest.fixture
def small(monkeypatch):
    """Runs and filter layers so small that a test crosses many of them."""
    monkeypatch.setattr("quanheng.kernel.index.WAITING_MAX", 50)
    monkeypatch.setattr("quanheng.kernel.bloom.FIRST_LAYER_KEYS", 128)
    monkeypatch.setattr("quanheng.kernel.index.BUCKETS", 4)


def filled_log(path, requests):
    """A log of one event with a request key, its decision, and one event without a key, per request."""
    log = Log.open(SqliteLogStore(path), "test")
    for number in range(requests):
        key, digest = (number + 1).to_bytes(16, "big"), bytes([number % 256]) * 16
        event = rec.encode_header(rec.EVENT, 1, 1, 1, -1, rec.NONE_16, key, digest, [], [], 0)
        decision = rec.encode_header(
            rec.DECISION, 1, 1, 1, 3 * number, rec.NONE_16, rec.NONE_16, rec.NONE_16, [], [], 0
        )
        silent = rec.encode_header(rec.EVENT, 1, 1, 1, -1, rec.NONE_16, rec.NONE_16, rec.NONE_16, [], [], 0)
        log.append([event, decision, silent], 1)
    return log


def test_entries_are_found_in_memory_and_on_disk(tmp_path):
    index = RequestIndex(tmp_path / "index.db")
    keys = [bytes([n]) * 16 for n in range(5)]
    entries = [Entry(n, bytes([n + 1]) * 16, n + 10) for n in range(5)]
    assert index.lookup(keys) == {}
    index.add(zip(keys[:3], entries[:3], strict=True), 30)
    index.flush()
    index.add(zip(keys[3:4], entries[3:4], strict=True), 40)
    assert index.lookup(keys) == dict(zip(keys[:4], entries[:4], strict=True))
    assert index.watermark() == 40
    assert len(index) == 4
    index.close()


def test_a_crash_takes_only_what_waited_and_the_watermark_says_so(tmp_path):
    index = RequestIndex(tmp_path / "index.db")
    index.add([(b"a" * 16, Entry(0, b"d" * 16))], 10)
    index.flush()
    index.add([(b"b" * 16, Entry(10, b"d" * 16))], 20)
    index._db.close()  # Not flushed.
    again = RequestIndex(tmp_path / "index.db")
    assert again.watermark() == 10
    assert again.lookup([b"a" * 16, b"b" * 16]) == {b"a" * 16: Entry(0, b"d" * 16, NO_DECISION)}
    again.close()


def test_it_catches_up_from_the_log(tmp_path, small):
    log = filled_log(tmp_path / "log.db", 120)
    index = RequestIndex(tmp_path / "index.db")
    assert index.catch_up(log) == 360
    assert index.catch_up(log) == 0
    assert index.watermark() == log.head
    for number in range(120):
        key = (number + 1).to_bytes(16, "big")
        assert index.lookup([key]) == {key: Entry(3 * number, bytes([number % 256]) * 16, 3 * number + 1)}
    assert index.lookup([rec.NONE_16]) == {}
    index.close()
    log.close()


def test_many_keys_over_many_runs_and_layers(tmp_path, small):
    rng = random.Random(3)
    truth = {}
    index = RequestIndex(tmp_path / "index.db")
    for step in range(60):
        new = {rng.randbytes(16): Entry(step * 100 + i, rng.randbytes(16), rng.randrange(-1, 99)) for i in range(17)}
        assert index.lookup(list(new)) == {}
        index.add(new.items(), step * 100)
        truth |= new
        if step % 20 == 19:
            index.close()
            index = RequestIndex(tmp_path / "index.db")
    assert len(index) == len(truth) == 1020
    assert index.lookup(list(truth)) == truth
    assert index.lookup([rng.randbytes(16) for _ in range(5000)]) == {}
    index.close()


def test_the_filter_seldom_asks_the_disk_in_vain(tmp_path):
    rng = random.Random(4)
    index = RequestIndex(tmp_path / "index.db")
    index.add([(rng.randbytes(16), Entry(i, bytes(16))) for i in range(100_000)], 1)
    maybe = index._filter.maybe(b"".join(rng.randbytes(16) for _ in range(100_000))) or []
    assert len(maybe) < 300
    index.close()


def test_a_damaged_index_is_built_again(tmp_path):
    log = filled_log(tmp_path / "log.db", 5)
    (tmp_path / "index.db").write_bytes(b"no database at all" * 500)
    index = RequestIndex(tmp_path / "index.db")
    assert index.rebuilt
    assert index.catch_up(log) == 15
    key = (5).to_bytes(16, "big")
    assert index.lookup([key])[key].event == 12
    index.close()
    again = RequestIndex(tmp_path / "index.db")
    assert not again.rebuilt
    again.close()
    log.close()


def test_an_index_ahead_of_the_log_means_the_log_lost_something(tmp_path):
    log = filled_log(tmp_path / "log.db", 5)
    index = RequestIndex(tmp_path / "index.db")
    index.add([], 16)
    with pytest.raises(
        LogCorrupt, match=r"ends before what the request index has seen; was 15 records; allowed: at least 16"
    ):
        index.catch_up(log)
    index.close()
    log.close()


def test_errors_of_the_file_are_named(tmp_path):
    with pytest.raises(LogError, match=r"the request index cannot be opened.*delete the file to have it built again"):
        RequestIndex(tmp_path / "absent" / "index.db")
    index = RequestIndex(tmp_path / "index.db")
    index.add([(b"a" * 16, Entry(0, b"d" * 16))], 10)
    index._db.execute("PRAGMA query_only = ON")
    with pytest.raises(LogError, match=r"the request index cannot be written; was .*readonly"):
        index.flush()
    assert index.lookup([b"a" * 16])
    index._db.execute("PRAGMA query_only = OFF")
    index.flush()
    index._db.execute("DROP TABLE buckets")
    with pytest.raises(LogError, match="the request index cannot be read"):
        index.lookup([b"a" * 16])
    index._db.close()
