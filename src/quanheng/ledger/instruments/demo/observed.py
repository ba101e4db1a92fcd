"""A ledger between a demo and the real one: counts what was applied and keeps the balances that were answered."""

from __future__ import annotations

from collections.abc import Sequence

from quanheng.ledger.entries import Account, Amendment, Answer, Balance, Opened, Transfer
from quanheng.ledger.instruments.instrument import LedgerLike
from quanheng.ledger.outcomes import AccountOutcome, TransferOutcome


class Observed:
    """Passes every call on.

    applied : how many transfers were
    accounts, transfers : as they were asked for and applied, by id; days : business day of each transfer
    balances : of each account, from the newest answer that showed it
    """

    def __init__(self, ledger: LedgerLike) -> None:
        self.ledger, self.applied = ledger, 0
        self.accounts: dict[int, Account] = {}
        self.transfers: dict[int, Transfer] = {}
        self.days: dict[int, int] = {}
        self.balances: dict[int, Balance] = {}

    def open_accounts(self, batch: Sequence[Account], now_ms: int, day: int) -> list[AccountOutcome]:
        """Open accounts, in order."""
        outcomes = self.ledger.open_accounts(batch, now_ms, day)
        self._see_accounts(batch, outcomes)
        return outcomes

    def amend_accounts(self, batch: Sequence[Amendment], now_ms: int, day: int) -> list[AccountOutcome]:
        """Change accounts, in order."""
        return self.ledger.amend_accounts(batch, now_ms, day)

    def transfer(self, batch: Sequence[Transfer], now_ms: int, day: int) -> list[Answer]:
        """Apply transfers, in order."""
        answers = self.ledger.transfer(batch, now_ms, day)
        self._see_transfers(batch, answers, day)
        return answers

    def open_and_transfer(
        self, accounts: Sequence[Account], transfers: Sequence[Transfer], now_ms: int, day: int
    ) -> Opened:
        """Open accounts and apply transfers, all or nothing."""
        opened = self.ledger.open_and_transfer(accounts, transfers, now_ms, day)
        self._see_accounts(accounts, opened.accounts)
        if opened.transfers:
            self._see_transfers(transfers, opened.transfers, day)
        return opened

    def _see_accounts(self, batch: Sequence[Account], outcomes: Sequence[AccountOutcome]) -> None:
        for one, outcome in zip(batch, outcomes, strict=True):
            if outcome == AccountOutcome.APPLIED:
                self.accounts[one.id] = one

    def _see_transfers(self, batch: Sequence[Transfer], answers: Sequence[Answer], day: int) -> None:
        for one, answer in zip(batch, answers, strict=True):
            if answer.outcome == TransferOutcome.APPLIED:
                self.applied += 1
                back = self.transfers.get(one.reference)
                debit = one.debit or (back.credit if back else 0)
                credit = one.credit or (back.debit if back else 0)
                self.transfers[one.id] = one._replace(debit=debit, credit=credit, amount_minor=answer.amount_minor)
                self.days[one.id] = day
            known = self.transfers.get(one.id)
            if known and answer.debit and answer.credit:
                self.balances |= {known.debit: answer.debit, known.credit: answer.credit}

    def net_minor(self, account: int) -> int:
        """Posted debits less posted credits; 0 for an account without a transfer."""
        balance = self.balances.get(account, Balance())
        return balance.debits_posted_minor - balance.credits_posted_minor
