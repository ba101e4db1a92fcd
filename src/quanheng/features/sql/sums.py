"""Folds that are made of sums: what SQL adds up, and what is made of it.

SQL engines have whole numbers of 38 digits. A square of 64 bits fits there, a sum of them does not: a value is split
into x = 2^32 h + l, and Σh², Σhl and Σl² are added up apart. Variance and standard deviation are then computed outside
the engine, in whole numbers of any size and the same few float operations as in the kernel, so their bits are equal.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel.words import NULL, UNKNOWN

SQUARED = frozenset({"variance", "stddev"})
SUMMED = frozenset({"sum", "mean", "ratio"}) | SQUARED
_HALF = 2**32
_PRODUCTS = ("hh", "hl", "ll")


def windows_of(folds: Sequence[Fold]) -> list[Fold]:
    """The folds by windows: `change` is two sums (or counts), that of its window and that of the one right before."""
    found = []
    for fold in folds:
        if fold.fold != "change":
            found.append(fold)
            continue
        now = replace(fold, fold="sum" if fold.value else "count")
        before_ms = fold.delay_ms + (fold.window_ms or 0)
        found += [now, replace(now, name=before(fold), delay_ms=before_ms)]
    return found


def before(fold: Fold) -> str:
    """Name of the window right before that of a `change`."""
    return f"{fold.name}:before"


def added(fold: Fold, table: Any) -> dict[str, Any]:
    """What is added up over the window: decimals of 38 digits, or shorter, by name."""
    if fold.fold not in SUMMED:
        return {}
    value = table[f"value:{fold.value}"]
    sums = {"sum": value.cast("decimal(38, 0)")}
    if fold.fold == "ratio":
        sums["other"] = table[f"value:{fold.other}"].cast("decimal(38, 0)")
    if fold.fold in SQUARED:
        low = value % _HALF
        high = ((value - low) / _HALF).cast("int64")  # Exact: a multiple of 2^32 has at most 31 bits more.
        h, l = (part.cast("decimal(19, 0)") for part in (high, low))  # noqa: E741
        sums |= {"hh": h * h, "hl": h * l, "ll": l * l}
    return sums


def counted(fold: Fold, table: Any) -> dict[str, Any]:
    """Values whose number in the window is asked, by name."""
    if fold.fold not in SUMMED:
        return {}
    found = {"v": table[f"value:{fold.value}"]}
    return found | ({"w": table[f"value:{fold.other}"]} if fold.fold == "ratio" else {})


def raw_sums(result: Any, fold: Fold, null: Any) -> dict[str, Any]:
    """Raw columns of `sum`, `mean`, `ratio` and `change` from what was added up."""
    name = fold.name
    if fold.fold == "change":
        what, held = (":sum", ":v") if fold.value else (":n", ":n")
        now, earlier = result[f"{name}{what}"].fill_null(0), result[f"{before(fold)}{what}"].fill_null(0)
        any_before = result[f"{before(fold)}{held}"].fill_null(0) > 0
        return {
            f"{name}.more": any_before.ifelse((now - earlier).cast("int64"), null),
            f"{name}.before": any_before.ifelse(earlier.cast("int64"), 0),
        }
    values = result[f"{name}:v"].fill_null(0)
    total = (values > 0).ifelse(result[f"{name}:sum"].cast("int64"), null)
    if fold.fold == "ratio":
        under = (result[f"{name}:w"].fill_null(0) > 0).ifelse(result[f"{name}:other"].cast("int64"), null)
        return {f"{name}.over": total, f"{name}.under": under}
    return {name: total} if fold.fold == "sum" else {f"{name}.sum": total, f"{name}.count": values}


def kept_sums(result: Any, fold: Fold) -> dict[str, Any]:
    """What `finished` needs of a variance, beside its number of values."""
    kept = {f"{fold.name}:{part}": result[f"{fold.name}:{part}"] for part in ("sum", *_PRODUCTS)}
    return {name: column.cast("decimal(38, 0)") for name, column in kept.items()}


def finished(frame: pl.DataFrame, folds: Sequence[Fold], layouts: Mapping[str, EventLayout]) -> pl.DataFrame:
    """Put the float bits of `variance` and `stddev` in the place of their sums."""
    for fold in folds:
        if fold.fold not in SQUARED:
            continue
        scale = layouts[fold.of].scale(fold.value or "")
        parts = [f"{fold.name}:{part}" for part in ("sum", *_PRODUCTS)]
        rows = zip(*(frame[name].to_list() for name in (fold.name, *parts)), strict=True)
        bits = [_bits(fold.fold, scale, *row) for row in rows]
        frame = frame.drop(parts).with_columns(pl.Series(fold.name, bits, pl.Int64))
    return frame


def _bits(kind: str, scale: int, n: int, *parts: Any) -> int:
    """Σ(x - mean)² / (n - 1) as (n Σx² - (Σx)²) / (n (n - 1)), or its root, in the unit of the field."""
    if n == UNKNOWN:
        return UNKNOWN
    if n < 2:
        return NULL
    total, hh, hl, ll = (int(one) for one in parts)
    spread = n * (hh * _HALF**2 + 2 * hl * _HALF + ll) - total * total
    value = float(spread) / (float(n) * float(n - 1))
    value = value / float(100**scale) if kind == "variance" else math.sqrt(value) / float(10**scale)
    return int(struct.unpack("<q", struct.pack("<d", value))[0])
