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
    A_FLAGS,
    A_HISTORY,
    A_NEWEST,
    A_TOTALS,
    A_WORDS,
    B_BEFORE,
    B_JUMP,
    B_TIME,
    B_TOTALS,
    F_AMOUNT,
    F_APPLIED,
    F_KIND,
    F_MARKS,
    HELD,
    HISTORY,
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


@entry
def statement(T, account, since_ms, until_ms, first, skip, rows, balances):
    """Changes booked from since_ms to until_ms, newest first, each row with the eight limbs of the balance after it.

    first : only rows before this one, or -1; skip : so many of them are left out; fills rows[n] and balances[n, 8] and
    returns how many there are. One with skip = -1 counts only.
    """
    B, row, found = _start(T, account), T.A[account, A_NEWEST], 0
    while row >= 0 and T.F[row, F_APPLIED] >= since_ms:
        if T.F[row, F_APPLIED] <= until_ms and (first < 0 or row < first):
            at = found - skip
            if skip >= 0 and at >= len(rows):
                return len(rows)
            if skip >= 0 and at >= 0:
                rows[at] = row
                for word in range(8):
                    balances[at, word] = B[0, A_TOTALS + word]
            found += 1
        row = _without(T, B, account, row)
    return found if skip < 0 else max(0, found - skip)


@entry
def balance_at(T, account, time_ms, limbs):
    """The eight limbs of an account's balance after what was booked up to a time."""
    if T.A[account, A_FLAGS] & HISTORY:
        at = T.A[account, A_HISTORY]
        while at >= 0 and T.B[at, B_TIME] > time_ms:
            jump = T.B[at, B_JUMP]
            further = T.B[jump, B_TIME] > time_ms and jump != at
            at = jump if further else T.B[at, B_BEFORE]
        for word in range(8):
            limbs[word] = T.B[at, B_TOTALS + word] if at >= 0 else 0
        return
    B, row = _start(T, account), T.A[account, A_NEWEST]
    while row >= 0 and T.F[row, F_APPLIED] > time_ms:
        row = _without(T, B, account, row)
    for word in range(8):
        limbs[word] = B[0, A_TOTALS + word]


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
