"""A book of revolving credit and its ledger behind one log: what is taken, and what is posted for it, is one batch.

The order is that of the platform: judged in memory, appended, then answered. A failed append leaves book and ledger
ahead of the log: whoever owns them must stop, and open them again from the log. Recovery folds events into the book and
facts into the ledger; the effects of a closed day on each account are computed again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import LogCorrupt
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.records import TRANSFER
from quanheng.ledger.entries import BATCH_MAX, Account
from quanheng.ledger.instruments.revolving.book import Closed, CreditBook
from quanheng.ledger.instruments.revolving.events import NUMBERS, CreditEvent, credit_records, event, events_of
from quanheng.ledger.instruments.revolving.postings import CONTROLS, control_balances, day_postings
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.outcomes import TransferOutcome
from quanheng.ledger.records import facts_of, records_of

# The ledger's facts have more numbers than an event of the book.
_NUMBERS_MAX, _KEYS_MAX = max(NUMBERS, 9), 4
_READ_AT_ONCE = 50_000


class CreditDifference(NamedTuple):
    """A control account whose balance is not the sum over the accounts."""

    product: int
    control: str
    ledger_minor: int
    accounts_minor: int


class CreditServicing:
    """Takes events, closes days, keeps both in a log.

    Parameters
    ----------
    name : of the book; ids of its transfers follow from it
    type_code : of the book's records in the log
    """

    def __init__(self, name: str, book: CreditBook, ledger: Ledger, log: Log, type_code: int) -> None:
        self.name, self.book, self.ledger, self.log, self.type_code = name, book, ledger, log, type_code

    def open_accounts(self, now_ms: int) -> None:
        """Open the control accounts of all products, durably; those that are there are left as they are."""
        since = self.ledger.facts_n
        for one in self.book.products:
            ids = [getattr(one.accounts, control) for control in one.accounts.__struct_fields__]
            self.ledger.open_accounts([Account(id, one.asset, one.code) for id in ids], now_ms, self._day())
        self._append(b"", since, now_ms)

    def take(self, events: np.ndarray, now_ms: int) -> NDArray[np.int64]:
        """Take events (CREDIT_EVENT[n]) in order; durable when this returns. What became of each, `CreditOutcome`.

        Raises
        ------
        LogError : nothing is durable; the process must stop
        """
        outcomes = self.book.take(events)
        self._append(credit_records(events[outcomes == 0], self.type_code, now_ms), self.ledger.facts_n, now_ms)
        return outcomes

    def close(self, now_ms: int) -> Closed:
        """Close the book's day: post its flows, take every account to the next day; durable when this returns.

        Raises
        ------
        LogCorrupt : the ledger refused a sum: an account of the product was closed or frozen behind the book's back
        LogError : nothing is durable; the process must stop
        """
        since, day = self.ledger.facts_n, self._day()
        closed = self.book.close()
        requests = day_postings(self.name, self.book.products, closed.day, closed.flows)
        parts = [requests[at : at + BATCH_MAX] for at in range(0, len(requests), BATCH_MAX)]
        answers = [self.ledger.transfer_arrays(part, now_ms, day)["outcome"] for part in parts]
        outcomes = np.concatenate([np.empty(0, np.uint32), *answers])
        if (outcomes != TransferOutcome.APPLIED).any():
            wrong = int(np.argmax(outcomes != TransferOutcome.APPLIED))
            raise LogCorrupt(
                "the ledger refused a posting of revolving credit",
                where=f"day {closed.day}, posting {wrong}",
                found=TransferOutcome(int(outcomes[wrong])).name,
                cure="Control accounts are opened unbound, and are not to be frozen, closed or posted to by others.",
            )
        record = event(CreditEvent.DAY_CLOSED, 0, closed.day, 0)
        self._append(credit_records(record, self.type_code, now_ms), since, now_ms)
        return closed

    def differences(self, closed: Closed) -> list[CreditDifference]:
        """Control accounts that are not the sums over the accounts at the end of a day; asked right after its close."""
        balances = control_balances(self.ledger, self.book.products)
        return [
            CreditDifference(int(one), CONTROLS[at], int(balances[one, at]), int(closed.totals[one, at]))
            for one, at in np.argwhere(balances != closed.totals)
        ]

    def recover(self) -> None:
        """Fold the log into an empty book and an empty ledger.

        Raises
        ------
        LogCorrupt : the log is not one of this book
        """
        for _, columns in self.log.read_columns(0, _KEYS_MAX, _NUMBERS_MAX, at_least=_READ_AT_ONCE):
            self.book.apply(events_of(columns, self.type_code))
            self.ledger.apply(facts_of(columns.body, columns.position[columns.kind == TRANSFER]))

    def _day(self) -> int:
        return max(self.book.day, self.ledger.day)

    def _append(self, records: bytes, since: int, now_ms: int) -> None:
        more = records_of(self.ledger.facts(since)) if self.ledger.facts_n > since else b""
        if records or more:
            self.log.append([], now_ms, records + more)
