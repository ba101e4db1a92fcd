"""From one day to the next: the due day is judged, interest of the night accrues, a statement is made."""

from numba import njit

from quanheng.ledger.instruments.loan_book.kernel.rounding import rounded, share
from quanheng.ledger.instruments.revolving.kernel.owing import add_nights, allocate, billed, charge, fee_of, flow, used
from quanheng.ledger.instruments.revolving.kernel.words import (
    A_BILLED,
    A_CASH_RATE,
    A_CLOSING,
    A_CREDIT,
    A_CYCLE_CASH,
    A_CYCLE_CONVERTED,
    A_CYCLE_DRAWN,
    A_CYCLE_FEES,
    A_CYCLE_INSTALMENTS,
    A_CYCLE_INTEREST,
    A_CYCLE_PAID,
    A_DAY,
    A_DUE,
    A_FREE_BILLED_REST,
    A_FREE_BILLED_WHOLE,
    A_FREE_REST,
    A_FREE_WHOLE,
    A_HEAD,
    A_LATE_DAY,
    A_LIMIT,
    A_MINIMUM_LEFT,
    A_OPEN,
    A_PAST_LEFT,
    A_PLANNED,
    A_PRODUCT,
    A_RATE,
    A_REST,
    A_STATE,
    A_STATEMENT_DAY,
    A_WHOLE,
    ACCRUED,
    CASH_DRAWN,
    CHARGED,
    FAR,
    FEES,
    FELL_BACK,
    GRACE_UNPAID,
    INSTALMENTS,
    INTEREST,
    KINDS,
    NONE,
    OPENED_STATE,
    P_COUNT,
    P_DONE,
    P_FEE,
    P_FEE_LEFT,
    P_LEFT,
    P_NEXT,
    P_PRINCIPAL,
    PENALISED,
    PURCHASES,
    Q_CASH,
    Q_CLOSING,
    Q_CONVERTED,
    Q_DAY,
    Q_DRAWN,
    Q_DUE,
    Q_FEES,
    Q_INSTALMENTS,
    Q_INTEREST,
    Q_MINIMUM,
    Q_OPENING,
    Q_OVER_LIMIT,
    Q_PAID,
    Q_PAST_DUE,
    R_COMPOUNDS,
    R_COURTESY_DAYS,
    R_DUE_DAYS,
    R_FEE_MODE,
    R_GRACE,
    R_INTEREST_MODE,
    R_LATE,
    R_LATE_CAP,
    R_LATE_FLOOR,
    R_MINIMUM,
    R_MINIMUM_FLOOR,
    R_MINIMUM_MODE,
    R_PLAN_RATE,
    R_RESIDUE_FIRST,
    R_STATEMENT_DAY,
    R_TOLERANCE,
    R_YEAR_DAYS,
    REVOLVING,
    S_FREE,
    S_STATEMENTS,
    UNIT,
)


@njit(nogil=True, error_model="numpy")
def advance(T, row, day):
    """Take an account to a day."""
    account = T.A[row]
    while account[A_DAY] < day:
        if account[A_STATE] == OPENED_STATE:
            night(T, row)
        account[A_DAY] += 1


@njit(nogil=True, error_model="numpy")
def night(T, row):
    """The account's day ends, with its night."""
    account = T.A[row]
    product, day = T.R[account[A_PRODUCT]], account[A_DAY]
    if account[A_DUE] == day:
        fall_due(T, row)
    accrue(T, row, product)
    at = product[R_STATEMENT_DAY]
    if T.K[day, 1] == at or (T.K[day, 2] and T.K[day, 1] < at):
        bill(T, row)


@njit(nogil=True, error_model="numpy")
def fall_due(T, row):
    """The day up to which the last statement could be paid ends: was it paid in full, was the minimum?"""
    account = T.A[row]
    product, left = T.R[account[A_PRODUCT]], billed(account)
    if left > product[R_TOLERANCE]:
        lose_grace(T, row, product)
    else:
        # The rest counts as paid in time and goes over to the next statement, still free of interest.
        account[A_MINIMUM_LEFT] = account[A_PAST_LEFT] = account[A_LATE_DAY] = 0
        for kind in (PURCHASES, INSTALMENTS):
            account[A_OPEN + kind] += account[A_BILLED + kind]
            account[A_BILLED + kind] = 0
    if account[A_MINIMUM_LEFT]:
        late = fee_of(product[R_FEE_MODE], account[A_MINIMUM_LEFT], product[R_LATE], product[R_LATE_FLOOR])
        charge(T, row, PENALISED, min(late, product[R_LATE_CAP]))
        account[A_PAST_LEFT] = account[A_MINIMUM_LEFT]
        if not account[A_LATE_DAY]:
            account[A_LATE_DAY] = account[A_DAY]
    account[A_FREE_BILLED_WHOLE] = account[A_FREE_BILLED_REST] = 0
    account[A_DUE] = FAR


@njit(nogil=True, error_model="numpy", inline="always")
def lose_grace(T, row, product):
    """The statement was not paid in full: its purchases bear interest, for days that passed as the product says."""
    account, den = T.A[row], product[R_YEAR_DAYS] * UNIT
    if product[R_GRACE] == GRACE_UNPAID:
        nights = account[A_DAY] - account[A_STATEMENT_DAY] - 1
        add_nights(account, A_WHOLE, account[A_BILLED + PURCHASES], account[A_RATE], nights, den)
    else:
        account[A_WHOLE] += account[A_FREE_BILLED_WHOLE]
        add_rest(account, account[A_FREE_BILLED_REST], den)
    flow(T, row, FELL_BACK, account[A_BILLED + INSTALMENTS])
    account[A_BILLED + REVOLVING] += account[A_BILLED + PURCHASES] + account[A_BILLED + INSTALMENTS]
    account[A_BILLED + PURCHASES] = account[A_BILLED + INSTALMENTS] = 0


@njit(nogil=True, error_model="numpy", inline="always")
def add_rest(account, rest, den):
    """Add rest / den to the interest of the cycle."""
    account[A_REST] += rest
    if account[A_REST] >= den:
        account[A_REST] -= den
        account[A_WHOLE] += 1


@njit(nogil=True, error_model="numpy")
def accrue(T, row, product):
    """Interest of a night: what bears it now, and what purchases would bear."""
    account, den = T.A[row], product[R_YEAR_DAYS] * UNIT
    rate = account[A_RATE]
    bears = account[A_BILLED + REVOLVING] + account[A_OPEN + REVOLVING]
    if product[R_COMPOUNDS]:
        bears += account[A_BILLED + INTEREST]
    cash = account[A_BILLED + CASH_DRAWN] + account[A_OPEN + CASH_DRAWN]
    if bears:
        add_nights(account, A_WHOLE, bears, rate, 1, den)
    if cash:
        add_nights(account, A_WHOLE, cash, account[A_CASH_RATE], 1, den)
    if account[A_PLANNED]:
        add_nights(account, A_WHOLE, account[A_PLANNED], product[R_PLAN_RATE], 1, den)
    if account[A_OPEN + PURCHASES]:
        add_nights(account, A_FREE_WHOLE, account[A_OPEN + PURCHASES], rate, 1, den)
    if account[A_BILLED + PURCHASES]:
        add_nights(account, A_FREE_BILLED_WHOLE, account[A_BILLED + PURCHASES], rate, 1, den)
    now = rounded(product[R_INTEREST_MODE], account[A_WHOLE], account[A_REST], den)
    if now != account[A_OPEN + INTEREST]:
        flow(T, row, ACCRUED, now - account[A_OPEN + INTEREST])
        account[A_OPEN + INTEREST] = now


@njit(nogil=True, error_model="numpy")
def bill(T, row):
    """A statement: instalments fall due, all that came since the last one is billed, a minimum is asked for."""
    account = T.A[row]
    product, past = T.R[account[A_PRODUCT]], account[A_MINIMUM_LEFT]
    bill_plans(T, row, product)
    account[A_CYCLE_INTEREST] = account[A_OPEN + INTEREST]
    newly = account[A_OPEN + FEES] + account[A_OPEN + INTEREST] + account[A_OPEN + INSTALMENTS]
    for kind in range(KINDS):
        account[A_BILLED + kind] += account[A_OPEN + kind]
        account[A_OPEN + kind] = 0
    account[A_WHOLE] = account[A_REST] = 0
    account[A_FREE_BILLED_WHOLE], account[A_FREE_BILLED_REST] = account[A_FREE_WHOLE], account[A_FREE_REST]
    account[A_FREE_WHOLE] = account[A_FREE_REST] = 0
    allocate(T, row, 0)
    over = max(0, used(account) - account[A_LIMIT])
    minimum = minimum_of(account, product, newly, past, over)
    closing, day = billed(account) - account[A_CREDIT], account[A_DAY]
    account[A_MINIMUM_LEFT] = minimum
    account[A_PAST_LEFT] = min(account[A_PAST_LEFT], minimum)
    account[A_DUE] = day + product[R_DUE_DAYS] + product[R_COURTESY_DAYS] if closing > 0 else FAR
    if T.S[S_STATEMENTS] < len(T.Q):
        one = T.Q[T.S[S_STATEMENTS]]
        one[Q_DAY], one[Q_OPENING], one[Q_DRAWN] = day, account[A_CLOSING], account[A_CYCLE_DRAWN]
        one[Q_CASH], one[Q_PAID] = account[A_CYCLE_CASH], account[A_CYCLE_PAID]
        one[Q_INTEREST], one[Q_FEES] = account[A_CYCLE_INTEREST], account[A_CYCLE_FEES]
        one[Q_CONVERTED], one[Q_INSTALMENTS] = account[A_CYCLE_CONVERTED], account[A_CYCLE_INSTALMENTS]
        one[Q_CLOSING], one[Q_MINIMUM], one[Q_PAST_DUE] = closing, minimum, past
        one[Q_OVER_LIMIT], one[Q_DUE] = over, day + product[R_DUE_DAYS] if closing > 0 else NONE
        T.S[S_STATEMENTS] += 1
    account[A_STATEMENT_DAY], account[A_CLOSING] = day, closing
    for word in range(A_CYCLE_DRAWN, A_CYCLE_INSTALMENTS + 1):
        account[word] = 0


@njit(nogil=True, error_model="numpy")
def minimum_of(account, product, newly, past, over):
    """A share of principal, fees, interest, instalments, what is past due, what is over the limit."""
    owed = billed(account)
    principal = account[A_BILLED + CASH_DRAWN] + account[A_BILLED + REVOLVING] + account[A_BILLED + PURCHASES]
    # All fees and interest are asked for; what is past due of them is not asked for twice.
    whole = account[A_BILLED + FEES] + account[A_BILLED + INTEREST] + account[A_BILLED + INSTALMENTS]
    asked = share(product[R_MINIMUM_MODE], principal, product[R_MINIMUM], UNIT)
    asked += max(min(newly, whole) + past, whole) + over
    return min(owed, max(product[R_MINIMUM_FLOOR], asked))


@njit(nogil=True, error_model="numpy", inline="always")
def nth(amount, count, number, first):
    """Part of an instalment: the whole over their count, rounded down; the first or the last takes the residue."""
    part = amount // count
    return part + (amount - part * count if number == (0 if first else count - 1) else 0)


@njit(nogil=True, error_model="numpy")
def bill_plans(T, row, product):
    """The next instalment of each plan falls due; plans that end are let go."""
    account = T.A[row]
    before, at = NONE, account[A_HEAD]
    while at >= 0:
        plan, after = T.P[at], T.P[at, P_NEXT]
        count, number, first = plan[P_COUNT], plan[P_DONE], product[R_RESIDUE_FIRST]
        part, fee = nth(plan[P_PRINCIPAL], count, number, first), nth(plan[P_FEE], count, number, first)
        plan[P_DONE] += 1
        plan[P_LEFT] -= part
        plan[P_FEE_LEFT] -= fee
        account[A_PLANNED] -= part
        account[A_OPEN + INSTALMENTS] += part
        account[A_CYCLE_INSTALMENTS] += part
        charge(T, row, CHARGED, fee)
        if plan[P_DONE] == count:
            drop_plan(T, row, before, at)
        else:
            before = at
        at = after


@njit(nogil=True, error_model="numpy")
def drop_plan(T, row, before, at):
    """Let a plan go; `before` is the one ahead of it in the list, or none."""
    if before < 0:
        T.A[row, A_HEAD] = T.P[at, P_NEXT]
    else:
        T.P[before, P_NEXT] = T.P[at, P_NEXT]
    T.P[at, P_NEXT] = T.S[S_FREE]
    T.S[S_FREE] = at
