"""Ids are chosen by whoever posts: they must not be able to choose ones that the index finds slowly."""

from __future__ import annotations

import numpy as np

from quanheng.ledger.entries import Account, Transfer
from quanheng.ledger.kernel.index import KEY_WORDS
from quanheng.ledger.ledger import Ledger

COUNT = 4_096
_WORD = 2**64 - 1


def _colliding(count: int) -> list[int]:
    """Ids of one and the same hash where its keys are public: fmix64(((h * C) ^ (h * C) >> 33) + low), h the high half.

    Found for the hash that the index had first: 28,000 such ids made each transfer thirty times as slow.
    """
    made = []
    for high in range(1, count + 1):
        mixed = high * 0x9E3779B97F4A7C15 & _WORD
        made.append(high << 64 | (7 - (mixed ^ mixed >> 33)) & _WORD)
    return made


def _posted(ids: list[int]) -> Ledger:
    ledger = Ledger()
    ledger.open_accounts([Account(1, 1, 1), Account(2, 1, 1)], 0, 0)
    ledger.transfer([Transfer(id, 1, 2, 1, 1) for id in ids], 0, 0)
    return ledger


def _longest_run(ledger: Ledger) -> int:
    """Most slots in use side by side: most that a look has to walk over."""
    free = np.flatnonzero(ledger._tables.I[:-KEY_WORDS] == 0)
    return int(np.diff(free).max()) - 1


def test_ids_made_to_collide_are_spread_like_others():
    ledger, ids = _posted(_colliding(COUNT)), _colliding(COUNT)
    assert _longest_run(ledger) < 128  # Half full at most; one run of 4,096 before.
    assert all(ledger.transfer_of(id).id == id for id in ids[:: COUNT // 64])


def test_ids_that_count_up_in_any_quarter_are_spread():
    for shift in (0, 32, 64, 96):
        assert _longest_run(_posted([one << shift for one in range(1, COUNT + 1)])) < 128


def test_keys_are_a_tables_own_and_nothing_depends_on_them():
    one, other = _posted(_colliding(COUNT)), _posted(_colliding(COUNT))
    assert one._tables.I[-KEY_WORDS:].tolist() != other._tables.I[-KEY_WORDS:].tolist()
    assert one._tables.I[:-KEY_WORDS].tolist() != other._tables.I[:-KEY_WORDS].tolist()
    assert one.digest() == other.digest() == Ledger.load(one.dump()).digest()
