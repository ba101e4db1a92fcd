"""The request index: which request is recorded at which offset, so that a repeated request gets the recorded answer.

A fold of the log, kept in SQLite (WAL, synchronous=NORMAL) with its watermark in the same transaction; what a crash
takes from it is added again from the log. Almost every look-up is a miss, so a filter in memory answers those; new
entries wait in memory and go to the disk in runs of thousands, spread over buckets by the leading bits of their keys.

A run takes 10 to 30 ms to write, so a thread of its own does it: groups are committed meanwhile. An entry can be found
at each moment, for it is handed on to the next place before it leaves the one before: waiting, being written, on disk.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quanheng.kernel.bloom import Bloom
from quanheng.kernel.entries import NO_DECISION, ROW, Entries, Entry, entry_of
from quanheng.kernel.errors import EpochFenced, LogCorrupt, LogError
from quanheng.kernel.files import Files
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.records import DECISION, EVENT, Columns
from quanheng.kernel.wal import connect_durably

BUCKETS = 512
WAITING_MAX = 16384
"""Entries that make a run."""
BEHIND_MAX = 4 * WAITING_MAX
"""Entries that may wait while a run is being written; whoever adds more waits for the disk."""
ROOM = WAITING_MAX + 4096
PAGE_BYTES = 8192

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS mark (
  one INTEGER PRIMARY KEY CHECK (one = 1), upto INTEGER NOT NULL, entries INTEGER NOT NULL, runs INTEGER NOT NULL
);
INSERT OR IGNORE INTO mark VALUES (1, 0, 0, 0);
CREATE TABLE IF NOT EXISTS writer (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL);
INSERT OR IGNORE INTO writer VALUES (1, 0)
"""
# A bucket's row of run r has id r * BUCKETS + bucket, so new rows always go to the end of the file; the look-up steps
# from run to run inside SQLite.
_FIND = """
WITH RECURSIVE step(id) AS (SELECT ?1 WHERE ?1 >= 0 UNION ALL SELECT id - ?2 FROM step WHERE id >= ?2)
SELECT body FROM step JOIN buckets USING (id)
"""


class RequestIndex:
    """The index in the SQLite file `path`.

    Parameters
    ----------
    epoch : of the writer on whose behalf it is opened. Opening takes the file from every writer of an older epoch: each
        write checks the epoch in its own transaction, so a writer that was paused can never spoil what the new one has.

    Raises
    ------
    EpochFenced : a newer writer has opened the file
    """

    def __init__(
        self,
        path: str | Path,
        connect: Callable[..., Any] = sqlite3.connect,
        files: Files | None = None,
        epoch: int = 0,
    ) -> None:
        self.path, self.epoch = str(path), epoch
        self._connect_with, self._files = connect, files or Files()
        self._lock = threading.Lock()  # Of whoever changes what waits: add, flush, close.
        self._reading = threading.Lock()
        self._filter = Bloom()
        self.rebuilt = False
        self._db: Any = None
        self._reader: Any = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        try:
            self._open()
        except (sqlite3.DatabaseError, OSError) as error:
            if isinstance(error, (sqlite3.OperationalError, OSError)):
                raise self._failed("opened", error) from error
            self._begin_again()
        except EpochFenced:
            self._close_file()
            raise
        self._waiting, self._writing = Entries(ROOM, self._upto), Entries(0, self._upto)

    def _open(self) -> None:
        before = (f"PRAGMA page_size = {PAGE_BYTES}",)
        self._db = connect_durably(self.path, self._connect_with, self._files, before, synchronous="NORMAL")
        execute = self._db.execute
        for statement in _SCHEMA.split(";"):
            if statement.strip():
                execute(statement)
        execute("BEGIN IMMEDIATE")
        try:
            found = execute("SELECT epoch FROM writer").fetchall()[0][0]
            if found > self.epoch:
                raise self._fenced(found)
            execute("UPDATE writer SET epoch = ?", (self.epoch,))
            self._upto, self._stored, self._runs = execute("SELECT upto, entries, runs FROM mark").fetchall()[0]
        except BaseException:
            execute("ROLLBACK")
            raise
        execute("COMMIT")
        for (body,) in execute("SELECT body FROM buckets"):
            self._filter.add(np.ascontiguousarray(np.frombuffer(body, ROW)["key"]).tobytes())
        # Look-ups have a connection of their own, so that none waits for a run that is being written.
        self._reader = self._connect_with(self.path, isolation_level=None, check_same_thread=False)

    def _begin_again(self) -> None:
        """The file is damaged: the log holds everything, so start empty (see `rebuilt`) and be filled from it."""
        self._close_file()
        for ending in ("", "-wal", "-shm"):
            self._files.remove(Path(self.path + ending))
        self._filter = Bloom()
        self._open()
        self.rebuilt = True

    def _close_file(self) -> None:
        for connection in (self._reader, self._db):
            if connection is not None:
                connection.close()

    def lookup(self, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        """Entries of those `keys` (16 bytes each) that are known."""
        maybe = self._filter.maybe(b"".join(keys))
        if maybe is None:
            return {}
        found: dict[bytes, Entry] = {}
        for position in maybe:
            key = keys[position]  # The places in the order in which an entry goes through them.
            entry = self._waiting.find(key) or self._writing.find(key) or self._on_disk(key)
            if entry is not None:
                found[key] = entry
        return found

    def add(self, entries: Iterable[tuple[bytes, Entry]], upto_offset: int) -> None:
        """Add entries, one after another; else as `add_taken`."""
        new = dict(entries)
        events, digests, decisions = zip(*new.values(), strict=True) if new else ((), (), ())
        self.add_taken(list(new), events, b"".join(digests), decisions, upto_offset)

    def add_taken(
        self, keys: Sequence[bytes], events: Sequence[int], digests: bytes, decisions: Sequence[int], upto_offset: int
    ) -> None:
        """Add entries, given side by side; the index then covers the log up to (not with) `upto_offset`.

        Parameters
        ----------
        keys : of requests, 16 bytes each
        events, decisions : offsets of their events and decisions, `NO_DECISION` where there is none
        digests : of their contents, 16 bytes each, joined

        Raises
        ------
        LogError : a run that was written beside could not be: the index takes no more until `flush` succeeds
        EpochFenced : as `flush`
        """
        with self._lock:
            self._check_written()
            self._waiting.add(keys, events, digests, decisions, upto_offset)
            self._filter.add(b"".join(keys))
            self._upto = upto_offset
            if len(self._waiting) >= WAITING_MAX:
                self._write_beside()

    def add_columns(self, first: int, columns: Columns) -> None:
        """Add what a stretch of the log that begins at `first` says: used to catch up from the log."""
        keys = columns.request
        found: dict[int, tuple[bytes, Entry]] = {}
        events = np.flatnonzero((columns.kind == EVENT) & (keys[:, 0] | keys[:, 1] != 0))
        for i in events.tolist():
            found[first + i] = (keys[i].tobytes(), Entry(first + i, columns.digest[i].tobytes()))
        for i in np.flatnonzero((columns.kind == DECISION) & (columns.cause >= 0)).tolist():
            cause = int(columns.cause[i])
            pair = found.get(cause)
            if pair is not None and pair[1].decision == NO_DECISION:
                found[cause] = (pair[0], pair[1]._replace(decision=first + i))
        self.add(found.values(), first + len(columns))

    def catch_up(self, log: Log) -> int:
        """Add what the log holds beyond the watermark; the number of records read.

        Raises
        ------
        LogCorrupt : the index knows of records that the log does not have
        """
        if self._upto > log.head:
            raise LogCorrupt(
                "the log ends before what the request index has seen",
                where=self.path,
                found=f"{log.head} records",
                allowed=f"at least {self._upto}",
                cure="Restore the newer log; if the older one is meant, delete the index file to build it again.",
            )
        begun = self._upto
        for first, columns in log.read_columns(begun, 255, 255):
            self.add_columns(first, columns)
        return int(self._upto - begun)

    def watermark(self) -> int:
        """The index covers the log up to (not with) this offset; add again from here after opening."""
        return int(self._upto)

    def __len__(self) -> int:
        return int(self._stored) + len(self._writing) + len(self._waiting)

    def flush(self) -> None:
        """Write all that waits in memory, with the watermark; returns when it is written.

        Raises
        ------
        EpochFenced : a newer writer has the file
        LogError : the file cannot be written; what waits goes on waiting, and may be flushed again
        """
        with self._lock:
            self._await_run()
            if len(self._writing):  # Could not be written beside.
                self._write()
            self._hand_over()
            self._write()

    def close(self) -> None:
        """Flush and close. What waits is dropped where a newer writer has the file: it has read it from the log."""
        with contextlib.suppress(EpochFenced):
            self.flush()
        self._close_file()

    def _write_beside(self) -> None:
        """Begin to write what waits, in a thread, unless one is at it: then it goes on waiting, within bounds."""
        if self._thread is not None and self._thread.is_alive():
            if len(self._waiting) < BEHIND_MAX:
                return
            self._await_run()
        self._check_written()
        self._hand_over()
        self._thread = threading.Thread(target=self._write_and_remember, name="quanheng-index")
        self._thread.start()

    def _hand_over(self) -> None:
        waiting = self._waiting
        self._writing = waiting  # Before it leaves `_waiting`: a look-up in between finds each entry.
        self._waiting = Entries(ROOM, waiting.upto)

    def _await_run(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _check_written(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _write_and_remember(self) -> None:
        with contextlib.suppress(Exception):  # Boundary of the thread: the next `add` raises what `_write` remembers.
            self._write()

    def _write(self) -> None:
        """Write `_writing` in one transaction; while it cannot be, it stays there."""
        try:
            self._write_run(self._writing)
        except BaseException as error:
            self._failure = error
            raise
        self._failure = None
        self._writing = Entries(0, self._writing.upto)

    def _write_run(self, entries: Entries) -> None:
        rows = _bucketed(entries.rows(), self._runs)
        stored, runs = self._stored + len(entries), self._runs + bool(rows)
        execute = self._db.execute
        try:
            execute("BEGIN IMMEDIATE")
            found = execute("SELECT epoch FROM writer").fetchall()[0][0]
            if found != self.epoch:
                execute("ROLLBACK")
                raise self._fenced(found)
            self._db.executemany("INSERT INTO buckets VALUES (?, ?)", rows)
            execute("UPDATE mark SET upto = ?, entries = ?, runs = ?", (entries.upto, stored, runs))
            execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                execute("ROLLBACK")
            raise self._failed("written", error) from error
        self._stored, self._runs = stored, runs

    def _on_disk(self, key: bytes) -> Entry | None:
        """Look into the key's bucket of each run, the newest first."""
        last = (self._runs - 1) * BUCKETS + _bucket(key)
        try:
            with self._reading:
                rows = self._reader.execute(_FIND, (last, BUCKETS)).fetchall()
        except sqlite3.Error as error:
            raise self._failed("read", error) from error
        for (body,) in rows:
            at = body.find(key)
            while at >= 0:
                if at % ROW.itemsize == 0:
                    return entry_of(np.frombuffer(body, ROW, 1, at)[0])
                at = body.find(key, at + 1)
        return None

    def _fenced(self, found: int) -> EpochFenced:
        return EpochFenced(
            "a newer writer has taken over the request index",
            where=self.path,
            found=f"epoch {self.epoch}",
            allowed=f"epoch {found}",
            cure="Stop this writer; the other one goes on.",
        )

    def _failed(self, doing: str, error: Exception) -> LogError:
        return LogError(
            f"the request index cannot be {doing}",
            where=self.path,
            found=str(error),
            cure="Check the disk; delete the file to have it built again from the log.",
        )


def _bucket(key: bytes) -> int:
    return (key[0] | key[1] << 8) % BUCKETS


def _bucketed(rows: Any, run: int) -> list[tuple[int, bytes]]:
    """The rows of a run as rows of the table: id, bytes."""
    n = len(rows)
    buckets = (np.ascontiguousarray(rows["key"]).view("<u2").reshape(-1, 8)[:, 0] % BUCKETS).astype(np.int64)
    order = np.argsort(buckets, kind="stable")
    rows, buckets = rows[order], buckets[order]
    starts = np.flatnonzero(np.r_[True, buckets[1:] != buckets[:-1]]) if n else np.empty(0, np.int64)
    stops = np.r_[starts[1:], n]
    return [
        (run * BUCKETS + int(buckets[start]), rows[start:stop].tobytes())
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=False)
    ]
