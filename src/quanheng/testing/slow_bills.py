"""Bills told plainly, unit by unit: who has each unit of 0.01, who is liable on it, and how cash moved.

For small bills only: every unit is an object. It has no pieces, accounts nor chains of its own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from quanheng.ledger.instruments.action_fold import Party
from quanheng.ledger.instruments.bill import actions as a
from quanheng.ledger.instruments.bill.bills import part_id

_YEARS = {"ACT/360": 360, "ACT/365F": 365}


@dataclass(slots=True)
class Unit:
    """One unit of a bill; `behind` are those who are liable on it, the acceptor first, and whether as guarantors."""

    holder: Party
    behind: list[tuple[int, bool]]
    pledgee: Party | None = None
    owed: bool = False
    paid: bool = False


@dataclass(slots=True)
class SlowBills:
    """Units of each bill, and cash: account -> minor units that came in, less those that went out."""

    units: dict[int, list[Unit]] = field(default_factory=dict)
    ranges: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    drawn: dict[int, a.Draw] = field(default_factory=dict)
    pledges: dict[int, int] = field(default_factory=dict)
    cash: Counter[int] = field(default_factory=Counter)

    def of(self, piece: int) -> list[Unit]:
        """The units of a piece, live or ended."""
        bill, first, last = self.ranges[piece]
        return self.units[bill][first - 1 : last]

    def apply(self, act: Any, today: int) -> None:
        """Take note of an act that was applied on day `today`. Sales: ACT day counts, halves up, the seller pays."""
        if isinstance(act, a.Draw):
            self.drawn[act.id] = act
            behind = [(act.acceptor, False), (act.drawer.owner, False)]
            self.units[act.id] = [Unit(act.drawer, [*behind]) for _ in range(act.amount_minor)]
            self.ranges[part_id(act.id, "piece")] = act.id, 1, act.amount_minor
            return
        bill, first, last = self.ranges[act.piece]
        units, new = self.of(act.piece), part_id(act.id, "piece")
        face = len(units)
        match act:
            case a.Accept():
                for one in units:
                    one.owed = True
            case a.Decline() | a.Withdraw():
                for one in units:
                    one.owed, one.paid = False, True
            case a.Deliver():
                self.ranges[new] = bill, first, last
                for one in units:
                    one.holder = self.drawn[bill].payee
            case a.Guarantee():
                for one in units:
                    one.behind.insert(_after(one.behind, act.principal), (act.guarantor, True))
            case a.Split():
                for place, part in enumerate(act.amounts_minor):
                    self.ranges[part_id(act.id, f"piece {place}")] = bill, first, first + part - 1
                    first += part
            case a.Endorse():
                self._pass_on(act, act.taker)
            case a.Sale():
                days = self.drawn[bill].due_day - today + act.terms.extra_days
                exact = Fraction(face) * Fraction(act.terms.rate) * days / _YEARS[act.terms.basis]
                self._pay(act.taker.account, units[0].holder.account, face - int(exact + Fraction(1, 2)))
                self._pass_on(act, act.taker)
            case a.Pledge():
                self.pledges[act.piece] = new
                for one in units:
                    one.pledgee = act.taker
            case a.Release():
                for one in units:
                    one.pledgee = None
            case a.Enforce():
                taker = units[0].pledgee
                assert taker is not None, "what is enforced was pledged"
                self._pass_on(act, taker, self.pledges[act.piece])
            case a.Pay():
                self._pay(act.cash, units[0].holder.account, face)
                for one in units:
                    one.owed, one.paid = False, True
            case a.Settle():
                self._settle(act, units)

    def _settle(self, act: a.Settle, units: list[Unit]) -> None:
        self._pay(act.payer.account, units[0].holder.account, len(units) + act.costs_minor)
        self.ranges[part_id(act.id, "piece")] = self.ranges[act.piece]
        for one in units:
            place = [owner for owner, _ in one.behind].index(act.payer.owner)
            one.holder, one.behind = act.payer, one.behind[:place]
            if place == 0:
                one.owed, one.paid = False, True

    def _pass_on(self, act: Any, taker: Party, new: int = 0) -> None:
        self.ranges[new or part_id(act.id, "piece")] = self.ranges[act.piece]
        for one in self.of(act.piece):
            one.behind.append((one.holder.owner, False))
            one.holder, one.pledgee = taker, None

    def _pay(self, debit: int, credit: int, minor: int) -> None:
        self.cash[debit] -= minor
        self.cash[credit] += minor


def _after(behind: list[tuple[int, bool]], principal: int) -> int:
    """Behind the principal and the guarantors that it has."""
    place = behind.index((principal, False)) + 1
    while place < len(behind) and behind[place][1]:
        place += 1
    return place
