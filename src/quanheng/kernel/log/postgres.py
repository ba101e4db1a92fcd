"""The log in PostgreSQL: the same promises as the SQLite store, kept by one row lock on the tip."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from psycopg import sql

from quanheng.kernel.errors import AppendFailed, ConfigurationError, LogCorrupt, LogError
from quanheng.kernel.log.sqlite import refusal
from quanheng.kernel.log.store import GENESIS_DIGEST, BatchRow, Tip, paged

RECONNECT_S = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Waits before each further attempt of a reader: a server that restarts is away for seconds."""

_SCHEMA = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {schema}.batches (
  first bigint PRIMARY KEY, count bigint NOT NULL, epoch bigint NOT NULL, received_ms bigint NOT NULL,
  peaks bytea NOT NULL, previous_root bytea NOT NULL, digest bytea NOT NULL, body bytea NOT NULL
);
ALTER TABLE {schema}.batches ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE TABLE IF NOT EXISTS {schema}.tip (
  one smallint PRIMARY KEY CHECK (one = 1), head bigint NOT NULL, epoch bigint NOT NULL, digest bytea NOT NULL,
  owner text NOT NULL
);
INSERT INTO {schema}.tip VALUES (1, 0, 0, '\\x{genesis}', '') ON CONFLICT DO NOTHING
"""


class PostgresLogStore:
    """A log store in the schema `schema` of a PostgreSQL database.

    A reader whose connection the server closed (a restart, a time-out) connects again and asks again: a read has no
    effect. The writer never does. An append whose connection broke may or may not be there, and between two connections
    another writer may have come and gone; only opening the log again, under a new epoch, can tell.

    Parameters
    ----------
    dsn : connection string of libpq
    schema : name of the schema that holds the two tables; made if absent
    connect : gives a psycopg connection
    """

    def __init__(self, dsn: str, schema: str = "quanheng", connect: Callable[..., Any] = psycopg.connect) -> None:
        self.dsn, self.schema = dsn, schema
        self._connect_with = connect
        self._lock = threading.Lock()
        self._readers = threading.local()
        self._open: list[Any] = []
        name = sql.Identifier(schema)
        self._advance = sql.SQL(
            "UPDATE {}.tip SET head = %s, digest = %b WHERE one = 1 AND head = %s AND epoch = %s RETURNING head"
        ).format(name)
        self._insert = sql.SQL("INSERT INTO {}.batches VALUES (%s, %s, %s, %s, %b, %b, %b, %b)").format(name)
        self._name = name
        self._writer = self._guard("open", self._prepare)

    def acquire(self, owner: str) -> int:
        """Become the writer: a new epoch, which fences every earlier writer."""
        statement = sql.SQL("UPDATE {}.tip SET epoch = epoch + 1, owner = %s WHERE one = 1 RETURNING epoch").format(
            self._name
        )
        with self._lock:
            return int(self._guard("acquire", lambda: self._writer.execute(statement, (owner,)).fetchone()[0]))

    def append(self, batch: BatchRow, expected_head: int, epoch: int) -> int:
        """Make `batch` durable and give the new head; see `LogStore.append`."""
        head = batch.first + batch.count
        with self._lock:
            try:
                with self._writer.transaction(), self._writer.cursor() as cursor:
                    moved = cursor.execute(self._advance, (head, batch.digest, expected_head, epoch)).fetchone()
                    if moved is not None and batch.first == expected_head:
                        cursor.execute(self._insert, batch)
                        refused = None
                    else:
                        refused = self._tip(self._writer)
                        raise psycopg.Rollback
            except psycopg.Error as error:
                raise AppendFailed(
                    "the log store did not confirm a durable write",
                    where=f"PostgreSQL schema {self.schema}",
                    found=" ".join(str(error).split()),
                    cure="Check the server, then start again; nothing acknowledged is lost.",
                ) from error
            if refused is not None:
                raise refusal(f"PostgreSQL schema {self.schema}", refused, batch.first, expected_head, epoch)
            return head

    def read(self, first: int, last: int | None = None, bodies: bool = True) -> Iterator[BatchRow]:
        """Batches that hold records with first <= offset < last, in order."""
        body = sql.SQL("body" if bodies else "''::bytea")
        statement = sql.SQL(
            "SELECT first, count, epoch, received_ms, peaks, previous_root, digest, {} FROM {}.batches"
            " WHERE first >= %s AND first < %s ORDER BY first LIMIT %s"
        ).format(body, self._name)
        below = sql.SQL("SELECT max(first) FROM {}.batches WHERE first <= %s").format(self._name)
        stop = 2**63 - 1 if last is None else last
        found = self._rows(below, (first,))[0][0]
        start = first if found is None else found
        return paged(lambda at, limit: self._rows(statement, (at, stop, limit)), first, start, bodies)

    def tip(self) -> Tip:
        """Head, epoch and last digest, read together."""
        made: Tip = self._reading(self._tip)
        return made

    def head(self) -> int:
        """Number of records."""
        return self.tip().head

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()
            self._readers = threading.local()

    def _connect(self) -> Any:
        connection = self._connect_with(self.dsn, autocommit=True)
        self._open.append(connection)
        return connection

    def _prepare(self) -> Any:
        connection = self._connect()
        if connection.execute("SHOW fsync").fetchone()[0] != "on":
            raise ConfigurationError(
                "the PostgreSQL server does not write durably",
                where=f"PostgreSQL schema {self.schema}",
                found="fsync = off",
                allowed="fsync = on",
                cure="Set fsync = on in postgresql.conf.",
            )
        connection.execute("SET synchronous_commit = on")
        connection.execute("SET client_min_messages = warning")
        if connection.info.server_version >= 140000:
            connection.execute("SET idle_session_timeout = 0")  # A quiet night must not end the writer.
        # Statements that define tables lock them against a writer at work, so they run only where there is none yet.
        if not self._exists(connection):
            with connection.transaction():
                # Two processes that open an empty database at once would both make the schema; one waits here.
                connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"quanheng {self.schema}",))
                if not self._exists(connection):
                    text = _SCHEMA.replace("{genesis}", GENESIS_DIGEST.hex())
                    connection.execute(sql.SQL(text).format(schema=self._name))
        return connection

    def _exists(self, connection: Any) -> bool:
        statement = "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = 'tip'"
        return connection.execute(statement, (self.schema,)).fetchone() is not None

    def _reader(self) -> Any:
        reader = getattr(self._readers, "connection", None)
        if reader is None:
            with self._lock:
                reader = self._readers.connection = self._connect()
        return reader

    def _rows(self, statement: Any, values: tuple[Any, ...]) -> list[Any]:
        rows: list[Any] = self._reading(
            lambda connection: connection.cursor(binary=True).execute(statement, values).fetchall()
        )
        return rows

    def _reading(self, ask: Callable[[Any], Any]) -> Any:
        """What `ask` gives on this thread's connection; on a new one where the server has closed it."""

        def attempt() -> Any:
            for wait_s in RECONNECT_S:
                try:
                    return ask(self._reader())
                except psycopg.OperationalError:
                    if not self._drop_closed_reader():
                        raise
                    time.sleep(wait_s)
            return ask(self._reader())

        return self._guard("read", attempt)

    def _drop_closed_reader(self) -> bool:
        """Forget this thread's connection if it is gone; False if it is alive, so that another try is no use."""
        reader = getattr(self._readers, "connection", None)
        if reader is None:
            return True
        if not reader.closed:
            return False
        with self._lock:
            self._readers.connection = None
            if reader in self._open:
                self._open.remove(reader)
        return True

    def _tip(self, connection: Any) -> Tip:
        statement = sql.SQL("SELECT head, epoch, digest FROM {}.tip WHERE one = 1").format(self._name)
        row = connection.execute(statement).fetchone()
        if row is None:
            raise LogCorrupt(
                "the row that holds head and epoch is gone",
                where=f"PostgreSQL schema {self.schema}",
                cure="Restore the log from a copy.",
            )
        return Tip._make(row)

    def _guard(self, doing: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except psycopg.Error as error:
            raise LogError(
                f"the log database cannot be used ({doing})",
                where=f"PostgreSQL schema {self.schema}",
                found=" ".join(str(error).split()),
                cure="Check that the server runs, the DSN is right and the role may create tables.",
            ) from error
