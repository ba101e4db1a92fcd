"""Receivables told plainly: who has how much of which debt, and how cash moved, from the actions that were applied.

It keeps sums of owners where the instrument keeps pieces, accounts and chains: the two can be held against each other.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from quanheng.ledger.instruments.receivable import actions as a
from quanheng.ledger.instruments.receivable.receivables import part_id
from quanheng.testing.slow_securities import slow_proportion

_YEARS = {"ACT/360": 360, "ACT/365F": 365}


@dataclass(slots=True)
class SlowReceivables:
    """What every owner has.

    owned : (receivable, owner) -> sum of what is owed in minor units
    repaid : receivable -> what its debtor has paid
    cash : account -> minor units that came in, less those that went out
    where : piece -> (receivable, owner, what is owed on it, account for its money)
    givers : piece -> who gave it on, and whether with recourse, from the first on
    """

    owned: Counter[tuple[int, int]] = field(default_factory=Counter)
    cash: Counter[int] = field(default_factory=Counter)
    repaid: Counter[int] = field(default_factory=Counter)
    where: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)
    givers: dict[int, tuple[tuple[int, bool], ...]] = field(default_factory=dict)
    issues: dict[int, a.Issue] = field(default_factory=dict)
    pledgees: dict[int, tuple[int, a.Pledge]] = field(default_factory=dict)

    def apply(self, action: Any, today: int) -> None:
        """Take note of an action that was applied on day `today`. Discounts: ACT day counts, halves up, seller pays."""
        match action:
            case a.Issue():
                self.issues[action.id] = action
            case a.Accept():
                one = self.issues[action.receivable]
                first, supplier = part_id(one.id, "piece"), one.supplier
                self._make(first, one.id, supplier.owner, one.amount_minor, supplier.account, ())
            case a.Split():
                receivable, owner, _, account = self._end(action.piece)
                for place, part in enumerate(action.amounts_minor):
                    id, givers = part_id(action.id, f"piece {place}"), self.givers[action.piece]
                    self._make(id, receivable, owner, part, account, givers)
            case a.Assign():
                self._give(action, action.taker, action.with_recourse)
            case a.Discount():
                receivable, _, face, account = self.where[action.piece]
                days = self.issues[receivable].due_day - today + action.terms.extra_days
                exact = Fraction(face) * Fraction(action.terms.rate) * days / _YEARS[action.terms.basis]
                price = face - int(exact + Fraction(1, 2))
                self._pay(action.buyer.account, account, price)
                self._give(action, action.buyer, action.with_recourse)
            case a.Pledge():
                self.pledgees[action.piece] = part_id(action.id, "piece"), action
            case a.Release():
                del self.pledgees[action.piece]
            case a.Enforce():
                piece, pledge = self.pledgees.pop(action.piece)
                receivable, owner, face, _ = self._end(action.piece)
                givers, taker = (*self.givers[action.piece], (owner, True)), pledge.pledgee
                self._make(piece, receivable, taker.owner, face, taker.account, givers)
            case a.Repay():
                self._repay(action)
            case a.PayClaim():
                receivable, _, face, account = self._end(action.piece)
                self._pay(action.payer.account, account, face + action.costs_minor)
                payer, givers = action.payer, self.givers[action.piece]
                before = givers[: givers.index((payer.owner, True))]
                self._make(part_id(action.id, "piece"), receivable, payer.owner, face, payer.account, before)

    def _repay(self, action: a.Repay) -> None:
        """Each unit that is paid goes to the piece that is furthest below what it is due."""
        owed = {one: self.where[one][2] for one in sorted(self.where) if self.where[one][0] == action.receivable}
        paid = action.amount_minor or sum(owed.values())
        for piece, share in zip(owed, slow_proportion(paid, list(owed.values()), True), strict=True):
            _, owner, _, account = self.where[piece]
            if piece in self.pledgees:
                account = self.pledgees[piece][1].pledgee.account
            self._pay(action.cash, account, share)
            self.owned[action.receivable, owner] -= share
            self.repaid[action.receivable] += share
            self.where[piece] = (*self.where[piece][:2], owed[piece] - share, self.where[piece][3])
            if share == owed[piece]:
                del self.where[piece]
                self.pledgees.pop(piece, None)

    def _give(self, action: Any, taker: Any, with_recourse: bool) -> None:
        receivable, owner, face, _ = self._end(action.piece)
        givers = *self.givers[action.piece], (owner, with_recourse)
        self._make(part_id(action.id, "piece"), receivable, taker.owner, face, taker.account, givers)

    def _make(
        self, piece: int, receivable: int, owner: int, face: int, account: int, givers: tuple[tuple[int, bool], ...]
    ) -> None:
        self.where[piece] = receivable, owner, face, account
        self.givers[piece] = givers
        self.owned[receivable, owner] += face

    def _end(self, piece: int) -> tuple[int, int, int, int]:
        receivable, owner, face, account = self.where.pop(piece)
        self.owned[receivable, owner] -= face
        return receivable, owner, face, account

    def _pay(self, debit: int, credit: int, minor: int) -> None:
        self.cash[debit] -= minor
        self.cash[credit] += minor
