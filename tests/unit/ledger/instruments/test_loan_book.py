"""The book on its ledger and its log: sums posted per product and day, recovery, snapshots, refusals."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from loan_book_bench import product

from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.ledger.entries import Account, AccountFlag
from quanheng.ledger.instruments.loan.day_count import DayCount, day_of
from quanheng.ledger.instruments.loan.terms import Method, Penalty, ReferenceRate
from quanheng.ledger.instruments.loan_book.book import LoanBook
from quanheng.ledger.instruments.loan_book.events import BookEvent, event, opened
from quanheng.ledger.instruments.loan_book.outcomes import OUTCOMES
from quanheng.ledger.instruments.loan_book.postings import control_balances
from quanheng.ledger.instruments.loan_book.servicing import Servicing
from quanheng.ledger.ledger import Ledger

TYPE, BANK, CUSTOMER = 40, 1, 2
FIRST = day_of(date(2024, 1, 15))
PENALTY = Penalty(Decimal("1.5"), on_interest=True)
PRIME = (ReferenceRate(FIRST - 10, Decimal("0.0345")),)


def products():
    return [
        product(1, penalty=PENALTY),
        product(2, method=Method.EQUAL_PRINCIPAL, day_count=DayCount.ACT_ACT_ISDA, prepayment_fee_rate=Decimal("0.01")),
        product(3, floats=True, reference=PRIME, reset_periods=1, penalty=Penalty(Decimal("1.5"), reference=PRIME)),
        product(4, own_cash=True),
    ]


def of(outcomes):
    return [OUTCOMES[one].name for one in outcomes.tolist()]


class World:
    """A book, its ledger and its log in a file."""

    def __init__(self, path):
        self.path = path
        self.log = Log.open(SqliteLogStore(path), "tests")
        self.servicing = Servicing("tests", LoanBook(products(), FIRST), Ledger(), self.log, TYPE)
        self.book, self.ledger = self.servicing.book, self.servicing.ledger

    @property
    def now_ms(self):
        return self.book.day * 86_400_000

    def begin(self):
        others = [Account(BANK, 400, 1), Account(CUSTOMER, 400, 1, AccountFlag.DEBITS_BOUND)]
        self.servicing.open_accounts(self.now_ms, others)
        return self

    def take(self, *events):
        return of(self.servicing.take(np.concatenate(events), self.now_ms))

    def close(self):
        closed = self.servicing.close(self.now_ms)
        assert self.servicing.differences(closed) == []
        return closed

    def until(self, day):
        while self.book.day < day:
            self.close()


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "log").begin()


def some_life(world, days=120, seed=5):
    """Loans of three products, with payments on time, late, early and back-dated, and what else there is."""
    rng, number = np.random.default_rng(seed), 0
    for day in range(days):
        events = []
        for kind in rng.choice(12, rng.integers(0, 6)):
            number += 1
            loan, back = int(rng.integers(1, 40)), int(rng.integers(0, 20))
            today, amount = world.book.day, int(rng.integers(1, 200_000))
            if kind < 3:
                events.append(
                    opened(number, 1 + kind % 3, today - back, number, 10 * amount, 60_000 - 50_000 * (kind == 2), 6)
                )
            elif kind < 8:
                events.append(event(BookEvent.PAY, loan, today - back * (kind == 7), number, amount))
            elif kind == 8:
                events.append(event(BookEvent.PREPAY, loan, today, number, amount, back % 2))
            elif kind == 9:
                events.append(event(BookEvent(int(rng.integers(8, 12))), loan, today, number, 0, 1 + back % 3))
            elif kind == 10:
                events.append(event(BookEvent(int(rng.integers(5, 8))), loan, today, number, amount))
            else:
                events.append(event(BookEvent.CHARGE, loan, today - back, number, 50))
        if events:
            world.take(*events)
        if day == 40:
            assert world.take(event(BookEvent.RATE, 3, world.book.day + 5, number, 0, 38_000)) == ["APPLIED"]
        world.close()


def test_control_accounts_are_the_sums_over_the_loans_every_day(world):
    some_life(world)
    assert world.book.count > 20
    assert control_balances(world.ledger, world.book.products)[:, 1:].any(axis=0).all()


def test_what_is_recovered_from_the_log_is_the_same(world):
    some_life(world)
    again = World(world.path)
    again.servicing.recover()
    assert again.book.digest() == world.book.digest()
    assert again.ledger.digest() == world.ledger.digest()
    again.close()
    assert again.book.day == world.book.day + 1


def test_a_snapshot_goes_on_as_the_book_does(world):
    some_life(world, 60)
    copy = LoanBook.load(products(), world.book.dump())
    assert copy.digest() == world.book.digest()
    late = event(BookEvent.PAY, 1, world.book.day - 3, 9_001, 700)
    assert (copy.take(late) == world.book.take(late)).all()
    copy.close()
    world.book.close()
    assert copy.digest() == world.book.digest()
