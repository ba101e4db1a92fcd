"""Cold keys: where they lie on disk, and how their records come back into an arena.

The store is a cache of a fold, not a record of anything: it lives as long as the process that folds (its file has no
name any more once it is open), is never synchronised, and after a crash state comes from snapshot and log as always.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from quanheng.features.kernel import cold as kernel
from quanheng.features.kernel import words as w
from quanheng.kernel.bloom import Bloom

if TYPE_CHECKING:
    from quanheng.features.state import FeatureState

COLD = "cold"
"""Name of the cold keys in a dump: i8, per key the number of its table, the words of its record, and the record."""

BATCH = 1024
"""Keys that are moved at a time."""
_CACHE_KB = 8192
_SCHEMA = """
CREATE TABLE bodies (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE keys (
  table_n INTEGER, key_1 INTEGER, key_2 INTEGER, id INTEGER NOT NULL, PRIMARY KEY (table_n, key_1, key_2)
) WITHOUT ROWID
"""
_FIND = "SELECT id, body FROM keys JOIN bodies USING (id) WHERE table_n = ? AND key_1 = ? AND key_2 = ?"
_ROWS = "SELECT key_1, key_2, body FROM keys JOIN bodies USING (id) WHERE table_n = ? ORDER BY key_1, key_2"

Key = tuple[int, int, int]
"""Number of the table, both halves of the key."""


class Row(NamedTuple):
    """A key with its record (kernel/cold.py), as bytes."""

    key_1: int
    key_2: int
    body: bytes


class ColdStore:
    """Records of keys in a SQLite file of its own in `folder`, which goes with the process.

    A filter in memory (2 to 4 bytes a key, 2 MB at least per table that has cold keys) answers for keys that are new.
    """

    def __init__(self, folder: Path, tables_n: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, path = tempfile.mkstemp(prefix="cold-", suffix=".db", dir=folder)
        os.close(handle)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
        self._db.executescript(_SCHEMA)
        self._db.execute("BEGIN EXCLUSIVE")
        os.unlink(path)
        self.counts = [0] * tables_n
        self.bytes = 0
        self._filters: list[Bloom | None] = [None] * tables_n

    def put(self, table_n: int, rows: Iterable[Row]) -> None:
        """Keep records; none of the keys is here."""
        rows = list(rows)
        ids = [self._db.execute("INSERT INTO bodies (body) VALUES (?)", (row.body,)).lastrowid for row in rows]
        self._db.executemany(
            "INSERT INTO keys VALUES (?, ?, ?, ?)",
            [(table_n, row.key_1, row.key_2, id) for row, id in zip(rows, ids, strict=True)],
        )
        known = self._filters[table_n] = self._filters[table_n] or Bloom()
        known.add(np.array([(row.key_1, row.key_2) for row in rows], dtype=np.int64).tobytes())
        self.counts[table_n] += len(rows)
        self.bytes += sum(len(row.body) for row in rows)

    def take(self, wanted: np.ndarray) -> list[tuple[int, bytes]]:
        """Take out those of the keys (i8[n, ABSENT_WORDS]) that are here: (number of the table, record)."""
        found = []
        for key in self._perhaps(wanted):
            row = self._db.execute(_FIND, key).fetchone()
            if row is not None:
                self._db.execute("DELETE FROM bodies WHERE id = ?", (row[0],))
                self._db.execute("DELETE FROM keys WHERE table_n = ? AND key_1 = ? AND key_2 = ?", key)
                self.counts[key[0]] -= 1
                self.bytes -= len(row[1])
                found.append((key[0], row[1]))
        return found

    def _perhaps(self, wanted: np.ndarray) -> list[Key]:
        """The keys that the filters do not deny, each once."""
        keys: dict[Key, None] = {}
        for table_n in np.unique(wanted[:, w.ABSENT_TABLE]).tolist():
            known = self._filters[table_n]
            if known is None or self.counts[table_n] == 0:
                continue
            pairs = np.ascontiguousarray(wanted[wanted[:, w.ABSENT_TABLE] == table_n][:, w.ABSENT_KEY_1 :])
            keys |= dict.fromkeys((table_n, *pairs[row].tolist()) for row in known.maybe(pairs.tobytes()) or [])
        return list(keys)

    def rows(self, table_n: int) -> Iterator[Row]:
        """The records of a table in the order of their keys, as they are read from disk."""
        return (Row(*row) for row in self._db.execute(_ROWS, (table_n,)))

    def parts(self) -> Iterator[bytes]:
        """All records as a dump keeps them (`COLD`), some at a time."""
        for table_n in range(len(self.counts)):
            rows = self.rows(table_n)
            while some := list(islice(rows, BATCH)):
                heads = [np.array([table_n, len(row.body) // 8], dtype=np.int64).tobytes() for row in some]
                yield b"".join(head + row.body for head, row in zip(heads, some, strict=True))

    @property
    def parts_bytes(self) -> int:
        """Bytes of `parts`."""
        return self.bytes + 16 * sum(self.counts)

    def close(self) -> None:
        """Give the disk back."""
        self._db.close()


def records_of(state: FeatureState, table_n: int, slots: np.ndarray) -> list[Row]:
    """Records of slots of a table, in their order. The arena is not changed."""
    words, arena = state.plan.words, state._arena
    table, ends = int(words[words[w.P_TABLES] + table_n]), np.empty(len(slots), dtype=np.int64)
    content = np.empty(kernel.records(words, arena, table, slots, ends, ends[:0]), dtype=np.int64)
    kernel.records(words, arena, table, slots, ends, content)
    starts = np.concatenate(([0], ends[:-1])) if len(ends) else ends
    return [row_of(content[at:end].tobytes()) for at, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def row_of(body: bytes) -> Row:
    """The row of a record, whose first words are the key."""
    key_1, key_2 = np.frombuffer(body, np.int64, 2).tolist()
    return Row(key_1, key_2, body)


def thaw(state: FeatureState, tables: Sequence[int], bodies: Sequence[bytes], touched: np.ndarray) -> None:
    """Put records into the arena of a state, which grows as needed; none of the keys is there.

    tables, bodies, touched : number of the table, record, and when it was touched (I_LOCAL), of each
    """
    if not bodies:
        return
    ends = np.cumsum([len(body) // 8 for body in bodies])
    content, numbers = np.frombuffer(b"".join(bodies), dtype=np.int64), np.array(tables, dtype=np.int64)
    done = 0
    while (done := kernel.put(state.plan.words, state._arena, numbers, ends, content, touched, done)) < len(bodies):
        state._grow()


def unpack(cold: np.ndarray) -> Iterator[tuple[list[int], list[bytes]]]:
    """Batches of (numbers of tables, records) of the cold keys of a dump."""
    at, tables, bodies = 0, list[int](), list[bytes]()
    while at < len(cold):
        table_n, size = cold[at : at + 2].tolist()
        tables.append(table_n)
        bodies.append(cold[at + 2 : at + 2 + size].tobytes())
        at += 2 + size
        if len(bodies) == BATCH or at == len(cold):
            yield tables, bodies
            tables, bodies = [], []


def thaw_all(state: FeatureState, cold: np.ndarray) -> None:
    """Put all cold keys of a dump into the arena: a state without a bound keeps every key in memory."""
    for tables, bodies in unpack(cold):
        thaw(state, tables, bodies, np.zeros(len(bodies), dtype=np.int64))
