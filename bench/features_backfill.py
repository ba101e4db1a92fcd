"""features.backfill.handbook12: the twelve handbook aggregates over the real file; ours, Polars, DuckDB, one thread.

The goals are of one thread each. Beside them ours and Polars are measured once more with every core (`all_cores`).

All three turn the same frame in memory into a frame of six counts and six means. Polars says a delayed window as
the difference of two undelayed ones (the fastest form it has: rolling_sum_by().over()); DuckDB as integer RANGE
windows. Results are compared cell by cell; they may differ only where another payment of the same key bears the same
time and lies later in the log: SQL and Polars count it in, the kernel does not know it yet.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from quanheng.testing.bench import Measured

DAY_MS = 86_400_000
DAYS = (1, 7, 30)
DELAY = 7


def plan() -> Any:
    """The twelve aggregates as folds."""
    from quanheng.features.fold import EventLayout, Fold
    from quanheng.features.plan import Plan

    layout = EventLayout("card.payment", 1, ("customer_id", "terminal_id"), ("amount_minor", "is_fraud"))
    folds = []
    for days in DAYS:
        window, name = days * DAY_MS, layout.name
        folds += [
            Fold(f"customer_count_{days}d", name, ("customer_id",), "count", None, window),
            Fold(f"customer_mean_{days}d", name, ("customer_id",), "mean", "amount_minor", window),
            Fold(f"terminal_count_{days}d", name, ("terminal_id",), "count", None, window, DELAY * DAY_MS),
            Fold(f"terminal_fraud_{days}d", name, ("terminal_id",), "mean", "is_fraud", window, DELAY * DAY_MS),
        ]
    return Plan.compile([layout], folds, ["card.payment"], lateness_ms=0)


def ours(frame: Any, threads: int | None = 1) -> Any:
    """The kernel, over the frame; `threads` None = every core."""
    from quanheng.features.backfill import backfill

    return backfill(plan(), frame, values="float", threads=threads)


def ours_on_all(frame: Any) -> Any:
    """The kernel on every core."""
    return ours(frame, None)


def polars(frame: Any) -> Any:
    """rolling_sum_by().over()."""
    import polars as pl

    def rolled(column: str, key: str, days: int) -> Any:
        return pl.col(column).rolling_sum_by("time", window_size=f"{days}d").over(key).alias(f"{key}.{column}.{days}")

    wide = frame.with_columns(
        pl.lit(1, pl.Int64).alias("one"), pl.col("amount_minor").cast(pl.Int64), pl.col("is_fraud").cast(pl.Int64)
    ).select(
        [rolled(column, "customer_id", days) for column in ("one", "amount_minor") for days in DAYS]
        + [
            rolled(column, "terminal_id", days)
            for column in ("one", "is_fraud")
            for days in (DELAY, *(DELAY + days for days in DAYS))
        ]
    )

    def delayed(column: str, days: int) -> Any:
        return pl.col(f"terminal_id.{column}.{DELAY + days}") - pl.col(f"terminal_id.{column}.{DELAY}")

    customer = [
        expression
        for days in DAYS
        for expression in (
            pl.col(f"customer_id.one.{days}").alias(f"customer_count_{days}d"),
            (pl.col(f"customer_id.amount_minor.{days}") / pl.col(f"customer_id.one.{days}")).alias(
                f"customer_mean_{days}d"
            ),
        )
    ]
    terminal = [delayed("one", days).alias(f"terminal_count_{days}d") for days in DAYS]
    shares = [(delayed("is_fraud", days) / delayed("one", days)).alias(f"terminal_fraud_{days}d") for days in DAYS]
    return wide.select(customer + terminal + shares)


def duckdb(frame: Any) -> Any:
    """Integer RANGE windows: (t-w, t] in ms is RANGE w-1 PRECEDING."""
    import duckdb as engine
    import polars as pl

    connection = engine.connect(config={"threads": 1})
    connection.register("payments", frame)
    columns, windows = [], []
    near = DELAY * DAY_MS
    for days in DAYS:
        far = (DELAY + days) * DAY_MS - 1
        columns += [
            f"count(*) OVER c{days} AS customer_count_{days}d",
            f"avg(amount_minor) OVER c{days} AS customer_mean_{days}d",
            f"count(*) OVER t{days} AS terminal_count_{days}d",
            f"avg(is_fraud) OVER t{days} AS terminal_fraud_{days}d",
        ]
        windows += [
            f"c{days} AS (PARTITION BY customer_id ORDER BY ms RANGE {days * DAY_MS - 1} PRECEDING)",
            f"t{days} AS (PARTITION BY terminal_id ORDER BY ms RANGE BETWEEN {far} PRECEDING AND {near} PRECEDING)",
        ]
    source = "SELECT row, customer_id, terminal_id, amount_minor, is_fraud, epoch_ms(time) AS ms FROM payments"
    query = f"SELECT row, {', '.join(columns)} FROM ({source}) WINDOW {', '.join(windows)}"
    return pl.from_arrow(connection.execute(query).to_arrow_table())


def compare(frame: Any, mine: Any, other: Any) -> dict[str, int]:
    """Cells that differ, and how many of them a later payment of the same key and time explains."""
    import polars as pl

    differ = unexplained = 0
    for key in ("customer", "terminal"):
        tied = frame.select((pl.col("row") != pl.col("row").max().over(f"{key}_id", "time")).alias("tied"))["tied"]
        for name in (column for column in mine.columns if column.startswith(key)):
            theirs = other[name].cast(pl.Float64).fill_nan(-1).fill_null(-1)  # An empty window has no mean.
            unequal = mine[name].fill_nan(-1) != theirs
            differ += int(unequal.sum())
            unexplained += int((unequal & ~tied).sum())
    return {"cells_that_differ": differ, "not_explained_by_ties": unexplained}


def load(file: Path, quick: bool) -> Any:
    """The payments, numbered."""
    import polars as pl

    frame = pl.read_parquet(file).select("time", "customer_id", "terminal_id", "amount_minor", "is_fraud")
    return (frame.head(100_000) if quick else frame).with_row_index("row")


def in_turns(frame: Any, calls: dict[str, Any], repeats: dict[str, int]) -> tuple[dict[str, list[float]], Any]:
    """Seconds of each run, and what each gave in the last one; runs take turns."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    results: dict[str, Any] = {}
    for turn in range(max(repeats.values())):
        for name, call in calls.items():
            if turn < repeats[name]:
                results.pop(name, None)  # Memory is given back outside the measured time.
                start = time.perf_counter()
                results[name] = call(frame)
                taken[name].append(time.perf_counter() - start)
    return taken, results


def measure(file: Path, quick: bool) -> dict[str, Any]:
    """Everything in one process with one thread."""
    frame = load(file, quick)
    first = time.perf_counter()
    ours(frame.head(10_000))
    warm_s = time.perf_counter() - first
    calls, repeats = {"ours": ours, "polars": polars, "duckdb": duckdb}, {"ours": 5, "polars": 5, "duckdb": 1}
    taken, results = in_turns(frame, calls, repeats)
    by_row = results["duckdb"].sort("row")
    checked = {
        "polars": compare(frame, results["ours"], results["polars"]),
        "duckdb": compare(frame, results["ours"], by_row),
    }
    return {"rows": len(frame), "seconds": taken, "checked": checked, "first_call_s": round(warm_s, 3)}


def measure_all(file: Path, quick: bool) -> dict[str, Any]:
    """Ours and Polars with every core; ours gives the bits of one thread."""
    from quanheng.features.backfill import cores

    frame = load(file, quick)
    expected = ours(frame)
    calls = {"ours": ours_on_all, "polars": polars}
    taken, results = in_turns(frame, calls, dict.fromkeys(calls, 5))
    if not results["ours"].equals(expected):
        raise AssertionError("several threads and one disagree")
    ratio = median(taken["polars"]) / median(taken["ours"])
    return {"cores": cores(), "seconds": taken, "ratio_polars": round(ratio, 3)}


def median(seconds: list[float]) -> float:
    """The middle one."""
    return sorted(seconds)[len(seconds) // 2]


def apart(file: Path, quick: bool, threads: str, environment: dict[str, str]) -> dict[str, Any]:
    """What a process of its own measured, on "one" thread or "all"."""
    command = [sys.executable, __file__, str(file), "quick" if quick else "full", threads]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def run(quick: bool = False) -> Measured:
    """Events a second; peers in the same unit."""
    root = Path(__file__).resolve().parents[1]
    file = Path(os.environ.get("QUANHENG_SHARED", root.parent / "shared")) / "data" / "card_transactions.parquet"
    found = apart(file, quick, "one", dict(os.environ, POLARS_MAX_THREADS="1"))
    every = {name: value for name, value in os.environ.items() if name != "POLARS_MAX_THREADS"}
    found["all_cores"] = apart(file, quick, "all", every)
    rate = {name: found["rows"] / median(seconds) for name, seconds in found["seconds"].items()}
    for peer, checked in found["checked"].items():
        if checked["not_explained_by_ties"]:
            raise AssertionError(f"{peer} and the kernel disagree: {checked}")
    mine = rate.pop("ours")
    return Measured(round(mine), "events/s", {name: round(value) for name, value in rate.items()}, found)


if __name__ == "__main__":
    chosen = measure_all if sys.argv[3] == "all" else measure
    print(json.dumps(chosen(Path(sys.argv[1]), sys.argv[2] == "quick")))
