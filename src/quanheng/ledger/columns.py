"""The ledger's arrays: made, grown, written out, taken in again, digested."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping

import numpy as np

from quanheng.kernel.errors import InputError
from quanheng.ledger.entries import BATCH_MAX
from quanheng.ledger.kernel import expiring, index
from quanheng.ledger.kernel.words import (
    A_WORDS,
    B_WORDS,
    F_WORDS,
    L_WORDS,
    S_ACCOUNTS,
    S_DAY,
    S_FACTS,
    S_HEAP,
    S_IDS,
    S_MARKS,
    S_NOW,
    S_WORDS,
    U_WORDS,
    Tables,
)

FORMAT = 2
"""Version of what `dump` writes."""
_ROWS_MIN = 1 << 10
_DUMPED = {"F": S_FACTS, "L": S_FACTS, "A": S_ACCOUNTS, "B": S_MARKS}
"""Tables that cannot be made again from others as fast as they are read, and where their lengths are counted."""


def empty(facts: int = 0, accounts: int = 0, marks: int = 0) -> Tables:
    """Tables of a ledger in which nothing is, with room for so many rows."""
    facts, accounts = max(facts, _ROWS_MIN), max(accounts, _ROWS_MIN)
    sizes = {"F": (facts, F_WORDS), "L": (facts, L_WORDS), "A": (accounts, A_WORDS), "H": (_ROWS_MIN, 2)}
    return Tables(
        **{name: np.zeros(size, np.int64) for name, size in sizes.items()},
        B=np.zeros((max(marks, 1), B_WORDS), np.int64),
        I=_slots(2 * facts),
        J=_slots(2 * accounts),
        U=np.zeros((BATCH_MAX, U_WORDS), np.int64),
        S=np.zeros(S_WORDS, np.int64),
    )


def with_room(tables: Tables, *, facts: int = 0, accounts: int = 0, marks: int = 0) -> Tables:
    """The tables, grown where they have no room for so many more rows."""
    counts = tables.S.tolist()
    facts_n, accounts_n, ids = counts[S_FACTS] + facts, counts[S_ACCOUNTS] + accounts, counts[S_IDS] + facts
    if facts_n > len(tables.F):
        size = _more(facts_n)
        tables = tables._replace(F=_grown(tables.F, size, counts[S_FACTS]), L=_grown(tables.L, size, counts[S_FACTS]))
    if counts[S_HEAP] + facts > len(tables.H):
        expiring.forget_settled(tables)
        heap = int(tables.S[S_HEAP])
        if 2 * heap + facts > len(tables.H):
            tables = tables._replace(H=_grown(tables.H, _more(2 * heap + facts), heap))
    if counts[S_MARKS] + marks > len(tables.B):
        tables = tables._replace(B=_grown(tables.B, _more(counts[S_MARKS] + marks), counts[S_MARKS]))
    if accounts_n > len(tables.A):
        tables = tables._replace(A=_grown(tables.A, _more(accounts_n), counts[S_ACCOUNTS]))
    if 2 * ids > len(tables.I) - index.KEY_WORDS:
        tables = tables._replace(I=_slots(4 * ids))
        index.index_facts(tables.I, tables.F, counts[S_FACTS])
    if 2 * accounts_n > len(tables.J) - index.KEY_WORDS:
        tables = tables._replace(J=_slots(4 * accounts_n))
        index.index_accounts(tables.J, tables.A, counts[S_ACCOUNTS])
    return tables


def dump(tables: Tables) -> dict[str, np.ndarray]:
    """Copies of what the state is made of: format, clocks and tables."""
    clocks = np.array([FORMAT, tables.S[S_NOW], tables.S[S_DAY]], np.int64)
    parts = {name: getattr(tables, name)[: int(tables.S[count])].copy() for name, count in _DUMPED.items()}
    return {"clocks": clocks, **parts}


def load(arrays: Mapping[str, np.ndarray]) -> Tables:
    """Tables of what `dump` wrote; indexes and the heap are made again.

    Raises
    ------
    InputError : another format
    """
    found = int(arrays["clocks"][0])
    if found != FORMAT:
        raise InputError(
            "the ledger was dumped in another format",
            found=f"format {found}",
            allowed=f"format {FORMAT}",
            cure="Build the state from the log instead.",
        )
    sizes = {name: len(arrays[name]) for name in _DUMPED}
    tables = empty(sizes["F"] + sizes["F"] // 4, sizes["A"] + sizes["A"] // 4, sizes["B"])
    for name, count in _DUMPED.items():
        getattr(tables, name)[: sizes[name]] = arrays[name]
        tables.S[count] = sizes[name]
    _, tables.S[S_NOW], tables.S[S_DAY] = arrays["clocks"].tolist()
    tables.S[S_IDS] = index.index_facts(tables.I, tables.F, sizes["F"])
    index.index_accounts(tables.J, tables.A, sizes["A"])
    tables = tables._replace(H=np.zeros((_more(expiring.count_timed(tables)), 2), np.int64))
    expiring.push_all(tables)
    return tables


def digest(tables: Tables) -> bytes:
    """BLAKE2b of 32 bytes over facts, lines, accounts and marks; the clocks are no part of it."""
    hashed = hashlib.blake2b(digest_size=32, person=b"quanheng ledger")
    for name, count in _DUMPED.items():
        length = int(tables.S[count])
        hashed.update(length.to_bytes(8, "little"))
        hashed.update(memoryview(getattr(tables, name)[:length]).cast("B") if length else b"")
    return hashed.digest()


def _more(rows: int) -> int:
    return max(_ROWS_MIN, 2 * rows if rows < 1 << 22 else rows + rows // 2)


def _grown(table: np.ndarray, rows: int, used: int) -> np.ndarray:
    larger = np.empty((rows, table.shape[1]), np.int64)
    larger[:used] = table[:used]
    return larger


def _slots(least: int) -> np.ndarray:
    """A free index of at least so many slots, with keys of its own from the operating system."""
    slots = np.zeros(_power_of_two(least) + index.KEY_WORDS, np.int64)
    slots[-index.KEY_WORDS :] = np.frombuffer(os.urandom(8 * index.KEY_WORDS), np.int64)
    return slots


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()
