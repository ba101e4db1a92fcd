"""The book of revolving credit on its ledger and its log: refusals, snapshots, recovery, what can be asked."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from revolving_bench import ACCOUNT, FIRST, BothCredits, E, credit_product
from revolving_world import CreditWorld, day_of_life, products

from quanheng.kernel.errors import DeclarationError, InputError, LogCorrupt, NotFound
from quanheng.ledger.entries import AccountFlag, Amendment
from quanheng.ledger.instruments.loan.day_count import DayCount, day_of
from quanheng.ledger.instruments.revolving.book import MEASURES, CreditBook
from quanheng.ledger.instruments.revolving.events import CREDIT_EVENT, event, opened
from quanheng.ledger.instruments.revolving.outcomes import OUTCOMES, CreditOutcome
from quanheng.ledger.instruments.revolving.products import Grace, Kind, paid_above
from quanheng.ledger.instruments.revolving.statements import interest_free_days, statement_day

DUE, AVAILABLE = MEASURES.index("days_past_due"), MEASURES.index("available_minor")


@pytest.fixture
def world(tmp_path):
    return CreditWorld(tmp_path / "log").begin()


def some_life(world, days=200, seed=3):
    for day in range(days):
        world.take(day_of_life(seed, day))
        world.close()


def test_what_is_recovered_from_the_log_is_the_same(world):
    some_life(world)
    assert world.told["APPLIED"] > 500
    again = CreditWorld(world.path)
    again.servicing.recover()
    assert again.book.digest() == world.book.digest()
    assert again.ledger.digest() == world.ledger.digest()
    again.close()
    assert again.book.day == world.book.day + 1


def test_a_log_with_accounts_and_no_event_is_recovered(world):
    assert world.take(event(E.PAY, 1, FIRST, 1, 5)) == ["ACCOUNT_NOT_FOUND"]  # Nothing is written.
    again = CreditWorld(world.path)
    again.servicing.recover()
    assert again.ledger.digest() == world.ledger.digest()


def test_a_snapshot_goes_on_as_the_book_does(world):
    some_life(world, 100)
    copy = CreditBook.load(products(), world.book.dump())
    assert copy.digest() == world.book.digest()
    for day in range(100, 120):
        events = day_of_life(3, day)
        assert (copy.take(events) == world.book.take(events)).all()
        copy.close()
        world.book.close()
    assert copy.digest() == world.book.digest()


PRECEDENCE = [
    ("KIND_IS_UNKNOWN", E.DAY_CLOSED, 99, 1, 0, 0, 0),
    ("ACCOUNT_NOT_FOUND", E.PAY, 99, 1, 0, 0, 0),
    ("AMOUNT_IS_OUT_OF_RANGE", E.PAY, 1, 1, 1, 0, 0),
    ("AMOUNT_IS_OUT_OF_RANGE", E.PAY, 1, 0, 9, -5, 0),
    ("AMOUNT_IS_OUT_OF_RANGE", E.PAY, 1, 0, 9, 10**10 + 1, 0),
    ("AMOUNT_IS_OUT_OF_RANGE", E.LIMIT, 1, 0, 9, 5, 6),
    ("DAY_IS_IN_THE_FUTURE", E.DRAW, 1, 1, 1, 5, 0),
    ("DAY_IS_BEFORE_THE_ACCOUNT", E.DRAW, 1, -40, 1, 5, 0),
    ("EVENT_CANNOT_BE_BACK_DATED", E.DRAW, 1, -1, 1, 5, 0),
    ("EVENT_EXISTS", E.PAY, 1, -1, 1, 5, 0),
    ("EVENT_EXISTS", E.RECOVER, 1, 0, 1, 5, 0),
    ("ACCOUNT_IS_NOT_WRITTEN_OFF", E.RECOVER, 1, 0, 9, 5, 0),
    ("LIMIT_IS_EXCEEDED", E.CASH, 1, 0, 9, 1_001, 0),
    ("CASH_LIMIT_IS_EXCEEDED", E.CASH, 1, 0, 9, 501, 0),
    ("NOTHING_IS_OWED", E.WRITE_OFF, 1, 0, 9, 0, 0),
    ("ACCOUNT_IS_NOT_PAST_DUE", E.RE_AGE, 1, 0, 9, 0, 0),
    ("INSTALMENTS_CANNOT_BE", E.CONVERT, 1, 0, 9, 5, 61),
    ("INSTALMENTS_CANNOT_BE", E.CONVERT, 1, 0, 9, 5, 2001),
    ("INSTALMENTS_CANNOT_BE", E.CONVERT, 1, 0, 9, 5, -940),
    ("CONVERSION_EXCEEDS_PURCHASES", E.CONVERT, 1, 0, 9, 5, 3),
    ("PLAN_NOT_FOUND", E.SETTLE, 1, 0, 9, 0, 3),
    ("REFUND_EXCEEDS_CREDIT", E.REFUND, 1, 0, 9, 5, 0),
]


def test_refusals_in_order_of_precedence(world):
    first = world.book.day
    assert world.take(opened(1, 1, first, 1, 1_000, 182_500, 500)) == ["APPLIED"]
    world.close()
    today, digest, seen = world.book.day, world.book.digest(), set()
    for expected, kind, account, after, id, amount, extra in PRECEDENCE:
        assert world.take(event(kind, account, today + after, id, amount, extra)) == [expected], kind
        seen.add(expected)
    for expected, one in [
        ("ACCOUNT_EXISTS", opened(1, 9, today + 1, 1, -1, -1)),
        ("PRODUCT_NOT_FOUND", opened(2, 9, today + 1, 1, -1, -1)),
        ("TERMS_ARE_WRONG", opened(2, 1, today + 1, 1, -1, -1)),
        ("TERMS_ARE_WRONG", opened(2, 2, today, 1, 5, 999_999)),  # Of cash it would be over the ceiling.
        ("AMOUNT_IS_OUT_OF_RANGE", opened(2, 1, today + 1, 1, 5, 0, 6)),
        ("DAY_IS_IN_THE_FUTURE", opened(2, 1, today + 1, 1, 5, 0, 5)),
    ]:
        assert world.take(one) == [expected], expected
        seen.add(expected)
    assert world.book.digest() == digest
    assert world.take(event(E.BLOCK, 1, today, 2), event(E.DRAW, 1, today, 3, 5)) == ["APPLIED", "ACCOUNT_IS_BLOCKED"]
    late = event(E.PAY, 1, today, 4, 50), event(E.REFUND, 1, today, 5, 50), event(E.FEE, 1, today - 1, 6, 10)
    assert world.take(*late) == ["APPLIED", "APPLIED", "REPLAY_CONTRADICTS_LATER"]
    gone = event(E.FEE, 1, today, 6, 70), event(E.WRITE_OFF, 1, today, 7), event(E.PAY, 1, today, 8, 5)
    assert world.take(*gone) == ["APPLIED", "APPLIED", "ACCOUNT_IS_WRITTEN_OFF"]
    assert world.take(event(E.RECOVER, 1, today, 8, 71)) == ["RECOVERY_EXCEEDS_WRITTEN_OFF"]
    seen |= {"APPLIED", "ACCOUNT_IS_BLOCKED", "REPLAY_CONTRADICTS_LATER", "ACCOUNT_IS_WRITTEN_OFF"}
    assert seen | {"RECOVERY_EXCEEDS_WRITTEN_OFF"} == {one.name for one in CreditOutcome}
    assert all(one.en and one.zh for one in OUTCOMES.values())


def test_past_due_re_aged_written_off_and_recovered():
    both = BothCredits()
    assert both.do(E.DRAW, 100_000) == "APPLIED"
    both.pass_days(day_of(date(2024, 2, 10)) - FIRST)  # Statements on 5 January and 5 February.
    assert both.book.measures(ACCOUNT)[0, DUE] == day_of(date(2024, 2, 10)) - day_of(date(2024, 1, 25))
    assert both.do(E.PAY, 4_000) == "APPLIED"
    assert both.book.measures(ACCOUNT)[0, DUE] > 0  # A part of what is past due leaves it so.
    assert both.do(E.RE_AGE) == "APPLIED"
    assert both.book.measures(ACCOUNT)[0, DUE] == 0
    assert both.do(E.RE_AGE) == "ACCOUNT_IS_NOT_PAST_DUE"
    assert both.do(E.WRITE_OFF) == "APPLIED"
    both.pass_days(40)
    lost = both.slow.written_off
    assert lost > 96_000
    assert both.do(E.RECOVER, lost) == "APPLIED"
    assert both.do(E.RECOVER, 1) == "RECOVERY_EXCEEDS_WRITTEN_OFF"
    both.compare_statements()


def test_a_payment_that_comes_late_can_undo_a_late_fee_before_a_write_off():
    both = BothCredits()
    assert both.do(E.DRAW, 100_000) == "APPLIED"
    both.pass_days(100)
    assert both.do(E.WRITE_OFF) == "APPLIED"
    lost = both.slow.written_off
    both.pass_days(3)
    assert both.do(E.PAY, 50_000, back=90) == "APPLIED"
    assert both.slow.written_off < lost - 50_000
    assert both.do(E.PAY, 10**6, back=90) == "REPLAY_CONTRADICTS_LATER"  # Nothing would be left to write off.
    assert both.do(E.PAY, 5, back=3) == "ACCOUNT_IS_WRITTEN_OFF"


def test_how_long_a_purchase_is_free_of_interest():
    product = credit_product()
    day = day_of(date(2024, 1, 6))
    assert statement_day(product, day) == day_of(date(2024, 2, 5))
    assert interest_free_days(product, day, day) == 50  # The most: the day after a statement.
    assert interest_free_days(product, day - 1, day - 1) == 20  # The least: on its day.
    assert interest_free_days(product, day, day + 60) == 0
    assert interest_free_days(credit_product(grace=Grace.NONE), day, day) == 0
    leap = credit_product(statement_day=30)
    assert statement_day(leap, day_of(date(2024, 2, 1))) == day_of(date(2024, 2, 29))
    assert statement_day(leap, day_of(date(2023, 2, 1))) == day_of(date(2023, 2, 28))


def test_the_limit_that_is_left():
    both = BothCredits(limit=100_000, cash_limit=0)
    both.do(E.DRAW, 60_000)
    both.do(E.CONVERT, 60_000, 12)
    assert both.book.measures(ACCOUNT)[0, AVAILABLE] == 40_000  # A plan holds it until it is paid.
    assert both.do(E.LIMIT, 50_000, 0) == "APPLIED"
    assert both.book.measures(ACCOUNT)[0, AVAILABLE] == -10_000
    both.do(E.PAY, 90_000)
    assert both.book.measures(ACCOUNT)[0, AVAILABLE] == 80_000


def test_plans_are_told():
    both = BothCredits()
    both.do(E.DRAW, 100_000)
    both.do(E.CONVERT, 100_000, 3)
    both.pass_days(5)
    [plan] = both.book.plans(ACCOUNT)
    assert plan == (3, 100_000, 1_800, 3, 1, 66_667, 1_200)


def test_above_the_minimum_the_highest_rate_is_paid_first():
    assert paid_above(credit_product(highest_rate_above_minimum=True))[:2] == [Kind.CASH, Kind.REVOLVING]
    assert paid_above(credit_product()) == list(credit_product().order)


def test_an_account_that_is_opened_late_lives_up_to_today(world):
    for _ in range(10):
        world.close()
    assert world.take(opened(5, 1, FIRST + 2, 1, 10_000, 182_500)) == ["APPLIED"]
    assert world.take(event(E.FEE, 5, FIRST + 3, 2, 100)) == ["APPLIED"]
    assert [one.closing_minor for one in world.book.statements(5)] == [100]


@pytest.mark.parametrize("day", [-1, 60_000, 10**9])
def test_days_that_no_calendar_has(day):
    with pytest.raises(InputError, match="the day is not in the calendar of revolving credit"):
        CreditBook(products(), day)


def test_the_last_day_is_not_closed():
    book = CreditBook(products(), 59_999)
    with pytest.raises(InputError, match="the day is not in the calendar of revolving credit"):
        book.close()
    assert book.day == 59_999


def test_after_re_ageing_all_fees_and_interest_are_asked_for():
    both = BothCredits()
    both.do(E.DRAW, 100_000)
    both.pass_days(
        day_of(date(2024, 2, 6)) - FIRST
    )  # The statement of 5 February asks for 10,000 and what is past due.
    both.do(E.RE_AGE)
    both.pass_days(29)
    last = both.book.statements(ACCOUNT)[-1]
    newly = last.interest_minor + last.fees_minor
    owed = both.slow.owed(Kind.FEES, Kind.INTEREST)
    assert owed > newly  # Some are of the statement before.
    assert last.minimum_minor == 10_000 + max(owed, last.past_due_minor + newly)


def test_an_account_that_is_not_there():
    with pytest.raises(NotFound, match="there is no such account of revolving credit"):
        CreditBook(products(), FIRST).measures(5)


def test_products_that_cannot_be():
    wrong = credit_product(
        2, statement_day=32, due_days=28, day_count=DayCount.THIRTY_360_US, minimum_share=Decimal("0.0000001"),
        late_floor_minor=-1, order=(Kind.CASH,), fee_rounding="UP", rate_floor=Decimal(1), cash_rate_extra=Decimal(1),
    )  # fmt: skip
    with pytest.raises(DeclarationError, match="products of revolving credit: 10 problems") as caught:
        CreditBook([wrong], FIRST)
    assert [one.key for one in caught.value.problems] == [
        "number", "statement_day", "due_days", "courtesy_days", "day_count", "minimum_share", "late_floor_minor",
        "rate_ceiling", "order", "fee_rounding",
    ]  # fmt: skip
    assert "products are numbered 1, 2, 3" in str(caught.value)
    with pytest.raises(DeclarationError, match="products of revolving credit"):
        CreditBook([], FIRST)


def test_a_dump_of_other_products(world):
    with pytest.raises(InputError, match="the dump is of another book of revolving credit"):
        CreditBook.load(products()[:2], world.book.dump())


def test_events_of_another_book():
    with pytest.raises(LogCorrupt, match="an event of revolving credit could not have been taken"):
        CreditBook(products(), FIRST).apply(event(E.PAY, 1, FIRST, 1, 5))


def test_a_control_account_that_others_closed(world):
    world.take(opened(1, 1, FIRST, 1, 1_000, 0), event(E.DRAW, 1, FIRST, 2, 500))
    frozen = Amendment(products()[0].accounts.purchases, int(AccountFlag.DEBITS_FROZEN))
    world.ledger.amend_accounts([frozen], world.now_ms, FIRST)
    with pytest.raises(LogCorrupt, match="the ledger refused a posting of revolving credit"):
        world.servicing.close(world.now_ms)


def test_the_columns_have_the_names_they_are_told_by():
    book = CreditBook(products(), FIRST)
    book.take(opened(1, 2, FIRST, 1, 600, 0))
    assert book.measures().shape == (1, len(MEASURES))
    assert CREDIT_EVENT.itemsize == 64
