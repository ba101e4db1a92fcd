"""Twins of expected loss and price: every end a loan can come to, one by one, with its cash; and draws of loans."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from math import fsum, sqrt
from typing import NamedTuple

from quanheng.models.credit.price import PriceTerms


class End(NamedTuple):
    """One way a loan ends: in `month` (from 1) by default, early repayment, or the last instalment."""

    chance: float
    month: int
    kind: str


def ends(hazards: Sequence[float], prepaid_month: float) -> Iterator[End]:
    """All ends of a loan with their probabilities; they sum to 1."""
    alive = 1.0
    for month, hazard in enumerate(hazards, 1):
        yield End(alive * hazard, month, "default")
        alive *= 1.0 - hazard
        if month == len(hazards):
            yield End(alive, month, "paid")
        else:
            yield End(alive * prepaid_month, month, "prepaid")
            alive *= 1.0 - prepaid_month


def repaid(principal: float, rate_month: float, months: int) -> list[float]:
    """Principal after each month, by paying the level instalment month after month."""
    growth = (1.0 + rate_month) ** months
    level = principal / months if rate_month == 0.0 else principal * rate_month * growth / (growth - 1.0)
    left = [principal]
    for _ in range(months):
        left.append(left[-1] * (1.0 + rate_month) - level)
    return left


def present_value_of_cash(
    balances: Sequence[float], rate_month: float, end: End, lgd: Sequence[float], until_month: int
) -> float:
    """Value now, at the contract's rate, of the cash of one end. A default after `until_month` pays in full."""
    value = 0.0
    for month in range(1, end.month + 1):
        owed = balances[month - 1] * (1.0 + rate_month)
        cash = owed - balances[month]
        if month == end.month:
            if end.kind == "default":
                cash = owed * (1.0 - lgd[month - 1]) if month <= until_month else owed
            elif end.kind == "prepaid":
                cash = owed
        value += cash / (1.0 + rate_month) ** month
    return value


def slow_expected_loss(
    balances: Sequence[float],
    rate_month: float,
    hazards: Sequence[float],
    lgd: Sequence[float],
    prepaid_month: float,
    until_month: int,
) -> float:
    """What is owed now less the value of the cash that is expected: the present value of the shortfalls."""
    found = ends(hazards, prepaid_month)
    return balances[0] - fsum(
        one.chance * present_value_of_cash(balances, rate_month, one, lgd, until_month) for one in found
    )


def drawn_expected_loss(
    balances: Sequence[float],
    rate_month: float,
    hazards: Sequence[float],
    lgd: Sequence[float],
    prepaid_month: float,
    draws: int,
    seed: int,
) -> tuple[float, float]:
    """(mean, standard error) of the loss of loans drawn one by one."""
    chance, losses = random.Random(seed), []
    for _ in range(draws):
        lost = 0.0
        for month, hazard in enumerate(hazards, 1):
            if chance.random() < hazard:
                lost = lgd[month - 1] * balances[month - 1] * (1.0 + rate_month) ** (1 - month)
                break
            if chance.random() < prepaid_month:
                break
        losses.append(lost)
    mean = fsum(losses) / draws
    return mean, sqrt(fsum((one - mean) ** 2 for one in losses) / (draws - 1) / draws)


def slow_value(terms: PriceTerms, rate: float) -> float:
    """Value above the target, over every end, with the lender's cash, debt and tax of each month."""
    prepaid_month = 1.0 - (1.0 - terms.cpr) ** (1.0 / 12.0)
    balances = repaid(float(terms.principal_minor), rate / 12.0, terms.months)
    hazards = terms.pd_hazards.tolist()
    return fsum(one.chance * _value_of_end(terms, balances, rate / 12.0, one) for one in ends(hazards, prepaid_month))


def _value_of_end(terms: PriceTerms, balances: Sequence[float], rate_month: float, end: End) -> float:
    debt = balances[0] * (1.0 - terms.capital)
    fee = terms.fee_minor - terms.acquisition_minor
    value = fee - terms.tax * fee - (balances[0] - debt)
    for month in range(1, end.month + 1):
        owed = balances[month - 1] * (1.0 + rate_month)
        cash, left = owed - balances[month], balances[month]
        if month == end.month:
            left = 0.0
            if end.kind == "default":
                cash = owed * (1.0 - terms.lgd)
            elif end.kind == "prepaid":
                cash = owed + balances[month] * terms.prepayment_fee
        running = balances[month - 1] * terms.operating_rate / 12.0 + terms.operating_month_minor
        interest = debt * float(terms.funding[month - 1]) / 12.0
        profit = cash + left - balances[month - 1] - running - interest
        new_debt = left * (1.0 - terms.capital)
        flow = cash - running - interest - terms.tax * profit - debt + new_debt
        debt = new_debt
        value += flow / (1.0 + terms.target_return) ** (month / 12.0)
    return value
