"""A product: what all its loans have in common, and the accounts that its sums are posted to. All of it is data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.calendars import Calendar, Roll
from quanheng.kernel.errors import DeclarationError, Problem
from quanheng.ledger.instruments.loan.day_count import DayCount
from quanheng.ledger.instruments.loan.rounding import ROUNDINGS
from quanheng.ledger.instruments.loan.terms import Allocation, Grace, Kind, Method, Penalty, ReferenceRate
from quanheng.ledger.instruments.loan_book.kernel.words import (
    DAYS,
    FEE_UNIT,
    PENALTY_UNIT,
    PERIODS_MAX,
    R_WORDS,
    RATE_UNIT,
    STEP_UNIT,
)

RATE_MAX, PENALTY_RATE_MAX = 10 * RATE_UNIT, 4 * PENALTY_UNIT
PRINCIPAL_MAX = 10**11
"""Most that is lent at once, in minor units: so that no product of 64 bits overflows at the highest rates."""
_METHODS, _COUNTS, _KINDS = list(Method), list(DayCount), list(Kind)
_ROUNDINGS = ("accrual_rounding", "billing_rounding", "penalty_rounding", "fee_rounding", "level_rounding")


class ProductAccounts(msgspec.Struct, frozen=True):
    """Control accounts of a product on the ledger.

    cash : where money comes from and goes to, unless the product moves each customer's own
    fees, penalty, interest, principal : what is owed, sums over all its loans
    settlement : what was paid and is not allocated; written_off : on record after write-offs, with its contra
    """

    cash: int
    fees: int
    penalty: int
    interest: int
    principal: int
    settlement: int
    written_off: int
    written_off_contra: int
    interest_income: int
    penalty_income: int
    fee_income: int
    rounding: int
    loss: int
    recovery_income: int


class Product(msgspec.Struct, frozen=True):
    """A product, by its number. What is as in `loan.terms.Terms` means the same.

    steps : instalment of each period as a multiple of the level (ANNUITY), the last one for all that follow; () = 1
    reference : dated reference rates, in force from their days on; `RATE` events add to them
    floats : the contract's rate is the reference and the loan's spread, taken over every `reset_periods` periods
    penalty : its `reference` is empty, or the product's
    own_cash : money moves from and to each customer's own account, a transfer each, instead of in sums
    """

    number: int
    asset: int
    code: int
    accounts: ProductAccounts
    period_months: int = 1
    day_count: DayCount = DayCount.ACT_360
    method: Method = Method.ANNUITY
    grace_periods: int = 0
    grace: Grace = Grace.PAYS_INTEREST
    roll: Roll = Roll.NONE
    calendar: Calendar = Calendar()
    end_of_month: bool = False
    steps: tuple[Decimal, ...] = ()
    reference: tuple[ReferenceRate, ...] = ()
    floats: bool = False
    reset_periods: int = 12
    penalty: Penalty | None = None
    allocation: Allocation = Allocation()
    level_rounding: str = "ROUND_HALF_EVEN"
    accrual_rounding: str = "ROUND_HALF_EVEN"
    billing_rounding: str = "ROUND_HALF_EVEN"
    penalty_rounding: str = "ROUND_HALF_EVEN"
    fee_rounding: str = "ROUND_HALF_EVEN"
    prepayment_fee_rate: Decimal = Decimal(0)
    own_cash: bool = False


def scaled(value: Decimal, unit: int) -> int | None:
    """The value in units of 1 / unit, or None where it is no whole number of them."""
    whole, rest = divmod(value * unit, 1)
    return None if rest else int(whole)


def check_products(products: Iterable[Product]) -> None:
    """Raise unless every product can be.

    Raises
    ------
    DeclarationError : every problem of every product
    """
    found: list[Problem] = []
    numbers = [one.number for one in products]
    for place, one in enumerate(products):
        names = [] if one.number == place + 1 else ["number"]
        for name in names + [name for name, good in _checks(one) if not good]:
            problem = Problem(
                f"product {one.number}", name, "the field cannot be", found=str(getattr(one, name)),
                cure="The docstrings of Product and of Terms say what it may be; products are numbered 1, 2, 3 ...",
            )  # fmt: skip
            found.append(problem)
    if found or not numbers:
        raise DeclarationError("products of a loan book", found)


def _checks(one: Product) -> list[tuple[str, bool]]:
    days = [rate.day for rate in one.reference]
    rates = [scaled(rate.rate, RATE_UNIT) for rate in one.reference]
    fee = scaled(one.prepayment_fee_rate, FEE_UNIT)
    accounts = [getattr(one.accounts, name) for name in one.accounts.__struct_fields__]
    icma = one.day_count == DayCount.ACT_ACT_ICMA
    return [
        ("accounts", all(type(id) is int and id > 0 for id in accounts)),
        ("period_months", one.period_months in (1, 2, 3, 4, 6, 12)),
        ("day_count", not (icma and (one.roll != Roll.NONE or one.method == Method.BULLET))),
        ("grace_periods", 0 <= one.grace_periods < (1 if one.method == Method.BULLET else PERIODS_MAX)),
        ("steps", all((scaled(step, STEP_UNIT) or 0) > 0 for step in one.steps) and len(one.steps) <= PERIODS_MAX),
        ("steps", not one.steps or one.method == Method.ANNUITY),
        ("reference", days == sorted(set(days)) and all(rate is not None and 0 <= rate <= RATE_MAX for rate in rates)),
        ("floats", not one.floats or bool(days)),
        ("reset_periods", 0 < one.reset_periods <= PERIODS_MAX),
        ("penalty", one.penalty is None or _is_penalty(one, one.penalty)),
        ("allocation", sorted(one.allocation.order) == sorted(Kind)),
        *((name, getattr(one, name) in ROUNDINGS) for name in _ROUNDINGS),
        ("prepayment_fee_rate", fee is not None and 0 <= fee < FEE_UNIT),
    ]  # fmt: skip


def _is_penalty(one: Product, penalty: Penalty) -> bool:
    dated = penalty.reference == one.reference
    rates = [penalty_units(penalty, rate.rate) for rate in penalty.reference]
    return (
        (not penalty.reference or dated)
        and (penalty.cap_multiple is None or bool(one.reference))
        and penalty.year_days in (360, 365)
        and 0 <= penalty.grace_days < DAYS
        and None not in rates
        and (dated or not one.floats)
    )


def penalty_units(penalty: Penalty, base: Decimal) -> int | None:
    """multiple x (base + spread) in penalty units, or None where that is no whole number in range."""
    units = scaled(penalty.multiple * (base + penalty.spread), PENALTY_UNIT)
    return units if units is not None and 0 <= units <= PENALTY_RATE_MAX else None


@dataclass(frozen=True)
class ProductColumns:
    """Rows of R, G, V, M for products 1, 2, 3 ...; row 0 is none."""

    R: NDArray[np.int64]
    G: NDArray[np.int64]
    V: NDArray[np.int64]
    M: NDArray[np.int64]


def encode_products(products: list[Product]) -> ProductColumns:
    """The products as the kernel takes them."""
    count = len(products) + 1
    R = np.zeros((count, R_WORDS), np.int64)
    G, V = np.zeros((count, DAYS), np.int64), np.zeros((count, DAYS), np.int64)
    M = np.full((count, PERIODS_MAX + 1), STEP_UNIT, np.int64)
    for one in products:
        penalty, number = one.penalty, one.number
        R[number] = (
            _METHODS.index(one.method), _COUNTS.index(one.day_count), one.period_months, one.grace_periods,
            one.grace == Grace.CAPITALISES, one.allocation.by_instalment,
            *(_KINDS.index(kind) for kind in one.allocation.order),
            *(ROUNDINGS.index(getattr(one, name)) for name in _ROUNDINGS),
            scaled(one.prepayment_fee_rate, FEE_UNIT) or 0,
            penalty is not None, penalty is not None and bool(penalty.reference),
            penalty.grace_days if penalty else 0, penalty.on_interest if penalty else 0,
            penalty.year_days if penalty else 360,
            one.floats, one.reset_periods, one.own_cash,
        )  # fmt: skip
        for place, step in enumerate(one.steps):
            M[number, place:] = scaled(step, STEP_UNIT) or 0
        for place, rate in enumerate(one.reference):
            set_reference(one, G, V, rate.day if place else 0, rate.rate)
    return ProductColumns(R, G, V, M)


def set_reference(product: Product, G: NDArray[np.int64], V: NDArray[np.int64], day: int, rate: Decimal) -> None:
    """A reference rate is in force from a day on."""
    V[product.number, day:] = scaled(rate, RATE_UNIT) or 0
    if product.penalty is not None and product.penalty.reference:
        G[product.number, day:] = penalty_units(product.penalty, rate) or 0
