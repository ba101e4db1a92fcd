"""What 64 bits cannot hold: level instalments with 60 digits; and calendars of due days. Both are kept once made."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from quanheng.ledger.instruments.loan.day_count import add_months, date_of, day_of
from quanheng.ledger.instruments.loan.rounding import rounded
from quanheng.ledger.instruments.loan_book.kernel import running
from quanheng.ledger.instruments.loan_book.kernel import words as w
from quanheng.ledger.instruments.loan_book.kernel.words import Tables
from quanheng.ledger.instruments.loan_book.products import Product

_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)
_KEPT_MAX = 50_000


class Levels:
    """Level instalments of loans. The factors of one rate and calendar are computed once."""

    def __init__(self) -> None:
        self._factors: dict[tuple[bytes, bytes, bytes], tuple[Decimal, Decimal]] = {}
        self._parts = np.zeros(w.PERIODS_MAX + 1, np.int64)
        self._years = np.zeros(w.PERIODS_MAX + 1, np.int64)

    def give(self, T: Tables, row: int, product: Product) -> None:
        """Compute the level a loan needs, and plan with it.

        P prod(1 + g_k) = A sum over k of s_k prod(1 + g_j), j > k, with g_k = rate times the part of a year of period k
        and s_k its step: as `loan.schedule.level_instalment`, which is the case s = 1.
        """
        loan = T.L[row]
        count = int(running.growths(T, row, self._parts, self._years))
        number = max(int(loan[w.L_PERIOD]), int(loan[w.L_GRACE]), int(loan[w.L_HOLIDAY]))
        steps = T.M[product.number, number : number + count] if product.steps else None
        growth, factors = self._factors_of(self._parts[:count], self._years[:count], steps)
        owed = Fraction(int(loan[w.L_NOT_DUE]))
        if number == loan[w.L_PERIOD] and (loan[w.L_WHOLE] or loan[w.L_REST]):
            accrued = int(loan[w.L_WHOLE]) + Fraction(int(loan[w.L_REST]), int(loan[w.L_DEN]))
            owed += accrued / (1 + Fraction(int(self._parts[0]), int(self._years[0])))
        exact = _WIDE.divide(Decimal(owed.numerator), Decimal(owed.denominator))
        level = _WIDE.divide(_WIDE.multiply(exact, growth), factors)
        running.give_level(T, row, rounded(Fraction(level), product.level_rounding))

    def _factors_of(
        self, parts: NDArray[np.int64], years: NDArray[np.int64], steps: NDArray[np.int64] | None
    ) -> tuple[Decimal, Decimal]:
        key = parts.tobytes(), years.tobytes(), steps.tobytes() if steps is not None else b""
        if (known := self._factors.get(key)) is not None:
            return known
        product, factors = Decimal(1), Decimal(0)
        for place in range(len(parts) - 1, -1, -1):
            share = product
            if steps is not None and steps[place] != w.STEP_UNIT:
                share = _WIDE.multiply(product, Decimal(int(steps[place])) / w.STEP_UNIT)
            factors = _WIDE.add(factors, share)
            growth = _WIDE.divide(Decimal(int(parts[place])), Decimal(int(years[place])))
            product = _WIDE.multiply(product, _WIDE.add(Decimal(1), growth))
        if len(self._factors) >= _KEPT_MAX:
            self._factors.clear()
        self._factors[key] = product, factors
        return product, factors


class DueDays:
    """First day and due days of each product, as `loan.schedule.due_dates` has them."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], list[int]] = {}

    def until(self, product: Product, first_day: int, periods: int) -> list[int]:
        """The first day, and so many due days."""
        known = self._kept.setdefault((product.number, first_day), [first_day])
        if len(known) <= periods:
            if len(self._kept) >= _KEPT_MAX:
                self._kept = {(product.number, first_day): known}
            first = date_of(first_day)
            for number in range(len(known), periods + 1):
                day = add_months(first, number * product.period_months, product.end_of_month)
                known.append(day_of(product.calendar.roll(day, product.roll)))
        return known[: periods + 1]
