"""A statement tells what the book knows: the same sums, the same days past due, whatever came in whatever order."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.properties.ledger.instruments.test_loan_book_twin import FIRST, LOAN, STEPS, Twins, contracts

from quanheng.ledger.instruments.loan_book.events import BookEvent, event
from quanheng.ledger.instruments.loan_book.kernel import words as w
from quanheng.ledger.instruments.loan_book.statement import NEVER, Standing, statement


def assert_tells(book) -> None:
    told = statement(book, LOAN)
    measures, flows = book.measures(LOAN)[0], book.flows()[0]
    assert list(told.measures) == measures.tolist()
    assert list(told.coming) == book.coming(LOAN)
    assert [sum(kinds) for kinds in zip(*(one.paid for one in told.due), strict=True)] == (
        flows[w.PAID_FEES : w.PAID_FEES + w.KINDS].tolist() if told.due else []
    )
    gone = (Standing.WRITTEN_OFF, Standing.RE_AGED)
    left = [one for one in told.due if one.paid_day == NEVER and one.standing not in gone]
    assert sum(one.billed.total_minor - one.paid.total_minor for one in left) == measures[8]
    assert max((one.late_days for one in left), default=0) == max(measures[7], 0)
    assert all(one.billed == one.paid for one in told.due if one.paid_day != NEVER)
    assert [one.day for one in told.due] == sorted(one.day for one in told.due)
    assert {(one.day, one.kind, one.came) for one in told.entries} == {
        (day, BookEvent(kind), came) for day, kind, _, _, _, came in book.events_of(LOAN)
    }
    assert all(one.replayed == (one.came > one.day) for one in told.entries)
    if told.entries:
        paid = np.array([one.paid for one in told.entries])
        assert (paid.sum(axis=0) <= flows[w.PAID_FEES : w.PAID_FEES + w.KINDS]).all()


@settings(max_examples=60, deadline=None)
@given(contracts(), STEPS, st.lists(st.tuples(st.integers(1, 80), st.integers(0, 80)), max_size=2),
       st.integers(1, 300_000), st.integers(0, 60))  # fmt: skip
def test_a_statement_tells_what_the_book_knows(contract, steps, rates, amount, back):
    twins = Twins(**contract)
    for after, rate in sorted(rates) if contract["floats"] else []:
        if not twins.book.take(event(BookEvent.RATE, 1, FIRST + after, 1, 0, 1000 * rate))[0]:
            twins.prime[FIRST + after] = Decimal(rate) / 1000
    for step in steps:
        twins.play(*step)
    twins.pass_days(40)
    day = max(twins.book.day - back, int(twins.book.words()[0, w.L_FIRST]))
    twins.book.take(event(BookEvent.PAY, LOAN, day, 9_999, amount))
    assert_tells(twins.book)
    for _ in range(35):
        twins.book.close()
    twins.book.take(event(BookEvent.WRITE_OFF, LOAN, twins.book.day, 10_000))
    assert_tells(twins.book)
