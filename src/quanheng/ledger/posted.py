"""What `ledger.posted` tells of an applied transfer: the data of that event, from the transfer's fact and its accounts.

All of it is fixed with the fact: an account's asset, code, owner and entity never change. So the event of a fact is the
same whenever it is made.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.ledger.entries import TransferFlag
from quanheng.ledger.queries import Queries
from quanheng.ledger.wire import numbers_of

LEDGER_POSTED = "ledger.posted"
"""The event."""
TELLER = "quanheng.ledger"
"""The client that alone sends it, under the fact's offset in the log as request id."""

KINDS = (
    (int(TransferFlag.HOLD), "hold"),
    (int(TransferFlag.POST), "post"),
    (int(TransferFlag.VOID), "void"),
    (int(TransferFlag.REVERSAL), "reversal"),
)
"""What a transfer did, by its flags; none of them: "move"."""

_HOLD, _UNTIL, _IMPORTED = map(int, (TransferFlag.HOLD, TransferFlag.UNTIL, TransferFlag.IMPORTED))
"""As numbers: operators of an enum take half a microsecond."""

AMOUNT_TOLD_MAX = 2**62
"""The largest number that the header of an event holds. A larger amount is told as this one."""
TIME_TOLD_MAX_MS = 253_402_300_799_999
"""End of the year 9999: what ends later is told as what has no end."""
ACCOUNTS_KEPT_MAX = 100_000


class Posted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The data of one event, field by field as `loading/platform/ledger.toml` declares them."""

    transfer: str
    debit: str
    credit: str
    debit_owner: str | None = None
    credit_owner: str | None = None
    reference: str | None = None
    kind: str
    amount_minor: int
    asset: int
    code: int
    debit_code: int
    credit_code: int
    debit_entity: int
    credit_entity: int
    day: int
    time_ms: int
    applied_ms: int
    expires_ms: int | None = None
    offset: int
    row: int


class _Side(msgspec.Struct, frozen=True, gc=False):
    """What is told of an account."""

    id: str
    owner: str | None
    asset: int
    code: int
    entity: int


class PostedData:
    """Makes the data of events. Accounts that were looked up lately are kept."""

    def __init__(self, book: Queries) -> None:
        self._book = book
        self._sides: dict[int, _Side] = {}

    def data(self, lines: np.ndarray, rows: NDArray[np.int64], offsets: NDArray[np.int64]) -> list[bytes]:
        """The data of each event as JSON.

        Parameters
        ----------
        lines : TRANSFER_FACT[n] of kind LINE, of this ledger
        rows : number of each fact in the ledger
        offsets : place of each in the log
        """
        side, encode = self._side, _encode
        told = []
        for id, debit, credit, reference, amount, time_ms, applied_ms, flags, code, day, row, offset in zip(
            *(numbers_of(lines, name) for name in ("id", "debit", "credit", "reference")),
            *(lines[name].tolist() for name in ("amount_minor", "time_ms", "applied_ms", "flags", "code", "day")),
            rows.tolist(),
            offsets.tolist(),
            strict=True,
        ):
            payer, payee = side(debit), side(credit)
            ends_ms = time_ms if flags & _UNTIL or not time_ms else applied_ms + time_ms
            expires_ms = ends_ms if flags & _HOLD else 0
            told.append(encode(Posted(
                transfer=f"{id:032x}", debit=payer.id, credit=payee.id,
                debit_owner=payer.owner, credit_owner=payee.owner,
                reference=f"{reference:032x}" if reference else None,
                kind=kind_of(flags), amount_minor=min(amount, AMOUNT_TOLD_MAX), asset=payer.asset, code=code,
                debit_code=payer.code, credit_code=payee.code, debit_entity=payer.entity, credit_entity=payee.entity,
                day=day, time_ms=time_ms if flags & _IMPORTED else applied_ms, applied_ms=applied_ms,
                expires_ms=expires_ms if 0 < expires_ms <= TIME_TOLD_MAX_MS else None,
                offset=offset, row=row,
            )))  # fmt: skip
        return told

    def _side(self, id: int) -> _Side:
        found = self._sides.get(id)
        if found is None:
            if len(self._sides) >= ACCOUNTS_KEPT_MAX:
                self._sides.clear()
            account = self._book.account(id).account
            owner = f"{account.owner:032x}" if account.owner else None
            found = self._sides[id] = _Side(f"{id:032x}", owner, account.asset, account.code, account.entity)
        return found


def kind_of(flags: int) -> str:
    """What a transfer with these flags did."""
    for flag, kind in KINDS:
        if flags & flag:
            return kind
    return "move"


_encode = msgspec.json.Encoder().encode
