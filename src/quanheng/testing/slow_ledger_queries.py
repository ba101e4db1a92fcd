"""What the ledger is asked, answered the plain way: by folding every line of the slow ledger again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from quanheng.ledger.entries import Balance, TransferFlag
from quanheng.testing.slow_ledger import HELD, Expiry, Line, SlowLedger


class SlowEntry(NamedTuple):
    """A change of an account: id of the transfer, 0 for an expiry; when it was booked; the balance after it."""

    id: int
    booked_ms: int
    balance: Balance


def statement(ledger: SlowLedger, account: int) -> list[SlowEntry]:
    """All changes of an account, oldest first."""
    totals, entries = [0, 0, 0, 0], []
    changes: list[Line | Expiry] = sorted([*ledger.lines.values(), *ledger.expiries], key=lambda one: one.row)
    for change in changes:
        line = ledger.lines[change.id] if isinstance(change, Expiry) else change
        if account not in (line.debit, line.credit):
            continue
        posted = 0 if account == line.debit else 2
        booked_ms, flags = line.applied_ms, line.asked.flags
        if isinstance(change, Expiry):
            booked_ms = change.seen_ms
            totals[posted + 1] -= line.amount
        elif flags & TransferFlag.HOLD:
            totals[posted + 1] += line.amount
        elif flags & (TransferFlag.POST | TransferFlag.VOID):
            totals[posted + 1] -= ledger.lines[line.asked.reference].amount
        if not isinstance(change, Expiry) and not flags & (TransferFlag.HOLD | TransferFlag.VOID):
            totals[posted] += line.amount
        entries.append(SlowEntry(0 if isinstance(change, Expiry) else line.asked.id, booked_ms, Balance(*totals)))
    return entries


def page(entries: Sequence[SlowEntry], since_ms: int, until_ms: int, limit: int, newest_first: bool) -> list[SlowEntry]:
    """Of changes, oldest first: the newest of a time, newest first, or its oldest, oldest first."""
    chosen = [one for one in entries if since_ms <= one.booked_ms <= until_ms]
    return (chosen[::-1] if newest_first else chosen)[:limit]


def balance_at(ledger: SlowLedger, account: int, time_ms: int) -> Balance:
    """An account's totals after all that was booked up to a time."""
    found = Balance()
    for entry in statement(ledger, account):
        if entry.booked_ms <= time_ms:
            found = entry.balance
    return found


def holds(ledger: SlowLedger, account: int) -> list[int]:
    """Ids of the holds that stand on an account, newest first."""
    lines = sorted(ledger.lines.values(), key=lambda one: -one.row)
    return [one.asked.id for one in lines if one.hold == HELD and account in (one.debit, one.credit)]
