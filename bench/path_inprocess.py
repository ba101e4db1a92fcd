"""path.inprocess: decisions a second through the whole main path, in one process, durable on every group.

The pack's own traffic, its features, its model, its policy; SQLite with synchronous=FULL; groups of 512; what is
measured begins with JSON bytes and ends with the answers of committed groups. CPU seconds are of this process. The
rates of the first and the last third of the run tell whether a decision costs more as the state grows.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

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
    return [reply for replies, _ in timed(engine, requests, group) for reply in replies]


def timed(engine: Engine, requests: list[Request], group: int = GROUP) -> list[tuple[list[Any], float]]:
    """The replies of each group, and the second at which they were there."""
    answered: list[tuple[list[Any], float]] = []
    with ThreadPoolExecutor(1) as committer:
        waiting = None
        for start in range(0, len(requests), group):
            pending = engine.prepare(requests[start : start + group])
            if waiting is not None:
                answered.append((waiting.result(), time.perf_counter()))
            waiting = committer.submit(engine.commit, pending)
        if waiting is not None:
            answered.append((waiting.result(), time.perf_counter()))
    return answered


class Run(NamedTuple):
    """One run: decisions a second (in all, in its first and its last third, by CPU second), and its shape."""

    rate: float
    rate_first: float
    rate_last: float
    rate_cpu: float
    shape: dict[str, object]


def run(quick: bool = False) -> Measured:
    """Median of three runs on one core, each on a fresh folder."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})
    runs = sorted(_once(20_000 if quick else 60_000) for _ in range(1 if quick else 3))
    middle = runs[len(runs) // 2]
    extra = {
        "per_cpu_second": middle.rate_cpu,
        "first_third": middle.rate_first,
        "last_third": middle.rate_last,
        "group": GROUP,
    }
    return Measured(middle.rate, "decisions/s", {}, {**extra, **middle.shape})


def _once(events: int) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        engine = open_with_pack(Path(folder) / "data")
        requests = traffic(engine, events + WARM * GROUP)
        pipelined(engine, requests[: WARM * GROUP])
        steady_memory()  # As the server does.
        cpu, start = time.process_time(), time.perf_counter()
        answered = timed(engine, requests[WARM * GROUP :])
        cpu = time.process_time() - cpu
        times = [start, *(at for _, at in answered)]
        decided = [sum(one.decision >= 0 and one.status == "decided" for one in replies) for replies, _ in answered]
        failed = sum(one.status == "failed" for replies, _ in answered for one in replies)
        third = len(decided) // 3
        shape = _shape(engine, sum(decided), failed)
        engine.close()
    return Run(
        sum(decided) / (times[-1] - start),
        sum(decided[:third]) / (times[third] - start),
        sum(decided[-third:]) / (times[-1] - times[-1 - third]),
        sum(decided) / cpu,
        shape,
    )


def _shape(engine: Engine, decided: int, failed: int) -> dict[str, object]:
    program = engine.state.program
    (scope,) = program.scopes[program.codes["card.payment"]]
    return {
        "features": len(scope.folds) + len(scope.formulas.names),
        "sources": [source.name for source in scope.sources],
        "decided": decided,
        "failed": failed,
    }
