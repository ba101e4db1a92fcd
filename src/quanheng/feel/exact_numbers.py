"""Exact numbers as columns of 64-bit integers over one denominator: the arithmetic of FEEL, a column at a time.

A value is `whole / denominator`, and FEEL's own value lies within `error` of it. Sums, differences and products of
decimals are exact on both sides (64 bits have fewer digits than FEEL's 34), so `error` is 0 until something is divided
that does not end; from there it grows by what 34 digits round away. Two fractions of known denominators that differ are
apart by a known distance, so comparing and rounding are decided exactly wherever `error` is smaller. Rows that are not
decided, because they might overflow or lie on a tie, are marked `unsure` and are for the caller to do by FEEL.
"""

from __future__ import annotations

from decimal import Decimal
from math import gcd, lcm
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

WHOLE_MAX = 2**62
"""Rows that might go beyond are unsure: bounds are estimated in floats, which a factor of two leaves room for."""
DENOMINATOR_MAX = 10**17
ULP = 1e-33
"""What rounding to 34 digits changes, of the value; half of it, with room for the floats it is reckoned in."""
_MARGIN = 0.9
Bits = NDArray[np.bool_]


class Undecidable(Exception):
    """Columns cannot say what FEEL would give."""


class Numbers(NamedTuple):
    """Numbers, some of them null.

    whole : i64[n], or a single one for all rows; 0 where null
    denominator : of all rows; a power of ten where `error` is 0
    null : bool[n], or one for all
    most : no `whole` is larger than this, whatever its sign
    error : FEEL's value is no further than this from `whole / denominator`
    ends : whether it is the same wherever `whole / denominator` is a decimal that ends: one division of exact numbers,
        to which only exact numbers were added
    """

    whole: Any
    denominator: int
    null: Any
    most: int
    error: float = 0.0
    ends: bool = True


class Work:
    """One evaluation over n rows; `unsure` are those it cannot decide."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.unsure: Bits = np.zeros(rows, bool)

    def times(self, one: Numbers, factor: int) -> Numbers:
        """The same wholes a whole number of times, and nothing else of it changed."""
        if factor == 1:
            return one
        one = self._within(one, WHOLE_MAX // factor)
        return one._replace(whole=one.whole * np.int64(factor), most=one.most * factor)

    def brought(self, one: Numbers, denominator: int) -> Numbers:
        """The same value over a multiple of its denominator."""
        if denominator > DENOMINATOR_MAX:
            raise Undecidable
        return self.times(one, denominator // one.denominator)._replace(denominator=denominator)

    def together(self, one: Numbers, other: Numbers) -> tuple[Numbers, Numbers]:
        """Two values over one denominator."""
        common = lcm(one.denominator, other.denominator)
        return self.brought(one, common), self.brought(other, common)

    def add(self, one: Numbers, other: Numbers, sign: int = 1) -> Numbers:
        """The sum, or the difference."""
        one, other = self.together(one, other)
        one, other = self._within(one, WHOLE_MAX - 1), self._within(other, WHOLE_MAX - 1)
        whole = one.whole + other.whole if sign > 0 else one.whole - other.whole
        ends = one.ends and other.ends and not (one.error and other.error)
        made = Numbers(whole, one.denominator, one.null | other.null, one.most + other.most, ends=ends)
        return self._cleared(rounded_again(made, one.error + other.error))

    def multiply(self, one: Numbers, other: Numbers) -> Numbers:
        """The product."""
        denominator = one.denominator * other.denominator
        if denominator > DENOMINATOR_MAX:
            raise Undecidable
        most = one.most * other.most
        if most >= WHOLE_MAX:
            one, other = _measured(one), _measured(other)
            most = one.most * other.most
        if most >= WHOLE_MAX:
            size = np.abs(np.asarray(one.whole, np.float64)) * np.abs(np.asarray(other.whole, np.float64))
            large = np.broadcast_to(size >= WHOLE_MAX, (self.rows,))
            self.unsure |= large
            one, most = one._replace(whole=np.where(large, np.int64(0), one.whole)), 2 * WHOLE_MAX - 1
        made = Numbers(one.whole * other.whole, denominator, one.null | other.null, most)
        error = size_of(one) * other.error + size_of(other) * one.error + one.error * other.error
        return self._cleared(rounded_again(made, error)._replace(ends=not error))

    def divide(self, one: Numbers, by: Numbers) -> Numbers:
        """The quotient by one exact number that is the same in all rows."""
        if np.ndim(by.whole) or np.ndim(by.null) or by.error:
            raise Undecidable
        if by.null or not by.whole:
            return null()
        top, bottom = by.denominator, int(by.whole)
        if bottom < 0:
            top, bottom = -top, -bottom
        shared = gcd(top, bottom)
        top, bottom = top // shared, bottom // shared
        made = self.times(one if top > 0 else one._replace(whole=-one.whole), abs(top))
        made = made._replace(denominator=one.denominator * bottom, error=one.error * abs(top) / bottom)
        if made.error == 0.0 and (ten := _power_of_ten(made.denominator)):
            return self.brought(made, ten)
        if made.denominator > DENOMINATOR_MAX:
            raise Undecidable
        return made._replace(error=(made.error + size_of(made) * ULP) * 1.001, ends=not made.error)

    def order(self, one: Numbers, other: Numbers) -> tuple[Any, Any, Any]:
        """Where `one` is less, where both are equal, where either is null. Equal ones that are not exact are unsure."""
        one, other = self.together(one, other)
        error, null = one.error + other.error, one.null | other.null
        equal = one.whole == other.whole
        if error:
            if error >= _MARGIN / one.denominator:
                raise Undecidable
            if not (one.ends and other.ends) or (one.error and other.error):
                self.unsure |= np.broadcast_to(equal & ~null, (self.rows,))
        return one.whole < other.whole, equal, null

    def rounded(self, one: Numbers, places: int, mode: str) -> Numbers:
        """Rounded to so many places after the point, as one of the `MODES`. Exact from there on."""
        ten = 10**places
        shared = gcd(ten, one.denominator)
        part = one.denominator // shared
        if one.error and one.error * ten >= _MARGIN / (2 * part):
            raise Undecidable
        made = self.times(one, ten // shared)
        if part == 1:
            if one.error and not one.ends:  # Or close beside a whole number, which only the nearest modes do not mind.
                self._touches(made, np.bool_(mode not in NEAREST))
            return made._replace(denominator=ten, error=0.0, ends=True)
        whole, rest = np.divmod(made.whole, np.int64(part))
        twice = 2 * rest
        if one.error and not one.ends:
            self._touches(made, twice == part if mode in NEAREST else rest == 0)
        up = MODES[mode](made.whole, whole, rest, twice, part)
        return Numbers(whole + up, ten, one.null, made.most // part + 1)

    def least(self, one: Numbers, other: Numbers, sign: int) -> Numbers:
        """The lesser of both (`sign` 1), or the greater (-1)."""
        one, other = self.together(one, other)
        error = max(one.error, other.error)
        if error and 2 * error >= _MARGIN / one.denominator:
            raise Undecidable
        chosen = np.minimum if sign > 0 else np.maximum
        made = Numbers(
            chosen(one.whole, other.whole), one.denominator, one.null | other.null, max(one.most, other.most)
        )
        return self._cleared(made._replace(error=error, ends=one.ends and other.ends))

    def chosen(self, condition: Any, then: Numbers, otherwise: Numbers) -> Numbers:
        """`then` where the condition holds."""
        then, otherwise = self.together(then, otherwise)
        return Numbers(
            np.where(condition, then.whole, otherwise.whole),
            then.denominator,
            np.where(condition, then.null, otherwise.null),
            max(then.most, otherwise.most),
            max(then.error, otherwise.error),
            then.ends and otherwise.ends,
        )

    def _touches(self, one: Numbers, where: Any) -> None:
        self.unsure |= np.broadcast_to(where & ~np.asarray(one.null), (self.rows,))

    def _within(self, one: Numbers, most: int) -> Numbers:
        """The same, with rows beyond `most` unsure."""
        if one.most <= most:
            return one
        one = _measured(one)
        if one.most <= most:
            return one
        large = (one.whole > most) | (one.whole < -most)
        self.unsure |= np.broadcast_to(large, (self.rows,))
        return one._replace(whole=np.where(large, np.int64(0), one.whole), most=most)

    @staticmethod
    def _cleared(one: Numbers) -> Numbers:
        """With 0 where it is null, so that nothing there overflows."""
        if not np.any(one.null):
            return one
        return one._replace(whole=np.where(one.null, np.int64(0), one.whole))


def _half_even(value: Any, whole: Any, rest: Any, twice: Any, part: int) -> Any:
    return (twice > part) | ((twice == part) & ((whole & 1) == 1))


MODES: dict[str, Any] = {
    "half even": _half_even,
    "half up": lambda value, whole, rest, twice, part: (twice > part) | ((twice == part) & (value > 0)),
    "half down": lambda value, whole, rest, twice, part: (twice > part) | ((twice == part) & (value < 0)),
    "floor": lambda value, whole, rest, twice, part: np.zeros(np.shape(whole), bool),
    "ceiling": lambda value, whole, rest, twice, part: rest > 0,
    "up": lambda value, whole, rest, twice, part: (rest > 0) & (value > 0),
    "down": lambda value, whole, rest, twice, part: (rest > 0) & (value < 0),
}
"""Whether the next whole number above `whole`, which is not above the value, is taken. `rest` is 0 to part - 1."""
NEAREST = frozenset({"half even", "half up", "half down"})


def constant(value: int | Decimal) -> Numbers:
    """One number for all rows.

    Raises
    ------
    Undecidable : it has more digits than columns hold
    """
    sign, digits, exponent = Decimal(value).as_tuple()
    if not isinstance(exponent, int) or not -17 <= exponent <= 17:
        raise Undecidable
    whole = int("".join(map(str, digits))) * 10 ** max(exponent, 0) * (-1 if sign else 1)
    if abs(whole) >= WHOLE_MAX:
        raise Undecidable
    return Numbers(np.int64(whole), 10 ** max(-exponent, 0), np.bool_(False), abs(whole))


def null() -> Numbers:
    """Null in all rows."""
    return Numbers(np.int64(0), 1, np.bool_(True), 0)


def column(values: NDArray[np.int64], decimals: int, null_is: int) -> Numbers:
    """A column of numbers scaled by 10 ** decimals."""
    gone = values == null_is
    whole = np.where(gone, np.int64(0), values) if gone.any() else values
    return _measured(Numbers(whole, 10**decimals, gone, 2**63))


def size_of(one: Numbers) -> float:
    """Its largest value, whatever its sign; no less."""
    return one.most / one.denominator * 1.001


def rounded_again(one: Numbers, error: float) -> Numbers:
    """With the error of what it was made of, and of rounding the result where that was not exact."""
    return one._replace(error=(error + size_of(one) * ULP) * 1.001 if error else 0.0)


def _measured(one: Numbers) -> Numbers:
    """With `most` as it is, not as it was estimated."""
    whole = np.asarray(one.whole)
    most = max(int(whole.max(initial=0)), -int(whole.min(initial=0)))
    return one._replace(most=most)


def _power_of_ten(denominator: int) -> int:
    """The least power of ten that is a multiple; 0 = none is."""
    rest, twos, fives = denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    return 10 ** max(twos, fives) if rest == 1 else 0
