"""The request index: a fold of the log that answers which request is recorded where."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import threading

import pytest

from quanheng.kernel.entries import NO_DECISION, Entries, Entry
from quanheng.kernel.errors import EpochFenced, LogCorrupt, LogError
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


class Gate:
    """A connection as `sqlite3` gives it, which stops before the commit of a run until it is let through."""

    def __init__(self, *arguments, **options):
        self._db = sqlite3.connect(*arguments, **options)
        self.fails = False
        self.rows, self.waits, self.may_go = False, threading.Event(), threading.Event()
        self.may_go.set()

    def execute(self, sql, *values):
        if sql == "COMMIT" and self.rows:
            self.waits.set()
            assert self.may_go.wait(30)
            self.rows = False
            if self.fails:
                raise sqlite3.OperationalError("the disk is full")
        return self._db.execute(sql, *values)

    def executemany(self, sql, rows):
        made = self._db.executemany(sql, rows)
        self.rows = True
        return made

    def close(self):
        self._db.close()


@contextlib.contextmanager
def gated(path):
    """An index whose next run stops before its commit; whatever happens, the run ends."""
    index = RequestIndex(path, connect=Gate)
    index._db.may_go.clear()
    try:
        yield index
    finally:
        index._db.may_go.set()


def some(first, count):
    return {(n + 1).to_bytes(16, "big"): Entry(n, bytes([n % 256]) * 16, n + 1) for n in range(first, first + count)}


def test_each_entry_is_found_while_its_run_is_written_and_nobody_waits_for_the_run(tmp_path, small):
    first, second, third = some(0, 50), some(50, 50), some(100, 60)
    with gated(tmp_path / "index.db") as index:
        index._db.may_go.set()
        index.add(first.items(), 50)
        index._await_run()
        index._db.may_go.clear()
        index._db.waits.clear()
        index.add(second.items(), 100)  # A run is begun; it is in its transaction, and stays there.
        assert index._db.waits.wait(30)
        index.add(third.items(), 160)
        assert index.lookup(list(first | second | third)) == first | second | third
        assert len(index) == 160
        assert index.watermark() == 160
        assert index._thread.is_alive()
        with sqlite3.connect(tmp_path / "index.db") as another:
            assert another.execute("SELECT upto, entries, runs FROM mark").fetchall() == [(50, 50, 1)]
        index._db.may_go.set()
        index.flush()
        assert index.lookup(list(first | second | third)) == first | second | third
    index.close()
    again = RequestIndex(tmp_path / "index.db")
    assert again.lookup(list(first | second | third)) == first | second | third
    assert (len(again), again.watermark()) == (160, 160)
    again.close()


def test_whoever_adds_much_more_than_the_disk_takes_waits_for_it(tmp_path, small, monkeypatch):
    monkeypatch.setattr("quanheng.kernel.index.BEHIND_MAX", 100)
    with gated(tmp_path / "index.db") as index:
        index.add(some(0, 50).items(), 50)
        assert index._db.waits.wait(30)
        index.add(some(50, 99).items(), 149)
        adder = threading.Thread(target=index.add, args=(some(149, 1).items(), 150))
        adder.start()
        adder.join(0.1)
        assert adder.is_alive(), "it waits for the run"
        index._db.may_go.set()
        adder.join(30)
        assert not adder.is_alive()
    assert index.lookup(list(some(0, 150))) == some(0, 150)
    index.close()


def test_a_run_that_fails_while_somebody_waits_for_it_is_not_written_over_by_the_next(tmp_path, small, monkeypatch):
    monkeypatch.setattr("quanheng.kernel.index.BEHIND_MAX", 100)
    told = []

    def adds() -> None:
        try:
            index.add(some(149, 1).items(), 150)
        except LogError as error:
            told.append(str(error))

    with gated(tmp_path / "index.db") as index:
        index.add(some(0, 50).items(), 50)
        assert index._db.waits.wait(30)
        index.add(some(50, 99).items(), 149)
        adder = threading.Thread(target=adds)
        adder.start()
        index._db.fails = True
        index._db.may_go.set()
        adder.join(30)
        assert "the disk is full" in told[0]
        assert index.lookup(list(some(0, 150))) == some(0, 150)
        index._db.fails = False
    index.close()
    again = RequestIndex(tmp_path / "index.db")
    assert again.lookup(list(some(0, 150))) == some(0, 150)
    again.close()


def test_a_run_that_cannot_be_written_beside_is_told_to_the_next_who_adds_and_lost_to_nobody(tmp_path, small):
    index = RequestIndex(tmp_path / "index.db")
    index._db.execute("PRAGMA query_only = ON")
    index.add(some(0, 50).items(), 50)
    index._await_run()
    for _ in range(2):
        with pytest.raises(LogError, match=r"the request index cannot be written; was .*readonly"):
            index.add(some(50, 1).items(), 51)
    assert index.lookup(list(some(0, 51))) == some(0, 50)
    with pytest.raises(LogError, match="the request index cannot be written"):
        index.flush()
    index._db.execute("PRAGMA query_only = OFF")
    index.flush()
    index.add(some(50, 60).items(), 110)
    index.close()
    again = RequestIndex(tmp_path / "index.db")
    assert again.lookup(list(some(0, 110))) == some(0, 110)
    assert again.watermark() == 110
    again.close()


def test_a_run_beside_of_a_writer_that_was_fenced_is_refused(tmp_path, small):
    old = RequestIndex(tmp_path / "index.db", epoch=1)
    RequestIndex(tmp_path / "index.db", epoch=2).close()
    old.add(some(0, 50).items(), 50)
    old._await_run()
    with pytest.raises(EpochFenced, match="a newer writer has taken over the request index; was epoch 1"):
        old.add(some(50, 1).items(), 51)
    old.close()
    new = RequestIndex(tmp_path / "index.db", epoch=2)
    assert (new.lookup(list(some(0, 51))), new.watermark()) == ({}, 0)
    new.close()


def test_what_was_added_is_found_at_each_moment(tmp_path, small):
    """One adds, runs are written beside, one looks up: an entry is never between two places."""
    index, added, missed, end = RequestIndex(tmp_path / "index.db"), [], [], threading.Event()

    def look():
        rng = random.Random(7)
        while not end.is_set():
            upto = len(added)
            keys = [added[rng.randrange(max(0, upto - 200), upto)] for _ in range(5)] if upto else []
            found = index.lookup(keys)
            missed.extend(key for key in keys if key not in found)

    looker = threading.Thread(target=look)
    looker.start()
    for number in range(0, 12_000, 8):
        index.add(some(number, 8).items(), number + 8)
        added.extend(some(number, 8))
    end.set()
    looker.join()
    assert missed == []
    assert index.lookup(added) == some(0, 12_000)
    index.close()


@pytest.mark.parametrize("moment", ["BEGIN IMMEDIATE", "INSERT INTO buckets VALUES (?, ?)", "COMMIT", "after"])
def test_a_crash_while_a_run_is_written_takes_nothing(tmp_path, small, moment):
    """Killed between the commit of the log and the end of the run: the next start adds from the log what is missing."""
    log = filled_log(tmp_path / "log.db", 120)
    child = os.fork()
    if child == 0:
        try:
            written_until(tmp_path / "index.db", log, moment)
        finally:
            os._exit(3)  # Reached only if nothing killed it.
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), status
    index = RequestIndex(tmp_path / "index.db")
    assert index.watermark() == (150 if moment != "after" else 300)  # 50 requests are a run, of 3 records each.
    assert index.catch_up(log) == log.head - (150 if moment != "after" else 300)
    for number in range(120):
        key = (number + 1).to_bytes(16, "big")
        assert index.lookup([key]) == {key: Entry(3 * number, bytes([number % 256]) * 16, 3 * number + 1)}
    assert len(index) == 120
    index.close()
    log.close()


def written_until(path, log, moment):
    """Fill the index from the log; die at `moment` of its second run."""
    runs = []

    class Deadly(Gate):
        def execute(self, sql, *values):
            if sql == "BEGIN IMMEDIATE" and threading.current_thread().name == "quanheng-index":
                runs.append(sql)
            if sql == moment and len(runs) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().execute(sql, *values)

        def executemany(self, sql, rows):
            if sql == moment and len(runs) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().executemany(sql, rows)

    index = RequestIndex(path, connect=Deadly)
    for first, columns in log.read_columns(0, 255, 255):
        index.add_columns(first, columns)
        if first in (147, 297):  # Each run ends before the next is due, so that there are two.
            index._await_run()
    os.kill(os.getpid(), signal.SIGKILL)


def test_entries_in_memory_keep_the_newest_of_a_key_and_grow():
    entries = Entries(4, 0)
    entries.add([], [], b"", [], 7)
    assert (entries.upto, len(entries), len(entries.rows())) == (7, 0, 0)
    wanted = some(0, 30)
    for number in range(0, 30, 3):
        three = some(number, 3)
        events, digests, decisions = zip(*three.values(), strict=True)
        entries.add(list(three), events, b"".join(digests), decisions, number)
    key = next(iter(wanted))
    wanted[key] = Entry(99, b"x" * 16)
    entries.add([key], [99], b"x" * 16, [NO_DECISION], 99)
    assert {key: entries.find(key) for key in wanted} == wanted
    assert len(entries) == len(entries.rows()) == 30
    assert entries.find(b"?" * 16) is None
