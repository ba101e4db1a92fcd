"""Golden schedules of the book: level instalments that lenders publish, and a loan's life as a table."""

from __future__ import annotations

import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "unit" / "ledger" / "instruments"))

from loan_book_bench import product

from quanheng.ledger.instruments.loan.day_count import DayCount, date_of, day_of
from quanheng.ledger.instruments.loan.terms import Method, Penalty
from quanheng.ledger.instruments.loan_book.book import MEASURES, LoanBook
from quanheng.ledger.instruments.loan_book.events import BookEvent, event, opened

FIRST = day_of(date(2024, 1, 15))

# Principal, rate, months, first instalment: the figures that calculators of lenders give for these terms (30/360,
# monthly). Annuity: P i / (1 - (1 + i)**-n). Equal principal: P / n + P i.
PUBLISHED = [
    (Method.ANNUITY, 1_000_000_00, "0.049", 360, 5_307_27),  # 等额本息, 30 years at 4.9 percent
    (Method.EQUAL_PRINCIPAL, 1_000_000_00, "0.049", 360, 6_861_11),  # 等额本金, the same
    (Method.ANNUITY, 200_000_00, "0.065", 360, 1_264_14),  # 30 years at 6.5 percent
    (Method.ANNUITY, 100_000_00, "0.06", 12, 8_606_64),
    (Method.ANNUITY, 12_000_00, "0", 12, 1_000_00),
    (Method.ANNUITY, 1, "0.36", 3, 0),  # One cent: nothing, nothing, all of it.
    (Method.BULLET, 10_000_00, "0.05", 12, 0),
    (Method.INTEREST_ONLY, 10_000_00, "0.06", 12, 50_00),
]


@pytest.mark.parametrize("row", PUBLISHED)
def test_first_instalments_that_lenders_publish(row):
    method, principal, rate, periods, expected = row
    book = LoanBook([product(1, method=method, day_count=DayCount.THIRTY_E_360)], FIRST)
    assert not book.take(opened(1, 1, FIRST, 1, principal, int(Decimal(rate) * 10**6), periods))[0]
    plan = book.coming(1)
    i = Decimal(rate) / 12
    assert plan[0][1] + int((principal * i).quantize(Decimal(1))) * (method != Method.BULLET) == expected
    assert sum(part for _, part in plan) == principal
    if method == Method.ANNUITY and i:
        assert abs(principal * i / (1 - (1 + i) ** -periods) - expected) < Decimal("0.5") or principal == 1


# A year of 12,000.00 at 6 percent, 30E/360; penalty 1.5 times the rate on overdue principal, days over 360.
# Day, what came (dated) and how much; then due, days late, penalty in what is due, waiting; what became of the past.
# 97,280 x 9 % x 15 / 360 = 364.8; 5,514 + 97,766 = 103,280; 53,280 x 9 % x 5 / 360 = 66.6
LIFE = """
2024-02-14  -                    |      0   0    0     0
2024-02-15  -                    | 103280   0    0     0  due
2024-03-01  -                    | 103645  15  365     0  late
2024-03-01  2024-02-15  103280   |      0   0    0     0  reversed and replayed
2024-03-15  -                    | 103280   0    0     0  due
2024-03-15  2024-03-15   50000   |  53280   0    0     0  paid in part
2024-03-20  -                    |  53347   5   67     0  late
2024-03-20  2024-03-20   60000   |      0   0    0  6653  paid, and more
2024-04-15  -                    |  96627   0    0     0  due, less what waited
2024-04-15  2024-04-15       1   |  96626   0    0     0  one cent
"""


def test_the_life_of_a_loan():
    terms = product(1, day_count=DayCount.THIRTY_E_360, penalty=Penalty(Decimal("1.5")))
    book = LoanBook([terms], FIRST)
    book.take(opened(1, 1, FIRST, 1, 1_200_000, 60_000, 12))
    income = 0
    for number, line in enumerate(LIFE.strip().splitlines(), 2):
        left, right = line.split("|")
        day, dated, *amount = left.split()
        while book.day < day_of(date.fromisoformat(day)):
            book.close()
        if amount:
            back = day_of(date.fromisoformat(dated))
            assert not book.take(event(BookEvent.PAY, 1, back, number, int(amount[0])))[0], line
        one = dict(zip(MEASURES, book.measures(1)[0].tolist(), strict=True))
        due, late, penalty, waiting, *said = right.split()
        told = [one[name] for name in ("past_due_minor", "days_past_due", "penalty_minor", "unallocated_minor")]
        assert told == [int(due), int(late), int(penalty), int(waiting)], line
        replayed = income > (income := int(book.flows()[0, 3]))
        assert replayed == ("replayed" in said), line
    assert date_of(book.day) == date(2024, 4, 15)


def test_a_leap_day_is_a_day():
    """29 February 2024 to 31 March: 31 days, of which one is the leap day; ACT/365F and ACT/ACT differ by it."""
    found = {}
    for count in (DayCount.ACT_365F, DayCount.ACT_ACT_ISDA, DayCount.ACT_360):
        first = day_of(date(2024, 2, 28))
        book = LoanBook([product(1, day_count=count, method=Method.INTEREST_ONLY)], first)
        book.take(opened(1, 1, first, 1, 1_000_000_00, 36_500, 1))
        book.close()
        book.close()
        found[count] = int(book.measures(1)[0, 6])
    assert found == {DayCount.ACT_365F: 200_00, DayCount.ACT_ACT_ISDA: 199_45, DayCount.ACT_360: 202_78}
