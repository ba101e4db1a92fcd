"""What is made of the aggregates outside the engine: in whole numbers of any size and the kernel's float operations.

So the bits are those of the kernel; only decayed sums are floats of the engine, which differ from the kernel's by at
most 5 · 10^-10 of the sum of absolute contributions.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import polars as pl

from quanheng.features.fixed import buckets, log2_words
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel.words import LOGARITHMS, NULL, UNKNOWN
from quanheng.features.sql.rules import PRODUCTS, RULES, limbs
from quanheng.features.structure_checks import ACCURACY

Row = Mapping[str, Any]
OWN = "own"
"""Part that holds the decided event's own value, of a zscore."""


def finished(
    frame: pl.DataFrame, folds: Sequence[Fold], layouts: Mapping[str, EventLayout], decided: EventLayout | None
) -> pl.DataFrame:
    """Put answers in the place of what was handed on (`rules.Rule.passes`).

    decided : layout of the moments, for the own value of a zscore
    """
    for fold in folds:
        if fold.fold not in RULES or not RULES[fold.fold].passes:
            continue
        parts = [name for name in frame.columns if name.startswith(f"{fold.name}:")]
        names = [name.removeprefix(f"{fold.name}:") for name in parts]
        make = _maker(fold, layouts[fold.of], decided)
        answers = []
        for n, *values in zip(*(frame[name].to_list() for name in (fold.name, *parts)), strict=True):
            answers.append(n if n == UNKNOWN else make(n, dict(zip(names, values, strict=True))))
        frame = frame.drop(parts).with_columns(pl.Series(fold.name, answers, pl.Int64))
    return frame


def bits(number: float | None) -> int:
    """A float64 as a raw column has it; None = NULL. Zero has no sign."""
    return NULL if number is None else int(struct.unpack("<q", struct.pack("<d", number + 0.0))[0])


def _maker(fold: Fold, layout: EventLayout, decided: EventLayout | None) -> Callable[[int, Row], int]:
    scale = layout.scale(fold.value) if fold.value in layout.numbers else 0
    if fold.fold in {"distance", "speed"}:
        return lambda n, row: _of_places(fold, layout, row) if n > 1 else NULL
    if fold.fold == "percentile":
        edges, answers = buckets(ACCURACY if fold.accuracy is None else Decimal(fold.accuracy))
        return lambda n, row: _in_bucket(edges, answers, row["value"]) if n else NULL
    if fold.fold == "entropy":
        return lambda n, row: bits(_entropy(n, row["counts"])) if n else NULL
    if fold.fold in PRODUCTS:
        more = 0 if decided is None or fold.value not in decided.numbers else scale - decided.scale(fold.value or "")
        return lambda n, row: bits(_of_products(fold, scale, n, row, more)) if n > 1 else NULL
    return lambda n, row: bits(_decayed(fold.fold, float(10**scale), row)) if n else NULL


def _of_products(fold: Fold, scale: int, n: int, row: Row, more: int) -> float | None:
    """The formulas of docs/reference/features.md, in the order of kernel/moments.py."""
    sums = {}
    for factors in PRODUCTS[fold.fold]:
        terms = Counter(limbs(factors))
        sums[factors] = sum(
            times * int(row["*".join(term)]) << 32 * sum(one[1] == "h" for one in term) for term, times in terms.items()
        )
    x = sums["x"]
    if fold.fold == "trend":
        under = n * sums["tt"] - sums["t"] ** 2
        over = (n * sums["xt"] - sums["t"] * x) * (fold.per_ms or 0)
        return float(over) / float(under) / float(10**scale) if under else None
    spread = n * sums["xx"] - x * x
    if fold.fold in {"variance", "stddev"}:
        value = float(spread) / (float(n) * float(n - 1))
        return value / float(100**scale) if fold.fold == "variance" else math.sqrt(value) / float(10**scale)
    if not spread:
        return None
    if fold.fold == "zscore":
        if row[OWN] is None:
            return None
        away = n * int(row[OWN]) * 10 ** max(more, 0) - x * 10 ** max(-more, 0)
        root = math.sqrt(float(spread * n) / float(n - 1))
        return float(away) / (root * float(10 ** max(-more, 0)))
    return _skew(n, sums, spread) if n > 2 else None


def _skew(n: int, sums: Mapping[str, int], spread: int) -> float:
    x = sums["x"]
    third = n * (n * sums["xxx"] - 3 * x * sums["xx"]) + 2 * x**3
    unbiased = math.sqrt(float(n) * float(n - 1)) / float(n - 2)
    return float(third) / (float(spread) * math.sqrt(float(spread))) * unbiased


def _decayed(kind: str, unit: float, row: Row) -> float:
    if kind == "decayed_count":
        return float(row["ones"])
    return float(row["weighed"]) / (float(row["ones"]) if kind == "decayed_mean" else 1.0) / unit


def _entropy(n: int, counts: Sequence[int]) -> float:
    """log2 n - (1/n) Σ c log2 c in units of 2^-32, as kernel/entropy.py."""
    rest = max(n * _log2(n) - sum(count * _log2(count) for count in counts), 0)
    return (float(rest >> 64) * 2.0**64 + float(rest & 2**64 - 1)) / float(n) / 2.0**32


def _log2(count: int) -> int:
    """2^32 log2(count), nearly: a table, and beyond it three terms of the series."""
    if count < LOGARITHMS:
        return log2_words()[count]
    shift = count.bit_length() - LOGARITHMS.bit_length() + 1
    head = count >> shift
    x = ((count - (head << shift)) << (48 - shift)) // head
    square = (x >> 7) ** 2 >> 34
    cube = square * (x >> 4) >> 44
    return log2_words()[head] + (shift << 32) + ((x - (square >> 1) + cube // 3) * _PER_LN2 >> 40)


_PER_LN2 = 24204406  # 2^24 / ln 2, rounded.


def _in_bucket(edges: Sequence[int], answers: Sequence[int], value: int) -> int:
    answer = answers[bisect_right(edges, abs(value)) - 1]
    return answer if value >= 0 else -answer


def _of_places(fold: Fold, layout: EventLayout, row: Row) -> int:
    """Distance or speed between the last two rows of a window."""
    from quanheng.features.kernel.geo import metres  # Compiled on first use.

    units = [10 ** layout.scale(name or "") for name in (fold.value, fold.other)]
    for rank in (0, 1):
        for name, most in (("p", 90 * units[0]), ("l", 180 * units[1])):
            value = row[f"{name}{rank}"]
            if value is None or abs(value) > most:
                return NULL
    length = metres(row["p1"], row["l1"], row["p0"], row["l0"], float(units[0]), float(units[1]))
    if fold.fold == "distance":
        return int(length + 0.5)
    apart_ms = row["t0"] - row["t1"]
    return bits(length / float(apart_ms) * 3600.0) if apart_ms > 0 else NULL
