"""A security or asset token: offer, subscription, allotment, transfer, coupons and dividends, redemption.

Units and cash are value in ledger accounts. The register says who holds how many units as of any time; by law it is
what the ledger's accounts had then. Delivery is free of payment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec

from quanheng.kernel.errors import InputError
from quanheng.ledger.entries import AMOUNT_MAX, TIME_MAX_MS, Account, AccountFlag, Transfer
from quanheng.ledger.instruments.action_fold import ActionFold, RefusalCode, first_refusal, is_amount, is_id
from quanheng.ledger.instruments.conversion import ROUNDINGS, rounded
from quanheng.ledger.instruments.instrument import Refusal, Step, parts_of
from quanheng.ledger.instruments.securities.actions import (
    HOLDERS_MAX,
    NO_CAP,
    Admit,
    Allot,
    Declare,
    Deliver,
    PayOut,
    Redeem,
    Residue,
    SecurityRefusal,
    SecurityTerms,
    Subscribe,
)
from quanheng.ledger.instruments.securities.register import Register, in_proportion

part_id = parts_of("security")

R = SecurityRefusal
Checks = Iterator[tuple[bool, RefusalCode, str, object, str]]
_DIGITS_MAX = 40
_CASH_ACCOUNTS = "subscribed", "residue"


class Declaration(msgspec.Struct, frozen=True):
    """A coupon or dividend: as declared, and who was paid."""

    declared: Declare
    paid: frozenset[int] = frozenset()


class Security(ActionFold):
    """A fold of Admit, Subscribe, Allot, Deliver, Declare, PayOut and Redeem.

    number : 128 bits that tell it from others

    Raises
    ------
    InputError : a field of the terms is out of range
    """

    ID_RANGE, ID_USED = R.ID_IS_OUT_OF_RANGE, R.ID_HAS_OTHER_CONTENT

    def __init__(self, number: int, terms: SecurityTerms) -> None:
        super().__init__()
        _check_terms(terms)
        self.number, self.terms, self.register = number, terms, Register()
        self.owners: dict[int, Admit] = {}
        self.subscriptions: dict[int, Subscribe] = {}
        self.allotted: dict[int, int] | None = None
        self.declarations: dict[int, Declaration] = {}

    def account_of(self, name: int | str) -> int:
        """Id of the account of an owner's units, of "issued" (units), "subscribed" or "residue" (cash)."""
        return part_id(self.number, name)

    @property
    def outstanding_units(self) -> int:
        """Units that are held."""
        return sum(self.register.holders().values())

    def allotment(self) -> dict[int, int]:
        """Subscription -> units that it has by the terms."""
        asked = [one.units for one in self.subscriptions.values()]
        offered = min(self.terms.offered_units, sum(asked))
        give = self.terms.residue == Residue.LARGEST_REMAINDER
        return dict(zip(self.subscriptions, in_proportion(offered, asked, give), strict=True))

    def entitlements(self, declaration: int) -> tuple[dict[int, int], int]:
        """Owner -> amount in minor units, and the residue: what the issuer pays in all less these, maybe negative."""
        declared = self.declarations[declaration].declared
        holders, each = self.register.holders(declared.record_ms), Fraction(declared.per_unit_minor)
        amounts = {owner: rounded(units * each, self.terms.rounding) for owner, units in holders.items()}
        return amounts, rounded(sum(holders.values()) * each, self.terms.rounding) - sum(amounts.values())

    def _kept(self) -> Sequence[str]:
        return "number", "terms", "register", "owners", "subscriptions", "allotted", "declarations"

    # --- judging

    def _refusal(self, action: Any, now_ms: int) -> Refusal | None:
        return first_refusal(self._wrong(action, now_ms))

    def _wrong(self, one: Any, now_ms: int) -> Checks:
        free = isinstance(one, (Subscribe, Deliver))
        yield not free and one.by != self.terms.issuer, R.ACTOR_MAY_NOT, "by", one.by, "the issuer"
        ids = [getattr(one, name) for name in ("by", "owner", "cash", "to") if hasattr(one, name)]
        yield not all(map(is_id, ids)), R.OWNER_IS_OUT_OF_RANGE, "by, owner, cash, to", ids, "1 .. 2**128 - 2"
        if hasattr(one, "units"):
            right = is_amount(one.units) or (isinstance(one, Redeem) and one.units == 0)
            yield not right, R.UNITS_ARE_OUT_OF_RANGE, "units", one.units, f"1 .. {AMOUNT_MAX}"
        judges: dict[type, Any] = {
            Admit: self._wrong_in_admit, Subscribe: self._wrong_in_subscribe, Allot: self._wrong_in_allot,
            Deliver: self._wrong_in_deliver, Declare: self._wrong_in_declare, PayOut: self._wrong_in_pay_out,
            Redeem: self._wrong_in_redeem,
        }  # fmt: skip
        yield from judges[type(one)](one, now_ms)

    def _wrong_in_admit(self, one: Admit, now_ms: int) -> Checks:
        # An owner who pays from there would pay with the money of others, or with nobody's.
        own = one.cash in map(self.account_of, _CASH_ACCOUNTS)
        yield own, R.CASH_ACCOUNT_IS_OF_THE_SECURITY, "cash", one.cash, "an account of the owner"
        right = 0 <= one.locked_until_ms <= TIME_MAX_MS
        yield not right, R.TIMES_ARE_WRONG, "locked_until_ms", one.locked_until_ms, f"0 .. {TIME_MAX_MS}"

    def _wrong_in_subscribe(self, one: Subscribe, now_ms: int) -> Checks:
        cost = one.units * self.terms.price_minor
        yield cost > AMOUNT_MAX, R.AMOUNT_IS_OUT_OF_RANGE, "units", cost, f"1 .. {AMOUNT_MAX} to pay"
        yield not self._admitted(one.by), R.OWNER_IS_NOT_ADMITTED, "by", one.by, "an owner on the whitelist"
        until = self.terms.offer_until_ms
        yield now_ms >= until, R.OFFER_IS_CLOSED, "offer", now_ms, f"before {until}"
        full = len(self.subscriptions) >= HOLDERS_MAX
        yield full, R.SUBSCRIPTIONS_ARE_FULL, "subscriptions", len(self.subscriptions), f"at most {HOLDERS_MAX}"
        asked = sum(was.units for was in self.subscriptions.values() if was.by == one.by)
        subscribers = {was.by for was in self.subscriptions.values()} | {one.by}
        yield from self._wrong_in_caps(asked + one.units, len(subscribers))

    def _wrong_in_caps(self, units: int, holders: int) -> Checks:
        most, owners = self.terms.holding_max_units, self.terms.holders_max
        yield most != NO_CAP and units > most, R.HOLDING_CAP_EXCEEDED, "units", units, f"at most {most} an owner"
        yield holders > owners, R.HOLDERS_CAP_EXCEEDED, "holders", holders, f"at most {owners}"

    def _wrong_in_allot(self, one: Allot, now_ms: int) -> Checks:
        until = self.terms.offer_until_ms
        yield now_ms < until, R.OFFER_IS_OPEN, "offer", now_ms, f"{until} or later"
        yield self.allotted is not None, R.OFFER_IS_ALLOTTED, "offer", "allotted", "one allotment"

    def _wrong_in_deliver(self, one: Deliver, now_ms: int) -> Checks:
        yield not self._admitted(one.to), R.OWNER_IS_NOT_ADMITTED, "to", one.to, "an owner on the whitelist"
        locked = self.owners[one.by].locked_until_ms if one.by in self.owners else 0
        yield now_ms < locked, R.UNITS_ARE_LOCKED, "by", now_ms, f"{locked} or later"
        holders = self.register.holders()
        left = holders.get(one.by, 0) - one.units
        after = {**holders, one.by: left, one.to: holders.get(one.to, 0) + one.units}
        if one.by != one.to:
            yield from self._wrong_in_caps(after[one.to], sum(units > 0 for units in after.values()))
        # The ledger would refuse an amount that is not there, but asks nothing of a delivery to oneself.
        yield left < 0, R.EXCEEDS_OUTSTANDING, "units", one.units, f"at most {holders.get(one.by, 0)}"

    def _wrong_in_declare(self, one: Declare, now_ms: int) -> Checks:
        each = one.per_unit_minor
        finite = isinstance(each, Decimal) and each.is_finite() and each > 0
        small = finite and len(each.as_tuple().digits) <= _DIGITS_MAX and abs(each.adjusted()) <= _DIGITS_MAX
        most = AMOUNT_MAX // max(1, self.terms.offered_units)
        yield not (small and each <= most), R.AMOUNT_IS_OUT_OF_RANGE, "per_unit_minor", each, f"above 0, up to {most}"
        right = 0 <= one.record_ms < one.pay_ms <= TIME_MAX_MS
        yield not right, R.TIMES_ARE_WRONG, "record_ms", f"{one.record_ms} .. {one.pay_ms}", "payment after the record"

    def _wrong_in_pay_out(self, one: PayOut, now_ms: int) -> Checks:
        known = self.declarations.get(one.declaration)
        if known is None:
            yield True, R.DECLARATION_NOT_FOUND, "declaration", one.declaration, "one that was declared"
            return
        yield now_ms < known.declared.pay_ms, R.NOT_DUE_YET, "declaration", now_ms, f"{known.declared.pay_ms} or later"
        amounts, _ = self.entitlements(one.declaration)
        strange = [owner for owner in one.owners if owner not in amounts]
        yield bool(strange), R.OWNER_IS_NOT_ENTITLED, "owners", strange[:1], "holders as of the record time"
        again = [owner for owner in one.owners if owner in known.paid]
        done = bool(again) or len(set(one.owners)) != len(one.owners) or set(amounts) <= known.paid
        yield done, R.ALL_IS_PAID, "owners", again[:1], "owners who were not paid, once each"

    def _wrong_in_redeem(self, one: Redeem, now_ms: int) -> Checks:
        outstanding = self.outstanding_units
        cost = (one.units or outstanding) * one.price_minor
        right = is_amount(one.price_minor) and cost <= AMOUNT_MAX
        yield not right, R.AMOUNT_IS_OUT_OF_RANGE, "price_minor", cost, f"1 .. {AMOUNT_MAX} to pay"
        since = self.terms.redeem_from_ms
        yield now_ms < since, R.NOT_DUE_YET, "redemption", now_ms, f"{since} or later"
        more = one.units > outstanding or outstanding == 0
        yield more, R.EXCEEDS_OUTSTANDING, "units", one.units, f"at most {outstanding}"

    def _admitted(self, owner: int) -> bool:
        return owner in self.owners and self.owners[owner].admitted

    # --- what is asked of the ledger

    def _step(self, action: Any, now_ms: int) -> Step:
        moves = [(debit, credit, amount) for debit, credit, amount in self._moves(action) if amount]
        code = self.terms.code
        transfers = [
            Transfer(part_id(action.id, f"{self.number} {place}"), debit, credit, amount, code)
            for place, (debit, credit, amount) in enumerate(moves)
            if debit != credit
        ]
        touched = {account for move in moves for account in move[:2]}
        return Step(transfers, [one for one in self._accounts(action) if one.id in touched])

    def _accounts(self, action: Any) -> list[Account]:
        """Accounts of its own that an action may need open."""
        terms, bound = self.terms, int(AccountFlag.DEBITS_BOUND)
        owners = [action.by, action.to] if isinstance(action, Deliver) else []
        owners += [one.by for one in self.subscriptions.values()] if isinstance(action, Allot) else []
        return [
            Account(self.account_of("issued"), terms.asset, terms.code, 0, terms.issuer),
            Account(self.account_of("subscribed"), terms.cash_asset, terms.code, bound, terms.issuer),
            Account(self.account_of("residue"), terms.cash_asset, terms.code, 0, terms.issuer),
            *(Account(self.account_of(one), terms.asset, terms.code, bound, one) for one in dict.fromkeys(owners)),
        ]

    def _moves(self, action: Any) -> Iterator[tuple[int, int, int]]:
        """(debit, credit, amount) of an action that is not refused; amounts may be 0."""
        issuer, price = self.terms.issuer_cash, self.terms.price_minor
        issued, pool = self.account_of("issued"), self.account_of("subscribed")
        if isinstance(action, Subscribe):
            yield self.owners[action.by].cash, pool, action.units * price
        elif isinstance(action, Deliver):
            yield self.account_of(action.by), self.account_of(action.to), action.units
        elif isinstance(action, Allot):
            for id, units in self.allotment().items():
                asked = self.subscriptions[id]
                yield issued, self.account_of(asked.by), units
                yield pool, issuer, units * price
                yield pool, self.owners[asked.by].cash, (asked.units - units) * price
        elif isinstance(action, PayOut):
            amounts, residue = self._due(action)
            for owner, amount in amounts.items():
                yield issuer, self.owners[owner].cash, amount
            kept = self.account_of("residue")
            yield (issuer, kept, residue) if residue > 0 else (kept, issuer, -residue)
        elif isinstance(action, Redeem):
            for owner, units in self._redeemed(action).items():
                yield self.account_of(owner), issued, units
                yield issuer, self.owners[owner].cash, units * action.price_minor

    def _due(self, action: PayOut) -> tuple[dict[int, int], int]:
        """What a payment pays to whom, and the residue if it is the last."""
        amounts, residue = self.entitlements(action.declaration)
        paid = self.declarations[action.declaration].paid
        owners = action.owners or tuple(owner for owner in amounts if owner not in paid)
        last = set(amounts) <= paid | set(owners)
        return {owner: amounts[owner] for owner in owners}, residue if last else 0

    def _redeemed(self, action: Redeem) -> dict[int, int]:
        holders = self.register.holders()
        units = action.units or sum(holders.values())
        return dict(zip(holders, in_proportion(units, list(holders.values())), strict=True))

    # --- folding

    def _fold(self, action: Any, now_ms: int) -> None:
        if isinstance(action, Admit):
            self.owners[action.owner] = action
        elif isinstance(action, Subscribe):
            self.subscriptions[action.id] = action
        elif isinstance(action, Allot):
            self.allotted = self.allotment()
            for id, units in self.allotted.items():
                self.register.change(self.subscriptions[id].by, units, now_ms)
        elif isinstance(action, Deliver):
            self.register.change(action.by, -action.units, now_ms)
            self.register.change(action.to, action.units, now_ms)
        elif isinstance(action, Declare):
            self.declarations[action.id] = Declaration(action)
        elif isinstance(action, PayOut):
            known = self.declarations[action.declaration]
            paid = known.paid | frozenset(self._due(action)[0])
            self.declarations[action.declaration] = Declaration(known.declared, paid)
        elif isinstance(action, Redeem):
            for owner, units in self._redeemed(action).items():
                self.register.change(owner, -units, now_ms)


def _check_terms(terms: SecurityTerms) -> None:
    most = AMOUNT_MAX // terms.offered_units if is_amount(terms.offered_units) else AMOUNT_MAX
    for name, right, allowed in (
        ("cash_asset", terms.cash_asset != terms.asset, "another asset than that of the units"),
        ("offered_units", is_amount(terms.offered_units), f"1 .. {AMOUNT_MAX}"),
        ("price_minor", 0 < terms.price_minor <= most, f"1 .. {most}, so that the whole offer is an amount"),
        ("rounding", terms.rounding in ROUNDINGS, f"one of {', '.join(sorted(ROUNDINGS))}"),
        ("holding_max_units", 0 <= terms.holding_max_units <= AMOUNT_MAX, f"0 .. {AMOUNT_MAX}"),
        ("holders_max", 0 < terms.holders_max <= HOLDERS_MAX, f"1 .. {HOLDERS_MAX}"),
    ):
        if not right:
            raise InputError(
                "terms of a security are out of range",
                where=f"terms.{name}",
                found=str(getattr(terms, name)),
                allowed=allowed,
                cure="Give terms within the range.",
            )
