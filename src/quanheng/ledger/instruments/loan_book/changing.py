"""Changes of a loan's due days: payment holidays, re-ageing, re-amortisation. What they do to amounts is compiled."""

from __future__ import annotations

from collections.abc import Callable

from quanheng.ledger.instruments.loan_book.events import HOLIDAY_ACCRUES
from quanheng.ledger.instruments.loan_book.kernel import running
from quanheng.ledger.instruments.loan_book.kernel import words as w
from quanheng.ledger.instruments.loan_book.kernel.words import Tables

DueUntil = Callable[[int], list[int]]
"""The first day of a loan, and so many due days, as its product has them."""


def new_periods(T: Tables, row: int, kind: int, extra: int, due: DueUntil) -> tuple[int, int] | None:
    """Current period and number of periods after a change; None: the change cannot be.

    A holiday adds its periods at the end. Re-amortisation and re-ageing count from the current period; of a loan that
    has matured, from the next regular due day.
    """
    loan = T.L[row]
    period, periods = int(loan[w.L_PERIOD]), int(loan[w.L_PERIODS])
    if kind == w.HOLIDAY:
        extra, base = extra % HOLIDAY_ACCRUES, periods
    else:
        if period >= periods:
            days = due(w.PERIODS_MAX)
            period = next((at for at, day in enumerate(days) if day > loan[w.L_DAY]), w.PERIODS_MAX + 1) - 1
        base = period
    after = periods if kind == w.RE_AGE and extra == 0 else base + extra
    if after <= period or after > w.PERIODS_MAX or (extra <= 0 and kind != w.RE_AGE) or extra < 0:
        return None
    return (period, after) if due(after)[-1] < w.DAYS else None


def change_dates(T: Tables, row: int, kind: int, extra: int, period: int, days: list[int]) -> None:
    """Make a change: `period` and `days` (the first and all due days) as they are from now on. There is room for them.

    The loan may need a level afterwards.
    """
    loan = T.L[row]
    at = int(loan[w.L_AT])
    T.D[at : at + len(days)] = days
    loan[w.L_PERIOD], loan[w.L_PERIODS] = period, len(days) - 1
    if kind == w.HOLIDAY:
        loan[w.L_HOLIDAY] = max(int(loan[w.L_HOLIDAY]), period) + extra % HOLIDAY_ACCRUES
        loan[w.L_HOLIDAY_ACCRUES] = extra >= HOLIDAY_ACCRUES
        loan[w.L_STAY] = max(int(loan[w.L_STAY]), days[int(loan[w.L_HOLIDAY])])
    else:
        loan[w.L_GRACE] = min(int(loan[w.L_GRACE]), period)
        loan[w.L_HOLIDAY] = min(int(loan[w.L_HOLIDAY]), period)
    if kind == w.RE_AGE:
        running.capitalise(T, row)
    running.enter(T, row)
