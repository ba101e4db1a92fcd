"""Batches of accounts to be opened or amended: judged in the order of the outcomes, chains whole or not at all."""

from numba import njit

from quanheng.ledger.entries import AMENDABLE, AMOUNT_MAX, NO_LIMIT
from quanheng.ledger.entries import AccountFlag as G
from quanheng.ledger.kernel.apply import apply_account
from quanheng.ledger.kernel.entry import entry
from quanheng.ledger.kernel.index import find, remove_newest
from quanheng.ledger.kernel.totals import equal, is_zero
from quanheng.ledger.kernel.words import (
    A_AMENDED,
    A_CREDITS,
    A_CREDITS_HELD,
    A_DEBITS,
    A_DEBITS_HELD,
    A_FLAGS,
    A_ROW,
    ACCOUNT_IMPORTED,
    CLOSED,
    CREDITS_BOUND,
    DEBITS_BOUND,
    F_APPLIED,
    F_KIND,
    F_MARKS,
    F_WORDS,
    G_ASSET,
    G_LIMITS,
    G_OPENED,
    K_AMENDED,
    K_OPENED,
    LINKED,
    S_ACCOUNTS,
    S_DAY,
    S_FACTS,
    S_IDS,
    S_NOW,
    S_UNDO,
    STATED,
)
from quanheng.ledger.outcomes import AccountOutcome as O

_AMENDABLE = int(AMENDABLE)
_OPENABLE = 255 & ~int(G.CLOSED)
_LINKED_AMENDMENT = 1 << 8  # As in quanheng.ledger.wire.


@njit(nogil=True, error_model="numpy")
def _formed(Q, one, allowed):
    flags = Q[one, F_MARKS] & 0xFFFF
    if Q[one, 0] == 0 and Q[one, 1] == 0:
        return O.ID_MUST_NOT_BE_ZERO
    if Q[one, 0] == -1 and Q[one, 1] == -1:
        return O.ID_MUST_NOT_BE_MAX
    if flags & ~allowed:
        return O.FLAGS_ARE_NOT_ALLOWED
    if flags & DEBITS_BOUND and flags & CREDITS_BOUND:
        return O.FLAGS_EXCLUDE_EACH_OTHER
    return O.APPLIED


@njit(nogil=True, error_model="numpy", forceinline=True)
def _limit_is_good(limit, place):
    return (0 if place == 0 else NO_LIMIT) <= limit <= AMOUNT_MAX


@njit(nogil=True, error_model="numpy")
def _opened_before(T, Q, one, account):
    """Whether an account was opened with this content. Clock and kind are not part of it."""
    if account < 0:
        return False
    F, row = T.F, T.A[account, A_ROW]
    for word in range(F_APPLIED):
        if F[row, word] != Q[one, word]:
            return False
    return (F[row, F_MARKS] & 0xFFFFFFFF) == (Q[one, F_MARKS] & 0xFFFFFFFF)


@njit(nogil=True, error_model="numpy")
def _judge_opening(T, Q, one, account):
    outcome, flags = _formed(Q, one, _OPENABLE), Q[one, F_MARKS] & 0xFFFF
    if outcome != O.APPLIED:
        return outcome
    if account >= 0:
        return O.EXISTS if _opened_before(T, Q, one, account) else O.EXISTS_WITH_OTHER_CONTENT
    if Q[one, G_ASSET] & 0xFFFFFFFF == 0:
        return O.ASSET_MUST_NOT_BE_ZERO
    if (Q[one, F_MARKS] >> 16) & 0xFFFF == 0:
        return O.CODE_MUST_NOT_BE_ZERO
    for place in range(STATED - 1):
        if not _limit_is_good(Q[one, G_LIMITS + place], place):
            return O.LIMIT_IS_OUT_OF_RANGE
    if Q[one, G_OPENED] != 0 and not flags & ACCOUNT_IMPORTED:
        return O.OPENING_TIME_IS_FOR_IMPORTS
    if Q[one, G_OPENED] > T.S[S_NOW]:
        return O.OPENING_TIME_MUST_NOT_BE_IN_THE_FUTURE
    return O.APPLIED


@njit(nogil=True, error_model="numpy")
def _judge_amendment(T, Q, one, account):
    outcome, A, stated = _formed(Q, one, _AMENDABLE), T.A, Q[one, F_KIND]
    if outcome != O.APPLIED:
        return outcome
    for place in range(STATED - 1):
        if stated & (2 << place) and not _limit_is_good(Q[one, G_LIMITS + place], place):
            return O.LIMIT_IS_OUT_OF_RANGE
    if account < 0:
        return O.ACCOUNT_NOT_FOUND
    if A[account, A_FLAGS] & CLOSED:
        return O.ACCOUNT_IS_CLOSED
    if Q[one, F_MARKS] & CLOSED:
        if not is_zero(A, account, A_DEBITS_HELD) or not is_zero(A, account, A_CREDITS_HELD):
            return O.ACCOUNT_HAS_HOLDS
        if not equal(A, account, A_DEBITS, A_CREDITS):
            return O.ACCOUNT_HAS_A_BALANCE
    return O.APPLIED


@njit(nogil=True, error_model="numpy")
def _open(T, Q, one):
    """Append and fold the fact of an account that is to be opened."""
    F, row = T.F, T.S[S_FACTS]
    for word in range(F_WORDS):
        F[row, word] = Q[one, word]
    F[row, F_APPLIED] = T.S[S_NOW]
    F[row, F_MARKS] = (Q[one, F_MARKS] & 0xFFFFFFFF) | T.S[S_DAY] << 32
    F[row, F_KIND] = K_OPENED
    apply_account(T, row, T.S[S_ACCOUNTS])


@njit(nogil=True, error_model="numpy")
def _amend(T, Q, one, account):
    """Append and fold the fact of an account that is to be amended: as it was, but for what is stated."""
    F, A, U, row, at, stated = T.F, T.A, T.U, T.S[S_FACTS], T.S[S_UNDO], Q[one, F_KIND]
    newest = A[account, A_AMENDED]
    U[at, 0], U[at, 1] = account, newest
    T.S[S_UNDO] = at + 1
    for word in range(F_WORDS):
        F[row, word] = F[newest, word]
    if stated & 1:
        flags = (F[newest, F_MARKS] & 0xFFFF & ~_AMENDABLE) | (Q[one, F_MARKS] & 0xFFFF)
        F[row, F_MARKS] = (F[newest, F_MARKS] & 0xFFFF0000) | flags
    for place in range(STATED - 1):
        if stated & (2 << place):
            F[row, G_LIMITS + place] = Q[one, G_LIMITS + place]
    F[row, F_APPLIED], F[row, F_KIND] = T.S[S_NOW], K_AMENDED
    F[row, F_MARKS] = (F[row, F_MARKS] & 0xFFFFFFFF) | T.S[S_DAY] << 32
    apply_account(T, row, account)


@njit(nogil=True, error_model="numpy")
def _undo(T, first):
    """Take back the openings or amendments from fact `first` on, newest first."""
    S, F, A = T.S, T.F, T.A
    for row in range(S[S_FACTS] - 1, first - 1, -1):
        if F[row, F_KIND] == K_OPENED:
            S[S_ACCOUNTS] -= 1
            remove_newest(T.J, F[row, 0], F[row, 1], S[S_ACCOUNTS])
        else:
            at = S[S_UNDO] - 1
            account, before = T.U[at, 0], T.U[at, 1]
            A[account, A_AMENDED], A[account, A_FLAGS] = before, F[before, F_MARKS] & 0xFFFF
            for word in range(STATED - 1):
                A[account, A_FLAGS + 1 + word] = F[before, G_LIMITS + word]
            S[S_UNDO] = at
    S[S_FACTS] = first


@njit(nogil=True, error_model="numpy")
def _chain(T, Q, N, start, end, opens):
    first = T.S[S_FACTS]
    T.S[S_UNDO] = 0
    exist = opens
    for one in range(start, end):
        exist = exist and _opened_before(T, Q, one, find(T.J, T.A, Q[one, 0], Q[one, 1]))
    for one in range(start, end):
        N[one] = O.EXISTS if exist else O.APPLIED
    if exist:
        return
    for one in range(start, end):
        account = find(T.J, T.A, Q[one, 0], Q[one, 1])
        outcome = _judge_opening(T, Q, one, account) if opens else _judge_amendment(T, Q, one, account)
        if outcome != O.APPLIED:
            _undo(T, first)
            for other in range(start, end):
                N[other] = O.CHAIN_FAILED
            N[one] = O.EXISTS_WITHOUT_ITS_CHAIN if outcome == O.EXISTS else outcome
            return
        if opens:
            _open(T, Q, one)
        else:
            _amend(T, Q, one, account)


@entry
def take_back(T, first):
    """Take back openings and burnt ids from fact `first` on, newest first: nothing else stands behind them."""
    S, F = T.S, T.F
    for row in range(S[S_FACTS] - 1, first - 1, -1):
        if F[row, F_KIND] == K_OPENED:
            S[S_ACCOUNTS] -= 1
            remove_newest(T.J, F[row, 0], F[row, 1], S[S_ACCOUNTS])
        else:
            remove_newest(T.I, F[row, 0], F[row, 1], row)
            S[S_IDS] -= 1
    S[S_FACTS] = first


@entry
def change_accounts(T, Q, N, opens):
    """Outcome of every account of a batch in N, at S[S_NOW] on S[S_DAY]. There is room for accounts and facts."""
    start, count = 0, len(Q)
    while start < count:
        end = start
        while end < count and (Q[end, F_MARKS] & LINKED if opens else Q[end, F_KIND] & _LINKED_AMENDMENT) != 0:
            end += 1
        if end == count:
            for one in range(start, end):
                N[one] = O.CHAIN_FAILED
            N[end - 1] = O.CHAIN_IS_OPEN
        else:
            _chain(T, Q, N, start, end + 1, opens)
        start = end + 1
