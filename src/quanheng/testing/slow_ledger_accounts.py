"""The law of the ledger for accounts: how they are opened and changed. `slow_ledger` has that for transfers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from quanheng.ledger.entries import (
    AMENDABLE,
    AMOUNT_MAX,
    ID_MAX,
    NO_LIMIT,
    Account,
    AccountFlag,
    Amendment,
    Balance,
)
from quanheng.ledger.outcomes import AccountOutcome

A, G = AccountOutcome, AccountFlag
_LIMITS = "payment_max_minor", "day_max_minor", "balance_max_minor", "net_debit_cap_minor"


@dataclass(slots=True)
class Book:
    """An account (`asked` as it was opened, `account` as it is) with its totals, and those of business day `day`."""

    asked: Account
    account: Account
    opened_ms: int
    debits_posted: int = 0
    debits_held: int = 0
    credits_posted: int = 0
    credits_held: int = 0
    day: int = 0
    day_debits: int = 0
    day_credits: int = 0

    def balance(self) -> Balance:
        """The four totals."""
        return Balance(self.debits_posted, self.debits_held, self.credits_posted, self.credits_held)

    def has(self, flag: int) -> bool:
        """Whether a rule holds for the account."""
        return bool(self.account.flags & flag)

    def of_day(self, day: int) -> tuple[int, int]:
        """Debits and credits of a business day that is not before the account's newest."""
        return (self.day_debits, self.day_credits) if self.day == day else (0, 0)


@dataclass(slots=True)
class SlowAccounts:
    """All accounts at a moment of a business day."""

    books: dict[int, Book]
    now_ms: int
    day: int

    def open(self, batch: Sequence[Account]) -> list[AccountOutcome]:
        """Open accounts."""
        return self._batch(batch, [bool(one.flags & G.LINKED) for one in batch], self._open, self._opened_before)

    def amend(self, batch: Sequence[Amendment]) -> list[AccountOutcome]:
        """Change accounts."""
        return self._batch(batch, [one.linked for one in batch], self._amend, lambda one: False)

    def _batch(
        self, batch: Sequence[Any], linked: Sequence[bool], apply: Callable[..., Any], before: Callable[..., bool]
    ) -> list[AccountOutcome]:
        outcomes: list[AccountOutcome] = []
        for chain, closed in chains(batch, linked):
            if not closed:
                outcomes += [A.CHAIN_FAILED] * (len(chain) - 1) + [A.CHAIN_IS_OPEN]
            elif all(before(one) for one in chain):
                outcomes += [A.EXISTS] * len(chain)
            else:
                outcomes += self._chain(chain, apply)
        return outcomes

    def _chain(self, chain: Sequence[Any], apply: Callable[..., AccountOutcome]) -> list[AccountOutcome]:
        kept = {one.id: copy(self.books.get(one.id)) for one in chain}
        given: list[AccountOutcome] = []
        for one in chain:
            given.append(apply(one))
            if given[-1] != A.APPLIED:
                put_back(self.books, kept)
                failed = [A.CHAIN_FAILED] * len(chain)
                failed[len(given) - 1] = A.EXISTS_WITHOUT_ITS_CHAIN if given[-1] == A.EXISTS else given[-1]
                return failed
        return given

    def _opened_before(self, one: Account) -> bool:
        return one.id in self.books and self.books[one.id].asked == one

    def _open(self, one: Account) -> AccountOutcome:
        if (outcome := _formed(one.id, one.flags, ~int(G.CLOSED) & 255)) != A.APPLIED:
            return outcome
        if one.id in self.books:
            return A.EXISTS if self._opened_before(one) else A.EXISTS_WITH_OTHER_CONTENT
        if one.asset == 0:
            return A.ASSET_MUST_NOT_BE_ZERO
        if one.code == 0:
            return A.CODE_MUST_NOT_BE_ZERO
        if not _limits_are_good(one):
            return A.LIMIT_IS_OUT_OF_RANGE
        if one.opened_ms and not one.flags & G.IMPORTED:
            return A.OPENING_TIME_IS_FOR_IMPORTS
        if one.opened_ms > self.now_ms:
            return A.OPENING_TIME_MUST_NOT_BE_IN_THE_FUTURE
        opened_ms = one.opened_ms if one.flags & G.IMPORTED else self.now_ms
        self.books[one.id] = Book(one, one, opened_ms, day=self.day)
        return A.APPLIED

    def _amend(self, one: Amendment) -> AccountOutcome:
        if (outcome := _formed(one.id, one.flags or 0, AMENDABLE)) != A.APPLIED:
            return outcome
        stated = {name: value for name, value in one._asdict().items() if value is not None and name != "linked"}
        if not _limits_are_good(Account(asset=0, code=0, **stated)):
            return A.LIMIT_IS_OUT_OF_RANGE
        book = self.books.get(one.id)
        if book is None:
            return A.ACCOUNT_NOT_FOUND
        if book.has(G.CLOSED):
            return A.ACCOUNT_IS_CLOSED
        closes = (one.flags or 0) & G.CLOSED
        if closes and (book.debits_held or book.credits_held):
            return A.ACCOUNT_HAS_HOLDS
        if closes and book.debits_posted != book.credits_posted:
            return A.ACCOUNT_HAS_A_BALANCE
        if one.flags is not None:
            stated["flags"] = book.account.flags & ~AMENDABLE | one.flags
        book.account = book.account._replace(**stated)
        return A.APPLIED


def chains(batch: Sequence[Any], linked: Sequence[bool]) -> list[tuple[Sequence[Any], bool]]:
    """The chains of a batch, and whether each has an end."""
    found, start = [], 0
    for place, more in enumerate(linked):
        if not more or place == len(batch) - 1:
            found.append((batch[start : place + 1], not more))
            start = place + 1
    return found


def put_back(into: dict[int, Any], kept: dict[int, Any]) -> None:
    """Undo what was changed since the copies were taken; None: it was not there."""
    for id, was in kept.items():
        if was is None:
            into.pop(id, None)
        else:
            into[id] = was


def _formed(id: int, flags: int, allowed: int) -> AccountOutcome:
    if id == 0:
        return A.ID_MUST_NOT_BE_ZERO
    if id == ID_MAX:
        return A.ID_MUST_NOT_BE_MAX
    if flags & ~allowed:
        return A.FLAGS_ARE_NOT_ALLOWED
    if flags & G.DEBITS_BOUND and flags & G.CREDITS_BOUND:
        return A.FLAGS_EXCLUDE_EACH_OTHER
    return A.APPLIED


def _limits_are_good(one: Account) -> bool:
    limits = [getattr(one, name) for name in _LIMITS]
    return 0 <= one.overdraft_minor <= AMOUNT_MAX and all(NO_LIMIT <= limit <= AMOUNT_MAX for limit in limits)
