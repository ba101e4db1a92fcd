"""Destroying a subject's key in the file of keys, for good or not at all: no other process may hold its old bytes."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from quanheng.kernel.errors import AppendFailed, KeyRingBusy, LogError
from quanheng.kernel.wal import BUSY_TIMEOUT_S

ERASE_WAIT_MS = 1_000
"""How long an erasure waits for another process that holds the ring: payments wait meanwhile."""


@contextlib.contextmanager
def erasing(db: Any, subject: bytes, where: str) -> Iterator[Callable[[int], bool]]:
    """Hold the file for an erasure; within, record it, then call what is given with its log offset.

    Leaving with an error destroys nothing.

    Raises
    ------
    KeyRingBusy : another process holds the file; nothing was done
    LogError : the disk does not take it; nothing was done
    AppendFailed : the disk did not confirm the destruction; the next start completes it
    """
    db.execute(f"PRAGMA busy_timeout = {ERASE_WAIT_MS}")
    try:
        _claim(db, where)
        yield lambda upto: _destroy(db, subject, upto)
        try:
            db.execute("COMMIT")
        except sqlite3.Error as error:
            raise AppendFailed(
                "the key ring did not confirm the destruction of a key",
                where=where,
                found=str(error),
                cure="Check the disk (space, health), then start again: the start completes recorded erasures.",
            ) from error
    finally:
        with contextlib.suppress(sqlite3.Error):  # Nothing to take back after a commit.
            db.execute("ROLLBACK")
        db.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")


def truncate_wal(db: Any) -> bool:
    """Move the WAL into the file and empty it; False where a reader keeps it."""
    rows = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return not (rows and rows[0][0])


def _claim(db: Any, where: str) -> None:
    """Take the write lock, after making sure that no reader keeps old bytes in the WAL."""
    try:
        version = db.execute("PRAGMA user_version").fetchall()[0][0]
        db.execute(f"PRAGMA user_version = {(version + 1) & 0x7FFFFFFF}")  # A commit that a reader would keep back.
        if not truncate_wal(db):
            raise _busy(where, "is read by another process")
        db.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        if "locked" in str(error) or "busy" in str(error):
            raise _busy(where, str(error)) from error
        raise LogError(
            "the key ring cannot be written; nothing was erased",
            where=where,
            found=str(error),
            cure="Check the disk (space, health), then erase again.",
        ) from error


def _busy(where: str, found: str) -> KeyRingBusy:
    return KeyRingBusy(
        "another process holds the key ring; nothing was erased",
        where=where,
        found=found,
        cure="Close what reads or copies the key ring, then erase again.",
    )


def _destroy(db: Any, subject: bytes, upto: int) -> bool:
    gone = db.execute("DELETE FROM keys WHERE subject = ? RETURNING subject", (subject,)).fetchall()
    mark = "INSERT INTO erasures VALUES (?, ?) ON CONFLICT DO UPDATE SET upto = max(upto, excluded.upto)"
    db.execute(mark, (subject, upto))
    return bool(gone)
