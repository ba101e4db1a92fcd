"""The loans of the products that packs declare: a book that is a fold of the log, served by what decisions ask.

Live, `close_days`, `begin` and `take` judge and change it; in recovery `apply` folds the records of what was done. A
record is of kind LOAN: a clear header and no payload, so recovery needs no keys. Its numbers are those of the book's
event (`loan_book.events`), its key is the loan's number; the closing of a day is one of them, whose effect on each loan
is computed again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.asking import account_as_opened
from quanheng.facts import Moved, is_there
from quanheng.kernel.errors import LogCorrupt
from quanheng.kernel.log.records import LOAN, NO_CAUSE, NONE_16, Columns, encode_header
from quanheng.ledger.entries import BATCH_MAX, Account
from quanheng.ledger.instruments.loan_book.book import LoanBook
from quanheng.ledger.instruments.loan_book.events import BOOK_EVENT, BookEvent, LoanAsk, event, opened
from quanheng.ledger.instruments.loan_book.kernel.words import L_PRODUCT
from quanheng.ledger.instruments.loan_book.outcomes import OUTCOMES, BookOutcome
from quanheng.ledger.instruments.loan_book.postings import CONTROLS, SIDES, day_postings
from quanheng.ledger.instruments.loan_book.products import Product
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.outcomes import TransferOutcome
from quanheng.loading.account_changes import later_terms
from quanheng.servicing import ALL_OF_IT, BUSINESS_DAY

if TYPE_CHECKING:
    from quanheng.loading.declared import Declared

BOOK = "loans of packs"
"""Name of the book, from which the ids of its postings follow."""
NOT_TRIED = TransferOutcome.CHAIN_FAILED.name
_SHORT, _LONG = 5, 9
"""Numbers of a record: of an opening nine."""
_NO_EVENTS = np.empty(0, BOOK_EVENT)


class Served(NamedTuple):
    """What became of acts, and the events that the book took for them: BOOK_EVENT[n], none where one was refused."""

    moved: list[Moved]
    events: np.ndarray = _NO_EVENTS


class Difference(NamedTuple):
    """A control account whose balance is not the sum over the loans of the products that post to it."""

    account: int
    ledger_minor: int
    loans_minor: int


class Loans:
    """The book of the loans of all packs in force, with the products that it offers. Not for several threads at once.

    products : by name, "pack.product", numbered in the order in which they were declared first
    book : None where no loan was ever asked for
    """

    def __init__(self) -> None:
        self.products: dict[str, Product] = {}
        self.book: LoanBook | None = None
        self._accounts: dict[int, Account] = {}

    @property
    def count(self) -> int:
        """How many loans there are."""
        return 0 if self.book is None else self.book.count

    def under(self, packs: Mapping[str, Declared]) -> None:
        """Offer the products of packs that come into force. What a pack declares no more stays, with its loans."""
        before = dict(self.products)
        self._accounts = {}
        for pack in packs.values():
            assets = {one.name: one.number for one in pack.accounts.assets}
            house = [one for one in pack.accounts.accounts if not one.per]
            accounts = (account_as_opened(pack.name, one, assets) for one in house)
            self._accounts.update((one.id, one) for one in accounts)
            for loan in pack.accounts.loans:
                name = f"{pack.name}.{loan.name}"
                number = before[name].number if name in before else len(self.products) + 1
                self.products[name] = msgspec.structs.replace(loan.product, number=number)
        if self.book is not None and self.products != before:
            self.book.offer(list(self.products.values()))

    def in_use(self) -> dict[str, Product]:
        """Products of which there are loans."""
        if self.book is None:
            return {}
        used = set(self.book.words()[:, L_PRODUCT].tolist())
        return {name: one for name, one in self.products.items() if one.number in used}

    # --- live

    def is_behind(self, day: int) -> bool:
        """Whether days are to be closed before anything happens on a business day."""
        return self.book is not None and self.book.day < day and self.book.count > 0

    def close_day(self, ledger: Ledger, now_ms: int) -> np.ndarray:
        """Close the book's day: post what moved on it, and take every loan to the next day; the event, BOOK_EVENT[1].

        Raises
        ------
        LogCorrupt : the ledger refused a sum: a control account was closed or frozen; nothing of it may be kept
        """
        assert self.book is not None
        closed = self.book.close()
        day = max(closed.day, ledger.day)
        requests = day_postings(BOOK, self.book.products, closed.day, closed.flows)
        sides = {_id(one, side) for one in requests for side in ("debit", "credit")}
        missing = [self._accounts[id] for id in self._accounts if id in sides and not ledger.is_open(id)]
        if missing:
            ledger.open_accounts(missing, now_ms, day)
        for at in range(0, len(requests), BATCH_MAX):
            answers = ledger.transfer_arrays(requests[at : at + BATCH_MAX], now_ms, day)
            if (answers["outcome"] != TransferOutcome.APPLIED).any():
                wrong = int(np.argmax(answers["outcome"] != TransferOutcome.APPLIED))
                raise LogCorrupt(
                    "the ledger refused a posting of the loans",
                    where=f"day {closed.day}, posting {at + wrong}",
                    found=TransferOutcome(int(answers["outcome"][wrong])).name,
                    cure="Open or unfreeze the control accounts of accounts.toml again, then start again.",
                )
        return event(BookEvent.DAY_CLOSED, 0, closed.day, 0)

    def begin(self, day: int) -> np.ndarray:
        """Where there is no loan yet, the book's day is this one: BOOK_EVENT[1] that says so, or [0] if it was so."""
        if self.count or (self.book is not None and self.book.day == day):
            return _NO_EVENTS
        self.book = LoanBook(list(self.products.values()), day - 1)
        self.book.close()
        return event(BookEvent.DAY_CLOSED, 0, day - 1, 0)

    def take(self, asks: Sequence[LoanAsk], day: int) -> Served:
        """Do what is asked on a business day, all of it or nothing."""
        begun = self.begin(day)
        assert self.book is not None
        if len(asks) > 1 and not _are_done(tried := self._serve(self._alone(asks), asks)):
            return Served(tried.moved, begun)
        served = self._serve(self.book, asks)
        return Served(served.moved, np.concatenate([begun, served.events]))

    def would(self, asks: Sequence[LoanAsk], day: int) -> list[Moved]:
        """What `take` would give now, with nothing changed."""
        if self.count:
            return self._serve(self._alone(asks), asks).moved
        empty = LoanBook(list(self.products.values()), day - 1)
        empty.close()
        return self._serve(empty, asks).moved

    def _alone(self, asks: Sequence[LoanAsk]) -> LoanBook:
        assert self.book is not None
        return self.book.alone([one.loan for one in asks])

    def _serve(self, book: LoanBook, asks: Sequence[LoanAsk]) -> Served:
        """Acts in their order, up to the first that is refused."""
        moved, taken, refused = list[Moved](), list[np.ndarray](), False
        for place, one in enumerate(asks):
            if refused:
                moved.append(self.not_tried(one))
                continue
            number = 1 if self.book is None else self.book.next_event
            asked = self._event(book, one, number if book is self.book else number + place)
            outcome = int(book.take(asked)[0])
            refused = outcome != BookOutcome.APPLIED
            amount = 0 if refused else int(asked["amount_minor"][0])
            id = one.loan.to_bytes(8, "little") + (0 if refused else int(asked["id"][0])).to_bytes(8, "little")
            moved.append(Moved(one.name, id, OUTCOMES[outcome].name, amount))
            taken.append(asked)
        return Served(moved, np.concatenate(taken) if taken and not refused else _NO_EVENTS)

    def _event(self, book: LoanBook, one: LoanAsk, number: int) -> np.ndarray:
        """An act as the book's event, BOOK_EVENT[1]. Numbers rise, so that one of today is never older than another."""
        day, amount = book.day if one.day == BUSINESS_DAY else one.day, one.amount_minor
        if one.kind == BookEvent.OPENED:
            product = self.products[one.product].number
            return opened(one.loan, product, day, number, amount, one.rate, one.periods)
        owner = book.owner_of(one.loan)
        if one.kind == BookEvent.PAY_OFF and amount == ALL_OF_IT and owner is not None:
            amount = book.payoff_minor(one.loan)
        return event(BookEvent(one.kind), one.loan, day, number, amount, one.extra)

    @staticmethod
    def not_tried(one: LoanAsk) -> Moved:
        """What is told of an act that was not tried, since something before it was refused."""
        return Moved(one.name, one.loan.to_bytes(16, "little"), one.unasked or NOT_TRIED)

    def differences(self, ledger: Ledger) -> list[Difference]:
        """Control accounts that are not the sums over the loans, less what moved since the last close; none is right.

        O(loans); to be asked between groups.
        """
        if self.book is None:
            return []
        found: dict[int, int] = {}
        totals, flows = self.book.totals(), self.book.unposted()
        for one in self.book.products:
            sums = {control: int(totals[one.number, place]) for place, control in enumerate(CONTROLS)}
            sums["settlement"] = -sums["settlement"]
            for flow, (debit, credit) in SIDES.items():
                for side, amount in ((debit, -int(flows[one.number, flow])), (credit, int(flows[one.number, flow]))):
                    if side in sums:
                        sums[side] += amount
            for control, amount in sums.items():
                id = getattr(one.accounts, control)
                found[id] = found.get(id, 0) + amount
        return [Difference(id, net, amount) for id, amount in found.items() if (net := _net(ledger, id)) != amount]

    # --- recovery

    def apply(self, columns: Columns) -> None:
        """Fold the records among log columns, which were read with a key and nine numbers or more.

        Raises
        ------
        LogCorrupt : one refers to what is not there
        """
        rows = np.flatnonzero(columns.kind == LOAN)
        events = np.zeros(len(rows), BOOK_EVENT)
        words = events.view(np.int64).reshape(len(rows), -1)
        words[:, 0] = columns.keys[rows, 0, 0].view(np.int64)
        words[:, 1 : 1 + _LONG] = columns.numbers[rows, :_LONG]
        words[words[:, 1] != BookEvent.OPENED, 1 + _SHORT :] = 0
        at = 0
        while at < len(events) and not self.count:
            one = events[at : at + 1]
            if one["kind"][0] == BookEvent.DAY_CLOSED:
                self.begin(int(one["day"][0]) + 1)
            elif self.book is not None:
                self.book.apply(one)
            at += 1
        if self.book is not None:
            self.book.apply(events[at:])

    def dump(self) -> dict[str, NDArray[np.int64] | NDArray[np.uint8]]:
        """What a snapshot keeps: the products with their names, and the book's arrays."""
        book = {} if self.book is None else self.book.dump()
        return {"products": np.frombuffer(self._encoded(), np.uint8), **book}

    @classmethod
    def load(cls, dumped: Mapping[str, NDArray], packs: Mapping[str, Declared]) -> Loans:
        """The loans that were dumped, none where nothing was, under the packs in force.

        Raises
        ------
        InputError : in another format
        """
        made = cls()
        if "products" in dumped:
            made.products = msgspec.json.decode(dumped["products"].tobytes(), type=dict[str, Product])
        if "S" in dumped:
            made.book = LoanBook.load(list(made.products.values()), dumped)
        made.under(packs)
        return made

    def digest(self) -> str:
        """The same for the same products and events, however they were grouped; nothing where there are none."""
        if not self.products:
            return ""
        book = "" if self.book is None else self.book.digest()
        return hashlib.blake2b(self._encoded() + book.encode(), digest_size=16).hexdigest()

    def _encoded(self) -> bytes:
        return msgspec.json.encode(self.products)


def loan_record(one: np.void, received_ms: int, cause: int = NO_CAUSE) -> bytes:
    """The record of one event of the book (BOOK_EVENT)."""
    loan, *numbers = one.tolist()
    kept = numbers[: _LONG if numbers[0] == BookEvent.OPENED else _SHORT]
    return encode_header(
        LOAN, numbers[0], received_ms, received_ms, cause, NONE_16, NONE_16, NONE_16,
        (loan.to_bytes(16, "little"),), tuple(kept), 0,
    )  # fmt: skip


def loan_changes(loans: Loans, packs: Mapping[str, Declared]) -> list[tuple[str, str, str]]:
    """Products of which there are loans, and that packs declare otherwise or no more: pack, product, what differs.

    Reference rates from days to come may be added.
    """
    found = []
    declared = {
        f"{pack.name}.{one.name}": one.product for pack in packs.values() for one in pack.accounts.loans
    }  # fmt: skip
    for name, was in loans.in_use().items():
        pack, _, product = name.partition(".")
        now = declared.get(name)
        day = loans.book.day if loans.book is not None else 0
        changed = "the product" if now is None else ", ".join(later_terms(was, now, day))
        if changed:
            found.append((pack, product, changed))
    return found


def _are_done(served: Served) -> bool:
    return all(map(is_there, served.moved))


def _net(ledger: Ledger, id: int) -> int:
    """Posted debits less credits of an account; nothing where it is not open."""
    if not ledger.is_open(id):
        return 0
    balance = ledger.balance(id)
    return balance.debits_posted_minor - balance.credits_posted_minor


def _id(one: np.void, side: str) -> int:
    return int(one[f"{side}_lo"]) | int(one[f"{side}_hi"]) << 64

