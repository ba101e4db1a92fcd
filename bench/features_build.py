"""features.build: rows of a training set a second over the real file, beside two forms of SQL in DuckDB and Feast.

Each row is the moment of a payment (every fourth of the file); twelve aggregates: count and mean amount of the
customer, count of payments and of frauds of the terminal seen a week late, over 1, 7 and 30 days. Files in, a file
out, in the order of the spine. Every cell of every peer is compared with ours, and none may differ: a moment inserts
nothing, so that payments of the same second are seen by all. Who does what:

- ours: the history is merged with the spine and folded by the kernel of live decisions, on one thread.
- duckdb: range joins of the moments with the payments, each of those known before; also right at other moments.
- duckdb_asof: window queries over every payment of a key (its state after each event), then ASOF joins to the spine.
- feast: computes no windows; the same window queries write two feature tables, and Feast's historical join (DuckDB
  store) reads them. A state says nothing once its widest window is over, so that the views have a ttl of 30 days for
  customers and 37 for terminals. With one day Feast has less to join: `feast_ttl_1d`. `feast_join_alone` is the join
  without the tables, for who keeps them anyway.

The comparison favours duckdb_asof and feast: the moments of this spine are events of their keys, so that a state after
each event is exact. At other moments (each morning, say) it is stale by what left the window since, where ours and the
range joins still are exact. It favours Feast that its definitions are applied before the clock starts, while ours are
loaded from the pack's files within the time. It favours ours on a shared machine that it needs one core where DuckDB,
alone or in Feast, wants them all; `cpu_s_each` has the CPU seconds.

The start (imports, compiled kernels, definitions) is in the time of nobody: each first runs over the first payments,
which is `first_call_s`; ours takes about half a minute more where no cache of compiled kernels is there. Every turn of
Feast is a process of its own.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bench.peers import run_peer, why_absent
from quanheng.testing.bench import Measured

EVERY = 4
DAYS = (1, 7, 30)
DAY_MS = 86_400_000
KEYS = (("customer", 0, "mean"), ("terminal", 7, "fraud_count"))
"""Key, delay in days, and what is asked of it besides `count`."""
NAMES = tuple(f"{key}_{kind}_{days}d" for key, _, second in KEYS for kind in ("count", second) for days in DAYS)
OVER = {
    "count": "count(*) OVER {window}",
    "mean": "avg(amount_minor) OVER {window}",
    "fraud_count": "coalesce(sum(is_fraud) OVER {window}, 0)::BIGINT",
}
WITHIN = {
    "count": "count(e.ms) FILTER ({window})",
    "mean": "avg(e.amount_minor) FILTER ({window})",
    "fraud_count": "count(e.ms) FILTER ({window} AND e.is_fraud = 1)",
}
FIRST_EVENTS = 10_000


class Taken(NamedTuple):
    """Seconds of the wall clock and of the CPU, all threads."""

    wall_s: float
    cpu_s: float


def ours(folder: Path) -> None:
    """`quanheng features build` over the pack's own mapping."""
    from quanheng.loading import load_packs
    from quanheng.loading.find import read_packs
    from quanheng.offline.build import Build
    from quanheng.offline.events import FileEvents
    from quanheng.offline.spine import SpineColumns

    declared = load_packs(["card_fraud"], read_packs())["card_fraud"]
    source = FileEvents(folder / "events.parquet", declared.mappings[0], declared.events)
    spine, out = folder / "spine.parquet", folder / "ours.parquet"
    Build(declared, source, spine, SpineColumns(""), out, features=NAMES).run(lambda *_: None)


def duckdb(folder: Path) -> None:
    """A range join for each key, the widest window once, with filters for the others."""

    def part(key: str, delay: int, second: str) -> str:
        near, far = delay * DAY_MS, (delay + max(DAYS)) * DAY_MS
        columns = [
            WITHIN[kind].format(window=f"e.ms > s.time_ms - {(delay + days) * DAY_MS}") + f" AS {key}_{kind}_{days}d"
            for kind in ("count", second)
            for days in DAYS
        ]
        held = f"e.{key}_id = s.{key} AND e.ms <= s.time_ms - {near} AND e.ms > s.time_ms - {far}"
        return f"(SELECT s.row, {', '.join(columns)} FROM s LEFT JOIN e ON {held} GROUP BY s.row)"

    both = " JOIN ".join(part(*key) for key in KEYS)
    connected(folder).execute(
        f"COPY (SELECT * FROM {both} USING (row) ORDER BY row) TO '{folder / 'duckdb.parquet'}' (FORMAT parquet)"
    )


def duckdb_asof(folder: Path) -> None:
    """The state of each key after each of its events, then the last state at or before each moment."""
    states = ", ".join(f"{key} AS ({after_each_event(key, delay, second)})" for key, delay, second in KEYS)
    joins = " ".join(
        f"ASOF LEFT JOIN {key} ON {key}.{key} = s.{key} AND {key}.event_timestamp <= make_timestamp_ms(s.time_ms)"
        for key, _, _ in KEYS
    )
    query = f"WITH {states} SELECT s.row, {', '.join(NAMES)} FROM s {joins} ORDER BY s.row"
    connected(folder).execute(f"COPY ({query}) TO '{folder / 'duckdb_asof.parquet'}' (FORMAT parquet)")


def feature_tables(folder: Path) -> None:
    """The same states as two files, which is what Feast reads."""
    connection = connected(folder)
    for key, delay, second in KEYS:
        query, out = after_each_event(key, delay, second), folder / f"{key}.parquet"
        connection.execute(f"COPY ({query}) TO '{out}' (FORMAT parquet)")


def after_each_event(key: str, delay: int, second: str) -> str:
    """Aggregates over (t - delay - w, t - delay] of whole milliseconds, a row for each event of the key."""
    columns, windows = [], []
    for days in DAYS:
        far, near = (delay + days) * DAY_MS - 1, delay * DAY_MS
        order = f"PARTITION BY {key}_id ORDER BY ms RANGE BETWEEN {far} PRECEDING AND {near} PRECEDING"
        windows.append(f"w{days} AS ({order})")
        columns += [OVER[kind].format(window=f"w{days}") + f" AS {key}_{kind}_{days}d" for kind in ("count", second)]
    head = f"{key}_id::BIGINT AS {key}, time AS event_timestamp"
    return f"SELECT {head}, {', '.join(columns)} FROM e WINDOW {', '.join(windows)}"


def connected(folder: Path) -> Any:
    """DuckDB in memory with the events `e` and the spine `s`."""
    import duckdb as engine

    connection = engine.connect()
    connection.execute(f"CREATE VIEW e AS SELECT *, epoch_ms(time) AS ms FROM '{folder / 'events.parquet'}'")
    connection.execute(f"CREATE VIEW s AS SELECT * FROM '{folder / 'spine.parquet'}'")
    return connection


def check(folder: Path, peer: str) -> None:
    """Every cell is that of ours; rows stand in the order of the spine.

    Raises
    ------
    AssertionError : a cell differs, or the rows are others
    """
    import polars as pl

    mine, theirs = pl.read_parquet(folder / "ours.parquet"), pl.read_parquet(folder / f"{peer}.parquet")
    if mine["row"].to_list() != theirs["row"].to_list():
        raise AssertionError(f"{peer}: the rows are not those of the spine")
    for name in NAMES:
        differ = mine[name].cast(pl.Float64).ne_missing(theirs[name].cast(pl.Float64)).sum()
        if differ:
            raise AssertionError(f"{peer}: {differ} cells of {name} differ")


def measured(call: Callable[[Path], object], folder: Path) -> Taken:
    """Time of one call in this process."""
    start, before = time.perf_counter(), os.times()
    call(folder)
    wall_s, after = time.perf_counter() - start, os.times()
    return Taken(wall_s, after.user + after.system - before.user - before.system)


def feast(small: Path, folder: Path, ttl_days: int) -> tuple[dict[str, float] | None, str]:
    """Both parts of Feast's way: the feature tables, written anew, and the join; or why it did not run.

    ttl_days : how old a state may be; 0: as old as the widest window reaches
    """
    feature_tables(small)
    tables = measured(feature_tables, folder)
    found, reason = run_peer("features_build_feast.py", str(ttl_days), small, folder)
    if found is not None:
        found |= {"wall_s": tables.wall_s + found["join_s"], "cpu_s": tables.cpu_s + found["join_cpu_s"]}
    return found, reason


def write(frame: Any, folder: Path) -> int:
    """The events and the spine as files; rows of the spine."""
    import polars as pl

    folder.mkdir()
    frame.write_parquet(folder / "events.parquet")
    spine = frame.gather_every(EVERY).select(
        pl.col("time").dt.epoch("ms").alias("time_ms"), pl.col("customer_id").alias("customer"),
        pl.col("terminal_id").alias("terminal"),
    ).with_row_index("row")  # fmt: skip
    spine.write_parquet(folder / "spine.parquet")
    return len(spine)


def run(quick: bool = False) -> Measured:
    """Rows a second, the median of turns; peers in the same unit. A Feast that is absent is told in `feast_skipped`."""
    import polars as pl

    root = Path(__file__).resolve().parents[1]
    file = Path(os.environ.get("QUANHENG_SHARED", root.parent / "shared")) / "data" / "card_transactions.parquet"
    frame = pl.read_parquet(file)
    frame = frame.head(100_000) if quick else frame
    with tempfile.TemporaryDirectory() as name:
        small, folder = Path(name) / "first", Path(name) / "whole"
        write(frame.head(FIRST_EVENTS), small)
        rows = write(frame, folder)
        return compared(small, folder, rows, 1 if quick else 3, {"rows": rows, "events": len(frame)})


def compared(small: Path, folder: Path, rows: int, turns: int, extra: dict[str, Any]) -> Measured:
    """Everybody takes turns; every answer is compared."""
    calls = {"ours": ours, "duckdb": duckdb, "duckdb_asof": duckdb_asof}
    first = {who: round(measured(call, small).wall_s, 3) for who, call in calls.items()}
    taken: dict[str, list[Taken]] = {who: [] for who in calls}
    alone: list[float] = []
    skipped = why_absent("feast")
    for turn in range(turns):
        for who, call in calls.items():
            taken[who].append(measured(call, folder))
            check(folder, who)
        for ttl_days in (0, 1) if turn == 0 else (0,):
            found, skipped = (None, skipped) if skipped else feast(small, folder, ttl_days)
            if found is None:
                break
            check(folder, "feast")
            if ttl_days:
                extra["feast_ttl_1d"] = round(rows / found["wall_s"])
                continue
            taken.setdefault("feast", []).append(Taken(found["wall_s"], found["cpu_s"]))
            alone.append(found["join_s"])
            first.setdefault("feast", round(found["first_call_s"], 3))
    rates = {who: round(rows / statistics.median(one.wall_s for one in given)) for who, given in taken.items()}
    extra |= {"seconds": {who: [round(one.wall_s, 3) for one in given] for who, given in taken.items()}}
    extra |= {
        "cpu_s_each": {who: round(statistics.median(one.cpu_s for one in given), 2) for who, given in taken.items()}
    }
    extra |= {"first_call_s": first, "cells_compared": rows * len(NAMES)}
    extra |= {"feast_skipped": skipped} if skipped else {"feast_join_alone": round(rows / statistics.median(alone))}
    return Measured(rates.pop("ours"), "rows/s", rates, extra)
