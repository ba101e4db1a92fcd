"""The plain twin of the folds that are read from marks: whole numbers of any size, then the same few float operations.

A float64 of a whole number is the nearest one, of two as near the even one: Python's `float` says the same as the
kernel's own conversion. What follows is written in the order of kernel/moments.py, and IEEE 754 does the rest.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from quanheng.features.decay import HALF_LIVES, weight_of
from quanheng.features.fold import Fold
from quanheng.features.kernel.words import NULL

MARKED = {"variance", "stddev", "skew", "zscore", "trend", "decayed_count", "decayed_sum", "decayed_mean"}


class Point(NamedTuple):
    """An event of a window: its time and its value."""

    time_ms: int
    value: int | None


class Own(NamedTuple):
    """The decided event's value of the same name; two factors bring it and the field to one scale."""

    value: int
    factor: int
    others: int


def bits(number: float | None) -> int:
    """A float64 as a raw column has it; None = NULL. Zero has no sign."""
    if number is None:
        return NULL
    return int(struct.unpack("<q", struct.pack("<d", number + 0.0))[0])


def marked(fold: Fold, scale: int, window: Sequence[Point], moment_ms: int, own: Own | None) -> int:
    """The raw column of a fold.

    scale : decimal places of the field
    window : its events
    moment_ms : where the window ends
    own : of the event being decided
    """
    if fold.fold.startswith("decayed"):
        return bits(_decayed(fold, scale, window, moment_ms))
    points = [(one.time_ms, one.value) for one in window if one.value is not None]
    values = [value for _, value in points]
    n = len(values)
    if n < 2 or (fold.fold == "skew" and n < 3):
        return NULL
    mean = Fraction(sum(values), n)
    square = int(sum((value - mean) ** 2 for value in values) * n)  # n times a sum of squares is whole.
    if fold.fold == "trend":
        return bits(_trend(points, fold.per_ms or 0, scale))
    if fold.fold in {"variance", "stddev"}:
        value = float(square) / (float(n) * float(n - 1))
        return bits(value / float(100**scale) if fold.fold == "variance" else math.sqrt(value) / float(10**scale))
    if not square:
        return NULL
    if fold.fold == "zscore":
        return NULL if own is None else bits(_zscore(own, mean, n, square))
    third = int(sum((value - mean) ** 3 for value in values) * n * n)
    unbiased = math.sqrt(float(n) * float(n - 1)) / float(n - 2)
    return bits(float(third) / (float(square) * math.sqrt(float(square))) * unbiased)


def _zscore(own: Own, mean: Fraction, n: int, square: int) -> float:
    away, root = (own.value * own.factor - mean * own.others) * n, math.sqrt(float(square * n) / float(n - 1))
    return float(int(away)) / (root * float(own.others))


def _trend(points: Sequence[tuple[int, int]], per_ms: int, scale: int) -> float | None:
    n = len(points)
    time, value = sum(one for one, _ in points), sum(one for _, one in points)
    under = n * sum(one * one for one, _ in points) - time * time
    over = n * sum(one * other for one, other in points) - time * value
    return float(over * per_ms) / float(under) / float(10**scale) if under else None


def _decayed(fold: Fold, scale: int, window: Sequence[Point], moment_ms: int) -> float | None:
    half_life_ms = fold.half_life_ms or 0
    rows = [one for one in window if one.time_ms > moment_ms - HALF_LIVES * half_life_ms]
    if fold.fold != "decayed_count":
        rows = [one for one in rows if one.value is not None]
    if not rows:
        return None
    turn, mantissa = weight_of(moment_ms, half_life_ms)
    sums = ones = 0
    for row in rows:
        own, weight = weight_of(row.time_ms, half_life_ms)
        weight <<= own - turn + HALF_LIVES
        sums, ones = sums + weight * (row.value or 0), ones + weight
    if fold.fold == "decayed_mean":
        return float(sums) / float(ones) / float(10**scale)
    if fold.fold == "decayed_count":
        return float(ones) / float(mantissa) * 2.0**-64
    return float(sums) / float(mantissa) * 2.0**-64 / float(10**scale)
