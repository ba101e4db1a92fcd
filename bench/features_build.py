"""features.build: rows of a training set a second over the real file; our merge, DuckDB's join of windows in SQL.

Each row is the moment of a payment (every fourth of the file); six counts and means of the customer and six of the
terminal, seen a week late. DuckDB says them as range joins of the moments with the payments, each restricted to rows
known before. Files in, a file out. Feast's historical join is not measured yet.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from quanheng.testing.bench import Measured

EVERY = 4
DAYS = (1, 7, 30)
DAY_MS = 86_400_000


def ours(events: Path, spine: Path, out: Path) -> None:
    """`quanheng features build` over the pack's own mapping."""
    from quanheng.loading import load_packs
    from quanheng.loading.find import read_packs
    from quanheng.offline.build import Build
    from quanheng.offline.events import FileEvents
    from quanheng.offline.spine import SpineColumns

    declared = load_packs(["card_fraud"], read_packs())["card_fraud"]
    names = [f"customer_{kind}_{days}d" for kind in ("count", "mean") for days in DAYS]
    names += [f"terminal_count_{days}d" for days in DAYS]
    source = FileEvents(events, declared.mappings[0], declared.events)
    Build(declared, source, spine, SpineColumns(""), out, features=names).run(lambda *_: None)


def duckdb(events: Path, spine: Path, out: Path) -> None:
    """A range join for each key, the widest window once, with filters for the others."""
    import duckdb as engine

    def part(key: str, delay: int, value: str) -> str:
        near, far = delay * DAY_MS, (delay + max(DAYS)) * DAY_MS
        columns = [
            f"{what} FILTER (e.ms > s.time_ms - {(delay + days) * DAY_MS}) AS {key}_{name}_{days}"
            for name, what in (("count", "count(e.ms)"), ("mean", f"avg(e.{value})"))
            for days in DAYS
        ]
        held = f"e.{key}_id = s.{key} AND e.ms <= s.time_ms - {near} AND e.ms > s.time_ms - {far}"
        return f"(SELECT s.row, {', '.join(columns)} FROM s LEFT JOIN e ON {held} GROUP BY s.row)"

    connection = engine.connect()
    connection.execute(f"CREATE VIEW e AS SELECT *, epoch_ms(time) AS ms FROM '{events}'")
    connection.execute(f"CREATE VIEW s AS SELECT * FROM '{spine}'")
    both = f"{part('customer', 0, 'amount_minor')} JOIN {part('terminal', 7, 'is_fraud')} USING (row)"
    connection.execute(f"COPY (SELECT * FROM {both} ORDER BY row) TO '{out}' (FORMAT parquet)")


def check(mine: Path, theirs: Path) -> None:
    """Counts are equal: a moment of the spine inserts nothing, so ties are seen by both."""
    import polars as pl

    left, right = pl.read_parquet(mine), pl.read_parquet(theirs)
    for key in ("customer", "terminal"):
        for days in DAYS:
            differ = (left[f"{key}_count_{days}d"] != right[f"{key}_count_{days}"]).sum()
            if differ:
                raise AssertionError(f"{differ} rows of {key}_count_{days} differ")


def run(quick: bool = False) -> Measured:
    """Rows a second; the peer in the same unit."""
    import polars as pl

    root = Path(__file__).resolve().parents[1]
    file = Path(os.environ.get("QUANHENG_SHARED", root.parent / "shared")) / "data" / "card_transactions.parquet"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame = pl.read_parquet(file)
        frame = frame.head(100_000) if quick else frame
        frame.write_parquet(folder / "events.parquet")
        spine = frame.gather_every(EVERY).select(
            pl.col("time").dt.epoch("ms").alias("time_ms"), pl.col("customer_id").alias("customer"),
            pl.col("terminal_id").alias("terminal"),
        ).with_row_index("row")  # fmt: skip
        spine.write_parquet(folder / "spine.parquet")
        seconds: dict[str, Any] = {}
        calls = {"ours": ours, "duckdb": duckdb}
        for who, call in calls.items():
            start = time.perf_counter()
            call(folder / "events.parquet", folder / "spine.parquet", folder / f"{who}.parquet")
            seconds[who] = time.perf_counter() - start
        check(folder / "ours.parquet", folder / "duckdb.parquet")
    rates = {who: round(len(spine) / taken) for who, taken in seconds.items()}
    extra = {"rows": len(spine), "events": len(frame), "seconds": seconds}
    return Measured(rates["ours"], "rows/s", {"duckdb": rates["duckdb"]}, extra)
