"""The journal: every transfer that moved value, in order. Holds and voids move none and are left out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from quanheng.ledger.entries import Account, TransferFlag
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.wire import FactKind

_NO_VALUE = int(TransferFlag.HOLD | TransferFlag.VOID)
_FIELDS = "amount_minor", "code", "flags", "day", "applied_ms", "time_ms"
_WIDE = "id", "debit", "credit", "reference", "user_data"


class JournalLine(NamedTuple):
    """A transfer that moved value. `day` is the business day it was booked on, `value_ms` its value time."""

    row: int
    id: int
    debit: int
    credit: int
    amount_minor: int
    code: int
    flags: int
    reference: int
    day: int
    applied_ms: int
    value_ms: int
    user_data: int


class Books(NamedTuple):
    """Accounts as they were opened, and the journal."""

    accounts: tuple[Account, ...]
    lines: tuple[JournalLine, ...]


def books_of(ledger: Ledger) -> Books:
    """All of a ledger. O(facts)."""
    return Books(tuple(one.account for one in ledger.accounts()), tuple(journal(ledger)))


def journal(ledger: Ledger, since: int = 0) -> list[JournalLine]:
    """Lines from fact number `since` on. O(facts since)."""
    facts = ledger.facts(since)
    rows = np.flatnonzero((facts["kind"] == FactKind.LINE) & (facts["flags"] & _NO_VALUE == 0))
    chosen = facts[rows]
    columns = {name: chosen[name].tolist() for name in _FIELDS}
    for name in _WIDE:
        low, high = chosen[f"{name}_lo"].tolist(), chosen[f"{name}_hi"].tolist()
        columns[name] = [one | other << 64 for one, other in zip(low, high, strict=True)]
    imported = int(TransferFlag.IMPORTED)
    columns["value_ms"] = [
        time if flags & imported else applied
        for time, flags, applied in zip(columns["time_ms"], columns["flags"], columns["applied_ms"], strict=True)
    ]
    columns["row"] = (rows + since).tolist()
    return [JournalLine(*values) for values in zip(*(columns[name] for name in JournalLine._fields), strict=True)]
