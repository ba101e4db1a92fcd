"""The rate at which a loan earns the target return on its capital, after all that it is expected to cost.

A lender holds capital k * balance and borrows the rest. What belongs to capital each month is the profit after tax and
the capital that is set free; discounted at the target return it is worth the capital laid down at the start, or the
loan is not priced right. The flows are expected ones of the exact course of the loan: default, then the instalment,
then early repayment.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from math import isnan
from typing import Literal, NamedTuple

import numpy as np

from quanheng.kernel.errors import InputError
from quanheng.models.credit.bounds import within
from quanheng.models.credit.default_curves import MONTHS_MAX, YEAR_MONTHS, Curve
from quanheng.models.credit.exposure import annuity_shares, course

RATE_SEARCH_MAX = 1000.0
RATE_TOLERANCE = 1e-15
SENSITIVITY = ("pd", "lgd", "funding", "target_return", "cpr", "operating_rate")


class PriceTerms(NamedTuple):
    """A loan repaid by level instalments, and what it costs. Rates are fractions of a year, shares fractions.

    pd_hazards : f8[months] probability of default in each month of a loan that has come to it
    lgd : part lost of principal and interest at default, as a value on that day
    capital : part of the balance that is capital (`capital_share`)
    funding : f8[months], what the borrowed part costs in each month, a nominal rate of a year
    target_return : effective a year on capital, after tax
    operating_rate : of the balance a year; operating_month_minor : for each month a loan lives
    acquisition_minor, fee_minor : paid and received at the start; prepayment_fee : of what is repaid early
    """

    principal_minor: int
    months: int
    pd_hazards: Curve
    lgd: float
    capital: float
    funding: Curve
    target_return: float
    tax: float = 0.0
    cpr: float = 0.0
    operating_rate: float = 0.0
    operating_month_minor: int = 0
    acquisition_minor: int = 0
    fee_minor: int = 0
    prepayment_fee: float = 0.0


class Price(NamedTuple):
    """A rate, and what it does.

    exact : the rate with no value above the target, NaN where there is none up to `RATE_SEARCH_MAX`
    rate : what to offer, rounded up to the step, within floor and cap
    bound : what decided: target, floor, or cap (infeasible: at the cap the target is not earned)
    value_minor : value above the target of the offered rate, at the start
    """

    exact: float
    rate: Decimal
    bound: Literal["target", "floor", "cap"]
    value_minor: int


def funding_curve(points: dict[int, float], months: int) -> Curve:
    """f8[months]: the rate of each month, linear between the months that are given, level outside.

    Raises
    ------
    InputError : no point, or a rate outside of -10 to 100 percent
    """
    if not points:
        raise InputError("there is no cost of funds", where="funding", cure="Give a rate for one month or more.")
    for month, rate in points.items():
        within(f"funding at month {month}", rate, -0.1, 1.0)
    known = sorted(points)
    return np.asarray(np.interp(np.arange(1, months + 1), known, [points[month] for month in known]))


def value_above_target(terms: PriceTerms, rate: float) -> float:
    """Present value at the target return, in minor units, of all that belongs to capital at this nominal rate a year.

    With S the share of loans that come to a month and B the balance at its beginning, the month's profit before tax is
    S * (B * i - h * LGD * B * (1 + i) - (B - capital) * funding / 12 - operating) + fee on early repayment.
    """
    monthly = rate / YEAR_MONTHS
    balances = terms.principal_minor * annuity_shares(monthly, terms.months)
    start, end = balances[:-1], balances[1:]
    path = course(terms.pd_hazards, terms.cpr)
    capital = terms.capital * path.starting * start
    profit = (
        path.starting * start * monthly
        - path.defaulting * terms.lgd * start * (1.0 + monthly)
        - path.starting * start * (1.0 - terms.capital) * terms.funding / YEAR_MONTHS
        - path.starting * (start * terms.operating_rate / YEAR_MONTHS + terms.operating_month_minor)
        + path.prepaying * end * terms.prepayment_fee
    )
    freed = capital - np.concatenate((capital[1:], [0.0]))
    discount = (1.0 + terms.target_return) ** (-np.arange(1.0, terms.months + 1) / YEAR_MONTHS)
    after_tax = 1.0 - terms.tax
    at_start = after_tax * (terms.fee_minor - terms.acquisition_minor) - capital[0]
    return float(at_start + np.dot(discount, after_tax * profit + freed))


def exact_rate(terms: PriceTerms) -> float:
    """The lowest rate from 0 with no value below the target; 0 where even that has; NaN where there is none.

    Bracketed by doubling, then halved until both ends are `RATE_TOLERANCE` apart: the value grows with the rate.

    Raises
    ------
    InputError : a figure outside of what it can be
    """
    check_terms(terms)
    if value_above_target(terms, 0.0) >= 0.0:
        return 0.0
    low, high = 0.0, 0.25
    while value_above_target(terms, high) < 0.0:
        low, high = high, high * 2.0
        if high > RATE_SEARCH_MAX:
            return float("nan")
    while high - low > RATE_TOLERANCE * max(1.0, high):
        middle = (low + high) / 2.0
        if middle in (low, high):
            break
        if value_above_target(terms, middle) < 0.0:
            low = middle
        else:
            high = middle
    return high


def price(
    terms: PriceTerms, floor: Decimal = Decimal(0), cap: Decimal = Decimal(10), step: Decimal = Decimal("0.0001")
) -> Price:
    """The rate to offer: the exact one rounded up to `step`, then within floor and cap.

    Raises
    ------
    InputError : floor above cap, a step that is not positive, or a figure outside of what it can be
    """
    if not 0 <= floor <= cap or step <= 0:
        raise InputError(
            "floor, cap and step of the rate contradict each other",
            where="price",
            found=f"floor {floor}, cap {cap}, step {step}",
            allowed="0 <= floor <= cap, step above 0",
            cure="Rates are fractions: 0.24 is 24 percent.",
        )
    exact = exact_rate(terms)
    if isnan(exact):
        return Price(exact, cap, "cap", round(value_above_target(terms, float(cap))))
    rate = (Decimal(exact) / step).to_integral_value(ROUND_CEILING) * step
    bound: Literal["target", "floor", "cap"] = "target"
    if rate < floor:
        rate, bound = floor, "floor"
    elif rate > cap:
        rate, bound = cap, "target" if Decimal(exact) <= cap else "cap"
    return Price(exact, rate, bound, round(value_above_target(terms, float(rate))))


def sensitivities(terms: PriceTerms) -> dict[str, tuple[float, float]]:
    """Exact rate with each figure a tenth lower and a tenth higher (shares at most 1), all others as they are."""
    return {name: (exact_rate(_moved(terms, name, 0.9)), exact_rate(_moved(terms, name, 1.1))) for name in SENSITIVITY}


def _moved(terms: PriceTerms, name: str, times: float) -> PriceTerms:
    if name == "pd":
        return terms._replace(pd_hazards=np.minimum(terms.pd_hazards * times, 1.0))
    if name == "funding":
        return terms._replace(funding=terms.funding * times)
    moved = getattr(terms, name) * times
    return terms._replace(**{name: min(moved, 1.0) if name in ("lgd", "cpr") else moved})


def check_terms(terms: PriceTerms) -> None:
    """Every figure is what it can be.

    Raises
    ------
    InputError : one is not
    """
    within("principal_minor", terms.principal_minor, 1, 2**53)
    within("months", terms.months, 1, MONTHS_MAX)
    for name in ("lgd", "capital", "cpr", "prepayment_fee"):
        within(name, getattr(terms, name), 0.0, 1.0)
    within("tax", terms.tax, 0.0, 0.99)
    within("target_return", terms.target_return, 0.0, 10.0)
    within("operating_rate", terms.operating_rate, 0.0, 10.0)
    for name in ("operating_month_minor", "acquisition_minor", "fee_minor"):
        within(name, getattr(terms, name), 0, 2**53)
    for name in ("pd_hazards", "funding"):
        curve = getattr(terms, name)
        within(f"months of {name}", len(curve), terms.months, terms.months)
        low, high = (0.0, 1.0) if name == "pd_hazards" else (-1.0, 10.0)
        within(name, float(np.min(curve)), low, high)
        within(name, float(np.max(curve)), low, high)
