"""The price of a loan against tables worked by hand."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from quanheng.kernel.errors import InputError
from quanheng.models.credit.default_curves import hazards_of_pd
from quanheng.models.credit.price import (
    PriceTerms,
    exact_rate,
    funding_curve,
    price,
    sensitivities,
    value_above_target,
)

ONE_MONTH = PriceTerms(
    principal_minor=1_000_000, months=1, pd_hazards=np.array([0.02]), lgd=0.5, capital=0.1,
    funding=np.array([0.06]), target_return=1.01**12 - 1,
)  # fmt: skip
YEAR = PriceTerms(
    principal_minor=1_000_000, months=12, pd_hazards=hazards_of_pd(0.05, 12), lgd=0.6, capital=0.08,
    funding=funding_curve({1: 0.03}, 12), target_return=0.15, tax=0.25, cpr=0.1, operating_rate=0.01,
    operating_month_minor=100, acquisition_minor=2_000, fee_minor=1_000, prepayment_fee=0.01,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "month_rate"),
    [
        # i - 0.01 (1 + i) - 0.9 * 0.005 = 0.1 * 0.01
        ({}, (0.01 + 0.0045 + 0.001) / 0.99),
        # All is lost by one in a hundred, nothing else: the rate of an even bet.
        ({"pd_hazards": np.array([0.01]), "lgd": 1.0, "funding": np.zeros(1), "target_return": 0.0}, 0.01 / 0.99),
        # Tax of a half: profit must be twice what capital asks.
        ({"tax": 0.5}, (0.01 + 0.0045 + 0.002) / 0.99),
        # 12 percent a year of running costs and 5.00 a month: 0.01 and 500 / 1,000,000 on top.
        ({"operating_rate": 0.12, "operating_month_minor": 500}, (0.0155 + 0.0105) / 0.99),
        # Paid for at the start: 100.00, a month of target return later 101.00.
        ({"acquisition_minor": 10_000}, (0.0155 + 0.0101) / 0.99),
        ({"fee_minor": 5_000, "acquisition_minor": 10_000}, (0.0155 + 0.00505) / 0.99),
        # No risk, no capital: the cost of funds.
        ({"pd_hazards": np.zeros(1), "capital": 0.0}, 0.005),
        ({"pd_hazards": np.zeros(1), "capital": 0.0, "funding": np.zeros(1)}, 0.0),
        # In the last month nothing is left that could be repaid early.
        ({"cpr": 0.9, "prepayment_fee": 0.5}, 0.0155 / 0.99),
    ],
)
def test_a_loan_of_one_month_by_hand(changes, month_rate):
    assert exact_rate(ONE_MONTH._replace(**changes)) == pytest.approx(12 * month_rate, abs=1e-12)


def test_the_rate_is_rounded_up_to_the_step_and_kept_between_floor_and_cap():
    assert exact_rate(ONE_MONTH) == pytest.approx(0.187878787, abs=1e-8)
    found = price(ONE_MONTH)
    assert (found.rate, found.bound) == (Decimal("0.1879"), "target")
    assert 0 < found.value_minor < 12
    assert price(ONE_MONTH, floor=Decimal("0.2"))[1:3] == (Decimal("0.2"), "floor")
    # What the step would take over the cap stays at it.
    assert price(ONE_MONTH, cap=Decimal("0.18788"), step=Decimal("0.01"))[1:3] == (Decimal("0.18788"), "target")
    capped = price(ONE_MONTH, cap=Decimal("0.12"))
    # i = 0.01: 0.01 - 0.0101 - 0.0045 = -0.0046 of a million, less 0.001 of target, a month discounted.
    assert capped[1:3] == (Decimal("0.12"), "cap")
    assert capped.value_minor == round(-5_600 / 1.01)


def test_a_loan_that_always_defaults_has_no_price():
    found = price(ONE_MONTH._replace(pd_hazards=np.ones(1), lgd=1.0), cap=Decimal("0.36"))
    assert np.isnan(found.exact)
    assert (found.rate, found.bound) == (Decimal("0.36"), "cap")
    assert found.value_minor == round(-1_004_500 / 1.01 - 1_000 / 1.01)


def test_the_value_at_the_price_is_nothing():
    assert abs(value_above_target(YEAR, exact_rate(YEAR))) < 1e-6


def test_sensitivities_are_the_price_with_one_figure_moved():
    found = sensitivities(YEAR)
    base = exact_rate(YEAR)
    for name in ("pd", "lgd", "funding", "target_return", "operating_rate"):
        low, high = found[name]
        assert low < base < high, name
    assert found["lgd"][1] == exact_rate(YEAR._replace(lgd=0.6 * 1.1))


def test_funding_between_the_points_is_linear():
    assert funding_curve({2: 0.02, 4: 0.04}, 5) == pytest.approx([0.02, 0.02, 0.03, 0.04, 0.04])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: price(YEAR, floor=Decimal(1), cap=Decimal("0.5")), r"floor, cap and step of the rate contradict"),
        (
            lambda: price(YEAR, step=Decimal(0)),
            r"was floor 0, cap 10, step 0; allowed: 0 <= floor <= cap, step above 0",
        ),
        (lambda: funding_curve({}, 3), r"there is no cost of funds"),
        (lambda: funding_curve({1: 2.0}, 3), r"funding at month 1: the figure is outside"),
        (lambda: exact_rate(YEAR._replace(lgd=1.2)), r"lgd: the figure is outside of what it can be; was 1.2"),
        (lambda: exact_rate(YEAR._replace(months=13)), r"months of pd_hazards: the figure is outside"),
        (lambda: exact_rate(YEAR._replace(principal_minor=0)), r"principal_minor: the figure is outside"),
    ],
)
def test_what_cannot_be_priced_is_refused(call, text):
    with pytest.raises(InputError, match=text):
        call()
