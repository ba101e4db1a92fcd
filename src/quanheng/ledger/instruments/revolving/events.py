"""Events of accounts as arrays, and as records of the log: a clear header, no payload, so recovery needs no keys.

A record is of kind EVENT. Its request key is the account's number and the event's, its only key the account's number;
its numbers are kind, day, amount_minor, extra, id, and of an opening also product, rate.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from quanheng.kernel.log.records import EVENT, HEADER_BYTES, NO_CAUSE, VERSION, Columns
from quanheng.ledger.instruments.revolving.kernel import words as w

CREDIT_EVENT = np.dtype(
    [(name, "<i8") for name in ("account", "kind", "day", "amount_minor", "extra", "id", "product", "rate")]
)
"""One event.

account : number of the account, above 0; of DAY_CLOSED 0
day : effective date, days since 1970-01-01
amount_minor : what is drawn, paid, credited, charged, refunded, converted, recovered; of OPENED and LIMIT the limit
extra : OPENED, LIMIT: the part of the limit that may be cash; CONVERT: instalments, and 1000 where purchases of the
    last statement are converted, not those since; SETTLE: the number of the CONVERT event
id : number of the event, above those of all events of its account that came before
product, rate : of an opening; rate of purchases in units of 1e-6 a year
"""


class CreditEvent(IntEnum):
    """Kinds of events. DRAW is a purchase, CREDIT a merchant's refund of one, REFUND gives back a credit balance."""

    OPENED = w.OPENED
    DRAW = w.DRAW
    CASH = w.CASH
    FEE = w.FEE
    PAY = w.PAY
    CREDIT = w.CREDIT
    REFUND = w.REFUND
    CONVERT = w.CONVERT
    SETTLE = w.SETTLE
    LIMIT = w.LIMIT
    BLOCK = w.BLOCK
    UNBLOCK = w.UNBLOCK
    RE_AGE = w.RE_AGE
    WRITE_OFF = w.WRITE_OFF
    RECOVER = w.RECOVER
    DAY_CLOSED = w.DAY_CLOSED


FROM_STATEMENT = w.FROM_STATEMENT
NUMBERS = 7
"""Numbers of a record."""
_HEAD, _WORDS = HEADER_BYTES // 8, len(CREDIT_EVENT.names or ())


def event(kind: CreditEvent, account: int, day: int, id: int, amount_minor: int = 0, extra: int = 0) -> np.ndarray:
    """One event that is no opening, as CREDIT_EVENT[1]."""
    return np.array([(account, int(kind), day, amount_minor, extra, id, 0, 0)], CREDIT_EVENT)


def opened(
    account: int, product: int, day: int, id: int, limit_minor: int, rate: int, cash_limit_minor: int = 0
) -> np.ndarray:
    """An opening, as CREDIT_EVENT[1]."""
    return np.array([(account, 0, day, limit_minor, cash_limit_minor, id, product, rate)], CREDIT_EVENT)


def credit_records(events: np.ndarray, type_code: int, now_ms: int) -> bytes:
    """Records of events, joined, without work a row in Python."""
    rows = np.zeros((len(events), _HEAD + 2 + NUMBERS), np.int64)
    rows[:, 0] = 8 * rows.shape[1] | VERSION << 32 | EVENT << 40 | type_code << 48
    rows[:, 1] = rows[:, 2] = now_ms
    rows[:, 3] = NO_CAUSE
    rows[:, 6], rows[:, 7] = events["account"], events["id"]
    rows[:, 10] = 1 | NUMBERS << 8
    rows[:, _HEAD] = events["account"]
    rows[:, _HEAD + 2 :] = np.ascontiguousarray(events).view(np.int64).reshape(-1, _WORDS)[:, 1:]
    return rows.tobytes()


def events_of(columns: Columns, type_code: int) -> np.ndarray:
    """The events among records that were read with at least one key and seven numbers, as CREDIT_EVENT[n]."""
    mine = (columns.kind == EVENT) & (columns.type == type_code)
    found = np.zeros(int(mine.sum()), CREDIT_EVENT)
    words = found.view(np.int64).reshape(-1, _WORDS)
    words[:, 0] = columns.keys[mine, 0, 0].view(np.int64)
    words[:, 1:] = columns.numbers[mine, :NUMBERS]
    return found
