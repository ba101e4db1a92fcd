"""One loan of the book: it begins, lives up to a day, has its due days changed, and is replayed from its beginning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quanheng.ledger.instruments.loan_book import columns
from quanheng.ledger.instruments.loan_book.changing import change_dates, new_periods
from quanheng.ledger.instruments.loan_book.columns import SCRATCH
from quanheng.ledger.instruments.loan_book.kernel import running
from quanheng.ledger.instruments.loan_book.kernel import words as w
from quanheng.ledger.instruments.loan_book.levels import DueDays, Levels
from quanheng.ledger.instruments.loan_book.opening import write_start
from quanheng.ledger.instruments.loan_book.outcomes import BookOutcome
from quanheng.ledger.instruments.loan_book.products import Product

_DATES = w.HOLIDAY, w.RE_AGE, w.RE_AMORTISE
_CARRIED = [w.L_ID, w.L_FLOW, w.L_AT, w.L_ROOM, w.L_EVENT, w.L_LAST_DAY, w.L_LAST_RANK, w.L_LAST_ID]
"""Words that are the row's own, whatever is replayed."""


class Rows:
    """The rows of the loans, and what Python does with one of them between stretches of compiled code."""

    def __init__(self, products: Sequence[Product], first_day: int) -> None:
        self.products = list(products)
        self._T = columns.empty(self.products, first_day)
        self._levels, self._due = Levels(), DueDays()

    def _product(self, row: int) -> Product:
        return self.products[int(self._T.L[row, w.L_PRODUCT]) - 1]

    def _segment(self, row: int, periods: int) -> None:
        """Give a loan a segment of its own for due days and principal, at the end."""
        self._T = columns.with_room(self._T, plans=periods + 1)
        T, loan = self._T, self._T.L[row]
        loan[w.L_AT], loan[w.L_ROOM] = T.S[w.S_PLANS], periods + 1
        T.S[w.S_PLANS] += periods + 1

    def _begin(self, row: int) -> None:
        T = self._T
        write_start(T, row)
        loan = T.L[row]
        days = self._due.until(self._product(row), int(loan[w.L_FIRST]), int(loan[w.L_PERIODS]))
        T.D[loan[w.L_AT] : loan[w.L_AT] + len(days)] = days
        running.begin(T, row, loan[w.L_PRINCIPAL])
        self._level(row)

    def _level(self, row: int) -> None:
        if self._T.L[row, w.L_NEEDS]:
            self._levels.give(self._T, row, self._product(row))

    def _advance(self, row: int, day: int) -> None:
        while not running.step(self._T, row, day):
            self._level(row)

    def _change(self, row: int, kind: int, extra: int) -> int:
        """A change of due days, today."""
        product, loan = self._product(row), self._T.L[row]
        first = int(loan[w.L_FIRST])
        found = new_periods(self._T, row, kind, extra, lambda periods: self._due.until(product, first, periods))
        if found is None:
            return int(BookOutcome.CHANGE_CANNOT_BE)
        period, periods = found
        if periods + 1 > loan[w.L_ROOM]:
            self._move(row, periods)
        change_dates(self._T, row, kind, extra, period, self._due.until(product, first, periods))
        self._level(row)
        return 0

    def _move(self, row: int, periods: int) -> None:
        at, count = int(self._T.L[row, w.L_AT]), int(self._T.L[row, w.L_PERIODS])
        self._segment(row, periods)
        T, to = self._T, int(self._T.L[row, w.L_AT])
        T.D[to : to + count + 1], T.P[to : to + count] = T.D[at : at + count + 1], T.P[at : at + count]

    # --- replay

    def _replay(self, row: int, event: NDArray[np.int64], judges: bool) -> int:
        """An event (kind, day, amount, extra, id) that is older than one that was folded: live the loan again with it.

        On the scratch row, whose flows are of no product. Only when all of it can be is the loan replaced by it, and
        the difference of its flows is its product's to post.
        """
        kind, day, amount, extra, id = event.tolist()
        before = self._history(row)
        place = (day, kind, id)
        if any((one[1], one[0], one[4]) == place for one in before):
            return int(BookOutcome.EVENT_EXISTS)
        gone = any(one[0] == w.WRITE_OFF and one[1] <= day for one in before)
        if judges and gone and kind not in (w.RECOVER, w.REFUND):
            return int(BookOutcome.LOAN_IS_WRITTEN_OFF)
        events = sorted([*before, event.tolist()], key=lambda one: (one[1], one[0], one[4]))
        found = self._live_again(row, events, place if judges else None)
        if found:
            running.let_go(self._T, SCRATCH)
            return found
        self._adopt(row)
        running.note_one(self._T, row, kind, day, amount, extra, id)
        return 0

    def _history(self, row: int) -> list[list[int]]:
        """The events of a loan (kind, day, amount, extra, id), in no order."""
        places = np.empty(int(self._T.S[w.S_EVENTS]) + 1, np.int64)
        count = running.history(self._T, row, places)
        found: list[list[int]] = self._T.H[places[:count], w.H_KIND : w.H_CAME].tolist()
        return found

    def _live_again(self, row: int, events: list[list[int]], judged: tuple[int, int, int] | None) -> int:
        """The scratch row lives through events up to today; the first reason why it cannot, 0 = it can."""
        self._T = columns.with_room(self._T, bills=w.PERIODS_MAX + 2 * len(events) + 8, events=1)
        T = self._T
        at, room = T.L[SCRATCH, [w.L_AT, w.L_ROOM]]
        T.L[SCRATCH] = T.L[row]
        T.L[SCRATCH, [w.L_AT, w.L_ROOM, w.L_FLOW]] = at, room, 0
        T.C[SCRATCH] = 0
        self._begin(SCRATCH)
        for kind, day, amount, extra, id in events:
            self._advance(SCRATCH, day)
            mine = judged == (day, kind, id)
            if (mine or kind in _DATES) and (wrong := running.judge_one(T, SCRATCH, kind, amount, extra)):
                return int(wrong) if mine else int(BookOutcome.REPLAY_CONTRADICTS_LATER)
            if kind in _DATES:
                if wrong := self._change(SCRATCH, kind, extra):
                    return wrong if mine else int(BookOutcome.REPLAY_CONTRADICTS_LATER)
            else:
                running.take_one(T, SCRATCH, kind, amount, extra, id)
                self._level(SCRATCH)
        self._advance(SCRATCH, int(T.S[w.S_DAY]))
        return int(BookOutcome.REPLAY_CONTRADICTS_REFUND) if T.L[SCRATCH, w.L_CONTRADICTION] else 0

    def _adopt(self, row: int) -> None:
        """The loan is from now on what the scratch row is."""
        periods = int(self._T.L[SCRATCH, w.L_PERIODS])
        if periods + 1 > self._T.L[row, w.L_ROOM]:
            self._segment(row, periods)
        T = self._T
        loan, flow, at = T.L[row], T.L[row, w.L_FLOW], int(T.L[row, w.L_AT])
        running.let_go(T, row)
        T.F[flow] += T.C[SCRATCH] - T.C[row]
        T.C[row] = T.C[SCRATCH]
        own = loan[_CARRIED]
        loan[:] = T.L[SCRATCH]
        loan[_CARRIED] = own
        T.D[at : at + periods + 1], T.P[at : at + periods] = T.D[: periods + 1], T.P[:periods]
        T.L[SCRATCH, [w.L_HEAD, w.L_TAIL]] = w.NONE
