"""The arrays of a book: empty, with more room, as a snapshot holds them, and what they mean as a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.ledger.instruments.loan_book.columns import day_table
from quanheng.ledger.instruments.revolving.kernel import words as w
from quanheng.ledger.instruments.revolving.kernel.words import Tables
from quanheng.ledger.instruments.revolving.products import CreditProduct, encode_products

FORMAT = 1
_KEPT = ("S", "A", "C", "F", "P", "H")
_DERIVED = [w.A_HEAD, w.A_FLOW]
"""Where an account's plans stand in their pool says nothing of it."""


def empty(products: list[CreditProduct], first_day: int) -> Tables:
    """A book without accounts; its day is the first."""
    S = np.zeros(w.S_WORDS, np.int64)
    S[w.S_DAY], S[w.S_FREE], S[w.S_CLOSED] = first_day, w.NONE, first_day - 1
    return Tables(
        np.zeros((1, w.A_WORDS), np.int64), np.zeros((1, w.FLOWS), np.int64),
        np.zeros((len(products) + 1, w.FLOWS), np.int64), np.zeros((64, w.P_WORDS), np.int64),
        encode_products(products), day_table(), np.zeros((64, w.H_WORDS), np.int64), no_statements(), S,
    )  # fmt: skip


def no_statements() -> NDArray[np.int64]:
    """Room for no statement."""
    return np.zeros((0, w.Q_WORDS), np.int64)


def with_room(T: Tables, *, accounts: int = 0, plans: int = 0, events: int = 0) -> Tables:
    """The tables with room for so many rows more; what has no room grows by half, with a copy."""
    S = T.S
    wanted = {
        "A": int(S[w.S_ACCOUNTS]) + 1 + accounts, "C": int(S[w.S_ACCOUNTS]) + 1 + accounts,
        "P": int(S[w.S_PLANS]) + plans, "H": int(S[w.S_EVENTS]) + events,
    }  # fmt: skip
    short = {name: rows for name, rows in wanted.items() if rows > len(getattr(T, name))}
    return T._replace(**{name: _longer(getattr(T, name), rows) for name, rows in short.items()}) if short else T


def _longer(array: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    made = np.zeros((max(rows, len(array) + len(array) // 2), array.shape[1]), np.int64)
    made[: len(array)] = array
    return made


def plans_of(T: Tables, row: int) -> NDArray[np.int64]:
    """The plans of an account, the newest first: i64[n, P_WORDS - 1], without their places."""
    found, at = [], int(T.A[row, w.A_HEAD])
    while at >= 0:
        found.append(T.P[at, 1:])
        at = int(T.P[at, w.P_NEXT])
    return np.array(found, np.int64).reshape(-1, w.P_WORDS - 1)


def dump(T: Tables) -> dict[str, NDArray[np.int64]]:
    """Copies of what the state is made of."""
    rows = {"A": w.S_ACCOUNTS, "C": w.S_ACCOUNTS, "P": w.S_PLANS, "H": w.S_EVENTS}
    made = {name: getattr(T, name)[: int(T.S[at]) + (name in "AC")].copy() for name, at in rows.items()}
    return made | {"format": np.array([FORMAT, w.A_WORDS, w.FLOWS], np.int64), "S": T.S.copy(), "F": T.F.copy()}


def load(dumped: Mapping[str, NDArray[np.int64]], products: list[CreditProduct]) -> Tables:
    """The tables that were dumped.

    Raises
    ------
    InputError : another format, or other products
    """
    made = empty(products, 0)
    known = [FORMAT, w.A_WORDS, w.FLOWS]
    if dumped["format"].tolist() != known or dumped["F"].shape != made.F.shape:
        raise InputError(
            "the dump is of another book of revolving credit",
            where="format",
            found=f"{dumped['format'].tolist()} with {len(dumped['F']) - 1} products",
            allowed=f"{known} with {len(products)} products",
            cure="Load it with the products it was made with, or fold the log again.",
        )
    return made._replace(**{name: dumped[name].copy() for name in _KEPT})


def digest(T: Tables) -> str:
    """BLAKE2b of what the book means: equal for equal events, however they were grouped."""
    count = int(T.S[w.S_ACCOUNTS]) + 1
    accounts = T.A[1:count].copy()
    accounts[:, _DERIVED] = 0
    found = hashlib.blake2b(digest_size=16)
    for array in (accounts, T.C[1:count], T.F[1:], T.H[: int(T.S[w.S_EVENTS])], T.S[[w.S_DAY, w.S_CLOSED]]):
        found.update(np.ascontiguousarray(array).tobytes())
    for row in np.flatnonzero(T.A[1:count, w.A_HEAD] >= 0).tolist():
        found.update(plans_of(T, row + 1).tobytes())
    return found.hexdigest()
