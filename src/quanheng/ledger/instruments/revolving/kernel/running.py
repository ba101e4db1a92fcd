"""The loops over the accounts: a day for all, a batch of events, the life of one account."""

from numba import njit

from quanheng.ledger.instruments.revolving.kernel.entry import entry
from quanheng.ledger.instruments.revolving.kernel.folding import drop_plans, fold, judge
from quanheng.ledger.instruments.revolving.kernel.nights import advance
from quanheng.ledger.instruments.revolving.kernel.owing import billed, used
from quanheng.ledger.instruments.revolving.kernel.words import (
    A_BILLED,
    A_CREDIT,
    A_DAY,
    A_EVENT,
    A_LAST_ID,
    A_LATE_DAY,
    A_LIMIT,
    A_MINIMUM_LEFT,
    A_OPEN,
    A_OPENED,
    A_PAST_LEFT,
    A_PLANNED,
    A_PRODUCT,
    A_WRITTEN_OFF,
    AMOUNT_MAX,
    AMOUNT_OUT_OF_RANGE,
    APPLIED,
    BEFORE_THE_ACCOUNT,
    BLOCK,
    CASH_DRAWN,
    CONTRADICTS_LATER,
    CONVERT,
    CREDIT,
    EVENT_EXISTS,
    FEE,
    FEES,
    H_AMOUNT,
    H_BEFORE,
    H_DAY,
    H_EXTRA,
    H_ID,
    H_KIND,
    H_ROW,
    IN_THE_FUTURE,
    INSTALMENTS,
    INTEREST,
    KINDS,
    LIMIT,
    NOT_BACK_DATED,
    NOT_FOUND,
    PAY,
    PURCHASES,
    RE_AGE,
    RECOVER,
    REFUND,
    REVOLVING,
    S_ACCOUNTS,
    S_DAY,
    S_EVENTS,
    SETTLE,
    UNBLOCK,
    WRITE_OFF,
)

DONE, NEEDS_REPLAY = range(2)


@entry
def roll(T, day):
    """Take every account to a day."""
    for row in range(1, T.S[S_ACCOUNTS] + 1):
        advance(T, row, day)


@entry
def step(T, row, day):
    """Take one account to a day."""
    advance(T, row, day)


@entry
def let_go(T, row):
    """Let go every plan of a row."""
    drop_plans(T, row)


@njit(nogil=True, error_model="numpy")
def note(T, row, kind, day, amount, extra, id):
    """Keep an event in the account's history."""
    account, at = T.A[row], T.S[S_EVENTS]
    one = T.H[at]
    one[H_ROW], one[H_BEFORE], one[H_KIND], one[H_DAY] = row, account[A_EVENT], kind, day
    one[H_AMOUNT], one[H_EXTRA], one[H_ID] = amount, extra, id
    T.S[S_EVENTS] += 1
    account[A_EVENT], account[A_LAST_ID] = at, id


@entry
def note_one(T, row, kind, day, amount, extra, id):
    """Keep one event in its account's history."""
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
        if row < 1:
            outcomes[at] = NOT_FOUND
            at += 1
            continue
        found = first_reason(T.A[row], kind, day, amount, extra, id, today) if judges else 0
        if not found and day < today:
            return at, NEEDS_REPLAY
        if not found and judges:
            found = judge(T, row, kind, amount, extra)
        outcomes[at] = found
        if found == APPLIED:
            note(T, row, kind, day, amount, extra, id)
            fold(T, row, kind, amount, extra, id)
        at += 1
    return at, DONE


@njit(nogil=True, error_model="numpy", inline="always")
def first_reason(account, kind, day, amount, extra, id, today):
    """What can be said of an event before the account's state on its day is known."""
    moves = kind not in (SETTLE, BLOCK, UNBLOCK, RE_AGE, WRITE_OFF)
    if moves and (amount > AMOUNT_MAX or amount < 0 or (amount == 0 and kind != LIMIT)):
        return AMOUNT_OUT_OF_RANGE
    if kind == LIMIT and (extra < 0 or extra > amount):
        return AMOUNT_OUT_OF_RANGE
    if day > today:
        return IN_THE_FUTURE
    if day < account[A_OPENED]:
        return BEFORE_THE_ACCOUNT
    if day < today and kind not in (PAY, CREDIT, FEE):
        return NOT_BACK_DATED
    return EVENT_EXISTS if id <= account[A_LAST_ID] else APPLIED


@entry
def history(T, row, found):
    """Places of an account's events, the newest arrival first; how many."""
    count, at = 0, T.A[row, A_EVENT]
    while at >= 0:
        found[count] = at
        count, at = count + 1, T.H[at, H_BEFORE]
    return count


@entry
def relive(T, row, E, judged, day):
    """A row that was opened lives through events (kind, day, amount, extra, id) in their order, and up to a day.

    judged : place of the event that is new, which must be possible, and must leave the later ones so; -1 = none
    """
    for at in range(len(E)):
        kind, amount, extra = E[at, 0], E[at, 2], E[at, 3]
        advance(T, row, E[at, 1])
        hangs = kind in (CONVERT, SETTLE, REFUND, RECOVER, WRITE_OFF)
        if judged >= 0 and (at == judged or hangs):
            found = judge(T, row, kind, amount, extra)
            if found:
                return found if at == judged else CONTRADICTS_LATER
        fold(T, row, kind, amount, extra, E[at, 4])
    advance(T, row, day)
    return APPLIED


@entry
def measure(T, first, last, into):
    """What is owed by kind and since when; into: i64[last - first, 14] (`book.MEASURES`)."""
    for row in range(first, last):
        account, one = T.A[row], into[row - first]
        for kind in range(KINDS):
            one[kind] = account[A_BILLED + kind] + account[A_OPEN + kind]
        one[6], one[7], one[8] = account[A_PLANNED], account[A_CREDIT], account[A_WRITTEN_OFF]
        one[9], one[10] = billed(account), account[A_MINIMUM_LEFT]
        one[11] = account[A_PAST_LEFT]
        one[12] = account[A_DAY] - account[A_LATE_DAY] if account[A_LATE_DAY] else 0
        one[13] = account[A_LIMIT] - used(account)


@entry
def totals(T, into):
    """Sums over the accounts of each product, i64[products + 1, 7] (`postings.CONTROLS`)."""
    into[:] = 0
    for row in range(1, T.S[S_ACCOUNTS] + 1):
        account = T.A[row]
        one = into[account[A_PRODUCT]]
        for side in (A_BILLED, A_OPEN):
            one[0] += account[side + FEES]
            one[1] += account[side + INTEREST]
            one[2] += account[side + REVOLVING] + account[side + PURCHASES]
            one[3] += account[side + CASH_DRAWN]
            one[4] += account[side + INSTALMENTS]
        one[4] += account[A_PLANNED]
        one[5] += account[A_CREDIT]
        one[6] += account[A_WRITTEN_OFF]
