"""One event on one loan: why it may not be, and what it does. `fold` judges nothing; `judge` changes nothing."""

from numba import njit

from quanheng.ledger.instruments.loan_book.kernel.accruing import bill_interest, enter_period
from quanheng.ledger.instruments.loan_book.kernel.allocating import add_bill, allocate, billed, charge, drop_all, flow
from quanheng.ledger.instruments.loan_book.kernel.planning import replan
from quanheng.ledger.instruments.loan_book.kernel.rounding import rounded, share
from quanheng.ledger.instruments.loan_book.kernel.words import (
    CAPITALISED_FEES,
    CHARGE,
    DOWN,
    FAR,
    FEE_UNIT,
    FEES,
    HOLIDAY,
    INTEREST,
    KINDS,
    L_CONTRADICTION,
    L_DAY,
    L_DEN,
    L_HEAD,
    L_NEXT,
    L_NOT_DUE,
    L_PERIOD,
    L_PERIODS,
    L_POSTED,
    L_PRODUCT,
    L_REST,
    L_STATE,
    L_STAY,
    L_UNALLOCATED,
    L_WHOLE,
    L_WRITTEN_DAY,
    L_WRITTEN_OFF,
    LOST_FEES,
    NOTED,
    PAY,
    PAY_OFF,
    PENALTY,
    PREPAID,
    PREPAY,
    PRINCIPAL,
    R_BILLING_MODE,
    R_FEE_MODE,
    R_FEE_RATE,
    RE_AGE,
    RE_AMORTISE,
    RECEIVED,
    RECOVER,
    RECOVERED,
    REFUND,
    REFUNDED,
    STAY,
    WRITE_OFF,
    WRITTEN_OFF,
)

# Outcomes, as `outcomes.BookOutcome`.
APPLIED = 0
IS_WRITTEN_OFF, IS_NOT_WRITTEN_OFF, NOTHING_OWED, PAYOFF_TOO_LOW, REFUND_TOO_HIGH, RECOVERY_TOO_HIGH = range(11, 17)
CANNOT_BE_CHANGED = 17


@njit(nogil=True, error_model="numpy")
def owed(T, row):
    """All that is owed today, interest that is accrued and not billed included."""
    total = T.L[row, L_POSTED] + T.L[row, L_NOT_DUE]
    for kind in range(KINDS):
        total += billed(T, row, kind)
    return total


@njit(nogil=True, error_model="numpy")
def payoff(T, row):
    """What pays off the loan today: all of it, with the fee for what is not due yet, less what waits."""
    loan = T.L[row]
    product = T.R[loan[L_PRODUCT]]
    fee = share(product[R_FEE_MODE], loan[L_NOT_DUE], product[R_FEE_RATE], FEE_UNIT)
    interest = rounded(product[R_BILLING_MODE], loan[L_WHOLE], loan[L_REST], loan[L_DEN])
    return max(0, owed(T, row) - loan[L_POSTED] + interest + fee - loan[L_UNALLOCATED])


@njit(nogil=True, error_model="numpy")
def judge(T, row, kind, amount, extra):
    """The first reason why an event of today may not be, or APPLIED. That amount and loan can be was seen before."""
    loan = T.L[row]
    gone = loan[L_STATE] == WRITTEN_OFF
    if gone and kind not in (RECOVER, REFUND):
        return IS_WRITTEN_OFF
    if not gone and kind == RECOVER:
        return IS_NOT_WRITTEN_OFF
    pays = kind in (PAY, PREPAY, PAY_OFF, WRITE_OFF)
    if pays and owed(T, row) == 0:
        return NOTHING_OWED
    if kind == PAY_OFF and amount < payoff(T, row):
        return PAYOFF_TOO_LOW
    if kind == REFUND and amount > loan[L_UNALLOCATED]:
        return REFUND_TOO_HIGH
    if kind == RECOVER and amount > loan[L_WRITTEN_OFF]:
        return RECOVERY_TOO_HIGH
    runs = loan[L_PERIOD] < loan[L_PERIODS] and loan[L_NOT_DUE] > 0
    if (kind in (HOLIDAY, RE_AMORTISE)) and not runs:
        return CANNOT_BE_CHANGED
    if kind == RE_AGE and (loan[L_HEAD] < 0 or (extra == 0 and not runs)):
        return CANNOT_BE_CHANGED
    return APPLIED


@njit(nogil=True, error_model="numpy")
def fold(T, row, kind, amount, extra, number):
    """Take an event of the loan's day. What changes due dates (HOLIDAY, RE_AGE, RE_AMORTISE) is for `changing`."""
    loan = T.L[row]
    if kind == CHARGE:
        charge(T, row, amount)
    elif kind == PAY:
        _receive(T, row, amount)
    elif kind == PREPAY:
        _prepay(T, row, amount, extra)
    elif kind == PAY_OFF:
        _fall_due(T, row)
        _receive(T, row, amount)
    elif kind == WRITE_OFF:
        _write_off(T, row)
    elif kind == RECOVER:
        _recover(T, row, amount)
    elif kind == REFUND:
        if amount > loan[L_UNALLOCATED] and not loan[L_CONTRADICTION]:
            loan[L_CONTRADICTION] = number
        flow(T, row, REFUNDED, amount)
        loan[L_UNALLOCATED] -= min(amount, loan[L_UNALLOCATED])
    elif kind == STAY:
        loan[L_STAY] = max(loan[L_STAY], extra)


@njit(nogil=True, error_model="numpy")
def _receive(T, row, amount):
    flow(T, row, RECEIVED, amount)
    T.L[row, L_UNALLOCATED] += amount
    allocate(T, row)


@njit(nogil=True, error_model="numpy")
def _prepay(T, row, amount, reduces):
    """What is left after all that is due and the fee repays principal early."""
    loan = T.L[row]
    product = T.R[loan[L_PRODUCT]]
    _receive(T, row, amount)
    most = share(DOWN, loan[L_UNALLOCATED], FEE_UNIT, FEE_UNIT + product[R_FEE_RATE])
    part = min(most, loan[L_NOT_DUE])
    charge(T, row, share(product[R_FEE_MODE], part, product[R_FEE_RATE], FEE_UNIT))
    _repay_early(T, row, part)
    replan(T, row, not reduces)


@njit(nogil=True, error_model="numpy")
def _repay_early(T, row, part):
    T.L[row, L_UNALLOCATED] -= part
    T.L[row, L_NOT_DUE] -= part
    flow(T, row, PREPAID, part)


@njit(nogil=True, error_model="numpy")
def _fall_due(T, row):
    """Bill all that is left, with the fee for what is not due yet."""
    loan = T.L[row]
    product = T.R[loan[L_PRODUCT]]
    part = loan[L_NOT_DUE]
    loan[L_NOT_DUE] = 0
    charge(T, row, share(product[R_FEE_MODE], part, product[R_FEE_RATE], FEE_UNIT))
    interest = bill_interest(T, row)
    loan[L_PERIOD] = loan[L_PERIODS]
    enter_period(T, row)
    add_bill(T, row, 0, interest, part)


@njit(nogil=True, error_model="numpy")
def _write_off(T, row):
    """Give up all that is owed, after what waits was set against it."""
    loan = T.L[row]
    add_bill(T, row, 0, bill_interest(T, row), 0)
    _repay_early(T, row, min(loan[L_UNALLOCATED], loan[L_NOT_DUE]))
    total = 0
    for kind in range(KINDS):
        lost = billed(T, row, kind) + (loan[L_NOT_DUE] if kind == PRINCIPAL else 0)
        flow(T, row, LOST_FEES + kind, lost)
        total += lost
    flow(T, row, NOTED, total)
    loan[L_WRITTEN_OFF], loan[L_STATE], loan[L_NOT_DUE], loan[L_WRITTEN_DAY] = total, WRITTEN_OFF, 0, loan[L_DAY]
    loan[L_NEXT] = FAR
    drop_all(T, row)


@njit(nogil=True, error_model="numpy")
def _recover(T, row, amount):
    """A payment on what was written off."""
    loan = T.L[row]
    flow(T, row, RECEIVED, amount)
    loan[L_UNALLOCATED] += amount
    part = min(loan[L_UNALLOCATED], loan[L_WRITTEN_OFF])
    loan[L_UNALLOCATED] -= part
    loan[L_WRITTEN_OFF] -= part
    flow(T, row, RECOVERED, part)
    flow(T, row, NOTED, -part)


@njit(nogil=True, error_model="numpy")
def capitalise_due(T, row):
    """Re-age: all that is due becomes principal that is not due yet, so nothing is past due any more."""
    loan = T.L[row]
    for kind in (FEES, PENALTY, INTEREST):
        due = billed(T, row, kind)
        flow(T, row, CAPITALISED_FEES + kind, due)
        loan[L_NOT_DUE] += due
    loan[L_NOT_DUE] += billed(T, row, PRINCIPAL)
    drop_all(T, row)
