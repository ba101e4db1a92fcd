"""Money: an integer number of minor units and an ISO 4217 code with its exponent. Never a float."""

from __future__ import annotations

import decimal
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

from quanheng.kernel.errors import InputError

_EXPONENT_2 = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY
COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR
JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO
NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS
TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
"""
_EXPONENT_0 = """
BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF
"""
EXPONENTS: dict[str, int] = {
    **dict.fromkeys(_EXPONENT_2.split(), 2),
    **dict.fromkeys(_EXPONENT_0.split(), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""Decimal places of each currency of ISO 4217 (list one)."""

DIGITS_MAX = 60
_EXACT = decimal.Context(prec=DIGITS_MAX, traps=[decimal.InvalidOperation, decimal.Overflow, decimal.Inexact])


def exponent(currency: str) -> int:
    """Decimal places of `currency`.

    Raises
    ------
    InputError : not an ISO 4217 code
    """
    found = EXPONENTS.get(currency)
    if found is None:
        raise InputError("not a currency of ISO 4217", found=repr(currency), allowed="a code such as EUR")
    return found


class Money(NamedTuple):
    """`minor` units of `currency`: Money(1234, "EUR") is 12.34 euros, Money(1234, "JPY") is 1234 yen.

    Sums, differences and comparisons need one currency; anything else is refused, never converted silently.
    """

    minor: int
    currency: str

    @classmethod
    def parse(cls, text: str) -> Money:
        """From "12.34 EUR"; the number must be exact in the currency's minor units.

        Raises
        ------
        InputError : another form, an unknown currency, or more decimals than the currency has
        """
        number, _, currency = text.strip().rpartition(" ")
        try:
            amount = _EXACT.create_decimal(number.strip())
        except decimal.DecimalException as error:
            raise InputError(
                "not an amount of money", found=repr(text), allowed='a form such as "12.34 EUR"'
            ) from error
        return cls.of(amount, currency)

    @classmethod
    def of(cls, amount: Decimal | int, currency: str, rounding: str | None = None) -> Money:
        """From major units; without `rounding` (a mode of `decimal`) the amount must be exact in minor units.

        Raises
        ------
        InputError : a float, not finite, or not exact
        """
        if isinstance(amount, bool) or not isinstance(amount, (int, Decimal)):
            raise InputError("money is made from Decimal or int", found=type(amount).__name__, cure="Use Money.parse.")
        places = exponent(currency)
        value = Decimal(amount)
        if not value.is_finite():
            raise InputError("money must be finite", found=str(amount))
        if len(value.as_tuple().digits) > DIGITS_MAX or value.adjusted() + places >= DIGITS_MAX:
            raise InputError("the amount is too long", found=str(amount), allowed=f"at most {DIGITS_MAX} digits")
        scaled = value.scaleb(places, _EXACT)
        whole = scaled.to_integral_value(rounding or ROUND_HALF_EVEN, _EXACT)
        if rounding is None and whole != scaled:
            raise InputError(
                f"{currency} has {places} decimals",
                found=str(amount),
                cure="Say how to round, or give fewer decimals.",
            )
        return cls(int(whole), currency)

    @property
    def amount(self) -> Decimal:
        """The amount in major units, exact, with the currency's decimals."""
        sign, digits, _ = Decimal(self.minor).as_tuple()
        return Decimal((sign, digits, -exponent(self.currency)))

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"

    def __add__(self, other: object) -> Money:  # type: ignore[override]
        return Money(self.minor + self._same(other).minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other).minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __abs__(self) -> Money:
        return Money(abs(self.minor), self.currency)

    def __mul__(self, factor: object) -> Money:  # type: ignore[override]
        if isinstance(factor, bool) or not isinstance(factor, int):
            raise InputError(
                "money times a fraction needs a rounding", found=repr(factor), cure="Use money.times(rate, rounding)."
            )
        return Money(self.minor * factor, self.currency)

    def __rmul__(self, factor: object) -> Money:  # type: ignore[override]
        return self * factor

    def __lt__(self, other: object) -> bool:
        return self.minor < self._same(other).minor

    def __le__(self, other: object) -> bool:
        return self.minor <= self._same(other).minor

    def __gt__(self, other: object) -> bool:
        return self.minor > self._same(other).minor

    def __ge__(self, other: object) -> bool:
        return self.minor >= self._same(other).minor

    def times(self, rate: Decimal, rounding: str = ROUND_HALF_EVEN) -> Money:
        """This money times an exact rate, rounded once to minor units."""
        if not isinstance(rate, Decimal) or not rate.is_finite() or abs(rate.adjusted()) > DIGITS_MAX:
            raise InputError("a rate is a finite Decimal", found=repr(rate), allowed="1E-60 .. 1E+60")
        context = decimal.Context(prec=len(str(self.minor)) + len(rate.as_tuple().digits))  # Room for every digit.
        product = context.multiply(Decimal(self.minor), rate)
        return Money(int(product.to_integral_value(rounding, context)), self.currency)

    def allocate(self, weights: Sequence[int]) -> list[Money]:
        """Parts in proportion to `weights` that sum to this money (largest remainder, ties to the earlier).

        Raises
        ------
        InputError : a negative weight, or none above zero
        """
        total = sum(weights)
        if total <= 0 or min(weights) < 0:
            raise InputError("weights must not be negative and not all zero", found=str(list(weights)))
        size, sign = abs(self.minor), -1 if self.minor < 0 else 1
        parts = [size * weight // total for weight in weights]
        rest = size - sum(parts)
        by_remainder = sorted(range(len(weights)), key=lambda i: (-(size * weights[i] % total), i))
        for i in by_remainder[:rest]:
            parts[i] += 1
        return [Money(sign * part, self.currency) for part in parts]

    def _same(self, other: object) -> Money:
        if not isinstance(other, Money) or other.currency != self.currency:
            raise InputError(
                "amounts of different kinds cannot be added or compared",
                found=f"{self} and {other}",
                allowed=f"two amounts in {self.currency}",
            )
        return other
