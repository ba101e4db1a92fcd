"""A loan the plain way: day by day with exact fractions, nothing posted, nothing planned ahead that is not needed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from quanheng.kernel.calendars import Roll
from quanheng.ledger.instruments.loan.actions import Charge, Effect, Pay, PayOff, Prepay, Recover, Refund, WriteOff
from quanheng.ledger.instruments.loan.day_count import add_months, year_fraction
from quanheng.ledger.instruments.loan.fold import Owed
from quanheng.ledger.instruments.loan.rounding import rounded
from quanheng.ledger.instruments.loan.terms import Grace, Kind, Method, Terms

_ORDER = Charge, Pay, Prepay, PayOff, WriteOff, Recover, Refund


class SlowLoan:
    """What is owed, after each day and each event of it."""

    def __init__(self, terms: Terms) -> None:
        self.terms, self.day = terms, terms.first_day
        first = date(1970, 1, 1) + timedelta(days=terms.first_day)
        self.dates = [first]
        for number in range(1, terms.periods + 1):
            day = add_months(first, number * terms.period_months, terms.end_of_month)
            self.dates.append(day if terms.roll == Roll.NONE else terms.calendar.roll(day, terms.roll))
        self.period, self.not_due, self.interest = 0, terms.principal_minor, Fraction(0)
        self.arrears: list[dict[Any, Any]] = []
        self.wallet = self.given_up = 0
        self.over = False
        self.plan_again()

    def play(self, events: Iterable[Any], until: int) -> SlowLoan:
        """Live through the days up to `until`, with the events on them."""
        events = [one for one in events if type(one) in _ORDER]
        while True:
            for event in sorted(events, key=lambda one: (_ORDER.index(type(one)), one.id)):
                if event.day == self.day:
                    self.take(event)
            if self.day >= until:
                return self
            self.next_day()

    def owed(self) -> Owed:
        """What is owed now."""
        sums = {kind: sum(bill[kind] for bill in self.arrears) for kind in Kind}
        accrued = rounded(self.interest, self.terms.accrual_rounding)
        return Owed(
            sums[Kind.FEES], sums[Kind.PENALTY], sums[Kind.INTEREST] + accrued, sums[Kind.PRINCIPAL] + self.not_due,
            self.wallet, self.given_up,
        )  # fmt: skip

    def today(self) -> date:
        return date(1970, 1, 1) + timedelta(days=self.day)

    def part(self, period: int, end: date) -> Fraction:
        """Part of a year from a period's beginning."""
        terms = self.terms
        return year_fraction(
            terms.day_count, self.dates[period], end,
            anchor=self.dates[0], months=terms.period_months, end_of_month=terms.end_of_month, maturity=self.dates[-1],
        )  # fmt: skip

    def next_day(self) -> None:
        terms, tomorrow = self.terms, self.today() + timedelta(days=1)
        if not self.over:
            if self.period < terms.periods:
                grown = self.part(self.period, tomorrow) - self.part(self.period, self.today())
                self.interest += self.not_due * grown * Fraction(terms.rate)
            for bill in self.arrears:
                self.penalise(bill)
        self.day += 1
        if not self.over and self.period < terms.periods and tomorrow == self.dates[self.period + 1]:
            self.bill_period()

    def penalise(self, bill: dict[Any, Any]) -> None:
        penalty = self.terms.penalty
        if penalty is None or self.day < bill["day"] + penalty.grace_days:
            return
        base = Fraction(self.terms.rate)
        known = {one.day: one.rate for one in penalty.reference}
        in_force = [known[day] for day in sorted(known) if day <= self.day] or [known[day] for day in sorted(known)[:1]]
        at_first = [known[day] for day in sorted(known) if day <= self.terms.first_day]
        if in_force:
            base = Fraction(in_force[-1])
        rate = Fraction(penalty.multiple) * (base + Fraction(penalty.spread))
        if penalty.cap_multiple is not None:
            capped: Decimal = at_first[-1] if at_first else known[min(known)]
            rate = min(rate, Fraction(penalty.cap_multiple) * Fraction(capped))
        amount = bill[Kind.PRINCIPAL] + (bill[Kind.INTEREST] if penalty.on_interest else 0)
        before = rounded(bill["exact"], self.terms.penalty_rounding)
        bill["exact"] += amount * rate / penalty.year_days
        bill[Kind.PENALTY] += rounded(bill["exact"], self.terms.penalty_rounding) - before

    def bill_period(self) -> None:
        terms, number = self.terms, self.period
        self.period += 1
        if terms.method == Method.BULLET and self.period < terms.periods:
            return
        interest = self.take_interest()
        if number < terms.grace_periods and terms.grace == Grace.CAPITALISES:
            self.not_due += interest
            self.plan_again()
            return
        due = self.not_due if self.period == terms.periods else min(self.plan[number], self.not_due)
        self.not_due -= due
        self.bill(INTEREST=interest, PRINCIPAL=due)

    def take_interest(self) -> int:
        interest, self.interest = rounded(self.interest, self.terms.billing_rounding), Fraction(0)
        return interest

    def bill(self, **owed: int) -> None:
        amounts = {kind: owed.get(kind.name, 0) for kind in Kind}
        self.arrears.append({**amounts, "day": self.day, "exact": Fraction(0)})
        self.pay(0)

    def pay(self, amount: int) -> None:
        self.wallet += amount
        rule = self.terms.allocation
        claims = [(bill["day"], at, kind) for at, bill in enumerate(self.arrears) for kind in rule.order]
        if not rule.by_instalment:
            claims = [(day, at, kind) for kind in rule.order for day, at, other in claims if other == kind]
        for _, at, kind in claims:
            paid = min(self.wallet, self.arrears[at][kind])
            self.wallet -= paid
            self.arrears[at][kind] -= paid
        self.arrears = [bill for bill in self.arrears if any(bill[kind] for kind in Kind)]

    def take(self, event: Any) -> None:
        terms, fee = self.terms, Fraction(self.terms.prepayment_fee_rate)
        if isinstance(event, Charge):
            self.bill(FEES=event.amount_minor)
        elif isinstance(event, PayOff):
            self.bill(FEES=rounded(self.not_due * fee, terms.fee_rounding))
            self.period, left, self.not_due = terms.periods, self.not_due, 0
            self.bill(INTEREST=self.take_interest(), PRINCIPAL=left)
            self.pay(event.amount_minor)
        elif isinstance(event, Refund):
            self.wallet -= event.amount_minor
        elif isinstance(event, WriteOff):
            self.bill(INTEREST=self.take_interest())
            self.early(self.wallet)
            self.given_up, self.over, self.not_due = self.owed().total_minor, True, 0
            self.arrears, self.interest = [], Fraction(0)
        elif isinstance(event, Recover):
            # An early payment may have come since: there is less to recover than was thought.
            part = min(event.amount_minor, self.given_up)
            self.given_up, self.wallet = self.given_up - part, self.wallet + event.amount_minor - part
        else:
            self.pay(event.amount_minor)
            if isinstance(event, Prepay):
                early = min(int(self.wallet / (1 + fee)), self.not_due)
                self.bill(FEES=rounded(early * fee, terms.fee_rounding))
                self.early(early)
                self.plan_again(event.effect == Effect.SHORTENS)

    def early(self, amount: int) -> None:
        amount = min(amount, self.not_due)
        self.wallet -= amount
        self.not_due -= amount

    # --- the plan

    def plan_again(self, keeps: bool = False) -> None:
        """Principal of each period to come. The level is where the balance at the end, linear in it, is zero."""
        terms = self.terms
        periods = range(max(self.period, terms.grace_periods), terms.periods)
        if not periods:
            return
        if terms.method in (Method.BULLET, Method.INTEREST_ONLY):
            self.level: int = 0
        elif not keeps and terms.method == Method.EQUAL_PRINCIPAL:
            self.level = rounded(Fraction(self.not_due, len(periods)), terms.level_rounding)
        elif not keeps:
            at_0, at_1 = self.end_balance(periods, 0), self.end_balance(periods, 1)
            self.level = rounded(at_0 / (at_0 - at_1), terms.level_rounding)
        self.plan, left = {}, self.not_due
        for number in periods:
            part = self.level
            if terms.method == Method.ANNUITY:
                part -= rounded(self.interest_of(number, Fraction(left)), terms.billing_rounding)
            self.plan[number] = max(0, min(left, part))
            left -= self.plan[number]
        self.plan.update(dict.fromkeys(range(terms.grace_periods), 0))

    def interest_of(self, number: int, left: Fraction) -> Fraction:
        part, so_far = self.part(number, self.dates[number + 1]), Fraction(0)
        if number == self.period:
            part, so_far = part - self.part(number, self.today()), self.interest
        return so_far + left * Fraction(self.terms.rate) * part

    def end_balance(self, periods: range, level: int) -> Fraction:
        left = Fraction(self.not_due)
        for number in periods:
            left += self.interest_of(number, left) - level
        return left
