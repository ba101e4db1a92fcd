"""A witness of a ledger: passes everything on, and knows every account's balance from the answers alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from quanheng.ledger.entries import Account, Amendment, Answer, Balance, Opened, Transfer, TransferFlag, chained
from quanheng.ledger.instruments.instrument import LedgerLike
from quanheng.ledger.outcomes import AccountOutcome, TransferOutcome


class Witness:
    """A LedgerLike over another one. It keeps every chain that was applied, to ask for balances again by repeating one.

    applied : transfers that the ledger applied
    assets : account -> asset, of the accounts that were opened through it
    """

    def __init__(self, ledger: LedgerLike) -> None:
        self._ledger = ledger
        self._touched: dict[int, tuple[list[Transfer], int, bool]] = {}
        self._accounts: dict[int, tuple[int, int]] = {}
        self.assets: dict[int, int] = {}
        self.applied = 0

    def open_accounts(self, batch: Sequence[Account], now_ms: int, day: int) -> list[AccountOutcome]:
        """Open accounts, in order."""
        outcomes = self._ledger.open_accounts(batch, now_ms, day)
        self._see_accounts(batch, outcomes)
        return outcomes

    def amend_accounts(self, batch: Sequence[Amendment], now_ms: int, day: int) -> list[AccountOutcome]:
        """Change accounts, in order."""
        return self._ledger.amend_accounts(batch, now_ms, day)

    def transfer(self, batch: Sequence[Transfer], now_ms: int, day: int) -> list[Answer]:
        """Apply transfers, in order."""
        answers = self._ledger.transfer(batch, now_ms, day)
        self._see_transfers(batch, answers)
        return answers

    def open_and_transfer(
        self, accounts: Sequence[Account], transfers: Sequence[Transfer], now_ms: int, day: int
    ) -> Opened:
        """Open accounts and apply transfers, all or nothing."""
        opened = self._ledger.open_and_transfer(accounts, transfers, now_ms, day)
        self._see_accounts(accounts, opened.accounts)
        if opened.transfers:
            self._see_transfers(chained(transfers), opened.transfers)
        return opened

    def _see_accounts(self, batch: Sequence[Account], outcomes: Sequence[AccountOutcome]) -> None:
        for one, outcome in zip(batch, outcomes, strict=True):
            if outcome in (AccountOutcome.APPLIED, AccountOutcome.EXISTS):
                self.assets[one.id] = one.asset

    def _see_transfers(self, batch: Sequence[Transfer], answers: Sequence[Answer]) -> None:
        for chain, given in _chains(batch, answers):
            if all(one.outcome == TransferOutcome.APPLIED for one in given):
                self.applied += len(chain)
                self._keep(chain)

    def balances(self, now_ms: int, day: int) -> Mapping[int, Balance]:
        """Balance of every account that was opened through this witness, now. An untouched one has none of anything."""
        found: dict[int, Balance] = {account: Balance() for account in self.assets}
        for account, (chain, place, debit) in self._touched.items():
            answer = self._ledger.transfer(chain, now_ms, day)[place]
            assert answer.outcome == TransferOutcome.EXISTS, answer
            balance = answer.debit if debit else answer.credit
            assert balance is not None, answer
            found[account] = balance
        return found

    def is_conserved(self, now_ms: int, day: int) -> bool:
        """Whether debits equal credits in every asset, posted and held."""
        sums: dict[int, list[int]] = {}
        for account, balance in self.balances(now_ms, day).items():
            posted, held = sums.setdefault(self.assets[account], [0, 0])
            sums[self.assets[account]] = [
                posted + balance.credits_posted_minor - balance.debits_posted_minor,
                held + balance.credits_held_minor - balance.debits_held_minor,
            ]
        return all(posted == held == 0 for posted, held in sums.values())

    def _keep(self, chain: Sequence[Transfer]) -> None:
        for place, one in enumerate(chain):
            known = self._accounts.get(one.reference, (0, 0))
            if one.flags & TransferFlag.REVERSAL:
                known = known[::-1]
            debit, credit = one.debit or known[0], one.credit or known[1]
            self._accounts[one.id] = debit, credit
            self._touched[debit] = list(chain), place, True
            self._touched[credit] = list(chain), place, False


def spendable_minor(balance: Balance) -> int:
    """What an account has: posted credits less debits, held ones too."""
    return balance.credits_posted_minor - balance.debits_posted_minor - balance.debits_held_minor


def _chains(batch: Sequence[Transfer], answers: Sequence[Answer]) -> Iterator[tuple[list[Transfer], list[Answer]]]:
    start = 0
    for place, one in enumerate(batch):
        if not one.flags & TransferFlag.LINKED:
            yield list(batch[start : place + 1]), list(answers[start : place + 1])
            start = place + 1
