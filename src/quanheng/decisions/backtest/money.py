"""Amounts as people read them: minor units with the currency's own decimals."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from quanheng.kernel.errors import InputError
from quanheng.kernel.money import Money


def amount(minor: int, currency: str) -> str:
    """ "1,464.95 EUR"; minor units where no currency, or one that is not known, was said."""
    try:
        return f"{Money(minor, currency).amount:,f} {currency}"
    except InputError:
        return f"{minor:,} {escape(currency)}".strip()


def amounts(by_currency: Mapping[str, int]) -> str:
    """Several amounts, one for each currency."""
    return "<br>".join(amount(minor, currency) for currency, minor in by_currency.items()) or "–"
