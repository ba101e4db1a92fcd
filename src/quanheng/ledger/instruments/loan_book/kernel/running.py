"""The loops over the book: a day for all loans, a batch of events, a stretch of one loan's history."""

from numba import njit

from quanheng.ledger.instruments.loan_book.kernel.accruing import advance, enter_period, quiet_night
from quanheng.ledger.instruments.loan_book.kernel.allocating import billed, drop_all, flow
from quanheng.ledger.instruments.loan_book.kernel.entry import entry
from quanheng.ledger.instruments.loan_book.kernel.folding import APPLIED, capitalise_due, fold, judge, payoff
from quanheng.ledger.instruments.loan_book.kernel.planning import (
    first_planned,
    parts_of,
    replan,
    spread,
    year_of,
)
from quanheng.ledger.instruments.loan_book.kernel.words import (
    B_DAY,
    B_FEES,
    B_NEXT,
    B_PAUSED,
    CHARGE,
    DISBURSED,
    H_AMOUNT,
    H_BEFORE,
    H_CAME,
    H_DAY,
    H_EXTRA,
    H_ID,
    H_KIND,
    H_ROW,
    HOLIDAY,
    KINDS,
    L_AT,
    L_BASE,
    L_DAY,
    L_EVENT,
    L_FIRST,
    L_GRACE,
    L_HEAD,
    L_LAST_DAY,
    L_LAST_ID,
    L_LAST_RANK,
    L_LEVEL,
    L_MATURITY,
    L_NEEDS,
    L_NEXT,
    L_NOT_DUE,
    L_PERIOD,
    L_PERIODS,
    L_POSTED,
    L_PRODUCT,
    L_RATE,
    L_STATE,
    L_UNALLOCATED,
    L_WRITTEN_OFF,
    NONE,
    OPEN,
    PREPAY,
    R_GRACE,
    RATE_UNIT,
    RE_AGE,
    RE_AMORTISE,
    REFUND,
    S_DAY,
    S_EVENTS,
    S_LOANS,
    WRITE_OFF,
)

# Why a batch stops at an event.
DONE, NEEDS_LEVEL, NEEDS_REPLAY, NEEDS_DATES = range(4)
NOT_FOUND, AMOUNT_OUT_OF_RANGE, IN_THE_FUTURE, BEFORE_THE_LOAN, BEFORE_THE_NEWEST = range(1, 6)
AMOUNT_MAX = 10**13


@entry
def roll(T, day, waiting):
    """Advance every loan to a day; rows of those that need a level go to `waiting`. How many."""
    found = 0
    L, C, F, R, K = T.L, T.C, T.F, T.R, T.K
    for row in range(1, T.S[S_LOANS] + 1):
        # Most nights nothing falls due and nothing is overdue: that is done here, without a call.
        if L[row, L_HEAD] < 0 and L[row, L_NEXT] > day:
            quiet_night(L, C, F, R, K, row, day)
        elif not advance(T, row, day):
            waiting[found] = row
            found += 1
    return found


@entry
def step(T, row, day):
    """Advance one loan; False: it needs a level first."""
    return advance(T, row, day)


@entry
def begin(T, row, principal):
    """A loan begins, with terms and due days in place: it is disbursed on its first day."""
    loan = T.L[row]
    loan[L_DAY], loan[L_NOT_DUE], loan[L_STATE], loan[L_LEVEL] = loan[L_FIRST], principal, OPEN, NONE
    loan[L_PERIOD], loan[L_GRACE] = 0, T.R[loan[L_PRODUCT], R_GRACE]
    loan[L_MATURITY] = T.D[loan[L_AT] + loan[L_PERIODS]]
    flow(T, row, DISBURSED, principal)
    enter_period(T, row)
    replan(T, row, False)


@entry
def enter(T, row):
    """Set what hangs on the period, after due days or their number were changed, and plan anew."""
    loan = T.L[row]
    loan[L_MATURITY] = T.D[loan[L_AT] + loan[L_PERIODS]]
    enter_period(T, row)
    replan(T, row, False)


@entry
def capitalise(T, row):
    """All that is due becomes principal that is not due yet."""
    capitalise_due(T, row)


@entry
def let_go(T, row):
    """Let go every bill of a row."""
    drop_all(T, row)


@entry
def growths(T, row, parts, years):
    """Of each period from the first planned on: rate x parts of a year, and parts of a year x unit. How many."""
    loan = T.L[row]
    first = first_planned(loan)
    for number in range(first, loan[L_PERIODS]):
        at = loan[L_AT] + number
        some = parts_of(T, row, T.D[at], T.D[at + 1])
        if number == loan[L_PERIOD]:
            some -= loan[L_BASE]
        parts[number - first] = some * loan[L_RATE]
        years[number - first] = year_of(T, row, number) * RATE_UNIT
    return loan[L_PERIODS] - first


@entry
def give_level(T, row, level):
    """A level was computed: plan with it."""
    T.L[row, L_LEVEL] = level
    spread(T, row, first_planned(T.L[row]))


@entry
def take_one(T, row, kind, amount, extra, id):
    """Fold one event of the loan's day, judging nothing."""
    fold(T, row, kind, amount, extra, id)


@entry
def judge_one(T, row, kind, amount, extra):
    """The first reason why an event of the loan's day may not be; 0 = it may."""
    return judge(T, row, kind, amount, extra)


@entry
def payoff_of(T, row):
    """What pays off a loan today."""
    return payoff(T, row)


@njit(nogil=True, error_model="numpy")
def note(T, row, kind, day, amount, extra, id):
    """Keep an event in the loan's history."""
    loan, at = T.L[row], T.S[S_EVENTS]
    one = T.H[at]
    one[H_ROW], one[H_BEFORE], one[H_KIND], one[H_DAY] = row, loan[L_EVENT], kind, day
    one[H_AMOUNT], one[H_EXTRA], one[H_ID], one[H_CAME] = amount, extra, id, T.S[S_DAY]
    T.S[S_EVENTS] += 1
    loan[L_EVENT] = at
    if is_after(loan, day, kind, id):
        loan[L_LAST_DAY], loan[L_LAST_RANK], loan[L_LAST_ID] = day, kind, id


@njit(nogil=True, error_model="numpy", inline="always")
def is_after(loan, day, kind, id):
    """Whether an event comes after the loan's newest, in the order of days, kinds and ids."""
    if day != loan[L_LAST_DAY]:
        return day > loan[L_LAST_DAY]
    if kind != loan[L_LAST_RANK]:
        return kind > loan[L_LAST_RANK]
    return id > loan[L_LAST_ID]


@entry
def note_one(T, row, kind, day, amount, extra, id):
    """Keep one event in its loan's history."""
    note(T, row, kind, day, amount, extra, id)


@entry
def take(T, E, outcomes, at, judges):
    """Judge and fold events (row, kind, day, amount, extra, id) from a place on; (place, why it stopped there).

    judges : False = all of them were applied before, as in recovery
    """
    today = T.S[S_DAY]
    while at < len(E):
        if outcomes[at]:  # Refused before.
            at += 1
            continue
        row, kind, day, amount, extra, id = E[at, 0], E[at, 1], E[at, 2], E[at, 3], E[at, 4], E[at, 5]
        loan = T.L[row]
        if judges:
            found = _first_reason(loan, row, kind, day, amount, today)
            if found:
                outcomes[at] = found
                at += 1
                continue
        if day < today or not is_after(loan, day, kind, id):
            return at, NEEDS_REPLAY
        if judges:
            found = judge(T, row, kind, amount, extra)
            if found:
                outcomes[at] = found
                at += 1
                continue
        outcomes[at] = APPLIED
        if kind in (HOLIDAY, RE_AGE, RE_AMORTISE):
            return at, NEEDS_DATES
        note(T, row, kind, day, amount, extra, id)
        fold(T, row, kind, amount, extra, id)
        if loan[L_NEEDS]:
            return at, NEEDS_LEVEL
        at += 1
    return at, DONE


@njit(nogil=True, error_model="numpy", inline="always")
def _first_reason(loan, row, kind, day, amount, today):
    if row < 1:
        return NOT_FOUND
    moves = kind >= CHARGE and kind <= REFUND and kind != WRITE_OFF
    if moves and not (amount > 0 and amount <= AMOUNT_MAX):
        return AMOUNT_OUT_OF_RANGE
    if day > today:
        return IN_THE_FUTURE
    if day < loan[L_FIRST]:
        return BEFORE_THE_LOAN
    if day < today and (kind < CHARGE or kind > PREPAY):
        return BEFORE_THE_NEWEST
    return 0


@entry
def history(T, row, found):
    """Places of a loan's events in the order of arrival; how many."""
    count, at = 0, T.L[row, L_EVENT]
    while at >= 0:
        found[count] = at
        count, at = count + 1, T.H[at, H_BEFORE]
    return count


@entry
def measure(T, first, last, into):
    """What is owed by kind, what waits, what was written off, accrued, days past due and past due amount, by loan.

    into : i64[last - first, 10]
    """
    for row in range(first, last):
        loan, one = T.L[row], into[row - first]
        for kind in range(KINDS):
            one[kind] = billed(T, row, kind)
        past_due = one[0] + one[1] + one[2] + one[3]
        one[2] += loan[L_POSTED]
        one[3] += loan[L_NOT_DUE]
        one[4], one[5], one[6] = loan[L_UNALLOCATED], loan[L_WRITTEN_OFF], loan[L_POSTED]
        head = loan[L_HEAD]
        one[7] = loan[L_DAY] - T.B[head, B_DAY] - T.B[head, B_PAUSED] if head >= 0 else 0
        one[8], one[9] = past_due, T.S[S_DAY]


@entry
def totals(T, into):
    """Sums over the loans of each product (i64[products, 6]): owed by kind, what waits, what was written off."""
    into[:] = 0
    for row in range(1, T.S[S_LOANS] + 1):
        loan = T.L[row]
        one = into[loan[L_PRODUCT]]
        at = loan[L_HEAD]
        while at >= 0:
            for kind in range(KINDS):
                one[kind] += T.B[at, B_FEES + kind]
            at = T.B[at, B_NEXT]
        one[2] += loan[L_POSTED]
        one[3] += loan[L_NOT_DUE]
        one[4] += loan[L_UNALLOCATED]
        one[5] += loan[L_WRITTEN_OFF]
