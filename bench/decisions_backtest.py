"""`decisions.backtest`: the 20-rule table over a frame of past inputs, one core.

Peer `row` is the compiled policy of the same model: it reads the same frame row by row and gives the same frame of
results and matched rules. Both frames are compared before anything is timed. `row_judgements` is the policy alone, with
its inputs ready as tuples and its answers thrown away.
"""

from __future__ import annotations

import os
import time
from typing import Any

os.environ["POLARS_MAX_THREADS"] = "1"  # Read when Polars is imported.

import polars as pl

from bench.decisions_table20 import INPUTS, OUTPUTS, dmn, samples
from quanheng.decisions.columnar import compile_columns
from quanheng.decisions.dmn import compile_decision, read_model
from quanheng.decisions.policy import Policy
from quanheng.testing.bench import Measured, interleaved_seconds

ROWS = 1_000_000
ROWS_BY_ROW = 100_000
"""The slower way judges a tenth of the rows."""


def by_row(policy: Policy, frame: pl.DataFrame, like: pl.Schema) -> pl.DataFrame:
    """What `ColumnPolicy.run` gives, by a judgement for each row; fields are gathered as lists, the fastest way."""
    fields: dict[str, list[object]] = {name: [] for name, _ in OUTPUTS}
    outcomes, reasons, limits = fields.values()
    rules = []
    for row in frame.iter_rows():
        judgement = policy(row)
        result: Any = judgement.result
        outcomes.append(result["outcome"])
        reasons.append(result["reason"])
        limits.append(result["limit_minor"])
        rules.append(judgement.trace[0][1])
    results = pl.DataFrame(fields).to_struct("authorise")
    matched = pl.Series("authorise.rules", rules, dtype=like["authorise.rules"])
    return pl.DataFrame([results, matched])


def run(quick: bool = False) -> Measured:
    """Rows a second; the peer in the same run, taking turns."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})
    rows = ROWS // 10 if quick else ROWS
    frame = pl.DataFrame(samples(rows), schema=[name for name, _ in INPUTS], orient="row")
    few = frame.head(ROWS_BY_ROW)
    model = read_model(dmn(), "table20.dmn")
    started = time.perf_counter()
    columns = compile_columns(model, "authorise")
    compile_s = time.perf_counter() - started
    policy = compile_decision(model, "authorise")
    found = columns.run(few)
    if not found.equals(by_row(policy, few, found.schema)):
        raise AssertionError("columns and rows differ")
    ready = few.rows()
    calls = {
        "columns": lambda: columns.run(frame),
        "row": lambda: by_row(policy, few, found.schema),
        "judgements": lambda: [None for row in ready if policy(row) is None],
    }
    seconds = interleaved_seconds(calls, 3 if quick else 7)
    extra = {
        "checked_equal": few.height,
        "rows": rows,
        "compile_s": round(compile_s, 4),
        "modes": [" ".join(mode) for mode in columns.modes],
        "row_judgements": round(few.height / seconds["judgements"]),
    }
    return Measured(rows / seconds["columns"], "rows/s", {"row": few.height / seconds["row"]}, extra)


if __name__ == "__main__":
    print(run())
