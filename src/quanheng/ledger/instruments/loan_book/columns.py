"""The book's arrays: empty, with more room, as a snapshot holds them, and what they mean as a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from functools import cache

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.ledger.instruments.loan_book.kernel import words as w
from quanheng.ledger.instruments.loan_book.kernel.words import Tables
from quanheng.ledger.instruments.loan_book.products import Product, encode_products

FORMAT = 2
SCRATCH = 0
_DERIVED = [w.L_HEAD, w.L_TAIL, w.L_AT, w.L_ROOM, w.L_FLOW]
"""Where a loan's bills and plan stand in their pools says nothing of the loan."""


@cache
def day_table() -> NDArray[np.int64]:
    """K of `words`: of each day its month, its day of the month, whether that ends with it, ACT/ACT parts so far."""
    made = np.zeros((w.DAYS, 4), np.int64)
    first, parts = date(1970, 1, 1).toordinal(), 0
    for number in range(w.DAYS):
        day, after = date.fromordinal(first + number), date.fromordinal(first + number + 1)
        leap = day.year % 4 == 0 and (day.year % 100 != 0 or day.year % 400 == 0)
        made[number] = day.year * 12 + day.month, day.day, after.day == 1, parts
        parts += 365 if leap else 366
    return made


def empty(products: list[Product], first_day: int) -> Tables:
    """A book without loans; its day is the first."""
    columns = encode_products(products)
    S = np.zeros(w.S_WORDS, np.int64)
    # The scratch row has a segment of its own, for the longest term.
    S[w.S_DAY], S[w.S_FREE], S[w.S_PLANS], S[w.S_CLOSED] = first_day, w.NONE, w.PERIODS_MAX + 1, first_day - 1
    L = np.zeros((1, w.L_WORDS), np.int64)
    L[0, w.L_ROOM] = w.PERIODS_MAX + 1
    return Tables(
        L, np.zeros((1, w.FLOWS), np.int64), np.zeros((len(products) + 1, w.FLOWS), np.int64),
        np.zeros((64, w.B_WORDS), np.int64), np.zeros(1024, np.int64), np.zeros(1024, np.int64),
        columns.R, columns.G, columns.V, columns.M, day_table(), np.zeros((64, w.H_WORDS), np.int64), S,
    )  # fmt: skip


def with_room(T: Tables, *, loans: int = 0, bills: int = 0, plans: int = 0, events: int = 0) -> Tables:
    """The tables with room for so many rows more; what has no room doubles, with a copy."""
    wanted = {
        "L": int(T.S[w.S_LOANS]) + 1 + loans, "C": int(T.S[w.S_LOANS]) + 1 + loans, "B": int(T.S[w.S_BILLS]) + bills,
        "D": int(T.S[w.S_PLANS]) + plans, "P": int(T.S[w.S_PLANS]) + plans, "H": int(T.S[w.S_EVENTS]) + events,
    }  # fmt: skip
    short = {name: rows for name, rows in wanted.items() if rows > len(getattr(T, name))}
    return T._replace(**{name: _longer(getattr(T, name), rows) for name, rows in short.items()}) if short else T


def _longer(array: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    made = np.zeros((max(rows, len(array) + len(array) // 2), *array.shape[1:]), np.int64)
    made[: len(array)] = array
    return made


def part(T: Tables, rows: list[int]) -> Tables:
    """Some loans alone, copied, as rows 1, 2, 3 ...: what is done to them is not seen by the others. Tables that no
    event of a loan changes are shared. O(bills and events of these loans).
    """
    ends = np.cumsum([T.L[SCRATCH, w.L_ROOM], *T.L[rows, w.L_ROOM]])
    D, P = np.zeros(ends[-1], np.int64), np.zeros(ends[-1], np.int64)
    L, C = T.L[[SCRATCH, *rows]], T.C[[SCRATCH, *rows]]
    L[SCRATCH, w.L_AT] = 0
    bills, events = list[NDArray[np.int64]](), list[NDArray[np.int64]]()
    for row, (at, room) in enumerate(T.L[rows][:, [w.L_AT, w.L_ROOM]].tolist(), 1):
        first = L[row, w.L_AT] = ends[row - 1]
        D[first : first + room], P[first : first + room] = T.D[at : at + room], T.P[at : at + room]
        found = _chain(T.B, int(L[row, w.L_HEAD]), w.B_NEXT)
        L[row, w.L_HEAD], L[row, w.L_TAIL] = (len(bills), len(bills) + len(found) - 1) if found else (w.NONE, w.NONE)
        for place, one in enumerate(found):
            bills.append(T.B[one].copy())
            bills[-1][w.B_NEXT] = len(bills) if place + 1 < len(found) else w.NONE
        for place, one in enumerate(reversed(_chain(T.H, int(L[row, w.L_EVENT]), w.H_BEFORE))):
            events.append(T.H[one].copy())
            events[-1][[w.H_ROW, w.H_BEFORE]] = row, len(events) - 2 if place else w.NONE
            L[row, w.L_EVENT] = len(events) - 1
    S = T.S.copy()
    S[[w.S_LOANS, w.S_BILLS, w.S_FREE, w.S_PLANS, w.S_EVENTS]] = len(rows), len(bills), w.NONE, ends[-1], len(events)
    B, H = (np.array([*some, np.zeros(width, np.int64)]) for some, width in ((bills, w.B_WORDS), (events, w.H_WORDS)))
    return T._replace(L=L, C=C, F=T.F.copy(), B=B, D=D, P=P, H=H, S=S)


def _chain(array: NDArray[np.int64], at: int, following: int) -> list[int]:
    """Places of a list in a pool, in its order."""
    found = []
    while at >= 0:
        found.append(at)
        at = int(array[at, following])
    return found


def bills_of(T: Tables, row: int) -> NDArray[np.int64]:
    """The bills of a loan, the oldest first."""
    found, at = [], int(T.L[row, w.L_HEAD])
    while at >= 0:
        found.append(T.B[at, 1:])
        at = int(T.B[at, w.B_NEXT])
    return np.array(found, np.int64).reshape(-1, w.B_WORDS - 1)


def dump(T: Tables, rates: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Copies of what the state is made of. Dated rates are kept as they were declared, not by day.

    rates : i64[n, 3], product, day, rate of the RATE events
    """
    loans, events = int(T.S[w.S_LOANS]) + 1, int(T.S[w.S_EVENTS])
    plans, bills = int(T.S[w.S_PLANS]), int(T.S[w.S_BILLS])
    return {
        "format": np.array([FORMAT, w.L_WORDS, w.FLOWS], np.int64), "S": T.S.copy(), "L": T.L[:loans].copy(),
        "C": T.C[:loans].copy(), "F": T.F.copy(), "B": T.B[:bills].copy(), "D": T.D[:plans].copy(),
        "P": T.P[:plans].copy(), "H": T.H[:events].copy(), "rates": rates.copy(),
    }  # fmt: skip


def load(dumped: Mapping[str, NDArray[np.int64]], products: list[Product]) -> Tables:
    """The tables that were dumped; dated rates are to be set again.

    Raises
    ------
    InputError : another format, or other products
    """
    made = empty(products, 0)
    known = [FORMAT, w.L_WORDS, w.FLOWS]
    if dumped["format"].tolist() != known or dumped["F"].shape != made.F.shape:
        raise InputError(
            "the dump is of another loan book",
            where="format",
            found=f"{dumped['format'].tolist()} with {len(dumped['F']) - 1} products",
            allowed=f"{known} with {len(products)} products",
            cure="Load it with the products it was made with, or fold the log again.",
        )
    arrays = {name: dumped[name].copy() for name in ("S", "L", "C", "F", "B", "D", "P", "H")}
    return made._replace(**arrays)


def digest(T: Tables, rates: NDArray[np.int64]) -> str:
    """BLAKE2b of what the book means: equal for equal events, however they were grouped."""
    count = int(T.S[w.S_LOANS]) + 1
    loans = T.L[1:count].copy()
    loans[:, _DERIVED] = 0
    found = hashlib.blake2b(digest_size=16)
    for array in (loans, T.C[1:count], T.F[1:], T.H[: int(T.S[w.S_EVENTS])], rates, T.S[[w.S_DAY, w.S_CLOSED]]):
        found.update(np.ascontiguousarray(array).tobytes())
    for row in range(1, count):
        at, periods = int(T.L[row, w.L_AT]), int(T.L[row, w.L_PERIODS])
        found.update(T.D[at : at + periods + 1].tobytes() + T.P[at : at + periods].tobytes())
        if T.L[row, w.L_HEAD] >= 0:
            found.update(bills_of(T, row).tobytes())
    return found.hexdigest()
