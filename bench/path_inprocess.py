"""path.inprocess: decisions a second through the whole main path, in one process, durable on every group.

The pack's own traffic, its features, its model, its policy; SQLite with synchronous=FULL; groups of 512; what is
measured begins with JSON bytes and ends with the answers of committed groups. CPU seconds are of this process.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from quanheng.engine import Engine, steady_memory
from quanheng.events.intake import Request
from quanheng.loading.files import read_pack
from quanheng.loading.find import find_packs
from quanheng.testing.bench import Measured

PACK, GROUP, WARM = "card_fraud", 512, 4


def open_with_pack(folder: Path, pack: str = PACK) -> Engine:
    """An engine in `folder` with the pack and what it requires active."""
    packs = find_packs()
    engine = Engine.open(folder)
    engine.activate([read_pack(packs["party"]), read_pack(packs[pack])])
    return engine


def traffic(engine: Engine, events: int, pack: str = PACK) -> list[Request]:
    """Requests of the pack's seeded traffic, as JSON bytes."""
    from quanheng.loading.traffic import Traffic

    declared = engine.state.program.packs[pack].traffic
    assert declared is not None
    return [
        Request("bench", event.id, event.type, json.dumps(event.data).encode())
        for event in Traffic(declared, seed=7).events(events)
    ]


def pipelined(engine: Engine, requests: list[Request], group: int = GROUP) -> list[Any]:
    """Submit in groups; the next group is prepared while one commits, as the server does."""
    replies: list[Any] = []
    with ThreadPoolExecutor(1) as committer:
        waiting = None
        for start in range(0, len(requests), group):
            pending = engine.prepare(requests[start : start + group])
            if waiting is not None:
                replies += waiting.result()
            waiting = committer.submit(engine.commit, pending)
        if waiting is not None:
            replies += waiting.result()
    return replies


def run(quick: bool = False) -> Measured:
    """Median of three runs on one core, each on a fresh folder."""
    events = 20_000 if quick else 60_000
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})
    rates, cpus, shapes = [], [], {}
    for _ in range(1 if quick else 3):
        with tempfile.TemporaryDirectory() as folder:
            engine = open_with_pack(Path(folder) / "data")
            requests = traffic(engine, events + WARM * GROUP)
            pipelined(engine, requests[: WARM * GROUP])
            steady_memory()  # As the server does.
            cpu, start = time.process_time(), time.perf_counter()
            replies = pipelined(engine, requests[WARM * GROUP :])
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
            decided = sum(1 for reply in replies if reply.decision >= 0 and reply.status == "decided")
            failed = sum(1 for reply in replies if reply.status == "failed")
            rates.append(decided / seconds)
            cpus.append(decided / cpu)
            shapes = _shape(engine, decided, failed)
            engine.close()
    rates.sort()
    cpus.sort()
    middle = len(rates) // 2
    return Measured(rates[middle], "decisions/s", {}, {"per_cpu_second": cpus[middle], "group": GROUP, **shapes})


def _shape(engine: Engine, decided: int, failed: int) -> dict[str, object]:
    (scopes,) = engine.state.program.scopes.values()
    (scope,) = scopes
    return {
        "features": len(scope.folds) + len(scope.formulas.names),
        "sources": [source.name for source in scope.sources],
        "decided": decided,
        "failed": failed,
    }
