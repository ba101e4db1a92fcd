"""Many processes open one SQLite log at once: all get it, or one clear error where another really holds it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from quanheng.kernel.errors import LogError
from quanheng.kernel.log.sqlite import SqliteLogStore

PROCESSES, ROUNDS = 8, 50

OPENS = """
import sys
from quanheng.kernel.index import RequestIndex
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.kernel.seal import KeyRing
from quanheng.testing.log_store import row_at
folder, name = sys.argv[1:]
for line in sys.stdin:
    number = int(line)
    where = f"{folder}/{number // 2}"  # Every second round finds what the one before has made.
    try:
        store = SqliteLogStore(where + ".db")
        ring = KeyRing.open(where + "-keys") if number % 2 else None
        epoch = store.acquire(name)
        store.head()
        store.close()
        if ring:
            ring.close()
    except Exception as error:
        print(f"{type(error).__name__}: {error}", flush=True)
    else:
        print("opened", epoch, flush=True)
"""


def test_eight_processes_open_at_once_fifty_times(tmp_path):
    command = [sys.executable, "-c", OPENS, str(tmp_path)]
    openers = [
        subprocess.Popen([*command, f"p{number}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for number in range(PROCESSES)
    ]
    for number in range(ROUNDS):
        if number % 2 == 0:
            (tmp_path / f"{number // 2}-keys").mkdir()
            (tmp_path / f"{number // 2}-keys" / "master.key").write_text("11" * 32)
        for one in openers:
            one.stdin.write(f"{number}\n")
            one.stdin.flush()
        said = [one.stdout.readline().split() for one in openers]
        assert [words[0] for words in said] == ["opened"] * PROCESSES, said
        first = 1 if number % 2 == 0 else PROCESSES + 1
        assert sorted(int(words[1]) for words in said) == list(range(first, first + PROCESSES))
    for one in openers:
        one.stdin.close()
        assert one.wait(20) == 0


HOLDS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("exists", [False, True])
def test_a_file_that_another_process_keeps_is_told_in_one_clear_error(tmp_path, exists):
    path = tmp_path / "log.db"
    if exists:
        SqliteLogStore(path).close()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(LogError) as caught:
            SqliteLogStore(path, timeout_s=0.3)
        assert str(caught.value) == (
            f"{path}: another process holds the log file and did not let go in time (open); was database is locked. "
            "End what writes or copies the file, then start again."
        )
        other.stdin.close()
    SqliteLogStore(path).close()


LETS_GO = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(0.5)
connection.execute("COMMIT")
sys.stdin.read()
"""


@pytest.mark.parametrize("exists", [False, True])
def test_opening_waits_for_whoever_lets_go_in_time(tmp_path, exists):
    """Of two that put a new file into WAL mode at once SQLite tells one "locked", whatever the busy time-out."""
    path = tmp_path / "log.db"
    if exists:
        SqliteLogStore(path).close()
    with subprocess.Popen(
        [sys.executable, "-c", LETS_GO, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        store = SqliteLogStore(path)
        assert store.head() == 0
        store.close()
        other.stdin.close()
