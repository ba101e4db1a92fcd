"""What is asked of a ledger. Nothing here changes it; every answer is of one moment, between two batches."""

from __future__ import annotations

import numpy as np

from quanheng.kernel.errors import NotFound
from quanheng.ledger.entries import TIME_MAX_MS, Account, Balance
from quanheng.ledger.kernel import index, walk
from quanheng.ledger.kernel.words import (
    A_ASSET,
    A_CODE,
    A_DAY,
    A_DAY_CREDITS,
    A_DAY_DEBITS,
    A_ENTITY,
    A_FLAGS,
    A_ID,
    A_LIMITS,
    A_LINES,
    A_NEWEST,
    A_OPENED,
    A_OWNER,
    A_TOTALS,
    A_USER,
    F_AMOUNT,
    F_APPLIED,
    F_ASKED,
    F_CREDIT,
    F_DEBIT,
    F_KIND,
    F_MARKS,
    F_REFERENCE,
    F_TIME,
    F_USER,
    HOLD,
    IMPORTED,
    K_EXPIRY,
    K_LINE,
    L_DEBIT,
    L_HOLD,
    L_REVERSED,
    L_SETTLED,
    S_ACCOUNTS,
    S_FACTS,
    UNTIL,
    Tables,
)
from quanheng.ledger.views import HOLD_STATES, AccountState, Entry, Holds, KnownOf, Line
from quanheng.ledger.wire import balance_of, limbs_of

_LOW, _SIGN = 2**64 - 1, 2**63
_FORGOTTEN = -(2**63)


class Queries:
    """Reads the tables of a ledger."""

    _tables: Tables

    def account(self, id: int) -> AccountState:
        """An account as it is.

        Raises
        ------
        NotFound : there is none
        """
        return self._state(self._place(id))

    def balance(self, id: int) -> Balance:
        """An account's totals, posted and held.

        Raises
        ------
        NotFound : there is no such account
        """
        return balance_of(_unsigned(self._tables.A[self._place(id), A_TOTALS : A_TOTALS + 8]))

    def is_open(self, id: int) -> bool:
        """Whether there is such an account."""
        return int(index.find_id(self._tables.J, self._tables.A, *_signed(id))) >= 0

    def sides_of(self, id: int) -> tuple[int, ...]:
        """Ids of the two accounts of a transfer that was applied; none where it was not."""
        row = int(index.find_id(self._tables.I, self._tables.F, *_signed(id)))
        if row < 0 or self._tables.L[row, L_DEBIT] < 0:
            return ()
        fact = self._tables.F[row].tolist()
        return _wide(fact, F_DEBIT), _wide(fact, F_CREDIT)

    def known_of(self, id: int) -> KnownOf | None:
        """An account's totals, and when something was last booked on it; None = there is no such account."""
        place = int(index.find_id(self._tables.J, self._tables.A, *_signed(id)))
        if place < 0:
            return None
        words = self._tables.A[place].tolist()
        moved_ms = int(self._tables.F[words[A_NEWEST], F_APPLIED]) if words[A_LINES] else None
        return KnownOf(balance_of([word & _LOW for word in words[A_TOTALS : A_TOTALS + 8]]), moved_ms)

    def balance_at(self, id: int, time_ms: int) -> Balance:
        """An account's totals after all that was booked up to a time, that time included.

        O(log n) of the account's lines.

        Raises
        ------
        NotFound : there is no such account
        """
        limbs = np.empty(8, np.int64)
        walk.balance_at(self._tables, self._place(id), time_ms, limbs)
        return balance_of(_unsigned(limbs))

    def lines(
        self,
        id: int,
        since_ms: int = _FORGOTTEN,
        until_ms: int = TIME_MAX_MS,
        limit: int = 100,
        newest_first: bool = True,
        before: int | None = None,
    ) -> list[Entry]:
        """An account's statement: what was booked from `since_ms` to `until_ms`, with the balance after each change.

        O(log n + lines given), from whichever line it begins.

        Parameters
        ----------
        limit : most that are given
        newest_first : the newest lines of that time, newest first; else its oldest, oldest first
        before : only changes before this row: the `row` of the last line of the page before, newest first

        Raises
        ------
        NotFound : there is no such account
        """
        account, first = self._place(id), -1 if before is None else before
        most = int(self._tables.A[account, A_LINES])
        room = max(0, min(limit, most))
        if not newest_first and since_ms > _FORGOTTEN:
            most = walk.balance_at(self._tables, account, since_ms - 1, np.empty(8, np.int64)) + room
        elif not newest_first:
            most = room
        rows, balances = np.empty(room, np.int64), np.empty((room, 8), np.int64)
        count = walk.statement(self._tables, account, since_ms, until_ms, first, most, rows, balances)
        entries = [Entry(self._line(int(rows[at])), balance_of(_unsigned(balances[at]))) for at in range(count)]
        return entries if newest_first else entries[::-1]

    def holds(self, id: int, limit: int | None = None) -> Holds:
        """The holds that stand on an account, newest first, with its balance at the same moment.

        O(changes since the oldest of them), compiled; each that is given costs a hundred times what passing it costs.

        Parameters
        ----------
        limit : most that are given; default all. All are counted

        Raises
        ------
        NotFound : there is no such account
        """
        account, rows = self._place(id), np.empty(64 if limit is None else max(0, limit), np.int64)
        count = int(walk.holds(self._tables, account, rows))
        if limit is None and count > len(rows):
            rows = np.empty(count, np.int64)
            walk.holds(self._tables, account, rows)
        return Holds(self.balance(id), tuple(self._line(int(row)) for row in rows[:count]), count)

    def accounts(
        self, owner: int | None = None, code: int | None = None, entity: int | None = None, asset: int | None = None
    ) -> list[AccountState]:
        """Accounts in the order they were opened, all or those that have what is asked for. O(accounts)."""
        A = self._tables.A[: int(self._tables.S[S_ACCOUNTS])]
        chosen = np.ones(len(A), bool)
        for column, wanted in ((A_CODE, code), (A_ENTITY, entity), (A_ASSET, asset)):
            if wanted is not None:
                chosen &= A[:, column] == wanted
        if owner is not None:
            chosen &= (A[:, A_OWNER : A_OWNER + 2] == _signed(owner)).all(axis=1)
        return [self._state(int(place)) for place in np.flatnonzero(chosen)]

    def find_lines(self, code: int | None = None, user_data: int | None = None, limit: int = 100) -> list[Line]:
        """Transfers with a code, with user data, or with both, newest first. O(facts until the last one shown)."""
        rows, count = np.empty(min(limit, int(self._tables.S[S_FACTS])), np.int64), int(self._tables.S[S_FACTS])
        low, high = _signed(user_data or 0)
        found = walk.lines_with(self._tables, count, code or 0, user_data is not None, low, high, rows)
        return [self._line(int(row)) for row in rows[:found]]

    def transfer_of(self, id: int) -> Line:
        """A transfer that was applied, where its hold stands, and how much of it was taken back.

        Raises
        ------
        NotFound : no transfer with this id was applied
        """
        row = int(index.find_id(self._tables.I, self._tables.F, *_signed(id)))
        if row < 0 or self._tables.F[row, F_KIND] & 255 != K_LINE:
            raise NotFound(
                "no transfer with this id was applied",
                found=f"{id} (a burnt id)" if row >= 0 else str(id),
                cure="Look at the outcome that the request was answered with.",
            )
        return self._line(row)

    def is_burnt(self, id: int) -> bool:
        """Whether an id was used up by a transfer that was refused."""
        row = int(index.find_id(self._tables.I, self._tables.F, *_signed(id)))
        return row >= 0 and bool(self._tables.F[row, F_KIND] & 255 != K_LINE)

    def expiries(self, since: int = 0) -> list[Line]:
        """Holds whose time was out, in order, from fact number `since` on. O(facts since)."""
        kinds = self._tables.F[since : int(self._tables.S[S_FACTS]), F_KIND] & 255
        return [self._line(int(row) + since) for row in np.flatnonzero(kinds == K_EXPIRY)]

    def totals(self, asset: int) -> Balance:
        """Sums over all accounts of an asset. Debits equal credits, posted and held, after every batch."""
        limbs = np.zeros(8, np.int64)
        walk.sums(self._tables, int(self._tables.S[S_ACCOUNTS]), asset, limbs)
        return balance_of(_unsigned(limbs))

    # --- inside

    def _place(self, id: int) -> int:
        place = int(index.find_id(self._tables.J, self._tables.A, *_signed(id)))
        if place < 0:
            raise NotFound(
                "there is no account with this id",
                found=str(id),
                cure="Open it, or look for it with `accounts`.",
            )
        return place

    def _state(self, place: int) -> AccountState:
        words = self._tables.A[place].tolist()
        names = "overdraft_minor", "payment_max_minor", "day_max_minor", "balance_max_minor", "net_debit_cap_minor"
        account = Account(
            _wide(words, A_ID), words[A_ASSET], words[A_CODE], words[A_FLAGS], _wide(words, A_OWNER), words[A_ENTITY],
            opened_ms=words[A_OPENED], user_data=_wide(words, A_USER),
            **dict(zip(names, words[A_LIMITS : A_LIMITS + len(names)], strict=True)),
        )  # fmt: skip
        balance = balance_of([word & _LOW for word in words[A_TOTALS : A_TOTALS + 8]])
        return AccountState(
            account, balance, words[A_DAY], _wide(words, A_DAY_DEBITS), _wide(words, A_DAY_CREDITS), words[A_LINES]
        )  # fmt: skip

    def _line(self, row: int) -> Line:
        fact, beside = self._tables.F[row].tolist(), self._tables.L[row].tolist()
        flags, applied_ms, time_ms = fact[F_MARKS] & 0xFFFF, fact[F_APPLIED], fact[F_TIME]
        expiry = fact[F_KIND] & 255 == K_EXPIRY
        expires_ms = time_ms if expiry or flags & HOLD else 0
        if expires_ms and not expiry and not flags & UNTIL:
            expires_ms += applied_ms
        ended = beside[L_SETTLED]  # The fact that ended the hold; that of an expiry has no id.
        settled_by = _wide(self._tables.F[ended].tolist(), 0) if ended >= 0 else 0
        return Line(
            row, _wide(fact, 0), _wide(fact, F_DEBIT), _wide(fact, F_CREDIT), fact[F_AMOUNT], fact[F_ASKED],
            (fact[F_MARKS] >> 16) & 0xFFFF, flags, _wide(fact, F_REFERENCE), expires_ms, applied_ms,
            time_ms if flags & IMPORTED else applied_ms, fact[F_MARKS] >> 32, _wide(fact, F_USER),
            HOLD_STATES[beside[L_HOLD]], beside[L_REVERSED], settled_by,
        )  # fmt: skip


def _unsigned(words: np.ndarray) -> list[int]:
    return words.view(np.uint64).tolist()  # type: ignore[no-any-return]


def _wide(words: list[int], at: int) -> int:
    return (words[at] & _LOW) | (words[at + 1] & _LOW) << 64


def _signed(number: int) -> tuple[int, int]:
    """Both halves as the signed numbers that the tables hold."""
    low, high = limbs_of(number)
    return (low ^ _SIGN) - _SIGN, (high ^ _SIGN) - _SIGN
