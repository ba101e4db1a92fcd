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

_NUMBERS = """
AED 784 AFN 971 ALL 008 AMD 051 ANG 532 AOA 973 ARS 032 AUD 036 AWG 533 AZN 944 BAM 977 BBD 052 BDT 050 BGN 975
BHD 048 BIF 108 BMD 060 BND 096 BOB 068 BOV 984 BRL 986 BSD 044 BTN 064 BWP 072 BYN 933 BZD 084 CAD 124 CDF 976
CHE 947 CHF 756 CHW 948 CLF 990 CLP 152 CNY 156 COP 170 COU 970 CRC 188 CUP 192 CVE 132 CZK 203 DJF 262 DKK 208
DOP 214 DZD 012 EGP 818 ERN 232 ETB 230 EUR 978 FJD 242 FKP 238 GBP 826 GEL 981 GHS 936 GIP 292 GMD 270 GNF 324
GTQ 320 GYD 328 HKD 344 HNL 340 HTG 332 HUF 348 IDR 360 ILS 376 INR 356 IQD 368 IRR 364 ISK 352 JMD 388 JOD 400
JPY 392 KES 404 KGS 417 KHR 116 KMF 174 KPW 408 KRW 410 KWD 414 KYD 136 KZT 398 LAK 418 LBP 422 LKR 144 LRD 430
LSL 426 LYD 434 MAD 504 MDL 498 MGA 969 MKD 807 MMK 104 MNT 496 MOP 446 MRU 929 MUR 480 MVR 462 MWK 454 MXN 484
MXV 979 MYR 458 MZN 943 NAD 516 NGN 566 NIO 558 NOK 578 NPR 524 NZD 554 OMR 512 PAB 590 PEN 604 PGK 598 PHP 608
PKR 586 PLN 985 PYG 600 QAR 634 RON 946 RSD 941 RUB 643 RWF 646 SAR 682 SBD 090 SCR 690 SDG 938 SEK 752 SGD 702
SHP 654 SLE 925 SOS 706 SRD 968 SSP 728 STN 930 SVC 222 SYP 760 SZL 748 THB 764 TJS 972 TMT 934 TND 788 TOP 776
TRY 949 TTD 780 TWD 901 TZS 834 UAH 980 UGX 800 USD 840 USN 997 UYI 940 UYU 858 UYW 927 UZS 860 VED 926 VES 928
VND 704 VUV 548 WST 882 XAD 396 XAF 950 XCD 951 XCG 532 XOF 952 XPF 953 YER 886 ZAR 710 ZMW 967 ZWG 924
"""
NUMBERS: dict[str, int] = dict(zip(_NUMBERS.split()[::2], map(int, _NUMBERS.split()[1::2]), strict=True))
"""Numeric code of each currency of ISO 4217 (list one); XCG took over the number of ANG, whose place it took."""

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
