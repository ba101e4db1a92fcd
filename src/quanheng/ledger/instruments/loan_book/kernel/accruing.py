"""Time on one loan: interest and penalty accrue, periods end, what is due is billed. All sums are exact.

What is accrued in a period is a whole number and a rest over a denominator; it is rounded as a sum up to the day, and
posted as the difference to what was posted, so how often that is done does not matter.
"""

from numba import njit

from quanheng.ledger.instruments.loan_book.kernel.allocating import add_bill, flow
from quanheng.ledger.instruments.loan_book.kernel.planning import parts_of, replan, year_of, year_parts
from quanheng.ledger.instruments.loan_book.kernel.rounding import rounded
from quanheng.ledger.instruments.loan_book.kernel.words import (
    ACCRUED,
    B_DAY,
    B_INTEREST,
    B_NEXT,
    B_PAUSED,
    B_PENALTY,
    B_POSTED,
    B_PRINCIPAL,
    B_REST,
    B_WHOLE,
    BULLET,
    CAPITALISED_INTEREST,
    FAR,
    L_AT,
    L_BASE,
    L_CAP,
    L_DAY,
    L_DEN,
    L_FLOW,
    L_GRACE,
    L_HEAD,
    L_HOLIDAY,
    L_HOLIDAY_ACCRUES,
    L_MATURITY,
    L_NEEDS,
    L_NEXT,
    L_NOT_DUE,
    L_PENALTY,
    L_PERIOD,
    L_PERIODS,
    L_POSTED,
    L_PRODUCT,
    L_RATE,
    L_REST,
    L_SPREAD,
    L_START,
    L_STATE,
    L_STAY,
    L_WHOLE,
    OPEN,
    PENALISED,
    PENALTY_UNIT,
    R_ACCRUAL_MODE,
    R_BILLING_MODE,
    R_CAPITALISES,
    R_COUNT,
    R_FLOATS,
    R_HAS_PENALTY,
    R_METHOD,
    R_MONTHS,
    R_ON_INTEREST,
    R_PENALTY_DATED,
    R_PENALTY_GRACE,
    R_PENALTY_MODE,
    R_PENALTY_YEAR,
    R_RESET,
    RATE_UNIT,
    ROUNDED,
)


@njit(nogil=True, error_model="numpy", inline="always")
def quiet_night(L, C, F, R, K, row, day):
    """Interest up to a day of the loan's period. Arrays are passed one by one: a call with all of them costs more."""
    if L[row, L_NOT_DUE] and L[row, L_PERIOD] < L[row, L_PERIODS]:
        product = L[row, L_PRODUCT]
        so_far = year_parts(R[product, R_COUNT], R[product, R_MONTHS], K, L[row, L_START], day, L[row, L_MATURITY])
        den = L[row, L_DEN]
        if L[row, L_PERIOD] >= L[row, L_HOLIDAY] or L[row, L_HOLIDAY_ACCRUES]:
            parts, yearly = so_far - L[row, L_BASE], L[row, L_NOT_DUE] * L[row, L_RATE]
            # Split before it is multiplied by the days, so that nothing is above 64 bits.
            rest = yearly % den * parts + L[row, L_REST]
            L[row, L_WHOLE] += yearly // den * parts + rest // den
            L[row, L_REST] = rest % den
        L[row, L_BASE] = so_far
        posted = rounded(R[product, R_ACCRUAL_MODE], L[row, L_WHOLE], L[row, L_REST], den)
        more = posted - L[row, L_POSTED]
        C[row, ACCRUED] += more
        F[L[row, L_FLOW], ACCRUED] += more
        L[row, L_POSTED] = posted
    L[row, L_DAY] = day


@njit(nogil=True, error_model="numpy")
def accrue(T, row, day):
    """Accrue interest and penalty up to a day of the loan's period."""
    loan = T.L[row]
    if day <= loan[L_DAY]:
        return
    if loan[L_STATE] != OPEN:
        loan[L_DAY] = day
        return
    before = loan[L_DAY]
    quiet_night(T.L, T.C, T.F, T.R, T.K, row, day)
    loan[L_DAY] = before
    bill = loan[L_HEAD]
    if bill >= 0:
        more = 0
        while bill >= 0:
            more += _penalise(T, row, bill, day)
            bill = T.B[bill, B_NEXT]
        flow(T, row, PENALISED, more)
    loan[L_DAY] = day


@njit(nogil=True, error_model="numpy")
def _penalise(T, row, at, day):
    """Penalty on a bill up to a day: what is to be posted more. A stay stops the penalty and the days past due."""
    loan, bill = T.L[row], T.B[at]
    product = T.R[loan[L_PRODUCT]]
    since, stays = max(loan[L_DAY], bill[B_DAY]), loan[L_STAY]
    if stays > since:
        bill[B_PAUSED] += min(stays, day) - since
    if not product[R_HAS_PENALTY]:
        return 0
    begins = max(loan[L_DAY], bill[B_DAY] + product[R_PENALTY_GRACE], stays)
    base = bill[B_PRINCIPAL] + (bill[B_INTEREST] if product[R_ON_INTEREST] else 0)
    if begins >= day or not base:
        return 0
    den = PENALTY_UNIT * product[R_PENALTY_YEAR]
    if product[R_PENALTY_DATED]:
        for one in range(begins, day):
            rate = T.G[loan[L_PRODUCT], one]
            _bear(bill, base * (min(rate, loan[L_CAP]) if loan[L_CAP] >= 0 else rate), 1, den)
    else:
        _bear(bill, base * loan[L_PENALTY], day - begins, den)
    posted = rounded(product[R_PENALTY_MODE], bill[B_WHOLE], bill[B_REST], den)
    more = posted - bill[B_POSTED]
    bill[B_PENALTY] += more
    bill[B_POSTED] = posted
    return more


@njit(nogil=True, error_model="numpy", inline="always")
def _bear(bill, yearly, days, den):
    rest = yearly % den * days + bill[B_REST]
    bill[B_WHOLE] += yearly // den * days + rest // den
    bill[B_REST] = rest % den


@njit(nogil=True, error_model="numpy")
def bill_interest(T, row):
    """Round what has accrued for the bill; the difference to what was posted is a flow of its own. Gives the bill."""
    loan = T.L[row]
    billed = rounded(T.R[loan[L_PRODUCT], R_BILLING_MODE], loan[L_WHOLE], loan[L_REST], loan[L_DEN])
    flow(T, row, ROUNDED, billed - loan[L_POSTED])
    loan[L_WHOLE] = loan[L_REST] = loan[L_POSTED] = 0
    return billed


@njit(nogil=True, error_model="numpy")
def enter_period(T, row):
    """Set what hangs on the period: its first day, its end, the denominator of what accrues in it."""
    loan = T.L[row]
    number = loan[L_PERIOD]
    if number >= loan[L_PERIODS]:
        loan[L_NEXT] = FAR
        return
    loan[L_START], loan[L_NEXT] = T.D[loan[L_AT] + number], T.D[loan[L_AT] + number + 1]
    loan[L_BASE] = parts_of(T, row, loan[L_START], loan[L_DAY])
    loan[L_DEN] = RATE_UNIT * year_of(T, row, number)


@njit(nogil=True, error_model="numpy")
def _end_period(T, row):
    loan = T.L[row]
    product = T.R[loan[L_PRODUCT]]
    number = loan[L_PERIOD]
    bullet = product[R_METHOD] == BULLET and number < loan[L_PERIODS] - 1
    interest = 0 if bullet else bill_interest(T, row)
    loan[L_PERIOD] += 1
    enter_period(T, row)
    changed = _reset_rate(T, row)
    if bullet:
        return
    graced = number < loan[L_GRACE] and product[R_CAPITALISES]
    if graced or number < loan[L_HOLIDAY]:
        flow(T, row, CAPITALISED_INTEREST, interest)
        loan[L_NOT_DUE] += interest
        replan(T, row, False)
        return
    part = loan[L_NOT_DUE]
    if loan[L_PERIOD] < loan[L_PERIODS]:
        part = min(part, T.P[loan[L_AT] + number])
    loan[L_NOT_DUE] -= part
    add_bill(T, row, 0, interest, part)
    if changed:
        replan(T, row, False)


@njit(nogil=True, error_model="numpy")
def _reset_rate(T, row):
    """Take over the reference rate in force where a period of adjustment begins; whether it is another one."""
    loan = T.L[row]
    product = loan[L_PRODUCT]
    if not T.R[product, R_FLOATS] or loan[L_PERIOD] % T.R[product, R_RESET] or loan[L_PERIOD] >= loan[L_PERIODS]:
        return False
    rate = max(0, T.V[product, loan[L_DAY]] + loan[L_SPREAD])
    changed = rate != loan[L_RATE]
    loan[L_RATE] = rate
    return changed


@njit(nogil=True, error_model="numpy")
def advance(T, row, day):
    """Accrue up to a day, billing each period that ends until then. False: it stopped, since a level is needed."""
    loan = T.L[row]
    while loan[L_STATE] == OPEN and loan[L_NEXT] <= day:
        accrue(T, row, loan[L_NEXT])
        _end_period(T, row)
        if loan[L_NEEDS]:
            return False
    accrue(T, row, day)
    return True
