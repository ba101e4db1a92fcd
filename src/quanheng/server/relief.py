"""Moves what SQLite's write-ahead logs hold into their files, beside the writer.

SQLite does it by itself inside the commit that fills the log, which then takes 15 ms instead of one: everybody who
waits would wait for it. A passive checkpoint on a connection of its own goes on beside commits and holds up nobody;
what is left to the commit is little. Nothing depends on it: without it SQLite goes on as before.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from quanheng.server.config import Config

LOOK_S = 0.1
FILES = ("log.db", "index.db")  # Not the key ring's: erasing a key must find its log free to be emptied.


@contextlib.contextmanager
def relieved(config: Config, look_s: float = LOOK_S) -> Iterator[None]:
    """While inside, relieve the files of the data folder every `look_s` seconds, those that are there."""
    folder = Path(config.storage.data)
    paths = [folder / name for name in FILES if (folder / name).is_file()]
    end = threading.Event()
    thread = threading.Thread(target=_relieve, args=(paths, end, look_s), name="quanheng-relief", daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def _relieve(paths: list[Path], end: threading.Event, look_s: float) -> None:
    with contextlib.ExitStack() as open_files:
        connections = [open_files.enter_context(contextlib.closing(sqlite3.connect(path))) for path in paths]
        while not end.wait(look_s):
            for connection in connections:
                with contextlib.suppress(sqlite3.Error):  # The writer meets the same disk, and tells.
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
