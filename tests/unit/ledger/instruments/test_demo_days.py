"""The days of business of the payment instruments on one ledger, one after another; the witness that watches them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from quanheng.ledger.entries import Account, Transfer, TransferFlag
from quanheng.ledger.instruments.demo import escrows, payments, payouts, wallets
from quanheng.ledger.instruments.demo.witness import Witness, spendable_minor
from quanheng.testing.slow_ledger import SlowLedger

sys.path.insert(0, str(Path(__file__).parent))
from instrument_bench import ASSET, CODE, DAY, LEDGERS, START_MS, new_ledger

DAYS = (payments, escrows, payouts, wallets)


@pytest.mark.parametrize("kind", LEDGERS)
def test_all_days_on_one_ledger_are_those_on_ledgers_of_their_own(kind):
    ledger = new_ledger(kind)
    for number, one in enumerate(DAYS):
        start_ms, day = START_MS + number * 48 * 3_600_000, DAY + 2 * number
        played = one.play(ledger, 3, start_ms, day)
        assert played == one.play(new_ledger(kind), 3, start_ms, day)
        assert all(played.checked.values()), played


def test_the_assets_are_apart_and_in_their_range():
    assets = [one.ASSET for one in DAYS]
    assert len(set(assets)) == len(assets)
    assert all(100 <= one <= 199 for one in assets)


def test_a_witness_knows_balances_from_answers_alone():
    ledger = SlowLedger()
    witness = Witness(ledger)
    witness.open_accounts([Account(n, ASSET, CODE) for n in (1, 2, 3)], START_MS, DAY)
    hold, reversal = int(TransferFlag.HOLD), int(TransferFlag.REVERSAL)
    witness.transfer([Transfer(10, 1, 2, 50, CODE), Transfer(11, 1, 2, 70, CODE, hold, timeout_ms=5)], START_MS, DAY)
    witness.transfer([Transfer(12, amount_minor=20, flags=reversal, reference=10)], START_MS, DAY)
    assert witness.balances(START_MS, DAY) == {account: ledger.books[account].balance() for account in (1, 2, 3)}
    assert spendable_minor(witness.balances(START_MS, DAY)[1]) == -100
    assert spendable_minor(witness.balances(START_MS + 5, DAY)[1]) == -30
    assert witness.applied == 3
    assert witness.is_conserved(START_MS + 5, DAY)


def test_a_witness_sees_value_that_was_made():
    """The canary: a ledger that credits more than it debits."""
    ledger = SlowLedger()
    witness = Witness(ledger)
    witness.open_accounts([Account(n, ASSET, CODE) for n in (1, 2)], START_MS, DAY)
    witness.transfer([Transfer(10, 1, 2, 50, CODE)], START_MS, DAY)
    assert witness.is_conserved(START_MS, DAY)
    ledger.books[2].credits_posted += 1
    assert not witness.is_conserved(START_MS, DAY)
