"""Balances as features: each thing that is known of an account, at the moment of an event."""

from __future__ import annotations

import numpy as np
import pytest

from quanheng.features.fold import EventLayout
from quanheng.features.source import Batch
from quanheng.ledger.balances import DAY_MS, EXACT_MAX, BalanceSource, account_id
from quanheng.ledger.entries import Account, Transfer, TransferFlag
from quanheng.ledger.ledger import Ledger

ANNA, BEN, NOBODY = (bytes([number]) * 16 for number in (1, 2, 3))
LAYOUTS = [EventLayout("pays", 20, ("payer", "payee"), ()), EventLayout("comes", 21, ("visitor",), ())]
OF = {"available": 2, "posted": 2, "debits_held": 2, "credits_held": 2, "days_since": 0}
BALANCES = [{"account": "bank.wallet", "keys": ["payer"], "of": of, "decimals": digits} for of, digits in OF.items()]


def batch(*rows: tuple[int, bytes, bytes], at_ms: int = 0) -> Batch:
    keys = np.array([np.frombuffer(payer + payee, np.uint64).reshape(2, 2) for _, payer, payee in rows], np.uint64)
    codes = np.array([code for code, _, _ in rows], np.int32)
    return Batch(codes, np.zeros(len(rows), np.int64), keys, np.empty((len(rows), 0), np.int64), 0, at_ms)


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger()
    anna, ben = (account_id("bank.wallet", [key]) for key in (ANNA, BEN))
    ledger.open_accounts([Account(1, 978, 1), Account(anna, 978, 2), Account(ben, 978, 2)], 0, 0)
    ledger.transfer(
        [
            Transfer(1, 1, anna, 100_25, code=1),
            Transfer(2, anna, 1, 30_00, code=1),
            Transfer(3, anna, 1, 5_10, code=1, flags=TransferFlag.HOLD),
            Transfer(4, 1, anna, 7_00, code=1, flags=TransferFlag.HOLD),
        ],
        1_000,
        0,
    )
    return ledger


@pytest.fixture
def source(ledger) -> BalanceSource:
    source = BalanceSource(LAYOUTS, {"balances": BALANCES})
    source.look_at(lambda: ledger)
    return source


def test_what_is_known_of_an_account(source):
    (row,) = source.apply(batch((20, ANNA, BEN), at_ms=1_000 + 3 * DAY_MS - 1))
    assert dict(zip(OF, row.tolist(), strict=True)) == {
        "available": 65.15, "posted": 70.25, "debits_held": 5.10, "credits_held": 7.00, "days_since": 2,
    }  # fmt: skip
    assert source.apply(batch((20, ANNA, BEN), at_ms=1_000 + 3 * DAY_MS))[0, -1] == 3


def test_what_is_not_open_or_has_no_key_or_another_event_is_null(source):
    rows = source.apply(batch((20, NOBODY, BEN), (20, bytes(16), BEN), (21, ANNA, BEN), (99, ANNA, BEN)))
    assert np.isnan(rows).all()
    open_and_empty = source.apply(batch((20, BEN, ANNA)))[0]
    assert open_and_empty[:-1].tolist() == [0, 0, 0, 0]
    assert np.isnan(open_and_empty[-1])  # Nothing was ever booked on it.


@pytest.mark.parametrize(("more", "exact"), [(0, True), (1, False)])
def test_a_balance_is_exact_or_null(more, exact):
    ledger = Ledger()
    anna = account_id("bank.wallet", [ANNA])
    ledger.open_accounts([Account(1, 978, 1), Account(anna, 978, 2)], 0, 0)
    ledger.transfer([Transfer(1, 1, anna, EXACT_MAX + more, code=1)], 0, 0)
    source = BalanceSource(LAYOUTS, {"balances": [{**BALANCES[0], "decimals": 0}]})
    source.look_at(lambda: ledger)
    (found,) = source.apply(batch((20, ANNA, BEN)))[0].tolist()
    assert found == EXACT_MAX if exact else np.isnan(found)


def test_accounts_that_are_looked_at(source):
    keys = batch((20, ANNA, BEN)).keys[0]
    assert source.accounts(20, keys) == {account_id("bank.wallet", [ANNA])}
    assert source.accounts(21, keys) == source.accounts(99, keys) == set()


def test_it_folds_nothing_and_without_a_ledger_knows_nothing(source, ledger):
    digest = ledger.digest()
    one = batch((20, ANNA, BEN))
    assert np.array_equal(source.peek(one), source.apply(one), equal_nan=True)
    assert np.isnan(source.apply(one, read=False)).all()
    assert (source.dump(), source.digest(), ledger.digest()) == ({}, "", digest)
    assert np.isnan(BalanceSource(LAYOUTS, {"balances": BALANCES}).apply(one)).all()
