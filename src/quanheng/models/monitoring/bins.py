"""Bins of one column with how many rows of the training fell into each: what later rows are counted into.

A bin is a range of numbers `(cut before, cut]` (of a scorecard `[cut before, cut)`), a special value, a category, all
other categories, or the missing. The bins are fixed with the model: a later row falls where the same value would have
fallen in training. A scorecard gives its own cuts, and the points of each bin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.features.drift.profile import Kind

if TYPE_CHECKING:
    import polars as pl

BINS = 10
CATEGORIES_MAX = 50
"""Categories with a bin of their own, the most frequent ones; the rest is one bin."""


class Bins(msgspec.Struct, frozen=True, kw_only=True):
    """Bins of one column, and the rows of the reference in each.

    cuts : of a number column, rising: ranges (-inf, cuts[0]], (cuts[0], cuts[1]], …, (cuts[-1], inf)
    left_closed : ranges are [cuts[k], cuts[k + 1]) instead, as those of a scorecard
    specials : numbers that have a bin of their own, behind the ranges
    categories : of a category column, each a bin, or groups of them as a scorecard has; behind them one for all others
    counts : rows of the reference, a number for each bin in this order; the last one is of missing values
    points : of a scorecard, for each bin; empty for other models
    """

    name: str
    kind: Kind
    cuts: tuple[float, ...] = ()
    left_closed: bool = False
    specials: tuple[float, ...] = ()
    categories: tuple[str | tuple[str, ...], ...] = ()
    counts: tuple[int, ...] = ()
    points: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """How many bins."""
        if self.kind == "category":
            return len(self.categories) + 2
        return len(self.cuts) + 1 + len(self.specials) + 1

    def labels(self) -> list[str]:
        """What each bin is, for people: "<= 3", "3 to 7", "> 7", "= -1", a category, "other", "missing"."""
        if self.kind == "category":
            named = (one if isinstance(one, str) else " | ".join(one) for one in self.categories)
            return [*named, "other", "missing"]
        if not self.cuts:
            ranges = ["any"]
        else:
            middle = [f"{_short(low)} to {_short(high)}" for low, high in zip(self.cuts, self.cuts[1:], strict=False)]
            below, above = ("<", ">=") if self.left_closed else ("<=", ">")
            ranges = [f"{below} {_short(self.cuts[0])}", *middle, f"{above} {_short(self.cuts[-1])}"]
        return [*ranges, *(f"= {_short(one)}" for one in self.specials), "missing"]

    def place(self, values: NDArray[np.float64] | pl.Series) -> NDArray[np.intp]:
        """The bin of every value.

        Parameters
        ----------
        values : of a number column f8[n], NaN = missing; of a category column a series of texts, null = missing
        """
        if self.kind == "category":
            known: dict[str | None, int] = {}
            for at, one in enumerate(self.categories):
                known |= dict.fromkeys([one] if isinstance(one, str) else one, at)
            other = len(self.categories)
            places = [other + 1 if text is None else known.get(text, other) for text in _texts(values)]
            return np.array(places, np.intp)
        numbers = values if isinstance(values, np.ndarray) else as_floats(values)
        side: Literal["left", "right"] = "right" if self.left_closed else "left"
        places_of = np.searchsorted(np.array(self.cuts), numbers, side=side).astype(np.intp, copy=False)
        for at, special in enumerate(self.specials, len(self.cuts) + 1):
            places_of[numbers == special] = at
        places_of[np.isnan(numbers)] = self.size - 1
        return places_of

    def count(self, values: NDArray[np.float64] | pl.Series) -> NDArray[np.int64]:
        """i8[bins]: how many of the values fall into each."""
        return np.bincount(self.place(values), minlength=self.size).astype(np.int64)


def number_bins(
    name: str, values: NDArray[np.float64], specials: Sequence[float] = (), bins: int = BINS, weight: int = 1
) -> Bins:
    """Bins of equal share over f8[n], NaN = missing; a value that is frequent makes a wider bin, so there may be fewer.

    weight : rows that each value stands for
    """
    plain = values[~np.isnan(values) & ~np.isin(values, list(specials))]
    cuts: tuple[float, ...] = ()
    if len(plain):
        found = np.unique(np.quantile(plain, np.arange(1, bins) / bins, method="inverted_cdf"))
        cuts = tuple(float(one) for one in found if one < plain.max())
    made = Bins(name=name, kind="number", cuts=cuts, specials=tuple(map(float, specials)))
    return counted(made, values, weight)


def category_bins(name: str, values: pl.Series) -> Bins:
    """A bin for each category, most frequent first, ties in the order of their texts."""
    import polars as pl

    texts = values.cast(pl.String)
    found = texts.drop_nulls().value_counts().sort(["count", texts.name], descending=[True, False])
    return counted(
        Bins(name=name, kind="category", categories=tuple(found[texts.name].to_list()[:CATEGORIES_MAX])), texts
    )


def counted(bins: Bins, values: NDArray[np.float64] | pl.Series, weight: int = 1) -> Bins:
    """The same bins with the rows of a reference in them."""
    return msgspec.structs.replace(bins, counts=tuple((bins.count(values) * weight).tolist()))


def _short(value: float) -> str:
    return f"{value:.6g}"


def as_floats(values: pl.Series) -> NDArray[np.float64]:
    """A series of numbers as f8[n], NaN = missing."""
    import polars as pl

    return values.cast(pl.Float64).fill_null(np.nan).to_numpy()


def _texts(values: NDArray[np.float64] | pl.Series) -> list[str | None]:
    import polars as pl

    series = pl.Series(values) if isinstance(values, np.ndarray) else values
    return series.cast(pl.String).to_list()
