"""Both stores pass the conformance kit; two processes can never both write; errors say what to do."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import pytest

from quanheng.kernel.errors import AppendFailed, ConfigurationError, LogCorrupt, LogError
from quanheng.kernel.log.postgres import PostgresLogStore
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.testing import log_store

WRITER = """
import sys
from quanheng.kernel.errors import EpochFenced, HeadMoved
from quanheng.kernel.log.postgres import PostgresLogStore
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.testing.log_store import row_at
kind, where, schema, name = sys.argv[1:]
store = SqliteLogStore(where) if kind == "sqlite" else PostgresLogStore(where, schema)
print("ready", flush=True)
sys.stdin.readline()
for turn in range(40):
    epoch = store.acquire(name)
    head = store.head()
    try:
        for step in range(3):
            store.append(row_at(head, 1, epoch, f"{name} {turn} {step}".encode()), head, epoch)
            print(head, f"{name} {turn} {step}", flush=True)
            head += 1
    except (EpochFenced, HeadMoved):
        pass
"""


@pytest.mark.parametrize("check", log_store.CHECKS, ids=lambda check: check.__name__)
def test_store_conforms(check, open_store):
    check(open_store)


def test_two_processes_never_both_write(open_store):
    store = open_store()
    where = ["sqlite", store.path, "-"] if isinstance(store, SqliteLogStore) else ["postgres", store.dsn, store.schema]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, *where, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in ("a", "b")
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    acknowledged = {}
    for writer in writers:
        for line in writer.communicate()[0].splitlines():
            head, _, body = line.partition(" ")
            assert head not in acknowledged, "both processes were told that they wrote this offset"
            acknowledged[head] = body
        assert writer.returncode == 0
    rows = list(store.read(0))
    assert {str(row.first): row.body.decode() for row in rows} == acknowledged
    assert [row.first for row in rows] == list(range(store.head()))
    store.close()


def test_a_failed_write_is_reported_with_its_cause(tmp_path):
    store = SqliteLogStore(tmp_path / "log.db")
    epoch = store.acquire("one")
    store.append(log_store.row_at(0, 1, epoch), 0, epoch)
    store._writer.execute("PRAGMA max_page_count = 4")
    with pytest.raises(AppendFailed, match=r"did not confirm a durable write; was .*full\. Check the disk"):
        store.append(log_store.row_at(1, 1, epoch, bytes(1_000_000)), 1, epoch)
    store.close()
    again = SqliteLogStore(tmp_path / "log.db")
    assert again.head() == 1
    again.close()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "log.db").write_bytes(b"something else, long enough to be looked at" * 100)
    with pytest.raises(LogCorrupt, match=r"log file is damaged .*not a database\. Restore the file from a copy"):
        SqliteLogStore(tmp_path / "log.db")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LogError, match=r"cannot be used \(open\).*Check that the folder exists"):
        SqliteLogStore(tmp_path / "absent" / "log.db")


def test_a_lost_tip_is_corruption(open_store):
    store = open_store()
    if isinstance(store, SqliteLogStore):
        with sqlite3.connect(store.path) as connection:
            connection.execute("DELETE FROM tip")
        connection.close()
    else:
        store._writer.execute(f"DELETE FROM {store.schema}.tip")
    with pytest.raises(LogCorrupt, match="the row that holds head and epoch is gone"):
        store.tip()
    store.close()


def test_a_server_that_does_not_answer_is_named():
    with pytest.raises(LogError, match=r"log database cannot be used \(open\).*Check that the server runs"):
        PostgresLogStore("host=127.0.0.1 port=1 connect_timeout=2")


def test_a_server_that_does_not_sync_is_refused():
    class Unsafe:
        def __init__(self, dsn, autocommit):
            self.answer = ("off",)

        def execute(self, statement):
            assert statement == "SHOW fsync"
            return self

        def fetchone(self):
            return self.answer

    with pytest.raises(ConfigurationError, match=r"does not write durably; was fsync = off; .*Set fsync = on"):
        PostgresLogStore("host=nowhere", connect=Unsafe)
