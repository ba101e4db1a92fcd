"""The peers of the ledger's benches: the same law in SQL, set-based, a batch of transfers a transaction, fsync on.

The law: an id is applied once (a repeat changes nothing); a bound account's debits never exceed its credits, at no
place within the batch; both totals of each account are kept. One batch is one statement where it can be (PostgreSQL),
or a few over a temporary table (SQLite). A batch in which an account would be overdrawn is rolled back; a caller would
then go through it row by row, which the benches never make them do.

The comparison favours us: no index on disk, no replication, no other reader of the tables, all state in memory. It
favours the peers too: they give no balances with the answers, keep no holds, limits, chains or chain of digests.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np

ACCOUNTS = 1_000
FUNDED_MINOR = 1 << 40

_SQLITE = """
CREATE TABLE accounts (
  id INTEGER PRIMARY KEY, bound INTEGER NOT NULL, debits INTEGER NOT NULL, credits INTEGER NOT NULL
);
CREATE TABLE transfers (
  id INTEGER PRIMARY KEY, debit INTEGER NOT NULL, credit INTEGER NOT NULL, amount INTEGER NOT NULL,
  code INTEGER NOT NULL
);
CREATE TEMP TABLE batch (
  place INTEGER PRIMARY KEY, id INTEGER, debit INTEGER, credit INTEGER, amount INTEGER, code INTEGER
);
CREATE TEMP TABLE legs (account INTEGER, place INTEGER, debit INTEGER, credit INTEGER)
"""
_SQLITE_BATCH = (
    "DELETE FROM batch WHERE id IN (SELECT id FROM transfers)",
    "INSERT INTO legs SELECT debit, place, amount, 0 FROM batch UNION ALL SELECT credit, place, 0, amount FROM batch",
)
_SQLITE_CHECK = """
SELECT count(*) FROM (
  SELECT account, sum(credit - debit) OVER (PARTITION BY account ORDER BY place) AS moved FROM legs
) JOIN accounts ON id = account WHERE bound AND credits - debits + moved < 0
"""
_SQLITE_APPLY = (
    "INSERT INTO transfers SELECT id, debit, credit, amount, code FROM batch",
    """UPDATE accounts SET debits = debits + d, credits = credits + c FROM
       (SELECT account, sum(debit) AS d, sum(credit) AS c FROM legs GROUP BY account) AS sums WHERE id = account""",
    "DELETE FROM batch",
    "DELETE FROM legs",
)

_POSTGRES = """
CREATE TABLE {0}.accounts (
  id bigint PRIMARY KEY, bound boolean NOT NULL, debits bigint NOT NULL, credits bigint NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE {0}.transfers (
  id bigint PRIMARY KEY, debit bigint NOT NULL, credit bigint NOT NULL, amount bigint NOT NULL, code int NOT NULL
)
"""
_POSTGRES_BATCH = """
WITH batch AS (
  SELECT * FROM unnest(%b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::int[])
  WITH ORDINALITY AS one(id, debit, credit, amount, code, place)
), fresh AS (
  INSERT INTO {0}.transfers SELECT id, debit, credit, amount, code FROM batch ORDER BY place
  ON CONFLICT DO NOTHING RETURNING id
), legs AS (
  SELECT leg.* FROM batch JOIN fresh USING (id),
  LATERAL (VALUES (debit, place, amount, 0::bigint), (credit, place, 0::bigint, amount)) AS leg(account, place, d, c)
), moved AS (
  SELECT account, d, c, sum(c - d) OVER (PARTITION BY account ORDER BY place) AS at_once FROM legs
), sums AS (
  SELECT account, sum(d) AS d, sum(c) AS c, min(at_once) AS lowest FROM moved GROUP BY account
), changed AS (
  UPDATE {0}.accounts SET debits = debits + d, credits = credits + c FROM sums WHERE id = account
  RETURNING bound AND credits - debits - (c - d) + lowest < 0 AS overdrawn
)
SELECT (SELECT count(*) FROM fresh), coalesce(bool_or(overdrawn), false) FROM changed
"""


class SqlitePeer:
    """SQLite: WAL, synchronous=FULL, a large cache, rowid tables, prepared statements."""

    def __init__(self, folder: Path) -> None:
        self._db = sqlite3.connect(folder / "peer.db", isolation_level=None, cached_statements=64)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-262144", "temp_store=MEMORY"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_SQLITE)
        rows = [(one, 1, 0, FUNDED_MINOR) for one in range(1, ACCOUNTS + 1)]
        self._db.executemany("INSERT INTO accounts VALUES (?, ?, ?, ?)", rows)

    def post(self, requests: np.ndarray) -> int:
        """Apply a batch; how many were new."""
        execute, columns = self._db.execute, columns_of(requests)
        execute("BEGIN IMMEDIATE")
        rows = zip(range(len(requests)), *columns, strict=True)
        self._db.executemany("INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?)", rows)
        for statement in _SQLITE_BATCH:
            execute(statement)
        ((overdrawn,),) = execute(_SQLITE_CHECK).fetchall()
        assert not overdrawn, "the benches overdraw nothing"
        fresh = execute(_SQLITE_APPLY[0]).rowcount
        for statement in _SQLITE_APPLY[1:]:
            execute(statement)
        execute("COMMIT")
        return fresh

    def totals(self) -> tuple[int, int]:
        """Debits of all accounts, and of those with an odd id."""
        ((every, odd),) = self._db.execute("SELECT sum(debits), sum(debits * (id % 2)) FROM accounts").fetchall()
        return every, odd

    def close(self) -> None:
        """Close the file."""
        self._db.close()


class PostgresPeer:
    """PostgreSQL: one prepared statement a batch, arrays in binary, synchronous_commit as the server has it (on)."""

    def __init__(self, dsn: str, schema: str = "quanheng_bench_peer") -> None:
        import psycopg

        self._db, self._schema = psycopg.connect(dsn, autocommit=True), schema
        self._db.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        self._db.execute(f"CREATE SCHEMA {schema}")
        for statement in _POSTGRES.format(schema).split(";"):
            self._db.execute(statement)
        funded = f"SELECT one, true, 0, {FUNDED_MINOR} FROM generate_series(1, {ACCOUNTS}) AS one"
        self._db.execute(f"INSERT INTO {schema}.accounts {funded}")
        self._db.execute(f"ANALYZE {schema}.accounts")
        self._statement = _POSTGRES_BATCH.format(schema)

    def settings(self) -> dict[str, Any]:
        """What the server does to make a commit durable."""
        return {name: self._db.execute(f"SHOW {name}").fetchone()[0] for name in ("fsync", "synchronous_commit")}

    def post(self, requests: np.ndarray) -> int:
        """Apply a batch; how many were new."""
        with self._db.transaction():
            fresh, overdrawn = self._db.execute(self._statement, columns_of(requests), prepare=True).fetchone()
            assert not overdrawn, "the benches overdraw nothing"
        return int(fresh)

    def totals(self) -> tuple[int, int]:
        """Debits of all accounts, and of those with an odd id."""
        row = self._db.execute(
            f"SELECT sum(debits), sum(debits * (id %% 2)) FROM {self._schema}.accounts", ()
        ).fetchone()
        return int(row[0]), int(row[1])

    def close(self) -> None:
        """Drop the tables."""
        self._db.execute(f"DROP SCHEMA {self._schema} CASCADE")
        self._db.close()


def columns_of(requests: np.ndarray) -> list[list[int]]:
    """id, debit, credit, amount, code of requests, as SQL takes them."""
    return [requests[name].tolist() for name in ("id_lo", "debit_lo", "credit_lo", "amount_minor", "code")]
