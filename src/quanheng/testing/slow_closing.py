"""The end of a day the plain way: the slow ledger's lines as a journal, every balance summed anew from all of it."""

from __future__ import annotations

from quanheng.ledger.closing.balances import DailyBalance
from quanheng.ledger.closing.journal import Books, JournalLine
from quanheng.ledger.entries import TransferFlag
from quanheng.testing.slow_ledger import SlowLedger


def slow_books(ledger: SlowLedger) -> Books:
    """Accounts and journal of a slow ledger. Rows differ from the core's, which counts openings of accounts too."""
    lines = []
    for one in sorted(ledger.lines.values(), key=lambda line: line.row):
        asked = one.asked
        if not asked.flags & (TransferFlag.HOLD | TransferFlag.VOID):
            lines.append(JournalLine(
                one.row, asked.id, one.debit, one.credit, one.amount, one.code, asked.flags, asked.reference, one.day,
                one.applied_ms, one.value_ms, asked.user_data,
            ))  # fmt: skip
    return Books(tuple(book.account for book in ledger.books.values()), tuple(lines))


def slow_balances_daily(books: Books) -> list[DailyBalance]:
    """For each day and account all lines are read again."""
    found = []
    for day in sorted({one.day for one in books.lines}):
        for account in books.accounts:
            own = [one for one in books.lines if account.id in (one.debit, one.credit)]
            if not any(one.day == day for one in own):
                continue
            signed = [(one.day, one.amount_minor if one.debit == account.id else -one.amount_minor) for one in own]
            opening = sum(amount for booked, amount in signed if booked < day)
            debits = sum(amount for booked, amount in signed if booked == day and amount > 0)
            credits = -sum(amount for booked, amount in signed if booked == day and amount < 0)
            found.append(
                DailyBalance(
                    day, account.entity, account.asset, account.code, account.id,
                    opening, debits, credits, opening + debits - credits,
                )
            )  # fmt: skip
    return found
