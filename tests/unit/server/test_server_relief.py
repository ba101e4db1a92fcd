"""Write-ahead logs are moved into their files beside the writer, and nothing depends on it."""

from __future__ import annotations

import sqlite3
import threading
import time

import msgspec

from quanheng.server import config as configuration
from quanheng.server.relief import relieved


def made(folder):
    return msgspec.structs.replace(configuration.Config(), storage=configuration.Storage(data=str(folder)))


def writer(path):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("CREATE TABLE rows (body BLOB)")
    return connection


def helpers():
    return [thread for thread in threading.enumerate() if thread.name == "quanheng-relief"]


def test_what_a_writer_commits_reaches_the_file_while_the_writer_goes_on(tmp_path):
    connection = writer(tmp_path / "log.db")
    with relieved(made(tmp_path), look_s=0.005):
        for round in range(1, 4):
            connection.execute("INSERT INTO rows VALUES (randomblob(400000))")
            until_s = time.monotonic() + 10
            while (tmp_path / "log.db").stat().st_size < round * 400_000 and time.monotonic() < until_s:
                connection.execute("INSERT INTO rows VALUES (randomblob(10))")
                time.sleep(0.002)
            assert (tmp_path / "log.db").stat().st_size >= round * 400_000
    assert not helpers(), "it ends with the server"
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("SELECT count(*) FROM rows WHERE length(body) = 400000").fetchall() == [(3,)]
    connection.close()


def test_files_that_are_absent_are_not_made_and_a_broken_one_harms_nothing(tmp_path):
    (tmp_path / "index.db").write_bytes(b"this is not a database" * 500)
    with relieved(made(tmp_path), look_s=0.005):
        time.sleep(0.05)
        assert len(helpers()) == 1, "it goes on"
    assert not (tmp_path / "log.db").exists()


def test_the_key_ring_is_left_alone(tmp_path):
    keys = writer(tmp_path / "keys.db")
    before = (tmp_path / "keys.db").stat().st_size
    with relieved(made(tmp_path), look_s=0.005):
        keys.execute("INSERT INTO rows VALUES (randomblob(400000))")
        time.sleep(0.05)
    assert (tmp_path / "keys.db").stat().st_size == before
    keys.close()
