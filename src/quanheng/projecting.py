"""The ledger's facts read from the log into tables for SQL users, portion by portion, beside the writer.

The tables are derived: nothing on the way of a request knows of them. They go on from the offset that they store, and
only on the log that they were made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from quanheng.kernel.errors import InputError, LogCorrupt
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.records import TRANSFER, Columns
from quanheng.ledger.projection.postgres import PostgresTables
from quanheng.ledger.projection.tables import Reached, SqliteTables, Tables
from quanheng.ledger.records import facts_of
from quanheng.ledger.wire import TRANSFER_FACT
from quanheng.recovery import read_batches

PORTION_FACTS = 20_000
"""Facts after which a portion ends, with the batch that they are in."""


class Projected(NamedTuple):
    """A portion: the offset that the tables reached with it, and how many facts of the ledger were in it."""

    upto: int
    facts: int


def open_tables(to: str, *, rebuild: bool = False) -> Tables:
    """The tables at a place: the URL of a PostgreSQL database, else the path of a SQLite file. Made if absent.

    Raises
    ------
    ConfigurationError : the database cannot be used
    InputError : it holds other tables, or those of another version
    """
    tables = PostgresTables(to) if to.startswith(("postgresql://", "postgres://")) else SqliteTables(Path(to))
    try:
        tables.open(rebuild=rebuild)
    except BaseException:
        tables.close()
        raise
    return tables


def project(log: Log, tables: Tables, portion_facts: int = PORTION_FACTS) -> Iterator[Projected]:
    """Bring the tables to the newest committed record, portion by portion; each is durable when it is given.

    Raises
    ------
    InputError : the tables were made of another log, or another process writes them
    LogCorrupt : the log is not what was written
    """
    since, head = tables.reached(), log.store.head()
    _check_timeline(log, tables, since, head)
    facts: list[np.ndarray] = []
    offsets: list[np.ndarray] = []
    held = upto = 0
    for first, part in read_batches(log, since.upto, head):
        found, where = _facts_of(first, part)
        upto, held = first + len(part), held + len(found)
        facts.append(found)
        offsets.append(where)
        if held >= portion_facts or upto == head:
            reached = Reached(upto, log.digest_at(upto))
            tables.write(np.concatenate(facts), np.concatenate(offsets), since, reached)
            yield Projected(upto, held)
            since, facts, offsets, held = reached, [], [], 0


def _facts_of(first: int, part: Columns | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """TRANSFER_FACT[n] of a part of the log that begins at offset `first`, and the offset of each."""
    if not isinstance(part, Columns):
        return part, np.arange(first, first + len(part), dtype=np.int64)
    where = np.flatnonzero(part.kind == TRANSFER)
    if not len(where):
        return np.empty(0, TRANSFER_FACT), where.astype(np.int64)
    return facts_of(part.body, part.position[where]), first + where.astype(np.int64)


def _check_timeline(log: Log, tables: Tables, since: Reached, head: int) -> None:
    try:
        same = since.upto <= head and log.digest_at(since.upto) == since.digest
    except LogCorrupt:  # No batch of this log ends there.
        same = False
    if not same:
        raise InputError(
            "the tables were made of another log than this one",
            where=tables.place,
            found=f"digest {since.digest.hex()[:16]} at offset {since.upto}; the log has {head} records",
            allowed="tables of the same log, or empty ones",
            cure="Was the log restored from a copy? Project again from the beginning with --rebuild.",
        )
