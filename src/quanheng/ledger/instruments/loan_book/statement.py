"""The statement of one loan: what fell due, what came and what it paid, who was late, what was replayed.

Nothing of it is stored. The loan lives again, alone, through its events in their order of days; what a payment paid is
the difference of what is owed before and after. An event that came with an early date stands on the day from which it
counts, with the day on which it came.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.ledger.instruments.loan_book.book import LoanBook
from quanheng.ledger.instruments.loan_book.events import BookEvent, event
from quanheng.ledger.instruments.loan_book.kernel import words as w

NEVER = -1
Amount = NDArray[np.int64]
_LEFT, _PAUSED = slice(2, 2 + w.KINDS), 2 + w.KINDS
"""Columns of `LoanBook.bills`."""
_PAID = slice(w.PAID_FEES, w.PAID_FEES + w.KINDS)


class Standing(StrEnum):
    """What became of an amount that fell due."""

    DUE = "due"
    PAST_DUE = "past_due"
    PAID = "paid"
    PAID_LATE = "paid_late"
    WRITTEN_OFF = "written_off"
    RE_AGED = "re_aged"


_GIVES_UP = {BookEvent.WRITE_OFF: Standing.WRITTEN_OFF, BookEvent.RE_AGE: Standing.RE_AGED}


class Amounts(NamedTuple):
    """Minor units by kind."""

    fees_minor: int
    penalty_minor: int
    interest_minor: int
    principal_minor: int

    @property
    def total_minor(self) -> int:
        """Their sum."""
        return sum(self)


class Due(NamedTuple):
    """What fell due on a day: an instalment, a fee, or all that was left.

    billed : with the penalty that it bore until it was paid; paid : of that
    paid_day : on which nothing of it was left, `NEVER` = some still is, or it was given up
    late_days : days from when it fell due to its payment, or to the end of the statement
    """

    day: int
    billed: Amounts
    paid: Amounts
    paid_day: int
    late_days: int
    standing: Standing


class Entry(NamedTuple):
    """An event of the loan.

    day : from which it counts; came : the book's day when it came
    replayed : it came later than the day from which it counts, so the loan was lived again with it
    amount_minor : of the event; paid : what it paid of what was due, prepaid_minor of principal that was not
    owed_minor : all that is owed after it, waiting_minor what is there and not allocated
    """

    day: int
    came: int
    kind: BookEvent
    amount_minor: int
    paid: Amounts
    prepaid_minor: int
    owed_minor: int
    waiting_minor: int
    replayed: bool


class Statement(NamedTuple):
    """A loan from its first day to the book's.

    due : in the order of days; coming : days and planned principal of what is not due yet
    measures : `book.MEASURES` at the end, those of the book
    """

    loan: int
    first_day: int
    last_day: int
    lent_minor: int
    entries: tuple[Entry, ...]
    due: tuple[Due, ...]
    coming: tuple[tuple[int, int], ...]
    measures: tuple[int, ...]


def statement(book: LoanBook, loan: int) -> Statement:
    """The statement of a loan as of the book's day.

    Complexity: O(days since it was opened), each a close of a book of one loan.

    Raises
    ------
    NotFound : there is no such loan
    """
    life = _Life(book.as_opened(loan), loan)
    first, lent_minor = life.book.day, int(life.book.measures(loan)[0, w.PRINCIPAL])
    for day, kind, id, amount_minor, extra, came in book.events_of(loan):
        life.pass_to(day)
        life.take(event(BookEvent(kind), loan, day, id, amount_minor, extra), came)
    life.pass_to(book.day)
    measures, coming = tuple(life.book.measures(loan)[0].tolist()), tuple(life.book.coming(loan))
    return Statement(loan, first, book.day, lent_minor, tuple(life.entries), life.dues(), coming, measures)


class _Bill:
    """An amount that fell due, followed until nothing is left of it. Amounts are i64[KINDS]."""

    def __init__(self, day: int, left: Amount, paid: Amount) -> None:
        self.day, self.left, self.paid, self.given_up = day, left, paid, np.zeros_like(left)
        self.paid_day, self.paused_days = NEVER, 0
        self.gone: Standing | None = None
        self._until = day

    def settle(self, day: int) -> None:
        """All that was left is paid."""
        self.paid, self.left, self.paid_day = self.paid + self.left, np.zeros_like(self.left), day

    def give_up(self, day: int, gone: Standing) -> None:
        """What is left is no longer due."""
        self.given_up, self.left, self.gone, self.paid_day = self.left, np.zeros_like(self.left), gone, NEVER
        self._until = day

    def due(self, last_day: int) -> Due:
        """As it stands on the last day of the statement."""
        until = self._until if self.gone else last_day if self.paid_day == NEVER else self.paid_day
        late = max(0, until - self.day - self.paused_days)
        if self.gone:
            standing = self.gone
        elif self.paid_day == NEVER:
            standing = Standing.PAST_DUE if late else Standing.DUE
        else:
            standing = Standing.PAID_LATE if late else Standing.PAID
        billed = _amounts(self.left + self.paid + self.given_up)
        return Due(self.day, billed, _amounts(self.paid), self.paid_day, late, standing)


class _Life:
    """One loan lives again, and is looked at after each event and each night."""

    def __init__(self, book: LoanBook, loan: int) -> None:
        self.book, self.entries = book, list[Entry]()
        self._loan, self._flows = loan, book.flows()[0]
        self._open: dict[int, _Bill] = {}
        self._all: list[_Bill] = []

    def pass_to(self, day: int) -> None:
        """Close days until it is the day."""
        while self.book.day < day:
            self.book.close()
            self._look(None)

    def take(self, one: NDArray[np.void], came: int) -> None:
        """Take an event of today."""
        kind, day, before = BookEvent(int(one["kind"][0])), self.book.day, self._flows
        self.book.apply(one)
        self._look(kind)
        moved, owed = self._flows - before, self.book.measures(self._loan)[0]
        entry = Entry(
            day, came, kind, int(one["amount_minor"][0]), _amounts(moved[_PAID]), int(moved[w.PREPAID]),
            int(owed[: w.KINDS].sum()), int(owed[4]), came > day,
        )  # fmt: skip
        self.entries.append(entry)

    def dues(self) -> tuple[Due, ...]:
        """What fell due, in the order of days."""
        return tuple(one.due(self.book.day) for one in self._all)

    def _look(self, kind: BookEvent | None) -> None:
        """Find what became of bills since the last look; kind = None: a night has passed.

        Money that waits is allocated before anything is left due: so in a night only what fell due then is paid.
        """
        flows, today = self.book.flows()[0], self.book.day
        paid, self._flows = flows[_PAID] - self._flows[_PAID], flows
        now = {int(one[0]): one for one in self.book.bills(self._loan)}
        for place, bill in [*self._open.items()]:
            one = now.get(place)
            if one is not None and one[1] == bill.day:
                change = bill.left - one[_LEFT]
                if kind is not None:  # In a night it only grows, by its penalty.
                    bill.paid, paid = bill.paid + change, paid - change
                bill.left, bill.paused_days = one[_LEFT], int(one[_PAUSED])
                continue
            del self._open[place]
            if kind in _GIVES_UP:
                bill.give_up(today, _GIVES_UP[kind])
            else:
                paid = paid - bill.left
                bill.settle(today)
        for place, one in now.items():
            if place not in self._open:
                self._open[place] = self._add(_Bill(today, one[_LEFT], paid))
                paid = np.zeros_like(paid)
        if paid.any():  # It fell due and was paid at once.
            self._add(_Bill(today, np.zeros_like(paid), paid)).settle(today)

    def _add(self, bill: _Bill) -> _Bill:
        self._all.append(bill)
        return bill


def _amounts(kinds: Amount) -> Amounts:
    return Amounts(*kinds.tolist())
