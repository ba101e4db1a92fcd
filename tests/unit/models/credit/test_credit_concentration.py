"""Shares, indices and breaches of a book by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from quanheng.kernel.errors import InputError
from quanheng.models.credit.concentration import BASEL, CHINA, Holding, Limit, concentration

BOOK = [
    Holding("mill", 300, "north", "east", "food"),
    Holding("farm", 100, "north", "west", "food"),
    Holding("yard", 500, "", "west", "ships", loan_minor=90),
    Holding("shop", 100, "alone", "west", "trade"),
]


def test_shares_and_indices_by_hand():
    found = concentration(BOOK)
    assert found.total_minor == 1_000
    by_name = {one.dimension: one for one in found.spreads}
    assert by_name["borrower"].hhi == pytest.approx(0.09 + 0.01 + 0.25 + 0.01)
    assert by_name["group"].largest == (("yard", 500), ("north", 400), ("alone", 100))
    assert by_name["region"].hhi == pytest.approx(0.49 + 0.09)
    assert by_name["industry"].largest[0] == ("ships", 500)
    assert concentration([]).spreads[0].hhi == 0


def test_a_limit_is_broken_above_it_and_not_at_it():
    # 25 percent of 1,600 is 400: the group is at it, the yard above.
    found = concentration(BOOK, BASEL, {"tier1": 1_600}).breaches
    assert [(one.name, one.found_minor, one.most_minor) for one in found] == [("yard", 500, 400)]
    found = concentration(BOOK, BASEL, {"tier1": 1_599}).breaches
    assert [(one.limit.dimension, one.name, one.most_minor) for one in found] == [
        ("borrower", "yard", 399), ("group", "north", 399),
    ]  # fmt: skip


def test_rules_of_china_by_hand():
    # Loans: 10 percent of 1,000 net; all: 15 percent of 900 = 135; groups: 20 percent of 900 = 180.
    found = concentration(BOOK, CHINA, {"tier1": 900, "net_capital": 1_000}).breaches
    assert [(one.limit.loans, one.limit.dimension, one.name, one.found_minor, one.most_minor) for one in found] == [
        (True, "borrower", "mill", 300, 100), (False, "borrower", "yard", 500, 135),
        (False, "borrower", "mill", 300, 135),
        (False, "group", "north", 400, 180),
    ]  # fmt: skip


def test_a_limit_of_the_lender_itself():
    found = concentration(BOOK, [Limit("region", Decimal("0.6"), "book", "own")])
    assert [(one.name, one.most_minor) for one in found.breaches] == [("west", 600)]


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match=r"borrower a: an exposure cannot be negative; was -1"):
        concentration([Holding("a", -1)])
    with pytest.raises(InputError, match=r"a limit is a share of a sum that is not told; was net_capital"):
        concentration(BOOK, CHINA, {"tier1": 1})
