"""Day counts against dates counted by hand, interest against fractions, months that end."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quanheng.ledger.instruments import discount
from quanheng.ledger.instruments.action_fold import Party
from quanheng.ledger.instruments.discount import ROUNDINGS, DayCount, DiscountTerms, InterestShare, day_number

D = DayCount


@pytest.mark.parametrize(
    ("basis", "first", "due", "expected"),
    [
        (D.ACTUAL_360, (2024, 1, 31), (2024, 3, 1), (30, 360)),
        (D.ACTUAL_365_FIXED, (2024, 1, 1), (2025, 1, 1), (366, 365)),
        (D.THIRTY_360, (2024, 1, 31), (2024, 3, 31), (60, 360)),
        (D.THIRTY_360, (2024, 1, 30), (2024, 3, 31), (60, 360)),
        (D.THIRTY_360, (2024, 1, 29), (2024, 3, 31), (62, 360)),
        (D.THIRTY_360, (2023, 2, 28), (2024, 2, 29), (361, 360)),
        (D.THIRTY_360, (2024, 5, 31), (2024, 6, 1), (1, 360)),
    ],
)
def test_day_counts(basis, first, due, expected):
    assert discount.interest_days(basis, day_number(*first), day_number(*due)) == expected


@pytest.mark.parametrize(
    ("first", "months", "expected"),
    [
        ((2024, 8, 31), 6, (2025, 2, 28)),
        ((2023, 8, 31), 6, (2024, 2, 29)),
        ((2024, 6, 30), 6, (2024, 12, 30)),
        ((2024, 12, 15), 1, (2025, 1, 15)),
        ((2024, 1, 31), 11, (2024, 12, 31)),
        ((2024, 3, 31), 0, (2024, 3, 31)),
    ],
)
def test_months_later(first, months, expected):
    assert discount.months_later(day_number(*first), months) == day_number(*expected)


@given(st.integers(0, 40_000), st.integers(0, 30))
def test_months_later_keeps_the_day_or_ends_the_month(day, months):
    was, then = (date(1970, 1, 1) + timedelta(days=n) for n in (day, discount.months_later(day, months)))
    assert (then.year - was.year) * 12 + then.month - was.month == months
    assert then.day == was.day or (then.day < was.day and (then + timedelta(days=1)).day == 1)


def slow_interest(face, rate, days, year, rounding):
    """The exact interest as a fraction, rounded by cases."""
    exact = Fraction(face) * Fraction(rate) * days / year
    below = exact.numerator // exact.denominator
    rest = exact - below
    half = Fraction(1, 2)
    if rounding == "ROUND_UP":
        return below + (rest > 0)
    if rounding == "ROUND_HALF_UP":
        return below + (rest >= half)
    if rounding == "ROUND_HALF_EVEN":
        return below + (rest > half or (rest == half and below % 2))
    return below


@given(
    st.integers(1, 10**15), st.decimals("0.000001", "0.999999", places=6), st.integers(1, 400),
    st.sampled_from(ROUNDINGS), st.sampled_from([D.ACTUAL_360, D.ACTUAL_365_FIXED]), st.integers(0, 9),
)  # fmt: skip
def test_interest_is_exact_and_rounded_once(face, rate, days, rounding, basis, extra):
    terms = DiscountTerms(rate, basis, rounding, extra)
    year = 360 if basis == D.ACTUAL_360 else 365
    assert discount.interest_minor(face, terms, 100, 100 + days) == slow_interest(
        face, rate, days + extra, year, rounding
    )


@pytest.mark.parametrize(("rounding", "expected"), list(zip(ROUNDINGS, (3, 2, 2, 3), strict=True)))
def test_a_tie(rounding, expected):
    """100 at 9 % for 100 of 360 days are 2.5."""
    assert discount.interest_minor(100, DiscountTerms(Decimal("0.09"), rounding=rounding), 0, 100) == expected


@given(st.integers(1, 10**12), st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any))
def test_shares_make_up_the_interest(face, weights):
    shares = tuple(InterestShare(Party(n + 1, n + 1), weight) for n, weight in enumerate(weights))
    asked = discount.price(face, "CNY", 1, DiscountTerms(Decimal("0.07"), shares=shares), 0, 180)
    assert sum(asked.parts_minor) == asked.interest_minor
    assert asked.paid_minor + asked.interest_minor == face
    exact = [Fraction(asked.interest_minor * weight, sum(weights)) for weight in weights]
    assert all(abs(one - part) < 1 for one, part in zip(exact, asked.parts_minor, strict=True))


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": Decimal(0)},
        {"rate": Decimal(1)},
        {"rate": Decimal("NaN")},
        {"rate": Decimal("-0.1")},
        {"rate": Decimal("1E-13")},
        {"rate": 0},
        {"basis": "ACT/364"},
        {"rounding": "ROUND_CEILING"},
        {"extra_days": 32},
        {"extra_days": True},
    ],
)
def test_wrong_terms(wrong):
    assert discount.wrong_rate(DiscountTerms(**{"rate": Decimal("0.05"), **wrong}))


def test_right_terms():
    assert not discount.wrong_rate(DiscountTerms(Decimal("0.050000000000000")))
    assert not discount.wrong_rate(DiscountTerms(Decimal("1E-12"), D.THIRTY_360, "ROUND_DOWN", 31))


def test_wrong_shares():
    one = InterestShare(Party(1, 1), 1)
    assert not discount.wrong_shares(())
    assert not discount.wrong_shares((one, InterestShare(Party(2, 2), 0)))
    for shares in [(one, one), (InterestShare(Party(1, 1), 0),), (InterestShare(Party(0, 1), 1),)]:
        assert discount.wrong_shares(shares)
    assert discount.wrong_shares((InterestShare(Party(1, 1), -1), InterestShare(Party(2, 2), 2)))
    assert discount.wrong_shares(tuple(InterestShare(Party(n, n), 1) for n in range(1, 18)))


def test_days_where_clocks_are_ahead():
    assert discount.day_of(16 * 3_600_000 - 1, 8 * 3_600_000) == 0
    assert discount.day_of(16 * 3_600_000, 8 * 3_600_000) == 1
