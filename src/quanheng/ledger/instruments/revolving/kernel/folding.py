"""What an event does to an account, and the first reason why it may not be. Events are of the account's day."""

from numba import njit

from quanheng.ledger.instruments.loan_book.kernel.rounding import share
from quanheng.ledger.instruments.loan_book.kernel.words import DOWN
from quanheng.ledger.instruments.revolving.kernel.nights import drop_plan
from quanheng.ledger.instruments.revolving.kernel.owing import (
    allocate,
    charge,
    fee_of,
    flow,
    lower_minimum,
    used,
)
from quanheng.ledger.instruments.revolving.kernel.words import (
    A_BILLED,
    A_BLOCKED,
    A_CASH_LIMIT,
    A_CLOSING,
    A_CREDIT,
    A_CYCLE_CASH,
    A_CYCLE_CONVERTED,
    A_CYCLE_DRAWN,
    A_CYCLE_INSTALMENTS,
    A_CYCLE_PAID,
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
    A_REST,
    A_STATE,
    A_WHOLE,
    A_WRITTEN_OFF,
    AMOUNT_OUT_OF_RANGE,
    APPLIED,
    BLOCK,
    CASH,
    CASH_DRAWN,
    CASH_LIMIT_EXCEEDED,
    CASH_OUT,
    CHARGED,
    CONVERT,
    CONVERTED,
    CREDIT,
    DRAW,
    DRAWN,
    FAR,
    FEE,
    FROM_STATEMENT,
    GRACE_NONE,
    INSTALMENTS,
    INSTALMENTS_MAX,
    INSTALMENTS_WRONG,
    INTEREST,
    IS_BLOCKED,
    IS_NOT_WRITTEN_OFF,
    IS_WRITTEN_OFF,
    KINDS,
    LIMIT,
    LIMIT_EXCEEDED,
    LOST,
    NONE,
    NOT_PAST_DUE,
    NOTED,
    NOTHING_OWED,
    OWED_MAX,
    P_COUNT,
    P_DONE,
    P_FEE,
    P_FEE_LEFT,
    P_ID,
    P_LEFT,
    P_NEXT,
    P_PRINCIPAL,
    PAY,
    PLAN_NOT_FOUND,
    PURCHASES,
    R_CASH_FEE,
    R_CASH_FEE_FLOOR,
    R_FEE_MODE,
    R_GRACE,
    R_OVER_LIMIT,
    R_PLAN_FEE,
    R_SETTLE_FEE,
    R_SETTLE_TAKES,
    RE_AGE,
    RECEIVED,
    RECOVER,
    RECOVERED,
    RECOVERY_TOO_HIGH,
    REFUND,
    REFUND_TOO_HIGH,
    REFUNDED,
    REVOLVING,
    S_FREE,
    S_PLANS,
    SETTLE,
    TOO_MUCH_CONVERTED,
    UNBLOCK,
    UNIT,
    WRITE_OFF,
    WRITTEN_OFF,
)


@njit(nogil=True, error_model="numpy")
def judge(T, row, kind, amount, extra):
    """The first reason why an event of the account's day may not be; 0 = it may."""
    account = T.A[row]
    if kind == RECOVER:
        if account[A_STATE] != WRITTEN_OFF:
            return IS_NOT_WRITTEN_OFF
        return RECOVERY_TOO_HIGH if amount > account[A_WRITTEN_OFF] else APPLIED
    if account[A_STATE] == WRITTEN_OFF:
        return IS_WRITTEN_OFF
    if kind in (DRAW, CASH):
        return judge_draw(T, account, kind, amount)
    if kind == FEE:
        return AMOUNT_OUT_OF_RANGE if used(account) + amount > OWED_MAX else APPLIED
    if kind == WRITE_OFF:
        return APPLIED if used(account) > 0 else NOTHING_OWED
    if kind == RE_AGE:
        return APPLIED if account[A_LATE_DAY] else NOT_PAST_DUE
    if kind == CONVERT:
        count, side = extra % FROM_STATEMENT, A_BILLED if extra >= FROM_STATEMENT else A_OPEN
        if count < 1 or count > INSTALMENTS_MAX or extra < 1 or extra >= 2 * FROM_STATEMENT:
            return INSTALMENTS_WRONG
        return TOO_MUCH_CONVERTED if amount > account[side + PURCHASES] else APPLIED
    if kind == SETTLE:
        return APPLIED if plan_of(T, row, extra)[1] >= 0 else PLAN_NOT_FOUND
    if kind == REFUND and amount > account[A_CREDIT]:
        return REFUND_TOO_HIGH
    return APPLIED


@njit(nogil=True, error_model="numpy", inline="always")
def judge_draw(T, account, kind, amount):
    if account[A_BLOCKED]:
        return IS_BLOCKED
    tolerated = share(DOWN, account[A_LIMIT], T.R[account[A_PRODUCT], R_OVER_LIMIT], UNIT)
    if used(account) + amount > account[A_LIMIT] + tolerated:
        return LIMIT_EXCEEDED
    drawn = account[A_BILLED + CASH_DRAWN] + account[A_OPEN + CASH_DRAWN]
    if kind == CASH and drawn + amount > account[A_CASH_LIMIT]:
        return CASH_LIMIT_EXCEEDED
    return APPLIED


@njit(nogil=True, error_model="numpy")
def plan_of(T, row, id):
    """Places of the plan before the one with this number, and of that one; NONE where there is none."""
    before, at = NONE, T.A[row, A_HEAD]
    while at >= 0 and T.P[at, P_ID] != id:
        before, at = at, T.P[at, P_NEXT]
    return before, at


@njit(nogil=True, error_model="numpy")
def fold(T, row, kind, amount, extra, id):
    """Apply an event; nothing is judged."""
    account = T.A[row]
    if kind in (DRAW, CASH):
        draw(T, row, kind, amount)
    elif kind == FEE:
        charge(T, row, CHARGED, amount)
        allocate(T, row, 0)
    elif kind in (PAY, CREDIT):
        flow(T, row, RECEIVED, amount)
        account[A_CYCLE_PAID] += amount
        account[A_CREDIT] += amount
        allocate(T, row, account[A_MINIMUM_LEFT])
        lower_minimum(account, amount)
    elif kind == REFUND:
        flow(T, row, REFUNDED, amount)
        account[A_CREDIT] -= amount
        account[A_CYCLE_PAID] -= amount
    elif kind == CONVERT:
        convert(T, row, amount, extra, id)
    elif kind == SETTLE:
        settle(T, row, extra)
    elif kind == LIMIT:
        account[A_LIMIT], account[A_CASH_LIMIT] = amount, extra
    elif kind in (BLOCK, UNBLOCK):
        account[A_BLOCKED] = kind == BLOCK
    elif kind == RE_AGE:
        account[A_MINIMUM_LEFT] -= account[A_PAST_LEFT]
        account[A_PAST_LEFT] = account[A_LATE_DAY] = 0
    elif kind == WRITE_OFF:
        write_off(T, row)
    elif kind == RECOVER:
        flow(T, row, RECEIVED, amount)
        flow(T, row, RECOVERED, amount)
        flow(T, row, NOTED, -amount)
        account[A_WRITTEN_OFF] -= amount


@njit(nogil=True, error_model="numpy")
def draw(T, row, kind, amount):
    """A purchase, or cash with its fee; what waits pays it at once."""
    account = T.A[row]
    product = T.R[account[A_PRODUCT]]
    if kind == DRAW:
        flow(T, row, DRAWN, amount)
        account[A_CYCLE_DRAWN] += amount
        account[A_OPEN + (REVOLVING if product[R_GRACE] == GRACE_NONE else PURCHASES)] += amount
    else:
        flow(T, row, CASH_OUT, amount)
        account[A_CYCLE_CASH] += amount
        account[A_OPEN + CASH_DRAWN] += amount
        charge(T, row, CHARGED, fee_of(product[R_FEE_MODE], amount, product[R_CASH_FEE], product[R_CASH_FEE_FLOOR]))
    allocate(T, row, 0)


@njit(nogil=True, error_model="numpy")
def convert(T, row, amount, extra, id):
    """Purchases become a plan: its principal falls due in instalments, with a fee on each."""
    account = T.A[row]
    product, count = T.R[account[A_PRODUCT]], extra % FROM_STATEMENT
    side = A_BILLED if extra >= FROM_STATEMENT else A_OPEN
    account[side + PURCHASES] -= amount
    account[A_PLANNED] += amount
    account[A_CYCLE_CONVERTED] += amount
    flow(T, row, CONVERTED, amount)
    at = T.S[S_FREE]
    if at >= 0:
        T.S[S_FREE] = T.P[at, P_NEXT]
    else:
        at = T.S[S_PLANS]
        T.S[S_PLANS] += 1
    plan = T.P[at]
    plan[P_NEXT], plan[P_ID], plan[P_COUNT], plan[P_DONE] = account[A_HEAD], id, count, 0
    plan[P_PRINCIPAL] = plan[P_LEFT] = amount
    plan[P_FEE] = plan[P_FEE_LEFT] = share(product[R_FEE_MODE], amount, product[R_PLAN_FEE] * count, UNIT)
    account[A_HEAD] = at
    if side == A_BILLED:
        lower_minimum(account, 0)


@njit(nogil=True, error_model="numpy")
def settle(T, row, id):
    """A plan ends early: what is left of it falls due on the next statement."""
    account = T.A[row]
    product = T.R[account[A_PRODUCT]]
    before, at = plan_of(T, row, id)
    left, fee = T.P[at, P_LEFT], T.P[at, P_FEE_LEFT]
    account[A_PLANNED] -= left
    account[A_OPEN + INSTALMENTS] += left
    account[A_CYCLE_INSTALMENTS] += left
    more = fee if product[R_SETTLE_TAKES] else 0
    charge(T, row, CHARGED, share(product[R_FEE_MODE], left, product[R_SETTLE_FEE], UNIT) + more)
    drop_plan(T, row, before, at)
    allocate(T, row, 0)


@njit(nogil=True, error_model="numpy")
def drop_plans(T, row):
    """Let every plan go; what was planned falls due."""
    account = T.A[row]
    while account[A_HEAD] >= 0:
        drop_plan(T, row, NONE, account[A_HEAD])
    account[A_OPEN + INSTALMENTS] += account[A_PLANNED]
    account[A_PLANNED] = 0


@njit(nogil=True, error_model="numpy")
def write_off(T, row):
    """All that is owed is lost, after a credit balance; it stays on record."""
    account = T.A[row]
    drop_plans(T, row)
    account[A_BILLED + INTEREST] += account[A_OPEN + INTEREST]
    account[A_OPEN + INTEREST] = 0
    allocate(T, row, 0)
    for kind in range(KINDS):
        lost = account[A_BILLED + kind] + account[A_OPEN + kind]
        flow(T, row, LOST + kind, lost)
        account[A_WRITTEN_OFF] += lost
        account[A_BILLED + kind] = account[A_OPEN + kind] = 0
    flow(T, row, NOTED, account[A_WRITTEN_OFF])
    for word in (A_WHOLE, A_REST, A_FREE_WHOLE, A_FREE_REST, A_FREE_BILLED_WHOLE, A_FREE_BILLED_REST, A_CLOSING):
        account[word] = 0
    account[A_MINIMUM_LEFT] = account[A_PAST_LEFT] = account[A_LATE_DAY] = 0
    account[A_STATE], account[A_DUE] = WRITTEN_OFF, FAR
