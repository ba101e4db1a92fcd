"""Parts of a year between days, and the principal that falls due at the end of each period to come."""

from numba import njit

from quanheng.ledger.instruments.loan_book.kernel.rounding import rounded, share
from quanheng.ledger.instruments.loan_book.kernel.words import (
    ACT_360,
    ACT_365F,
    ACT_ACT_ICMA,
    ACT_ACT_ISDA,
    ANNUITY,
    BULLET,
    E_30,
    E_30_ISDA,
    EQUAL_PRINCIPAL,
    HALF_EVEN,
    INTEREST_ONLY,
    L_AT,
    L_BASE,
    L_GRACE,
    L_HOLIDAY,
    L_LEVEL,
    L_MATURITY,
    L_NEEDS,
    L_NOT_DUE,
    L_PERIOD,
    L_PERIODS,
    L_PRODUCT,
    L_RATE,
    L_REST,
    L_WHOLE,
    LEAP_YEARS,
    NONE,
    R_BILLING_MODE,
    R_COUNT,
    R_LEVEL_MODE,
    R_METHOD,
    R_MONTHS,
    RATE_UNIT,
    STEP_UNIT,
    US_30,
)


@njit(nogil=True, error_model="numpy", inline="always")
def year_parts(count, months, K, start, end, maturity):
    """Parts of a year from the first day of a period to a day in it; `year_of` says how many make a year."""
    if count in (ACT_360, ACT_365F):
        return end - start
    if count == ACT_ACT_ISDA:
        return K[end, 3] - K[start, 3]
    if count == ACT_ACT_ICMA:
        return (end - start) * months
    return _days_of_30(K, count, start, end, maturity)


@njit(nogil=True, error_model="numpy")
def parts_of(T, row, start, end):
    """`year_parts` as a loan's product counts them."""
    loan = T.L[row]
    product = T.R[loan[L_PRODUCT]]
    return year_parts(product[R_COUNT], product[R_MONTHS], T.K, start, end, loan[L_MATURITY])


@njit(nogil=True, error_model="numpy")
def _days_of_30(K, count, start, end, maturity):
    """30 days a month, as `loan.day_count` says for each convention."""
    first, last = K[start, 1], K[end, 1]
    start_ends, end_ends = K[start, 2], K[end, 2]
    if count == E_30:
        first, last = min(first, 30), min(last, 30)
    elif count == E_30_ISDA:
        first = 30 if start_ends else first
        last = 30 if last == 31 or (end_ends and last < 30 and end != maturity) else last
    else:
        if count == US_30 and start_ends and first < 30:
            last = 30 if end_ends and last < 30 else last
            first = 30
        last = 30 if last == 31 and first >= 30 else last
        first = min(first, 30)
    return 30 * (K[end, 0] - K[start, 0]) + last - first


@njit(nogil=True, error_model="numpy")
def year_of(T, row, number):
    """How many parts make a year, in a period."""
    loan = T.L[row]
    count = T.R[loan[L_PRODUCT], R_COUNT]
    if count == ACT_365F:
        return 365
    if count == ACT_ACT_ISDA:
        return LEAP_YEARS
    if count == ACT_ACT_ICMA:
        at = loan[L_AT] + number
        return 12 * (T.D[at + 1] - T.D[at])
    return 360


@njit(nogil=True, error_model="numpy")
def first_planned(loan):
    """The first period at whose end principal may fall due."""
    return max(loan[L_PERIOD], loan[L_GRACE], loan[L_HOLIDAY])


@njit(nogil=True, error_model="numpy")
def replan(T, row, keeps):
    """Spread the principal that is not due over the periods to come; `keeps`: with the level as it was.

    A new level instalment is not for 64 bits: the loan says then that it needs one, and goes on when it has it.
    """
    loan = T.L[row]
    product = T.R[loan[L_PRODUCT]]
    first = first_planned(loan)
    if loan[L_PERIOD] >= loan[L_PERIODS]:
        return
    keeps = keeps and loan[L_LEVEL] >= 0
    if product[R_METHOD] == ANNUITY and not keeps:
        loan[L_NEEDS] = 1
        return
    if product[R_METHOD] == EQUAL_PRINCIPAL and not keeps:
        count = loan[L_PERIODS] - first
        loan[L_LEVEL] = rounded(product[R_LEVEL_MODE], loan[L_NOT_DUE] // count, loan[L_NOT_DUE] % count, count)
    if product[R_METHOD] == INTEREST_ONLY or product[R_METHOD] == BULLET:
        loan[L_LEVEL] = NONE
    spread(T, row, first)


@njit(nogil=True, error_model="numpy")
def spread(T, row, first):
    """Principal of each period from the first on, with the level that the loan has."""
    loan = T.L[row]
    product = T.R[loan[L_PRODUCT]]
    method, at, last = product[R_METHOD], loan[L_AT], loan[L_PERIODS] - 1
    loan[L_NEEDS] = 0
    for number in range(loan[L_PERIOD], first):
        T.P[at + number] = 0
    left = loan[L_NOT_DUE]
    for number in range(first, last):
        part = 0
        if method == ANNUITY:
            step = T.M[loan[L_PRODUCT], number]
            level = loan[L_LEVEL] if step == STEP_UNIT else share(HALF_EVEN, loan[L_LEVEL], step, STEP_UNIT)
            part = level - _interest(T, row, number, left)
        elif method == EQUAL_PRINCIPAL:
            part = loan[L_LEVEL]
        part = max(0, min(part, left))
        T.P[at + number] = part
        left -= part
    T.P[at + last] = left


@njit(nogil=True, error_model="numpy")
def _interest(T, row, number, left):
    """Interest that a period will be billed with, on what is left; of the current period with what has accrued."""
    loan = T.L[row]
    at = loan[L_AT] + number
    parts, den = parts_of(T, row, T.D[at], T.D[at + 1]), RATE_UNIT * year_of(T, row, number)
    current = number == loan[L_PERIOD]
    if current:
        parts -= loan[L_BASE]
    yearly = left * loan[L_RATE]
    rest = yearly % den * parts + (loan[L_REST] if current else 0)
    whole = yearly // den * parts + rest // den + (loan[L_WHOLE] if current else 0)
    return rounded(T.R[loan[L_PRODUCT], R_BILLING_MODE], whole, rest % den, den)
