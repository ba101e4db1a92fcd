"""Segments of applicants, and what each pair of limit and price is expected to bring in a year."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec
import numpy as np

from quanheng.models.credit.bounds import within
from quanheng.models.credit.capital import Kind, capital_share
from quanheng.models.credit.default_curves import shifted


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """Applicants that are given one limit and one price.

    take_up : share that accepts at `price_reference`
    price_slope : log-odds of accepting lost for each percentage point of price above the reference
    adverse : log-odds of default gained for each such point: who accepts a high price is riskier
    utilisation : part of the limit that is drawn; ccf : part of the rest that is drawn by the time of default
    region, industry, product : what exposure is capped by; group : what fairness is measured by
    """

    name: str
    applicants: int
    pd: float
    lgd: float
    take_up: float
    utilisation: float
    ccf: float = 0.0
    price_reference: float = 0.0
    price_slope: float = 0.0
    adverse: float = 0.0
    region: str = ""
    industry: str = ""
    product: str = ""
    group: str = ""


class Economics(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for every segment. funding, target_return : a year; account_minor : cost of an account for a year."""

    funding: float
    target_return: float
    account_minor: int = 0
    capital_kind: Kind = "retail"


class Cell(msgspec.Struct, frozen=True):
    """One choice for a segment. Sums are expected ones of a year, in minor units; limit 0 = decline.

    exposure_minor : at default; profit_minor : after expected loss and the target return on capital
    """

    limit_minor: int
    price: Decimal
    accounts: float
    exposure_minor: int
    loss_minor: int
    capital_minor: int
    profit_minor: int


DECLINE = Cell(0, Decimal(0), 0.0, 0, 0, 0, 0)


def cells_of(
    segment: Segment, limits_minor: Sequence[int], prices: Sequence[Decimal], economics: Economics
) -> list[Cell]:
    """To decline, and every pair of limit and price, in the order given.

    Raises
    ------
    InputError : a figure outside of what it can be
    """
    _check(segment, economics)
    return [DECLINE, *(_cell(segment, limit, price, economics) for limit in limits_minor for price in prices)]


def _cell(segment: Segment, limit_minor: int, price: Decimal, economics: Economics) -> Cell:
    within("limit_minor", limit_minor, 1, 2**53)
    within("price", float(price), 0.0, 10.0)
    points = 100.0 * (float(price) - segment.price_reference)
    pd = float(shifted(np.array([segment.pd]), _bounded(segment.adverse * points))[0])
    accounts = segment.applicants * float(
        shifted(np.array([segment.take_up]), _bounded(-segment.price_slope * points))[0]
    )
    drawn = limit_minor * segment.utilisation
    exposure = drawn + segment.ccf * (limit_minor - drawn)
    loss = pd * segment.lgd * exposure
    capital = capital_share(pd, segment.lgd, economics.capital_kind) * exposure
    earned = drawn * (float(price) - economics.funding) - economics.account_minor
    profit = earned - loss - capital * (economics.target_return - economics.funding)
    sums = (round(accounts * one) for one in (exposure, loss, capital, profit))
    return Cell(limit_minor, price, accounts, *sums)


def _bounded(log_odds: float) -> float:
    return max(-20.0, min(20.0, log_odds))


def _check(segment: Segment, economics: Economics) -> None:
    for name in ("pd", "lgd", "take_up", "utilisation", "ccf"):
        within(f"segment {segment.name}: {name}", getattr(segment, name), 0.0, 1.0)
    within(f"segment {segment.name}: applicants", segment.applicants, 0, 10**9)
    for name in ("price_slope", "adverse", "price_reference"):
        within(f"segment {segment.name}: {name}", getattr(segment, name), 0.0, 10.0)
    within("funding", economics.funding, -0.1, 1.0)
    within("target_return", economics.target_return, 0.0, 10.0)
    within("account_minor", economics.account_minor, 0, 2**53)
