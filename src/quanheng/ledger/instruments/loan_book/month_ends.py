"""A book at the end of each month: what is owed by bucket, class and stage, what rolled where, and vintages.

A fold of the book beside it: it is shown the book before the last day of each month is closed. Folding the log again
gives the same; nothing of it is recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.ledger.instruments.loan_book.book import MEASURES, LoanBook
from quanheng.ledger.instruments.loan_book.columns import day_table
from quanheng.ledger.instruments.loan_book.kernel import words as w
from quanheng.ledger.instruments.loan_book.portfolio import (
    BUCKET_DAYS,
    FIVE_CLASS_DAYS,
    STAGE_DAYS,
    Vintages,
    buckets,
    five_class,
    stages,
    vintages,
)

BAD_DAYS = 91
"""Days past due from which a loan is bad in vintages: more than 90, as the stages have it."""
_DAYS_PAST_DUE, _WRITTEN_OFF = MEASURES.index("days_past_due"), MEASURES.index("written_off_minor")
_STATES_MORE = ("repaid", "written off")


class MonthEnd(NamedTuple):
    """The book at the end of a month. First axis: products by number, 0 for all of them. Amounts are minor units.

    month : months since year 0 (year x 12 + month)
    loans, owed_minor : i64[products + 1, states], by state (`MonthEnds.states`)
    class_minor : i64[products + 1, 5], owed by class (`portfolio.FIVE_CLASSES`); stage_minor : i64[products + 1, 3]
    rolled_minor : i64[products + 1, states, states], what was owed a month before, by state then (rows) and now; of
        loans that were there then. Of those repaid or written off nothing is owed
    written_off_minor : i64[products + 1], on record after write-offs and recoveries
    """

    month: int
    loans: NDArray[np.int64]
    owed_minor: NDArray[np.int64]
    class_minor: NDArray[np.int64]
    stage_minor: NDArray[np.int64]
    rolled_minor: NDArray[np.int64]
    written_off_minor: NDArray[np.int64]


class MonthEnds:
    """Follows a book from month to month.

    Parameters
    ----------
    bad_days : days past due from which a loan is bad in vintages; what was written off is bad, as far as not recovered
    first_days : as `portfolio.buckets`

    Memory: 8 bytes a loan and month.
    """

    def __init__(self, bad_days: int = BAD_DAYS, first_days: Sequence[int] = BUCKET_DAYS) -> None:
        if bad_days < 1:
            raise InputError(
                "the days from which a loan is bad are not positive", where="bad_days", found=str(bad_days),
                allowed="1 or more", cure="Give the first day past due on which a loan counts as bad, 91 for example.",
            )  # fmt: skip
        buckets(np.zeros(1, np.int64), first_days)
        self.bad_days, self.first_days = bad_days, tuple(first_days)
        self.ends: list[MonthEnd] = []
        self._bad: list[NDArray[np.int64]] = []
        self._before: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
        self._terms = np.zeros((0, 3), np.int64)

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the states: M0 (nothing past due), M1 ... by bucket, repaid, written off."""
        return (*(f"M{one}" for one in range(len(self.first_days) + 1)), *_STATES_MORE)

    def look(self, book: LoanBook) -> bool:
        """Look at the book before its day is closed; whether that day ends a month, so that it was counted.

        Raises
        ------
        InputError : the month is not the one after the last that was counted
        """
        month, _, ends, _ = day_table()[book.day].tolist()
        if not ends:
            return False
        if self.ends and month != self.ends[-1].month + 1:
            raise InputError(
                "a month is missing", where="look", found=_name(month), allowed=_name(self.ends[-1].month + 1),
                cure="Show the book before every close, or begin anew.",
            )  # fmt: skip
        measures, words = book.measures(), book.words()
        self._terms = words[:, [w.L_PRODUCT, w.L_FIRST, w.L_PRINCIPAL]]
        self._count(month, len(book.products), measures)
        return True

    def vintages(self, product: int = 0) -> Vintages:
        """The vintage table of a product, 0 = of all: what is owed on bad loans, or was lost on them, by month of
        opening and age in months; age 0 is the month of the opening."""
        mine = np.flatnonzero((self._terms[:, 0] == product) | (product == 0))
        opened = day_table()[self._terms[mine, 1], 0]
        if not self.ends or not len(mine):
            return Vintages(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 0), np.int64))
        first, last = self.ends[0].month, self.ends[-1].month
        ages = []
        for age in range(last - int(opened.min()) + 1):
            at, found = opened + age, np.full(len(mine), -1, np.int64)
            for month in np.unique(at[(at >= first) & (at <= last)]).tolist():
                there = at == month
                found[there] = self._bad[month - first][mine[there]]
            ages.append(found)
        return vintages(opened, self._terms[mine, 2], ages)

    def _count(self, month: int, products: int, measures: NDArray[np.int64]) -> None:
        owed, days = measures[:, : w.KINDS].sum(axis=1), measures[:, _DAYS_PAST_DUE]
        lost = measures[:, _WRITTEN_OFF]
        gone, product = self._written_off(lost, owed), self._terms[:, 0]
        state = buckets(days, self.first_days)
        bucket_count = len(self.first_days) + 1
        state[owed == 0], state[gone] = bucket_count, bucket_count + 1
        shape = products, len(self.states)
        counts, amounts = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        np.add.at(counts, (product - 1, state), 1)
        np.add.at(amounts, (product - 1, state), owed)
        classes, staged = np.zeros((products, 5), np.int64), np.zeros((products, 3), np.int64)
        np.add.at(classes, (product - 1, five_class(days, gone, FIVE_CLASS_DAYS)), owed)
        np.add.at(staged, (product - 1, stages(days, gone, None, STAGE_DAYS) - 1), owed)
        rolled = np.zeros((*shape, shape[1]), np.int64)
        if self._before is not None:
            before, weights = self._before
            n = len(before)
            np.add.at(rolled, (product[:n] - 1, before, state[:n]), weights)
        written = np.zeros(products, np.int64)
        np.add.at(written, product - 1, lost)
        tables = (counts, amounts, classes, staged, rolled, written)
        self.ends.append(MonthEnd(month, *(np.concatenate([one.sum(axis=0)[None], one]) for one in tables)))
        self._bad.append(np.where(gone, lost, np.where(days >= self.bad_days, owed, 0)))
        self._before = state, owed

    def _written_off(self, lost: NDArray[np.int64], owed: NDArray[np.int64]) -> NDArray[np.bool_]:
        """A loan was written off though all of it may have been recovered since: nobody is well again by that."""
        gone: NDArray[np.bool_] = lost > 0
        if self._before is not None:
            before = self._before[0]
            gone[: len(before)] |= before == len(self.states) - 1
        found: NDArray[np.bool_] = gone & (owed == 0)
        return found


def _name(month: int) -> str:
    year, place = divmod(month - 1, 12)
    return f"{year}-{place + 1:02}"
