"""Month ends of a book against counting loan by loan in plain Python."""

from __future__ import annotations

from collections import Counter
from datetime import date

import numpy as np
import pytest
from loan_book_bench import product

from quanheng.kernel.errors import InputError
from quanheng.ledger.instruments.loan.day_count import day_of
from quanheng.ledger.instruments.loan_book.book import LoanBook
from quanheng.ledger.instruments.loan_book.events import BookEvent, event, opened
from quanheng.ledger.instruments.loan_book.month_ends import MonthEnds

FIRST = day_of(date(2024, 1, 10))
NAMES = ["M0", "M1", "M2", "M3", "M4", "M5", "M6", "M7", "repaid", "written off"]


class Plain:
    """The same, a loan at a time."""

    def __init__(self):
        self.months, self.states, self.bad, self.rolled = [], [], [], []

    def look(self, book):
        states, bad, owes = {}, {}, {}
        for row in range(1, book.count + 1):
            loan = int(book.words()[row - 1, 0])
            one = book.measures(loan)[0].tolist()
            owed, lost, days = sum(one[:4]), one[5], one[7]
            was_lost = self.states and self.states[-1].get(loan) == "written off"
            if lost or (was_lost and not owed):
                states[loan] = "written off"
            elif not owed:
                states[loan] = "repaid"
            else:
                states[loan] = f"M{sum(days >= first for first in (1, 31, 61, 91, 121, 151, 181))}"
            bad[loan] = lost if states[loan] == "written off" else owed if days > 90 else 0
            owes[loan] = owed
        rolled = Counter()
        if self.states:
            for loan, before in self.states[-1].items():
                rolled[before, states[loan]] += self.owes[loan]
        self.owes = owes
        self.states.append(states)
        self.bad.append(bad)
        self.rolled.append(+rolled)


@pytest.fixture(scope="module")
def lived():
    rng = np.random.default_rng(11)
    book = LoanBook([product(1), product(2)], FIRST)
    ends, plain = MonthEnds(), Plain()
    number, pays = 0, {}
    for _ in range(800):
        number += 1
        if book.count < 60 and rng.random() < 0.2:
            loan = book.count + 1
            book.take(opened(loan, 1 + loan % 2, book.day, number, int(rng.integers(10_000, 90_000)), 120_000, 12))
            pays[loan] = rng.random()
        for loan, habit in pays.items():
            due = int(book.measures(loan)[0, 8])
            if due and rng.random() < habit**2 / 3:
                number += 1
                book.take(event(BookEvent.PAY, loan, book.day, number, due))
            elif due and book.measures(loan)[0, 7] > 200 and rng.random() < 0.05:
                number += 1
                book.take(event(BookEvent.WRITE_OFF, loan, book.day, number))
            elif (lost := int(book.measures(loan)[0, 5])) and rng.random() < 0.02:
                number += 1
                book.take(event(BookEvent.RECOVER, loan, book.day, number, max(1, lost // int(rng.integers(1, 3)))))
        if ends.look(book):
            plain.look(book)
        book.close()
    return book, ends, plain


def test_states_are_those_of_each_loan(lived):
    _, ends, plain = lived
    assert ends.states == tuple(NAMES)
    assert len(ends.ends) == len(plain.states) > 20
    for end, states in zip(ends.ends, plain.states, strict=True):
        counted = Counter(states.values())
        assert end.loans[0].tolist() == [counted[name] for name in NAMES]
        assert (end.loans[0] == end.loans[1:].sum(axis=0)).all()
    assert {"M1", "M7", "repaid", "written off"} <= {one for states in plain.states for one in states.values()}


def test_what_rolls_is_what_was_owed(lived):
    _, ends, plain = lived
    for end, rolled, before in zip(ends.ends[1:], plain.rolled[1:], ends.ends, strict=False):
        shown = {(NAMES[a], NAMES[b]): int(end.rolled_minor[0, a, b]) for a, b in np.argwhere(end.rolled_minor[0])}
        assert shown == dict(rolled)
        assert (end.rolled_minor[0].sum(axis=1) == before.owed_minor[0]).all()


def test_classes_and_stages_share_out_what_is_owed(lived):
    for end in lived[1].ends:
        assert (end.class_minor.sum(axis=1) == end.owed_minor.sum(axis=1)).all()
        assert (end.stage_minor.sum(axis=1) == end.owed_minor.sum(axis=1)).all()
        assert (end.class_minor[:, 0] == end.owed_minor[:, 0]).all()


def test_vintages_follow_each_loan(lived):
    book, ends, plain = lived
    for number in (0, 1, 2):
        table = ends.vintages(number)
        expected = Counter()
        young = Counter()
        for words in book.words().tolist():
            loan, which, first = words[0], words[1], date.fromordinal(words[4] + date(1970, 1, 1).toordinal())
            if number in (0, which):
                month = first.year * 12 + first.month
                for age in range(table.bad_minor.shape[1]):
                    at = month + age - ends.ends[0].month
                    if at < len(plain.bad):
                        expected[month, age] += plain.bad[at][loan]
                    else:
                        young[month, age] += 1
        assert expected
        for place, month in enumerate(table.months.tolist()):
            for age, bad in enumerate(table.bad_minor[place].tolist()):
                assert bad == (-1 if young[month, age] else expected[month, age])
    assert ends.vintages().bad_minor.max() > 0


def test_a_month_that_is_missing_is_refused():
    book, ends = LoanBook([product(1)], day_of(date(2024, 1, 31))), MonthEnds()
    assert ends.vintages().months.tolist() == []
    assert ends.look(book)
    while book.day < day_of(date(2024, 3, 31)):
        book.close()
    with pytest.raises(InputError) as caught:
        ends.look(book)
    assert "a month is missing" in str(caught.value)
    assert "2024-03" in str(caught.value)


def test_bad_days_are_positive():
    with pytest.raises(InputError, match="the days from which a loan is bad are not positive"):
        MonthEnds(0)
