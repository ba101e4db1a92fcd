"""A PostgreSQL server that closes connections: readers come back, the writer never does."""

from __future__ import annotations

import threading
import uuid

import psycopg
import pytest

from quanheng.kernel.errors import AppendFailed, LogError
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.postgres import PostgresLogStore


@pytest.fixture
def schema(postgres_dsn):
    name = f"quanheng_test_{uuid.uuid4().hex[:12]}"
    yield name
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')


def terminate(dsn: str, *connections: psycopg.Connection) -> None:
    """The server ends these connections, as a restart or a time-out does."""
    with psycopg.connect(dsn, autocommit=True) as other:
        for one in connections:
            pid = one.info.backend_pid
            assert other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,)).fetchone() == (True,)


def filled(dsn: str, schema: str, make_record, batches: int = 40) -> Log:
    log = Log.open(PostgresLogStore(dsn, schema), "one")
    for number in range(batches):
        log.append([make_record(number)], number)
    return log


def test_a_reader_comes_back_and_goes_on(postgres_dsn, schema, make_record):
    log = filled(postgres_dsn, schema, make_record)
    reader = Log.reader(PostgresLogStore(postgres_dsn, schema))
    store = reader.store
    for _ in range(3):
        terminate(postgres_dsn, store._readers.connection)
        assert store.head() == 40
    rows = reader.read(0)
    seen = [next(rows).first for _ in range(5)]
    terminate(postgres_dsn, store._readers.connection)  # In the middle of a long read.
    seen += [row.first for row in rows]
    assert seen == list(range(40))
    terminate(postgres_dsn, store._readers.connection)
    assert reader.verify().ok
    assert len(store._open) == 2  # The writer's and one reader's: those that were closed are forgotten.
    reader.close()
    log.close()


def test_each_thread_comes_back_by_itself(postgres_dsn, schema, make_record):
    log = filled(postgres_dsn, schema, make_record)
    begun, cut, heads = threading.Barrier(5), threading.Barrier(5), []

    def read():
        log.store.head()
        begun.wait(20)
        cut.wait(20)
        heads.append(log.store.head())

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    begun.wait(20)
    terminate(postgres_dsn, *(one for one in log.store._open if one is not log.store._writer))
    cut.wait(20)
    for thread in threads:
        thread.join()
    assert heads == [40] * 4
    log.close()


def test_the_writer_never_comes_back_and_reading_beside_it_goes_on(postgres_dsn, schema, make_record):
    log = filled(postgres_dsn, schema, make_record)
    terminate(postgres_dsn, log.store._writer)
    with pytest.raises(AppendFailed, match="the log store did not confirm a durable write"):
        log.append([make_record(40)], 40)
    with pytest.raises(AppendFailed, match="the log has stopped and takes no more records"):
        log.append([make_record(40)], 40)
    with pytest.raises(AppendFailed):  # Nor does the store below it, whatever it is asked.
        log.store.append(next(iter(log.store.read(39)))._replace(first=40), 40, log.epoch)
    assert log.store.head() == 40
    again = Log.open(PostgresLogStore(postgres_dsn, schema), "two")
    assert again.epoch == log.epoch + 1
    again.append([make_record(40)], 40)
    assert again.verify().ok
    log.close()
    again.close()


def test_a_writer_that_lost_its_connection_in_the_middle_of_an_append_is_through(postgres_dsn, schema, make_record):
    """The row of the tip is locked by another session, so the append waits; then its connection ends."""
    log = filled(postgres_dsn, schema, make_record, batches=3)
    failed = []

    def append():
        try:
            log.append([make_record(3)], 3)
        except LogError as error:
            failed.append(error)

    with psycopg.connect(postgres_dsn) as other:
        other.execute(f'SELECT * FROM "{schema}".tip FOR UPDATE')
        thread = threading.Thread(target=append)
        thread.start()
        terminate(postgres_dsn, log.store._writer)
        thread.join(20)
    assert isinstance(failed[0], AppendFailed)
    assert log.store.head() == 3
    log.close()


def test_a_server_that_stays_away_is_told(postgres_dsn, schema, make_record, monkeypatch):
    monkeypatch.setattr("quanheng.kernel.log.postgres.RECONNECT_S", (0.0, 0.01))
    log = filled(postgres_dsn, schema, make_record, batches=1)
    log.store.head()
    terminate(postgres_dsn, log.store._readers.connection)
    log.store.dsn = "host=127.0.0.1 port=1 connect_timeout=2"
    with pytest.raises(LogError, match=r"the log database cannot be used \(read\).*Check that the server runs"):
        log.store.head()
    log.close()
