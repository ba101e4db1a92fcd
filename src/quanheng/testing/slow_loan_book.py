"""What only the book has, the plain way: holidays, stays, re-ageing, re-amortisation, floating rates, steps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec

from quanheng.kernel.calendars import Roll
from quanheng.ledger.instruments.loan.day_count import add_months
from quanheng.ledger.instruments.loan.rounding import rounded
from quanheng.ledger.instruments.loan.terms import Grace, Kind, Method, Terms
from quanheng.testing.slow_loan import SlowLoan


class SlowBookLoan(SlowLoan):
    """A loan of the book, lived day by day with exact fractions.

    steps : multiple of the level instalment by period, the last for all that follow
    reference : day and rate in force from then on; None: the rate is fixed. `spread` is the loan's, over it
    """

    def __init__(
        self,
        terms: Terms,
        steps: Sequence[Decimal] = (),
        reference: dict[int, Decimal] | None = None,
        spread: Decimal = Decimal(0),
        reset_periods: int = 1,
    ) -> None:
        self.steps, self.reference, self.spread, self.reset = list(steps), reference, spread, reset_periods
        self.holiday_end, self.holiday_accrues, self.stay, self.grace_end = 0, False, 0, terms.grace_periods
        if reference is not None:
            terms = msgspec.structs.replace(terms, rate=self.in_force(terms.first_day))
        super().__init__(terms)

    def in_force(self, day: int) -> Decimal:
        """The loan's rate by the reference of a day."""
        assert self.reference is not None
        return max(Decimal(0), self.reference[max(one for one in self.reference if one <= day)] + self.spread)

    def days_past_due(self) -> int:
        """Days since the oldest unpaid bill, without those on which they were stayed."""
        return self.day - self.arrears[0]["day"] - self.arrears[0].get("paused", 0) if self.arrears else 0

    # --- events

    def holiday(self, periods: int, accrues: bool) -> None:
        """So many periods in which nothing falls due, at the end of which there are as many more."""
        self.holiday_end = max(self.holiday_end, self.period) + periods
        self.holiday_accrues = accrues
        self.set_periods(self.terms.periods + periods)
        self.stay = max(self.stay, _number(self.dates[self.holiday_end]))
        self.plan_again()

    def re_amortise(self, periods: int) -> None:
        """What is not due is repaid in so many periods from here."""
        self.start_anew(periods)
        self.plan_again()

    def re_age(self, periods: int) -> None:
        """All that is due becomes principal, repaid in so many periods from here, 0 = as many as were left."""
        self.start_anew(periods)
        self.not_due += sum(bill[kind] for bill in self.arrears for kind in Kind)
        self.arrears = []
        self.plan_again()

    def start_anew(self, periods: int) -> None:
        """Count periods from the current one; of a loan that has matured from the next regular due day."""
        if self.period >= self.terms.periods:
            self.set_periods(600)
            self.period = next(at for at, day in enumerate(self.dates) if _number(day) > self.day) - 1
            self.set_periods(self.period + periods)
        elif periods:
            self.set_periods(self.period + periods)
        self.grace_end, self.holiday_end = min(self.grace_end, self.period), min(self.holiday_end, self.period)

    def set_periods(self, periods: int) -> None:
        """The loan has so many periods."""
        self.terms = msgspec.structs.replace(self.terms, periods=periods)
        first = self.dates[0]
        self.dates = [first]
        for number in range(1, periods + 1):
            day = add_months(first, number * self.terms.period_months, self.terms.end_of_month)
            self.dates.append(day if self.terms.roll == Roll.NONE else self.terms.calendar.roll(day, self.terms.roll))

    # --- days

    def next_day(self) -> None:
        """As the single loan, but for a holiday without interest."""
        before, stands = self.interest, self.period < self.holiday_end and not self.holiday_accrues
        period = self.period
        if stands:
            # The interest of this night is not owed, whatever becomes of the rest at its end.
            kept, self.not_due, self.interest = self.not_due, 0, before
            tomorrow = self.today() + timedelta(days=1)
            for bill in self.arrears:
                self.penalise(bill)
            self.not_due = kept
            self.day += 1
            if tomorrow == self.dates[period + 1]:
                self.bill_period()
            return
        super().next_day()

    def penalise(self, bill: dict[Any, Any]) -> None:
        """As the single loan, but for days on which it is stayed."""
        if self.day < self.stay:
            bill["paused"] = bill.get("paused", 0) + 1
            return
        super().penalise(bill)

    def bill_period(self) -> None:
        """As the single loan; in a holiday interest becomes principal. Then the reference is taken over."""
        number, rate = self.period, self.terms.rate
        graced = number < self.grace_end and self.terms.grace == Grace.CAPITALISES
        bullet = self.terms.method == Method.BULLET and number < self.terms.periods - 1
        ends = number + 1 < self.terms.periods
        if self.reference is not None and (number + 1) % self.reset == 0 and ends:
            rate = self.in_force(self.day)
        changed, self.terms = rate != self.terms.rate, msgspec.structs.replace(self.terms, rate=rate)
        self.period += 1
        if bullet:
            return
        interest = self.take_interest()
        if graced or number < self.holiday_end:
            self.not_due += interest
            self.plan_again()
            return
        due = self.not_due if self.period == self.terms.periods else min(self.plan[number], self.not_due)
        self.not_due -= due
        self.bill(INTEREST=interest, PRINCIPAL=due)
        if changed:
            self.plan_again()

    # --- the plan

    def step_of(self, number: int) -> Fraction:
        """By how much the instalment of a period is more than the level."""
        return Fraction(self.steps[min(number, len(self.steps) - 1)]) if self.steps else Fraction(1)

    def plan_again(self, keeps: bool = False) -> None:
        """As the single loan, with steps, and nothing due before grace and holiday are over."""
        terms = self.terms
        periods = range(max(self.period, self.grace_end, self.holiday_end), terms.periods)
        if self.period >= terms.periods:
            return
        if terms.method in (Method.BULLET, Method.INTEREST_ONLY):
            self.level = 0
        elif not keeps and terms.method == Method.EQUAL_PRINCIPAL:
            self.level = rounded(Fraction(self.not_due, len(periods)), terms.level_rounding)
        elif not keeps:
            at_0, at_1 = self.end_balance(periods, 0), self.end_balance(periods, 1)
            self.level = rounded(at_0 / (at_0 - at_1), terms.level_rounding)
        self.plan, left = dict.fromkeys(range(periods.start), 0), self.not_due
        for number in periods:
            part = self.level
            if terms.method == Method.ANNUITY:
                part = rounded(self.level * self.step_of(number), "ROUND_HALF_EVEN")
                part -= rounded(self.interest_of(number, Fraction(left)), terms.billing_rounding)
            self.plan[number] = left if number == terms.periods - 1 else max(0, min(left, part))
            left -= self.plan[number]

    def end_balance(self, periods: range, level: int) -> Fraction:
        """What is left at the end, exactly, if each instalment is the level times its step."""
        left = Fraction(self.not_due)
        for number in periods:
            left += self.interest_of(number, left) - level * self.step_of(number)
        return left

    def coming(self) -> list[tuple[int, int]]:
        """Due days and principal of the instalments to come."""
        days = range(self.period, self.terms.periods)
        return [(_number(self.dates[one + 1]), self.plan[one]) for one in days] if self.not_due else []


def _number(day: date) -> int:
    return (day - date(1970, 1, 1)).days
