"""Which group each row belongs to, by one attribute or by several together. For measurement only, never for a decision.

A group that is too small to say anything is kept apart, under one name, so that no row is lost and none is shown alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError

SMALL = "(groups too small)"
UNKNOWN = "(unknown)"
ROWS_LEAST = 30
"""Fewer rows than these are not shown as a group of their own."""


class Groups(NamedTuple):
    """Rows by group.

    attribute : what tells them apart, "sex" or "sex × age"
    names : of the groups, largest first; SMALL last where it is there
    codes : i8[n], place of each row's group in `names`; -1 = not known
    """

    attribute: str
    names: tuple[str, ...]
    codes: NDArray[np.intp]

    def of(self, name: str) -> NDArray[np.bool_]:
        """bool[n]: rows of a group."""
        found: NDArray[np.bool_] = self.codes == self.names.index(name)
        return found

    @property
    def judged(self) -> tuple[str, ...]:
        """Groups that are compared: all but the remainder."""
        return tuple(name for name in self.names if name != SMALL)


def groups_of(attribute: str, values: Sequence[object] | pl.Series, rows_least: int = ROWS_LEAST) -> Groups:
    """Groups by one attribute: a value each; null is nobody's group.

    Raises
    ------
    InputError : fewer than two groups are large enough
    """
    series = values if isinstance(values, pl.Series) else pl.Series(attribute, values, strict=False)
    return _grouped(attribute, series.cast(pl.String), rows_least)


def intersections(attributes: Mapping[str, pl.Series], rows_least: int = ROWS_LEAST) -> Groups:
    """Groups by several attributes together ("female × 18-24"): unfairness to some may hide in a fair mean of each
    attribute (K. Crenshaw, 1989; M. Kearns and others, Preventing Fairness Gerrymandering, ICML 2018).

    A row with one attribute unknown is in no group.

    Raises
    ------
    InputError : fewer than two groups are large enough
    """
    frame = pl.DataFrame({name: series.cast(pl.String) for name, series in attributes.items()})
    joined = frame.select(pl.concat_str(pl.all(), separator=" × ", ignore_nulls=False)).to_series()
    return _grouped(" × ".join(attributes), joined, rows_least)


def banded(values: pl.Series, bounds: Sequence[float]) -> pl.Series:
    """A number as bands, to stand as an attribute: of age and [25, 60] "< 25", "25 to 60", ">= 60"."""
    edges = list(bounds)
    labels = [
        f"< {edges[0]:g}",
        *(f"{low:g} to {high:g}" for low, high in pairwise(edges)),
        f">= {edges[-1]:g}",
    ]
    numbers = values.cast(pl.Float64).fill_null(np.nan).to_numpy()
    places = np.searchsorted(np.array(edges), numbers, side="right")
    texts = [None if np.isnan(one) else labels[at] for one, at in zip(numbers.tolist(), places.tolist(), strict=True)]
    return pl.Series(values.name, texts, pl.String)


def _grouped(attribute: str, texts: pl.Series, rows_least: int) -> Groups:
    counts = texts.drop_nulls().rename("group").value_counts().sort(["count", "group"], descending=[True, False])
    large = counts.filter(pl.col("count") >= rows_least)["group"].to_list()
    if len(large) < 2:
        raise InputError(
            "there are no two groups to compare", where=attribute,
            found=", ".join(f"{name} ({count})" for name, count in counts.head(8).iter_rows()) or "no value",
            allowed=f"at least two groups of {rows_least} rows or more",
            cure="Band the attribute more coarsely, or measure on more rows.",
        )  # fmt: skip
    place = {name: at for at, name in enumerate(large)}
    small = len(large)
    codes = np.array([-1 if one is None else place.get(one, small) for one in texts.to_list()], np.intp)
    names = (*large, SMALL) if bool((codes == small).any()) else tuple(large)
    return Groups(attribute, names, codes)
