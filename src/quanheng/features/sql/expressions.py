"""The law of windows (docs/reference/features.md) as Ibis expressions: raw columns, the whole numbers of the kernel.

Two forms, for the folds of one (event type, key, condition):

* `joined` is right for every history and every window. Each moment is joined with the events of its key that lie in
  the window and have an offset of at most its own, and those are aggregated. It costs as much as there are such pairs.
* `ranged` uses integer RANGE windows over events and moments together, for folds of `rules.by_range`. It is right where
  no event became known after a moment in whose window it lies; `overtaken` counts the moments of which that is not so.
  `RANGE ... CURRENT ROW` would count in later rows with the same key and time, so an undelayed window is said as a
  RANGE that ends 1 ms before the moment, and the rows of the moment's own ms, in the order of the log, are added.

Tables: `events` (_offset, _type, _time, fields) and `moments` (_row, _time, _at, _own, key fields, and `#NAME` for
number fields of the decided event that a zscore reads). A moment sees events with an offset of at most `_at`; `_own` is
the offset of its own event, or -1. Keys are texts, numbers int64. Beside each field `f`, `f:53` holds what `last`
answers: the number itself, or 53 bits of the key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from quanheng.features.conditions import condition_of
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel.words import NULL, UNKNOWN
from quanheng.features.kinds import CALENDAR_KINDS
from quanheng.features.sql.clock import asked as asked_of_clock
from quanheng.features.sql.columns import Columns
from quanheng.features.sql.conditions import fields_read, holds, keys_read
from quanheng.features.sql.finish import OWN
from quanheng.features.sql.reasons import import_ibis
from quanheng.features.sql.rules import RULES, answered, windows_of
from quanheng.features.sql.windows import by_window, ordered, pairs_of
from quanheng.kernel.calendars import Calendars

Table = Any
"""An Ibis table."""


class World(NamedTuple):
    """What folds are said in: layouts of events by name, calendars, how late an event may be."""

    layouts: Mapping[str, EventLayout]
    calendars: Calendars
    lateness_ms: int


def of_table(events: Table, moments: Table, folds: Sequence[Fold], world: World) -> tuple[Table, Table]:
    """(events that the folds of one type, key and condition take, moments with the newest time of their key).

    Key fields of both are called `key0`, `key1` …. An event too late to be put in its place is not among them;
    a moment too far back is marked (`_unknown`). `_seq` numbers events by (time, offset), `_placed` is their time.
    """
    ibis = import_ibis()
    first = folds[0]
    keys = [f"key{place}" for place in range(len(first.by))]
    taken = _taken(events, folds, keys, world)
    own = sorted({f"#{fold.value}" for fold in folds if fold.fold == "zscore"} & set(moments.columns))
    asked = moments.mutate(
        **{key: moments[name] for key, name in zip(keys, first.match or first.by, strict=True)}
    ).select("_row", "_time", "_at", "_own", *keys, *own)
    before_it = ibis.window(group_by=keys, order_by="_offset", preceding=(None, 1))
    taken = taken.mutate(_newest=taken._time.max().over(before_it))
    taken = taken.filter(taken._newest.isnull() | (taken._time >= taken._newest - world.lateness_ms)).drop("_newest")
    taken = taken.mutate(_seq=ibis.row_number().over(ibis.window(order_by=["_time", "_offset"])), _placed=taken._time)
    both = _together(taken, asked, [*keys, *own])
    upto = ibis.window(group_by=keys, order_by="_order", preceding=None, following=0)
    after = ibis.window(group_by=keys, order_by="_order", preceding=0, following=None)
    event_time = ibis.ifelse(both._row < 0, both._time, ibis.null("int64"))
    seen = both.mutate(_newest=event_time.max().over(upto), _next=event_time.min().over(after))
    seen = seen.filter(seen._row >= 0)
    late = (seen._newest.notnull() & (seen._time < seen._newest - world.lateness_ms)).fill_null(False)
    return taken, seen.select("_row", "_time", "_at", "_own", *keys, *own, "_next", _unknown=late)


def _taken(events: Table, folds: Sequence[Fold], keys: Sequence[str], world: World) -> Table:
    """Events of the type that have all key fields and fulfil the condition, with the fields that are read."""
    first, condition = folds[0], condition_of(folds[0], world.layouts)
    read = {name for fold in folds for name in (fold.value, fold.other, answered(fold)) if name}
    conditional = fields_read(world.layouts[first.of], condition)
    compared = sorted(keys_read(world.layouts[first.of], condition))
    taken = events.filter(events._type == first.of).select(
        "_offset", "_time", **{key: events[name] for key, name in zip(keys, first.by, strict=True)},
        **{f"value:{name}": events[name] for name in sorted(read | conditional)},
        **{f"key:{name}": events[name] for name in compared},
    )  # fmt: skip
    for key in keys:
        taken = taken.filter(taken[key].notnull())
    if condition is None:
        return taken
    columns = Columns(taken)
    columns.keep(holds(columns, world.layouts[first.of], condition, world.calendars), "_holds")
    return columns.table.filter(columns.table._holds).select(
        "_offset", "_time", *keys, *(f"value:{name}" for name in sorted(read))
    )


def _together(taken: Table, asked: Table, keys: Sequence[str]) -> Table:
    """Events and moments in one table, in the order in which they became known (`_order`)."""
    ibis = import_ibis()
    none = ibis.literal(-1, "int64")
    own = {name: ibis.null("int64") for name in keys if name.startswith("#")}
    events = taken.select(
        _row=none, _time=taken._time, _at=none, _own=none, _order=taken._offset * 2,
        **{key: taken[key] for key in keys if key not in own}, **own,
    )  # fmt: skip
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
    result = asked.select("_row", "_unknown", "_time", *_own_values(asked))
    for number, (window, group) in enumerate(by_window(windows_of(folds)).items()):
        pairs = ordered(pairs_of(taken, asked, window), group)
        found = pairs.group_by("_row").aggregate(
            **{f"{fold.name}:{part}": getattr(value, how)() for fold in group
               for part, (how, value) in _asks(fold, pairs).items()}
        )  # fmt: skip
        result = result.left_join(found.rename(**{f"_row{number}": "_row"}), result._row == found._row)
        result = result.drop(f"_row{number}")
    return _answers(taken, result, folds)


def _own_values(asked: Table) -> list[str]:
    return [name for name in asked.columns if name.startswith("#")]


def _asks(fold: Fold, rows: Table) -> dict[str, tuple[str, Any]]:
    """What a fold aggregates: the number of events, the newest where its age matters, and what its kind asks."""
    asks = {"n": ("count", rows._seq)} | RULES[fold.fold].asks(fold, rows)
    return asks | ({"newest": ("max", rows._placed)} if fold.age_ms_max is not None else {})


def ranged(taken: Table, asked: Table, folds: Sequence[Fold]) -> Table:
    """Raw columns by `_row` with RANGE windows; for folds of `by_range` and histories of which `overtaken` is 0."""
    ibis = import_ibis()
    keys = [name for name in asked.columns if name.startswith("key")]
    values = [name for name in taken.columns if name.startswith("value:")]
    own = _own_values(asked)
    none, never = ibis.literal(-1, "int64"), ibis.null("int64")
    events = taken.select(
        "_time", *keys, *values, "_seq", "_placed", _row=none, _unknown=ibis.literal(False),
        _order=taken._offset * 2, _without=taken._offset * 2, **dict.fromkeys(own, never),
    )  # fmt: skip
    before_own = ibis.ifelse(asked._own >= 0, asked._own * 2 - 1, asked._at * 2 + 1)
    moments = asked.select(
        "_time", *keys, **{name: ibis.null(taken[name].type()) for name in values}, _seq=never, _placed=never,
        _row=asked._row, _unknown=asked._unknown, _order=asked._at * 2 + 1, _without=before_own,
        **{name: asked[name] for name in own},
    )  # fmt: skip
    both = ibis.union(events, moments.select(events.columns))
    columns: dict[str, Any] = {}
    for window, group in by_window(windows_of(folds)).items():
        far = None if window.window_ms is None else window.delay_ms + window.window_ms - 1
        near = max(window.delay_ms, 1)
        parts = []
        if far is None or far >= near:
            parts.append(ibis.range_window(group_by=keys, order_by="_time", preceding=(far, near)))
        if window.delay_ms == 0:
            order = "_without" if window.without else "_order"
            parts.append(ibis.window(group_by=[*keys, "_time"], order_by=order, preceding=None, following=0))
        for fold in group:
            for name, (how, value) in _asks(fold, both).items():
                over = [getattr(value, how)().over(part) for part in parts]
                columns[f"{fold.name}:{name}"] = _put_together(how, over)
    result = both.mutate(**columns)
    result = result.filter(result._row >= 0).select("_row", "_unknown", "_time", *own, *columns)
    return _answers(taken, result, folds)


def _put_together(how: str, parts: Sequence[Any]) -> Any:
    """One aggregate from those of the parts of a window. Engines differ in what null does to `least`, so it is said."""
    if len(parts) == 1:
        return parts[0]
    one, other = parts
    if how in {"count", "sum"}:
        return one.fill_null(0) + other.fill_null(0)
    chosen = (import_ibis().least if how == "min" else import_ibis().greatest)(one, other)
    return one.isnull().ifelse(other, other.isnull().ifelse(one, chosen))


def _answers(taken: Table, result: Table, folds: Sequence[Fold]) -> Table:
    """From aggregates to raw columns, by the rules; UNKNOWN for a moment too far back or a window too old."""
    for number, fold in enumerate(folds):
        if f"{fold.name}:seq" in result.columns:
            value = answered(fold)
            found = taken.select(**{
                f"_at{number}": taken._seq,
                f"{fold.name}:value": taken[f"value:{value}"] if value else taken._placed,
            })  # fmt: skip
            result = result.left_join(found, result[f"{fold.name}:seq"] == found[f"_at{number}"]).drop(f"_at{number}")
    columns: dict[str, Any] = {}
    for fold in folds:
        rule = RULES[fold.fold]
        parts = {name.removeprefix(f"{fold.name}:"): result[name] for name in result.columns
                 if name.startswith(f"{fold.name}:")} | {"_time": result._time}  # fmt: skip
        unknown = result._unknown
        if fold.age_ms_max is not None:
            unknown |= (result._time - parts["newest"] > fold.age_ms_max).fill_null(False)
        for part, raw in rule.raw(fold, parts).items():
            columns[f"{fold.name}{part}"] = unknown.ifelse(UNKNOWN, raw.cast("int64"))
        if rule.passes:
            columns |= _passed(fold, parts)
            if fold.fold == "zscore":
                own = f"#{fold.value}"
                own_value = result[own] if own in result.columns else import_ibis().null("int64")
                columns[f"{fold.name}:{OWN}"] = own_value
    return result.select("_row", **columns)


def _passed(fold: Fold, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Aggregates that are handed on to `finish`. A sum of decimals is one of 38 digits on every engine."""
    left = {name: value for name, value in parts.items() if name not in {"_time", "n", "newest"}}
    return {
        f"{fold.name}:{name}": value.cast("decimal(38, 0)") if value.type().is_decimal() else value
        for name, value in left.items()
    }


def of_clock(moments: Table, folds: Sequence[Fold], calendars: Calendars) -> Table:
    """Raw columns of folds of calendar kinds: they ask for the time of the moment alone."""
    columns = Columns(moments.select("_row", "_time"))
    for fold in folds:
        days = calendars[fold.calendar] if fold.calendar else None
        answer = asked_of_clock(columns, columns["_time"], "moment", fold.fold, fold.zone, days)
        columns.keep(answer.fill_null(NULL), fold.name)
    return columns.table.select("_row", *(fold.name for fold in folds))


def is_of_clock(fold: Fold) -> bool:
    """Whether a fold asks for the time alone."""
    return fold.fold in CALENDAR_KINDS
