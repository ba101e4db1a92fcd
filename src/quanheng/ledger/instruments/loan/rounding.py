"""Exact fractions of a minor unit, rounded once by a mode of `decimal`."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction


def _half(parts: tuple[int, int, int], up_at_half: bool) -> int:
    whole, rest, denominator = parts
    return whole + (2 * rest > denominator or (2 * rest == denominator and up_at_half))


_MODES: dict[str, Callable[[int, int, int], int]] = {
    # Of a size that is not negative: whole units, the rest over a denominator.
    "ROUND_HALF_EVEN": lambda whole, rest, denominator: _half((whole, rest, denominator), whole % 2 == 1),
    "ROUND_HALF_UP": lambda whole, rest, denominator: _half((whole, rest, denominator), True),
    "ROUND_HALF_DOWN": lambda whole, rest, denominator: _half((whole, rest, denominator), False),
    "ROUND_DOWN": lambda whole, rest, denominator: whole,
    "ROUND_UP": lambda whole, rest, denominator: whole + (rest > 0),
}
ROUNDINGS = tuple(_MODES)
"""Modes that are symmetric around zero."""


def rounded(value: Fraction, mode: str) -> int:
    """The value as an integer; `mode` is one of ROUNDINGS."""
    whole, rest = divmod(abs(value.numerator), value.denominator)
    size = _MODES[mode](whole, rest, value.denominator)
    return size if value >= 0 else -size
