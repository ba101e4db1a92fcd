"""A book and its ledger behind one log: what is taken, and what is posted for it, is one durable batch.

The order is that of the platform: judged in memory, appended, then answered. A failed append leaves book and ledger
ahead of the log: whoever owns them must stop, and open them again from the log. Recovery folds events into the book and
facts into the ledger; the effects of a closed day on each loan are computed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import LogCorrupt
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.records import TRANSFER
from quanheng.ledger import wire
from quanheng.ledger.entries import ALL, BATCH_MAX, Account, TransferFlag
from quanheng.ledger.instruments.loan_book.book import Closed, LoanBook
from quanheng.ledger.instruments.loan_book.events import BookEvent, book_records, event, events_of
from quanheng.ledger.instruments.loan_book.kernel import words as w
from quanheng.ledger.instruments.loan_book.outcomes import BookOutcome
from quanheng.ledger.instruments.loan_book.postings import (
    CASH_KINDS,
    CONTROLS,
    cash_postings,
    control_balances,
    day_postings,
)
from quanheng.ledger.instruments.loan_book.products import Product
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.outcomes import TransferOutcome
from quanheng.ledger.records import facts_of, records_of

_NUMBERS_MAX, _KEYS_MAX = 9, 4
_READ_AT_ONCE = 50_000


class Difference(NamedTuple):
    """A control account whose balance is not the sum over the loans."""

    product: int
    control: str
    ledger_minor: int
    loans_minor: int


class Servicing:
    """Takes events, closes days, keeps both in a log.

    Parameters
    ----------
    name : of the book; ids of its transfers follow from it
    type_code : of the book's records in the log
    """

    def __init__(self, name: str, book: LoanBook, ledger: Ledger, log: Log, type_code: int) -> None:
        self.name, self.book, self.ledger, self.log, self.type_code = name, book, ledger, log, type_code

    def open_accounts(self, now_ms: int, others: Sequence[Account] = ()) -> None:
        """Open the control accounts of all products and others, durably; those that are there are left as they are."""
        since = self.ledger.facts_n
        self.ledger.open_accounts(others, now_ms, self._day())
        for one in self.book.products:
            accounts = [
                Account(getattr(one.accounts, control), one.asset, one.code)
                for control in one.accounts.__struct_fields__
            ]
            self.ledger.open_accounts(accounts, now_ms, self._day())
        self._append(b"", since, now_ms)

    def record(self, since: int, now_ms: int) -> None:
        """Make durable what others posted to the ledger since so many facts, customers' deposits for instance."""
        self._append(b"", since, now_ms)

    def take(self, events: np.ndarray, now_ms: int) -> NDArray[np.int64]:
        """Take events (BOOK_EVENT[n]) in order; durable when this returns. What became of each, as `BookOutcome`.

        Money of customers' own accounts is asked of the ledger first; where the book refuses, it is taken back in the
        same batch, and the event may be asked again under another id.

        Raises
        ------
        LogError : nothing is durable; the process must stop
        """
        since = self.ledger.facts_n
        outcomes, moves, requests = self._move_cash(events, now_ms)
        left = outcomes == 0
        outcomes[left] = self.book.take(events[left])
        if len(moves):
            self._take_back(requests[outcomes[moves] != 0], now_ms)
        self._append(book_records(events[outcomes == 0], self.type_code, now_ms), since, now_ms)
        return outcomes

    def close(self, now_ms: int) -> Closed:
        """Close the book's day: post its flows, and take every loan to the next day; durable when this returns.

        Raises
        ------
        LogCorrupt : the ledger refused a sum: an account of the product was closed or frozen behind the book's back
        LogError : nothing is durable; the process must stop
        """
        since, day = self.ledger.facts_n, self._day()
        closed = self.book.close()
        requests = day_postings(self.name, self.book.products, closed.day, closed.flows)
        answers = self._post(requests, now_ms, day)
        if (answers["outcome"] != TransferOutcome.APPLIED).any():
            wrong = int(np.argmax(answers["outcome"] != TransferOutcome.APPLIED))
            raise LogCorrupt(
                "the ledger refused a posting of the loan book",
                where=f"day {closed.day}, posting {wrong}",
                found=TransferOutcome(int(answers["outcome"][wrong])).name,
                cure="Control accounts are opened unbound, and are not to be frozen, closed or posted to by others.",
            )
        record = event(BookEvent.DAY_CLOSED, 0, closed.day, 0)
        self._append(book_records(record, self.type_code, now_ms), since, now_ms)
        return closed

    def differences(self, closed: Closed) -> list[Difference]:
        """Control accounts that are not the sums over the loans at the end of a day; asked right after its close."""
        balances = control_balances(self.ledger, self.book.products)
        places = np.argwhere(balances != closed.totals)
        return [
            Difference(int(one), CONTROLS[at], int(balances[one, at]), int(closed.totals[one, at]))
            for one, at in places
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

    # --- inside

    def _day(self) -> int:
        return max(self.book.day, self.ledger.day)

    def _append(self, records: bytes, since: int, now_ms: int) -> None:
        more = records_of(self.ledger.facts(since)) if self.ledger.facts_n > since else b""
        self.log.append([], now_ms, records + more)

    def _post(self, requests: np.ndarray, now_ms: int, day: int) -> np.ndarray:
        parts = [requests[at : at + BATCH_MAX] for at in range(0, len(requests), BATCH_MAX)]
        answers = [self.ledger.transfer_arrays(part, now_ms, day) for part in parts]
        return np.concatenate(answers) if answers else np.empty(0, wire.TRANSFER_ANSWER)

    def _owner(self, one: np.void) -> tuple[Product, int] | None:
        """Product and own account of an event's loan; None where its money moves in sums, or it is not known."""
        products = self.book.products
        if one["kind"] == w.OPENED:
            number, account = int(one["product"]), int(one["account"])
            product = products[number - 1] if 0 < number <= len(products) else None
        else:
            found = self.book.owner_of(int(one["loan"]))
            product, account = found if found else (None, 0)
        return (product, account) if product is not None and product.own_cash and account > 0 else None

    def _move_cash(self, events: np.ndarray, now_ms: int) -> tuple[NDArray[np.int64], NDArray[np.int64], np.ndarray]:
        """Move customers' own money; what was refused, places of the events that moved some, and their transfers."""
        outcomes = np.zeros(len(events), np.int64)
        if not any(one.own_cash for one in self.book.products):
            return outcomes, np.empty(0, np.int64), np.empty(0, wire.TRANSFER_REQUEST)
        places, owners = [], []
        opening = {int(one["loan"]): one for one in events[events["kind"] == w.OPENED]}
        for place in np.flatnonzero(np.isin(events["kind"], list(CASH_KINDS)) & (events["amount_minor"] > 0)).tolist():
            one = events[place]
            owner = self._owner(one) or self._owner(opening.get(int(one["loan"]), one))
            if owner is not None:
                places.append(place)
                owners.append(owner)
        moves = np.array(places, np.int64)
        requests = cash_postings(self.name, events[moves], owners)
        answers = self._post(requests, now_ms, self._day())
        applied = answers["outcome"] == TransferOutcome.APPLIED
        exists = answers["outcome"] == TransferOutcome.EXISTS
        outcomes[moves[~applied]] = BookOutcome.MONEY_WAS_REFUSED
        outcomes[moves[exists]] = BookOutcome.EVENT_EXISTS
        return outcomes, moves[applied], requests[applied]

    def _take_back(self, requests: np.ndarray, now_ms: int) -> None:
        """Reverse transfers of events that the book refused."""
        back = np.zeros(len(requests), wire.TRANSFER_REQUEST)
        for side in ("lo", "hi"):
            back[f"reference_{side}"] = requests[f"id_{side}"]
            back[f"id_{side}"] = ~requests[f"id_{side}"]
        back["amount_minor"], back["flags"], back["code"] = ALL, TransferFlag.REVERSAL, requests["code"]
        self._post(back, now_ms, self._day())
