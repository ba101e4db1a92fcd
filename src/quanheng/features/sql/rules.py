"""One table of rules: what each kind of fold aggregates over its window, and the raw columns that are made of it.

An aggregate is (how, column): `count`, `sum`, `min` and `max` can be put together from two parts of a window, so they
are asked of RANGE windows too; `nunique` and `collect` of joins alone. What a kind needs of the order of its window
lies in columns that `windows.ordered` adds to the pairs of a join: `_rank` (0 = the last event), and of one fold
`:place`, `:times`, `:broken`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

from quanheng.features.decay import HALF_LIVES
from quanheng.features.fold import Fold
from quanheng.features.kernel.words import MILLIONTHS, NULL, NUMBER_MAX, NUMBER_MIN, UNKNOWN
from quanheng.features.sql.reasons import import_ibis

Table = Any
"""An Ibis table."""
Value = Any
"""An Ibis column."""
Asked = dict[str, tuple[str, Value]]
_HALF = 2**32


class Rule(NamedTuple):
    """How one kind is said.

    asks : (fold, rows of a window) -> aggregates by name; `n`, the number of events, is asked of every fold
    raw : (fold, aggregates by name) -> raw columns by the name of their part
    passes : the aggregates are handed on, and `finish` makes the answer of them; `raw` then says how many values
        there are
    ordered : it needs the order of the window's rows
    by_range : RANGE windows say it, too
    """

    asks: Callable[[Fold, Table], Asked]
    raw: Callable[[Fold, Mapping[str, Value]], dict[str, Value]]
    passes: bool = False
    ordered: bool = False
    by_range: bool = True


def of_value(fold: Fold, rows: Table) -> Value:
    """The folded field."""
    return rows[f"value:{fold.value}"]


def answered(fold: Fold) -> str:
    """Column with what a value answers as: the number itself, or the 53 bits of a key."""
    return f"{fold.value}:53" if fold.value else ""


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


# -- what is aggregated


def _nothing(fold: Fold, rows: Table) -> Asked:
    return {}


def _sums(fold: Fold, rows: Table) -> Asked:
    value = of_value(fold, rows)
    found = {"sum": ("sum", value.cast("decimal(38, 0)")), "v": ("count", value)}
    if fold.fold == "ratio":
        other = rows[f"value:{fold.other}"]
        found |= {"other": ("sum", other.cast("decimal(38, 0)")), "w": ("count", other)}
    return found


def _extremes(fold: Fold, rows: Table) -> Asked:
    return {how: (how, of_value(fold, rows)) for how in ("min", "max")}


def _row(how: str) -> Callable[[Fold, Table], Asked]:
    return lambda fold, rows: {"seq": (how, rows._seq)}


def _nth(fold: Fold, rows: Table) -> Asked:
    return {"seq": ("max", _where(rows._rank == (fold.nth or 1) - 1, rows._seq))}


def _where(holds: Value, value: Value) -> Value:
    return import_ibis().ifelse(holds, value, import_ibis().null(value.type()))


PRODUCTS: Mapping[str, tuple[str, ...]] = {
    "variance": ("x", "xx"), "stddev": ("x", "xx"), "zscore": ("x", "xx"), "skew": ("x", "xx", "xxx"),
    "trend": ("x", "t", "xt", "tt"),
}  # fmt: skip
"""Sums of products of values x and times t that a kind is made of."""


def limbs(factors: str) -> list[tuple[str, ...]]:
    """A product of numbers x = 2^32 xh + xl as its terms: "xx" is xh·xh, xh·xl (twice) and xl·xl."""
    return [tuple(sorted(term)) for term in product(*((f"{one}h", f"{one}l") for one in factors))]


def _products(fold: Fold, rows: Table) -> Asked:
    """Σ of products, limb by limb: a square of 64 bits fits 38 digits, a sum of them does not."""
    value = of_value(fold, rows)
    parts: dict[str, Value] = {}
    for name, number in (("x", value), ("t", _where(value.notnull(), rows._placed))):
        low = number % _HALF
        high = ((number - low) / _HALF).cast("int64")  # Exact: a multiple of 2^32 has at most 31 bits more.
        parts |= {f"{name}h": high.cast("decimal(10, 0)"), f"{name}l": low.cast("decimal(10, 0)")}
    found: Asked = {"v": ("count", value)}
    for term in {term for factors in PRODUCTS[fold.fold] for term in limbs(factors)}:
        total = parts[term[0]].cast("decimal(19, 0)")  # DuckDB gives a product of shorter ones 18 digits.
        for one in term[1:]:
            total *= parts[one]
        found["*".join(term)] = ("sum", total)
    return dict(sorted(found.items()))


def _streak(fold: Fold, rows: Table) -> Asked:
    return {"streak": ("count", _where(rows._seq > rows[f"{fold.name}:broken"], rows._seq))}


def _most(fold: Fold, rows: Table) -> Asked:
    best = (rows[f"{fold.name}:place"] == 0) & of_value(fold, rows).notnull()
    times = rows[f"{fold.name}:times"]
    return {
        "top": ("max", _where(best, rows[f"value:{answered(fold)}"])), "most": ("max", _where(best, times)),
        "v": ("count", of_value(fold, rows)),
    }  # fmt: skip


def _counts(fold: Fold, rows: Table) -> Asked:
    """How often each value occurs, said at the first row of each."""
    value, times = of_value(fold, rows), rows[f"{fold.name}:times"]
    first = (rows[f"{fold.name}:place"] == 0) & value.notnull()
    return {"v": ("count", value), "counts": ("collect", _where(first, times))}


def _percentile(fold: Fold, rows: Table) -> Asked:
    """The value whose place (from 1) is the first that is at least q n, counted in millionths."""
    asked = rows[f"{fold.name}:times"] * int((fold.quantile or 0) * MILLIONTHS)
    place = (rows[f"{fold.name}:place"] + 1) * MILLIONTHS
    chosen = (place >= asked) & (place < asked + MILLIONTHS)
    return {"v": ("count", of_value(fold, rows)), "value": ("max", _where(chosen, of_value(fold, rows)))}


def _places(fold: Fold, rows: Table) -> Asked:
    found: Asked = {}
    for rank in (0, 1):
        for name, value in (("t", rows._placed), ("p", of_value(fold, rows)), ("l", rows[f"value:{fold.other}"])):
            found[f"{name}{rank}"] = ("max", _where(rows._rank == rank, value))
    return found


def _decayed(fold: Fold, rows: Table) -> Asked:
    """Σ of x 2^-(age / h) in floats of the engine."""
    ibis = import_ibis()
    age = rows._time - fold.delay_ms - rows._placed
    weight = ibis.literal(2).cast("float64") ** (-age.cast("float64") / fold.half_life_ms)
    weight = _where(age < HALF_LIVES * (fold.half_life_ms or 0), weight)
    if fold.value is None:
        return {"v": ("count", weight), "ones": ("sum", weight)}
    weight = _where(of_value(fold, rows).notnull(), weight)
    weighed = of_value(fold, rows).cast("float64") * weight
    return {"v": ("count", weight), "ones": ("sum", weight), "weighed": ("sum", weighed)}


# -- what is made of the aggregates


def fitted(total: Value) -> Value:
    """A decimal as a number of a row; UNKNOWN where it does not fit, as in the kernel; null stays null."""
    fits = total.between(*(import_ibis().literal(one, "int64").cast("decimal(38, 0)") for one in _LIMITS))
    return import_ibis().ifelse(fits, total.try_cast("int64"), import_ibis().ifelse(total.isnull(), None, UNKNOWN))


_LIMITS = (NUMBER_MIN, NUMBER_MAX)


def _null(value: Value) -> Value:
    return value.fill_null(NULL)


def _zero(value: Value) -> Value:
    return value.fill_null(0)


def _change(fold: Fold, parts: Mapping[str, Value]) -> dict[str, Value]:
    what, held = ("sum", "v") if fold.value else ("n", "n")
    now, earlier = _zero(parts[what]), _zero(parts[f"before:{what}"])
    ibis = import_ibis()
    any_before = _zero(parts[f"before:{held}"]) > 0
    more, base = (fitted(one.cast("decimal(38, 0)")) for one in (now - earlier, earlier))
    return {".more": ibis.ifelse(any_before, more, NULL), ".before": ibis.ifelse(any_before, base, 0)}


def _range(fold: Fold, parts: Mapping[str, Value]) -> dict[str, Value]:
    return {"": _null(fitted(parts["max"].cast("decimal(38, 0)") - parts["min"].cast("decimal(38, 0)")))}


def _total(parts: Mapping[str, Value], total: str = "sum", count: str = "v") -> Value:
    return _null(import_ibis().ifelse(_zero(parts[count]) > 0, fitted(parts[total]), NULL))


def _values(fold: Fold, parts: Mapping[str, Value]) -> dict[str, Value]:
    """The number of values: what `finish` asks first."""
    return {"": _zero(parts["v"])}


def _only(name: str, put: Callable[[Value], Value] = _null) -> Callable[[Fold, Mapping[str, Value]], dict[str, Value]]:
    return lambda fold, parts: {"": put(parts[name])}


def _since(fold: Fold, parts: Mapping[str, Value]) -> dict[str, Value]:
    return {"": _null(parts["_time"] - parts["value"])}


RULES: Mapping[str, Rule] = {
    "count": Rule(_nothing, _only("n", _zero)),
    "seen": Rule(_nothing, lambda fold, parts: {"": (_zero(parts["n"]) > 0).cast("int64")}),
    "sum": Rule(_sums, lambda fold, parts: {"": _total(parts)}),
    "mean": Rule(_sums, lambda fold, parts: {".sum": _total(parts), ".count": _zero(parts["v"])}),
    "ratio": Rule(_sums, lambda fold, parts: {".over": _total(parts), ".under": _total(parts, "other", "w")}),
    "change": Rule(_nothing, _change),
    "min": Rule(_extremes, _only("min")),
    "max": Rule(_extremes, _only("max")),
    "range": Rule(_extremes, _range),
    "distinct": Rule(
        lambda fold, rows: {"distinct": ("nunique", of_value(fold, rows))}, _only("distinct", _zero), by_range=False
    ),
    "last": Rule(_row("max"), _only("value")),
    "last_time": Rule(_row("max"), _only("value")),
    "time_since": Rule(_row("max"), _since),
    "first": Rule(_row("min"), _only("value")),
    "first_time": Rule(_row("min"), _only("value")),
    "time_since_first": Rule(_row("min"), _since),
    "nth_last": Rule(_nth, _only("value"), ordered=True, by_range=False),
    "streak": Rule(_streak, _only("streak", _zero), ordered=True, by_range=False),
    "top": Rule(_most, _only("top"), ordered=True, by_range=False),
    "top_share": Rule(
        _most, lambda fold, parts: {".top": _null(parts["most"]), ".all": _zero(parts["v"])}, ordered=True,
        by_range=False,
    ),
    "entropy": Rule(_counts, _values, passes=True, ordered=True, by_range=False),
    "percentile": Rule(_percentile, _values, passes=True, ordered=True, by_range=False),
    "distance": Rule(_places, _only("n", _zero), passes=True, ordered=True, by_range=False),
    "speed": Rule(_places, _only("n", _zero), passes=True, ordered=True, by_range=False),
    **{kind: Rule(_products, _values, passes=True) for kind in PRODUCTS},
    **{
        kind: Rule(_decayed, _values, passes=True, by_range=False)
        for kind in ("decayed_count", "decayed_sum", "decayed_mean")
    },
}  # fmt: skip
"""Every kind that SQL says, but those that ask the clock alone (`clock.asked`)."""


def by_range(fold: Fold) -> bool:
    """Whether RANGE windows can say a fold: a range of the time axis, whose parts can be put together."""
    exotic = fold.since is not None or fold.last is not None or fold.gap_ms is not None
    return RULES[fold.fold].by_range and not exotic
