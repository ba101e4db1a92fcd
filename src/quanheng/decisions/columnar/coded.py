"""A column as codes of its distinct values, and what is computed once per distinct combination."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.feel.operators import is_number

Codes = NDArray[Any]
DIRECT_MAX = 1 << 22
"""Keys below this are made dense through a table of that size, others by sorting."""
KEY_MAX = 1 << 62
WHOLE = 1 << 63
DECIMAL_DIGITS = 38
"""Digits of a Polars Decimal."""


class Coded(NamedTuple):
    """Row i holds `values[codes[i]]`."""

    codes: Codes
    values: Sequence[object]


class Combined(NamedTuple):
    """The distinct combinations of several columns: the code of each row, and one row that shows each."""

    codes: Codes
    rows: Codes


def dense(keys: Codes, size: int) -> tuple[Codes, int]:
    """Keys in 0..size as codes 0..n without gaps, and n; equal keys get equal codes."""
    if size > DIRECT_MAX:
        _, codes = np.unique(keys, return_inverse=True)
        return codes, int(codes.max(initial=-1)) + 1
    seen = np.zeros(size, dtype=np.bool_)
    seen[keys] = True
    code_of = np.cumsum(seen, dtype=np.int32) - np.int32(1)
    return code_of[keys], int(code_of[-1]) + 1 if size else 0


def combine(parts: Sequence[tuple[Codes, int]], rows: int) -> Combined:
    """The distinct combinations among columns of codes, each with the number of codes it may hold."""
    key, size = np.zeros(rows, dtype=np.int64), 1
    for codes, radix in parts:
        if size * radix > KEY_MAX:
            key, size = dense(key, size)
            key = key.astype(np.int64)
        key = key * radix + codes if size > 1 else codes.astype(np.int64)
        size *= max(radix, 1)
    codes, count = dense(key, size)
    shown = np.empty(count, dtype=np.int64)
    shown[codes] = np.arange(rows)
    return Combined(codes, shown)


def coded_list(values: Sequence[object]) -> Coded:
    """A list of Python values; those that cannot be hashed are each their own."""
    known: dict[object, int] = {}
    codes = np.empty(len(values), dtype=np.int64)
    distinct: list[object] = []
    for row, value in enumerate(values):
        key = (value.__class__, str(value) if value.__class__ is Decimal else value)
        try:
            code = known.setdefault(key, len(distinct))
        except TypeError:
            code = len(distinct)
        if code == len(distinct):
            distinct.append(value)
        codes[row] = code
    return Coded(codes, distinct)


# -- back to Polars


def series_of(name: str, coded: Coded) -> pl.Series:
    """The column as a series; values that no type of Polars holds together stay Python objects."""
    distinct = typed_series(name, coded.values)
    if distinct is None:
        return pl.Series(name, [coded.values[code] for code in coded.codes.tolist()], dtype=pl.Object)
    return distinct.gather(pl.Series(coded.codes.astype(np.uint32)))


def typed_series(name: str, values: Sequence[object]) -> pl.Series | None:
    """FEEL values as a series, exact; None where they have no common type in Polars."""
    known = [value for value in values if value is not None]
    classes = {value.__class__ for value in known}
    if not known:
        return pl.Series(name, values, dtype=pl.Null)
    if classes in ({bool}, {str}):
        return pl.Series(name, values, dtype=pl.Boolean if classes == {bool} else pl.String)
    if all(is_number(value) for value in known):
        return _numbers(name, values)
    if classes == {dict}:
        return _contexts(name, values)
    return _lists(name, values) if classes == {list} else None


def _numbers(name: str, values: Sequence[object]) -> pl.Series | None:
    known = [value for value in values if value is not None]
    if all(value.__class__ is int and -WHOLE <= value < WHOLE for value in known):  # type: ignore[operator]
        return pl.Series(name, values, dtype=pl.Int64)
    parts = [Decimal(value).as_tuple() for value in known]  # type: ignore[arg-type]
    scale = max(0, *(-int(part.exponent) for part in parts))
    whole = max(len(part.digits) + int(part.exponent) for part in parts)
    if max(whole, 0) + scale > DECIMAL_DIGITS:
        return None
    exact = [None if value is None else Decimal(value) for value in values]  # type: ignore[arg-type]
    return pl.Series(name, exact, dtype=pl.Decimal(DECIMAL_DIGITS, scale))


def _contexts(name: str, values: Sequence[Any]) -> pl.Series | None:
    keys = list(dict.fromkeys(key for value in values if value is not None for key in value))
    if not keys or any(value is not None and len(value) != len(keys) for value in values):
        return None
    columns = [typed_series(key, [None if value is None else value[key] for value in values]) for key in keys]
    if any(column is None for column in columns):
        return None
    frame = pl.DataFrame([column for column in columns if column is not None])
    present = pl.Series([value is not None for value in values], dtype=pl.Boolean)
    return frame.select(pl.when(present).then(pl.struct(pl.all())).alias(name)).to_series()


def _lists(name: str, values: Sequence[Any]) -> pl.Series | None:
    flat = typed_series("", [item for value in values if value is not None for item in value])
    if flat is None:
        return None
    if not len(flat):
        return pl.Series(name, values, dtype=pl.List(pl.String))
    parts: list[pl.Series | None] = []
    start = 0
    for value in values:
        parts.append(None if value is None else flat.slice(start, len(value)))
        start += 0 if value is None else len(value)
    return pl.Series(name, parts, dtype=pl.List(flat.dtype))
