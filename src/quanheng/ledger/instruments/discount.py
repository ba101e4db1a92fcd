"""What a claim that is due later is sold for today: interest by day count, rounded once, shared among those who pay it.

Days are whole calendar days, numbered from 1970-01-01 = 0; the day of the sale counts, the day it is due does not.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import NamedTuple

import msgspec

from quanheng.kernel.money import Money
from quanheng.ledger.entries import Transfer
from quanheng.ledger.instruments.action_fold import Party, is_id
from quanheng.ledger.instruments.instrument import PartId

DAY_MS = 86_400_000
DAY_NUMBER_MAX = 200_000
RATE_DIGITS_MAX = 12
EXTRA_DAYS_MAX = 31
SHARES_MAX = 16
ROUNDINGS = "ROUND_HALF_UP", "ROUND_HALF_EVEN", "ROUND_DOWN", "ROUND_UP"
_EPOCH = date(1970, 1, 1)


class DayCount(StrEnum):
    """Day count fractions of the 2006 ISDA Definitions, section 4.16: (e), (d) and (f)."""

    ACTUAL_360 = "ACT/360"
    ACTUAL_365_FIXED = "ACT/365F"
    THIRTY_360 = "30/360"


class InterestShare(msgspec.Struct, frozen=True):
    """Who pays a part of the interest, in proportion to `weight`, and from which cash account."""

    payer: Party
    weight: int


class DiscountTerms(msgspec.Struct, frozen=True):
    """At what a claim is sold.

    rate : a year's interest as a fraction, 0.03 for 3 %; 0 < rate < 1, at most 12 decimals
    rounding : of the interest to minor units, one of ROUNDINGS
    extra_days : days added because the due day is no business day, 0 .. 31
    shares : who pays the interest; empty = the seller all of it
    """

    rate: Decimal
    basis: DayCount = DayCount.ACTUAL_360
    rounding: str = ROUND_HALF_UP
    extra_days: int = 0
    shares: tuple[InterestShare, ...] = ()


class Price(NamedTuple):
    """What a sale costs whom, in minor units.

    interest_minor : all of it
    paid_minor : by the buyer to the seller: face less interest
    parts_minor : of the interest, one for each share; those of others than the seller go to the seller
    """

    interest_minor: int
    paid_minor: int
    parts_minor: tuple[int, ...]


def day_of(now_ms: int, utc_offset_ms: int) -> int:
    """Number of the calendar day at a time, where clocks are `utc_offset_ms` ahead of UTC."""
    return (now_ms + utc_offset_ms) // DAY_MS


def day_number(year: int, month: int, day: int) -> int:
    """Number of a date: 1970-01-01 is 0."""
    return (date(year, month, day) - _EPOCH).days


def months_later(day: int, months: int) -> int:
    """The same day of the month some months later, or the last of that month where it has no such day."""
    was = _EPOCH + timedelta(days=day)
    year, month = divmod(was.year * 12 + was.month - 1 + months, 12)
    first_of_next = date(year + (month + 1) // 12, (month + 1) % 12 + 1, 1)
    last = (first_of_next - timedelta(days=1)).day
    return day_number(year, month + 1, min(was.day, last))


def interest_days(basis: DayCount, first_day: int, due_day: int) -> tuple[int, int]:
    """Days between two day numbers under a day count, and the days of its year.

    30/360 (Bond Basis): 360 (Y2 - Y1) + 30 (M2 - M1) + (D2 - D1), D1 = 31 read as 30, and D2 = 31 as 30 if D1 is 30 or
    31; 2006 ISDA Definitions, section 4.16 (f).
    """
    if basis == DayCount.THIRTY_360:
        one, two = (_EPOCH + timedelta(days=day) for day in (first_day, due_day))
        d1 = min(one.day, 30)
        d2 = 30 if two.day == 31 and d1 == 30 else two.day
        return 360 * (two.year - one.year) + 30 * (two.month - one.month) + d2 - d1, 360
    return due_day - first_day, 360 if basis == DayCount.ACTUAL_360 else 365


def interest_minor(face_minor: int, terms: DiscountTerms, first_day: int, due_day: int) -> int:
    """Interest on a face value until it is due: face × rate × days / year, exact, rounded once.

    This is the bank discount: interest is counted on the face, not on the price.
    """
    days, year = interest_days(terms.basis, first_day, due_day)
    top, bottom = terms.rate.as_integer_ratio()
    return _rounded(face_minor * top * (days + terms.extra_days), bottom * year, terms.rounding)


def price(face_minor: int, currency: str, seller: int, terms: DiscountTerms, first_day: int, due_day: int) -> Price:
    """What is paid by whom. Interest is shared in proportion to weights, largest remainder first: nothing is left over.

    The seller, who has the share of owner `seller`, has the price and what the others pay: face less its own share.
    """
    interest = interest_minor(face_minor, terms, first_day, due_day)
    weights = [one.weight for one in terms.shares]
    parts = tuple(one.minor for one in Money(interest, currency).allocate(weights)) if weights else ()
    return Price(interest, face_minor - interest, parts)


def payers(terms: DiscountTerms, seller: int) -> Iterator[int]:
    """Owners who pay interest and are not the seller."""
    return (one.payer.owner for one in terms.shares if one.payer.owner != seller)


def cash_legs(
    part_id: PartId,
    action_id: int,
    asked: Price,
    terms: DiscountTerms,
    seller: Party,
    buyer: Party,
    code: int,
    about: int,
) -> list[Transfer]:
    """Transfers of cash: the buyer's price, and the interest of those who pay it for the seller.

    Parameters
    ----------
    part_id : names parts of an action of the instrument that is sold (`instrument.parts_of`)
    """
    legs = [
        Transfer(part_id(action_id, "price"), buyer.account, seller.account, asked.paid_minor, code, user_data=about)
    ]
    for place, (share, minor) in enumerate(zip(terms.shares, asked.parts_minor, strict=True)):
        if minor and share.payer.owner != seller.owner:
            debit, credit = share.payer.account, seller.account
            legs.append(Transfer(part_id(action_id, f"interest {place}"), debit, credit, minor, code, user_data=about))
    return legs


def wrong_rate(terms: DiscountTerms) -> bool:
    """Whether rate, basis, rounding or days are not within their bounds."""
    rate = terms.rate
    good = isinstance(rate, Decimal) and rate.is_finite() and 0 < rate < 1 and _decimals(rate) <= RATE_DIGITS_MAX
    good = good and isinstance(terms.basis, DayCount) and terms.rounding in ROUNDINGS
    return not (good and type(terms.extra_days) is int and 0 <= terms.extra_days <= EXTRA_DAYS_MAX)


def wrong_shares(shares: Sequence[InterestShare]) -> bool:
    """Whether shares have a weight out of range, no weight at all, one owner twice, or are too many."""
    if not shares:
        return False
    weights = [one.weight for one in shares]
    whole = all(type(one) is int and 0 <= one <= 1_000_000 for one in weights)
    owners = [one.payer.owner for one in shares]
    known = all(is_id(one.payer.owner) and is_id(one.payer.account) for one in shares)
    return not (whole and known and sum(weights) > 0 and len(set(owners)) == len(owners) <= SHARES_MAX)


def _decimals(rate: Decimal) -> int:
    return -int(rate.normalize(decimal.Context(prec=60)).as_tuple().exponent)


def _rounded(top: int, bottom: int, rounding: str) -> int:
    """A quotient of numbers that are not negative, rounded to an integer."""
    whole, rest = divmod(top, bottom)
    twice = 2 * rest
    up = {
        "ROUND_DOWN": False,
        "ROUND_UP": rest > 0,
        "ROUND_HALF_UP": twice >= bottom,
        "ROUND_HALF_EVEN": twice > bottom or (twice == bottom and whole % 2 == 1),
    }
    return whole + up[rounding]
