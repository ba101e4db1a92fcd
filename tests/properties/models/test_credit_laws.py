"""Laws of expected loss and price, for any loan: equal to their slow twins, and monotone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.models.credit.default_curves import hazards_of_pd, marginal, shifted, survival
from quanheng.models.credit.expected_loss import Scenario, expected_loss, losses_by_month
from quanheng.models.credit.exposure import annuity, prepaid_month
from quanheng.models.credit.price import PriceTerms, exact_rate, value_above_target
from quanheng.testing.slow_credit import drawn_expected_loss, repaid, slow_expected_loss, slow_value

SHARE = st.floats(0.0, 1.0)
MONTHS = st.integers(1, 48)
RATE = st.just(0.0) | st.floats(1e-4, 2.0)  # The twin's powers lose the digits of a smaller rate.


@st.composite
def terms(draw):
    months = draw(MONTHS)
    return PriceTerms(
        principal_minor=draw(st.integers(10_000, 10**9)), months=months,
        pd_hazards=hazards_of_pd(draw(st.floats(0.0, 0.5)), months, draw(st.floats(0.5, 2.0))),
        lgd=draw(SHARE), capital=draw(st.floats(0.0, 0.3)),
        funding=np.array(draw(st.lists(st.floats(0.0, 0.1), min_size=months, max_size=months))),
        target_return=draw(st.floats(0.1, 0.5)), tax=draw(st.floats(0.0, 0.5)), cpr=draw(st.floats(0.0, 0.9)),
        operating_rate=draw(st.floats(0.0, 0.05)), operating_month_minor=draw(st.integers(0, 100)),
        acquisition_minor=draw(st.integers(0, 1_000)), fee_minor=draw(st.integers(0, 1_000)),
        prepayment_fee=draw(st.floats(0.0, 0.05)),
    )  # fmt: skip


@given(SHARE, MONTHS, st.floats(0.1, 5.0), st.floats(-5, 5))
def test_curves_are_probabilities(pd, months, shape, log_odds):
    hazards = shifted(hazards_of_pd(pd, months, shape), log_odds)
    assert ((hazards >= 0) & (hazards <= 1)).all()
    assert marginal(hazards).sum() + survival(hazards)[-1] == pytest.approx(1)


@given(SHARE, RATE, MONTHS, SHARE, SHARE)
def test_loss_is_what_is_owed_less_the_cash_of_every_end(pd, rate, months, lgd, cpr):
    exposure, hazards = annuity(1_000_000, rate, months), hazards_of_pd(pd, months)
    assert exposure.balances == pytest.approx(repaid(1_000_000, rate / 12, months), abs=1e-3)
    lost = losses_by_month(exposure, hazards, np.full(months, lgd), cpr)
    rows = exposure.balances.tolist(), rate / 12, hazards.tolist(), [lgd] * months, prepaid_month(cpr)
    assert lost.sum() == pytest.approx(slow_expected_loss(*rows, months), abs=1e-3)
    assert lost[:12].sum() == pytest.approx(slow_expected_loss(*rows, 12), abs=1e-3)


@given(SHARE, SHARE, MONTHS, SHARE, SHARE, st.floats(0.0, 3.0))
def test_loss_grows_with_pd_and_lgd_and_with_the_horizon(pd, more, months, lgd, cpr, log_odds):
    exposure = annuity(1_000_000, 0.12, months)
    low, high = sorted((pd, more))
    first, second = (expected_loss(exposure, hazards_of_pd(one, months), lgd, 2, cpr=cpr) for one in (low, high))
    assert first.twelve_months_minor <= first.lifetime_minor
    assert first.twelve_months_minor <= second.twelve_months_minor + 1
    assert first.lifetime_minor <= 1_000_000 * lgd + 1
    worse = expected_loss(exposure, hazards_of_pd(low, months), lgd, 2, (Scenario("down", 1.0, log_odds),), cpr)
    assert worse.lifetime_minor >= first.lifetime_minor or cpr > 0 or log_odds == 0
    half = expected_loss(exposure, hazards_of_pd(low, months), lgd / 2, 2, cpr=cpr)
    assert half.lifetime_minor == pytest.approx(first.lifetime_minor / 2, abs=1)


def test_the_mean_of_drawn_loans_is_the_loss():
    exposure, hazards = annuity(1_000_000, 0.18, 24), hazards_of_pd(0.2, 24, 0.7)
    lost = losses_by_month(exposure, hazards, np.full(24, 0.6), 0.15).sum()
    rows = exposure.balances.tolist(), 0.015, hazards.tolist(), [0.6] * 24, prepaid_month(0.15)
    mean, error = drawn_expected_loss(*rows, draws=20_000, seed=7)
    assert abs(mean - lost) < 4 * error
    assert error < lost / 30


@given(terms(), RATE)
@settings(deadline=None)
def test_value_is_the_cash_of_every_end(loan, rate):
    assert value_above_target(loan, rate) == pytest.approx(
        slow_value(loan, rate), rel=1e-9, abs=loan.principal_minor * 1e-9
    )


@given(terms())
@settings(deadline=None)
def test_the_value_at_the_price_is_less_than_a_unit(loan):
    rate = exact_rate(loan)
    if np.isnan(rate):
        assert value_above_target(loan, 1_000.0) < 0
    elif rate > 0:
        assert abs(value_above_target(loan, rate)) < 1
        assert value_above_target(loan, rate * 0.999) < 0 < value_above_target(loan, rate * 1.001 + 1e-9)
    else:
        assert value_above_target(loan, 0.0) >= 0


@given(terms(), st.sampled_from(["pd", "lgd", "funding", "tax", "operating_rate"]), st.floats(1.01, 1.5))
@settings(deadline=None)
def test_the_price_grows_with_what_a_loan_costs(loan, name, times):
    # What is paid at the start is earned back over the life, which PD shortens: it is left out.
    loan = loan._replace(acquisition_minor=0, fee_minor=0, prepayment_fee=0.0)
    if name == "pd":
        # A loan that loses nothing and costs more with age is cheaper where it ends sooner: all months cost alike.
        level = np.full(loan.months, loan.funding[0])
        hazards = np.full(loan.months, loan.pd_hazards[0])
        loan = loan._replace(funding=level, pd_hazards=hazards, operating_month_minor=0)
        more = loan._replace(pd_hazards=np.minimum(hazards * times, 1.0))
    elif name == "funding":
        more = loan._replace(funding=loan.funding * times)
    else:
        more = loan._replace(**{name: min(getattr(loan, name) * times, 0.9 if name == "tax" else 1.0)})
    if name == "lgd" and loan.lgd > more.lgd:
        return
    low, high = exact_rate(loan), exact_rate(more)
    assert np.isnan(high) or high >= low - 1e-9 * max(1.0, low)


@given(terms())
@settings(deadline=None)
def test_where_all_months_cost_alike_the_price_is_a_fraction(loan):
    """Then every month must earn what it costs: i = (capital's share + funds + running + h LGD) / (1 - h LGD)."""
    hazard, funds = float(loan.pd_hazards[0]), float(loan.funding[0])
    loan = loan._replace(
        pd_hazards=np.full(loan.months, hazard), funding=np.full(loan.months, funds),
        operating_month_minor=0, acquisition_minor=0, fee_minor=0, prepayment_fee=0.0,
    )  # fmt: skip
    asked = loan.capital * ((1 + loan.target_return) ** (1 / 12) - 1) / (1 - loan.tax)
    costs = asked + (1 - loan.capital) * funds / 12 + loan.operating_rate / 12 + hazard * loan.lgd
    assert exact_rate(loan) == pytest.approx(12 * costs / (1 - hazard * loan.lgd), rel=1e-9, abs=1e-10)
