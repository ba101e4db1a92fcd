"""What a conversion between two currencies moves: exact fractions, each amount rounded once, the residue told.

Rates are in major units; exponents of the currencies are those of `quanheng.kernel.money` (JPY 0, EUR 2, KWD 3).
"""

from __future__ import annotations

import decimal
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import msgspec

from quanheng.kernel.money import exponent

ROUNDINGS = frozenset({
    decimal.ROUND_CEILING, decimal.ROUND_DOWN, decimal.ROUND_FLOOR, decimal.ROUND_HALF_DOWN, decimal.ROUND_HALF_EVEN,
    decimal.ROUND_HALF_UP, decimal.ROUND_UP,
})  # fmt: skip
SPREAD_MAX = 20_000
"""Basis points of the mid; the bid is then 0."""
_HALF_BASIS_POINTS = 20_000


class Price(msgspec.Struct, frozen=True):
    """What one unit of `base` costs in `term`, and how amounts are rounded.

    mid : term per base, both in major units
    spread_basis_points : of the mid, half on each side: bid = mid (1 - s / 20 000), ask = mid (1 + s / 20 000)
    customer_rounding, dealer_rounding, spread_rounding : modes of `decimal`, for what the customer gets or pays, what
        leaves or enters the dealer's position at the mid, and what is booked as spread
    """

    base: str
    term: str
    mid: Decimal
    spread_basis_points: int
    customer_rounding: str = decimal.ROUND_HALF_EVEN
    dealer_rounding: str = decimal.ROUND_HALF_EVEN
    spread_rounding: str = decimal.ROUND_HALF_EVEN

    @property
    def bid(self) -> Fraction:
        """What the customer gets in `term` for one unit of `base`."""
        return Fraction(self.mid) * Fraction(_HALF_BASIS_POINTS - self.spread_basis_points, _HALF_BASIS_POINTS)

    @property
    def ask(self) -> Fraction:
        """What the customer pays in `term` for one unit of `base`."""
        return Fraction(self.mid) * Fraction(_HALF_BASIS_POINTS + self.spread_basis_points, _HALF_BASIS_POINTS)


class Amounts(NamedTuple):
    """A conversion in minor units. The customer gives `sold_minor` and gets `bought_minor`.

    derived : currency of the side that was not fixed; the next three are in it
    position_minor : leaves (if it is what is bought) or enters (if it is what is sold) the dealer's position
    spread_minor : to the dealer's spread account; residue_minor : to the residue account, from it if negative

    If the bought side is derived, position = bought + spread + residue; if the sold one, sold = position + spread +
    residue.
    """

    sold_minor: int
    bought_minor: int
    derived: str
    position_minor: int
    spread_minor: int
    residue_minor: int


def convert(price: Price, sell: str, fixed_minor: int, buys_fixed: bool) -> Amounts:
    """Amounts of a conversion out of `sell`, one of the price's two currencies, into the other one.

    Parameters
    ----------
    fixed_minor : the amount that is fixed: of what is sold, or with `buys_fixed` of what is bought
    """
    buy = price.term if sell == price.base else price.base
    fixed, derived = (buy, sell) if buys_fixed else (sell, buy)
    scale = Fraction(10) ** (exponent(derived) - exponent(fixed))
    customer_rate = price.bid if sell == price.base else price.ask
    multiplied = fixed == price.base
    exact_customer, exact_mid = (
        fixed_minor * scale * rate if multiplied else fixed_minor * scale / rate
        for rate in (customer_rate, Fraction(price.mid))
    )
    customer = rounded(exact_customer, price.customer_rounding)
    position = rounded(exact_mid, price.dealer_rounding)
    spread = rounded(abs(exact_mid - exact_customer), price.spread_rounding)
    residue = customer - position - spread if buys_fixed else position - customer - spread
    sold, bought = (customer, fixed_minor) if buys_fixed else (fixed_minor, customer)
    return Amounts(sold, bought, derived, position, spread, residue)


def rounded(value: Fraction, mode: str) -> int:
    """The integer that a mode of `decimal` gives for an exact fraction.

    The digit and the fact that something follows it say as much as all digits, so one decimal with a sticky digit is
    handed to `decimal`.
    """
    tenths, rest = divmod(abs(value.numerator) * 10, value.denominator)
    sticky = tenths * 10 + (1 if rest else 0)
    context = decimal.Context(prec=len(str(sticky)) + 1)
    exact = Decimal(-sticky if value < 0 else sticky).scaleb(-2, context)
    return int(exact.to_integral_value(mode, context))
