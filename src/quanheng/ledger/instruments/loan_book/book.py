"""A book of loans: one fold of events over columns, a day closed for all loans at once.

`take` judges events and folds those that may be; `apply` folds what was taken, in recovery and replay, and judges
nothing. Closing a day is an event like others: what it does to each loan is computed again, not recorded. A back-dated
event replays its loan from the beginning on a scratch row; the difference of all its flows is what is posted.

The order of a day: events of the day, then its close, which hands over the day's flows and takes every loan to the next
day: interest and penalty of the night accrue, instalments of that day are billed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from decimal import Decimal
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import LogCorrupt, NotFound
from quanheng.ledger.instruments.loan_book import columns
from quanheng.ledger.instruments.loan_book.events import BOOK_EVENT
from quanheng.ledger.instruments.loan_book.kernel import running
from quanheng.ledger.instruments.loan_book.kernel import words as w
from quanheng.ledger.instruments.loan_book.levels import DueDays, Levels
from quanheng.ledger.instruments.loan_book.opening import terms_fit, write_terms
from quanheng.ledger.instruments.loan_book.outcomes import OUTCOMES, BookOutcome
from quanheng.ledger.instruments.loan_book.products import (
    RATE_MAX,
    Product,
    check_products,
    encode_products,
    penalty_units,
    set_reference,
)
from quanheng.ledger.instruments.loan_book.rows import Rows

MEASURES = (
    "fees_minor", "penalty_minor", "interest_minor", "principal_minor", "unallocated_minor", "written_off_minor",
    "accrued_minor", "days_past_due", "past_due_minor", "day",
)  # fmt: skip
"""Columns of `LoanBook.measures`; interest holds what is accrued and not billed, principal what is not due."""


_OPENING = {
    "loan": w.L_ID, "product": w.L_PRODUCT, "day": w.L_FIRST, "amount_minor": w.L_PRINCIPAL, "rate": w.L_RATE_0,
    "periods": w.L_PERIODS_0, "account": w.L_ACCOUNT,
}  # fmt: skip
"""The words of a loan that its opening said."""


class Closed(NamedTuple):
    """A day that was closed.

    flows : i64[products + 1, FLOWS], what moved that day by product (`kernel.words`): what is to be posted
    totals : i64[products + 1, 6], sums over the loans at its end: owed by kind, unallocated, written off
    """

    day: int
    flows: NDArray[np.int64]
    totals: NDArray[np.int64]


class LoanBook(Rows):
    """Loans of products, day by day. Only `take`, `apply`, `close` change it. Not for use by several threads at once.

    Parameters
    ----------
    products : numbered 1, 2, 3 ...
    first_day : the book's day before anything happened, days since 1970-01-01

    Complexity: a close is O(loans + what is overdue), an event O(what is overdue), one with an early date
    O(events + periods + days overdue) of its loan. Memory: 352 bytes and 168 for its flows a loan, 16 a period, 80 a
    bill that is not paid, 64 an event.

    Raises
    ------
    DeclarationError : a product cannot be
    """

    def __init__(self, products: Sequence[Product], first_day: int) -> None:
        check_products(products)
        super().__init__(products, first_day)
        self._rows: dict[int, int] = {}
        self._rates: list[tuple[int, int, int]] = []

    # --- what is asked

    @property
    def day(self) -> int:
        """The day whose events are taken now."""
        return int(self._T.S[w.S_DAY])

    @property
    def count(self) -> int:
        """How many loans were ever opened."""
        return int(self._T.S[w.S_LOANS])

    def row_of(self, loan: int) -> int:
        """Row of a loan in the columns, from 1.

        Raises
        ------
        NotFound : there is no such loan
        """
        if (row := self._rows.get(loan)) is None:
            raise NotFound(
                "there is no such loan in the book", where="loan", found=str(loan), cure="Open it with an OPENED event."
            )
        return row

    def owner_of(self, loan: int) -> tuple[Product, int] | None:
        """Product of a loan and the customer's own account, 0 = none; None: there is no such loan."""
        row = self._rows.get(loan)
        return None if row is None else (self._product(row), int(self._T.L[row, w.L_ACCOUNT]))

    def measures(self, loan: int | None = None) -> NDArray[np.int64]:
        """What is owed today and since when: i64[loans, MEASURES], loans in the order of opening; or of one loan."""
        first, last = (1, self.count + 1) if loan is None else (self.row_of(loan), self.row_of(loan) + 1)
        found = np.zeros((last - first, len(MEASURES)), np.int64)
        running.measure(self._T, first, last, found)
        return found

    def words(self) -> NDArray[np.int64]:
        """The words of all loans, i64[loans, L_WORDS] (`kernel.words`), in the order of opening; a copy."""
        return self._T.L[1 : self.count + 1].copy()

    def flows(self) -> NDArray[np.int64]:
        """Sums of each loan's flows since it was opened, i64[loans, FLOWS]; a copy."""
        return self._T.C[1 : self.count + 1].copy()

    def totals(self) -> NDArray[np.int64]:
        """Sums over the loans by product: i64[products + 1, 6], owed by kind, unallocated, written off."""
        found = np.zeros((len(self.products) + 1, 6), np.int64)
        running.totals(self._T, found)
        return found

    def unposted(self) -> NDArray[np.int64]:
        """Flows since the last close by product, i64[products + 1, FLOWS]; a copy."""
        return self._T.F.copy()

    def payoff_minor(self, loan: int) -> int:
        """What pays off a loan today."""
        return int(running.payoff_of(self._T, self.row_of(loan)))

    def coming(self, loan: int) -> list[tuple[int, int]]:
        """Due days and principal of the instalments to come, as planned."""
        row = self._T.L[self.row_of(loan)]
        at, days = int(row[w.L_AT]), range(int(row[w.L_PERIOD]), int(row[w.L_PERIODS]))
        D, P = self._T.D, self._T.P
        return [(int(D[at + one + 1]), int(P[at + one])) for one in days] if row[w.L_NOT_DUE] else []

    def events_of(self, loan: int) -> list[tuple[int, ...]]:
        """Events of a loan that were taken: day, kind, id, amount, extra, the book's day on which each came; in the
        order in which they count, by day, kind and id. Its opening is not among them."""
        row, places = self.row_of(loan), np.empty(int(self._T.S[w.S_EVENTS]) + 1, np.int64)
        count = running.history(self._T, row, places)
        told = [w.H_DAY, w.H_KIND, w.H_ID, w.H_AMOUNT, w.H_EXTRA, w.H_CAME]
        return sorted(map(tuple, self._T.H[places[:count]][:, told].tolist()))

    def bills(self, loan: int) -> NDArray[np.int64]:
        """What is due on a loan, the oldest first: i64[bills, 7], place of the bill in its pool, day on which it fell
        due, what is left of it by kind, days on which its days past due stood still."""
        found, T = [], self._T
        at = int(T.L[self.row_of(loan), w.L_HEAD])
        while at >= 0:
            found.append([at, *T.B[at, w.B_DAY : w.B_PRINCIPAL + 1].tolist(), int(T.B[at, w.B_PAUSED])])
            at = int(T.B[at, w.B_NEXT])
        return np.array(found, np.int64).reshape(-1, 7)

    def as_opened(self, loan: int) -> LoanBook:
        """A book of the same products and rates, on the first day of a loan, with that loan alone as it was opened."""
        words = self._T.L[self.row_of(loan)]
        first, rates = int(words[w.L_FIRST]), list(self._rates)
        book = LoanBook(self.products, first)
        for one in rates:
            book._set_rate(*one)
        opening = np.zeros(1, BOOK_EVENT)
        for name, word in _OPENING.items():
            opening[name] = words[word]
        book.apply(opening)
        return book

    @property
    def next_event(self) -> int:
        """A number for the next event, above those of all that were folded."""
        return int(self._T.S[w.S_EVENTS]) + 1

    def alone(self, loans: Sequence[int]) -> LoanBook:
        """Some loans in a book of their own, to try on them what may be; those that are not there are left out."""
        found = [loan for loan in dict.fromkeys(loans) if loan in self._rows]
        made = copy(self)
        made._T = columns.part(self._T, [self._rows[loan] for loan in found])
        made._rows = {loan: row for row, loan in enumerate(found, 1)}
        return made

    def next_due(self, loan: int) -> tuple[int | None, int]:
        """The day on which an instalment falls due next, None = none does any more, and how many are to come."""
        row = self._T.L[self.row_of(loan)]
        if not row[w.L_NOT_DUE]:
            return None, 0
        period = int(row[w.L_PERIOD])
        return int(self._T.D[row[w.L_AT] + period + 1]), int(row[w.L_PERIODS]) - period

    # --- what changes it

    def offer(self, products: Sequence[Product]) -> None:
        """Offer other products from here on: more, or other terms of some of which there is no loan.

        Raises
        ------
        DeclarationError : a product cannot be
        """
        check_products(products)
        self.products = list(products)
        made, T = encode_products(self.products), self._T
        F = np.zeros((len(products) + 1, w.FLOWS), np.int64)
        F[: len(T.F)] = T.F
        self._T = T._replace(R=made.R, G=made.G, V=made.V, M=made.M, F=F)
        self._levels, self._due = Levels(), DueDays()
        for number, day, rate in self._rates:
            set_reference(self.products[number - 1], made.G, made.V, day, Decimal(rate) / w.RATE_UNIT)

    def take(self, events: np.ndarray) -> NDArray[np.int64]:
        """Judge events (BOOK_EVENT[n]) in order and fold those that may be: what became of each, as `BookOutcome`.

        DAY_CLOSED is for `close`, since a day that is closed has postings.
        """
        outcomes = self._first_reasons(events)
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
                "an event of the loan book could not have been taken",
                where=f"event {at} of {len(events)}",
                found=OUTCOMES[int(outcomes[at])].name,
                cure="Apply events in order, from the first on, to a book of the same products.",
            )

    def close(self) -> Closed:
        """Close the day: hand over its flows, and take every loan to the next day."""
        day, totals, flows = self.day, self.totals(), self._T.F.copy()
        self._roll()
        return Closed(day, flows, totals)

    # --- state

    def dump(self) -> dict[str, NDArray[np.int64]]:
        """Copies of the arrays that the state is made of, for a snapshot."""
        return columns.dump(self._T, np.array(self._rates, np.int64).reshape(-1, 3))

    @classmethod
    def load(cls, products: Sequence[Product], dumped: Mapping[str, NDArray[np.int64]]) -> LoanBook:
        """The book that was dumped.

        Raises
        ------
        InputError : it was dumped in another format, or of other products
        """
        book = cls(products, 0)
        book._T = columns.load(dumped, book.products)
        ids = book._T.L[1 : book.count + 1, w.L_ID].tolist()
        book._rows = {id: row for row, id in enumerate(ids, 1)}
        for product, day, rate in dumped["rates"].tolist():
            book._set_rate(product, day, rate)
        return book

    def digest(self) -> str:
        """The same for the same events, however they were grouped. O(loans)."""
        return columns.digest(self._T, np.array(self._rates, np.int64).reshape(-1, 3))

    # --- inside

    def _first_reasons(self, events: np.ndarray) -> NDArray[np.int64]:
        kind, outcomes = events["kind"], np.zeros(len(events), np.int64)
        outcomes[(kind < 0) | (kind >= w.DAY_CLOSED)] = BookOutcome.KIND_IS_UNKNOWN
        stays = (events["extra"] <= events["day"]) | (events["extra"] >= w.DAYS)
        outcomes[(kind == w.STAY) & stays] = BookOutcome.CHANGE_CANNOT_BE
        return outcomes

    def _run(self, events: np.ndarray, outcomes: NDArray[np.int64], judges: bool) -> None:
        """Cut the events where one is not of a loan that is there, and fold the stretches between in one go each."""
        apart = np.isin(events["kind"], (w.OPENED, w.RATE, w.DAY_CLOSED)) & (outcomes == 0)
        start = 0
        for at in np.flatnonzero(apart).tolist():
            self._stretch(events[start:at], outcomes[start:at], judges)
            outcomes[at] = self._alone(events[at], judges)
            start = at + 1
        self._stretch(events[start:], outcomes[start:], judges)

    def _alone(self, one: np.void, judges: bool) -> int:
        if one["kind"] == w.OPENED:
            return self._open(one)
        if one["kind"] == w.RATE:
            return self._rate(one)
        if one["day"] != self.day:
            return int(BookOutcome.DAY_IS_IN_THE_FUTURE)
        self._roll()
        return 0

    def _stretch(self, events: np.ndarray, outcomes: NDArray[np.int64], judges: bool) -> None:
        if not len(events):
            return
        E = np.empty((len(events), 6), np.int64)
        E[:, 0] = [self._rows.get(one, 0) for one in events["loan"].tolist()]
        for place, name in enumerate(("kind", "day", "amount_minor", "extra", "id"), 1):
            E[:, place] = events[name]
        at = 0
        while True:
            self._T = columns.with_room(self._T, bills=2 * len(E) + 8, events=len(E))
            at, why = running.take(self._T, E, outcomes, at, judges)
            if why == running.DONE:
                return
            row, kind, day, amount, extra, id = E[at].tolist()
            if why == running.NEEDS_LEVEL:
                self._level(row)
            elif why == running.NEEDS_DATES:
                outcomes[at] = self._change(row, kind, extra)
                if not outcomes[at]:
                    running.note_one(self._T, row, kind, day, amount, extra, id)
            else:
                outcomes[at] = self._replay(row, E[at, 1:], judges)
            at += 1

    def _open(self, one: np.void) -> int:
        """A loan is opened on its first day, today or before, and lives up to today."""
        number, loan = int(one["product"]), int(one["loan"])
        if loan <= 0 or loan in self._rows:
            return int(BookOutcome.LOAN_EXISTS)
        if not 0 < number <= len(self.products):
            return int(BookOutcome.PRODUCT_NOT_FOUND)
        product = self.products[number - 1]
        if not terms_fit(self._T, product, one):
            return int(BookOutcome.TERMS_ARE_WRONG)
        if one["day"] > self.day:
            return int(BookOutcome.DAY_IS_IN_THE_FUTURE)
        periods = int(one["periods"])
        self._T = columns.with_room(self._T, loans=1, bills=periods + 8, plans=periods + 1)
        self._T.S[w.S_LOANS] += 1
        row = self.count
        write_terms(self._T, row, one, product)
        self._rows[loan] = row
        self._segment(row, periods)
        self._begin(row)
        self._advance(row, self.day)
        return 0

    def _roll(self) -> None:
        T = self._T = columns.with_room(self._T, bills=self.count + 8)
        T.F[:] = 0
        T.S[w.S_CLOSED] = self.day
        T.S[w.S_DAY] += 1
        waiting = np.empty(self.count + 1, np.int64)
        for row in waiting[: running.roll(T, self.day, waiting)].tolist():
            self._level(row)
            self._advance(row, self.day)

    def _rate(self, one: np.void) -> int:
        """A reference rate is in force from a day to come."""
        number, day, rate = int(one["loan"]), int(one["day"]), int(one["extra"])
        if not 0 < number <= len(self.products) or not self.products[number - 1].reference:
            return int(BookOutcome.PRODUCT_NOT_FOUND)
        product = self.products[number - 1]
        newest = max([product.reference[-1].day, *(at for which, at, _ in self._rates if which == number)])
        if day <= max(self.day, newest) or day >= w.DAYS:
            return int(BookOutcome.DAY_IS_BEFORE_THE_NEWEST)
        penalty, base = product.penalty, Decimal(rate) / w.RATE_UNIT
        exact = penalty is None or not penalty.reference or penalty_units(penalty, base) is not None
        if not 0 <= rate <= RATE_MAX or not exact:
            return int(BookOutcome.TERMS_ARE_WRONG)
        self._set_rate(number, day, rate)
        return 0

    def _set_rate(self, number: int, day: int, rate: int) -> None:
        set_reference(self.products[number - 1], self._T.G, self._T.V, day, Decimal(rate) / w.RATE_UNIT)
        self._rates.append((number, day, rate))
