"""Holds whose time is out; then a batch of transfers, chain after chain, each whole or not at all."""

from numba import njit

from quanheng.ledger.kernel.apply import apply_burn, apply_line
from quanheng.ledger.kernel.entry import entry
from quanheng.ledger.kernel.expiring import end_of, pop, push
from quanheng.ledger.kernel.index import AHEAD, expect, find, remove_newest
from quanheng.ledger.kernel.judge import flags_of, formed, judge, known
from quanheng.ledger.kernel.words import (
    A_TOTALS,
    BURN,
    CHANGED,
    F_AMOUNT,
    F_APPLIED,
    F_ASKED,
    F_CREDIT,
    F_DEBIT,
    F_KIND,
    F_MARKS,
    F_REFERENCE,
    F_TIME,
    F_USER,
    F_WORDS,
    HELD,
    HOLD,
    K_BURN,
    K_EXPIRY,
    K_LINE,
    L_CREDIT,
    L_DEBIT,
    L_HOLD,
    L_REVERSED,
    L_SETTLED,
    LINKED,
    N_AMOUNT,
    N_APPLIED,
    N_CREDIT,
    N_DEBIT,
    N_OUTCOME,
    N_WORDS,
    Q_AMOUNT,
    Q_REFERENCE,
    Q_TIMEOUT,
    Q_USER,
    Q_VALUE,
    S_DAY,
    S_FACTS,
    S_HEAP,
    S_IDS,
    S_MARKS,
    S_NOW,
    S_UNDO,
    U_CREDIT,
    U_DEBIT,
    U_REFERENCE,
)
from quanheng.ledger.outcomes import TransferOutcome as O


@entry
def expire(T, most):
    """End the holds whose time is out at S[S_NOW], as facts, at most so many; whether there are more."""
    F, L, until = T.F, T.L, T.S[S_FACTS] + most
    while T.S[S_HEAP] > 0 and T.H[0, 0] <= T.S[S_NOW]:
        if T.S[S_FACTS] == until:
            return True
        hold, expires_ms = T.H[0, 1], T.H[0, 0]
        pop(T)
        if L[hold, L_HOLD] != HELD:
            continue
        row = T.S[S_FACTS]
        for word in range(F_WORDS):
            F[row, word] = 0
        for word in range(2):
            F[row, F_DEBIT + word] = F[hold, F_DEBIT + word]
            F[row, F_CREDIT + word] = F[hold, F_CREDIT + word]
            F[row, F_REFERENCE + word] = F[hold, word]
        F[row, F_AMOUNT], F[row, F_TIME], F[row, F_APPLIED] = F[hold, F_AMOUNT], expires_ms, T.S[S_NOW]
        F[row, F_MARKS] = T.S[S_DAY] << 32 | (F[hold, F_MARKS] & 0xFFFF0000)
        F[row, F_KIND] = K_EXPIRY
        apply_line(T, row, L[hold, L_DEBIT], L[hold, L_CREDIT], hold)
    return False


@njit(nogil=True, error_model="numpy")
def _write(T, Q, one, amount, code, debit, credit, reference):
    """Append the fact of a transfer that is to be applied; its row."""
    F, L, A, row, flags = T.F, T.L, T.A, T.S[S_FACTS], flags_of(Q, one)
    for word in range(2):
        F[row, word] = Q[one, word]
        F[row, F_DEBIT + word] = A[debit, word]
        F[row, F_CREDIT + word] = A[credit, word]
        F[row, F_REFERENCE + word] = Q[one, Q_REFERENCE + word]
        F[row, F_USER + word] = Q[one, Q_USER + word]
    F[row, F_ASKED], F[row, F_AMOUNT] = Q[one, Q_AMOUNT], amount
    F[row, F_TIME] = Q[one, Q_TIMEOUT] if flags & HOLD else Q[one, Q_VALUE]
    F[row, F_APPLIED] = T.S[S_NOW]
    F[row, F_MARKS] = flags | code << 16 | T.S[S_DAY] << 32
    F[row, F_KIND] = K_LINE
    L[row, L_HOLD] = 0
    return row


@njit(nogil=True, error_model="numpy", forceinline=True)
def _answer(T, N, one, outcome, row):
    """Answer with the line in `row` and the balances of its accounts now."""
    A, debit, credit = T.A, T.L[row, L_DEBIT], T.L[row, L_CREDIT]
    N[one, N_OUTCOME], N[one, N_AMOUNT], N[one, N_APPLIED] = outcome, T.F[row, F_AMOUNT], T.F[row, F_APPLIED]
    for word in range(8):
        N[one, N_DEBIT + word] = A[debit, A_TOTALS + word]
        N[one, N_CREDIT + word] = A[credit, A_TOTALS + word]


@njit(nogil=True, error_model="numpy", forceinline=True)
def _refuse(N, one, outcome):
    for word in range(N_WORDS):
        N[one, word] = 0
    N[one, N_OUTCOME] = outcome


@njit(nogil=True, error_model="numpy")
def _save(T, debit, credit, reference):
    """Note in the journal what a transfer of a chain will change."""
    U, A, L, at = T.U, T.A, T.L, T.S[S_UNDO]
    U[at, U_DEBIT], U[at, U_CREDIT], U[at, U_REFERENCE] = debit, credit, reference
    for word in range(CHANGED):
        U[at, U_DEBIT + 1 + word] = A[debit, A_TOTALS + word]
        U[at, U_CREDIT + 1 + word] = A[credit, A_TOTALS + word]
    if reference >= 0:
        U[at, U_REFERENCE + 1], U[at, U_REFERENCE + 2] = L[reference, L_HOLD], L[reference, L_REVERSED]
        U[at, U_REFERENCE + 3] = L[reference, L_SETTLED]
    T.S[S_UNDO] = at + 1


@njit(nogil=True, error_model="numpy")
def _undo(T, first, marks):
    """Take back the facts from `first` on, newest first."""
    U, A, L, F, S = T.U, T.A, T.L, T.F, T.S
    for row in range(S[S_FACTS] - 1, first - 1, -1):
        at = S[S_UNDO] - 1
        debit, credit, reference = U[at, U_DEBIT], U[at, U_CREDIT], U[at, U_REFERENCE]
        for word in range(CHANGED):
            A[debit, A_TOTALS + word] = U[at, U_DEBIT + 1 + word]
            A[credit, A_TOTALS + word] = U[at, U_CREDIT + 1 + word]
        if reference >= 0:
            L[reference, L_HOLD], L[reference, L_REVERSED] = U[at, U_REFERENCE + 1], U[at, U_REFERENCE + 2]
            L[reference, L_SETTLED] = U[at, U_REFERENCE + 3]
        remove_newest(T.I, F[row, 0], F[row, 1], row)
        S[S_IDS] -= 1
        S[S_UNDO] = at
    S[S_FACTS], S[S_MARKS] = first, marks


@njit(nogil=True, error_model="numpy", forceinline=True)
def _remind(T, row):
    """Remember when a hold that was made ends."""
    F = T.F
    if F[row, F_MARKS] & HOLD and F[row, F_TIME] != 0:
        push(T, end_of(F, row), row)


@njit(nogil=True, error_model="numpy")
def _burn(T, Q, start, end):
    """Use up the ids of a refused chain's transfers that asked for it."""
    F = T.F
    for one in range(start, end):
        if not flags_of(Q, one) & BURN or formed(Q, one) != O.APPLIED or find(T.I, F, Q[one, 0], Q[one, 1]) >= 0:
            continue
        row = T.S[S_FACTS]
        for word in range(F_WORDS):
            F[row, word] = 0
        F[row, 0], F[row, 1], F[row, F_APPLIED] = Q[one, 0], Q[one, 1], T.S[S_NOW]
        F[row, F_MARKS], F[row, F_KIND] = T.S[S_DAY] << 32, K_BURN
        apply_burn(T, row)


@njit(nogil=True, error_model="numpy")
def _single(T, Q, N, one):
    outcome, row, debit, credit, reference, amount, code = judge(T, Q, one)
    if outcome == O.APPLIED:
        row = _write(T, Q, one, amount, code, debit, credit, reference)
        apply_line(T, row, debit, credit, reference)
        _remind(T, row)
        _answer(T, N, one, outcome, row)
    elif outcome == O.EXISTS:
        _answer(T, N, one, outcome, row)
    else:
        _refuse(N, one, outcome)
        if flags_of(Q, one) & BURN:
            _burn(T, Q, one, one + 1)


@njit(nogil=True, error_model="numpy")
def _exists(T, Q, N, start, end):
    """Whether a whole chain was applied before; answers it if so."""
    for one in range(start, end):
        if formed(Q, one) != O.APPLIED:
            return False
        if known(T, Q, one, find(T.I, T.F, Q[one, 0], Q[one, 1])) != O.EXISTS:
            return False
    for one in range(start, end):
        _answer(T, N, one, O.EXISTS, find(T.I, T.F, Q[one, 0], Q[one, 1]))
    return True


@njit(nogil=True, error_model="numpy")
def _links(T, Q, N, start, end):
    """Apply and answer a chain, whole or not at all; whether it was applied. No hold is reminded of yet."""
    first, marks = T.S[S_FACTS], T.S[S_MARKS]
    T.S[S_UNDO] = 0
    for one in range(start, end):
        outcome, row, debit, credit, reference, amount, code = judge(T, Q, one)
        if outcome != O.APPLIED:
            _undo(T, first, marks)
            for other in range(start, end):
                _refuse(N, other, O.CHAIN_FAILED)
            N[one, N_OUTCOME] = O.EXISTS_WITHOUT_ITS_CHAIN if outcome == O.EXISTS else outcome
            return False
        _save(T, debit, credit, reference)
        row = _write(T, Q, one, amount, code, debit, credit, reference)
        apply_line(T, row, debit, credit, reference)
        _answer(T, N, one, outcome, row)
    return True


@njit(nogil=True, error_model="numpy")
def _chain(T, Q, N, start, end):
    if _exists(T, Q, N, start, end):
        return
    first = T.S[S_FACTS]
    if not _links(T, Q, N, start, end):
        _burn(T, Q, start, end)
        return
    for row in range(first, T.S[S_FACTS]):
        _remind(T, row)


@entry
def attempt(T, Q, N):
    """Answer a batch that is one chain as it would be, at S[S_NOW] on S[S_DAY], and leave all as it was."""
    if _exists(T, Q, N, 0, len(Q)):
        return
    first, marks = T.S[S_FACTS], T.S[S_MARKS]
    if _links(T, Q, N, 0, len(Q)):
        _undo(T, first, marks)


@entry
def transfer(T, Q, N):
    """Answer every request of a batch in N, at S[S_NOW] on S[S_DAY]. There is room for the facts."""
    start, count = 0, len(Q)
    for one in range(min(AHEAD, count)):
        expect(T.I, Q[one, 0], Q[one, 1])
    while start < count:
        end = start
        if start + AHEAD < count:
            expect(T.I, Q[start + AHEAD, 0], Q[start + AHEAD, 1])
        while end < count and flags_of(Q, end) & LINKED:
            end += 1
        if end == count:
            for one in range(start, end):
                _refuse(N, one, O.CHAIN_FAILED)
            N[end - 1, N_OUTCOME] = O.CHAIN_IS_OPEN
        elif end == start:
            _single(T, Q, N, start)
        else:
            _chain(T, Q, N, start, end + 1)
        start = end + 1
