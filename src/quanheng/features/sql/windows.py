"""Which pairs of a moment and an event lie in a window, for windows of every kind; and the order within each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from quanheng.features.decay import HALF_LIVES
from quanheng.features.fold import Fold
from quanheng.features.sql.clock import unit_start
from quanheng.features.sql.columns import Columns
from quanheng.features.sql.reasons import import_ibis
from quanheng.features.sql.rules import RULES, of_value
from quanheng.features.windows import edge_of

Table = Any
"""An Ibis table."""


class Window(NamedTuple):
    """What folds that read the same events have in common; `without`: the event being decided is left out."""

    window_ms: int | None
    delay_ms: int
    without: bool
    since: str | None
    zone: str
    last: int | None
    gap_ms: int | None


def window_of(fold: Fold) -> Window:
    """The window of a fold. A decayed one over time alone ends after 64 half-lives."""
    window_ms = fold.window_ms
    if fold.half_life_ms is not None and edge_of(fold) is None:
        longest = HALF_LIVES * fold.half_life_ms
        window_ms = longest if window_ms is None else min(window_ms, longest)
    without = fold.current == "out" and fold.delay_ms == 0
    zone = fold.zone if fold.since else ""
    return Window(window_ms, fold.delay_ms, without, fold.since, zone, fold.last, fold.gap_ms)


def by_window(folds: Sequence[Fold]) -> dict[Window, list[Fold]]:
    """Folds that share a window."""
    groups: dict[Window, list[Fold]] = {}
    for fold in folds:
        groups.setdefault(window_of(fold), []).append(fold)
    return groups


def pairs_of(taken: Table, asked: Table, window: Window) -> Table:
    """Each moment (`_row`, `_time`) with the events of its window: what `taken` has, but their `_time` as `_placed`."""
    keys = [name for name in asked.columns if name.startswith("key")]
    high = asked._time - window.delay_ms
    if window.since is not None:
        columns = Columns(asked)
        columns.keep(columns["_time"] - window.delay_ms, "_high")
        start = unit_start(columns, columns["_high"], "high", window.since, window.zone)
        columns.keep(start, "_start")
        asked = columns.table
        high = asked._high
    inner = taken.drop("_time").rename(**{f"event_{key}": key for key in keys})
    holds: list[Any] = [asked[key] == inner[f"event_{key}"] for key in keys]
    holds += [inner._placed <= high, inner._offset <= asked._at]
    if window.window_ms is not None:
        holds.append(inner._placed > high - window.window_ms)
    if window.since is not None:
        holds.append(inner._placed >= asked._start)
    if window.without:
        holds.append(inner._offset != asked._own)
    pairs = asked.join(inner, holds)
    if window.gap_ms is not None:
        pairs = _session(pairs, window.gap_ms, window.delay_ms)
    if window.last is not None:
        pairs = ranked(pairs)
        pairs = pairs.filter(pairs._rank < window.last)
    return pairs


def _newest_first() -> Any:
    ibis = import_ibis()
    return ibis.window(group_by="_row", order_by=ibis.desc("_seq"))


def _session(pairs: Table, gap_ms: int, delay_ms: int) -> Table:
    """The last run of events that follow one another by at most the gap, if it goes on at the end of the window.

    Islands by counting gaps from the end: the session is what has none behind it.
    """
    ibis = import_ibis()
    after = pairs._placed.lag().over(_newest_first())
    pairs = pairs.mutate(_after=ibis.coalesce(after, pairs._time - delay_ms))
    pairs = pairs.mutate(_gap=(pairs._after - pairs._placed > gap_ms).cast("int64"))
    upto = ibis.window(group_by="_row", order_by=ibis.desc("_seq"), preceding=None, following=0)
    pairs = pairs.mutate(_gaps=pairs._gap.sum().over(upto))
    return pairs.filter(pairs._gaps == 0).drop("_after", "_gap", "_gaps")


def ranked(pairs: Table) -> Table:
    """With `_rank`: 0 for the last event of a window, 1 for the one before it, …"""
    if "_rank" in pairs.columns:
        return pairs
    return pairs.mutate(_rank=import_ibis().row_number().over(_newest_first()).cast("int64"))


def ordered(pairs: Table, folds: Sequence[Fold]) -> Table:
    """With the columns that ordered kinds read (`rules.Rule.ordered`)."""
    kinds = [fold for fold in folds if RULES[fold.fold].ordered]
    if kinds:
        pairs = ranked(pairs)
    for fold in kinds:
        if fold.fold == "streak":
            pairs = pairs.mutate(**{f"{fold.name}:broken": _broken(pairs, fold)})
        elif fold.fold == "percentile":
            pairs = pairs.mutate(**_by_size(pairs, fold))
        elif fold.fold in {"top", "top_share", "entropy"}:
            pairs = _by_times(pairs, fold)
    return pairs


def _broken(pairs: Table, fold: Fold) -> Any:
    """The last event of the window whose value is 0 or null; -1 where there is none."""
    ibis = import_ibis()
    ends = of_value(fold, pairs).fill_null(0) == 0
    found = ibis.ifelse(ends, pairs._seq, ibis.null("int64")).max()
    return ibis.coalesce(found.over(ibis.window(group_by="_row")), -1)


def _by_size(pairs: Table, fold: Fold) -> dict[str, Any]:
    """Place of a row by its value, from 0, nulls last; number of values."""
    ibis = import_ibis()
    value = of_value(fold, pairs)
    by_value = ibis.window(group_by="_row", order_by=value.asc(nulls_first=False))
    whole = ibis.window(group_by="_row")
    return {
        f"{fold.name}:place": ibis.row_number().over(by_value).cast("int64"),
        f"{fold.name}:times": value.count().over(whole).cast("int64"),
    }


def _by_times(pairs: Table, fold: Fold) -> Table:
    """How often the value of a row occurs, and its place: of an entropy among the rows with this value, else by that
    number from the largest, then by the value from the smallest."""
    ibis = import_ibis()
    times, value = f"{fold.name}:times", f"value:{fold.value}"
    pairs = pairs.mutate(**{times: pairs[value].count().over(ibis.window(group_by=["_row", value])).cast("int64")})
    if fold.fold == "entropy":
        order = ibis.window(group_by=["_row", value], order_by="_seq")
    else:
        order = ibis.window(group_by="_row", order_by=[ibis.desc(times), pairs[value].asc(nulls_first=False)])
    return pairs.mutate(**{f"{fold.name}:place": ibis.row_number().over(order).cast("int64")})
