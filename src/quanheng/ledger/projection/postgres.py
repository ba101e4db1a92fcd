"""The tables in PostgreSQL, in a schema of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from psycopg import sql

from quanheng.ledger.projection.schema import POSTGRES
from quanheng.ledger.projection.tables import Tables, refused

SCHEMA = "quanheng_ledger"


class PostgresTables(Tables):
    """The tables in the schema `schema` of a database, made if absent.

    Parameters
    ----------
    dsn : connection string of libpq
    """

    dialect = POSTGRES

    def __init__(self, dsn: str, schema: str = SCHEMA) -> None:
        self.place, self._schema = f"PostgreSQL schema {schema}", schema
        with self.guarded():
            self._connection = psycopg.connect(dsn, autocommit=True)
            name = sql.Identifier(schema)
            self._connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
            self._connection.execute(sql.SQL("SET search_path TO {}").format(name))

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Turns errors of the database into ConfigurationError."""
        try:
            yield
        except psycopg.Error as error:
            raise refused(self.place, error) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; the row of `projection` is locked by its update, which every portion begins with."""
        with self.guarded(), self._connection.transaction():
            yield

    def names(self) -> set[str]:
        """Tables and views that are there."""
        question = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s"
        return {row[0] for row in self.run(question, (self._schema,))}

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[Sequence[Any]]:
        """Rows of one statement."""
        cursor = self._connection.execute(cast(Any, statement), values)
        return list(cursor.fetchall()) if cursor.description else []

    def many(self, statement: str, rows: Sequence[Sequence[Any]]) -> int:
        """One statement for each row; how many rows it changed."""
        with self._connection.cursor() as cursor:
            cursor.executemany(cast(Any, statement), rows)
            return cursor.rowcount

    def load(self, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> None:
        """New rows of a table."""
        if not rows:
            return
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)

    def exact(self, total: int) -> int | str:
        """The number: numeric(39) holds it."""
        return total

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
