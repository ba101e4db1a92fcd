"""What a loan is agreed to be: amounts, dates, rates, and the rules of rounding and allocation, all of it data."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from quanheng.kernel.calendars import Calendar, Roll
from quanheng.ledger.entries import AMOUNT_MAX
from quanheng.ledger.instruments.action_fold import CODE_MAX, Party, is_code, is_id
from quanheng.ledger.instruments.loan.day_count import DayCount
from quanheng.ledger.instruments.loan.rounding import ROUNDINGS

PERIODS_MAX = 600
RATE_MAX = Decimal(10)
"""Ten times a year: a guard against percent that was written as a rate."""


class Method(StrEnum):
    """How principal is repaid.

    ANNUITY : level instalments; EQUAL_PRINCIPAL : level principal; INTEREST_ONLY : interest each period, principal at
    the end; BULLET : principal and all interest at the end
    """

    ANNUITY = "annuity"
    EQUAL_PRINCIPAL = "equal principal"
    INTEREST_ONLY = "interest only"
    BULLET = "bullet"


class Grace(StrEnum):
    """What happens in the first periods, in which no principal is due."""

    PAYS_INTEREST = "pays interest"
    CAPITALISES = "capitalises"


class Kind(StrEnum):
    """What is owed."""

    FEES = "fees"
    PENALTY = "penalty"
    INTEREST = "interest"
    PRINCIPAL = "principal"


class ReferenceRate(msgspec.Struct, frozen=True):
    """A reference rate, such as the loan prime rate of one year, in force from `day` on."""

    day: int
    rate: Decimal


class Penalty(msgspec.Struct, frozen=True):
    """Interest on what is overdue, in place of the contract's: `multiple` x (base + `spread`), days over `year_days`.

    The numbers are settings of whoever lends; which are lawful where is not said here.

    reference : the base is the rate in force on each day; empty: the base is the contract's rate
    cap_multiple : at most so many times the reference in force on the first day of the loan; None = no cap
    grace_days : nothing for days that are at most so many after the due date
    on_interest : overdue interest bears it too
    """

    multiple: Decimal
    spread: Decimal = Decimal(0)
    reference: tuple[ReferenceRate, ...] = ()
    cap_multiple: Decimal | None = None
    year_days: int = 360
    grace_days: int = 0
    on_interest: bool = False


class Allocation(msgspec.Struct, frozen=True):
    """In which order a payment is allocated.

    by_instalment : the oldest instalment first, in it `order`; else all of a kind before the next kind
    """

    order: tuple[Kind, ...] = (Kind.FEES, Kind.PENALTY, Kind.INTEREST, Kind.PRINCIPAL)
    by_instalment: bool = False


class LenderBooks(msgspec.Struct, frozen=True):
    """Accounts of the lender that a loan is booked against. They exist before the loan and are not bound."""

    interest_income: int
    penalty_income: int
    fee_income: int
    rounding: int
    loss: int
    recovery_income: int
    written_off_contra: int


class Terms(msgspec.Struct, frozen=True):
    """The contract.

    asset : of all accounts of the loan
    code : of the transfers, and place of the loan's accounts in the chart
    rate : of a year, 0.06 is six percent
    first_day : of disbursement and of accrual, days since 1970-01-01
    periods, period_months : number and length; ACT/ACT ICMA counts regular periods of this length
    grace_periods : of `periods`, at the beginning; none for BULLET, which is all grace
    accrual_rounding : of what is accrued in a period up to a posting
    billing_rounding : of what a period's interest is billed at; a difference goes to the account `rounding`
    prepayment_fee_rate : of the amount that is prepaid
    """

    lender: int
    borrower: Party
    books: LenderBooks
    asset: int
    code: int
    principal_minor: int
    rate: Decimal
    first_day: int
    periods: int
    period_months: int = 1
    day_count: DayCount = DayCount.ACT_360
    method: Method = Method.ANNUITY
    grace_periods: int = 0
    grace: Grace = Grace.PAYS_INTEREST
    roll: Roll = Roll.NONE
    calendar: Calendar = Calendar()
    end_of_month: bool = False
    penalty: Penalty | None = None
    allocation: Allocation = Allocation()
    level_rounding: str = "ROUND_HALF_EVEN"
    accrual_rounding: str = "ROUND_HALF_EVEN"
    billing_rounding: str = "ROUND_HALF_EVEN"
    penalty_rounding: str = "ROUND_HALF_EVEN"
    fee_rounding: str = "ROUND_HALF_EVEN"
    prepayment_fee_rate: Decimal = Decimal(0)


def wrong_in(terms: Terms) -> str:
    """The field that cannot be, or nothing."""
    books = [getattr(terms.books, name) for name in terms.books.__struct_fields__]
    modes = [name for name in terms.__struct_fields__ if name.endswith("_rounding")]
    checks = (
        ("lender", is_id(terms.lender)),
        ("borrower", is_id(terms.borrower.owner) and is_id(terms.borrower.account)),
        ("books", all(map(is_id, books))),
        ("asset", 0 < terms.asset < 2**31),
        ("code", is_code(terms.code)),
        ("principal_minor", 0 < terms.principal_minor <= AMOUNT_MAX // 1000),
        ("rate", _is_rate(terms.rate)),
        ("first_day", 0 <= terms.first_day < 100_000),
        ("periods", 0 < terms.periods <= PERIODS_MAX),
        ("period_months", terms.period_months in (1, 2, 3, 4, 6, 12)),
        ("grace_periods", 0 <= terms.grace_periods < terms.periods and not _grace_is_idle(terms)),
        ("penalty", terms.penalty is None or _is_penalty(terms.penalty)),
        ("allocation", sorted(terms.allocation.order) == sorted(Kind)),
        *((mode, getattr(terms, mode) in ROUNDINGS) for mode in modes),
        ("prepayment_fee_rate", _is_rate(terms.prepayment_fee_rate) and terms.prepayment_fee_rate < 1),
    )
    return next((field for field, good in checks if not good), "")


def _grace_is_idle(terms: Terms) -> bool:
    return terms.grace_periods > 0 and terms.method == Method.BULLET


def _is_rate(rate: Decimal) -> bool:
    return rate.is_finite() and 0 <= rate <= RATE_MAX and len(rate.as_tuple().digits) <= 30


def _is_penalty(penalty: Penalty) -> bool:
    days = [one.day for one in penalty.reference]
    rates = [penalty.multiple, penalty.spread, *(one.rate for one in penalty.reference)]
    if penalty.cap_multiple is not None:
        rates.append(penalty.cap_multiple)
    return (
        all(map(_is_rate, rates))
        and days == sorted(set(days))
        and (penalty.cap_multiple is None or bool(days))
        and penalty.year_days in (360, 365)
        and 0 <= penalty.grace_days <= CODE_MAX
    )
