"""What a customer reads: statements, instalment plans, and how long a purchase is free of interest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.ledger.instruments.loan_book.columns import day_table
from quanheng.ledger.instruments.revolving.kernel import words as w
from quanheng.ledger.instruments.revolving.products import CreditProduct, Grace


class Statement(NamedTuple):
    """A statement. Days since 1970-01-01, amounts in minor units, of the days since the statement before.

    opening + drawn + cash + interest + fees + instalments - paid - converted = closing, negative: a credit balance

    paid : payments and merchants' refunds, less credit that was given back
    converted : purchases that became plans; instalments : what of plans fell due
    past_due, over_limit : parts of the minimum; due : None where nothing is to be paid
    """

    day: int
    opening_minor: int
    drawn_minor: int
    cash_minor: int
    paid_minor: int
    interest_minor: int
    fees_minor: int
    converted_minor: int
    instalments_minor: int
    closing_minor: int
    minimum_minor: int
    past_due_minor: int
    over_limit_minor: int
    due: int | None


class Plan(NamedTuple):
    """An instalment plan; `id` is its CONVERT event's. `left_minor` and `fee_left_minor` have not fallen due."""

    id: int
    principal_minor: int
    fee_minor: int
    instalments: int
    billed: int
    left_minor: int
    fee_left_minor: int


def statements_from(rows: NDArray[np.int64]) -> list[Statement]:
    """Statements of rows i64[n, Q_WORDS] (`kernel.words`)."""
    made = [Statement(*row) for row in rows.tolist()]
    return [one._replace(due=None) if one.due == w.NONE else one for one in made]


def plans_from(rows: NDArray[np.int64]) -> list[Plan]:
    """Plans of rows i64[n, P_WORDS - 1]."""
    return [Plan(*row) for row in rows.tolist()]


def statement_day(product: CreditProduct, day: int) -> int:
    """The day of the statement on which a purchase posted on `day` stands."""
    table = day_table()
    while not (table[day, 1] == product.statement_day or (table[day, 2] and table[day, 1] < product.statement_day)):
        day += 1
    return day


def interest_free_days(product: CreditProduct, posted: int, today: int) -> int:
    """Days from today up to and with the due day of a purchase posted on a day, if its statement is paid in full then.

    0 once that is over, or where the product has no grace. Courtesy days are not counted.
    """
    if product.grace == Grace.NONE:
        return 0
    return max(0, statement_day(product, posted) + product.due_days - today)
