"""What only the book has, against its plain twin, day by day: holidays, stays, re-ageing, re-amortisation, floating
rates, steps. Then order of arrival: a payment that comes late with an early date gives the loan on which it came in
time, however much else there was."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "unit" / "ledger" / "instruments"))

from loan_bench import FIRST, terms
from loan_book_bench import LOAN, product_of

from quanheng.ledger.instruments.loan.actions import Charge, Effect, Pay, Prepay
from quanheng.ledger.instruments.loan.day_count import DayCount
from quanheng.ledger.instruments.loan.terms import Grace, Method, Penalty, ReferenceRate
from quanheng.ledger.instruments.loan_book.book import LoanBook
from quanheng.ledger.instruments.loan_book.events import HOLIDAY_ACCRUES, BookEvent, event, opened
from quanheng.testing.slow_loan_book import SlowBookLoan

E = BookEvent
KINDS = {
    "charge": E.CHARGE, "pay": E.PAY, "due": E.PAY, "prepay": E.PREPAY, "holiday": E.HOLIDAY, "stay": E.STAY,
    "re-age": E.RE_AGE, "re-amortise": E.RE_AMORTISE,
}  # fmt: skip
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["pay", "due", "prepay", "charge", "holiday", "stay", "re-age", "re-amortise"]),
        st.integers(0, 40), st.integers(0, 60), st.integers(1, 400_000),
    ), max_size=10,
)  # fmt: skip


@st.composite
def contracts(draw):
    method, periods = draw(st.sampled_from(list(Method))), draw(st.integers(1, 8))
    floats = draw(st.booleans())
    return {
        "method": method, "periods": periods, "principal_minor": draw(st.integers(1, 3_000_000)),
        "day_count": draw(st.sampled_from([one for one in DayCount if one != DayCount.ACT_ACT_ICMA])),
        "rate": Decimal(draw(st.sampled_from([0, 60_000, 123_457]))) / 10**6,
        "grace_periods": 0 if method == Method.BULLET else draw(st.integers(0, min(2, periods - 1))),
        "grace": draw(st.sampled_from(list(Grace))), "end_of_month": draw(st.booleans()),
        "penalty": None if floats else draw(st.sampled_from([None, Penalty(Decimal("1.5"), on_interest=True)])),
        "steps": draw(st.sampled_from([(), (Decimal(1), Decimal("1.25"), Decimal("0.8333"))])),
        "floats": floats, "reset": draw(st.sampled_from([1, 3])),
    }  # fmt: skip


SMALL = {
    "method": Method.ANNUITY, "periods": 2, "principal_minor": 3, "day_count": DayCount.THIRTY_360_US,
    "rate": Decimal(0), "grace_periods": 0, "grace": Grace.PAYS_INTEREST, "end_of_month": False, "penalty": None,
    "steps": (), "floats": False, "reset": 1,
}  # fmt: skip


class Twins:
    def __init__(self, steps, floats, reset, **contract):
        self.terms = terms(**contract)
        steps = steps if self.terms.method == Method.ANNUITY else ()
        prime = {FIRST - 3: Decimal("0.0345")}
        product = product_of(self.terms)
        changed = {"steps": steps}
        if floats:
            reference = tuple(ReferenceRate(day, rate) for day, rate in prime.items())
            changed |= {"floats": True, "reference": reference, "reset_periods": reset}
        fields = {name: getattr(product, name) for name in product.__struct_fields__}
        self.book = LoanBook([type(product)(**(fields | changed))], FIRST)
        rate = int(self.terms.rate * 10**6)
        self.book.take(opened(LOAN, 1, FIRST, 1, self.terms.principal_minor, rate, self.terms.periods))
        self.slow = SlowBookLoan(self.terms, steps, prime if floats else None, self.terms.rate, reset)
        self.prime, self.number, self.newest = prime, 100, (0, 0)
        self.compare()

    def take(self, kind, amount=0, extra=0):
        self.number += 1
        return not self.book.take(event(kind, LOAN, self.book.day, self.number, amount, extra))[0]

    def pass_days(self, days):
        for _ in range(days):
            self.book.close()
            self.slow.next_day()
            self.compare()

    def compare(self):
        measures = self.book.measures(LOAN)[0].tolist()
        assert measures[:6] == list(self.slow.owed())
        assert measures[7] == self.slow.days_past_due()
        assert self.book.coming(LOAN) == self.slow.coming()

    def play(self, name, passed, some, amount):
        self.pass_days(passed)
        if (self.book.day, KINDS[name]) < self.newest:  # Of one day kinds have an order; the twin knows arrival alone.
            self.pass_days(1)
        self.newest = (self.book.day, KINDS[name])
        slow, day, periods = self.slow, self.book.day, some % 5
        due = int(self.book.measures(LOAN)[0, 8])
        if name in ("pay", "due"):
            amount = due if name == "due" and due else amount
            if self.take(E.PAY, amount):
                slow.take(Pay(1, 1, LOAN, day, amount))
        elif name == "prepay":
            if self.take(E.PREPAY, amount, some % 2):
                slow.take(Prepay(1, 1, LOAN, day, amount, Effect.REDUCES if some % 2 else Effect.SHORTENS))
        elif name == "charge":
            assert self.take(E.CHARGE, amount)
            slow.take(Charge(1, 1, LOAN, day, amount))
        elif name == "holiday":
            if self.take(E.HOLIDAY, 0, periods + HOLIDAY_ACCRUES * (some > 30)):
                slow.holiday(periods, some > 30)
        elif name == "stay":
            if self.take(E.STAY, 0, day + some):
                slow.stay = max(slow.stay, day + some)
        elif name == "re-age":
            if self.take(E.RE_AGE, 0, periods):
                slow.re_age(periods)
        elif self.take(E.RE_AMORTISE, 0, periods):
            slow.re_amortise(periods)
        self.compare()


@settings(max_examples=60, deadline=None)
@given(contracts(), STEPS, st.lists(st.tuples(st.integers(1, 80), st.integers(0, 80)), max_size=2))
def test_the_book_is_its_plain_twin(contract, steps, rates):
    twins = Twins(**contract)
    if contract["floats"]:
        for after, rate in sorted(rates):
            if not twins.book.take(event(E.RATE, 1, FIRST + after, 1, 0, 1000 * rate))[0]:
                twins.prime[FIRST + after] = Decimal(rate) / 1000
    for step in steps:
        twins.play(*step)
    twins.pass_days(70)


@pytest.mark.parametrize("events", [((E.PAY, 1, 0), (E.CHARGE, 1, 0)), ((E.RE_AGE, 0, 1), (E.HOLIDAY, 0, 1))])
def test_of_one_day_kinds_go_in_their_order_whichever_comes_first(events):
    """Found by the twin: a charge that comes behind a payment of its day is folded before it."""
    first, second = Twins(**SMALL), Twins(**SMALL)
    for twins, order in ((first, events), (second, events[::-1])):
        twins.pass_days(31)
        assert [twins.take(*one) for one in order] == [True, True]
    assert first.book.measures(LOAN).tolist() == second.book.measures(LOAN).tolist()
    assert first.book.coming(LOAN) == second.book.coming(LOAN)


@settings(max_examples=40, deadline=None)
@given(contracts(), STEPS, st.integers(1, 300_000), st.integers(1, 60))
def test_a_late_payment_with_an_early_date_gives_the_loan_on_which_it_came_in_time(contract, steps, amount, back):
    in_time, late = Twins(**contract), Twins(**contract)
    for twins in (in_time, late):
        twins.pass_days(65 - back)
    pay = event(E.PAY, LOAN, late.book.day, 50, amount)
    in_time.book.take(pay)
    outcomes = []
    for twins in (in_time, late):
        told = []
        for _ in range(back):
            twins.book.close()
        for number, (name, passed, some, paid) in enumerate(steps):
            for _ in range(passed):
                twins.book.close()
            kind = {"holiday": E.HOLIDAY, "re-age": E.RE_AGE, "charge": E.CHARGE}.get(name, E.PAY)
            told += twins.book.take(event(kind, LOAN, twins.book.day, 200 + number, paid, some % 5)).tolist()
        outcomes.append(told)
    if outcomes[0] != outcomes[1] or late.book.take(pay)[0]:
        return  # With the payment in time something else was possible: the book says so, or the past was another.
    assert np.array_equal(in_time.book.measures(), late.book.measures())
    assert np.array_equal(in_time.book.flows(), late.book.flows())
    assert in_time.book.coming(LOAN) == late.book.coming(LOAN)
