"""Folds asked of an SQL engine: tables in, raw columns out; and the SQL as text."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from quanheng.features.fold import EventLayout, Fold
from quanheng.features.plan import Plan
from quanheng.features.sql.expressions import World, is_of_clock, joined, of_clock, of_table, overtaken, ranged
from quanheng.features.sql.finish import finished
from quanheng.features.sql.reasons import Backend, check, import_ibis
from quanheng.features.sql.rules import by_range
from quanheng.kernel.calendars import Calendars
from quanheng.kernel.errors import MissingExtra


def connect(backend: Backend, **settings: str) -> Any:
    """An embedded DuckDB, or Spark in this process (local mode, needs Java).

    Parameters
    ----------
    settings : of Spark, e.g. {"spark.sql.shuffle.partitions": "4"}

    Raises
    ------
    MissingExtra : the package of the engine is not installed
    """
    ibis = import_ibis()
    if backend == "duckdb":
        try:
            return ibis.duckdb.connect()
        except ImportError:
            raise MissingExtra("ibis-framework[duckdb]", "offline", "folds on DuckDB") from None
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise MissingExtra("pyspark", "spark", "folds on Spark") from None
    builder = SparkSession.builder.master("local[2]").appName("quanheng")
    chosen = {"spark.ui.enabled": "false", "spark.sql.session.timeZone": "UTC", "spark.sql.ansi.enabled": "true"}
    for name, value in (chosen | settings).items():
        builder = builder.config(name, value)
    return ibis.pyspark.connect(builder.getOrCreate())


def table_of(connection: Any, frame: pl.DataFrame, folder: Path, name: str) -> Any:
    """A frame as a table of the engine, through a Parquet file in `folder`."""
    file = folder / f"{name}.parquet"
    frame.write_parquet(file)
    return connection.read_parquet(str(file))


def raw_columns(
    plan: Plan, events: Any, moments: Any, backend: Backend, calendars: Calendars | None = None
) -> tuple[pl.DataFrame, list[str]]:
    """The raw columns of a plan at each moment, in the order of `_row`; and which folds were asked by RANGE windows.

    Parameters
    ----------
    events, moments : Ibis tables as `expressions` describes them; the moments are of the first type that is decided
    calendars : those that the plan was compiled with

    Raises
    ------
    InputError : a fold that SQL cannot say
    """
    check(plan.folds, backend, plan.layouts)
    by_name = {one.name: one for one in plan.layouts}
    world = World(by_name, calendars or {}, plan.lateness_ms)
    result: pl.DataFrame | None = None
    quickly: list[str] = []
    with whole_expressions():
        for group in tables_of(plan.folds):
            for told, table in _asked(events, moments, group, world):
                quickly += told
                found = pl.DataFrame(pl.from_arrow(table.to_pyarrow())).sort("_row")
                result = found if result is None else result.hstack(found.drop("_row"))
        if result is None:
            result = pl.DataFrame(pl.from_arrow(moments.select("_row").to_pyarrow())).sort("_row")
    result = finished(result, plan.folds, by_name, by_name.get(plan.decide[0]) if plan.decide else None)
    return result.select("_row", *(pl.col(one.name) for one in plan.columns)), quickly


def _asked(events: Any, moments: Any, group: Sequence[Fold], world: World) -> Iterator[tuple[list[str], Any]]:
    """The statements of one group of folds; with each the names of folds that it asks by RANGE windows."""
    if is_of_clock(group[0]):
        yield [], of_clock(moments, group, world.calendars)
        return
    taken, asked = of_table(events, moments, group, world)
    late = [one for one in group if not by_range(one)]
    quick = [one for one in group if by_range(one)]
    if quick and overtaken(asked, quick).to_pyarrow().as_py():
        late, quick = list(group), []
    if quick:
        yield [one.name for one in quick], ranged(taken, asked, quick)
    if late:
        yield [], joined(taken, asked, late)


@contextmanager
def whole_expressions() -> Iterator[None]:
    """Ibis keeps each column that is made of columns in a SELECT of its own, so that no expression is written twice.

    The SELECTs lie within one another, and what writes them down calls itself for each.
    """
    options = import_ibis().options.sql
    fuse, depth = options.fuse_selects, sys.getrecursionlimit()
    options.fuse_selects = False
    sys.setrecursionlimit(max(depth, _DEPTH))
    try:
        yield
    finally:
        options.fuse_selects = fuse
        sys.setrecursionlimit(depth)


_DEPTH = 20_000  # Calls within one another.


def tables_of(folds: Sequence[Fold]) -> list[list[Fold]]:
    """Folds that share type, key and condition, and the key fields of the moment; those that ask the clock apart."""
    groups: dict[tuple[object, ...], list[Fold]] = {}
    for fold in folds:
        condition = (fold.where, fold.zone, fold.calendar) if fold.where else ()
        key = ("clock",) if is_of_clock(fold) else (fold.of, tuple(fold.by), tuple(fold.match or fold.by), condition)
        groups.setdefault(key, []).append(fold)
    return list(groups.values())


TABLES = """\
-- events:  _offset (order in which they became known), _type, _time (ms), the fields of the events; beside each field f
--          "f:53": the number itself, of a key 53 bits of it
-- moments: _row, _time (ms), _at (events with an offset up to it count), _own (offset of its own event, or -1), keys;
--          "#f": the number f that a `zscore` compares
-- An answer of -9223372036854775808 is null, of -9223372036854775807 not known (asked too late).
"""
"""What the statements of `sql_text` read and answer, as an SQL comment."""


def sql_text(
    layouts: Sequence[EventLayout],
    folds: Sequence[Fold],
    backend: Backend,
    lateness_ms: int,
    in_order: bool,
    calendars: Calendars | None = None,
) -> list[str]:
    """The SQL of folds in the engine's own dialect, a statement or two for each type, key and condition.

    Parameters
    ----------
    lateness_ms : how far behind the newest event of its key an event is still put in its place
    in_order : with RANGE windows where they can say a fold: right where no event becomes known after a moment in whose
        window it lies
    calendars : days off, by the names that folds use

    Raises
    ------
    InputError : a fold that SQL cannot say
    """
    ibis = import_ibis()
    check(folds, backend, layouts)
    events, moments = empty_tables(layouts)
    world = World({one.name: one for one in layouts}, calendars or {}, lateness_ms)
    statements: list[Any] = []
    with whole_expressions():
        for group in tables_of(folds):
            if is_of_clock(group[0]):
                statements.append(of_clock(moments, group, world.calendars))
                continue
            taken, asked = of_table(events, moments, group, world)
            quick = [one for one in group if in_order and by_range(one)]
            late = [one for one in group if one not in quick]
            statements += [ranged(taken, asked, quick)] if quick else []
            statements += [joined(taken, asked, late)] if late else []
        return [str(ibis.to_sql(one, dialect=backend)) for one in statements]


def empty_tables(layouts: Sequence[EventLayout]) -> tuple[Any, Any]:
    """Tables without rows, for the SQL alone."""
    ibis = import_ibis()
    event = {"_offset": "int64", "_type": "string", "_time": "int64"}
    moment = {"_row": "int64", "_time": "int64", "_at": "int64", "_own": "int64"}
    for layout in layouts:
        event |= dict.fromkeys(layout.keys, "string") | {f"{name}:53": "int64" for name in layout.keys}
        event |= dict.fromkeys(layout.numbers, "int64") | {f"{name}:53": "int64" for name in layout.numbers}
        moment |= dict.fromkeys(layout.keys, "string") | {f"#{name}": "int64" for name in layout.numbers}
    return ibis.table(event, name="events"), ibis.table(moment, name="moments")
