"""What is owed and paid: flows, bills, and how money is allocated to them."""

from numba import njit

from quanheng.ledger.instruments.loan_book.kernel.words import (
    B_DAY,
    B_FEES,
    B_INTEREST,
    B_NEXT,
    B_PRINCIPAL,
    B_WORDS,
    CHARGED,
    KINDS,
    L_DAY,
    L_FLOW,
    L_HEAD,
    L_PRODUCT,
    L_TAIL,
    L_UNALLOCATED,
    NONE,
    PAID_FEES,
    R_BY_INSTALMENT,
    R_ORDER,
    S_BILLS,
    S_FREE,
)


@njit(nogil=True, error_model="numpy", inline="always")
def flow(T, row, kind, amount):
    """Value moves: counted for the loan, and for its product until it is posted."""
    T.C[row, kind] += amount
    T.F[T.L[row, L_FLOW], kind] += amount


@njit(nogil=True, error_model="numpy")
def add_bill(T, row, fees, interest, principal):
    """Amounts fall due today; what waits is allocated to them."""
    loan = T.L[row]
    if fees or interest or principal:
        at = T.S[S_FREE]
        if at >= 0:
            T.S[S_FREE] = T.B[at, B_NEXT]
        else:
            at = T.S[S_BILLS]
            T.S[S_BILLS] += 1
        for word in range(B_WORDS):
            T.B[at, word] = 0
        T.B[at, B_NEXT], T.B[at, B_DAY] = NONE, loan[L_DAY]
        T.B[at, B_FEES], T.B[at, B_INTEREST], T.B[at, B_PRINCIPAL] = fees, interest, principal
        if loan[L_HEAD] < 0:
            loan[L_HEAD] = at
        else:
            T.B[loan[L_TAIL], B_NEXT] = at
    allocate(T, row)  # Finds the new tail, too.


@njit(nogil=True, error_model="numpy")
def charge(T, row, amount):
    """A fee is owed from today on."""
    flow(T, row, CHARGED, amount)
    add_bill(T, row, amount, 0, 0)


@njit(nogil=True, error_model="numpy")
def allocate(T, row):
    """Money that waits pays what is due, in the product's order; bills that are paid are let go."""
    loan = T.L[row]
    product = T.R[loan[L_PRODUCT]]
    if loan[L_HEAD] < 0:
        return
    if loan[L_UNALLOCATED]:
        if product[R_BY_INSTALMENT]:
            at = loan[L_HEAD]
            while at >= 0 and loan[L_UNALLOCATED]:
                for place in range(KINDS):
                    _pay(T, row, at, product[R_ORDER + place])
                at = T.B[at, B_NEXT]
        else:
            for place in range(KINDS):
                at = loan[L_HEAD]
                while at >= 0 and loan[L_UNALLOCATED]:
                    _pay(T, row, at, product[R_ORDER + place])
                    at = T.B[at, B_NEXT]
    _drop_paid(T, row)


@njit(nogil=True, error_model="numpy", inline="always")
def _pay(T, row, at, kind):
    paid = min(T.L[row, L_UNALLOCATED], T.B[at, B_FEES + kind])
    if paid:
        T.B[at, B_FEES + kind] -= paid
        T.L[row, L_UNALLOCATED] -= paid
        flow(T, row, PAID_FEES + kind, paid)


@njit(nogil=True, error_model="numpy")
def _drop_paid(T, row):
    loan = T.L[row]
    before, at = NONE, loan[L_HEAD]
    while at >= 0:
        after, owed = T.B[at, B_NEXT], 0
        for kind in range(KINDS):
            owed += T.B[at, B_FEES + kind]
        if owed:
            before = at
        else:
            if before < 0:
                loan[L_HEAD] = after
            else:
                T.B[before, B_NEXT] = after
            T.B[at, B_NEXT] = T.S[S_FREE]
            T.S[S_FREE] = at
        at = after
    loan[L_TAIL] = before


@njit(nogil=True, error_model="numpy")
def drop_all(T, row):
    """Let go every bill."""
    loan = T.L[row]
    at = loan[L_HEAD]
    while at >= 0:
        after = T.B[at, B_NEXT]
        T.B[at, B_NEXT] = T.S[S_FREE]
        T.S[S_FREE] = at
        at = after
    loan[L_HEAD] = loan[L_TAIL] = NONE


@njit(nogil=True, error_model="numpy")
def billed(T, row, kind):
    """What is due and not paid, of a kind."""
    total, at = 0, T.L[row, L_HEAD]
    while at >= 0:
        total += T.B[at, B_FEES + kind]
        at = T.B[at, B_NEXT]
    return total
