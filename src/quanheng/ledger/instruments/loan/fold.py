"""A loan's dated actions folded into postings: what was accrued, billed, allocated, capitalised and written off.

The fold is a function of the set of actions, so a payment that comes late with an early date gives the loan on which
it came in time. Money of the borrower that is not allocated yet is in the loan's own account `settlement`.

Interest accrues on principal that is not due yet; on what is overdue, penalty accrues instead. Both are posted as the
difference of rounded sums, so how often they are posted does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from quanheng.ledger.instruments.instrument import parts_of
from quanheng.ledger.instruments.loan.actions import (
    Charge,
    Effect,
    Event,
    Pay,
    PayOff,
    Prepay,
    Recover,
    Refund,
    WriteOff,
    order_of,
)
from quanheng.ledger.instruments.loan.day_count import date_of, day_of
from quanheng.ledger.instruments.loan.rounding import rounded
from quanheng.ledger.instruments.loan.schedule import due_dates, fraction_of, spread
from quanheng.ledger.instruments.loan.terms import Grace, Kind, Method, Terms

part_id = parts_of("loan")


class Why(IntEnum):
    """Why value was posted."""

    ACCRUED = 1
    ROUNDED = 2
    PENALTY = 3
    FEE = 4
    ALLOCATED = 5
    PREPAID = 6
    CAPITALISED = 7
    WRITTEN_OFF = 8
    NOTED = 9
    RECOVERED = 10


class LoanBooks(NamedTuple):
    """The loan's own accounts. The receivables' credits, and the settlement's debits, are bound by the ledger."""

    fees: int
    penalty: int
    interest: int
    principal: int
    settlement: int
    written_off: int

    @classmethod
    def of(cls, loan: int) -> LoanBooks:
        """Those of a loan's id."""
        return cls(*(part_id(loan, f"account {name}") for name in cls._fields))

    def receivable(self, kind: Kind) -> int:
        """The account on which a kind is owed."""
        return int(getattr(self, kind.value))


class Posting(NamedTuple):
    """A transfer of the fold; `day` is its effective date."""

    why: Why
    debit: int
    credit: int
    amount_minor: int
    day: int


class Owed(NamedTuple):
    """Minor units by kind, and what was paid and is not allocated."""

    fees_minor: int
    penalty_minor: int
    interest_minor: int
    principal_minor: int
    unallocated_minor: int
    written_off_minor: int

    @property
    def total_minor(self) -> int:
        """All that is owed, before what is not allocated is set against it."""
        return self.fees_minor + self.penalty_minor + self.interest_minor + self.principal_minor


@dataclass(slots=True)
class Bill:
    """What fell due on a day and is not paid, by kind.

    penalty : on it, exact, since it fell due; `penalised` : what of that was posted
    """

    day: int
    owed: dict[Kind, int]
    penalty: Fraction = Fraction(0)
    penalised: int = 0


@dataclass(slots=True)
class LoanFold:
    """The loan at a day, while its history is folded. `contradiction` is the first event that cannot be, by id."""

    terms: Terms
    books: LoanBooks
    calendar: list[date] = field(init=False)
    dates: list[int] = field(init=False)
    day: int = field(init=False)
    not_due: int = field(init=False)
    period: int = 0
    accrued: Fraction = Fraction(0)
    accrued_posted: int = 0
    plan: list[int] = field(default_factory=list)
    level: int | None = None
    bills: list[Bill] = field(default_factory=list)
    unallocated: int = 0
    written_off: int = 0
    ended: bool = False
    contradiction: int = 0
    postings: list[Posting] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.calendar = due_dates(self.terms)
        self.dates = [day_of(one) for one in self.calendar]
        self.day, self.not_due = self.dates[0], self.terms.principal_minor
        self._replan()

    def run(self, events: Iterable[Event]) -> LoanFold:
        """Fold events in their order."""
        for event in sorted(events, key=order_of):
            self.advance(event.day)
            self._take(event)
        return self

    def fork(self) -> LoanFold:
        """The fold as it is, to go on with apart; without the postings so far."""
        one = copy(self)
        one.bills = [Bill(bill.day, dict(bill.owed), bill.penalty, bill.penalised) for bill in self.bills]
        one.plan, one.postings = list(self.plan), []
        return one

    def owed(self) -> Owed:
        """What is owed on the day the fold has come to, interest that is accrued and not billed included."""
        kinds = {kind: sum(bill.owed.get(kind, 0) for bill in self.bills) for kind in Kind}
        return Owed(
            kinds[Kind.FEES], kinds[Kind.PENALTY], kinds[Kind.INTEREST] + self.accrued_posted,
            kinds[Kind.PRINCIPAL] + self.not_due, self.unallocated, self.written_off,
        )  # fmt: skip

    # --- time

    def advance(self, day: int) -> None:
        """Accrue up to a day, billing each period that ends until then."""
        while not self.ended and self.period < self.terms.periods and self.dates[self.period + 1] <= day:
            self._accrue(self.dates[self.period + 1])
            self._end_period()
        self._accrue(day)

    def _accrue(self, day: int) -> None:
        if day <= self.day:
            return
        if self.ended:
            self.day = day
            return
        if self.period < self.terms.periods and self.not_due:
            self.accrued += self.not_due * Fraction(self.terms.rate) * self._fraction(self.day, day)
            posted = rounded(self.accrued, self.terms.accrual_rounding)
            self._post(
                Why.ACCRUED, self.books.interest, self.terms.books.interest_income, posted - self.accrued_posted, day
            )
            self.accrued_posted = posted
        penalty = sum(self._penalise(bill, day) for bill in self.bills)
        self._post(Why.PENALTY, self.books.penalty, self.terms.books.penalty_income, penalty, day)
        self.day = day

    def _fraction(self, start: int, end: int) -> Fraction:
        whole = fraction_of(self.terms, self.calendar, self.period, date_of(end))
        return whole - fraction_of(self.terms, self.calendar, self.period, date_of(start))

    def _penalise(self, bill: Bill, day: int) -> int:
        """Penalty on a bill up to a day: what is to be posted more."""
        penalty = self.terms.penalty
        if penalty is None:
            return 0
        base = bill.owed.get(Kind.PRINCIPAL, 0) + (bill.owed.get(Kind.INTEREST, 0) if penalty.on_interest else 0)
        starts = max(self.day, bill.day + penalty.grace_days)
        for begins, ends, rate in _rates(self.terms, starts, day):
            bill.penalty += base * rate * Fraction(ends - begins, penalty.year_days)
        posted = rounded(bill.penalty, self.terms.penalty_rounding)
        more = posted - bill.penalised
        bill.owed[Kind.PENALTY] = bill.owed.get(Kind.PENALTY, 0) + more
        bill.penalised = posted
        return more

    def _end_period(self) -> None:
        terms, number = self.terms, self.period
        if terms.method == Method.BULLET and number < terms.periods - 1:
            self.period += 1
            return
        interest = self._bill_interest()
        capitalises = number < terms.grace_periods and terms.grace == Grace.CAPITALISES
        self.period += 1
        if capitalises:
            self._post(Why.CAPITALISED, self.books.principal, self.books.interest, interest, self.day)
            self.not_due += interest
            self._replan()
            return
        part = min(self.plan[number], self.not_due) if self.period < terms.periods else self.not_due
        self.not_due -= part
        self._bill({Kind.INTEREST: interest, Kind.PRINCIPAL: part})

    def _bill_interest(self) -> int:
        """Round what has accrued for the bill; the difference to what was posted goes to the account for rounding."""
        billed = rounded(self.accrued, self.terms.billing_rounding)
        self._post(Why.ROUNDED, self.books.interest, self.terms.books.rounding, billed - self.accrued_posted, self.day)
        self.accrued, self.accrued_posted = Fraction(0), 0
        return billed

    def _replan(self, keep_level: bool = False) -> None:
        """Spread the principal that is not due over the periods to come."""
        terms, dates = self.terms, self.calendar
        first = max(self.period, terms.grace_periods)
        if self.period >= terms.periods:
            return
        growths = []
        for number in range(first, terms.periods):
            part = fraction_of(terms, dates, number, dates[number + 1])
            if number == self.period:
                part -= fraction_of(terms, dates, number, date_of(self.day))
            growths.append(Fraction(terms.rate) * part)
        accrued = self.accrued if first == self.period else Fraction(0)
        level = self.level if keep_level else None
        parts, self.level = spread(terms, self.not_due, growths, accrued, level)
        self.plan = [0] * first + parts

    # --- what is owed and paid

    def _post(self, why: Why, debit: int, credit: int, amount_minor: int, day: int) -> None:
        if amount_minor < 0:
            debit, credit, amount_minor = credit, debit, -amount_minor
        if amount_minor:
            self.postings.append(Posting(why, debit, credit, amount_minor, day))

    def _bill(self, owed: dict[Kind, int]) -> None:
        if any(owed.values()):
            self.bills.append(Bill(self.day, owed))
        self._allocate()

    def _fee(self, amount_minor: int) -> None:
        self._post(Why.FEE, self.books.fees, self.terms.books.fee_income, amount_minor, self.day)
        self._bill({Kind.FEES: amount_minor})

    def _allocate(self) -> None:
        rule = self.terms.allocation
        rank = {kind: place for place, kind in enumerate(rule.order)}
        open_ = [(place, kind) for place, bill in enumerate(self.bills) for kind in bill.owed]
        open_.sort(key=lambda one: (one[0], rank[one[1]]) if rule.by_instalment else (rank[one[1]], one[0]))
        for place, kind in open_:
            owed = self.bills[place].owed
            paid = min(self.unallocated, owed[kind])
            owed[kind] -= paid
            self.unallocated -= paid
            self._post(Why.ALLOCATED, self.books.settlement, self.books.receivable(kind), paid, self.day)
        self.bills = [bill for bill in self.bills if any(bill.owed.values())]

    def _take(self, event: Event) -> None:
        match event:
            case Charge():
                self._fee(event.amount_minor)
            case Pay():
                self._pay(event.amount_minor)
            case Prepay():
                self._prepay(event)
            case PayOff():
                self.fall_due()
                self._pay(event.amount_minor)
            case Refund():
                self._refund(event)
            case WriteOff():
                self._write_off()
            case Recover():
                self._recover(event)

    def _pay(self, amount_minor: int) -> None:
        self.unallocated += amount_minor
        self._allocate()

    def _prepay(self, event: Prepay) -> None:
        """Take a payment whose rest repays principal early."""
        self._pay(event.amount_minor)
        # The fee is a whole number that is at most what is left beside this part, whatever its rounding.
        part = self._early_part(rounded(self.unallocated / (1 + self._fee_rate), "ROUND_DOWN"))
        self._fee(rounded(part * self._fee_rate, self.terms.fee_rounding))
        self._repay_early(part)
        self._replan(keep_level=event.effect == Effect.SHORTENS)

    @property
    def _fee_rate(self) -> Fraction:
        return Fraction(self.terms.prepayment_fee_rate)

    def _early_part(self, most_minor: int) -> int:
        return min(most_minor, self.not_due)

    def _repay_early(self, part: int) -> None:
        self.unallocated -= part
        self.not_due -= part
        self._post(Why.PREPAID, self.books.settlement, self.books.principal, part, self.day)

    def fall_due(self) -> None:
        """Bill all that is left, with the fee for what is not due yet."""
        part, self.not_due = self.not_due, 0
        self._fee(rounded(part * self._fee_rate, self.terms.fee_rounding))
        interest, self.period = self._bill_interest(), self.terms.periods
        self._bill({Kind.INTEREST: interest, Kind.PRINCIPAL: part})

    def _refund(self, event: Refund) -> None:
        """Give back what is not allocated."""
        if event.amount_minor > self.unallocated:
            self.contradiction = self.contradiction or event.id
        self.unallocated -= min(event.amount_minor, self.unallocated)

    def _write_off(self) -> None:
        """Give up all that is owed, after what is not allocated was set against it."""
        self._bill({Kind.INTEREST: self._bill_interest()})
        self._repay_early(self._early_part(self.unallocated))
        owed, books = self.owed(), self.books
        for kind in Kind:
            amount = getattr(owed, f"{kind.value}_minor")
            self._post(Why.WRITTEN_OFF, self.terms.books.loss, books.receivable(kind), amount, self.day)
        self._post(Why.NOTED, books.written_off, self.terms.books.written_off_contra, owed.total_minor, self.day)
        self.written_off, self.ended, self.not_due, self.bills = owed.total_minor, True, 0, []
        self.accrued, self.accrued_posted = Fraction(0), 0

    def _recover(self, event: Recover) -> None:
        """Take a payment on what was written off."""
        self.unallocated += event.amount_minor
        part = min(self.unallocated, self.written_off)
        self.unallocated -= part
        self.written_off -= part
        self._post(Why.RECOVERED, self.books.settlement, self.terms.books.recovery_income, part, self.day)
        self._post(Why.NOTED, self.terms.books.written_off_contra, self.books.written_off, part, self.day)


def penalty_rate(terms: Terms, day: int) -> Fraction:
    """Rate of a year that overdue amounts bear on a day; 0 without penalty terms."""
    penalty = terms.penalty
    if penalty is None:
        return Fraction(0)
    base = _reference(terms, day) if penalty.reference else terms.rate
    rate = Fraction(penalty.multiple) * (Fraction(base) + Fraction(penalty.spread))
    if penalty.cap_multiple is None:
        return rate
    return min(rate, Fraction(penalty.cap_multiple) * Fraction(_reference(terms, terms.first_day)))


def _reference(terms: Terms, day: int) -> Decimal:
    """The reference rate in force; before the first one it is the first."""
    assert terms.penalty is not None
    rates = terms.penalty.reference
    return [rates[0], *(one for one in rates if one.day <= day)][-1].rate


def _rates(terms: Terms, start: int, end: int) -> Iterator[tuple[int, int, Fraction]]:
    """The days from start to end, cut where the reference rate changes."""
    assert terms.penalty is not None
    cuts = [one.day for one in terms.penalty.reference if start < one.day < end]
    edges = [start, *cuts, end] if start < end else []
    for begins, ends in pairwise(edges):
        yield begins, ends, penalty_rate(terms, begins)
