"""Reading: an account's changes newest first, each with the balance after it; balances at a time; holds that stand."""

import numpy as np
from numba import njit

from quanheng.ledger.kernel.entry import entry
from quanheng.ledger.kernel.totals import add, is_zero, take
from quanheng.ledger.kernel.words import (
    A_CREDITS,
    A_CREDITS_HELD,
    A_DEBITS,
    A_DEBITS_HELD,
    A_LINES,
    A_MARK,
    A_NEWEST,
    A_TOTALS,
    A_WORDS,
    B_BEFORE,
    B_JUMP,
    B_LINE,
    B_ROW,
    B_TIME,
    B_TOTALS,
    F_AMOUNT,
    F_APPLIED,
    F_KIND,
    F_MARKS,
    HELD,
    HOLD,
    K_EXPIRY,
    K_LINE,
    L_CREDIT_BEFORE,
    L_DEBIT,
    L_DEBIT_BEFORE,
    L_HOLD,
    L_REFERENCE,
    SETTLES,
    VOID,
)


@njit(nogil=True, error_model="numpy")
def _without(T, B, account, row):
    """Take the change in F[row] out of the balance of an account in B; the account's row before."""
    F, L = T.F, T.L
    debits = L[row, L_DEBIT] == account
    posted, held = (A_DEBITS, A_DEBITS_HELD) if debits else (A_CREDITS, A_CREDITS_HELD)
    flags, expiry = F[row, F_MARKS] & 0xFFFF, (F[row, F_KIND] & 255) == K_EXPIRY
    if expiry or flags & SETTLES:
        add(B, 0, held, F[L[row, L_REFERENCE], F_AMOUNT])
    elif flags & HOLD:
        take(B, 0, held, F[row, F_AMOUNT])
    if not expiry and not flags & (HOLD | VOID):
        take(B, 0, posted, F[row, F_AMOUNT])
    return L[row, L_DEBIT_BEFORE] if debits else L[row, L_CREDIT_BEFORE]


@njit(nogil=True, error_model="numpy")
def _start(T, account):
    """A copy of an account's words, to be walked back."""
    B = np.empty((1, A_WORDS), np.int64)
    for word in range(A_WORDS):
        B[0, word] = T.A[account, word]
    return B


@njit(nogil=True, error_model="numpy", forceinline=True)
def _is_beyond(time_ms, row, line, until_ms, first, most):
    return time_ms > until_ms or (first >= 0 and row >= first) or line > most


@njit(nogil=True, error_model="numpy")
def _seek(T, account, C, until_ms, first, most):
    """Go to an account's newest line that was booked by until_ms, in a row before `first` (-1: any) and is among its
    `most` oldest; its row, or -1, and which of the lines it is. C, a copy of the account's words, becomes what they
    were after it. From the nearest mark: O(log n).
    """
    B, at, nearest = T.B, T.A[account, A_MARK], -1
    while at >= 0 and _is_beyond(B[at, B_TIME], B[at, B_ROW], B[at, B_LINE], until_ms, first, most):
        nearest, jump = at, B[at, B_JUMP]
        further = jump != at and _is_beyond(B[jump, B_TIME], B[jump, B_ROW], B[jump, B_LINE], until_ms, first, most)
        at = jump if further else B[at, B_BEFORE]
    row, line = T.A[account, A_NEWEST], T.A[account, A_LINES]
    if nearest >= 0:
        row, line = B[nearest, B_ROW], B[nearest, B_LINE]
        for word in range(8):
            C[0, A_TOTALS + word] = B[nearest, B_TOTALS + word]
    while row >= 0 and _is_beyond(T.F[row, F_APPLIED], row, line, until_ms, first, most):
        row = _without(T, C, account, row)
        line -= 1
    return row, line


@entry
def statement(T, account, since_ms, until_ms, first, most, rows, balances):
    """Lines booked from since_ms to until_ms, newest first, each row with the eight limbs of the balance after it.

    first : only rows before this one, or -1; most : only those among the account's so many oldest lines; fills rows[n]
    and balances[n, 8] and returns how many there are.
    """
    C, found = _start(T, account), 0
    row, _ = _seek(T, account, C, until_ms, first, most)
    while row >= 0 and found < len(rows) and T.F[row, F_APPLIED] >= since_ms:
        rows[found] = row
        for word in range(8):
            balances[found, word] = C[0, A_TOTALS + word]
        found += 1
        row = _without(T, C, account, row)
    return found


@entry
def balance_at(T, account, time_ms, limbs):
    """The eight limbs of an account's balance after what was booked up to a time; how many lines that was."""
    C = _start(T, account)
    _, line = _seek(T, account, C, time_ms, -1, T.A[account, A_LINES])
    for word in range(8):
        limbs[word] = C[0, A_TOTALS + word]
    return line


@entry
def holds(T, account, rows):
    """Rows of the holds that stand on an account, newest first; how many. Ends where none can be further back.

    If they are more than fit, the number is larger than rows and the caller asks again.
    """
    B, row, found = _start(T, account), T.A[account, A_NEWEST], 0
    while row >= 0 and not (is_zero(B, 0, A_DEBITS_HELD) and is_zero(B, 0, A_CREDITS_HELD)):
        debits = T.L[row, L_DEBIT] == account
        if T.L[row, L_HOLD] == HELD:
            if found < len(rows):
                rows[found] = row
            found += 1
            take(B, 0, A_DEBITS_HELD if debits else A_CREDITS_HELD, T.F[row, F_AMOUNT])
        row = T.L[row, L_DEBIT_BEFORE] if debits else T.L[row, L_CREDIT_BEFORE]
    return found


@entry
def lines_with(T, count, code, by_user, low, high, rows):
    """Newest rows of lines with a code (0: any) and user data; how many were found, at most as many as fit."""
    F, found = T.F, 0
    for row in range(count - 1, -1, -1):
        if (F[row, F_KIND] & 255) != K_LINE or (code != 0 and (F[row, F_MARKS] >> 16) & 0xFFFF != code):
            continue
        if by_user and (F[row, 8] != low or F[row, 9] != high):
            continue
        if found == len(rows):
            break
        rows[found] = row
        found += 1
    return found


@entry
def sums(T, accounts_n, asset, limbs):
    """Add the totals of all accounts of an asset to eight limbs, modulo 2^128."""
    one, A = np.zeros((1, 8), np.int64), T.A
    for account in range(accounts_n):
        if A[account, 2] != asset:
            continue
        for total in range(4):
            low = np.uint64(one[0, 2 * total]) + np.uint64(A[account, A_TOTALS + 2 * total])
            more = np.uint64(low < np.uint64(one[0, 2 * total]))
            one[0, 2 * total] = np.int64(low)
            one[0, 2 * total + 1] += A[account, A_TOTALS + 2 * total + 1] + np.int64(more)
    for word in range(8):
        limbs[word] = one[0, word]
