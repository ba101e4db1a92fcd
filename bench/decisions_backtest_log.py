"""`decisions.backtest.log`: decisions a second that `quanheng policy backtest` judges again, out of a log.

The pack's own traffic is decided and recorded; then the version in force judges what was recorded: the log is read and
checked, payloads are unsealed and decoded, a policy that asks lists runs over columns, and what differs is counted. The
whole call counts, compilation included, the start of the process not. Peer `rows` judges one decision after another in
the same run; both reports are compared before they are timed.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["POLARS_MAX_THREADS"] = "1"  # Read when Polars is imported.

from bench.path_inprocess import PACK, open_with_pack, pipelined, traffic
from quanheng.engine import Engine, steady_memory
from quanheng.loading.find import read_packs
from quanheng.past.backtest import Settings, backtest
from quanheng.past.versions import Asked
from quanheng.testing.bench import Measured, interleaved_seconds

EVENTS = 60_000


def run(quick: bool = False) -> Measured:
    """Median of three calls, taking turns with those by rows."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})
    with tempfile.TemporaryDirectory(prefix="quanheng-bench-") as folder:
        engine = open_with_pack(Path(folder) / "data")
        pipelined(engine, traffic(engine, EVENTS // 10 if quick else EVENTS))
        steady_memory()
        fast, slow = (_report(engine, columns) for columns in (True, False))
        if (mode := fast["candidate"].pop("engine")["mode"]) != "columns":
            raise AssertionError(f"the policy ran by {mode}")
        slow["candidate"].pop("engine")
        if fast != slow:
            raise AssertionError("columns and rows differ")
        used_s = time.process_time()
        _report(engine, True)
        used_s = time.process_time() - used_s
        calls = {"ours": lambda: _report(engine, True), "rows": lambda: _report(engine, False)}
        taken = interleaved_seconds(calls, repeats=3)
        engine.close()
    decisions = fast["decisions"]
    extra: dict[str, object] = {"decisions": decisions, "per_cpu_second": round(decisions / used_s)}
    return Measured(decisions / taken["ours"], "decisions/s", {"rows": decisions / taken["rows"]}, extra)


def _report(engine: Engine, columns: bool) -> dict[str, Any]:
    settings = Settings(PACK, Asked("active", None), Asked("recorded", None), columns=columns)
    return backtest(engine.reader, read_packs(), settings)
