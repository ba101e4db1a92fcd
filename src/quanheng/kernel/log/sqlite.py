"""The log in one SQLite file: WAL, synchronous=FULL, one row per batch, one row for head and epoch."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from quanheng.kernel.errors import AppendFailed, EpochFenced, HeadMoved, LogCorrupt, LogError
from quanheng.kernel.files import Files
from quanheng.kernel.log.store import GENESIS_DIGEST, BatchRow, Tip, paged
from quanheng.kernel.log.witness import Witness
from quanheng.kernel.wal import connect_durably

FORMAT = 1
PAGE_BYTES = 16384
APPLICATION_ID = 0x51484C47  # "QHLG"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (
  first INTEGER PRIMARY KEY, count INTEGER NOT NULL, epoch INTEGER NOT NULL, received_ms INTEGER NOT NULL,
  peaks BLOB NOT NULL, previous_root BLOB NOT NULL, digest BLOB NOT NULL, body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS tip (
  one INTEGER PRIMARY KEY CHECK (one = 1), head INTEGER NOT NULL, epoch INTEGER NOT NULL, digest BLOB NOT NULL,
  owner TEXT NOT NULL
);
"""


class SqliteLogStore:
    """A log store in the SQLite file `path`.

    Parameters
    ----------
    path : the file; it and `-wal`, `-shm`, `.head` beside it belong to the store
    connect : gives a connection with the interface of `sqlite3`; the store simulation passes its own
    timeout_s : how long to wait for another process that is writing
    files : the file layer, which must see the same disk as `connect`
    witness : keep the file `.head` beside, which tells a cut WAL from one that ends early after a crash
    """

    def __init__(
        self,
        path: str | Path,
        connect: Callable[..., Any] = sqlite3.connect,
        timeout_s: float = 10.0,
        files: Files | None = None,
        witness: bool = True,
    ) -> None:
        self.path = str(path)
        self._connect_with, self._timeout_s, self._files = connect, timeout_s, files or Files()
        self._witness = Witness(self.path + ".head") if witness else None
        self._lock = threading.Lock()
        self._readers = threading.local()
        self._open: list[Any] = []
        self._writer = self._guard("open", self._prepare)

    def acquire(self, owner: str) -> int:
        """Become the writer: a new epoch, which fences every earlier writer."""
        with self._lock:
            return int(self._guard("acquire", lambda: self._acquire(owner)))

    def append(self, batch: BatchRow, expected_head: int, epoch: int) -> int:
        """Make `batch` durable and give the new head; see `LogStore.append`."""
        with self._lock:
            execute = self._writer.execute
            try:
                execute("BEGIN IMMEDIATE")
                moved = execute(
                    "UPDATE tip SET head = ?, digest = ? WHERE one = 1 AND head = ? AND epoch = ? RETURNING head",
                    (batch.first + batch.count, batch.digest, expected_head, epoch),
                ).fetchall()
                if moved and batch.first == expected_head:
                    execute("INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?)", batch)
                    execute("COMMIT")
                    if self._witness is not None:
                        self._witness.note(Tip(batch.first + batch.count, epoch, batch.digest))
                    return batch.first + batch.count
                tip = self._tip(self._writer)
            except sqlite3.Error as error:
                self._rollback()
                raise AppendFailed(
                    "the log store did not confirm a durable write",
                    where=self.path,
                    found=str(error),
                    cure="Check the disk (space, health), then start again; nothing acknowledged is lost.",
                ) from error
            self._rollback()
            raise refusal(self.path, tip, batch.first, expected_head, epoch)

    def read(self, first: int, last: int | None = None, bodies: bool = True) -> Iterator[BatchRow]:
        """Batches that hold records with first <= offset < last, in order."""
        body = "body" if bodies else "x''"
        sql = (
            f"SELECT first, count, epoch, received_ms, peaks, previous_root, digest, {body} FROM batches"
            " WHERE first >= ? AND first < ? ORDER BY first LIMIT ?"
        )
        stop = 2**63 - 1 if last is None else last
        found = self._rows("SELECT max(first) FROM batches WHERE first <= ?", (first,))
        start = found[0][0] if found and found[0][0] is not None else first
        return paged(lambda at, limit: self._rows(sql, (at, stop, limit)), first, start, bodies)

    def tip(self) -> Tip:
        """Head, epoch and last digest, read together."""
        made: Tip = self._guard("read", lambda: self._tip(self._reader()))
        return made

    def head(self) -> int:
        """Number of records."""
        return self.tip().head

    def close(self) -> None:
        """Close every connection; the last one moves the WAL into the file."""
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()
            if self._witness is not None:
                self._witness.close()
            self._readers = threading.local()

    def _connect(self) -> Any:
        connection = self._connect_with(
            self.path, isolation_level=None, check_same_thread=False, timeout=self._timeout_s
        )
        self._open.append(connection)
        return connection

    def _prepare(self) -> Any:
        remembered = self._witness.remembered() if self._witness is not None else None
        before = (f"PRAGMA page_size = {PAGE_BYTES}",)
        connection = connect_durably(self.path, self._connect_with, self._files, before, self._timeout_s)
        self._open.append(connection)
        execute = connection.execute
        execute("PRAGMA wal_autocheckpoint = 2048")
        execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA.split(";"):
            if statement.strip():
                execute(statement)
        execute("INSERT OR IGNORE INTO tip VALUES (1, 0, 0, ?, '')", (GENESIS_DIGEST,))
        execute(f"PRAGMA application_id = {APPLICATION_ID}")
        execute(f"PRAGMA user_version = {FORMAT}")
        execute("COMMIT")
        if self._witness is not None:
            self._witness.check(remembered, self._tip(connection))
        return connection

    def _acquire(self, owner: str) -> int:
        execute = self._writer.execute
        execute("BEGIN IMMEDIATE")
        rows = execute("UPDATE tip SET epoch = epoch + 1, owner = ? WHERE one = 1 RETURNING epoch", (owner,)).fetchall()
        execute("COMMIT")
        return int(rows[0][0])

    def _reader(self) -> Any:
        reader = getattr(self._readers, "connection", None)
        if reader is None:
            with self._lock:
                reader = self._readers.connection = self._connect()
        return reader

    def _rows(self, sql: str, values: tuple[Any, ...]) -> list[Any]:
        rows: list[Any] = self._guard("read", lambda: self._reader().execute(sql, values).fetchall())
        return rows

    def _tip(self, connection: Any) -> Tip:
        rows = connection.execute("SELECT head, epoch, digest FROM tip WHERE one = 1").fetchall()
        if not rows:
            raise LogCorrupt(
                "the row that holds head and epoch is gone", where=self.path, cure="Restore the log from a copy."
            )
        return Tip._make(rows[0])

    def _rollback(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself.
            self._writer.execute("ROLLBACK")

    def _guard(self, doing: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except (sqlite3.DatabaseError, OSError) as error:
            raise translated(error, self.path, doing) from error


def translated(error: sqlite3.Error | OSError, path: str, doing: str) -> LogError:
    """The error of ours that says what a SQLite error means for the log."""
    text = str(error)
    if (
        "malformed" in text
        or "not a database" in text
        or "corrupt" in text
        or "no such table" in text
        or "decode" in text
    ):
        return LogCorrupt(
            f"the log file is damaged ({doing})",
            where=path,
            found=text,
            cure="Restore the file from a copy; what came after that copy must come from its sources again.",
        )
    if "locked" in text or "busy" in text:
        return LogError(
            f"another process holds the log file and did not let go in time ({doing})",
            where=path,
            found=text,
            cure="End what writes or copies the file, then start again.",
        )
    return LogError(
        f"the log file cannot be used ({doing})",
        where=path,
        found=text,
        cure="Check that the folder exists, is writable, has space, and that no other process holds the file.",
    )


def refusal(where: str, tip: Tip, first: int, expected_head: int, epoch: int) -> LogError:
    """Why an append was refused."""
    if tip.epoch != epoch:
        return EpochFenced(
            "a newer writer has taken over the log",
            where=where,
            found=f"epoch {epoch}",
            allowed=f"epoch {tip.epoch}",
            cure="Stop this writer; the other one goes on.",
        )
    return HeadMoved(
        "the log does not end where this batch begins",
        where=where,
        found=f"batch at {first}, expected head {expected_head}",
        allowed=f"{tip.head}",
        cure="Open the log again and apply what was appended since.",
    )
