"""What a conversion must come to, in long decimals: the twin of `quanheng.ledger.instruments.conversion`."""

from __future__ import annotations

import decimal
from decimal import Decimal

from quanheng.kernel.money import exponent
from quanheng.ledger.instruments.conversion import Price

_LONG = decimal.Context(prec=400)


def slow_customer_minor(price: Price, sell: str, fixed_minor: int, buys_fixed: bool) -> int:
    """The customer's amount of the side that is not fixed: major units at the bid or the ask, rounded once.

    A quotient is cut at 400 digits, so ties that no 400 digits tell apart are beyond it.
    """
    buy = price.term if sell == price.base else price.base
    fixed, derived = (buy, sell) if buys_fixed else (sell, buy)
    half = Decimal(price.spread_basis_points) / 20_000
    rate = _LONG.multiply(price.mid, 1 - half if sell == price.base else 1 + half)
    major = Decimal(fixed_minor).scaleb(-exponent(fixed), _LONG)
    exact = _LONG.multiply(major, rate) if fixed == price.base else _LONG.divide(major, rate)
    return int(exact.scaleb(exponent(derived), _LONG).to_integral_value(price.customer_rounding, _LONG))
