"""Events of the book as arrays, and as records of the log: a clear header, no payload, so recovery needs no keys.

A record is of kind EVENT. Its request key is the loan's number and the event's, its only key the loan's number; its
numbers are kind, day, amount_minor, extra, id, and of an opening also product, rate, periods, account.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from quanheng.kernel.log.records import EVENT, HEADER_BYTES, NO_CAUSE, VERSION, Columns
from quanheng.ledger.instruments.loan_book.kernel import words as w

BOOK_EVENT = np.dtype(
    [(name, "<i8") for name in (
        "loan", "kind", "day", "amount_minor", "extra", "id", "product", "rate", "periods", "account",
    )]
)  # fmt: skip
"""One event.

loan : number of the loan, above 0; of RATE the product's, of DAY_CLOSED 0
day : effective date, days since 1970-01-01
amount_minor : principal that is lent, or what is paid, charged, refunded, recovered
extra : PREPAY: 1 = the instalments become smaller, 0 = the term shorter; HOLIDAY: periods, and 1000 if interest goes
    on; STAY: the day on which penalty and days past due go on; RE_AGE, RE_AMORTISE: periods from here on (RE_AGE: 0 =
    as many as were left); RATE: the rate in units of 1e-6
id : number of the event, above 0 and unlike others of its loan on that day
product, rate, periods, account : of an opening; rate in units of 1e-6 a year (of one that floats, the spread);
    account : the customer's on the ledger where the product moves own cash, else 0
"""


class BookEvent(IntEnum):
    """Kinds, in the order in which those of one day are folded."""

    OPENED = w.OPENED
    CHARGE = w.CHARGE
    PAY = w.PAY
    PREPAY = w.PREPAY
    PAY_OFF = w.PAY_OFF
    WRITE_OFF = w.WRITE_OFF
    RECOVER = w.RECOVER
    REFUND = w.REFUND
    HOLIDAY = w.HOLIDAY
    STAY = w.STAY
    RE_AGE = w.RE_AGE
    RE_AMORTISE = w.RE_AMORTISE
    RATE = w.RATE
    DAY_CLOSED = w.DAY_CLOSED


class LoanAsk(NamedTuple):
    """What a decision asks of a loan; numbers as those of `BOOK_EVENT`.

    name : "pack.servicing"; product : "pack.product"
    day : -1 = the business day; amount_minor : of a pay-off 0 = whatever it takes
    unasked : why it cannot be asked for; nothing = it can
    """

    name: str
    product: str
    loan: int
    kind: int
    day: int
    amount_minor: int
    extra: int
    rate: int
    periods: int
    unasked: str = ""


HOLIDAY_ACCRUES = 1000
"""Added to the periods of a HOLIDAY in which interest goes on and becomes principal."""
_HEAD = HEADER_BYTES // 8
_SHORT, _LONG = 5, 9
"""Numbers of a record: of an opening nine."""


def event(kind: BookEvent, loan: int, day: int, id: int, amount_minor: int = 0, extra: int = 0) -> np.ndarray:
    """One event that is no opening, as BOOK_EVENT[1]."""
    return np.array([(loan, int(kind), day, amount_minor, extra, id, 0, 0, 0, 0)], BOOK_EVENT)


def opened(
    loan: int, product: int, day: int, id: int, principal_minor: int, rate: int, periods: int, account: int = 0
) -> np.ndarray:
    """An opening, as BOOK_EVENT[1]."""
    return np.array([(loan, 0, day, principal_minor, 0, id, product, rate, periods, account)], BOOK_EVENT)


def book_records(events: np.ndarray, type_code: int, now_ms: int) -> bytes:
    """Records of events, joined, without work a row in Python; runs of one shape stay in their order."""
    opens = events["kind"] == w.OPENED
    edges = np.flatnonzero(np.diff(opens)) + 1
    parts = np.split(events, edges)
    return b"".join(_records(part, type_code, now_ms) for part in parts if len(part))


def _records(events: np.ndarray, type_code: int, now_ms: int) -> bytes:
    numbers = _LONG if events["kind"][0] == w.OPENED else _SHORT
    rows = np.zeros((len(events), _HEAD + 2 + numbers), np.int64)
    rows[:, 0] = 8 * rows.shape[1] | VERSION << 32 | EVENT << 40 | type_code << 48
    rows[:, 1] = rows[:, 2] = now_ms
    rows[:, 3] = NO_CAUSE
    rows[:, 6], rows[:, 7] = events["loan"], events["id"]
    rows[:, 10] = 1 | numbers << 8
    rows[:, _HEAD] = events["loan"]
    words = events.view(np.int64).reshape(len(events), -1)
    rows[:, _HEAD + 2 :] = words[:, 1 : 1 + numbers]
    return rows.tobytes()


def events_of(columns: Columns, type_code: int) -> np.ndarray:
    """The book's events among records that were read with at least one key and nine numbers, as BOOK_EVENT[n]."""
    mine = (columns.kind == EVENT) & (columns.type == type_code)
    found = np.zeros(int(mine.sum()), BOOK_EVENT)
    words = found.view(np.int64).reshape(len(found), len(BOOK_EVENT.names or ()))
    words[:, 0] = columns.keys[mine, 0, 0].view(np.int64)
    words[:, 1 : 1 + _LONG] = columns.numbers[mine, :_LONG]
    words[words[:, 1] != w.OPENED, 1 + _SHORT :] = 0
    return found
