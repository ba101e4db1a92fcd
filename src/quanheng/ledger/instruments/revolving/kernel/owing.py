"""What is owed and paid: flows, how a payment is allocated, fees, interest of a night."""

from numba import njit

from quanheng.ledger.instruments.loan_book.kernel.rounding import share
from quanheng.ledger.instruments.revolving.kernel.words import (
    A_BILLED,
    A_CREDIT,
    A_CYCLE_FEES,
    A_FLOW,
    A_LATE_DAY,
    A_MINIMUM_LEFT,
    A_OPEN,
    A_PAST_LEFT,
    A_PLANNED,
    A_PRODUCT,
    FEES,
    INTEREST,
    KINDS,
    PAID,
    R_ABOVE,
    R_ABOVE_DIFFERS,
    R_ORDER,
    UNIT,
)


@njit(nogil=True, error_model="numpy", inline="always")
def flow(T, row, kind, amount):
    """Value moves: counted for the account, and for its product until it is posted."""
    T.C[row, kind] += amount
    T.F[T.A[row, A_FLOW], kind] += amount


@njit(nogil=True, error_model="numpy")
def billed(account):
    """What is left of the last statement."""
    found = 0
    for kind in range(KINDS):
        found += account[A_BILLED + kind]
    return found


@njit(nogil=True, error_model="numpy")
def used(account):
    """All that is owed, due or planned, less a credit balance."""
    found = account[A_PLANNED] - account[A_CREDIT]
    for kind in range(2 * KINDS):
        found += account[kind]
    return found


@njit(nogil=True, error_model="numpy", inline="always")
def add_nights(account, whole, amount, rate, nights, den):
    """Add amount x rate x nights / den to the exact number at `whole` (a whole number, then a rest)."""
    part = amount % den * (rate * nights)
    account[whole] += amount // den * (rate * nights) + part // den
    account[whole + 1] += part % den
    if account[whole + 1] >= den:
        account[whole + 1] -= den
        account[whole] += 1


@njit(nogil=True, error_model="numpy", inline="always")
def _pay(T, row, at, kind, most):
    account = T.A[row]
    paid = min(most, account[at + kind])
    if paid:
        account[at + kind] -= paid
        account[A_CREDIT] -= paid
        flow(T, row, PAID + kind, paid)
    return paid


@njit(nogil=True, error_model="numpy")
def allocate(T, row, at_minimum):
    """A credit balance pays what is owed: the last statement, then what came since; interest once it is billed.

    at_minimum : so much of it pays in the product's order, the rest in that of what is above the minimum
    """
    account = T.A[row]
    if not account[A_CREDIT]:
        return
    product = T.R[account[A_PRODUCT]]
    if product[R_ABOVE_DIFFERS]:
        left = min(at_minimum, account[A_CREDIT])
        for place in range(KINDS):
            left -= _pay(T, row, A_BILLED, product[R_ORDER + place], left)
    for place in range(KINDS):
        _pay(T, row, A_BILLED, product[R_ABOVE + place], account[A_CREDIT])
    for place in range(KINDS):
        kind = product[R_ABOVE + place]
        if kind != INTEREST:
            _pay(T, row, A_OPEN, kind, account[A_CREDIT])


@njit(nogil=True, error_model="numpy")
def charge(T, row, kind, amount):
    """A fee is owed, on the next statement; `kind` is its flow."""
    if amount:
        account = T.A[row]
        account[A_OPEN + FEES] += amount
        account[A_CYCLE_FEES] += amount
        flow(T, row, kind, amount)


@njit(nogil=True, error_model="numpy")
def fee_of(mode, amount, part, floor):
    """A share of an amount, at least the floor."""
    return max(floor, share(mode, amount, part, UNIT))


@njit(nogil=True, error_model="numpy")
def lower_minimum(account, amount):
    """So much came: the minimum, and what is past due of it, are less by that; never more than is left of it."""
    left = billed(account)
    account[A_MINIMUM_LEFT] = min(left, max(0, account[A_MINIMUM_LEFT] - amount))
    account[A_PAST_LEFT] = min(left, max(0, account[A_PAST_LEFT] - amount))
    if not account[A_PAST_LEFT]:
        account[A_LATE_DAY] = 0
