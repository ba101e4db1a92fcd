"""Daily balances and the trial balance: debits less credits, in minor units, by business day of booking."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from quanheng.ledger.closing.journal import Books, JournalLine


class DailyBalance(NamedTuple):
    """An account on a business day on which it moved: closing = opening + debits - credits."""

    day: int
    entity: int
    asset: int
    code: int
    account: int
    opening_minor: int
    debits_minor: int
    credits_minor: int
    closing_minor: int


class TrialRow(NamedTuple):
    """All accounts of one code in the books of one entity, in one asset, on a business day."""

    entity: int
    asset: int
    code: int
    accounts: int
    opening_minor: int
    debits_minor: int
    credits_minor: int
    closing_minor: int


class TrialBalance(NamedTuple):
    """The books at the end of a business day, ordered by entity, asset and code."""

    day: int
    rows: tuple[TrialRow, ...]

    def differences(self) -> dict[int, int]:
        """Debits less credits of each asset, over all entities: all zero if no value was made or lost."""
        return self._sums(lambda row: row.asset)

    def between_entities(self) -> dict[tuple[int, int], int]:
        """(entity, asset) -> what the other entities owe it, net: transfers between entities leave books uneven."""
        return {key: value for key, value in self._sums(lambda row: (row.entity, row.asset)).items() if value}

    def _sums(self, key: Any) -> dict[Any, int]:
        sums: dict[Any, int] = {}
        for row in self.rows:
            sums[key(row)] = sums.get(key(row), 0) + row.closing_minor
        return sums


def moved(lines: Iterable[JournalLine]) -> dict[tuple[int, int], list[int]]:
    """(day, account) -> debits and credits. O(lines)."""
    sums: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
    for one in lines:
        sums[one.day, one.debit][0] += one.amount_minor
        sums[one.day, one.credit][1] += one.amount_minor
    return sums


def balances_daily(books: Books, until: int | None = None) -> list[DailyBalance]:
    """A row for each account and each business day on which it moved, ordered by both.

    O(lines + rows log rows). The order of accounts is that in which they were opened.

    Parameters
    ----------
    until : last business day; None: all
    """
    place = {one.id: number for number, one in enumerate(books.accounts)}
    sums = moved(one for one in books.lines if until is None or one.day <= until)
    closing: dict[int, int] = defaultdict(int)
    found = []
    for day, id in sorted(sums, key=lambda key: (key[0], place[key[1]])):
        account, (debits, credits) = books.accounts[place[id]], sums[day, id]
        opening, closing[id] = closing[id], closing[id] + debits - credits
        found.append(
            DailyBalance(
                day, account.entity, account.asset, account.code, id, opening, debits, credits, closing[id]
            )
        )  # fmt: skip
    return found


def trial_balance(books: Books, day: int) -> TrialBalance:
    """The books at the end of a business day, with what moved on it. O(lines)."""
    sums: dict[tuple[int, int, int], list[int]] = {}
    keys = {}
    for account in books.accounts:
        keys[account.id] = account.entity, account.asset, account.code
        sums.setdefault(keys[account.id], [0, 0, 0, 0])[0] += 1
    for one in books.lines:
        if one.day > day:
            continue
        debit, credit = sums[keys[one.debit]], sums[keys[one.credit]]
        if one.day < day:
            debit[1] += one.amount_minor
            credit[1] -= one.amount_minor
        else:
            debit[2] += one.amount_minor
            credit[3] += one.amount_minor
    rows = [
        TrialRow(*key, count, opening, debits, credits, opening + debits - credits)
        for key, (count, opening, debits, credits) in sorted(sums.items())
    ]
    return TrialBalance(day, tuple(rows))
