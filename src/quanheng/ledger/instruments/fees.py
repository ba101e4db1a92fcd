"""How an amount is split among several takers: fixed parts, basis points, a stated rounding of each, a named residue.

Source of the rounding modes: IEEE 754-2019, 4.3, and the General Decimal Arithmetic specification, as `decimal` has
them.
"""

from __future__ import annotations

import decimal
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec

from quanheng.ledger.entries import AMOUNT_MAX

ROUNDINGS = (
    decimal.ROUND_HALF_EVEN, decimal.ROUND_HALF_UP, decimal.ROUND_HALF_DOWN, decimal.ROUND_DOWN, decimal.ROUND_UP,
    decimal.ROUND_FLOOR, decimal.ROUND_CEILING, decimal.ROUND_05UP,
)  # fmt: skip
WHOLE_BASIS_POINTS = 10_000
SHARES_MAX = 64
_CONTEXT = decimal.Context(prec=60)
"""Room for SHARES_MAX products of 63 bits and 10,000."""


class Share(msgspec.Struct, frozen=True):
    """What one taker has of each amount: fixed_minor + amount x basis_points / 10,000, rounded once to minor units.

    taker : account of the taker, of the asset of the payment
    rounding : a mode of `decimal`, such as ROUND_HALF_EVEN
    """

    taker: int
    fixed_minor: int = 0
    basis_points: int = 0
    rounding: str = decimal.ROUND_HALF_EVEN


class Split(msgspec.Struct, frozen=True):
    """Shares of several takers. Whoever receives the amount pays the total: the exact shares summed, rounded once.

    residue : account of the difference between that total and the rounded shares, a few minor units either way
    rounding : of the total
    """

    shares: tuple[Share, ...]
    residue: int
    rounding: str = decimal.ROUND_HALF_EVEN


class Parts(NamedTuple):
    """An amount that was split. total_minor = sum(shares_minor) + residue_minor.

    residue_minor : to the residue account; below zero it comes from there
    """

    total_minor: int
    shares_minor: Sequence[int]
    residue_minor: int


def wrong_in(split: Split) -> str:
    """What is wrong with a split, "" if nothing is."""
    if not 0 < len(split.shares) <= SHARES_MAX:
        return f"{len(split.shares)} shares, 1 .. {SHARES_MAX} are allowed"
    if split.rounding not in ROUNDINGS or any(one.rounding not in ROUNDINGS for one in split.shares):
        return "a rounding that is no mode of decimal"
    for one in split.shares:
        if type(one.fixed_minor) is not int or not 0 <= one.fixed_minor <= AMOUNT_MAX:
            return f"a fixed part of {one.fixed_minor}, 0 .. {AMOUNT_MAX} minor units are allowed"
        if type(one.basis_points) is not int or not 0 <= one.basis_points <= WHOLE_BASIS_POINTS:
            return f"{one.basis_points} basis points, 0 .. {WHOLE_BASIS_POINTS} are allowed"
    points = sum(one.basis_points for one in split.shares)
    return f"{points} basis points together, at most {WHOLE_BASIS_POINTS}" if points > WHOLE_BASIS_POINTS else ""


def parts(split: Split, amount_minor: int) -> Parts:
    """The parts of an amount in minor units.

    With `e_i` = fixed_i + amount x basis_points_i / 10,000: share i is round_i(e_i), the total is round(sum of e_i),
    the residue is the total less the shares. Nothing is lost: total = shares + residue, to the minor unit.
    """
    exact = [one.fixed_minor * WHOLE_BASIS_POINTS + amount_minor * one.basis_points for one in split.shares]
    shares = [_rounded(value, one.rounding) for value, one in zip(exact, split.shares, strict=True)]
    total = _rounded(sum(exact), split.rounding)
    return Parts(total, shares, total - sum(shares))


def _rounded(ten_thousandths: int, rounding: str) -> int:
    return int(Decimal(ten_thousandths).scaleb(-4, _CONTEXT).to_integral_value(rounding, _CONTEXT))
