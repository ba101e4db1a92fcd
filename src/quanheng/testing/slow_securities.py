"""A security told plainly: one list of changes of holdings, one of cash, and the law as a list of what breaks it.

It has no accounts, chains, registers nor proportions of the instrument's own: who holds what is the sum of changes.
"""

from __future__ import annotations

import decimal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

from quanheng.ledger.entries import AMOUNT_MAX, ID_MAX, TIME_MAX_MS
from quanheng.ledger.instruments.securities import actions as a
from quanheng.ledger.instruments.securities.actions import SecurityRefusal as R

_LONG = decimal.Context(prec=400)
POOR = "POOR"
Move = tuple[int | str, int | str, int]


@dataclass(slots=True)
class SlowSecurity:
    """What was applied, and what it comes to.

    cash : account, or "subscribed" or "residue" -> minor units; accounts that are no text go below zero never
    own : accounts of the security itself, which are nobody's cash account
    changes : (time, owner, units that came or went)
    """

    terms: a.SecurityTerms
    cash: Counter[int | str]
    own: frozenset[int] = frozenset()
    changes: list[tuple[int, int, int]] = field(default_factory=list)
    owners: dict[int, a.Admit] = field(default_factory=dict)
    asked: list[a.Subscribe] = field(default_factory=list)
    is_allotted: bool = False
    declared: dict[int, a.Declare] = field(default_factory=dict)
    paid: set[tuple[int, int]] = field(default_factory=set)
    done: dict[int, Any] = field(default_factory=dict)

    def held(self, owner: int, at_ms: int = TIME_MAX_MS) -> int:
        """Units of an owner after all that was changed up to a time."""
        return sum(units for when, who, units in self.changes if who == owner and when <= at_ms)

    def holders(self, at_ms: int = TIME_MAX_MS) -> dict[int, int]:
        """Owner -> units, of those who hold any, in the order of their first change."""
        every = {owner: self.held(owner, at_ms) for _, owner, units in self.changes if units}
        return {owner: units for owner, units in every.items() if units}

    def due(self, declaration: int) -> tuple[dict[int, int], int]:
        """Owner -> amount, and what the issuer pays in all less these."""
        one = self.declared[declaration]
        holders = self.holders(one.record_ms)
        amounts = {owner: self._round(units * Fraction(one.per_unit_minor)) for owner, units in holders.items()}
        whole = self._round(sum(holders.values()) * Fraction(one.per_unit_minor))
        return amounts, whole - sum(amounts.values())

    def do(self, one: Any, now_ms: int) -> str:
        """Apply an action: "" if it is applied or a repeat, else the code of its refusal, or POOR."""
        if one.id in self.done:
            return "" if self.done[one.id] == one else R.ID_HAS_OTHER_CONTENT
        for code, broken in self._laws(one, now_ms):
            if broken:
                return code
        cash = self.cash.copy()
        changes: list[tuple[int, int, int]] = []
        for debit, credit, minor in self._moves(one, now_ms, changes):
            cash[debit] -= minor
            cash[credit] += minor
            if cash[debit] < 0 and debit != "residue":
                return POOR
        self.cash, self.changes, self.done[one.id] = cash, self.changes + changes, one
        match one:
            case a.Admit():
                self.owners[one.owner] = one
            case a.Subscribe():
                self.asked.append(one)
            case a.Allot():
                self.is_allotted = True
            case a.Declare():
                self.declared[one.id] = one
            case a.PayOut():
                self.paid |= {(one.declaration, owner) for owner in self._payees(one)}
        return ""

    # --- the law, in order of precedence

    def _laws(self, one: Any, now_ms: int) -> Iterator[tuple[str, bool]]:
        terms = self.terms
        yield R.ID_IS_OUT_OF_RANGE, not 0 < one.id < ID_MAX
        if not isinstance(one, (a.Subscribe, a.Deliver)):
            yield R.ACTOR_MAY_NOT, one.by != terms.issuer
        numbers = [getattr(one, name, 1) for name in ("by", "owner", "cash", "to")]
        yield R.OWNER_IS_OUT_OF_RANGE, not all(0 < number < ID_MAX for number in numbers)
        least = 0 if isinstance(one, a.Redeem) else 1
        yield R.UNITS_ARE_OUT_OF_RANGE, not least <= getattr(one, "units", 1) <= AMOUNT_MAX
        held, now = self.holders(), now_ms
        match one:
            case a.Admit():
                yield R.CASH_ACCOUNT_IS_OF_THE_SECURITY, one.cash in self.own
                yield R.TIMES_ARE_WRONG, not 0 <= one.locked_until_ms <= TIME_MAX_MS
            case a.Subscribe():
                yield R.AMOUNT_IS_OUT_OF_RANGE, one.units * terms.price_minor > AMOUNT_MAX
                yield R.OWNER_IS_NOT_ADMITTED, not self._is_admitted(one.by)
                yield R.OFFER_IS_CLOSED, now >= terms.offer_until_ms
                yield R.SUBSCRIPTIONS_ARE_FULL, len(self.asked) == a.HOLDERS_MAX
                would_ask = Counter({one.by: one.units})
                for was in self.asked:
                    would_ask[was.by] += was.units
                yield from self._caps(would_ask[one.by], len(would_ask))
            case a.Allot():
                yield R.OFFER_IS_OPEN, now < terms.offer_until_ms
                yield R.OFFER_IS_ALLOTTED, self.is_allotted
            case a.Deliver():
                yield R.OWNER_IS_NOT_ADMITTED, not self._is_admitted(one.to)
                yield R.UNITS_ARE_LOCKED, one.by in self.owners and now < self.owners[one.by].locked_until_ms
                if one.by != one.to:
                    others = {who for who in held if who not in (one.by, one.to)}
                    left = {one.by} if held.get(one.by, 0) > one.units else set()
                    yield from self._caps(held.get(one.to, 0) + one.units, len(others | left | {one.to}))
                yield R.EXCEEDS_OUTSTANDING, held.get(one.by, 0) < one.units
            case a.Declare():
                yield R.AMOUNT_IS_OUT_OF_RANGE, not self._is_amount_each(one.per_unit_minor)
                yield R.TIMES_ARE_WRONG, not 0 <= one.record_ms < one.pay_ms <= TIME_MAX_MS
            case a.PayOut():
                yield R.DECLARATION_NOT_FOUND, one.declaration not in self.declared
                yield R.NOT_DUE_YET, now < self.declared[one.declaration].pay_ms
                entitled = set(self.due(one.declaration)[0])
                yield R.OWNER_IS_NOT_ENTITLED, not set(one.owners) <= entitled
                unpaid = {who for who in entitled if (one.declaration, who) not in self.paid}
                twice = len(set(one.owners)) < len(one.owners)
                yield R.ALL_IS_PAID, not unpaid or twice or not set(one.owners) <= unpaid
            case a.Redeem():
                whole = sum(held.values())
                to_pay = (one.units or whole) * one.price_minor
                yield R.AMOUNT_IS_OUT_OF_RANGE, not (0 < one.price_minor <= AMOUNT_MAX and to_pay <= AMOUNT_MAX)
                yield R.NOT_DUE_YET, now < terms.redeem_from_ms
                yield R.EXCEEDS_OUTSTANDING, one.units > whole or whole == 0

    def _caps(self, units: int, holders: int) -> Iterator[tuple[str, bool]]:
        yield R.HOLDING_CAP_EXCEEDED, 0 < self.terms.holding_max_units < units
        yield R.HOLDERS_CAP_EXCEEDED, holders > self.terms.holders_max

    def _is_admitted(self, owner: int) -> bool:
        return owner in self.owners and self.owners[owner].admitted

    def _is_amount_each(self, each: Decimal) -> bool:
        if not each.is_finite() or not 0 < each <= AMOUNT_MAX // self.terms.offered_units:
            return False
        return len(each.as_tuple().digits) <= 40 and -40 <= each.adjusted() <= 40

    # --- what it moves

    def _moves(self, one: Any, now_ms: int, changes: list[tuple[int, int, int]]) -> Iterator[Move]:
        issuer, price, held = self.terms.issuer_cash, self.terms.price_minor, self.holders()
        match one:
            case a.Subscribe():
                yield self.owners[one.by].cash, "subscribed", one.units * price
            case a.Allot():
                asked = [each.units for each in self.asked]
                give = self.terms.residue == a.Residue.LARGEST_REMAINDER
                shares = slow_proportion(min(sum(asked), self.terms.offered_units), asked, give)
                for was, units in zip(self.asked, shares, strict=True):
                    changes.append((now_ms, was.by, units))
                    yield "subscribed", issuer, units * price
                    yield "subscribed", self.owners[was.by].cash, (was.units - units) * price
            case a.Deliver():
                changes += [(now_ms, one.by, -one.units), (now_ms, one.to, one.units)]
            case a.PayOut():
                amounts, residue = self.due(one.declaration)
                for owner in self._payees(one):
                    yield issuer, self.owners[owner].cash, amounts[owner]
                unpaid = {who for who in amounts if (one.declaration, who) not in self.paid}
                if unpaid == set(self._payees(one)):
                    yield (issuer, "residue", residue) if residue > 0 else ("residue", issuer, -residue)
            case a.Redeem():
                taken = slow_proportion(one.units or sum(held.values()), list(held.values()), True)
                for owner, units in zip(held, taken, strict=True):
                    changes.append((now_ms, owner, -units))
                    yield issuer, self.owners[owner].cash, units * one.price_minor

    def _payees(self, one: a.PayOut) -> tuple[int, ...]:
        amounts, _ = self.due(one.declaration)
        return one.owners or tuple(who for who in amounts if (one.declaration, who) not in self.paid)

    def _round(self, exact: Fraction) -> int:
        """Amounts are whole numbers times decimals, so they are decimals."""
        decimal_form = _LONG.divide(Decimal(exact.numerator), Decimal(exact.denominator))
        return int(decimal_form.to_integral_value(self.terms.rounding, _LONG))


def slow_proportion(total: int, weights: list[int], give: bool) -> list[int]:
    """Whole units in proportion: each what is due rounded down; with `give` one more at a time to whom most is due."""
    due = [Fraction(total * weight, sum(weights)) if weight else Fraction(0) for weight in weights]
    given = [int(exact) for exact in due]
    while give and sum(given) < total:
        short = [exact - units for exact, units in zip(due, given, strict=True)]
        given[short.index(max(short))] += 1
    return given
