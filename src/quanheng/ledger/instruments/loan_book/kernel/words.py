"""Where each number stands in the book's arrays of 64-bit words. Amounts are minor units, days are since 1970-01-01.

L  loans, a row each; row 0 is the scratch row on which replays run
C  beside each loan the sums of its flows since it was opened: what a replay is compared with
F  flows by product that were not posted yet; row 0 takes those of the scratch row and is dropped
B  bills, a pool: what fell due on a day and is not paid, in lists from the oldest on
D  due days, P planned principal: a segment of each loan; D[at] is the first day, D[at + k] the end of period k - 1
R  products, a row each; row 0 is none
G  by product and day: the rate that overdue amounts bear, in units of 1e-7 a year, from that day to the next
V  by product and day: the reference rate in force, in units of 1e-6 a year
M  by product and period: by how much the instalment is more than the level, in units of 1e-4
K  by day: months since year 0, day of the month, whether it is the last one, parts of ACT/ACT so far
H  events that were folded, in the order of arrival
S  counts and clocks
"""

from typing import NamedTuple

import numpy as np


class Tables(NamedTuple):
    """The arrays above, as the kernel takes them."""

    L: np.ndarray
    C: np.ndarray
    F: np.ndarray
    B: np.ndarray
    D: np.ndarray
    P: np.ndarray
    R: np.ndarray
    G: np.ndarray
    V: np.ndarray
    M: np.ndarray
    K: np.ndarray
    H: np.ndarray
    S: np.ndarray


RATE_UNIT, PENALTY_UNIT, STEP_UNIT, FEE_UNIT = 10**6, 10**7, 10**4, 10**6
"""Rates of a year, of penalties, steps of instalments and fee rates are whole numbers of one over these."""
FAR = 2**62
NONE = -1
PERIODS_MAX = 600
DAYS = 60_000
"""Days the book knows, from 1970-01-01 on."""
LEAP_YEARS = 365 * 366

# A loan. WHOLE + REST / DEN is the interest accrued in the period, exact; BASE the parts of a year that it is of.
(
    L_ID, L_PRODUCT, L_FLOW, L_STATE, L_FIRST, L_PERIODS, L_PERIOD, L_START, L_NEXT, L_DAY, L_NOT_DUE, L_RATE, L_DEN,
    L_WHOLE, L_REST, L_POSTED, L_BASE, L_LEVEL, L_UNALLOCATED, L_WRITTEN_OFF, L_HEAD, L_TAIL, L_AT, L_ROOM, L_MATURITY,
    L_PENALTY, L_CAP, L_NEEDS, L_SPREAD, L_PRINCIPAL, L_RATE_0, L_PERIODS_0, L_EVENT, L_LAST_DAY, L_LAST_RANK,
    L_LAST_ID, L_STAY, L_HOLIDAY, L_HOLIDAY_ACCRUES, L_CONTRADICTION, L_ACCOUNT, L_GRACE, L_WRITTEN_DAY, L_SETTLED,
) = range(44)  # fmt: skip
L_WORDS = 44
OPEN, WRITTEN_OFF = 1, 2
"""States. A loan on which nothing is owed any more is open with nothing in it."""

# A bill: what is owed of it by kind, the penalty on it since it fell due (exact), and what of that was posted.
B_NEXT, B_DAY, B_FEES, B_PENALTY, B_INTEREST, B_PRINCIPAL, B_WHOLE, B_REST, B_POSTED, B_PAUSED = range(10)
B_WORDS = 10
KINDS = 4
FEES, PENALTY, INTEREST, PRINCIPAL = range(KINDS)

# A product.
(
    R_METHOD, R_COUNT, R_MONTHS, R_GRACE, R_CAPITALISES, R_BY_INSTALMENT, R_ORDER, _R1, _R2, _R3, R_ACCRUAL_MODE,
    R_BILLING_MODE, R_PENALTY_MODE, R_FEE_MODE, R_LEVEL_MODE, R_FEE_RATE, R_HAS_PENALTY, R_PENALTY_DATED,
    R_PENALTY_GRACE, R_ON_INTEREST, R_PENALTY_YEAR, R_FLOATS, R_RESET, R_OWN_CASH,
) = range(24)  # fmt: skip
R_WORDS = 24
ANNUITY, EQUAL_PRINCIPAL, INTEREST_ONLY, BULLET = range(4)
US_30, BOND_30, E_30, E_30_ISDA, ACT_360, ACT_365F, ACT_ACT_ISDA, ACT_ACT_ICMA = range(8)
HALF_EVEN, HALF_UP, HALF_DOWN, DOWN, UP = range(5)

# Flows. Those by kind stand in the order of the kinds.
(
    DISBURSED, ACCRUED, ROUNDED, PENALISED, CHARGED, PAID_FEES, PAID_PENALTY, PAID_INTEREST, PAID_PRINCIPAL, PREPAID,
    CAPITALISED_FEES, CAPITALISED_PENALTY, CAPITALISED_INTEREST, LOST_FEES, LOST_PENALTY, LOST_INTEREST, LOST_PRINCIPAL,
    NOTED, RECOVERED, RECEIVED, REFUNDED,
) = range(21)  # fmt: skip
FLOWS = 21

# An event as it was folded; CAME is the book's day when it came.
H_ROW, H_BEFORE, H_KIND, H_DAY, H_AMOUNT, H_EXTRA, H_ID, H_CAME = range(8)
H_WORDS = 8
(
    OPENED, CHARGE, PAY, PREPAY, PAY_OFF, WRITE_OFF, RECOVER, REFUND, HOLIDAY, STAY, RE_AGE, RE_AMORTISE, RATE,
    DAY_CLOSED,
) = range(14)  # fmt: skip
"""Kinds of events, in the order in which those of one day are folded."""

S_DAY, S_LOANS, S_BILLS, S_FREE, S_PLANS, S_EVENTS, S_CLOSED = range(7)
S_WORDS = 7
