"""Splits of fees: parts equal exact fractions rounded once, nothing is lost, wrong splits are named."""

from __future__ import annotations

import decimal
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quanheng.ledger.entries import AMOUNT_MAX
from quanheng.ledger.instruments.fees import ROUNDINGS, SHARES_MAX, Parts, Share, Split, parts, wrong_in

UP, DOWN, EVEN = decimal.ROUND_UP, decimal.ROUND_DOWN, decimal.ROUND_HALF_EVEN

# amount, (fixed, basis points, rounding) of each share, rounding of the total -> total, shares, residue
TABLE = [
    (10_000, [(30, 290, EVEN)], EVEN, Parts(320, [320], 0)),
    (50, [(0, 100, EVEN)], EVEN, Parts(0, [0], 0)),
    (150, [(0, 100, EVEN)], EVEN, Parts(2, [2], 0)),
    (150, [(0, 100, DOWN)], UP, Parts(2, [1], 1)),
    (100, [(0, 3_333, DOWN), (0, 3_333, DOWN), (0, 3_334, DOWN)], DOWN, Parts(100, [33, 33, 33], 1)),
    (100, [(0, 3_333, UP), (0, 3_333, UP), (0, 3_334, UP)], DOWN, Parts(100, [34, 34, 34], -2)),
    (1, [(0, 1, UP), (0, 1, UP)], UP, Parts(1, [1, 1], -1)),
    (AMOUNT_MAX, [(0, 10_000, EVEN)], EVEN, Parts(AMOUNT_MAX, [AMOUNT_MAX], 0)),
    (AMOUNT_MAX, [(0, 1, DOWN)], UP, Parts(AMOUNT_MAX // 10_000 + 1, [AMOUNT_MAX // 10_000], 1)),
]


def split_of(shares, rounding):
    return Split(tuple(Share(n + 1, *one) for n, one in enumerate(shares)), 99, rounding)


@pytest.mark.parametrize(("amount", "shares", "rounding", "expected"), TABLE)
def test_parts(amount, shares, rounding, expected):
    assert parts(split_of(shares, rounding), amount) == expected


SHARES = st.lists(
    st.tuples(st.integers(0, 10_000), st.integers(0, 10_000 // 64), st.sampled_from(ROUNDINGS)), min_size=1, max_size=64
)


@given(st.integers(1, AMOUNT_MAX), SHARES, st.sampled_from(ROUNDINGS))
def test_parts_are_exact_fractions_rounded_once(amount, shares, rounding):
    split = split_of(shares, rounding)
    made = parts(split, amount)
    assert wrong_in(split) == ""
    assert made.total_minor == sum(made.shares_minor) + made.residue_minor
    exact = [fixed + Fraction(amount * points, 10_000) for fixed, points, _ in shares]
    for part, value, (_, _, mode) in zip(made.shares_minor, exact, shares, strict=True):
        assert part == rounded(value, mode)
    assert made.total_minor == rounded(sum(exact), rounding)
    assert abs(made.residue_minor) <= len(shares)


def rounded(value: Fraction, mode: str) -> int:
    """The plain twin: the exact fraction as a Decimal of 80 digits, rounded by the library."""
    context = decimal.Context(prec=80)
    exact = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    return int(context.quantize(exact, Decimal(1)) if mode is None else exact.quantize(Decimal(1), mode, context))


WRONG = [
    ([], EVEN, "0 shares, 1 .. 64 are allowed"),
    ([(1, 1, EVEN)] * (SHARES_MAX + 1), EVEN, "65 shares"),
    ([(1, 1, EVEN)], "ROUND_SIDEWAYS", "a rounding that is no mode of decimal"),
    ([(1, 1, "up")], EVEN, "a rounding that is no mode of decimal"),
    ([(-1, 1, EVEN)], EVEN, "a fixed part of -1"),
    ([(1.5, 1, EVEN)], EVEN, "a fixed part of 1.5"),
    ([(0, 10_001, EVEN)], EVEN, "10001 basis points, 0 .. 10000 are allowed"),
    ([(0, 6_000, EVEN), (0, 4_001, EVEN)], EVEN, "10001 basis points together"),
]


@pytest.mark.parametrize(("shares", "rounding", "text"), WRONG)
def test_what_is_wrong_is_named(shares, rounding, text):
    assert text in wrong_in(split_of(shares, rounding))
