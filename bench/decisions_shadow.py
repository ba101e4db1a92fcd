"""decisions.shadow: what a version in shadow costs those who wait: p99 with it over p99 without, in per cent.

One engine, the pack's own traffic at a fixed pace, one durable commit for each event. The follower runs in its own
process, as `quanheng serve` starts it; in every other stretch it is stopped, and catches up in the next one. The figure
compares the p99 of the typical stretch (the median of all): one stall of the disk decides the p99 of a whole run.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.path_inprocess import PACK, open_with_pack, traffic
from quanheng.engine import Engine, steady_memory
from quanheng.governing import Asked
from quanheng.server.config import Config, Storage
from quanheng.shadow_book import Book
from quanheng.testing.bench import Measured

PER_S = 250
WARM = 1_000
CAUGHT_UP_S_MAX = 60.0


def run(quick: bool = False) -> Measured:
    """Stretches of one second, with and without in turns."""
    rounds = 4 if quick else 20
    with tempfile.TemporaryDirectory(prefix="quanheng-bench-") as name:
        folder = Path(name)
        engine = open_with_pack(folder / "data")
        requests = traffic(engine, WARM + 2 * rounds * PER_S)
        engine.submit(requests[:WARM])
        hash = _in_shadow(engine)
        steady_memory()
        follower = _follower(folder)
        try:
            times: dict[bool, list[list[float]]] = {True: [], False: []}
            for number in range(2 * rounds):
                start = WARM + number * PER_S
                with_it = number % 2 == 0
                follower.send_signal(signal.SIGCONT if with_it else signal.SIGSTOP)
                times[with_it].append(_paced(engine, requests[start : start + PER_S]))
            follower.send_signal(signal.SIGCONT)
            judged = _judged(folder / "data", hash, engine.log.head)
        finally:
            follower.kill()
            follower.wait()
            engine.close()
    typical = {name: float(np.median([np.percentile(one, 99) for one in taken])) for name, taken in times.items()}
    extra: dict[str, object] = {"events_each": rounds * PER_S, "judged_in_shadow": judged, "events_per_s": PER_S}
    for with_it, name in ((True, "with"), (False, "without")):
        extra[f"p99_{name}_ms"] = round(typical[with_it] * 1e3, 3)
        for percent in (50, 99):
            overall = float(np.percentile(np.concatenate(times[with_it]), percent))
            extra[f"overall_p{percent}_{name}_ms"] = round(overall * 1e3, 3)
    return Measured((typical[True] / typical[False] - 1) * 100, "%", {}, extra)


def _in_shadow(engine: Engine) -> str:
    """A version of the pack, the same but for its golden cases, put in shadow by two people."""
    activated = engine.reader.activated(engine.state.program.activation)
    files = {
        name: data
        for name, data in engine.content.get_folder(activated.packs[PACK]).items()
        if not name.startswith("cases/")
    }
    hash = engine.take_step(engine.propose_step(Asked("draft", "ann", files=files))).hash
    for step, actor in (("submit", "ann"), ("approve", "ben"), ("shadow", "ann")):
        engine.take_step(engine.propose_step(Asked(step, actor, PACK, hash, reason="bench")))
    return hash


def _follower(folder: Path) -> subprocess.Popen[bytes]:
    """The process that `quanheng serve` starts, when it has caught up."""
    config = Config(storage=Storage(data=str(folder / "data"), keys=str(folder / "data-keys")))
    told = msgspec.json.encode(config).decode()
    follower = subprocess.Popen([sys.executable, "-m", "quanheng.server.trials", told], env={**os.environ})
    book, until_s = Book(folder / "data"), time.monotonic() + CAUGHT_UP_S_MAX
    while _place(book) == 0:
        assert time.monotonic() < until_s, "the follower did not start"
        time.sleep(0.1)
    book.close()
    return follower


def _place(book: Book) -> int:
    return int(book.told("", "")["reached"])


def _judged(folder: Path, hash: str, head: int) -> int:
    """Decisions that the shadow judged, once it has caught up."""
    book, until_s = Book(folder), time.monotonic() + CAUGHT_UP_S_MAX
    while _place(book) < head and time.monotonic() < until_s:
        time.sleep(0.2)
    found = book.told(PACK, hash)
    book.close()
    assert not found["problem"], found["problem"]
    return sum(cell["count"] for cell in found["matrix"])


def _paced(engine: Engine, requests: list[Any]) -> list[float]:
    """Seconds from the moment each event was due to its durable answer."""
    taken = []
    begun = time.perf_counter()
    for number, request in enumerate(requests):
        due = begun + number / PER_S
        while (now := time.perf_counter()) < due:
            time.sleep(max(0.0, due - now - 2e-4))
        engine.submit([request])
        taken.append(time.perf_counter() - due)
    return taken
