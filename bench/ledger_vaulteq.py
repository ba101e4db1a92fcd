"""The peer vaulteq of ledger.single.p99, run by an interpreter that has it: milliseconds of each call, as JSON.

    python bench/ledger_vaulteq.py TRANSFERS.npz FOLDER

One transfer is one journal entry of two lines under its own idempotency key, in a file of its own, durable before the
call returns (SQLite, synchronous=FULL in rollback mode, as vaulteq opens it). What it keeps is what ours keeps of the
same calls: an id once, both totals of each account. It has no bound accounts, so none is judged; no holds, limits,
chains or batches, each entry is a transaction. It writes an audit event with each entry, and looks for the one before
without an index, so that a call takes longer the more there are: the medians of the first and last calls are told.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np


def run(transfers: Path, folder: Path) -> dict[str, object]:
    """Milliseconds of each call, and the debits of all accounts and of those with an odd id."""
    from vaulteq import AccountType, Direction, JournalLineInput, LedgerEngine, PostRequest  # type: ignore[import-not-found]

    asked = np.load(transfers)
    engine = LedgerEngine(str(folder / "vaulteq.db"))
    book = engine.create_organization("bench", base_currency="EUR")
    for account in sorted({*asked["debit"].tolist(), *asked["credit"].tolist()}):
        engine.create_account(book, str(account), "account", AccountType.ASSET, Direction.DEBIT)
    taken_ms = []
    columns = [asked[name].tolist() for name in ("id", "debit", "credit", "amount")]
    for id, debit, credit, amount in zip(*columns, strict=True):
        lines = [
            JournalLineInput(str(debit), Direction.DEBIT, amount, "EUR"),
            JournalLineInput(str(credit), Direction.CREDIT, amount, "EUR"),
        ]
        start = time.perf_counter()
        engine.post(PostRequest(book, str(id), lines=lines))
        taken_ms.append((time.perf_counter() - start) * 1_000)
    moved = engine.conn.execute(
        "SELECT code, sum(amount_minor) FROM journal_line JOIN account ON account.id = account_id "
        "WHERE direction = 'DEBIT' GROUP BY code"
    ).fetchall()
    engine.close()
    every = sum(debits for _, debits in moved)
    return {"taken_ms": taken_ms, "totals": [every, sum(debits for code, debits in moved if int(code) % 2)]}


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), Path(sys.argv[2]))))
