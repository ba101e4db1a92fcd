"""The law of revolving credit in the fewest lines: one account, each purchase apart, exact fractions, no speed.

What is owed is a list of items. An item knows its kind, what is left of it, whether it stands on a statement, and the
interest that it would bear from its posting day if its interest-free period were lost. `history` lives an account again
from its events, which is all there is to a payment that comes late.
"""

from __future__ import annotations

import calendar
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction

from quanheng.ledger.instruments.loan.day_count import DayCount, date_of
from quanheng.ledger.instruments.loan.rounding import rounded
from quanheng.ledger.instruments.revolving.events import FROM_STATEMENT, CreditEvent
from quanheng.ledger.instruments.revolving.products import CreditProduct, Grace, Kind, paid_above
from quanheng.ledger.instruments.revolving.statements import Statement

E = CreditEvent
_PRINCIPAL = Kind.CASH, Kind.REVOLVING, Kind.PURCHASES
_NEW = Kind.FEES, Kind.INTEREST, Kind.INSTALMENTS


@dataclass
class Item:
    """Something owed. `would` is the interest it would bear since it was posted."""

    kind: Kind
    left: int
    billed: bool = False
    would: Fraction = Fraction(0)


@dataclass
class SlowPlan:
    """An instalment plan: principal and fee of each instalment that has not fallen due."""

    id: int
    parts: list[tuple[int, int]]

    @property
    def left(self) -> int:
        """Principal that has not fallen due."""
        return sum(part for part, _ in self.parts)


def split(amount: int, count: int, first: bool) -> list[int]:
    """An amount in equal parts; what the division leaves over is in the first or the last."""
    parts = [amount // count] * count
    parts[0 if first else -1] += amount % count
    return parts


@dataclass
class SlowCredit:
    """One account. Amounts in minor units; days since 1970-01-01; `rate` of a year in units of 1e-6."""

    product: CreditProduct
    day: int
    limit: int
    rate: int
    cash_limit: int = 0
    items: list[Item] = field(default_factory=list)
    plans: list[SlowPlan] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    cycle: Counter[str] = field(default_factory=Counter)
    interest: Fraction = Fraction(0)
    credit: int = 0
    minimum: int = 0
    past: int = 0
    late_day: int = 0
    due: int | None = None
    blocked: bool = False
    written_off: int | None = None

    # --- what is owed

    def owed(self, *kinds: Kind, billed: bool | None = None) -> int:
        """What is left of items of kinds (none given: all); on the last statement, since, or both."""
        return sum(
            item.left for item in self.items
            if (not kinds or item.kind in kinds) and billed in (None, item.billed)
        )  # fmt: skip

    @property
    def accrued(self) -> int:
        """Interest of the cycle, rounded."""
        return rounded(self.interest, self.product.interest_rounding)

    @property
    def planned(self) -> int:
        """Principal of plans that has not fallen due."""
        return sum(plan.left for plan in self.plans)

    @property
    def used(self) -> int:
        """What counts against the limit."""
        return self.owed() + self.accrued + self.planned - self.credit

    def measures(self) -> list[int]:
        """As `CreditBook.measures`."""
        by_kind = [self.owed(kind) for kind in Kind]
        by_kind[1] += self.accrued
        late = self.day - self.late_day if self.late_day else 0
        return [
            *by_kind, self.planned, self.credit, self.written_off or 0, self.owed(billed=True), self.minimum, self.past,
            late, self.limit - self.used,
        ]  # fmt: skip

    # --- events

    def refuses(self, kind: CreditEvent, amount: int, extra: int) -> str | None:
        """Why an event of today may not be."""
        found = None
        if kind == E.RECOVER:
            return None if amount <= (self.written_off or 0) else (
                "RECOVERY_EXCEEDS_WRITTEN_OFF" if self.written_off is not None else "ACCOUNT_IS_NOT_WRITTEN_OFF"
            )  # fmt: skip
        if self.written_off is not None:
            return "ACCOUNT_IS_WRITTEN_OFF"
        if kind in (E.DRAW, E.CASH):
            room = self.limit + rounded(Fraction(self.limit * self.product.over_limit_share), "ROUND_DOWN") - self.used
            if self.blocked:
                found = "ACCOUNT_IS_BLOCKED"
            elif amount > room:
                found = "LIMIT_IS_EXCEEDED"
            elif kind == E.CASH and self.owed(Kind.CASH) + amount > self.cash_limit:
                found = "CASH_LIMIT_IS_EXCEEDED"
        elif kind == E.WRITE_OFF and self.used <= 0:
            found = "NOTHING_IS_OWED"
        elif kind == E.RE_AGE and not self.past:
            found = "ACCOUNT_IS_NOT_PAST_DUE"
        elif kind == E.CONVERT and not (0 < extra < 2 * FROM_STATEMENT and 1 <= extra % FROM_STATEMENT <= 60):
            found = "INSTALMENTS_CANNOT_BE"
        elif kind == E.CONVERT and amount > self.owed(Kind.PURCHASES, billed=extra >= FROM_STATEMENT):
            found = "CONVERSION_EXCEEDS_PURCHASES"
        elif kind == E.SETTLE and extra not in [plan.id for plan in self.plans]:
            found = "PLAN_NOT_FOUND"
        elif kind == E.REFUND and amount > self.credit:
            found = "REFUND_EXCEEDS_CREDIT"
        return found

    def take(self, kind: CreditEvent, amount: int, extra: int, id: int) -> None:
        """An event of today; it was not refused."""
        if kind == E.LIMIT:
            self.limit, self.cash_limit = amount, extra
        elif kind in (E.BLOCK, E.UNBLOCK):
            self.blocked = kind == E.BLOCK
        elif kind == E.RE_AGE:
            self.minimum -= self.past
            self.past = self.late_day = 0
        elif kind == E.RECOVER:
            self.written_off = (self.written_off or 0) - amount
        elif kind == E.WRITE_OFF:
            self.write_off()
        else:
            {
                E.DRAW: self.draw, E.CASH: self.draw, E.FEE: self.fee, E.PAY: self.pay, E.CREDIT: self.pay,
                E.REFUND: self.refund, E.CONVERT: self.convert, E.SETTLE: self.settle,
            }[kind](kind, amount, extra, id)  # fmt: skip

    def draw(self, kind: CreditEvent, amount: int, extra: int, id: int) -> None:
        """A purchase, or cash with its fee."""
        product = self.product
        if kind == E.CASH:
            self.cycle["cash"] += amount
            self.items.append(Item(Kind.CASH, amount))
            self.charge(max(product.cash_fee_floor_minor, self.share(amount * product.cash_fee_share)))
        else:
            self.cycle["drawn"] += amount
            self.items.append(Item(Kind.REVOLVING if product.grace == Grace.NONE else Kind.PURCHASES, amount))
        self.allocate(0)

    def fee(self, kind: CreditEvent, amount: int, extra: int, id: int) -> None:
        """A fee."""
        self.charge(amount)
        self.allocate(0)

    def pay(self, kind: CreditEvent, amount: int, extra: int, id: int) -> None:
        """A payment, or what a merchant gave back."""
        self.cycle["paid"] += amount
        self.credit += amount
        self.allocate(self.minimum)
        self.lower(amount)

    def refund(self, kind: CreditEvent, amount: int, extra: int, id: int) -> None:
        """Part of the credit balance is given back."""
        self.cycle["paid"] -= amount
        self.credit -= amount

    def convert(self, kind: CreditEvent, amount: int, extra: int, id: int) -> None:
        """Purchases become a plan."""
        count, product, left = extra % FROM_STATEMENT, self.product, amount
        for item in self.items:
            if item.kind == Kind.PURCHASES and item.billed == (extra >= FROM_STATEMENT):
                taken = min(item.left, left)
                item.left -= taken
                left -= taken
        fee = self.share(amount * product.plan_fee_share * count)
        parts = zip(split(amount, count, product.residue_first), split(fee, count, product.residue_first), strict=True)
        self.plans.append(SlowPlan(id, list(parts)))
        self.cycle["converted"] += amount
        self.lower(0)

    def settle(self, kind: CreditEvent, amount: int, extra: int, id: int) -> None:
        """A plan ends: the rest of it falls due on the next statement."""
        plan = next(plan for plan in self.plans if plan.id == extra)
        self.plans.remove(plan)
        self.items.append(Item(Kind.INSTALMENTS, plan.left))
        self.cycle["instalments"] += plan.left
        fees = sum(fee for _, fee in plan.parts) if self.product.settle_takes_fees else 0
        self.charge(self.share(plan.left * self.product.settle_fee_share) + fees)
        self.allocate(0)

    def write_off(self) -> None:
        """All that is owed is lost."""
        self.items += [Item(Kind.INSTALMENTS, self.planned), Item(Kind.INTEREST, self.accrued, billed=True)]
        self.plans, self.interest = [], Fraction(0)
        self.allocate(0)
        self.written_off = self.owed()
        self.items, self.due, self.minimum, self.past, self.late_day = [], None, 0, 0, 0

    def share(self, exact: Decimal) -> int:
        """A fee, rounded."""
        return rounded(Fraction(exact), self.product.fee_rounding)

    def charge(self, amount: int) -> None:
        """A fee is owed."""
        self.cycle["fees"] += amount
        self.items.append(Item(Kind.FEES, amount))

    def allocate(self, at_minimum: int) -> None:
        """What was paid goes to the last statement, then to what came since; of a kind to the oldest first."""
        if self.product.highest_rate_above_minimum:
            self.allocate_in(list(self.product.order), True, min(at_minimum, self.credit))
        above = paid_above(self.product)
        self.allocate_in(above, True, self.credit)
        self.allocate_in(above, False, self.credit)

    def allocate_in(self, order: list[Kind], billed: bool, most: int) -> None:
        """At most so much goes to items of a side, kinds in an order."""
        for kind in order:
            for item in self.items:
                if item.kind == kind and item.billed == billed:
                    paid = min(item.left, most)
                    item.left -= paid
                    self.credit -= paid
                    most -= paid

    def lower(self, amount: int) -> None:
        """So much came for the minimum."""
        left = self.owed(billed=True)
        self.minimum = min(left, max(0, self.minimum - amount))
        self.past = min(left, max(0, self.past - amount))
        self.late_day = self.late_day if self.past else 0

    # --- days

    def next_day(self) -> None:
        """The day ends, with its night."""
        today = date_of(self.day)
        if self.written_off is None:
            if self.day == self.due:
                self.fall_due()
            self.night()
            if today.day == min(self.product.statement_day, calendar.monthrange(today.year, today.month)[1]):
                self.bill(today)
        self.day += 1

    def fall_due(self) -> None:
        """Was the last statement paid in full, was the minimum paid?"""
        product, left = self.product, self.owed(billed=True)
        free = [item for item in self.items if item.billed and item.kind in (Kind.PURCHASES, Kind.INSTALMENTS)]
        if left > product.tolerance_minor:
            nights = self.day - self.statements[-1].day - 1
            for item in free:
                back = item.left * self.yearly(self.rate) * nights if product.grace == Grace.UNPAID else item.would
                self.interest += back if item.kind == Kind.PURCHASES else 0
                item.kind = Kind.REVOLVING
        else:
            self.minimum = self.past = self.late_day = 0
            for item in free:
                item.billed, item.would = False, Fraction(0)
        if self.minimum:
            late = max(product.late_floor_minor, self.share(self.minimum * product.late_share))
            self.charge(min(late, product.late_cap_minor))
            self.past, self.late_day = self.minimum, self.late_day or self.day
        self.due = None

    def yearly(self, units: int) -> Fraction:
        """A night's interest of one minor unit, at a rate in units of 1e-6."""
        return Fraction(units, 10**6 * (360 if self.product.day_count == DayCount.ACT_360 else 365))

    def night(self) -> None:
        """Interest of a night."""
        product, rate = self.product, self.yearly(self.rate)
        cash = self.yearly(self.rate + int(product.cash_rate_extra * 10**6))
        for item in self.items:
            if item.kind == Kind.PURCHASES:
                item.would += item.left * rate
            elif item.kind == Kind.CASH:
                self.interest += item.left * cash
            elif item.kind == Kind.REVOLVING or (item.kind == Kind.INTEREST and product.compounds):
                self.interest += item.left * rate
        self.interest += self.planned * self.yearly(int(product.plan_rate * 10**6))

    def bill(self, today: date) -> None:
        """A statement is made."""
        for plan in self.plans:
            part, fee = plan.parts.pop(0)
            self.items.append(Item(Kind.INSTALMENTS, part))
            self.cycle["instalments"] += part
            self.charge(fee)
        self.plans = [plan for plan in self.plans if plan.parts]
        interest, past = self.accrued, self.minimum
        self.items.append(Item(Kind.INTEREST, interest))
        self.interest = Fraction(0)
        newly = self.owed(*_NEW, billed=False)
        # An item that was paid stays until its statement was due: its interest is still to be judged.
        self.items = [item for item in self.items if item.left or not item.billed]
        for item in self.items:
            item.billed = True
        self.allocate(0)
        closing, cycle = self.owed() - self.credit, self.cycle
        over = max(0, self.used - self.limit)
        share = rounded(Fraction(self.owed(*_PRINCIPAL) * self.product.minimum_share), self.product.minimum_rounding)
        asked = share + max(min(newly, self.owed(*_NEW)) + past, self.owed(*_NEW)) + over
        self.minimum = min(self.owed(), max(self.product.minimum_floor_minor, asked))
        self.past = min(self.past, self.minimum)
        due = self.day + self.product.due_days if closing > 0 else None
        self.due = due + self.product.courtesy_days if due is not None else None
        self.statements.append(Statement(
            self.day, self.statements[-1].closing_minor if self.statements else 0, cycle["drawn"], cycle["cash"],
            cycle["paid"], interest, cycle["fees"], cycle["converted"], cycle["instalments"], closing, self.minimum,
            past, over, due,
        ))  # fmt: skip
        self.cycle = Counter()
