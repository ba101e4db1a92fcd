"""The request index: which request is recorded at which offset, so that a repeated request gets the recorded answer.

A fold of the log, kept in SQLite (WAL, synchronous=NORMAL) with its watermark in the same transaction; what a crash
takes from it is added again from the log. Almost every look-up is a miss, so a filter in memory answers those; new
entries wait in memory and go to the disk in runs of thousands, spread over buckets by the leading bits of their keys.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from quanheng.kernel.errors import EpochFenced, LogCorrupt, LogError
from quanheng.kernel.files import Files
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.records import DECISION, EVENT, Columns
from quanheng.kernel.wal import connect_durably

NO_DECISION = -1
BUCKETS = 512
WAITING_MAX = 16384
FILTER_BITS_PER_KEY = 16
FIRST_LAYER_KEYS = 1 << 20
PAGE_BYTES = 8192

_ROW = np.dtype([("key", "V16"), ("event", "<i8"), ("digest", "V16"), ("decision", "<i8")])
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


class Entry(NamedTuple):
    """Where a request is recorded: offset of its event, digest of its content, offset of its decision (-1 none)."""

    event: int
    digest: bytes
    decision: int = NO_DECISION


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
        self._lock = threading.RLock()
        self._waiting: dict[bytes, Entry] = {}
        self._filter = _Filter()
        self.rebuilt = False
        self._db: Any = None
        try:
            self._open()
        except (sqlite3.DatabaseError, OSError) as error:
            if isinstance(error, (sqlite3.OperationalError, OSError)):
                raise self._failed("opened", error) from error
            self._begin_again()
        except EpochFenced:
            self._close_file()
            raise

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
            self._filter.add(np.ascontiguousarray(np.frombuffer(body, _ROW)["key"]).tobytes())

    def _begin_again(self) -> None:
        """The file is damaged: the log holds everything, so start empty (see `rebuilt`) and be filled from it."""
        self._close_file()
        for ending in ("", "-wal", "-shm"):
            self._files.remove(Path(self.path + ending))
        self._filter = _Filter()
        self._open()
        self.rebuilt = True

    def _close_file(self) -> None:
        if self._db is not None:
            self._db.close()

    def lookup(self, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        """Entries of those `keys` (16 bytes each) that are known."""
        maybe = self._filter.maybe(b"".join(keys))
        if maybe is None:
            return {}
        found: dict[bytes, Entry] = {}
        waiting = self._waiting
        for position in maybe:
            key = keys[position]
            entry = waiting.get(key) or self._on_disk(key)
            if entry is not None:
                found[key] = entry
        return found

    def add(self, entries: Iterable[tuple[bytes, Entry]], upto_offset: int) -> None:
        """Add entries; the index then covers the log up to (not with) `upto_offset`."""
        with self._lock:
            new = dict(entries)
            self._waiting.update(new)
            self._filter.add(b"".join(new))
            self._upto = upto_offset
            if len(self._waiting) >= WAITING_MAX:
                self.flush()

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
        return int(self._stored) + len(self._waiting)

    def flush(self) -> None:
        """Write what waits in memory, with the watermark, in one transaction."""
        with self._lock:
            rows = _bucketed(self._waiting, self._runs)
            stored, runs = self._stored + len(self._waiting), self._runs + bool(rows)
            try:
                self._db.execute("BEGIN IMMEDIATE")
                found = self._db.execute("SELECT epoch FROM writer").fetchall()[0][0]
                if found != self.epoch:
                    self._db.execute("ROLLBACK")
                    raise self._fenced(found)
                self._db.executemany("INSERT INTO buckets VALUES (?, ?)", rows)
                self._db.execute("UPDATE mark SET upto = ?, entries = ?, runs = ?", (self._upto, stored, runs))
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise self._failed("written", error) from error
            self._stored, self._runs, self._waiting = stored, runs, {}

    def close(self) -> None:
        """Flush and close. What waits is dropped where a newer writer has the file: it has read it from the log."""
        with self._lock:
            with contextlib.suppress(EpochFenced):
                self.flush()
            self._db.close()

    def _on_disk(self, key: bytes) -> Entry | None:
        """Look into the key's bucket of each run, the newest first."""
        last = (self._runs - 1) * BUCKETS + _bucket(key)
        try:
            with self._lock:
                rows = self._db.execute(_FIND, (last, BUCKETS)).fetchall()
        except sqlite3.Error as error:
            raise self._failed("read", error) from error
        for (body,) in rows:
            at = body.find(key)
            while at >= 0:
                if at % _ROW.itemsize == 0:
                    event, digest, decision = np.frombuffer(body, _ROW, 1, at)[0].tolist()[1:]
                    return Entry(event, bytes(digest), decision)
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


class _Filter:
    """Layers of Bloom filters, each twice the one before: what it denies is surely absent. Keys are digests already."""

    def __init__(self) -> None:
        self._layers = [np.zeros(FIRST_LAYER_KEYS * FILTER_BITS_PER_KEY // 64, np.uint64)]
        self._room = FIRST_LAYER_KEYS

    def add(self, keys: bytes) -> None:
        pairs = np.frombuffer(keys, "<u8").reshape(-1, 2)
        if len(pairs) > self._room:
            size = len(self._layers[-1]) * 2
            self._layers.append(np.zeros(size, np.uint64))
            self._room = size * 64 // FILTER_BITS_PER_KEY
        self._room -= len(pairs)
        _add(self._layers[-1], pairs)

    def maybe(self, keys: bytes) -> list[int] | None:
        """Positions of the keys that may be present; None if there are none."""
        pairs = np.frombuffer(keys, "<u8").reshape(-1, 2)
        hit = np.zeros(len(pairs), np.uint8)
        total = 0
        for layer in self._layers:
            total += _test(layer, pairs, hit)
        return np.flatnonzero(hit).tolist() if total else None


def _bucket(key: bytes) -> int:
    return (key[0] | key[1] << 8) % BUCKETS


def _bucketed(waiting: dict[bytes, Entry], run: int) -> list[tuple[int, bytes]]:
    n = len(waiting)
    rows = np.empty(n, _ROW)
    rows["key"] = np.frombuffer(b"".join(waiting), "V16")
    entries = list(waiting.values())
    rows["event"] = [entry.event for entry in entries]
    rows["digest"] = np.frombuffer(b"".join([entry.digest for entry in entries]), "V16")
    rows["decision"] = [entry.decision for entry in entries]
    buckets = (np.frombuffer(b"".join(waiting), "<u2").reshape(-1, 8)[:, 0] % BUCKETS).astype(np.int64)
    order = np.argsort(buckets, kind="stable")
    rows, buckets = rows[order], buckets[order]
    starts = np.flatnonzero(np.r_[True, buckets[1:] != buckets[:-1]]) if n else np.empty(0, np.int64)
    stops = np.r_[starts[1:], n]
    return [
        (run * BUCKETS + int(buckets[start]), rows[start:stop].tobytes())
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=False)
    ]


@njit(cache=True)
def _add(bits: Any, pairs: Any) -> None:
    mask = np.uint64(bits.shape[0] * 64 - 1)
    for i in range(pairs.shape[0]):
        a = pairs[i, 0]
        step = pairs[i, 1] | np.uint64(1)
        for _ in range(5):
            a += step
            at = (a ^ (a >> np.uint64(29))) & mask
            bits[at >> np.uint64(6)] |= np.uint64(1) << (at & np.uint64(63))


@njit(cache=True)
def _test(bits: Any, pairs: Any, hit: Any) -> Any:
    mask = np.uint64(bits.shape[0] * 64 - 1)
    total = 0
    for i in range(pairs.shape[0]):
        a = pairs[i, 0]
        step = pairs[i, 1] | np.uint64(1)
        present = True
        for _ in range(5):
            a += step
            at = (a ^ (a >> np.uint64(29))) & mask
            if not (bits[at >> np.uint64(6)] >> (at & np.uint64(63))) & np.uint64(1):
                present = False
                break
        if present:
            hit[i] = 1
            total += 1
    return total
