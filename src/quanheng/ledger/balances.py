"""Balances as features: what the ledger knows of an account at the moment of an event, before its own transfers.

A source with state that folds nothing itself: the ledger is a fold of the log already, and `State` shows it the ledger.
Amounts travel as float64 like every column of a source. A float stands for every whole number of minor units up to
2**53, so they are exact up to there; what is larger is answered as null, never rounded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from quanheng.ledger.queries import Queries

if TYPE_CHECKING:
    from quanheng.features.fold import EventLayout
    from quanheng.features.source import Batch, SourceColumn

EXACT_MAX = 2**53
DAY_MS = 86_400_000
KNOWN_MAX = 100_000
"""How many ids are kept in memory for each balance."""


def account_id(name: str, keys: Sequence[bytes]) -> int:
    """Id of the account "pack.account" of these keys (16 bytes each): BLAKE2b of both, 128 bits."""
    return int.from_bytes(
        hashlib.blake2b(b"".join(keys) + name.encode(), digest_size=16, person=b"quanheng account").digest(), "little"
    )


class BalanceSource:
    """Columns that the ledger answers (`features.source.StatefulSource`). Without a ledger, all is null.

    Parameters
    ----------
    layouts : of the events
    settings : "balances": for each column `account` ("pack.account"), `keys` (key fields of the event), `of` (a
        `declared_accounts.BalanceOf`), `decimals`
    """

    version = "1"
    columns: ClassVar[Sequence[SourceColumn]] = ()

    def __init__(self, layouts: Sequence[EventLayout], settings: Mapping[str, Any]) -> None:
        self._asked = list(settings["balances"])
        self._ledger: Callable[[], Queries | None] = lambda: None
        self._known: list[dict[bytes, int]] = [{} for _ in self._asked]
        self._places: dict[int, list[tuple[int, list[int]]]] = {}
        for layout in layouts:
            found = [
                (number, [layout.keys.index(key) for key in one["keys"]])
                for number, one in enumerate(self._asked)
                if set(one["keys"]) <= set(layout.keys)
            ]
            self._places[layout.code] = found

    def look_at(self, ledger: Callable[[], Queries | None]) -> None:
        """Answer by this ledger from here on."""
        self._ledger = ledger

    def apply(self, batch: Batch, read: bool = True) -> np.ndarray:
        """The columns of each row, as the ledger stands; nothing is folded."""
        found = np.full((len(batch.types), len(self._asked)), np.nan)
        ledger = self._ledger()
        if ledger is None or not read:
            return found
        for row, code in enumerate(batch.types.tolist()):
            for number, places in self._places.get(code, ()):
                id = self._account(number, places, batch.keys[row])
                if id is not None:
                    one = self._asked[number]
                    found[row, number] = _answer(ledger, id, one["of"], one["decimals"], batch.received_ms)
        return found

    def peek(self, batch: Batch) -> np.ndarray:
        """As `apply`: it changes nothing."""
        return self.apply(batch)

    def accounts(self, code: int, keys: np.ndarray) -> set[int]:
        """Ids of the accounts that are looked at for an event of type `code`; keys u8[K, 2]."""
        found = (self._account(number, places, keys) for number, places in self._places.get(code, ()))
        return {id for id in found if id is not None}

    def _account(self, number: int, places: Sequence[int], keys: np.ndarray) -> int | None:
        pairs = [keys[place].tobytes() for place in places]
        known, joined = self._known[number], b"".join(pairs)
        id = known.get(joined)
        if id is None and bytes(16) not in pairs:
            if len(known) >= KNOWN_MAX:
                known.clear()
            id = known[joined] = account_id(self._asked[number]["account"], pairs)
        return id

    def dump(self) -> dict[str, np.ndarray]:
        """Nothing: the ledger has its own part of a snapshot."""
        return {}

    def load(self, dump: Mapping[str, np.ndarray]) -> None:
        """Nothing is kept."""

    def digest(self) -> str:
        """Nothing is folded here."""
        return ""


def _answer(ledger: Queries, id: int, of: str, decimals: int, now_ms: int) -> float:
    known = ledger.known_of(id)
    if known is None:
        return np.nan
    if of == "days_since":
        return np.nan if known.moved_ms is None else float((now_ms - known.moved_ms) // DAY_MS)
    balance = known.balance
    minor = {
        "available": balance.credits_posted_minor - balance.debits_posted_minor - balance.debits_held_minor,
        "posted": balance.credits_posted_minor - balance.debits_posted_minor,
        "debits_held": balance.debits_held_minor,
        "credits_held": balance.credits_held_minor,
    }[of]
    return minor / 10**decimals if abs(minor) <= EXACT_MAX else np.nan
