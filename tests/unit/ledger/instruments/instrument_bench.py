"""What the tests of payment instruments stand on: ledgers to run on, a few funded accounts, rows of a refusal table."""

from __future__ import annotations

import importlib

import pytest

from quanheng.ledger.entries import Account, AccountFlag, Transfer
from quanheng.ledger.instruments.action_fold import Party
from quanheng.ledger.instruments.demo.witness import Witness, spendable_minor
from quanheng.ledger.instruments.instrument import part_id, perform
from quanheng.testing.slow_ledger import SlowLedger

START_MS, DAY, ASSET, CODE = 1_700_000_000_000, 19_675, 100, 7
LEDGERS = ("slow", "core")
BANK = 999


def new_ledger(kind):
    """The plain law, or the core where this build has it."""
    if kind == "slow":
        return SlowLedger()
    try:
        core = importlib.import_module("quanheng.ledger.ledger")
    except ModuleNotFoundError:
        pytest.skip("this build has no core ledger")
    return core.Ledger()


class Bench:
    """An instrument on a ledger with funded accounts 1 .. n, bank 999, and a clock. Party n owns account n."""

    def __init__(self, instrument, kind="slow", accounts=6, funds_minor=10_000):
        self.instrument, self.ledger = instrument, Witness(new_ledger(kind))
        self.now_ms, self.day, self.applied = START_MS, DAY, []
        bound = int(AccountFlag.DEBITS_BOUND)
        numbers = range(1, accounts + 1)
        opened = [Account(n, ASSET, CODE, bound) for n in numbers] + [Account(BANK, ASSET, CODE)]
        self.ledger.open_accounts(opened, self.now_ms, self.day)
        funding = [Transfer(part_id(n, "funds"), BANK, n, funds_minor, CODE) for n in numbers]
        self.ledger.transfer(funding, self.now_ms, self.day)

    def do(self, action, after_ms=0):
        self.now_ms += after_ms
        repeated = action.id in self.instrument.done
        result = perform(self.ledger, self.instrument, action, self.now_ms, self.day)
        if result.applied and not repeated:
            self.applied.append((action, self.now_ms))
        return result

    def must(self, action, after_ms=0):
        result = self.do(action, after_ms)
        assert result.applied, (result.refusal, result.outcome)
        return result

    def refused(self, action, after_ms=0):
        """The code of a refusal, after which nothing has changed."""
        self.now_ms += after_ms
        self.ledger.transfer([], self.now_ms, self.day)
        before = self.everything()
        result = self.do(action)
        assert not result.applied, action
        assert self.everything() == before
        return result.refusal.code if result.refusal else result.outcome

    def balances(self):
        return self.ledger.balances(self.now_ms, self.day)

    def has(self, account):
        """What an account can spend."""
        return spendable_minor(self.balances()[account])

    def everything(self):
        return self.instrument.digest(), self.balances()

    def check_replay(self, fresh):
        """What was applied, folded into a fresh instrument on a fresh ledger, is the same."""
        other = Bench(fresh, funds_minor=10_000)
        for action, now_ms in self.applied:
            other.now_ms = now_ms
            other.must(action)
        other.ledger.transfer([], self.now_ms, self.day)
        other.now_ms = self.now_ms
        assert other.instrument.state() == self.instrument.state()
        assert other.everything() == self.everything()


def party(n):
    return Party(n, n)
