"""Accounts of revolving credit: one fold of events over columns, a day closed for all accounts at once.

`take` judges events and folds those that may be; `apply` folds what was taken, in recovery and replay, and judges
nothing. Closing a day is an event like others: what it does to each account is computed again, not recorded. A
back-dated event lives its account again from the opening on a scratch row; the difference of all its flows is posted.

The order of a day: its events as they come (a back-dated one at the end of its day), then its night. In the night the
due day is judged, interest accrues, and on the statement day the statement is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError, LogCorrupt, NotFound
from quanheng.ledger.instruments.revolving import columns
from quanheng.ledger.instruments.revolving.kernel import running
from quanheng.ledger.instruments.revolving.kernel import words as w
from quanheng.ledger.instruments.revolving.outcomes import OUTCOMES, CreditOutcome
from quanheng.ledger.instruments.revolving.postings import CONTROLS
from quanheng.ledger.instruments.revolving.products import CreditProduct, check_products, rates_of
from quanheng.ledger.instruments.revolving.statements import Plan, Statement, plans_from, statements_from

MEASURES = (
    "fees_minor", "interest_minor", "cash_minor", "revolving_minor", "purchases_minor", "instalments_minor",
    "planned_minor", "credit_minor", "written_off_minor", "billed_minor", "minimum_minor", "past_due_minor",
    "days_past_due", "available_minor",
)  # fmt: skip
"""Columns of `CreditBook.measures`: what is owed by kind, what plans have still to bill, what is left of the last
statement and of its minimum. interest_minor holds what accrued and is not billed."""
SCRATCH = 0
_CARRIED = [w.A_ID, w.A_FLOW, w.A_EVENT, w.A_LAST_ID]
"""Words that are the row's own, whatever is replayed."""


class Closed(NamedTuple):
    """A day that was closed.

    flows : i64[products + 1, FLOWS], what moved that day by product (`kernel.words`): what is to be posted
    totals : i64[products + 1, 7], sums over the accounts at its end (`postings.CONTROLS`)
    """

    day: int
    flows: NDArray[np.int64]
    totals: NDArray[np.int64]


class CreditBook:
    """Accounts of products, day by day. Only `take`, `apply`, `close` change it. Not for several threads at once.

    Parameters
    ----------
    products : numbered 1, 2, 3 ...
    first_day : the book's day before anything happened, days since 1970-01-01

    Complexity: a close is O(accounts + plans), an event O(1), one with an early date O(events + days) of its account.
    Memory: 400 bytes and 184 for its flows an account, 64 a plan, 56 an event.

    Raises
    ------
    DeclarationError : a product cannot be
    InputError : the day is before 1970 or too far
    """

    def __init__(self, products: Sequence[CreditProduct], first_day: int) -> None:
        check_products(products)
        _check_day(first_day)
        self.products = list(products)
        self._T = columns.empty(self.products, first_day)
        self._rows: dict[int, int] = {}

    # --- what is asked

    @property
    def day(self) -> int:
        """The day whose events are taken now."""
        return int(self._T.S[w.S_DAY])

    @property
    def count(self) -> int:
        """How many accounts were ever opened."""
        return int(self._T.S[w.S_ACCOUNTS])

    def row_of(self, account: int) -> int:
        """Row of an account in the columns, from 1.

        Raises
        ------
        NotFound : there is no such account
        """
        if (row := self._rows.get(account)) is None:
            raise NotFound(
                "there is no such account of revolving credit",
                where="account",
                found=str(account),
                cure="Open it with an OPENED event.",
            )
        return row

    def measures(self, account: int | None = None) -> NDArray[np.int64]:
        """What is owed today: i64[accounts, MEASURES], accounts in the order of opening; or of one account."""
        first, last = (1, self.count + 1) if account is None else (self.row_of(account), self.row_of(account) + 1)
        found = np.zeros((last - first, len(MEASURES)), np.int64)
        running.measure(self._T, first, last, found)
        return found

    def flows(self) -> NDArray[np.int64]:
        """Sums of each account's flows since it was opened, i64[accounts, FLOWS]; a copy."""
        return self._T.C[1 : self.count + 1].copy()

    def totals(self) -> NDArray[np.int64]:
        """Sums over the accounts by product: i64[products + 1, 7], as `postings.CONTROLS`."""
        found = np.zeros((len(self.products) + 1, len(CONTROLS)), np.int64)
        running.totals(self._T, found)
        return found

    def plans(self, account: int) -> list[Plan]:
        """Instalment plans of an account that still have something to bill, the newest first."""
        return plans_from(columns.plans_of(self._T, self.row_of(account)))

    def due_day(self, account: int) -> int | None:
        """Last day on which the last statement can still be paid in time; None: there is nothing to wait for."""
        row = self._T.A[self.row_of(account)]
        return None if row[w.A_DUE] == w.FAR else int(row[w.A_DUE])

    def statements(self, account: int) -> list[Statement]:
        """All statements of an account up to today, in the light of every event that is known now.

        They are lived again, not kept: after a back-dated payment they are as if it had come in time.
        """
        row = self.row_of(account)
        months = (self.day - int(self._T.A[row, w.A_OPENED])) // 28 + 2
        self._T = self._T._replace(Q=np.zeros((months, w.Q_WORDS), np.int64))
        self._T.S[w.S_STATEMENTS] = 0
        self._relive(row, self._history(row), -1)
        running.let_go(self._T, SCRATCH)
        made = statements_from(self._T.Q[: int(self._T.S[w.S_STATEMENTS])])
        self._T = self._T._replace(Q=columns.no_statements())
        self._T.S[w.S_STATEMENTS] = 0
        return made

    # --- what changes it

    def take(self, events: np.ndarray) -> NDArray[np.int64]:
        """Judge events (CREDIT_EVENT[n]) in order and fold those that may be: what became of each, `CreditOutcome`.

        DAY_CLOSED is for `close`, since a day that is closed has postings.
        """
        kind, outcomes = events["kind"], np.zeros(len(events), np.int64)
        outcomes[(kind < 0) | (kind >= w.DAY_CLOSED)] = CreditOutcome.KIND_IS_UNKNOWN
        self._run(events, outcomes, True)
        return outcomes

    def apply(self, events: np.ndarray) -> None:
        """Fold events that were taken, in order, judging nothing; a DAY_CLOSED closes its day.

        Raises
        ------
        LogCorrupt : an event refers to what is not there; the book must not be used any more
        """
        outcomes = np.zeros(len(events), np.int64)
        self._run(events, outcomes, False)
        if outcomes.any():
            at = int(np.argmax(outcomes != 0))
            raise LogCorrupt(
                "an event of revolving credit could not have been taken",
                where=f"event {at} of {len(events)}",
                found=OUTCOMES[int(outcomes[at])].name,
                cure="Apply events in order, from the first on, to a book of the same products.",
            )

    def close(self) -> Closed:
        """Close the day: hand over its flows, and take every account to the next day.

        Raises
        ------
        InputError : it is the last day that is known
        """
        day, totals, flows = self.day, self.totals(), self._T.F.copy()
        self._roll()
        return Closed(day, flows, totals)

    # --- state

    def dump(self) -> dict[str, NDArray[np.int64]]:
        """Copies of the arrays that the state is made of, for a snapshot."""
        return columns.dump(self._T)

    @classmethod
    def load(cls, products: Sequence[CreditProduct], dumped: Mapping[str, NDArray[np.int64]]) -> CreditBook:
        """The book that was dumped.

        Raises
        ------
        InputError : it was dumped in another format, or of other products
        """
        book = cls(products, 0)
        book._T = columns.load(dumped, book.products)
        ids = book._T.A[1 : book.count + 1, w.A_ID].tolist()
        book._rows = {id: row for row, id in enumerate(ids, 1)}
        return book

    def digest(self) -> str:
        """The same for the same events, however they were grouped. O(accounts)."""
        return columns.digest(self._T)

    # --- inside

    def _run(self, events: np.ndarray, outcomes: NDArray[np.int64], judges: bool) -> None:
        """Cut the events where one opens or closes, and fold the stretches between in one go each."""
        apart = np.isin(events["kind"], (w.OPENED, w.DAY_CLOSED)) & (outcomes == 0)
        start = 0
        for at in np.flatnonzero(apart).tolist():
            self._stretch(events[start:at], outcomes[start:at], judges)
            outcomes[at] = self._open(events[at]) if events[at]["kind"] == w.OPENED else self._day_closed(events[at])
            start = at + 1
        self._stretch(events[start:], outcomes[start:], judges)

    def _day_closed(self, one: np.void) -> int:
        if one["day"] != self.day:
            return int(CreditOutcome.DAY_IS_IN_THE_FUTURE)
        self._roll()
        return 0

    def _stretch(self, events: np.ndarray, outcomes: NDArray[np.int64], judges: bool) -> None:
        if not len(events):
            return
        E = np.empty((len(events), 6), np.int64)
        E[:, 0] = [self._rows.get(one, 0) for one in events["account"].tolist()]
        for place, name in enumerate(("kind", "day", "amount_minor", "extra", "id"), 1):
            E[:, place] = events[name]
        self._T = columns.with_room(self._T, plans=len(E), events=len(E))
        at = 0
        while True:
            at, why = running.take(self._T, E, outcomes, at, judges)
            if why == running.DONE:
                return
            outcomes[at] = self._replay(int(E[at, 0]), E[at, 1:], judges)
            at += 1

    def _open(self, one: np.void) -> int:
        """An account is opened today or before, and lives up to today."""
        number, id, limit, cash = (int(one[name]) for name in ("product", "account", "amount_minor", "extra"))
        if id <= 0 or id in self._rows:
            return int(CreditOutcome.ACCOUNT_EXISTS)
        if not 0 < number <= len(self.products):
            return int(CreditOutcome.PRODUCT_NOT_FOUND)
        rates = rates_of(self.products[number - 1], int(one["rate"]))
        if rates is None or one["id"] <= 0 or one["day"] < 0:
            return int(CreditOutcome.TERMS_ARE_WRONG)
        if not 0 <= cash <= limit <= w.AMOUNT_MAX:
            return int(CreditOutcome.AMOUNT_IS_OUT_OF_RANGE)
        if one["day"] > self.day:
            return int(CreditOutcome.DAY_IS_IN_THE_FUTURE)
        self._T = columns.with_room(self._T, accounts=1)
        self._T.S[w.S_ACCOUNTS] += 1
        row = self.count
        account = self._T.A[row]
        account[w.A_ID], account[w.A_PRODUCT], account[w.A_FLOW] = id, number, number
        account[w.A_OPENED], account[w.A_EVENT], account[w.A_LAST_ID] = one["day"], w.NONE, one["id"]
        account[w.A_LIMIT_0], account[w.A_CASH_LIMIT_0] = limit, cash
        account[w.A_RATE], account[w.A_CASH_RATE] = rates
        _begin(account)
        self._rows[id] = row
        running.step(self._T, row, self.day)
        return 0

    def _roll(self) -> None:
        S = self._T.S
        _check_day(self.day + 1)
        self._T.F[:] = 0
        S[w.S_CLOSED] = self.day
        S[w.S_DAY] += 1
        running.roll(self._T, self.day)

    # --- replay

    def _replay(self, row: int, event: NDArray[np.int64], judges: bool) -> int:
        """An event (kind, day, amount, extra, id) of an earlier day: live the account again with it, if all of it can.

        On the scratch row, whose flows are of no product; the difference of its flows is the product's to post.
        """
        before = self._history(row)
        place = int(np.searchsorted(before[:, 1], event[1], side="right"))
        if found := self._relive(row, np.insert(before, place, event, axis=0), place if judges else -1):
            running.let_go(self._T, SCRATCH)
            return found
        T = self._T
        account, own = T.A[row], T.A[row, _CARRIED]
        running.let_go(T, row)
        T.F[T.A[row, w.A_FLOW]] += T.C[SCRATCH] - T.C[row]
        T.C[row] = T.C[SCRATCH]
        account[:] = T.A[SCRATCH]
        account[_CARRIED] = own
        T.A[SCRATCH, w.A_HEAD] = w.NONE
        running.note_one(T, row, *event.tolist())
        return 0

    def _history(self, row: int) -> NDArray[np.int64]:
        """The events of an account (kind, day, amount, extra, id) by day, those of a day as they arrived."""
        places = np.empty(int(self._T.S[w.S_EVENTS]) + 1, np.int64)
        count = running.history(self._T, row, places)
        found = self._T.H[places[:count][::-1], w.H_KIND :]
        return found[np.argsort(found[:, 1], kind="stable")]

    def _relive(self, row: int, events: NDArray[np.int64], judged: int) -> int:
        """The scratch row lives through events up to today; the first reason why it cannot, 0 = it can."""
        T = self._T = columns.with_room(self._T, plans=len(events))
        T.A[SCRATCH] = T.A[row]
        T.A[SCRATCH, w.A_FLOW] = T.C[SCRATCH] = 0
        _begin(T.A[SCRATCH])
        return int(running.relive(T, SCRATCH, np.ascontiguousarray(events), judged, self.day))


_LASTING = [
    w.A_ID, w.A_PRODUCT, w.A_FLOW, w.A_OPENED, w.A_EVENT, w.A_LAST_ID, w.A_LIMIT_0, w.A_CASH_LIMIT_0,
    w.A_RATE, w.A_CASH_RATE,
]  # fmt: skip
"""What an account is from its opening on, whatever happens."""


def _check_day(day: int) -> None:
    if not 0 <= day < w.DAYS:
        raise InputError(
            "the day is not in the calendar of revolving credit",
            where="day",
            found=str(day),
            allowed=f"0 to {w.DAYS - 1}, days since 1970-01-01",
            cure="Give days since 1970-01-01, as `day_of` counts them.",
        )


def _begin(account: NDArray[np.int64]) -> None:
    """An account as it was on its first day."""
    kept = account[_LASTING]
    account[:] = 0
    account[_LASTING] = kept
    account[w.A_STATE], account[w.A_DAY], account[w.A_HEAD] = w.OPENED_STATE, account[w.A_OPENED], w.NONE
    account[w.A_DUE], account[w.A_STATEMENT_DAY] = w.FAR, w.NONE
    account[w.A_LIMIT], account[w.A_CASH_LIMIT] = account[w.A_LIMIT_0], account[w.A_CASH_LIMIT_0]
