"""A product of revolving credit: what all its accounts have in common. All of it is data.

The interest-free period. A purchase bears no interest if all of the statement that it stands on is paid by the end of
its due day. Else, as `grace` says:

WHOLE : every purchase of that statement bears interest from the day it was posted, on what stood each night, the
    rule that Chinese card contracts call 全额计息. Each statement stands for itself: purchases made since keep their
    own interest-free period.
UNPAID : only what was not paid bears it, and only since the statement's day: 12 CFR 1026.54(a)(1) forbids interest for
    days of earlier cycles and on what was repaid in time, when a grace period is lost.
NONE : purchases bear interest from the day they are posted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import DeclarationError, Problem
from quanheng.ledger.instruments.loan.day_count import DayCount
from quanheng.ledger.instruments.loan.rounding import ROUNDINGS
from quanheng.ledger.instruments.revolving.kernel import words as w

GAP_DAYS = 27
"""Days after its statement day up to which a statement may be paid: the next one is made 28 days after it or later."""
_COUNTS = {DayCount.ACT_360: 360, DayCount.ACT_365F: 365}
_MODES = ("interest_rounding", "fee_rounding", "minimum_rounding")


class Kind(StrEnum):
    """What is owed. `REVOLVING` are purchases that bear interest, `PURCHASES` those that do not yet."""

    FEES = "fees"
    INTEREST = "interest"
    CASH = "cash"
    REVOLVING = "revolving"
    PURCHASES = "purchases"
    INSTALMENTS = "instalments"


class Grace(StrEnum):
    """What bears interest when a statement was not paid in full by its due day."""

    NONE = "none"
    WHOLE = "whole"
    UNPAID = "unpaid"


KINDS, GRACES = list(Kind), list(Grace)


class CreditAccounts(msgspec.Struct, frozen=True):
    """Control accounts of a product on the ledger.

    cash : where money comes from and goes to
    fees, interest, purchases, advances, instalments : what is owed, sums over all accounts
    settlement : credit balances; written_off : on record after write-offs, with its contra
    """

    cash: int
    fees: int
    interest: int
    purchases: int
    advances: int
    instalments: int
    settlement: int
    written_off: int
    written_off_contra: int
    interest_income: int
    fee_income: int
    late_income: int
    loss: int
    recovery_income: int


class CreditProduct(msgspec.Struct, frozen=True):
    """A product, by its number. Rates and shares are whole numbers of 0.000001; rates are of a year.

    statement_day : of the month, the last day of a shorter month; the statement holds that day
    due_days : after the statement day; courtesy_days : so many more until it is judged (容时)
    tolerance_minor : a shortfall of at most so much is no shortfall (容差)
    cash_rate_extra : over the account's rate, for cash; it bears interest from the day it was drawn
    rate_floor, rate_ceiling : bounds of an account's rate, for purchases and for cash
    compounds : interest that was billed and not paid bears interest
    minimum_share : of principal; with fees, interest, instalments, past due and over limit
    late_share : of what is left of the minimum (违约金), at least late_floor_minor, at most late_cap_minor
    over_limit_share : of the limit, by which draws may exceed it
    plan_fee_share : of what is converted, for each instalment; plan_rate : on what has not fallen due
    residue_first : the first instalment takes what the division leaves over, not the last
    settle_fee_share : of what falls due early; settle_takes_fees : fees of later instalments are owed, too
    order : in which kinds are paid, of the last statement and then of what came since
    highest_rate_above_minimum : what is paid above the minimum goes to the highest rate first (12 CFR 1026.53(a))
    """

    number: int
    asset: int
    code: int
    accounts: CreditAccounts
    statement_day: int = 5
    due_days: int = 20
    courtesy_days: int = 0
    tolerance_minor: int = 0
    grace: Grace = Grace.WHOLE
    day_count: DayCount = DayCount.ACT_365F
    cash_rate_extra: Decimal = Decimal(0)
    rate_floor: Decimal = Decimal(0)
    rate_ceiling: Decimal = Decimal(1)
    compounds: bool = False
    cash_fee_share: Decimal = Decimal(0)
    cash_fee_floor_minor: int = 0
    minimum_share: Decimal = Decimal("0.1")
    minimum_floor_minor: int = 0
    late_share: Decimal = Decimal(0)
    late_floor_minor: int = 0
    late_cap_minor: int = w.AMOUNT_MAX
    over_limit_share: Decimal = Decimal(0)
    plan_fee_share: Decimal = Decimal(0)
    plan_rate: Decimal = Decimal(0)
    residue_first: bool = False
    settle_fee_share: Decimal = Decimal(0)
    settle_takes_fees: bool = False
    order: tuple[Kind, ...] = (
        Kind.FEES, Kind.INTEREST, Kind.CASH, Kind.REVOLVING, Kind.INSTALMENTS, Kind.PURCHASES,
    )  # fmt: skip
    highest_rate_above_minimum: bool = False
    interest_rounding: str = "ROUND_HALF_EVEN"
    fee_rounding: str = "ROUND_HALF_EVEN"
    minimum_rounding: str = "ROUND_UP"


def units(value: Decimal) -> int | None:
    """A rate or share in units of 1e-6, or None where it is not a whole number of them from 0 to 1."""
    whole, rest = divmod(value * w.UNIT, 1)
    return int(whole) if not rest and 0 <= whole <= w.UNIT else None


def rates_of(product: CreditProduct, rate: int) -> tuple[int, int] | None:
    """Rates of purchases and of cash in units of 1e-6, or None where one is out of the product's bounds."""
    cash = rate + (units(product.cash_rate_extra) or 0)
    low, high = units(product.rate_floor) or 0, units(product.rate_ceiling) or 0
    return (rate, cash) if low <= rate <= cash <= high else None


def paid_above(product: CreditProduct) -> list[Kind]:
    """Order in which what is above the minimum is allocated; the rates of kinds do not hang on the account."""
    if not product.highest_rate_above_minimum:
        return list(product.order)
    # Cash bears the account's rate and more, revolving purchases that rate, a plan its own; the rest bears none.
    ranks = {Kind.CASH: 0, Kind.REVOLVING: 1, Kind.PURCHASES: 2, Kind.INSTALMENTS: 3, Kind.INTEREST: 4, Kind.FEES: 4}
    return sorted(product.order, key=lambda kind: ranks[kind])


def check_products(products: Iterable[CreditProduct]) -> None:
    """Raise unless every product can be.

    Raises
    ------
    DeclarationError : every problem of every product
    """
    found: list[Problem] = []
    listed = list(products)
    for place, one in enumerate(listed):
        names = [] if one.number == place + 1 else ["number"]
        for name in names + [name for name, good in _checks(one) if not good]:
            problem = Problem(
                f"product {one.number}", name, "the field cannot be", found=str(getattr(one, name)),
                cure="The docstring of CreditProduct says what it may be; products are numbered 1, 2, 3 ...",
            )  # fmt: skip
            found.append(problem)
    if found or not listed:
        raise DeclarationError("products of revolving credit", found)


def _checks(one: CreditProduct) -> Iterator[tuple[str, bool]]:
    accounts = [getattr(one.accounts, name) for name in one.accounts.__struct_fields__]
    yield "accounts", all(type(id) is int and id > 0 for id in accounts) and len(set(accounts)) == len(accounts)
    yield "statement_day", 1 <= one.statement_day <= 31
    yield "due_days", 1 <= one.due_days <= GAP_DAYS
    yield "courtesy_days", 0 <= one.courtesy_days <= GAP_DAYS - one.due_days
    yield "day_count", one.day_count in _COUNTS
    for name in one.__struct_fields__:
        value = getattr(one, name)
        if isinstance(value, Decimal):
            yield name, units(value) is not None
        elif name.endswith("_minor"):
            yield name, type(value) is int and 0 <= value <= w.AMOUNT_MAX
    yield "rate_ceiling", one.rate_floor + one.cash_rate_extra <= one.rate_ceiling
    yield "late_cap_minor", one.late_floor_minor <= one.late_cap_minor
    yield "order", sorted(one.order) == sorted(Kind)
    for name in _MODES:
        yield name, getattr(one, name) in ROUNDINGS


def encode_products(products: list[CreditProduct]) -> NDArray[np.int64]:
    """R of `kernel.words`."""
    R = np.zeros((len(products) + 1, w.R_WORDS), np.int64)
    for one in products:
        shares = {name: units(getattr(one, name)) or 0 for name in (
            "cash_fee_share", "late_share", "minimum_share", "over_limit_share", "plan_fee_share", "plan_rate",
            "settle_fee_share",
        )}  # fmt: skip
        above = paid_above(one)
        R[one.number] = (
            one.statement_day, one.due_days, one.courtesy_days, one.tolerance_minor, GRACES.index(one.grace),
            _COUNTS[one.day_count], one.compounds, shares["cash_fee_share"], one.cash_fee_floor_minor,
            shares["late_share"], one.late_floor_minor, one.late_cap_minor, shares["minimum_share"],
            one.minimum_floor_minor, shares["over_limit_share"], shares["plan_fee_share"], shares["plan_rate"],
            one.residue_first, shares["settle_fee_share"], one.settle_takes_fees,
            *(ROUNDINGS.index(getattr(one, name)) for name in _MODES), above != list(one.order),
            *(KINDS.index(kind) for kind in one.order), *(KINDS.index(kind) for kind in above),
        )  # fmt: skip
    return R
