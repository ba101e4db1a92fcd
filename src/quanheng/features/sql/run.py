"""Folds asked of an SQL engine: tables in, raw columns out; and the SQL as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from quanheng.features.fold import EventLayout, Fold
from quanheng.features.plan import Plan
from quanheng.features.sql.expressions import joined, of_table, overtaken, ranged
from quanheng.features.sql.reasons import Backend, check, import_ibis
from quanheng.features.sql.sums import finished
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


def raw_columns(plan: Plan, events: Any, moments: Any, backend: Backend) -> tuple[pl.DataFrame, list[str]]:
    """The raw columns of a plan at each moment, in the order of `_row`; and which folds were asked by RANGE windows.

    Parameters
    ----------
    events, moments : Ibis tables as `expressions` describes them

    Raises
    ------
    InputError : a fold that SQL cannot say
    """
    check(list(plan.folds), backend)
    result: pl.DataFrame | None = None
    by_range: list[str] = []
    for group in tables_of(plan.folds):
        taken, asked = of_table(events, moments, group, plan.lateness_ms)
        late = [one for one in group if one.fold == "distinct"]
        quick = [one for one in group if one.fold != "distinct"]
        if quick and int(overtaken(asked, quick).execute() or 0):
            late, quick = list(group), []
        by_range += [one.name for one in quick]
        for form, folds in ((ranged, quick), (joined, late)):
            if folds:
                found = pl.DataFrame(pl.from_arrow(form(taken, asked, folds).to_pyarrow())).sort("_row")
                result = found if result is None else result.hstack(found.drop("_row"))
    if result is None:
        result = pl.DataFrame(pl.from_arrow(moments.select("_row").to_pyarrow())).sort("_row")
    result = finished(result, plan.folds, {one.name: one for one in plan.layouts})
    return result.select("_row", *(pl.col(one.name) for one in plan.columns)), by_range


def tables_of(folds: Sequence[Fold]) -> list[list[Fold]]:
    """Folds that share type and key, and the key fields of the moment."""
    groups: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[Fold]] = {}
    for fold in folds:
        by, match = _sorted_key(fold)
        groups.setdefault((fold.of, by, match), []).append(fold)
    return list(groups.values())


def _sorted_key(fold: Fold) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(fold.by), tuple(fold.match or fold.by)


TABLES = """\
-- events:  _offset (order in which they became known), _type, _time (ms), the fields of the events; beside each field f
--          "f:53": the number itself, of a key 53 bits of it
-- moments: _row, _time (ms), _at (events with an offset up to it count), _own (offset of its own event, or -1), keys
-- An answer of -9223372036854775808 is null, of -9223372036854775807 not known (asked too late).
"""
"""What the statements of `sql_text` read and answer, as an SQL comment."""


def sql_text(
    layouts: Sequence[EventLayout], folds: Sequence[Fold], backend: Backend, lateness_ms: int, in_order: bool
) -> list[str]:
    """The SQL of folds in the engine's own dialect, a statement for each type and key.

    Parameters
    ----------
    lateness_ms : how far behind the newest event of its key an event is still put in its place
    in_order : with RANGE windows, right where no event becomes known after a moment in whose window it lies

    Raises
    ------
    InputError : a fold that SQL cannot say
    """
    ibis = import_ibis()
    check(list(folds), backend)
    events, moments = empty_tables(layouts)
    texts = []
    for group in tables_of(folds):
        taken, asked = of_table(events, moments, group, lateness_ms)
        form = ranged if in_order and all(one.fold != "distinct" for one in group) else joined
        texts.append(str(ibis.to_sql(form(taken, asked, group), dialect=backend)))
    return texts


def empty_tables(layouts: Sequence[EventLayout]) -> tuple[Any, Any]:
    """Tables without rows, for the SQL alone."""
    ibis = import_ibis()
    event = {"_offset": "int64", "_type": "string", "_time": "int64"}
    moment = {"_row": "int64", "_time": "int64", "_at": "int64", "_own": "int64"}
    for layout in layouts:
        event |= dict.fromkeys(layout.keys, "string") | {f"{name}:53": "int64" for name in layout.keys}
        event |= dict.fromkeys(layout.numbers, "int64") | {f"{name}:53": "int64" for name in layout.numbers}
        moment |= dict.fromkeys(layout.keys, "string")
    return ibis.table(event, name="events"), ibis.table(moment, name="moments")
