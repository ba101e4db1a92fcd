"""A bench of several assets: party n has account `account(asset, n)`, funded alike in each."""

from __future__ import annotations

from instrument_bench import CODE, DAY, START_MS, Bench, new_ledger

from quanheng.ledger.entries import Account, AccountFlag, Transfer
from quanheng.ledger.instruments.demo.witness import Witness
from quanheng.ledger.instruments.instrument import part_id


def account(asset, n):
    """Account of party n; 0 is the bank of the asset, and not bound."""
    return asset * 1_000 + n


class AssetBench(Bench):
    def __init__(self, instrument, kind="slow", assets=(1, 2), parties=4, funds_minor=10_000, free=(), caps=None):
        self.instrument, self.ledger = instrument, Witness(new_ledger(kind))
        self.now_ms, self.day, self.applied = START_MS, DAY, []
        self.made = {"assets": assets, "parties": parties, "funds_minor": funds_minor, "free": free, "caps": caps}
        bound, caps = int(AccountFlag.DEBITS_BOUND), caps or {}
        for asset in assets:
            numbers = range(1, parties + 1)
            opened = [
                Account(account(asset, n), asset, CODE, bound, net_debit_cap_minor=caps.get(n, -1)) for n in numbers
            ] + [Account(account(asset, n), asset, CODE) for n in (0, *free)]
            self.ledger.open_accounts(opened, self.now_ms, self.day)
            funds = [account(asset, n) for n in numbers] if funds_minor else []
            self.ledger.transfer(
                [Transfer(part_id(one, "funds"), account(asset, 0), one, funds_minor, CODE) for one in funds],
                self.now_ms,
                self.day,
            )

    def give(self, asset, n, amount_minor, name="gift"):
        """Fund one account more, or take from it if the amount is negative."""
        one, bank = account(asset, n), account(asset, 0)
        debit, credit = (bank, one) if amount_minor > 0 else (one, bank)
        transfer = Transfer(part_id(one, f"{name} {self.now_ms}"), debit, credit, abs(amount_minor), CODE)
        assert self.ledger.transfer([transfer], self.now_ms, self.day)[0].outcome == 0

    def holds(self, asset):
        """What each party has of an asset."""
        return [self.has(account(asset, n)) for n in range(1, self.made["parties"] + 1)]

    def check_replay(self, fresh):
        """What was applied, folded into a fresh instrument, is the same, and asks for transfers of the same ids."""
        other = AssetBench(fresh, **self.made)
        for action, now_ms in self.applied:
            other.now_ms = now_ms
            other.must(action)
        other.now_ms = self.now_ms
        other.ledger.transfer([], self.now_ms, self.day)
        assert other.instrument.state() == self.instrument.state()
        assert other.everything() == self.everything()
