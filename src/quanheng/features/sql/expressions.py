"""The law of windows (docs/reference/features.md) as Ibis expressions: raw columns, the whole numbers of the kernel.

Two forms, for the folds of one (event type, key):

* `joined` is right for every history. Each moment is joined with the events of its key that lie in the window and have
  an offset of at most its own, and those are aggregated. It costs as much as there are such pairs.
* `ranged` uses integer RANGE windows over events and moments together. It is right where no event became known after a
  moment in whose window it lies; `overtaken` counts the moments of which that is not so. `RANGE ... CURRENT ROW` would
  count in later rows with the same key and time, so an undelayed window is said as a RANGE that ends 1 ms before the
  moment, and the rows of the moment's own ms, in the order of the log, are added.

Tables: `events` (_offset, _type, _time, fields) and `moments` (_row, _time, _at, _own, key fields). A moment sees
events with an offset of at most `_at`; `_own` is the offset of its own event, or -1. Keys are texts, numbers int64.
Beside each field `f`, `f:53` holds what `last` answers: the number itself, or 53 bits of the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quanheng.features.fold import Fold
from quanheng.features.kernel.words import NULL, UNKNOWN
from quanheng.features.sql.reasons import import_ibis
from quanheng.features.sql.sums import SQUARED, SUMMED, added, counted, kept_sums, raw_sums, windows_of

Table = Any
"""An Ibis table."""

_BEGIN = -(2**62)
"""Before every moment."""


def of_table(events: Table, moments: Table, folds: Sequence[Fold], lateness_ms: int) -> tuple[Table, Table]:
    """(events that the folds of one type and key take, moments with the newest time of their key).

    Key fields of both are called `key0`, `key1` …. An event too late to be put in its place is not among them;
    a moment too far back is marked (`_unknown`). `_seq` numbers events by (time, offset).
    """
    ibis = import_ibis()
    first = folds[0]
    keys = [f"key{place}" for place in range(len(first.by))]
    values = sorted({name for fold in folds for name in (fold.value, fold.other, _bits(fold)) if name})
    taken = events.filter(events._type == first.of).select(
        "_offset", "_time", **{key: events[name] for key, name in zip(keys, first.by, strict=True)},
        **{f"value:{name}": events[name] for name in values},
    )  # fmt: skip
    for key in keys:
        taken = taken.filter(taken[key].notnull())
    asked = moments.mutate(
        **{key: moments[name] for key, name in zip(keys, first.match or first.by, strict=True)}
    ).select("_row", "_time", "_at", "_own", *keys)
    before = ibis.window(group_by=keys, order_by="_offset", preceding=(None, 1))
    taken = taken.mutate(_newest=taken._time.max().over(before))
    taken = taken.filter(taken._newest.isnull() | (taken._time >= taken._newest - lateness_ms)).drop("_newest")
    taken = taken.mutate(_seq=ibis.row_number().over(ibis.window(order_by=["_time", "_offset"])))
    both = _together(taken, asked, keys)
    upto = ibis.window(group_by=keys, order_by="_order", preceding=None, following=0)
    after = ibis.window(group_by=keys, order_by="_order", preceding=0, following=None)
    event_time = ibis.ifelse(both._row < 0, both._time, ibis.null("int64"))
    seen = both.mutate(_newest=event_time.max().over(upto), _next=event_time.min().over(after))
    seen = seen.filter(seen._row >= 0)
    late = (seen._newest.notnull() & (seen._time < seen._newest - lateness_ms)).fill_null(False)
    return taken, seen.select("_row", "_time", "_at", "_own", *keys, "_next", _unknown=late)


def _together(taken: Table, asked: Table, keys: Sequence[str]) -> Table:
    """Events and moments in one table, in the order in which they became known (`_order`)."""
    ibis = import_ibis()
    none = ibis.literal(-1, "int64")
    events = taken.select(
        _row=none, _time=taken._time, _at=none, _own=none, _order=taken._offset * 2, **{key: taken[key] for key in keys}
    )
    moments = asked.select(
        "_row", "_time", "_at", "_own", _order=asked._at * 2 + 1, **{key: asked[key] for key in keys}
    )
    return ibis.union(events, moments)


def overtaken(moments: Table, folds: Sequence[Fold]) -> Any:
    """How many moments `ranged` would answer otherwise: an event of their window became known after them."""
    ibis = import_ibis()
    wrong = ibis.literal(False)
    for delay in {fold.delay_ms for fold in folds}:
        edge = moments._time - delay
        wrong |= (moments._next <= edge) if delay else (moments._next < edge)
    return wrong.fill_null(False).sum()


def joined(taken: Table, asked: Table, folds: Sequence[Fold]) -> Table:
    """Raw columns by `_row`, right for every history."""
    keys = [name for name in asked.columns if name.startswith("key")]
    result = asked.select("_row", "_unknown", "_time")
    for number, (edges, group) in enumerate(_by_window(windows_of(folds)).items()):
        window_ms, delay_ms, without = edges
        inner = taken.rename(_event_time="_time", **{f"event_{key}": key for key in keys})
        holds: list[Any] = [asked[key] == inner[f"event_{key}"] for key in keys]
        holds += [inner._event_time <= asked._time - delay_ms, inner._offset <= asked._at]
        if window_ms is not None:
            holds.append(inner._event_time > asked._time - delay_ms - window_ms)
        if without:
            holds.append(inner._offset != asked._own)
        pairs = asked.join(inner, holds)
        found = pairs.group_by("_row").aggregate(**_aggregates(pairs, group))
        result = result.left_join(found.rename(**{f"_row{number}": "_row"}), result._row == found._row)
        result = result.drop(f"_row{number}")
    return _answers(taken, result, folds)


def _by_window(folds: Sequence[Fold]) -> dict[tuple[int | None, int, bool], list[Fold]]:
    groups: dict[tuple[int | None, int, bool], list[Fold]] = {}
    for fold in folds:
        without = fold.current == "out" and fold.delay_ms == 0
        groups.setdefault((fold.window_ms, fold.delay_ms, without), []).append(fold)
    return groups


def _bits(fold: Fold) -> str:
    """Column with the bits of a key that `last` and `first` answer."""
    return f"{fold.value}:53" if fold.fold in {"last", "first"} else ""


def _aggregates(pairs: Table, folds: Sequence[Fold]) -> dict[str, Any]:
    """What a window must be asked, by fold: n (events), v (values), and what its kind aggregates."""
    found: dict[str, Any] = {}
    for fold in folds:
        value = pairs[f"value:{fold.value}"] if fold.value else None
        found[f"{fold.name}:n"] = pairs.count()
        found |= {f"{fold.name}:{part}": one.sum() for part, one in added(fold, pairs).items()}
        found |= {f"{fold.name}:{part}": one.count() for part, one in counted(fold, pairs).items()}
        if fold.fold in {"min", "range"} and value is not None:
            found[f"{fold.name}:min"] = value.min()
        if fold.fold in {"max", "range"} and value is not None:
            found[f"{fold.name}:max"] = value.max()
        if fold.fold == "distinct" and value is not None:
            found[f"{fold.name}:distinct"] = value.nunique()
        if fold.fold in _LAST:
            found[f"{fold.name}:seq"] = pairs._seq.max()
        if fold.fold in _FIRST:
            found[f"{fold.name}:seq"] = pairs._seq.min()
    return found


_LAST = frozenset({"last", "time_since", "last_time"})
_FIRST = frozenset({"first", "time_since_first", "first_time"})


def ranged(taken: Table, asked: Table, folds: Sequence[Fold]) -> Table:
    """Raw columns by `_row` with RANGE windows; for histories of which `overtaken` is 0, and no `distinct`."""
    ibis = import_ibis()
    keys = [name for name in asked.columns if name.startswith("key")]
    values = [name for name in taken.columns if name.startswith("value:")]
    none, never = ibis.literal(-1, "int64"), ibis.null("int64")
    is_event = ibis.literal(1, "int64")
    events = taken.select(
        "_time", *keys, *values, "_seq", _row=none, _unknown=ibis.literal(False), _is=is_event,
        _order=taken._offset * 2, _without=taken._offset * 2,
    )  # fmt: skip
    before_own = ibis.ifelse(asked._own >= 0, asked._own * 2 - 1, asked._at * 2 + 1)
    moments = asked.select(
        "_time", *keys, **{name: ibis.null(taken[name].type()) for name in values}, _seq=never, _row=asked._row,
        _unknown=asked._unknown, _is=never, _order=asked._at * 2 + 1, _without=before_own,
    )  # fmt: skip
    both = ibis.union(events, moments.select(events.columns))
    columns: dict[str, Any] = {}
    for (window_ms, delay_ms, without), group in _by_window(windows_of(folds)).items():
        far = None if window_ms is None else delay_ms + window_ms - 1
        near = max(delay_ms, 1)
        parts = []
        if far is None or far >= near:
            parts.append(ibis.range_window(group_by=keys, order_by="_time", preceding=(far, near)))
        if delay_ms == 0:
            order = "_without" if without else "_order"
            parts.append(ibis.window(group_by=[*keys, "_time"], order_by=order, preceding=None, following=0))
        for fold in group:
            columns |= _over(both, fold, parts)
    result = both.mutate(**columns)
    result = result.filter(result._row >= 0).select("_row", "_unknown", "_time", *columns)
    return _answers(taken, result, folds)


def _over(both: Table, fold: Fold, parts: Sequence[Any]) -> dict[str, Any]:
    """The aggregates of one fold over the parts of its window, put together."""
    ibis = import_ibis()
    value = both[f"value:{fold.value}"] if fold.value else None
    found: dict[str, Any] = {f"{fold.name}:n": _added([both._is.count().over(part) for part in parts])}
    for name, one in added(fold, both).items():
        found[f"{fold.name}:{name}"] = _added([one.sum().over(part).fill_null(0) for part in parts])
    for name, one in counted(fold, both).items():
        found[f"{fold.name}:{name}"] = _added([one.count().over(part) for part in parts])
    if fold.fold in {"min", "range"} and value is not None:
        found[f"{fold.name}:min"] = _chosen(ibis.least, [value.min().over(part) for part in parts])
    if fold.fold in {"max", "range"} and value is not None:
        found[f"{fold.name}:max"] = _chosen(ibis.greatest, [value.max().over(part) for part in parts])
    if fold.fold in _LAST:
        found[f"{fold.name}:seq"] = _chosen(ibis.greatest, [both._seq.max().over(part) for part in parts])
    if fold.fold in _FIRST:
        found[f"{fold.name}:seq"] = _chosen(ibis.least, [both._seq.min().over(part) for part in parts])
    return found


def _added(parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


def _chosen(choose: Any, parts: Sequence[Any]) -> Any:
    """The least or greatest; engines differ in what null does to it, so null is said."""
    if len(parts) == 1:
        return parts[0]
    one, other = parts
    return one.isnull().ifelse(other, other.isnull().ifelse(one, choose(one, other)))


def _answers(taken: Table, result: Table, folds: Sequence[Fold]) -> Table:
    """From aggregates to raw columns: the value of the first or last event, 0 or NULL of an empty window, UNKNOWN."""
    columns: dict[str, Any] = {}
    for number, fold in enumerate(folds):
        if fold.fold in _LAST | _FIRST:
            value = _bits(fold)
            found = taken.select(**{
                f"_at{number}": taken._seq,
                f"{fold.name}:value": taken[f"value:{value}"] if value else taken._time,
            })  # fmt: skip
            result = result.left_join(found, result[f"{fold.name}:seq"] == found[f"_at{number}"]).drop(f"_at{number}")
    for fold in folds:
        for name, raw in _raw(result, fold).items():
            columns[name] = result._unknown.ifelse(UNKNOWN, raw.cast("int64"))
        if fold.fold in SQUARED:
            columns |= kept_sums(result, fold)
    return result.select("_row", **columns)


def _raw(result: Table, fold: Fold) -> dict[str, Any]:
    ibis = import_ibis()
    name, null = fold.name, ibis.literal(NULL, "int64")
    if fold.fold in {"count", "seen"}:
        n = result[f"{name}:n"].fill_null(0)
        return {name: n if fold.fold == "count" else (n > 0).cast("int64")}
    if fold.fold == "distinct":
        return {name: result[f"{name}:distinct"].fill_null(0)}
    if fold.fold in SQUARED:  # The number of values; `sums.finished` makes the answer of it and the sums.
        return {name: result[f"{name}:v"].fill_null(0)}
    if fold.fold in SUMMED or fold.fold == "change":
        return raw_sums(result, fold, null)
    if fold.fold in {"min", "max"}:
        return {name: result[f"{name}:{fold.fold}"].fill_null(NULL)}
    if fold.fold == "range":
        return {name: (result[f"{name}:max"] - result[f"{name}:min"]).fill_null(NULL)}
    value = result[f"{name}:value"]
    if fold.fold in {"time_since", "time_since_first"}:
        value = result._time - value
    return {name: value.fill_null(NULL)}
