"""A loan enters the book: whether its terms can be, and the words that never change afterwards."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from quanheng.ledger.instruments.loan_book.kernel import words as w
from quanheng.ledger.instruments.loan_book.kernel.words import Tables
from quanheng.ledger.instruments.loan_book.products import (
    PRINCIPAL_MAX,
    RATE_MAX,
    Product,
    penalty_units,
    scaled,
)


def terms_fit(T: Tables, product: Product, one: np.void) -> bool:
    """Whether a loan of the product can have these terms: amounts, rates and days are in range, penalties are exact."""
    rate, periods, first = int(one["rate"]), int(one["periods"]), int(one["day"])
    return (
        0 < one["amount_minor"] <= PRINCIPAL_MAX
        and (-RATE_MAX if product.floats else 0) <= rate <= RATE_MAX
        and product.grace_periods < periods <= w.PERIODS_MAX
        and 0 <= first < w.DAYS - 31 * product.period_months * (periods + 1)
        and (one["account"] > 0) == product.own_cash
        and _own_penalty(product, rate) is not None
        and _cap(T, product, first) is not None
    )


def write_terms(T: Tables, row: int, one: np.void, product: Product) -> None:
    """The words of a loan that its opening says."""
    loan = T.L[row]
    loan[:] = 0
    loan[w.L_ID], loan[w.L_PRODUCT], loan[w.L_FLOW] = one["loan"], product.number, product.number
    loan[w.L_FIRST], loan[w.L_PRINCIPAL], loan[w.L_PERIODS_0] = one["day"], one["amount_minor"], one["periods"]
    loan[w.L_RATE_0], loan[w.L_ACCOUNT], loan[w.L_EVENT] = one["rate"], one["account"], w.NONE
    loan[w.L_PENALTY] = _own_penalty(product, int(one["rate"])) or 0
    cap = _cap(T, product, int(one["day"]))
    loan[w.L_CAP] = w.NONE if cap is None else cap


def write_start(T: Tables, row: int) -> None:
    """The words of a loan as they are before its first day, of its terms alone."""
    loan = T.L[row]
    kept = [
        w.L_ID, w.L_PRODUCT, w.L_FLOW, w.L_FIRST, w.L_PRINCIPAL, w.L_PERIODS_0, w.L_RATE_0, w.L_ACCOUNT, w.L_EVENT,
        w.L_PENALTY, w.L_CAP, w.L_AT, w.L_ROOM, w.L_LAST_DAY, w.L_LAST_RANK, w.L_LAST_ID,
    ]  # fmt: skip
    values = loan[kept]
    loan[:] = 0
    loan[kept] = values
    loan[w.L_PERIODS], loan[w.L_HEAD], loan[w.L_TAIL], loan[w.L_LEVEL] = loan[w.L_PERIODS_0], w.NONE, w.NONE, w.NONE
    rate = int(loan[w.L_RATE_0])
    floats = bool(T.R[loan[w.L_PRODUCT], w.R_FLOATS])
    loan[w.L_RATE] = max(0, int(T.V[loan[w.L_PRODUCT], loan[w.L_FIRST]]) + rate) if floats else rate
    loan[w.L_SPREAD] = rate if floats else 0


def _own_penalty(product: Product, rate: int) -> int | None:
    """Penalty rate of the loan's own rate; 0 where the penalty is dated, or there is none; None: it is not exact."""
    if product.penalty is None or product.penalty.reference:
        return 0
    return penalty_units(product.penalty, Decimal(rate) / w.RATE_UNIT)


def _cap(T: Tables, product: Product, first_day: int) -> int | None:
    """Most that overdue amounts bear, by the reference on the first day; -1 = no cap; None: it is not exact."""
    if product.penalty is None or product.penalty.cap_multiple is None:
        return w.NONE
    return scaled(product.penalty.cap_multiple * int(T.V[product.number, first_day]) / w.RATE_UNIT, w.PENALTY_UNIT)
