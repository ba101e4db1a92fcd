"""Numbers (DMN 1.5, 10.3.4.5). Rounding is exact: on the decimal value, never through a float."""

from __future__ import annotations

import math
from decimal import (
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_DOWN,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    ROUND_UP,
    Decimal,
    DecimalException,
)
from typing import cast

from quanheng.feel.functions.registry import builtin
from quanheng.feel.operators import divide, failed, multiply, subtract
from quanheng.feel.temporal import DaysDuration, YearsDuration
from quanheng.feel.values import DIGITS, NUMBERS, Run, rounded, whole

Number = int | Decimal
SCALE_MIN, SCALE_MAX = -6111, 6176
"""Digits after the point that a decimal128 can be rounded to (DMN 1.5, table 76)."""


def _rounded(run: Run, at: int, n: Number, scale: Number | None, mode: str) -> Number | None:
    """`n` with `scale` digits after the point (0 if not given)."""
    places = 0 if scale is None else whole(scale)
    if not SCALE_MIN <= places <= SCALE_MAX:
        run.append((at, f"scale must be from {SCALE_MIN} to {SCALE_MAX}, was {places}"))
        return None
    if n.__class__ is int and places >= 0:
        return n
    value = Decimal(n)
    exponent = cast(int, value.as_tuple().exponent)
    if exponent >= -places:
        return n
    wide = NUMBERS.copy()
    wide.prec, wide.rounding = DIGITS + 2, mode
    try:
        result = value.quantize(Decimal((0, (1,), -places)), mode, wide)
        return _plain(NUMBERS.plus(result)) if places <= 0 else NUMBERS.plus(result)
    except DecimalException as error:
        failed(run, at, error)
        return None


def _plain(value: Decimal) -> Number:
    """An integral result as an int."""
    return rounded(int(value)) if value.adjusted() < DIGITS else value


@builtin("decimal(n: number, scale: number): number")
def decimal(run: Run, at: int, n: Number, scale: Number) -> Number | None:
    return _rounded(run, at, n, scale, ROUND_HALF_EVEN)


@builtin("floor(n: number, scale?: number): number")
def floor(run: Run, at: int, n: Number, scale: Number | None = None) -> Number | None:
    return _rounded(run, at, n, scale, ROUND_FLOOR)


@builtin("ceiling(n: number, scale?: number): number")
def ceiling(run: Run, at: int, n: Number, scale: Number | None = None) -> Number | None:
    return _rounded(run, at, n, scale, ROUND_CEILING)


@builtin("round up(n: number, scale: number): number")
def round_up(run: Run, at: int, n: Number, scale: Number) -> Number | None:
    return _rounded(run, at, n, scale, ROUND_UP)


@builtin("round down(n: number, scale: number): number")
def round_down(run: Run, at: int, n: Number, scale: Number) -> Number | None:
    return _rounded(run, at, n, scale, ROUND_DOWN)


@builtin("round half up(n: number, scale: number): number")
def round_half_up(run: Run, at: int, n: Number, scale: Number) -> Number | None:
    return _rounded(run, at, n, scale, ROUND_HALF_UP)


@builtin("round half down(n: number, scale: number): number")
def round_half_down(run: Run, at: int, n: Number, scale: Number) -> Number | None:
    return _rounded(run, at, n, scale, ROUND_HALF_DOWN)


@builtin("abs(n: number): number")
def absolute(_run: Run, _at: int, n: Number) -> Number:
    return abs(n) if n.__class__ is int else NUMBERS.abs(n)


@builtin("abs(n: days and time duration): days and time duration")
def absolute_days(_run: Run, _at: int, value: DaysDuration) -> DaysDuration:
    return DaysDuration(abs(value.nanos))


@builtin("abs(n: years and months duration): years and months duration")
def absolute_years(_run: Run, _at: int, value: YearsDuration) -> YearsDuration:
    return YearsDuration(abs(value.months))


@builtin("modulo(dividend: number, divisor: number): number")
def modulo(run: Run, at: int, dividend: Number, divisor: Number) -> object:
    """dividend - divisor * floor(dividend / divisor), exactly; the sign is that of the divisor."""
    if not divisor:
        run.append((at, "division by zero"))
        return None
    if dividend.__class__ is int and divisor.__class__ is int:
        return dividend % divisor
    try:
        rest = NUMBERS.remainder(dividend, divisor)
    except DecimalException:
        ratio = divide(run, at, dividend, divisor)
        times = None if ratio is None else _rounded(run, at, cast(Number, ratio), 0, ROUND_FLOOR)
        product = None if times is None else multiply(run, at, divisor, times)
        return None if product is None else subtract(run, at, dividend, product)
    return NUMBERS.add(rest, divisor) if rest and (rest < 0) != (divisor < 0) else rest


@builtin("sqrt(number: number): number")
def square_root(run: Run, at: int, number: Number) -> Decimal | None:
    try:
        return NUMBERS.sqrt(number)
    except DecimalException as error:
        failed(run, at, error)
        return None


@builtin("log(number: number): number")
def logarithm(run: Run, at: int, number: Number) -> Decimal | None:
    if number <= 0:
        run.append((at, "the logarithm of a number that is not positive"))
        return None
    return NUMBERS.ln(number)


@builtin("exp(number: number): number")
def exponential(run: Run, at: int, number: Number) -> Decimal | None:
    try:
        return NUMBERS.exp(number)
    except DecimalException as error:
        failed(run, at, error)
        return None


def _parity(number: Number) -> int | None:
    return int(number) % 2 if number == int(number) else None


@builtin("odd(number: number): boolean")
def odd(_run: Run, _at: int, number: Number) -> bool:
    return _parity(number) == 1


@builtin("even(number: number): boolean")
def even(_run: Run, _at: int, number: Number) -> bool:
    return _parity(number) == 0


_SEPARATORS = {None: "", " ": " ", ",": ",", ".": "."}


@builtin("number(from: string, grouping separator?: string|null, decimal separator?: string|null): number")
def number(run: Run, at: int, text: str, grouping: str | None = None, point: str | None = None) -> Number | None:
    if grouping not in _SEPARATORS or point not in (None, ".", ",") or (grouping is not None and grouping == point):
        run.append((at, "number(): separators must be ' ', ',' or '.', and differ"))
        return None
    plain = text.replace(grouping, "") if grouping else text
    plain = plain.replace(point, ".") if point else plain
    body = plain[1:] if plain[:1] in ("-", "+") else plain
    if (
        not body.isascii()
        or not body.replace(".", "", 1)
        .replace("e", "", 1)
        .replace("E", "", 1)
        .replace("-", "", 1)
        .replace("+", "", 1)
        .isdigit()
    ):
        run.append((at, f"number(): {text!r} is not a number"))
        return None
    try:
        value = NUMBERS.create_decimal(plain)
    except DecimalException:
        run.append((at, f"number(): {text!r} is not a number"))
        return None
    return int(plain) if body.isascii() and body.isdigit() and len(body) <= DIGITS else value


@builtin("number(from: number): number")
def number_itself(_run: Run, _at: int, value: Number) -> Number:
    return value


def is_integral(value: Number) -> bool:
    """True for a number without a fraction."""
    return value.__class__ is int or (not math.isnan(value) and value == int(value))
