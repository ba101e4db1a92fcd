"""A day of business of one instrument: what was asked, what became of it, and whether the common laws held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from quanheng.ledger.entries import Account, AccountFlag, Transfer
from quanheng.ledger.instruments.action_fold import ActionFold
from quanheng.ledger.instruments.demo import Played
from quanheng.ledger.instruments.demo.witness import Witness
from quanheng.ledger.instruments.instrument import LedgerLike, Performed, part_id, perform


class Business:
    """An instrument on a ledger. After each action that was not applied, or was a repeat, nothing may have changed."""

    def __init__(self, ledger: LedgerLike, instrument: ActionFold, day: int) -> None:
        self.witness, self.instrument, self.day = Witness(ledger), instrument, day
        self.done: list[tuple[Any, int]] = []
        self.asked: list[Any] = []
        self.refused, self.unchanged = 0, True
        self._digest = instrument.digest()

    def open(self, bound: Iterable[int], free: Iterable[int], asset: int, code: int, now_ms: int) -> None:
        """Open accounts: those whose debits must not exceed their credits, and others."""
        flag = int(AccountFlag.DEBITS_BOUND)
        accounts = [Account(one, asset, code, flag) for one in bound] + [Account(one, asset, code) for one in free]
        self.witness.open_accounts(accounts, now_ms, self.day)

    def fund(self, bank: int, accounts: Iterable[int], amount_minor: int, code: int, now_ms: int) -> None:
        """Give each account the same amount."""
        transfers = [Transfer(part_id(one, "demo funds"), bank, one, amount_minor, code) for one in accounts]
        self.witness.transfer(transfers, now_ms, self.day)

    def do(self, action: Any, now_ms: int) -> Performed:
        """Perform an action."""
        self.asked.append(action)
        fresh = action.id not in self.instrument.done
        result = perform(self.witness, self.instrument, action, now_ms, self.day)
        if result.applied and fresh:
            self.done.append((action, now_ms))
        self.refused += not result.applied
        before, self._digest = self._digest, self.instrument.digest()
        self.unchanged &= (result.applied and fresh) == (self._digest != before)
        return result

    def played(
        self, name: str, fresh: ActionFold, laws: Mapping[str, bool], figures: Mapping[str, int], now_ms: int
    ) -> Played:
        """The day so far, with the laws of every instrument: `fresh` folds what was applied and must be equal."""
        for action, at_ms in self.done:
            fresh.apply(action, at_ms)
        common = {
            "debits equal credits": self.witness.is_conserved(now_ms, self.day),
            "a refused or repeated action changes nothing": self.unchanged,
            "replay is equal": fresh.state() == self.instrument.state(),
        }
        asked = len(self.asked)
        return Played(
            name, asked, asked - self.refused, self.refused, self.witness.applied, {**common, **laws}, figures
        )
