"""What expressions of accounts.toml give: whole minor units; and one event as they see it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Context, Decimal, Inexact, InvalidOperation
from typing import NamedTuple

from quanheng.feel.operators import is_number
from quanheng.ledger.entries import AMOUNT_MAX
from quanheng.loading.declared_accounts import Unasked

_EXACT = Context(prec=60, traps=[InvalidOperation, Inexact])
_ROUNDING = {"half_even": ROUND_HALF_EVEN, "half_up": ROUND_HALF_UP, "down": ROUND_DOWN, "up": ROUND_UP}


class Row(NamedTuple):
    """One event as postings see it: its keys by name (16 bytes, zeros = null), and its request's key."""

    keys: Mapping[str, bytes]
    request: bytes


def minor_units(value: object, exponent: int, rounding: str) -> int | Unasked:
    """An amount in whole minor units.

    Parameters
    ----------
    value : what FEEL gave; one is 10 ** exponent minor units
    rounding : a `declared_accounts.Rounding`
    """
    if not is_number(value):
        return Unasked.AMOUNT_IS_NULL
    if isinstance(value, int) and not exponent:
        whole = value
    else:
        try:
            scaled = Decimal(value).scaleb(exponent, _EXACT)  # type: ignore[arg-type]
            whole = int(scaled.to_integral_value(_ROUNDING.get(rounding, ROUND_HALF_EVEN)))
            if rounding == "exact" and whole != scaled:
                return Unasked.AMOUNT_DOES_NOT_FIT
        except (InvalidOperation, Inexact):
            return Unasked.AMOUNT_DOES_NOT_FIT
    return whole if -AMOUNT_MAX <= whole <= AMOUNT_MAX else Unasked.AMOUNT_DOES_NOT_FIT
