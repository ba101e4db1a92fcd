"""`ledger.statement`: a page of 100 lines with the balance after each, from anywhere in a statement of 200,000.

Ours is the ledger in memory. The peer is SQLite with an index on account and row, its database on disk and cached,
which keeps each entry with its balance after, so a page is one range of the index: what a well-made table does. Both
read the same pages: the newest, the oldest, and random ones between, given as the row of the page before. Times are of
the CPU, the best of five runs: wall time of a busy machine says little. Ours gives 17 fields a line and four totals,
the table nine columns.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from quanheng.ledger.entries import Account, Transfer
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.wire import TRANSFER_REQUEST
from quanheng.testing.bench import Measured

PAGE, BATCH, REPEATS = 100, 1_000, 5


def run(quick: bool = False) -> Measured:
    """CPU milliseconds of a page, by place, of an account without HISTORY; `balance_at` beside."""
    lines, pages = (20_000, 20) if quick else (200_000, 200)
    ledger = _ledger(lines)
    rows = [one.line.row for one in ledger.lines(1, limit=lines)]
    rng = random.Random(1)
    befores = {"newest": [rows[0] + 1] * pages, "oldest": [rows[-PAGE - 1]] * pages}
    befores["random"] = [rows[rng.randrange(lines - PAGE)] for _ in range(pages)]
    with tempfile.TemporaryDirectory() as folder:
        database = _table(ledger, Path(folder) / "statement.db", lines)
        taken: dict[str, float] = {}
        for name, chosen in befores.items():
            assert [one.line.id for one in ledger.lines(1, limit=PAGE, before=chosen[0])] == [
                one[1] for one in _page(database, chosen[0])
            ]
            for _ in range(REPEATS):
                for key, page in ((name, partial(_ours, ledger)), (f"{name}_sqlite", partial(_page, database))):
                    taken[key] = min(taken.get(key, 1e9), _cpu_ms(page, chosen))
        database.close()
    moments = [rng.randrange(lines // BATCH) for _ in range(pages)]
    at = min(_cpu_ms(partial(ledger.balance_at, 1), moments) for _ in range(REPEATS))
    extra = {f"{name}_ms": round(one, 3) for name, one in taken.items()}
    extra |= {"balance_at_ms": round(at, 4), "lines": lines}
    return Measured(round(taken["random"], 3), "ms", {"sqlite": round(taken["random_sqlite"], 3)}, extra)


def _cpu_ms(read: Callable[[int], object], given: Sequence[int]) -> float:
    start = time.process_time()
    for one in given:
        read(one)
    return 1_000 * (time.process_time() - start) / len(given)


def _ours(ledger: Ledger, before: int) -> object:
    return ledger.lines(1, limit=PAGE, before=before)


def _ledger(lines: int) -> Ledger:
    ledger = Ledger()
    ledger.open_accounts([Account(id, 1, 7) for id in range(1, 1_001)], 0, 0)
    for first in range(0, lines, BATCH):
        requests = np.zeros(BATCH, TRANSFER_REQUEST)
        requests["id_lo"] = np.arange(first + 1, first + BATCH + 1)
        requests["debit_lo"], requests["credit_lo"] = 1, 2 + requests["id_lo"] % 999
        requests["amount_minor"], requests["code"] = 1 + requests["id_lo"] % 97, 1
        ledger.transfer_arrays(requests, first // BATCH, 0)
    ledger.transfer([Transfer(10**9, 2, 3, 1, 1)], lines, 0)
    return ledger


def _table(ledger: Ledger, path: Path, lines: int) -> sqlite3.Connection:
    database = sqlite3.connect(path)
    database.execute(
        "CREATE TABLE entries (account INTEGER, row INTEGER, id INTEGER, debit INTEGER, credit INTEGER, amount INTEGER,"
        " code INTEGER, applied_ms INTEGER, debits_posted INTEGER, credits_posted INTEGER,"
        " PRIMARY KEY (account, row)) WITHOUT ROWID"
    )
    database.executemany(
        "INSERT INTO entries VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (one.line.row, one.line.id, one.line.debit, one.line.credit, one.line.amount_minor, one.line.code,
             one.line.applied_ms, one.balance.debits_posted_minor, one.balance.credits_posted_minor)
            for one in ledger.lines(1, limit=lines)
        ),
    )  # fmt: skip
    database.commit()
    return database


def _page(database: sqlite3.Connection, before: int) -> list[tuple[int, ...]]:
    return database.execute(
        "SELECT row, id, debit, credit, amount, code, applied_ms, debits_posted, credits_posted FROM entries"
        " WHERE account = 1 AND row < ? ORDER BY row DESC LIMIT ?",
        (before, PAGE),
    ).fetchall()
