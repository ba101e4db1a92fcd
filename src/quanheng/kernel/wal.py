"""Opening a SQLite file whose every commit must survive the loss of power (WAL, synchronous=FULL)."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from quanheng.kernel.files import Files

BUSY_TIMEOUT_S = 10.0
OPENINGS_MAX = 100


def connect_durably(
    path: str,
    connect: Callable[..., Any],
    files: Files,
    before: tuple[str, ...] = (),
    timeout_s: float = BUSY_TIMEOUT_S,
    synchronous: str = "FULL",
) -> Any:
    """A connection to `path` in WAL mode; what an earlier process left in the WAL is in the file.

    Parameters
    ----------
    connect : as `sqlite3.connect`
    files : the file layer; it must see the same disk as `connect`
    before : PRAGMA statements to run before the first page is written
    synchronous : FULL; NORMAL where losing the newest commits does no harm

    When the fsync of a commit fails, the system still shows the written frames but marks them clean, and no later fsync
    writes them. The next process would recover that commit from the WAL, move it into the file and empty the WAL; if
    the power fails before the emptying is on the disk, an old piece of the WAL is laid over the newer file, which
    breaks it (the store simulation found this). So the WAL is first written again in place, with the write lock held so
    that nobody appends meanwhile; then what SQLite recovers is what the disk holds.
    """
    connection = connect(path, isolation_level=None, check_same_thread=False, timeout=timeout_s)
    try:
        execute = connection.execute
        for statement in before:
            execute(statement).fetchall()
        _to_wal(execute)
        execute(f"PRAGMA synchronous = {synchronous}")
        execute("BEGIN IMMEDIATE")
        files.rewrite(Path(path + "-wal"))
        execute("ROLLBACK")
        execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.close()
        raise
    return connection


def _to_wal(execute: Callable[..., Any]) -> None:
    """Put the file into WAL mode.

    Changing the mode needs the file alone, and SQLite does not always wait for that: of two that change it at once one
    is told "locked" at once, since waiting could go on for ever. Taking the write lock does wait, for as long as the
    busy time-out says; after it the other one is mostly through and the mode is what it should be.
    """
    for turn in range(OPENINGS_MAX):
        try:
            if execute("PRAGMA journal_mode = WAL").fetchall()[0][0] == "wal":
                return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or turn == OPENINGS_MAX - 1:
                raise
        execute("BEGIN IMMEDIATE")
        execute("ROLLBACK")
