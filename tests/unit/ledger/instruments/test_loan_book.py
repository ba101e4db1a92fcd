"""The book on its ledger and its log: sums posted per product and day, recovery, snapshots, refusals."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from loan_book_bench import product

from quanheng.kernel.errors import DeclarationError, InputError, LogCorrupt, NotFound
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.ledger.entries import Account, AccountFlag, Amendment
from quanheng.ledger.instruments.loan.day_count import DayCount, day_of
from quanheng.ledger.instruments.loan.terms import Method, Penalty, ReferenceRate
from quanheng.ledger.instruments.loan_book.book import MEASURES, LoanBook
from quanheng.ledger.instruments.loan_book.events import BOOK_EVENT, BookEvent, event, opened
from quanheng.ledger.instruments.loan_book.kernel import words as w
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


def test_a_log_with_accounts_and_no_event_is_recovered(world):
    again = World(world.path)
    again.servicing.recover()
    assert again.ledger.digest() == world.ledger.digest()


def test_a_snapshot_goes_on_as_the_book_does(world):
    some_life(world, 60)
    copy = LoanBook.load(products(), world.book.dump())
    assert copy.digest() == world.book.digest()
    late = event(BookEvent.PAY, 1, world.book.day - 3, 9_001, 700)
    assert (copy.take(late) == world.book.take(late)).all()
    copy.close()
    world.book.close()
    assert copy.digest() == world.book.digest()


def open_one(world, number=1, product=1, periods=6, rate=60_000, account=0, principal=600_000):
    return world.take(opened(number, product, world.book.day, number, principal, rate, periods, account))


def test_money_of_a_customers_own_account_moves_in_transfers_of_its_own(world):
    """Lent to it and paid from it; what it does not have is refused, and what the book refuses is given back."""
    assert open_one(world, product=4, account=CUSTOMER) == ["APPLIED"]
    assert world.ledger.balance(CUSTOMER).credits_posted_minor == 600_000
    day = world.book.day
    assert world.take(event(BookEvent.PAY, 1, day, 2, 700_000)) == ["MONEY_WAS_REFUSED"]
    assert world.take(event(BookEvent.PAY, 1, day, 3, 100_000)) == ["APPLIED"]
    assert world.take(event(BookEvent.PAY, 1, day, 3, 100_000)) == ["EVENT_EXISTS"]
    assert world.take(event(BookEvent.RECOVER, 1, day, 4, 100_000)) == ["LOAN_IS_NOT_WRITTEN_OFF"]
    balance = world.ledger.balance(CUSTOMER)
    assert balance.credits_posted_minor - balance.debits_posted_minor == 500_000
    world.close()
    again = World(world.path)
    again.servicing.recover()
    assert again.book.digest() == world.book.digest()
    assert again.ledger.digest() == world.ledger.digest()


def test_refusals_in_order_of_precedence(world):
    assert open_one(world) == ["APPLIED"]
    day, E = world.book.day, BookEvent
    for expected, one in [
        ("KIND_IS_UNKNOWN", event(E.DAY_CLOSED, 1, day, 9)),
        ("LOAN_NOT_FOUND", event(E.PAY, 99, day, 9, 5)),
        ("AMOUNT_IS_OUT_OF_RANGE", event(E.PAY, 1, day, 9, 0)),
        ("DAY_IS_IN_THE_FUTURE", event(E.PAY, 1, day + 1, 9, 5)),
        ("DAY_IS_BEFORE_THE_LOAN", event(E.PAY, 1, day - 1, 9, 5)),
        ("LOAN_EXISTS", opened(1, 1, day, 9, 5, 0, 1)),
        ("PRODUCT_NOT_FOUND", opened(2, 9, day, 9, 5, 0, 1)),
        ("PRODUCT_NOT_FOUND", event(E.RATE, 1, day + 1, 9, 0, 5)),
        ("TERMS_ARE_WRONG", opened(2, 1, day, 9, 0, 0, 1)),
        ("TERMS_ARE_WRONG", opened(2, 1, day, 9, 5, 0, 601)),
        ("TERMS_ARE_WRONG", opened(2, 4, day, 9, 5, 0, 1)),
        ("TERMS_ARE_WRONG", event(E.RATE, 3, day + 1, 9, 0, -1)),
        ("DAY_IS_IN_THE_FUTURE", opened(2, 1, day + 1, 9, 5, 0, 1)),
        ("DAY_IS_BEFORE_THE_NEWEST", event(E.RATE, 3, day, 9, 0, 5)),
        ("LOAN_IS_NOT_WRITTEN_OFF", event(E.RECOVER, 1, day, 9, 5)),
        ("PAYOFF_IS_TOO_LOW", event(E.PAY_OFF, 1, day, 9, 5)),
        ("REFUND_EXCEEDS_UNALLOCATED", event(E.REFUND, 1, day, 9, 5)),
        ("LOAN_CANNOT_BE_CHANGED", event(E.RE_AGE, 1, day, 9, 0, 3)),
        ("CHANGE_CANNOT_BE", event(E.HOLIDAY, 1, day, 9, 0, 0)),
        ("CHANGE_CANNOT_BE", event(E.STAY, 1, day, 9, 0, day)),
    ]:
        assert world.take(one) == [expected], expected
    assert world.take(event(E.PAY, 1, day, 10, 5)) == ["APPLIED"]
    assert world.take(event(E.PAY, 1, day, 10, 5)) == ["EVENT_EXISTS"]
    world.close()
    assert world.take(event(E.REFUND, 1, day, 11, 5)) == ["DAY_IS_BEFORE_THE_NEWEST"]
    late = event(E.REFUND, 1, day + 1, 11, 5), event(E.CHARGE, 1, day, 12, 5)
    assert world.take(*late) == ["APPLIED", "REPLAY_CONTRADICTS_REFUND"]
    assert world.take(event(E.WRITE_OFF, 1, day + 1, 13)) == ["REPLAY_CONTRADICTS_REFUND"]  # It comes before a refund.
    world.close()
    assert world.take(event(E.WRITE_OFF, 1, day + 2, 13)) == ["APPLIED"]
    assert world.take(event(E.PAY, 1, day + 2, 14, 5)) == ["LOAN_IS_WRITTEN_OFF"]
    assert world.take(event(E.RECOVER, 1, day + 2, 15, 10**9)) == ["RECOVERY_EXCEEDS_WRITTEN_OFF"]


def test_a_fee_with_an_early_date_that_would_use_refunded_money_is_refused(world):
    assert open_one(world) == ["APPLIED"]
    day = world.book.day
    assert world.take(event(BookEvent.PAY, 1, day, 2, 500)) == ["APPLIED"]
    world.close()
    assert world.take(event(BookEvent.REFUND, 1, day + 1, 3, 500)) == ["APPLIED"]
    digest = world.book.digest()
    assert world.take(event(BookEvent.CHARGE, 1, day, 4, 100)) == ["REPLAY_CONTRADICTS_REFUND"]
    assert world.book.digest() == digest


def test_a_payment_that_makes_a_later_re_ageing_impossible_is_refused(world):
    assert open_one(world, periods=2) == ["APPLIED"]
    day = world.book.day
    world.until(day + 70)
    assert world.take(event(BookEvent.RE_AGE, 1, world.book.day, 2, 0, 3)) == ["APPLIED"]
    world.close()
    digest = world.book.digest()
    assert world.take(event(BookEvent.PAY, 1, day + 65, 3, 10**7)) == ["REPLAY_CONTRADICTS_LATER"]
    assert world.book.digest() == digest


def test_a_loan_that_is_not_there():
    with pytest.raises(NotFound, match="there is no such loan in the book"):
        LoanBook(products(), FIRST).measures(5)


def test_products_that_cannot_be():
    wrong = product(2, penalty=Penalty(Decimal("1.5"), reference=PRIME), steps=(Decimal("0.00001"),), floats=True)
    with pytest.raises(DeclarationError, match="products of a loan book: 4 problems") as caught:
        LoanBook([wrong], FIRST)
    assert [one.key for one in caught.value.problems] == ["number", "steps", "floats", "penalty"]
    assert "products are numbered 1, 2, 3" in str(caught.value)


def test_a_dump_of_other_products(world):
    with pytest.raises(InputError, match="the dump is of another loan book"):
        LoanBook.load(products()[:2], world.book.dump())


def test_events_of_another_book():
    with pytest.raises(LogCorrupt, match="an event of the loan book could not have been taken"):
        LoanBook(products(), FIRST).apply(opened(1, 9, FIRST, 1, 5, 0, 1))


def test_a_control_account_that_others_closed(world):
    open_one(world)
    world.ledger.amend_accounts(
        [Amendment(products()[0].accounts.principal, int(AccountFlag.DEBITS_FROZEN))], world.now_ms, FIRST
    )
    with pytest.raises(LogCorrupt, match="the ledger refused a posting of the loan book"):
        world.servicing.close(world.now_ms)


def test_the_columns_have_the_names_they_are_told_by():
    book = LoanBook(products(), FIRST)
    book.take(opened(1, 2, FIRST, 1, 600, 0, 6))
    assert book.measures().shape == (1, len(MEASURES))
    assert book.words().shape == (1, w.L_WORDS)
    assert BOOK_EVENT.itemsize == 80
