"""A golden statement: the life of a loan line by line, as its customer reads it."""

from __future__ import annotations

import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "unit" / "ledger" / "instruments"))

from loan_book_bench import product

from quanheng.kernel.errors import NotFound
from quanheng.ledger.instruments.loan.day_count import DayCount, date_of, day_of
from quanheng.ledger.instruments.loan.terms import Penalty
from quanheng.ledger.instruments.loan_book.book import LoanBook
from quanheng.ledger.instruments.loan_book.events import BookEvent, event, opened
from quanheng.ledger.instruments.loan_book.statement import NEVER, statement

FIRST = day_of(date(2024, 1, 15))
EVENTS = """
2024-03-01  2024-02-15  PAY       103280
2024-03-15  2024-03-15  PAY        50000
2024-03-20  2024-03-20  PAY        60000
2024-03-20  2024-03-20  CHARGE      1000
2024-04-15  2024-04-15  PAY            1
2024-05-20  2024-05-20  RE_AGE         0
2024-06-15  2024-06-15  PAY        90000
2024-07-01  2024-07-01  CHARGE       500
2024-08-01  2024-08-01  WRITE_OFF      0
2024-08-10  2024-08-10  RECOVER    70000
"""
# 12,000.00 at 6 percent, 30E/360; penalty 9 percent on overdue principal. The first payment came two weeks late and
# counts from its due day, so that no penalty is left; what was overdue in May became principal; the rest was lost.
# What fell due: day, fees, penalty, interest, principal, paid of it, on which day, days late, what became of it.
# April: 98,255 - 628 that waited - 1; 97,626 x 9 % x 35 / 360 = 854. May: 98,747 x 9 % x 5 / 360 = 123.
DUE = """
2024-02-15     0    0  6000   97280  103280  2024-02-15    0  paid
2024-03-15     0   67  5514   97766  103347  2024-03-20    5  paid_late
2024-03-20  1000    0     0       0    1000  2024-03-20    0  paid
2024-04-15     0  854  5025   98255    5654  -            35  re_aged
2024-05-15     0  123  4533   98747       0  -             5  re_aged
2024-06-15     0  459  4881  124184   90000  -            47  written_off
2024-07-01   500    0     0       0       0  -            31  written_off
2024-07-15     0  530  4428  124637       0  -            17  written_off
"""
# Entries: day, the day it came, kind, amount, then what it paid: fees, penalty, interest, principal; owed after, waits.
# Of one day charges stand before payments.
ENTRIES = """
2024-02-15  2024-03-01  PAY        103280     0    0  6000  97280  1102720     0  replayed
2024-03-15  2024-03-15  PAY         50000     0    0  5514  44486  1058234     0
2024-03-20  2024-03-20  CHARGE       1000     0    0     0      0  1060138     0
2024-03-20  2024-03-20  PAY         60000  1000   67     0  53280  1005791  5653
2024-04-15  2024-04-15  PAY             1     0    0     0      1  1004325     0
2024-05-20  2024-05-20  RE_AGE          0     0    0     0      0  1010508     0
2024-06-15  2024-06-15  PAY         90000     0    0  4881  85119   924716     0
2024-07-01  2024-07-01  CHARGE        500     0    0     0      0   927734     0
2024-08-01  2024-08-01  WRITE_OFF       0     0    0     0      0        0     0
2024-08-10  2024-08-10  RECOVER     70000     0    0     0      0        0     0
"""


@pytest.fixture(scope="module")
def told():
    terms = product(1, day_count=DayCount.THIRTY_E_360, penalty=Penalty(Decimal("1.5")))
    book = LoanBook([terms], FIRST)
    book.take(opened(7, 1, FIRST, 1, 1_200_000, 60_000, 12))
    for number, line in enumerate(EVENTS.split("\n")[1:-1], 2):
        on, dated, kind, amount = line.split()
        while book.day < day_of(date.fromisoformat(on)):
            book.close()
        back = day_of(date.fromisoformat(dated))
        assert not book.take(event(BookEvent[kind], 7, back, number, int(amount)))[0], line
    return statement(book, 7)


def shown(day: int) -> str:
    return "-" if day == NEVER else date_of(day).isoformat()


def test_what_fell_due_and_what_became_of_it(told):
    lines = [
        [shown(one.day), *map(str, one.billed), str(one.paid.total_minor), shown(one.paid_day), str(one.late_days),
         str(one.standing)]
        for one in told.due
    ]  # fmt: skip
    assert lines == [line.split() for line in DUE.strip().splitlines()]


def test_what_came_and_what_it_paid(told):
    lines = [
        [shown(one.day), shown(one.came), one.kind.name, str(one.amount_minor), *map(str, one.paid),
         str(one.owed_minor), str(one.waiting_minor), *(["replayed"] if one.replayed else [])]
        for one in told.entries
    ]  # fmt: skip
    expected = [line.split() for line in ENTRIES.strip().splitlines()]
    assert lines == expected
    assert (told.lent_minor, shown(told.first_day), shown(told.last_day)) == (1_200_000, "2024-01-15", "2024-08-10")


def test_a_loan_that_is_not_there_has_no_statement():
    with pytest.raises(NotFound, match="there is no such loan in the book"):
        statement(LoanBook([product(1)], FIRST), 9)
