"""Schedules: due dates, and how much principal falls due at each. The last instalment takes all that is left."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import NamedTuple

from quanheng.kernel.errors import InputError
from quanheng.ledger.instruments.loan.day_count import add_months, date_of, year_fraction
from quanheng.ledger.instruments.loan.rounding import rounded
from quanheng.ledger.instruments.loan.terms import Grace, Method, Terms, wrong_in

_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)


class Instalment(NamedTuple):
    """What falls due on a date, in minor units, and the principal that is left."""

    due: date
    principal_minor: int
    interest_minor: int
    left_minor: int


def due_dates(terms: Terms) -> list[date]:
    """The first day, and the due date of each period. A period accrues from one to the next, as they were rolled."""
    first = date_of(terms.first_day)
    dates = [add_months(first, terms.period_months * number, terms.end_of_month) for number in range(terms.periods + 1)]
    return [first, *(terms.calendar.roll(one, terms.roll) for one in dates[1:])]


def fraction_of(terms: Terms, dates: Sequence[date], period: int, until: date) -> Fraction:
    """Part of a year from the beginning of a period until a date in it."""
    return year_fraction(
        terms.day_count, dates[period], until,
        anchor=dates[0], months=terms.period_months, end_of_month=terms.end_of_month, maturity=dates[-1],
    )  # fmt: skip


def level_instalment(principal: Fraction, growths: Sequence[Fraction], mode: str) -> int:
    """The level payment A at which principal P is repaid at the end: P prod(1 + g_k) = A sum over k of prod(1 + g_j),
    j > k, with g_k = rate times the part of a year of period k. For equal g: P g / (1 - (1 + g)**-n).

    Computed with 60 digits, rounded once.
    """
    product, factors = Decimal(1), Decimal(0)
    for growth in reversed(growths):
        factors = _WIDE.add(factors, product)
        step = _WIDE.divide(Decimal(growth.numerator), Decimal(growth.denominator))
        product = _WIDE.multiply(product, _WIDE.add(Decimal(1), step))
    owed = _WIDE.multiply(_WIDE.divide(Decimal(principal.numerator), Decimal(principal.denominator)), product)
    return rounded(Fraction(_WIDE.divide(owed, factors)), mode)


def spread(
    terms: Terms, principal: int, growths: Sequence[Fraction], accrued: Fraction = Fraction(0), level: int | None = None
) -> tuple[list[int], int | None]:
    """Principal due at each of the coming dates, and the level they were made with (None where there is none).

    growths : rate times part of a year for each period; of the first only what is to come
    accrued : interest of the first period so far
    level : the instalment (ANNUITY) or the principal a period (EQUAL_PRINCIPAL) to keep: the term becomes shorter
    """
    count = len(growths)
    if terms.method in (Method.BULLET, Method.INTEREST_ONLY):
        return [0] * (count - 1) + [principal], None
    if level is None:
        # What has accrued is paid with the first instalment, as if it were owed from the period's beginning.
        owed = principal + accrued / (1 + growths[0])
        if terms.method == Method.ANNUITY:
            level = level_instalment(owed, growths, terms.level_rounding)
        else:
            level = rounded(Fraction(principal, count), terms.level_rounding)
    parts, left = [], principal
    for number, growth in enumerate(growths):
        part = level
        if terms.method == Method.ANNUITY:
            part -= rounded(left * growth + (accrued if number == 0 else 0), terms.billing_rounding)
        part = left if number == count - 1 else max(0, min(part, left))
        parts.append(part)
        left -= part
    return parts, level


def schedule(terms: Terms) -> list[Instalment]:
    """The instalments of a loan that is paid on time. Principal sums to what was lent and was capitalised.

    Raises
    ------
    InputError : the terms cannot be
    """
    if wrong := wrong_in(terms):
        raise InputError(
            "the terms of the loan cannot be",
            where=f"terms.{wrong}",
            found=str(getattr(terms, wrong)),
            cure="The docstring of Terms says what the field may be.",
        )
    dates, rate = due_dates(terms), Fraction(terms.rate)
    growths = [rate * fraction_of(terms, dates, number, dates[number + 1]) for number in range(terms.periods)]
    left, lines, waiting = terms.principal_minor, [], Fraction(0)
    parts: list[int] = []
    for number, growth in enumerate(growths):
        in_grace = number < terms.grace_periods
        interest = left * growth
        if terms.method == Method.BULLET and number < terms.periods - 1:
            waiting += interest
            lines.append(Instalment(dates[number + 1], 0, 0, left))
            continue
        billed = rounded(waiting + interest, terms.billing_rounding)
        if in_grace and terms.grace == Grace.CAPITALISES:
            left += billed
            lines.append(Instalment(dates[number + 1], 0, 0, left))
            continue
        if not in_grace and not parts:
            parts = [0] * number + spread(terms, left, growths[number:])[0]
        part = 0 if in_grace else parts[number]
        left -= part
        lines.append(Instalment(dates[number + 1], part, billed, left))
    return lines
