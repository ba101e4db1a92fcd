"""Profiles: how the values of a column are distributed, in bounded memory, merged from chunks, kept in a file.

A number falls into a bucket that depends on nothing but itself: 128 buckets between two powers of two, so that a
bucket is at most 1/128 of its value wide, and whole numbers up to 128 have a bucket of their own. Two profiles are so
compared bucket by bucket, whichever was made first. A profile holds counts, no value of a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError

FORMAT = 1
CATEGORIES_MAX = 1_000
"""Categories that are counted one by one; the rest, in the order of appearance, is counted as one."""
_STEPS = 128  # Buckets between two powers of two.
_SHIFT = 1_100  # Above the exponent of the smallest number, so that a place is positive.

Kind = Literal["number", "category"]


class Profile(msgspec.Struct):
    """Distribution of one column.

    rows : values seen, the missing included; missing : nulls (NaN)
    total : sum of the numbers, for the mean
    buckets : number columns: bucket → values in it, see `bucket_of`
    categories : category columns: text → values; `others` beyond CATEGORIES_MAX of them
    """

    name: str
    kind: Kind
    rows: int = 0
    missing: int = 0
    total: float = 0.0
    buckets: dict[int, int] = {}
    categories: dict[str, int] = {}
    others: int = 0

    @property
    def present(self) -> int:
        """Values that are not missing."""
        return self.rows - self.missing

    def add_numbers(self, values: NDArray[np.float64]) -> None:
        """Count f8[n]; NaN is missing, and so is an infinity."""
        found = values[np.isfinite(values)]
        self.rows += len(values)
        self.missing += len(values) - len(found)
        if not len(found):
            return
        self.total += float(found.sum())
        places, counts = np.unique(bucket_of(found), return_counts=True)
        for place, count in zip(places.tolist(), counts.tolist(), strict=True):
            self.buckets[place] = self.buckets.get(place, 0) + count

    def add_categories(self, values: Iterable[object]) -> None:
        """Count texts (anything else by its text); None is missing."""
        counts = Counter(values)
        self.rows += counts.total()
        self.missing += counts.pop(None, 0)
        for value, count in counts.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            if text in self.categories or len(self.categories) < CATEGORIES_MAX:
                self.categories[text] = self.categories.get(text, 0) + count
            else:
                self.others += count

    def ordered(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Buckets in the order of their values, and the values in each."""
        places = np.array(sorted(self.buckets), np.int64)
        return places, np.array([self.buckets[place] for place in places.tolist()], np.int64)

    @property
    def mean(self) -> float | None:
        """Of the numbers; None if there is none."""
        return self.total / self.present if self.present and self.kind == "number" else None

    def quantile(self, share: float) -> float | None:
        """The value below or at which `share` of the numbers lie, to 1/128 of itself; None if there is none."""
        places, counts = self.ordered()
        if not len(places):
            return None
        rank = max(int(np.ceil(share * int(counts.sum()))), 1)
        return float(value_of(places[[int(np.searchsorted(counts.cumsum(), rank))]])[0])


class Profiles(msgspec.Struct):
    """Profiles of all columns of one population, and where they come from."""

    pack: str
    source: str
    rows: int
    columns: list[Profile]
    format: int = FORMAT


def bucket_of(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bucket of each finite number; the order of buckets is that of the numbers.

    With |v| = m * 2^e and m in [1/2, 1): sign * ((e + 1100) * 128 + floor((m - 1/2) * 256) + 1); zero is bucket 0. Only
    exact operations, so that a value has the same bucket on every machine.
    """
    mantissa, exponent = np.frexp(np.abs(values))
    steps = np.floor((mantissa - 0.5) * (2 * _STEPS)).astype(np.int64)
    place = (exponent.astype(np.int64) + _SHIFT) * _STEPS + steps + 1
    return np.where(values == 0.0, 0, np.where(values < 0.0, -place, place))


def value_of(places: NDArray[np.int64]) -> NDArray[np.float64]:
    """The end of each bucket that is nearest to zero: exact for whole numbers up to 128."""
    above = np.abs(places) - 1
    mantissa = 0.5 + (above % _STEPS) / (2 * _STEPS)
    size = np.ldexp(mantissa, (above // _STEPS - _SHIFT).astype(np.int32))
    return np.where(places == 0, 0.0, np.sign(places) * size)


def profiles_of(frame: Any, names: Mapping[str, Kind], pack: str, source: str) -> Profiles:
    """Profiles of the columns of a polars frame.

    names : columns to take, and what they are

    Raises
    ------
    InputError : a number column holds no numbers
    """
    import polars as pl

    made = Profiles(pack, source, len(frame), [])
    for name, kind in names.items():
        column, profile = frame[name], Profile(name, kind)
        if kind == "category":
            profile.add_categories(column.to_list())
        elif column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
            profile.add_numbers(column.cast(pl.Float64).fill_null(float("nan")).to_numpy())
        else:
            raise InputError(
                "the column holds no numbers",
                where=f"{source}, column {name}",
                found=str(column.dtype),
                allowed="integers, decimals, floats or booleans",
                cure="Cast it, or leave it out of the file.",
            )
        made.columns.append(profile)
    return made


def encode(profiles: Profiles) -> bytes:
    """As a file holds them: JSON, a line."""
    return msgspec.json.encode(profiles) + b"\n"


def decode(data: bytes, where: str) -> Profiles:
    """Profiles out of a file.

    Raises
    ------
    InputError : the file holds something else, or profiles of another format
    """
    cure = "Make it anew: quanheng features report PACK --save-profile FILE"
    try:
        found = msgspec.json.decode(data, type=Profiles)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError("the file holds no profiles", where=where, found=str(error), cure=cure) from None
    if found.format != FORMAT:
        raise InputError(
            "the profiles have another format", where=where, found=str(found.format), allowed=str(FORMAT), cure=cure
        )
    return found


def names_of(profiles: Sequence[Profile]) -> dict[str, Profile]:
    """Profiles by the name of their column."""
    return {one.name: one for one in profiles}
