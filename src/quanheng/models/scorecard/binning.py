"""Bins of a column: ranges or groups of categories, each special value and missing as bins of their own.

What is learned here sees the target, so it belongs inside each fold of a validation. A characteristic knows for every
value that can come, also one that training never saw, which bin it falls into.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.models.scorecard.fine_bins import count, fine_cuts, place
from quanheng.models.scorecard.partition import TRENDS, Cut, Limits, best_cut
from quanheng.models.table import Column, Kind

Trend = Literal["auto", "ascending", "descending", "peak", "valley", "none"]
BinKind = Literal["range", "categories", "other", "special", "missing"]
Target = NDArray[np.bool_]

UNKNOWN = "(unknown)"
"""Stands for every category that training did not see or saw too seldom."""


class BinRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a column is cut.

    trend : of the event rate from low to high values. `auto` takes the better of ascending and descending; a peak or
        valley, and then no trend at all, only where that gains more than `turn_gain_min` of the information value and
        more than chance gives: gain · events · others / rows, about chi-squared, above `turn_chi_min`
    bins_max, fine_bins : bins at most, special values and missing not counted; fine bins they are merged from
    share_min, rows_min : of the column's rows with an ordinary value, that a bin must hold; the greater of both counts
    events_min : events, and others, that a bin must hold
    woe_step_min : least difference of neighbours in weight of evidence
    splits : cuts of a number fixed by a person: taken as they are
    groups : groups of categories fixed by a person; all other categories are one bin
    specials : numbers that are codes, beside those the column brings
    rare_share : categories with a smaller share of the rows are one bin
    small_rows : a special, missing or rare bin with fewer rows says nothing: weight of evidence 0
    """

    trend: Trend = "auto"
    bins_max: int = 12
    fine_bins: int = 50
    share_min: float = 0.02
    rows_min: int = 40
    events_min: int = 3
    woe_step_min: float = 0.02
    turn_gain_min: float = 0.1
    turn_chi_min: float = 50.0
    splits: tuple[float, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    specials: tuple[float, ...] = ()
    rare_share: float = 0.01
    small_rows: int = 20


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """One bin with what training found in it.

    low, high : of a range `[low, high)`; None = no bound
    values : categories of a group; special : the number it stands for
    woe : weight of evidence, ln(share of the others / share of the events); above 0 = less risk than the whole
    """

    kind: BinKind
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()
    special: float | None = None
    rows: int = 0
    events: int = 0
    woe: float = 0.0


class Characteristic(msgspec.Struct, frozen=True, kw_only=True):
    """A column with its bins: ranges or groups first, in order, then `other`, special values, missing.

    trend : the one that was chosen; `fixed` where a person cut
    information_value : over all bins (Siddiqi 2017, chapter 10)
    """

    name: str
    kind: Kind
    trend: str
    bins: tuple[Bin, ...]
    information_value: float

    def place(self, values: pl.Series) -> NDArray[np.intp]:
        """The bin of each value, intp[n]; every value has one."""
        if self.kind == "number":
            return self._place_numbers(values.cast(pl.Float64, strict=False).to_numpy())
        table = {value: at for at, one in enumerate(self.bins) for value in one.values}
        other, missing = self._at("other"), self._at("missing")
        found = values.cast(pl.String).to_list()
        return np.array([missing if one is None else table.get(one, other) for one in found], np.intp)

    def _place_numbers(self, numbers: NDArray[np.float64]) -> NDArray[np.intp]:
        numbers = numbers.astype(np.float64)
        cuts = np.array([one.high for one in self.bins if one.kind == "range" and one.high is not None])
        places = place(numbers, cuts)
        for at, one in enumerate(self.bins):
            if one.kind == "special":
                places[numbers == one.special] = at
        places[np.isnan(numbers)] = self._at("missing")
        return places

    def _at(self, kind: BinKind) -> int:
        return next(at for at, one in enumerate(self.bins) if one.kind == kind)

    def woes(self) -> NDArray[np.float64]:
        """Weight of evidence of each bin."""
        return np.array([one.woe for one in self.bins])


def bin_column(column: Column, values: pl.Series, target: Target, rules: BinRules) -> Characteristic:
    """Cut one column so that it tells events from others as well as the rules allow.

    Parameters
    ----------
    values : of the column, null = missing; target : bool[n], true = event

    Raises
    ------
    InputError : splits that do not rise, a category in two groups, a target of one kind
    """
    _check(column, rules, target)
    shell = _numbers(column, values, target, rules) if column.kind == "number" else _groups(values, target, rules)
    trend, bins = shell
    bare = Characteristic(name=column.name, kind=column.kind, trend=trend, bins=bins, information_value=0.0)
    places = bare.place(values)
    return weigh_bins(bare, places, target, rules.small_rows)


def weigh_bins(one: Characteristic, places: NDArray[np.intp], target: Target, small_rows: int = 0) -> Characteristic:
    """The characteristic with counts, weights of evidence and information value of these rows.

    A bin without events or without others counts half a row of each more (Haldane 1956; Agresti 2013, section 3.1.1),
    so that its weight is finite.
    """
    events, others = count(places, target, len(one.bins))
    all_events, all_others = max(int(events.sum()), 1), max(int(others.sum()), 1)
    bins, value = [], 0.0
    for bare, e, o in zip(one.bins, events.tolist(), others.tolist(), strict=True):
        half = 0.5 if e == 0 or o == 0 else 0.0
        woe = float(np.log((o + half) / all_others) - np.log((e + half) / all_events))
        if e + o == 0 or (bare.kind in ("special", "missing", "other") and e + o < small_rows):
            woe = 0.0
        value += (o / all_others - e / all_events) * woe
        bins.append(msgspec.structs.replace(bare, rows=e + o, events=e, woe=woe))
    return msgspec.structs.replace(one, bins=tuple(bins), information_value=value)


def _check(column: Column, rules: BinRules, target: Target) -> None:
    where = f"column {column.name}"
    if list(rules.splits) != sorted(set(rules.splits)) or not np.isfinite(rules.splits).all():
        raise InputError(
            "the splits do not rise",
            where=where,
            found=str(list(rules.splits)),
            allowed="different finite numbers, rising",
        )
    named = [value for group in rules.groups for value in group]
    if twice := sorted({value for value in named if named.count(value) > 1}):
        raise InputError(
            "a category is in two groups", where=where, found=", ".join(twice), allowed="each category in one group"
        )
    if not 0 < int(target.sum()) < len(target):
        raise InputError(
            "the target is of one kind",
            where=where,
            found=f"{int(target.sum())} events of {len(target)} rows",
            allowed="events and others",
            cure="Choose rows that hold both.",
        )


def _limits(rules: BinRules, rows: int) -> Limits:
    least = max(rules.rows_min, int(np.ceil(rules.share_min * rows)))
    return Limits(rules.bins_max, least, rules.events_min, rules.events_min, rules.woe_step_min)


def _numbers(column: Column, values: pl.Series, target: Target, rules: BinRules) -> tuple[str, tuple[Bin, ...]]:
    numbers = values.cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
    specials = sorted({float(one) for one in (*column.specials, *rules.specials)})
    ordinary = ~np.isnan(numbers) & ~np.isin(numbers, np.array(specials))
    if rules.splits:
        trend, cuts = "fixed", list(rules.splits)
    else:
        fine = fine_cuts(numbers[ordinary], rules.fine_bins)
        events, others = count(place(numbers[ordinary], fine), target[ordinary], len(fine) + 1)
        trend, cut = _cut(events, others, rules, _limits(rules, int(ordinary.sum())))
        cuts = [float(fine[start - 1]) for start in cut.starts[1:]]
    lows, highs = [None, *cuts], [*cuts, None]
    ranges = [Bin(kind="range", low=low, high=high) for low, high in zip(lows, highs, strict=True)]
    return trend, (*ranges, *(Bin(kind="special", special=one) for one in specials), Bin(kind="missing"))


def _cut(events: NDArray[np.int64], others: NDArray[np.int64], rules: BinRules, limits: Limits) -> tuple[str, Cut]:
    if rules.trend != "auto":
        return rules.trend, best_cut(events, others, rules.trend, limits)
    tried = {trend: best_cut(events, others, trend, limits) for trend in TRENDS}
    straight = max(("descending", "ascending"), key=lambda trend: tried[trend].value)
    turned = max(("peak", "valley"), key=lambda trend: tried[trend].value)
    chosen, all_events, all_others = straight, int(events.sum()), int(others.sum())
    weight = all_events * all_others / max(all_events + all_others, 1)
    for freer in (turned, "none"):
        gain = tried[freer].value - tried[chosen].value
        if gain > rules.turn_gain_min * tried[chosen].value and gain * weight > rules.turn_chi_min:
            chosen = freer
    return chosen, tried[chosen]


def _groups(values: pl.Series, target: Target, rules: BinRules) -> tuple[str, tuple[Bin, ...]]:
    """Categories in the order of their event rates are cut like a number: the best groups are neighbours there
    (Fisher 1958; Breiman et al. 1984, section 4.2.2)."""
    rest = (Bin(kind="other", values=()), Bin(kind="missing"))
    if rules.groups:
        return "fixed", (*(Bin(kind="categories", values=group) for group in rules.groups), *rest)
    table = (
        pl.DataFrame({"value": values.cast(pl.String), "event": target})
        .drop_nulls("value")
        .group_by("value")
        .agg(pl.len().alias("rows"), pl.col("event").sum().alias("events"))
    )
    least = max(rules.rows_min, int(np.ceil(rules.rare_share * int(values.len() - values.null_count()))))
    often = table.filter(pl.col("rows") >= least).with_columns(rate=pl.col("events") / pl.col("rows"))
    often = often.sort("rate", "value")
    names = often["value"].to_list()
    if not names:
        return "ascending", rest
    events = often["events"].to_numpy().astype(np.int64)
    cut = best_cut(
        events,
        often["rows"].to_numpy().astype(np.int64) - events,
        "ascending",
        _limits(rules, int(often["rows"].sum())),
    )
    ends = [*cut.starts[1:], len(names)]
    groups = [tuple(sorted(names[start:end])) for start, end in zip(cut.starts, ends, strict=True)]
    return "ascending", (*(Bin(kind="categories", values=group) for group in groups), *rest)
