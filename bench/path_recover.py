"""path.recover: events a second when the state is rebuilt from the log, through `apply` only, without a snapshot."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from bench.path_inprocess import open_with_pack, pipelined, traffic
from quanheng import recovery
from quanheng.testing.bench import Measured


def run(quick: bool = False) -> Measured:
    """Median of three rebuilds of one log; the rebuilt state is checked equal to the live one."""
    with tempfile.TemporaryDirectory() as folder:
        engine = open_with_pack(Path(folder) / "data")
        requests = traffic(engine, 20_000 if quick else 100_000)
        pipelined(engine, requests)
        events = sum(engine.state.events.values())
        live = engine.state.digest()
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            state = recovery.rebuild(engine.log, engine.content, None)
            seconds.append(time.perf_counter() - start)
            assert state.digest() == live, "the rebuilt state differs from the live one"
        head = engine.log.head
        engine.close()
    rate = events / statistics.median(seconds)
    return Measured(rate, "events/s", {}, {"events": events, "records": head, "records_per_s": rate * head / events})
