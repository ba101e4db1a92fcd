"""What the book knows of a loan as features: at the moment of an event, before what the event's decision does.

A source with state that folds nothing itself: the book is a fold of the log already, and `State` shows it the book.
Amounts travel as float64 like every column of a source: exact up to 2**53 minor units, what is larger is null.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from quanheng.kernel.time import DAY_MS
from quanheng.ledger.balances import EXACT_MAX
from quanheng.ledger.instruments.loan_book.book import MEASURES, LoanBook

if TYPE_CHECKING:
    from quanheng.features.fold import EventLayout
    from quanheng.features.source import Batch, SourceColumn

AMOUNTS = (
    "owed", "past_due", "pay_off", "fees", "penalty", "interest", "principal", "accrued", "unallocated", "written_off",
)  # fmt: skip
"""Measures in major units of the loan's asset; the others count."""
COUNTS = "days_past_due", "next_due", "periods_left"
KNOWN_MAX = 100_000
"""How many numbers of loans are kept in memory for each measure."""
_NO_KEY = bytes(16)
_PLACES = {name.removesuffix("_minor"): place for place, name in enumerate(MEASURES)}


def loan_number(product: str, key: bytes) -> int:
    """Number of the loan of the product "pack.product" that a contract's key (16 bytes) names: 63 bits of BLAKE2b of
    both, never 0.
    """
    digest = hashlib.blake2b(key + product.encode(), digest_size=8, person=b"quanheng loan").digest()
    return int.from_bytes(digest, "little") >> 1 or 1


class LoanSource:
    """Columns that the book answers (`features.source.StatefulSource`). Without a book, all is null.

    Parameters
    ----------
    layouts : of the events
    settings : "measures": for each column `product` ("pack.product"), `key` (key field of the event), `of`, `decimals`
    """

    version = "1"
    columns: ClassVar[Sequence[SourceColumn]] = ()

    def __init__(self, layouts: Sequence[EventLayout], settings: Mapping[str, Any]) -> None:
        self._asked = list(settings["measures"])
        self._book: Callable[[], LoanBook | None] = lambda: None
        self._known: list[dict[bytes, int]] = [{} for _ in self._asked]
        self._places = {
            layout.code: [
                (number, layout.keys.index(one["key"]))
                for number, one in enumerate(self._asked)
                if one["key"] in layout.keys
            ]
            for layout in layouts
        }

    def look_at(self, book: Callable[[], LoanBook | None]) -> None:
        """Answer by this book from here on."""
        self._book = book

    def apply(self, batch: Batch, read: bool = True) -> np.ndarray:
        """The columns of each row, as the book stands; nothing is folded."""
        found = np.full((len(batch.types), len(self._asked)), np.nan)
        book = self._book()
        if book is None or not read:
            return found
        for row, code in enumerate(batch.types.tolist()):
            for number, place in self._places.get(code, ()):
                loan = self._loan(number, batch.keys[row, place].tobytes())
                if loan is not None and book.owner_of(loan) is not None:
                    one = self._asked[number]
                    found[row, number] = _answer(book, loan, one["of"], one["decimals"])
        return found

    def peek(self, batch: Batch) -> np.ndarray:
        """As `apply`: it changes nothing."""
        return self.apply(batch)

    def loans(self, code: int, keys: np.ndarray) -> set[int]:
        """Numbers of the loans that are looked at for an event of type `code`; keys u8[K, 2]."""
        found = (self._loan(number, keys[place].tobytes()) for number, place in self._places.get(code, ()))
        return {loan for loan in found if loan is not None}

    def _loan(self, number: int, key: bytes) -> int | None:
        known = self._known[number]
        loan = known.get(key)
        if loan is None and key != _NO_KEY:
            if len(known) >= KNOWN_MAX:
                known.clear()
            loan = known[key] = loan_number(self._asked[number]["product"], key)
        return loan

    def dump(self) -> dict[str, np.ndarray]:
        """Nothing: the book has its own part of a snapshot."""
        return {}

    def load(self, dump: Mapping[str, np.ndarray]) -> None:
        """Nothing is kept."""

    def digest(self) -> str:
        """Nothing is folded here."""
        return ""


def _answer(book: LoanBook, loan: int, of: str, decimals: int) -> float:
    if of in ("next_due", "periods_left"):
        day, left = book.next_due(loan)
        if of == "periods_left":
            return float(left)
        return np.nan if day is None else float(day * DAY_MS)
    if of == "pay_off":
        minor = book.payoff_minor(loan)
    else:
        one = book.measures(loan)[0]
        minor = int(one[:4].sum()) if of == "owed" else int(one[_PLACES[of]])
    return minor / 10**decimals if abs(minor) <= EXACT_MAX else np.nan
