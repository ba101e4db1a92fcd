"""The tables in a database: what a portion needs of them, and how it is written in one transaction with its offset."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import ConfigurationError, InputError
from quanheng.kernel.log.store import GENESIS_DIGEST
from quanheng.ledger.projection.portion import Portion
from quanheng.ledger.projection.schema import (
    ACCOUNTS,
    AMENDED,
    DAYS,
    SCHEMA_VERSION,
    SQLITE,
    TABLE_NAMES,
    TOTALS,
    TRANSFERS,
    VIEW_NAMES,
    Dialect,
)

CACHE_KIB = 65_536
"""Memory that SQLite keeps pages in: ids come in no order, so every portion touches many."""
ASKED_AT_ONCE = 500
"""Ids in one question to the database; SQLite before 3.32 takes 999 values in a statement."""


class Reached(NamedTuple):
    """upto : the tables hold the first so many records of the log; digest : of the log's chain up to there"""

    upto: int
    digest: bytes


class Tables(ABC):
    """Tables and views of the projection in one database.

    Every portion is one transaction that also stores the offset reached, so a process that is killed leaves the tables
    as they were after some portion, and the next one goes on from there.
    """

    dialect: Dialect
    place: str

    def open(self, *, rebuild: bool = False) -> None:
        """Make what is not there; with `rebuild`, drop what is there first.

        Raises
        ------
        ConfigurationError : the database cannot be used
        InputError : it holds other tables, or those of another version
        """
        with self.transaction():
            names = self.names()
            ours = names.issuperset(TABLE_NAMES)  # All of them, lest tables of somebody else be dropped.
            if rebuild and ours:
                for view in VIEW_NAMES:
                    self.run(f"DROP VIEW IF EXISTS {view}")
                for table in TABLE_NAMES:
                    self.run(f"DROP TABLE IF EXISTS {table}")
            elif ours:
                self._check_version()
                return
            elif names:
                raise InputError(
                    "the database holds other tables",
                    where=self.place,
                    found=", ".join(sorted(names)[:5]),
                    cure="Give a database of its own, such as a file that does not exist yet.",
                )
            for statement in self.dialect.statements():
                self.run(statement)
            columns = "one", "schema_version", "projected_upto", "digest"
            made = self.dialect.insert("projection", columns)
            self.many(made, [(1, SCHEMA_VERSION, 0, GENESIS_DIGEST.hex())])

    def _check_version(self) -> None:
        [[found]] = self.run("SELECT schema_version FROM projection")
        if found != SCHEMA_VERSION:
            raise InputError(
                "the tables are of another version",
                where=self.place,
                found=str(found),
                allowed=str(SCHEMA_VERSION),
                cure="Project again from the beginning with --rebuild.",
            )

    def reached(self) -> Reached:
        """How far the tables are."""
        with self.guarded():
            [[upto, digest]] = self.run("SELECT projected_upto, digest FROM projection")
            return Reached(upto, bytes.fromhex(digest))

    def write(self, facts: np.ndarray, offsets: NDArray[np.int64], since: Reached, reached: Reached) -> None:
        """Fold facts into the tables and store how far they are, all or nothing.

        Parameters
        ----------
        facts : TRANSFER_FACT[n], the facts among the records since.upto <= offset < reached.upto
        offsets : int64[n], where each stands in the log

        Raises
        ------
        InputError : the tables are not where `since` says, or a fact refers to what they do not have
        ConfigurationError : the database refuses
        """
        moved = self.dialect.update("projection", ("projected_upto", "digest"), "projected_upto")
        with self.transaction():
            if self.many(moved, [(reached.upto, reached.digest.hex(), since.upto)]) != 1:
                raise InputError(
                    "another process projects into these tables",
                    where=self.place,
                    allowed=f"projected_upto = {since.upto}",
                    cure="Let one process follow the log into one database.",
                )
            self._write(Portion(facts, offsets, self._amounts, self._totals))

    def _write(self, portion: Portion) -> None:
        many, insert, update = self.many, self.dialect.insert, self.dialect.update
        books = portion.books
        for id, row in portion.opened.items():
            row.extend(map(self.exact, books.pop(id, [0] * 5)))
        self.load("accounts", ACCOUNTS, list(portion.opened.values()))
        many(update("accounts", AMENDED, "id"), [(*rules, id) for id, rules in portion.amended.items()])
        self.load("transfers", TRANSFERS, portion.transfers)
        self.load("burnt_ids", ("log_offset", "id", "applied_ms"), portion.burnt)
        many(update("transfers", ("hold_state", "settled_offset"), "id"), portion.settled)
        taken = (
            f"UPDATE transfers SET reversed_minor = reversed_minor + {self.dialect.mark} WHERE id = {self.dialect.mark}"
        )
        many(taken, [(amount, id) for id, amount in portion.reversed.items()])
        many(update("accounts", (*TOTALS, "lines"), "id"), [(*map(self.exact, book), id) for id, book in books.items()])
        newer = ", ".join(f"{name} = excluded.{name}" for name in TOTALS)
        kept = insert("balances_daily", DAYS, f" ON CONFLICT (account, business_day) DO UPDATE SET {newer}")
        many(kept, [(account, day, *map(self.exact, book)) for (account, day), book in portion.days.items()])

    def _amounts(self, ids: list[str]) -> dict[str, int]:
        return {row[0]: row[1] for row in self._asked("SELECT id, amount_minor FROM transfers WHERE id IN", ids)}

    def _totals(self, ids: list[str]) -> dict[str, list[int]]:
        rows = self._asked(f"SELECT id, {', '.join(TOTALS)}, lines FROM accounts WHERE id IN", ids)
        return {id: [int(one) for one in numbers] for id, *numbers in rows}

    def _asked(self, question: str, ids: list[str]) -> Iterator[Sequence[Any]]:
        for first in range(0, len(ids), ASKED_AT_ONCE):
            some = ids[first : first + ASKED_AT_ONCE]
            yield from self.run(f"{question} ({', '.join([self.dialect.mark] * len(some))})", some)

    # --- what each database does its own way

    @abstractmethod
    def guarded(self) -> AbstractContextManager[None]:
        """Turns errors of the database into ConfigurationError."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing, and no other writer meanwhile; guarded."""

    @abstractmethod
    def names(self) -> set[str]:
        """Tables and views that are there."""

    @abstractmethod
    def run(self, statement: str, values: Sequence[Any] = ()) -> list[Sequence[Any]]:
        """Rows of one statement."""

    @abstractmethod
    def many(self, statement: str, rows: Sequence[Sequence[Any]]) -> int:
        """One statement for each row; how many rows it changed."""

    @abstractmethod
    def load(self, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> None:
        """New rows of a table."""

    @abstractmethod
    def exact(self, total: int) -> int | str:
        """A total as its column takes it."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""


class SqliteTables(Tables):
    """The tables in a SQLite file, made if absent, with a write-ahead log: readers are not kept waiting.

    Needs SQLite 3.37 or newer, for readers too (strict tables).
    """

    dialect = SQLITE

    def __init__(self, file: Path) -> None:
        self.place = str(file)
        with self.guarded():
            self._connection = sqlite3.connect(file, timeout=30, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Turns errors of the database into ConfigurationError."""
        try:
            yield
        except sqlite3.Error as error:
            raise refused(self.place, error) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and no other writer meanwhile; guarded."""
        with self.guarded():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def names(self) -> set[str]:
        """Tables and views that are there."""
        return {row[0] for row in self.run("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[Sequence[Any]]:
        """Rows of one statement."""
        return self._connection.execute(statement, values).fetchall()

    def many(self, statement: str, rows: Sequence[Sequence[Any]]) -> int:
        """One statement for each row; how many rows it changed."""
        return self._connection.executemany(statement, rows).rowcount

    def load(self, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> None:
        """New rows of a table."""
        self._connection.executemany(self.dialect.insert(table, columns), rows)

    def exact(self, total: int) -> int | str:
        """An integer up to 64 bits, else its decimal digits: SQLite would round it to a float."""
        return total if total < 2**63 else str(total)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def refused(place: str, error: Exception) -> ConfigurationError:
    """What a database did not do."""
    return ConfigurationError(
        "the database of the tables refused",
        where=place,
        found=" ".join(str(error).split()),
        cure="Check that it can be written to, and drop views of your own before --rebuild.",
    )
