"""The columns of a frame: read exactly, placed among the constants of a table, compared with each other.

A number column is whole numbers in 64 bits with a scale (its last digit is 10 to the minus scale), or, where its input
is declared as float, float64. Nothing here rounds: what would not be exact is answered with None, and row code does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.decisions.columnar.coded import WHOLE, Coded, Codes, coded_list
from quanheng.decisions.dmn.index import Column
from quanheng.decisions.dmn.lookup import Placed, float_steps, whole_steps
from quanheng.feel.floats import decimal_of, float_of
from quanheng.feel.temporal import Date
from quanheng.feel.types import BOOLEAN, DATE, NUMBER, STRING, FeelType
from quanheng.feel.values import NUMBERS
from quanheng.kernel.errors import InputError

Mask = NDArray[np.bool_]
Places = tuple[Codes, list[int]]
"""For each row the number of its place, and the rules let through at each place."""
STEPS_COMPARED_MAX = 64
"""Up to this many bounds are compared one after another, more are searched."""
DISTINCT_COMPARED_MAX = 24
_COMPARE = {"=": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater,
            ">=": np.greater_equal}  # fmt: skip


def stepped(values: NDArray[Any], bounds: Sequence[Any], dtype: Any) -> Codes:
    """How many of the ascending `bounds` each value reaches."""
    if len(bounds) > STEPS_COMPARED_MAX:
        return np.searchsorted(np.array(bounds, dtype=dtype), values, side="right")
    places = np.zeros(len(values), dtype=np.uint8)
    for bound in bounds:
        places += values >= dtype(bound)
    return places


def with_missing(places: Codes, missing: Mask | None, rules: list[int], null: int) -> Places:
    """Null has the place behind all others."""
    if missing is not None:
        places = np.where(missing, places.dtype.type(len(rules)), places)
    return places, [*rules, null]


class Known:
    """What is known of one variable in every row."""

    missing: Mask | None = None

    @cached_property
    def coded(self) -> Coded:
        """As codes of distinct FEEL values."""
        raise NotImplementedError

    def places(self, column: Column) -> Places | None:
        """Where the rows lie among the constants of a table."""
        placed = Placed(column)
        return self.coded.codes, [placed(value) for value in self.coded.values]


@dataclass
class Numbers(Known):
    """`values[i]` counts units of 10 to the minus `scale`; meaningless where `missing`."""

    values: NDArray[np.int64]
    scale: int
    missing: Mask | None

    @cached_property
    def coded(self) -> Coded:
        distinct, codes = np.unique(self.values, return_inverse=True)
        scale = self.scale
        values = [NUMBERS.scaleb(Decimal(one), -scale) if scale else one for one in distinct.tolist()]
        return null_coded(codes, values, self.missing)

    def places(self, column: Column) -> Places | None:
        cuts = tuple(NUMBERS.scaleb(Decimal(cut), self.scale) for cut in column.cuts)  # type: ignore[arg-type]
        bounds, rules = whole_steps(column._replace(cuts=cuts))
        low = sum(bound < -WHOLE for bound in bounds)
        high = sum(bound < WHOLE for bound in bounds)
        bounds, rules = bounds[low:high], rules[low : high + 1]
        return with_missing(stepped(self.values, bounds, np.int64), self.missing, rules, column.rules[-1])

    def at_scale(self, scale: int) -> NDArray[np.int64] | None:
        """The same in smaller units; None where 64 bits do not hold it."""
        factor = 10 ** (scale - self.scale)
        if factor == 1:
            return self.values
        largest = max(int(self.values.max(initial=0)), -int(self.values.min(initial=0)))
        return self.values * np.int64(factor) if largest * factor < WHOLE else None


@dataclass
class Floats(Known):
    """A declared float: its FEEL value is the shortest decimal that reads back as the same float."""

    values: NDArray[np.float64]
    missing: Mask | None

    @cached_property
    def coded(self) -> Coded:
        distinct, codes = np.unique(self.values, return_inverse=True)
        return null_coded(codes, [decimal_of(one) for one in distinct.tolist()], self.missing)

    def places(self, column: Column) -> Places | None:
        bounds, rules = float_steps(column)
        return with_missing(stepped(self.values, bounds, np.float64), self.missing, rules, column.rules[-1])


@dataclass
class Texts(Known):
    """Strings, as Polars holds them."""

    series: pl.Series

    def __post_init__(self) -> None:
        self.missing = missing_of(self.series)

    @cached_property
    def coded(self) -> Coded:
        distinct = self.series.unique().drop_nulls().sort()
        texts = distinct.to_list()
        if len(texts) <= DISTINCT_COMPARED_MAX:
            codes = self.numbered(texts[1:])
        else:
            numbers = pl.Series(np.arange(len(distinct), dtype=np.uint32))
            codes = self.series.replace_strict(distinct, numbers, default=0, return_dtype=pl.UInt32).to_numpy()
        return null_coded(codes, texts, self.missing)

    def numbered(self, texts: Sequence[object]) -> Codes:
        """1, 2, ... where the row holds the first, second, ... of `texts`, 0 elsewhere."""
        codes = np.zeros(len(self.series), dtype=np.uint8)
        for number, text in enumerate(texts, 1):
            codes += flags(self.series == text).view(np.uint8) * np.uint8(number)  # type: ignore[arg-type]
        return codes

    def places(self, column: Column) -> Places | None:
        if "coded" in self.__dict__ or not column.by_equality or len(column.cuts) > DISTINCT_COMPARED_MAX:
            return super().places(column)
        rules = [column.rules[0], *column.rules[1:-1:2]]
        return with_missing(self.numbered(column.cuts), self.missing, rules, column.rules[-1])


@dataclass
class Flags(Known):
    """Booleans, as Polars holds them."""

    series: pl.Series

    def __post_init__(self) -> None:
        self.missing = missing_of(self.series)

    @cached_property
    def coded(self) -> Coded:
        return null_coded(flags(self.series).view(np.uint8), [False, True], self.missing)


@dataclass
class Values(Known):
    """Anything else, and what decisions gave."""

    given: Coded

    @cached_property
    def coded(self) -> Coded:
        return self.given


def null_coded(codes: Codes, values: list[object], missing: Mask | None) -> Coded:
    """With null as a further value where rows are missing."""
    if missing is None:
        return Coded(codes, values)
    wide = codes.astype(np.int64) if len(values) >= np.iinfo(codes.dtype).max else codes
    return Coded(np.where(missing, wide.dtype.type(len(values)), wide), [*values, None])


def flags(series: pl.Series) -> Mask:
    """Booleans; null is False."""
    if series.null_count():
        series = series.fill_null(False)
    return series.to_numpy()


def missing_of(series: pl.Series) -> Mask | None:
    return series.is_null().to_numpy() if series.null_count() else None


# -- reading


def read(series: pl.Series, kind: FeelType, as_float: bool) -> Known:
    """A column of a frame as values of an input.

    Raises
    ------
    InputError : the column's type does not hold values of the input's type, or holds floats that are not declared
    """
    dtype = series.dtype
    if dtype == pl.Null:
        return Values(Coded(np.zeros(len(series), dtype=np.uint8), [None]))
    if dtype.is_float():
        if not as_float:
            raise wrong_column(series, kind, "Cast it to Decimal or to an integer, or declare the input as float.")
        values = series.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        missing = ~np.isfinite(values)
        return Floats(np.where(missing, 0.0, values), missing if missing.any() else None)
    if kind is NUMBER and (dtype.is_integer() or dtype.is_decimal()):
        return _numbers(series)
    if kind is STRING and dtype in (pl.String, pl.Categorical, pl.Enum):
        return Texts(series if dtype == pl.String else series.cast(pl.String))
    if kind is BOOLEAN and dtype == pl.Boolean:
        return Flags(series)
    if kind is DATE and dtype == pl.Date:
        found = Numbers(series.to_physical().fill_null(0).cast(pl.Int64).to_numpy(), 0, missing_of(series)).coded
        return Values(Coded(found.codes, [None if one is None else Date(one) for one in found.values]))  # type: ignore[arg-type]
    if kind in (NUMBER, STRING, BOOLEAN) or dtype.is_temporal() or _holds_floats(dtype):
        raise wrong_column(series, kind, "Cast the column to the type of the input.")
    return Values(coded_list(series.to_list()))


def _numbers(series: pl.Series) -> Known:
    scale = series.dtype.scale if isinstance(series.dtype, pl.Decimal) else 0
    whole = series if series.dtype == pl.Int64 else series.to_physical().cast(pl.Int64, strict=False)
    if whole.null_count() != series.null_count():
        return Values(coded_list(series.to_list()))
    missing = missing_of(series)
    return Numbers((whole if missing is None else whole.fill_null(0)).to_numpy(), scale, missing)


def _holds_floats(dtype: pl.DataType) -> bool:
    """Floats inside lists and structures."""
    if isinstance(dtype, pl.List | pl.Array):
        return _holds_floats(dtype.inner)  # type: ignore[arg-type]
    if isinstance(dtype, pl.Struct):
        return any(_holds_floats(field.dtype) for field in dtype.fields)  # type: ignore[arg-type]
    return dtype.is_float()


def wrong_column(series: pl.Series, kind: FeelType, cure: str) -> InputError:
    return InputError(
        "a column does not hold what the policy takes",
        where=series.name,
        found=str(series.dtype),
        allowed=f"values of type {kind}",
        cure=cure,
    )


# -- comparing


Decided = tuple[Mask, Mask]
"""Where a condition is true, and where it is false; null is neither."""


def compared(op: str, left: Known, right: Known, rows: int) -> Decided | None:
    """`left op right` in every row; None where it cannot be answered exactly here."""
    pair = _pair(left, right)
    if pair is None:
        return None
    if isinstance(pair[0], pl.Series):
        true = _texts_compared(op, *pair)
    else:
        true = _COMPARE[op](*pair)
    gone = [one.missing for one in (left, right) if one.missing is not None]
    if not gone:
        return true, ~true
    if op not in ("=", "!="):
        known = ~np.logical_or.reduce(gone)
        return true & known, ~true & known
    # Equality always answers: null equals null and nothing else.
    a, b = (one.missing if one.missing is not None else np.zeros(rows, dtype=np.bool_) for one in (left, right))
    same = (true if op == "=" else ~true) & ~a & ~b | (a & b)
    return (same, ~same) if op == "=" else (~same, same)


def _pair(left: Known, right: Known) -> Any:
    """Both sides in one unit, ready for one comparison."""
    if isinstance(left, Numbers) and isinstance(right, Numbers):
        scale = max(left.scale, right.scale)
        pair = left.at_scale(scale), right.at_scale(scale)
        return None if pair[0] is None or pair[1] is None else pair
    if isinstance(left, Floats) and isinstance(right, Floats):
        return left.values, right.values
    if isinstance(left, Texts) and isinstance(right, Texts):
        return left.series, right.series
    if isinstance(left, Flags) and isinstance(right, Flags):
        return left.coded.codes == 1, right.coded.codes == 1
    return None


def _texts_compared(op: str, left: pl.Series, right: pl.Series) -> Mask:
    found = {"=": left.__eq__, "!=": left.__ne__, "<": left.__lt__, "<=": left.__le__, ">": left.__gt__,
             ">=": left.__ge__}[op](right)  # fmt: skip
    return flags(found)  # type: ignore[arg-type]


def constant_column(beside: Known, value: object) -> Known | None:
    """A constant as a column of one row, to be compared with `beside`; None where that would not be exact."""
    if isinstance(beside, Floats):
        nearest = float_of(value)  # type: ignore[arg-type]
        return None if nearest is None else Floats(np.array([nearest]), None)
    if isinstance(beside, Texts) and isinstance(value, str):
        return Texts(pl.Series([value]))
    if isinstance(beside, Flags) and isinstance(value, bool):
        return Flags(pl.Series([value]))
    if isinstance(beside, Numbers):
        scale = max(0, -int(Decimal(value).as_tuple().exponent))  # type: ignore[arg-type, call-overload]
        whole = int(NUMBERS.scaleb(Decimal(value), scale))  # type: ignore[arg-type, call-overload]
        return Numbers(np.array([whole]), scale, None) if -WHOLE <= whole < WHOLE else None
    return None
