"""Facts folded into the state: the only place that changes accounts and lines, the same live and in recovery."""

from numba import njit

from quanheng.ledger.kernel.entry import entry
from quanheng.ledger.kernel.expiring import end_of, push
from quanheng.ledger.kernel.index import AHEAD, expect, find, insert
from quanheng.ledger.kernel.totals import add, take
from quanheng.ledger.kernel.words import (
    A_AMENDED,
    A_ASSET,
    A_CODE,
    A_CREDITS,
    A_CREDITS_HELD,
    A_DAY,
    A_DAY_CREDITS,
    A_DAY_DEBITS,
    A_DEBITS,
    A_DEBITS_HELD,
    A_ENTITY,
    A_FLAGS,
    A_ID,
    A_LIMITS,
    A_LINES,
    A_MARK,
    A_NEWEST,
    A_OPENED,
    A_OWNER,
    A_ROW,
    A_TOTALS,
    A_USER,
    A_WORDS,
    ACCOUNT_IMPORTED,
    B_BEFORE,
    B_DEPTH,
    B_JUMP,
    B_LINE,
    B_ROW,
    B_TIME,
    B_TOTALS,
    EXPIRED,
    F_AMOUNT,
    F_APPLIED,
    F_CREDIT,
    F_DEBIT,
    F_KIND,
    F_MARKS,
    F_REFERENCE,
    F_TIME,
    F_WORDS,
    G_ASSET,
    G_LIMITS,
    G_OPENED,
    G_OWNER,
    G_USER,
    HELD,
    HISTORY,
    HOLD,
    K_AMENDED,
    K_BURN,
    K_EXPIRY,
    K_LINE,
    K_OPENED,
    L_CREDIT,
    L_CREDIT_BEFORE,
    L_DEBIT,
    L_DEBIT_BEFORE,
    L_HOLD,
    L_REFERENCE,
    L_REVERSED,
    L_SETTLED,
    L_WORDS,
    MARKED_EVERY,
    POST,
    POSTED,
    REVERSAL,
    S_ACCOUNTS,
    S_FACTS,
    S_IDS,
    S_MARKS,
    SETTLES,
    STATED,
    VOID,
    VOIDED,
)


@njit(nogil=True, error_model="numpy", forceinline=True)
def _begin_day(A, account, day):
    if A[account, A_DAY] != day:
        A[account, A_DAY] = day
        for word in range(A_DAY_DEBITS, A_DAY_CREDITS + 2):
            A[account, word] = 0


@njit(nogil=True, error_model="numpy")
def apply_line(T, row, debit, credit, reference):
    """Fold the fact in F[row], a LINE or an EXPIRY, between two accounts; `reference`: the row it refers to, or -1."""
    F, L, A = T.F, T.L, T.A
    flags, day = F[row, F_MARKS] & 0xFFFF, F[row, F_MARKS] >> 32
    amount, expiry = F[row, F_AMOUNT], (F[row, F_KIND] & 255) == K_EXPIRY
    L[row, L_REFERENCE], L[row, L_HOLD], L[row, L_REVERSED], L[row, L_SETTLED] = reference, 0, 0, -1
    if expiry:
        _let_go(T, reference, row, EXPIRED, 0, day)
    else:
        _begin_day(A, debit, day)
        _begin_day(A, credit, day)
        if flags & HOLD:
            add(A, debit, A_DEBITS_HELD, amount)
            add(A, credit, A_CREDITS_HELD, amount)
            L[row, L_HOLD] = HELD
        elif flags & SETTLES:
            posts = (flags & POST) != 0
            _let_go(T, reference, row, POSTED if posts else VOIDED, amount if posts else 0, day)
        if not flags & (HOLD | VOID):
            add(A, debit, A_DEBITS, amount)
            add(A, credit, A_CREDITS, amount)
            add(A, credit, A_DAY_CREDITS, amount)
        if not flags & SETTLES:
            add(A, debit, A_DAY_DEBITS, amount)
        if flags & REVERSAL:
            L[reference, L_REVERSED] += amount
        insert(T.I, F[row, 0], F[row, 1], row)
        T.S[S_IDS] += 1
    L[row, L_DEBIT], L[row, L_CREDIT] = debit, credit
    L[row, L_DEBIT_BEFORE], L[row, L_CREDIT_BEFORE] = A[debit, A_NEWEST], A[credit, A_NEWEST]
    A[debit, A_NEWEST], A[credit, A_NEWEST] = row, row
    A[debit, A_LINES] += 1
    A[credit, A_LINES] += 1
    for account in (debit, credit):
        if A[account, A_FLAGS] & HISTORY or A[account, A_LINES] & (MARKED_EVERY - 1) == 0:
            _mark(T.B, T.S, A, account, row, F[row, F_APPLIED])
    T.S[S_FACTS] = row + 1


@njit(nogil=True, error_model="numpy")
def _let_go(T, hold, row, how, used, day):
    """End a hold. What was not used is given back to the day it was taken from, if that is today."""
    F, L, A = T.F, T.L, T.A
    debit, held = L[hold, L_DEBIT], F[hold, F_AMOUNT]
    take(A, debit, A_DEBITS_HELD, held)
    take(A, L[hold, L_CREDIT], A_CREDITS_HELD, held)
    L[hold, L_HOLD], L[hold, L_SETTLED] = how, row
    if F[hold, F_MARKS] >> 32 == day:
        take(A, debit, A_DAY_DEBITS, held - used)


@njit(nogil=True, error_model="numpy")
def _mark(B, S, A, account, row, now_ms):
    """Mark an account's balance after the change in F[row], so that reading starts near any of its lines.

    Each mark has the one before and one further back, chosen so that any time is found in O(log n) steps: E. W. Myers,
    "An applicative random-access stack", Information Processing Letters 17 (1983).
    """
    at, before = S[S_MARKS], A[account, A_MARK]
    B[at, B_TIME], B[at, B_BEFORE], B[at, B_JUMP], B[at, B_DEPTH] = now_ms, before, at, 0
    B[at, B_ROW], B[at, B_LINE] = row, A[account, A_LINES]
    if before >= 0:
        jump = B[before, B_JUMP]
        further = B[jump, B_JUMP]
        even = B[before, B_DEPTH] - B[jump, B_DEPTH] == B[jump, B_DEPTH] - B[further, B_DEPTH]
        B[at, B_JUMP] = further if even else before
        B[at, B_DEPTH] = B[before, B_DEPTH] + 1
    for word in range(8):
        B[at, B_TOTALS + word] = A[account, A_TOTALS + word]
    A[account, A_MARK] = at
    S[S_MARKS] = at + 1


@njit(nogil=True, error_model="numpy")
def apply_burn(T, row):
    """Fold the fact in F[row], a burnt id."""
    for word in range(L_WORDS):
        T.L[row, word] = -1
    T.L[row, L_HOLD] = 0
    insert(T.I, T.F[row, 0], T.F[row, 1], row)
    T.S[S_IDS] += 1
    T.S[S_FACTS] = row + 1


@njit(nogil=True, error_model="numpy")
def apply_account(T, row, account):
    """Fold the fact in F[row]: an account that was opened (then `account` is new) or amended."""
    F, A = T.F, T.A
    for word in range(L_WORDS):
        T.L[row, word] = -1
    T.L[row, L_HOLD] = 0
    flags = F[row, F_MARKS] & 0xFFFF
    if (F[row, F_KIND] & 255) == K_OPENED:
        for word in range(A_WORDS):
            A[account, word] = 0
        for word in range(2):
            A[account, A_ID + word] = F[row, word]
            A[account, A_OWNER + word] = F[row, G_OWNER + word]
            A[account, A_USER + word] = F[row, G_USER + word]
        A[account, A_ASSET] = F[row, G_ASSET] & 0xFFFFFFFF
        A[account, A_ENTITY] = (F[row, G_ASSET] >> 32) & 0xFFFFFFFF
        A[account, A_CODE] = (F[row, F_MARKS] >> 16) & 0xFFFF
        A[account, A_OPENED] = F[row, G_OPENED] if flags & ACCOUNT_IMPORTED else F[row, F_APPLIED]
        A[account, A_ROW], A[account, A_DAY] = row, F[row, F_MARKS] >> 32
        A[account, A_NEWEST], A[account, A_MARK] = -1, -1
        insert(T.J, F[row, 0], F[row, 1], account)
        T.S[S_ACCOUNTS] = account + 1
    A[account, A_FLAGS], A[account, A_AMENDED] = flags, row
    for word in range(STATED - 1):
        A[account, A_LIMITS + word] = F[row, G_LIMITS + word]
    T.S[S_FACTS] = row + 1


@entry
def apply_facts(T, facts):
    """Append facts and fold them, judging nothing. -1, or the first that refers to what is not there."""
    F = T.F
    for one in range(len(facts)):
        row, kind = T.S[S_FACTS], facts[one, F_KIND] & 255
        if one + AHEAD < len(facts):
            expect(T.I, facts[one + AHEAD, 0], facts[one + AHEAD, 1])
        for word in range(F_WORDS):
            F[row, word] = facts[one, word]
        if kind in (K_LINE, K_EXPIRY):
            debit = find(T.J, T.A, F[row, F_DEBIT], F[row, F_DEBIT + 1])
            credit = find(T.J, T.A, F[row, F_CREDIT], F[row, F_CREDIT + 1])
            refers = kind == K_EXPIRY or F[row, F_MARKS] & (SETTLES | REVERSAL)
            reference = find(T.I, F, F[row, F_REFERENCE], F[row, F_REFERENCE + 1]) if refers else -1
            if debit < 0 or credit < 0 or (refers and reference < 0):
                return one
            apply_line(T, row, debit, credit, reference)
            if F[row, F_MARKS] & HOLD and kind == K_LINE and F[row, F_TIME] != 0:
                push(T, end_of(F, row), row)
        elif kind == K_BURN:
            apply_burn(T, row)
        elif kind == K_OPENED:
            apply_account(T, row, T.S[S_ACCOUNTS])
        elif kind == K_AMENDED:
            account = find(T.J, T.A, F[row, 0], F[row, 1])
            if account < 0:
                return one
            apply_account(T, row, account)
        else:
            return one
    return -1
