"""Judging a transfer: one judgement after another in the order of the outcomes. Changes nothing."""

import numpy as np
from numba import njit

from quanheng.ledger.entries import ALL, AMOUNT_MAX, NO_LIMIT, TIME_MAX_MS
from quanheng.ledger.kernel.index import find
from quanheng.ledger.kernel.totals import both, exceeds, overflows, plus, up_to
from quanheng.ledger.kernel.words import (
    A_ASSET,
    A_BALANCE_MAX,
    A_CREDITS,
    A_CREDITS_HELD,
    A_DAY,
    A_DAY_CREDITS,
    A_DAY_DEBITS,
    A_DAY_MAX,
    A_DEBITS,
    A_DEBITS_HELD,
    A_FLAGS,
    A_NET_CAP,
    A_OPENED,
    A_OVERDRAFT,
    A_PAYMENT,
    ALLOWED,
    BALANCING,
    BALANCING_CREDIT,
    BALANCING_DEBIT,
    CLOSED,
    CREDITS_BOUND,
    CREDITS_FROZEN,
    DEBITS_BOUND,
    DEBITS_FROZEN,
    EXPIRED,
    F_AMOUNT,
    F_ASKED,
    F_CREDIT,
    F_DEBIT,
    F_KIND,
    F_MARKS,
    F_REFERENCE,
    F_TIME,
    F_USER,
    HOLD,
    IMPORTED,
    K_BURN,
    K_LINE,
    L_CREDIT,
    L_DEBIT,
    L_HOLD,
    L_REVERSED,
    NO_HOLD,
    POST,
    POSTED,
    Q_AMOUNT,
    Q_CREDIT,
    Q_DEBIT,
    Q_MARKS,
    Q_REFERENCE,
    Q_TIMEOUT,
    Q_USER,
    Q_VALUE,
    REFERS,
    REVERSAL,
    S_DAY,
    S_NOW,
    SETTLES,
    UNTIL,
    VOID,
    VOIDED,
)
from quanheng.ledger.outcomes import TransferOutcome as O


@njit(nogil=True, error_model="numpy", forceinline=True)
def flags_of(Q, one):
    """The flags of a request; what is reserved counts as flags that are not allowed."""
    marks = Q[one, Q_MARKS]
    return (marks & 0xFFFFFFFF) | ((marks >> 48) & 0xFFFF) << 32


@njit(nogil=True, error_model="numpy", forceinline=True)
def _is_zero(Q, one, at):
    return Q[one, at] == 0 and Q[one, at + 1] == 0


@njit(nogil=True, error_model="numpy", forceinline=True)
def _same(Q, one, at, F, row, place):
    return Q[one, at] == F[row, place] and Q[one, at + 1] == F[row, place + 1]


@njit(nogil=True, error_model="numpy")
def formed(Q, one):
    """What can be seen of the request alone."""
    flags = flags_of(Q, one)
    if _is_zero(Q, one, 0):
        return O.ID_MUST_NOT_BE_ZERO
    if Q[one, 0] == -1 and Q[one, 1] == -1:
        return O.ID_MUST_NOT_BE_MAX
    if flags & ~ALLOWED:
        return O.FLAGS_ARE_NOT_ALLOWED
    kinds = flags & (HOLD | REFERS)
    if kinds & (kinds - 1) or (flags & BALANCING and flags & REFERS):
        return O.FLAGS_EXCLUDE_EACH_OTHER
    if flags & IMPORTED and flags & (HOLD | SETTLES):
        return O.FLAGS_EXCLUDE_EACH_OTHER
    return O.APPLIED


@njit(nogil=True, error_model="numpy", forceinline=True)
def known(T, Q, one, row):
    """How a request stands to the line or burnt id in `row` that has its id; APPLIED if there is none (-1)."""
    if row < 0:
        return O.APPLIED
    F, flags, marks = T.F, flags_of(Q, one), T.F[row, F_MARKS]
    if (F[row, F_KIND] & 255) == K_BURN:
        return O.ID_IS_BURNT
    refers, code = (flags & REFERS) != 0, (Q[one, Q_MARKS] >> 32) & 0xFFFF
    timeout_ms = F[row, F_TIME] if marks & HOLD else 0
    value_ms = F[row, F_TIME] if marks & IMPORTED else 0
    if flags != marks & 0xFFFF:
        return O.EXISTS_WITH_OTHER_FLAGS
    if not _same(Q, one, Q_REFERENCE, F, row, F_REFERENCE):
        return O.EXISTS_WITH_OTHER_REFERENCE
    if not _same(Q, one, Q_DEBIT, F, row, F_DEBIT) and not (refers and _is_zero(Q, one, Q_DEBIT)):
        return O.EXISTS_WITH_OTHER_DEBIT_ACCOUNT
    if not _same(Q, one, Q_CREDIT, F, row, F_CREDIT) and not (refers and _is_zero(Q, one, Q_CREDIT)):
        return O.EXISTS_WITH_OTHER_CREDIT_ACCOUNT
    if Q[one, Q_AMOUNT] != F[row, F_ASKED]:
        return O.EXISTS_WITH_OTHER_AMOUNT
    if Q[one, Q_TIMEOUT] != timeout_ms:
        return O.EXISTS_WITH_OTHER_TIMEOUT
    if code != (marks >> 16) & 0xFFFF and not (refers and code == 0):
        return O.EXISTS_WITH_OTHER_CODE
    if Q[one, Q_VALUE] != value_ms:
        return O.EXISTS_WITH_OTHER_VALUE_TIME
    if not _same(Q, one, Q_USER, F, row, F_USER):
        return O.EXISTS_WITH_OTHER_USER_DATA
    return O.EXISTS


@njit(nogil=True, error_model="numpy")
def _fields(now_ms, flags, amount, timeout_ms, value_ms, refers):
    """Judge the fields of a request alone; refers: whether its reference is not 0."""
    if amount < 0:
        return O.AMOUNT_MUST_NOT_BE_NEGATIVE
    if amount == 0:
        return O.AMOUNT_MUST_NOT_BE_ZERO
    if amount == ALL and not flags & (REFERS | BALANCING):
        return O.AMOUNT_MUST_BE_STATED
    if (timeout_ms != 0 or flags & UNTIL) and not flags & HOLD:
        return O.TIMEOUT_IS_FOR_HOLDS
    if timeout_ms < 0:
        return O.TIMEOUT_MUST_NOT_BE_NEGATIVE
    if timeout_ms > TIME_MAX_MS - now_ms and not flags & UNTIL:
        return O.TIMEOUT_OVERFLOWS
    if value_ms != 0 and not flags & IMPORTED:
        return O.VALUE_TIME_IS_FOR_IMPORTS
    if value_ms > now_ms:
        return O.VALUE_TIME_MUST_NOT_BE_IN_THE_FUTURE
    if refers and not flags & REFERS:
        return O.REFERENCE_MUST_BE_ZERO
    if not refers and flags & REFERS:
        return O.REFERENCE_MUST_NOT_BE_ZERO
    if timeout_ms <= now_ms and flags & UNTIL:
        return O.TIMEOUT_MUST_BE_IN_THE_FUTURE
    return O.APPLIED


@njit(nogil=True, error_model="numpy")
def _settled(T, Q, one, hold):
    """Judge a posting or a voiding against what it refers to."""
    F, L, flags, amount = T.F, T.L, flags_of(Q, one), Q[one, Q_AMOUNT]
    if hold < 0 or (F[hold, F_KIND] & 255) != K_LINE:
        return O.HOLD_NOT_FOUND
    code, held = (Q[one, Q_MARKS] >> 32) & 0xFFFF, F[hold, F_AMOUNT]
    if L[hold, L_HOLD] == NO_HOLD:
        return O.HOLD_IS_NO_HOLD
    if not _is_zero(Q, one, Q_DEBIT) and not _same(Q, one, Q_DEBIT, F, hold, F_DEBIT):
        return O.HOLD_HAS_OTHER_DEBIT_ACCOUNT
    if not _is_zero(Q, one, Q_CREDIT) and not _same(Q, one, Q_CREDIT, F, hold, F_CREDIT):
        return O.HOLD_HAS_OTHER_CREDIT_ACCOUNT
    if code not in (0, (F[hold, F_MARKS] >> 16) & 0xFFFF):
        return O.HOLD_HAS_OTHER_CODE
    if L[hold, L_HOLD] == POSTED:
        return O.HOLD_WAS_POSTED
    if L[hold, L_HOLD] == VOIDED:
        return O.HOLD_WAS_VOIDED
    if L[hold, L_HOLD] == EXPIRED:
        return O.HOLD_HAS_EXPIRED
    if flags & POST and held < amount and amount != ALL:
        return O.HOLD_IS_SMALLER
    if flags & VOID and amount not in (ALL, held):
        return O.HOLD_HAS_OTHER_AMOUNT
    return O.APPLIED


@njit(nogil=True, error_model="numpy")
def _reversed(T, Q, one, line):
    """Judge a reversal against what it takes back."""
    F, amount = T.F, Q[one, Q_AMOUNT]
    if line < 0 or (F[line, F_KIND] & 255) != K_LINE:
        return O.REVERSED_NOT_FOUND
    if F[line, F_MARKS] & (HOLD | VOID):
        return O.REVERSED_MOVED_NOTHING
    if not _is_zero(Q, one, Q_DEBIT) and not _same(Q, one, Q_DEBIT, F, line, F_CREDIT):
        return O.REVERSED_HAS_OTHER_DEBIT_ACCOUNT
    if not _is_zero(Q, one, Q_CREDIT) and not _same(Q, one, Q_CREDIT, F, line, F_DEBIT):
        return O.REVERSED_HAS_OTHER_CREDIT_ACCOUNT
    left = F[line, F_AMOUNT] - T.L[line, L_REVERSED]
    if left == 0 or (left < amount and amount != ALL):
        return O.REVERSED_IS_SMALLER
    return O.APPLIED


@njit(nogil=True, error_model="numpy", forceinline=True)
def _accounts(T, flags, debit, credit, value_ms):
    A, fresh = T.A, not flags & SETTLES
    if debit < 0:
        return O.DEBIT_ACCOUNT_NOT_FOUND
    if credit < 0:
        return O.CREDIT_ACCOUNT_NOT_FOUND
    if debit == credit:
        return O.ACCOUNTS_MUST_DIFFER
    if A[debit, A_ASSET] != A[credit, A_ASSET]:
        return O.ACCOUNTS_HAVE_OTHER_ASSETS
    if value_ms < A[debit, A_OPENED] or value_ms < A[credit, A_OPENED]:
        return O.VALUE_TIME_IS_BEFORE_ACCOUNT
    if A[debit, A_FLAGS] & CLOSED:
        return O.DEBIT_ACCOUNT_IS_CLOSED
    if A[credit, A_FLAGS] & CLOSED:
        return O.CREDIT_ACCOUNT_IS_CLOSED
    if fresh and A[debit, A_FLAGS] & DEBITS_FROZEN:
        return O.DEBIT_ACCOUNT_IS_FROZEN
    if fresh and A[credit, A_FLAGS] & CREDITS_FROZEN:
        return O.CREDIT_ACCOUNT_IS_FROZEN
    return O.APPLIED


@njit(nogil=True, error_model="numpy", forceinline=True)
def _balanced(A, flags, debit, credit, amount):
    """The amount of a balancing transfer: up to what is there."""
    if flags & BALANCING_DEBIT:
        high, low = plus(A, debit, A_CREDITS, 0)
        less_high, less_low = both(A, debit, A_DEBITS, A_DEBITS_HELD, 0)
        amount = up_to(amount, high, low, less_high, less_low)
    if flags & BALANCING_CREDIT:
        high, low = plus(A, credit, A_DEBITS, 0)
        less_high, less_low = both(A, credit, A_CREDITS, A_CREDITS_HELD, 0)
        amount = up_to(amount, high, low, less_high, less_low)
    return min(amount, AMOUNT_MAX)


@njit(nogil=True, error_model="numpy", forceinline=True)
def _of_day(A, account, at, day, amount):
    """A total of a business day, which is not before the account's newest, and an amount, as (high, low)."""
    if A[account, A_DAY] == day:
        return plus(A, account, at, amount)
    return np.uint64(0), np.uint64(amount)


@njit(nogil=True, error_model="numpy", forceinline=True)
def _amount(T, flags, debit, credit, amount):
    """Judge an amount against balances and limits."""
    A, day, fresh = T.A, T.S[S_DAY], not flags & SETTLES
    if amount <= 0:
        return O.NOTHING_IS_THERE
    high, low = both(A, debit, A_DEBITS, A_DEBITS_HELD, amount)
    if fresh and overflows(high):
        return O.DEBITS_OVERFLOW
    other_high, other_low = both(A, credit, A_CREDITS, A_CREDITS_HELD, amount)
    if fresh and overflows(other_high):
        return O.CREDITS_OVERFLOW
    if not fresh:
        return O.APPLIED
    if not flags & REVERSAL and amount > A[debit, A_PAYMENT] and A[debit, A_PAYMENT] != NO_LIMIT:
        return O.PAYMENT_LIMIT_EXCEEDED
    if A[debit, A_DAY_MAX] != NO_LIMIT or A[debit, A_NET_CAP] != NO_LIMIT:
        day_high, day_low = _of_day(A, debit, A_DAY_DEBITS, day, amount)
        most = A[debit, A_DAY_MAX]
        if most != NO_LIMIT and not flags & REVERSAL and exceeds(day_high, day_low, np.uint64(0), np.uint64(most)):
            return O.DAY_LIMIT_EXCEEDED
        if A[debit, A_NET_CAP] != NO_LIMIT:
            most_high, most_low = _of_day(A, debit, A_DAY_CREDITS, day, A[debit, A_NET_CAP])
            if exceeds(day_high, day_low, most_high, most_low):
                return O.NET_DEBIT_CAP_EXCEEDED
    if A[debit, A_FLAGS] & DEBITS_BOUND:
        most_high, most_low = plus(A, debit, A_CREDITS, A[debit, A_OVERDRAFT])
        if exceeds(high, low, most_high, most_low):
            return O.BALANCE_IS_TOO_LOW
    if A[credit, A_FLAGS] & CREDITS_BOUND:
        most_high, most_low = plus(A, credit, A_DEBITS, 0)
        if exceeds(other_high, other_low, most_high, most_low):
            return O.CREDITS_WOULD_EXCEED_DEBITS
    if A[credit, A_BALANCE_MAX] != NO_LIMIT:
        most_high, most_low = plus(A, credit, A_DEBITS, A[credit, A_BALANCE_MAX])
        if exceeds(other_high, other_low, most_high, most_low):
            return O.BALANCE_LIMIT_EXCEEDED
    return O.APPLIED


@njit(nogil=True, error_model="numpy")
def judge(T, Q, one):
    """What becomes of a request.

    Returns outcome; row that has its id, or -1; and, where the outcome is APPLIED, debit and credit account, row that
    is referred to (or -1), amount and code.
    """
    outcome = formed(Q, one)
    if outcome != O.APPLIED:
        return outcome, -1, -1, -1, -1, 0, 0
    row = find(T.I, T.F, Q[one, 0], Q[one, 1])
    outcome = known(T, Q, one, row)
    F, L, flags, reference = T.F, T.L, flags_of(Q, one), -1
    amount, code = Q[one, Q_AMOUNT], (Q[one, Q_MARKS] >> 32) & 0xFFFF
    if outcome == O.APPLIED:
        refers = not _is_zero(Q, one, Q_REFERENCE)
        outcome = _fields(T.S[S_NOW], flags, amount, Q[one, Q_TIMEOUT], Q[one, Q_VALUE], refers)
    if outcome != O.APPLIED:
        return outcome, row, -1, -1, -1, 0, 0
    if flags & REFERS:
        reference = find(T.I, F, Q[one, Q_REFERENCE], Q[one, Q_REFERENCE + 1])
        outcome = _settled(T, Q, one, reference) if flags & SETTLES else _reversed(T, Q, one, reference)
        if outcome != O.APPLIED:
            return outcome, -1, -1, -1, -1, 0, 0
        debit, credit = L[reference, L_DEBIT], L[reference, L_CREDIT]
        if flags & REVERSAL:
            debit, credit = credit, debit
        if amount == ALL:
            amount = F[reference, F_AMOUNT] - (L[reference, L_REVERSED] if flags & REVERSAL else 0)
        if code == 0 or flags & SETTLES:
            code = (F[reference, F_MARKS] >> 16) & 0xFFFF
    elif code == 0:
        return O.CODE_MUST_NOT_BE_ZERO, -1, -1, -1, -1, 0, 0
    else:
        debit = find(T.J, T.A, Q[one, Q_DEBIT], Q[one, Q_DEBIT + 1])
        credit = find(T.J, T.A, Q[one, Q_CREDIT], Q[one, Q_CREDIT + 1])
    value_ms = Q[one, Q_VALUE] if flags & IMPORTED else T.S[S_NOW]
    outcome = _accounts(T, flags, debit, credit, value_ms)
    if outcome == O.APPLIED:
        if flags & BALANCING:
            amount = _balanced(T.A, flags, debit, credit, amount)
        outcome = _amount(T, flags, debit, credit, amount)
    return outcome, -1, debit, credit, reference, amount, code
