"""Where each number stands in the arrays of 64-bit words. Amounts are minor units, days are since 1970-01-01.

A  accounts, a row each; row 0 is the scratch row on which replays run
C  beside each account the sums of its flows since it was opened: what a replay is compared with
F  flows by product that were not posted yet; row 0 takes those of the scratch row and is dropped
P  instalment plans, a pool, in lists from the newest on
R  products, a row each; row 0 is none
K  by day: months since year 0, day of the month, whether it is the last one, unused (`loan_book.columns.day_table`)
H  events that were folded, in the order of arrival
Q  statements of the scratch row, as many as there is room for
S  counts and clocks
"""

from typing import NamedTuple

import numpy as np


class Tables(NamedTuple):
    """The arrays above, as the kernel takes them."""

    A: np.ndarray
    C: np.ndarray
    F: np.ndarray
    P: np.ndarray
    R: np.ndarray
    K: np.ndarray
    H: np.ndarray
    Q: np.ndarray
    S: np.ndarray


UNIT = 10**6
"""Rates of a year, and shares, are whole numbers of one over this."""
FAR = 2**62
NONE = -1
DAYS = 60_000
"""Days that are known, from 1970-01-01 on."""
AMOUNT_MAX = 10**10
"""Most of one event, and of a limit, in minor units."""
OWED_MAX = 10**11
"""An event that would make more than this owed is refused."""
INSTALMENTS_MAX = 60
FROM_STATEMENT = 1000
"""Added to the instalments of a CONVERT that takes purchases of the last statement."""

# What is owed, by kind. REVOLVING are purchases that bear interest, PURCHASES those that do not yet.
KINDS = 6
FEES, INTEREST, CASH_DRAWN, REVOLVING, PURCHASES, INSTALMENTS = range(KINDS)

# An account. BILLED and OPEN are what is owed by kind, on the last statement and since; OPEN + INTEREST is what is
# posted of WHOLE + REST / denominator, the interest of the cycle, exact. FREE_*: what purchases would bear since their
# posting days if the grace were lost, of the cycle and of the last statement. CYCLE: sums for the statement to come.
A_BILLED, A_OPEN = 0, KINDS
(
    A_ID, A_PRODUCT, A_FLOW, A_STATE, A_OPENED, A_DAY, A_LIMIT, A_CASH_LIMIT, A_RATE, A_CASH_RATE, A_BLOCKED,
    A_PLANNED, A_CREDIT, A_WHOLE, A_REST, A_FREE_WHOLE, A_FREE_REST, A_FREE_BILLED_WHOLE, A_FREE_BILLED_REST,
    A_MINIMUM_LEFT, A_PAST_LEFT, A_LATE_DAY, A_DUE, A_STATEMENT_DAY, A_CLOSING, A_WRITTEN_OFF, A_HEAD,
    A_EVENT, A_LAST_ID, A_LIMIT_0, A_CASH_LIMIT_0, A_CYCLE_DRAWN, A_CYCLE_CASH, A_CYCLE_PAID,
    A_CYCLE_INTEREST, A_CYCLE_FEES, A_CYCLE_CONVERTED, A_CYCLE_INSTALMENTS,
) = range(2 * KINDS, 2 * KINDS + 38)  # fmt: skip
A_WORDS = 2 * KINDS + 38
OPENED_STATE, WRITTEN_OFF = 1, 2

# A plan: so many instalments of a principal with a fee, DONE of which were billed.
P_NEXT, P_ID, P_PRINCIPAL, P_FEE, P_COUNT, P_DONE, P_LEFT, P_FEE_LEFT = range(8)
P_WORDS = 8

# A product. R_ORDER: kinds as they are paid; R_ABOVE: as what is above the minimum pays them.
(
    R_STATEMENT_DAY, R_DUE_DAYS, R_COURTESY_DAYS, R_TOLERANCE, R_GRACE, R_YEAR_DAYS, R_COMPOUNDS, R_CASH_FEE,
    R_CASH_FEE_FLOOR, R_LATE, R_LATE_FLOOR, R_LATE_CAP, R_MINIMUM, R_MINIMUM_FLOOR, R_OVER_LIMIT, R_PLAN_FEE,
    R_PLAN_RATE, R_RESIDUE_FIRST, R_SETTLE_FEE, R_SETTLE_TAKES, R_INTEREST_MODE, R_FEE_MODE, R_MINIMUM_MODE,
    R_ABOVE_DIFFERS,
) = range(24)  # fmt: skip
R_ORDER, R_ABOVE = 24, 24 + KINDS
R_WORDS = 24 + 2 * KINDS
GRACE_NONE, GRACE_WHOLE, GRACE_UNPAID = range(3)

# Flows. Those by kind stand in the order of the kinds.
PAID, LOST = 0, KINDS
(
    DRAWN, CASH_OUT, ACCRUED, CHARGED, PENALISED, RECEIVED, REFUNDED, CONVERTED, FELL_BACK, NOTED, RECOVERED,
) = range(2 * KINDS, 2 * KINDS + 11)  # fmt: skip
FLOWS = 2 * KINDS + 11

# An event as it was folded.
H_ROW, H_BEFORE, H_KIND, H_DAY, H_AMOUNT, H_EXTRA, H_ID = range(7)
H_WORDS = 7
(
    OPENED, DRAW, CASH, FEE, PAY, CREDIT, REFUND, CONVERT, SETTLE, LIMIT, BLOCK, UNBLOCK, RE_AGE, WRITE_OFF, RECOVER,
    DAY_CLOSED,
) = range(16)  # fmt: skip

# A statement.
(
    Q_DAY, Q_OPENING, Q_DRAWN, Q_CASH, Q_PAID, Q_INTEREST, Q_FEES, Q_CONVERTED, Q_INSTALMENTS, Q_CLOSING, Q_MINIMUM,
    Q_PAST_DUE, Q_OVER_LIMIT, Q_DUE,
) = range(14)  # fmt: skip
Q_WORDS = 14

S_DAY, S_ACCOUNTS, S_PLANS, S_FREE, S_EVENTS, S_CLOSED, S_STATEMENTS = range(7)
S_WORDS = 7

# Why an event may not be, in the order of precedence.
(
    APPLIED, KIND_UNKNOWN, NOT_FOUND, EXISTS, PRODUCT_NOT_FOUND, TERMS_WRONG, AMOUNT_OUT_OF_RANGE, IN_THE_FUTURE,
    BEFORE_THE_ACCOUNT, NOT_BACK_DATED, EVENT_EXISTS, IS_WRITTEN_OFF, IS_NOT_WRITTEN_OFF, IS_BLOCKED, LIMIT_EXCEEDED,
    CASH_LIMIT_EXCEEDED, NOTHING_OWED, NOT_PAST_DUE, INSTALMENTS_WRONG, TOO_MUCH_CONVERTED, PLAN_NOT_FOUND,
    REFUND_TOO_HIGH, RECOVERY_TOO_HIGH, CONTRADICTS_LATER,
) = range(24)  # fmt: skip
