"""decisions.shadow: what a version in shadow costs those who wait: p99 with it over p99 without, in per cent.

One engine, the pack's own traffic at a fixed pace, one durable commit for each event. The follower runs in its own
process, as `quanheng serve` starts it. Stretches with it and stretches in which it is stopped take turns (with,
without, without, with, …); each lasts from one look of the follower to the next, so that one falls into each, at no
fixed place: a stretch has a lead-in of chance length, with load but not counted. What was decided while it was stopped
is caught up before, so that a stretch with it bears its own decisions and nobody else's.

The figure compares the p99 of the typical stretch (the median of all): one stall of the disk decides the p99 of a whole
run. `low` and `high` are its 95 % interval, by drawing rounds again; `noise` is the same interval for stretches without
the follower against other stretches without it: what the machine alone does to the figure.
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
from numpy.typing import NDArray

from bench.path_inprocess import PACK, open_with_pack, traffic
from quanheng.engine import Engine, steady_memory
from quanheng.governing import Asked
from quanheng.server.config import Config, Storage
from quanheng.server.trials import POLL_S
from quanheng.shadow_book import Book
from quanheng.testing.bench import Measured

PER_S = 250
WARM = 1_000
CAUGHT_UP_S_MAX = 60.0
DRAWS = 4_000


def run(quick: bool = False) -> Measured:
    """Rounds of a stretch with and a stretch without."""
    stretch, rounds = round(POLL_S * PER_S), 3 if quick else max(10, round(40 / POLL_S))
    leads = np.random.default_rng(3).integers(0, stretch, 2 * rounds).tolist()
    with tempfile.TemporaryDirectory(prefix="quanheng-bench-") as name:
        folder = Path(name)
        engine = open_with_pack(folder / "data")
        requests = traffic(engine, WARM + sum(leads) + 2 * rounds * stretch)
        engine.submit(requests[:WARM])
        hash = _in_shadow(engine)
        steady_memory()
        follower, book = _follower(folder), Book(folder / "data")
        times: dict[bool, list[list[float]]] = {True: [], False: []}
        start, cpu_s = WARM, 0.0
        try:
            for number, lead in enumerate(leads):
                with_it = number % 4 in (0, 3)
                if with_it and not (times[True] and number % 4 == 0):
                    follower.send_signal(signal.SIGCONT)
                    _wait(book, engine.log.head)
                elif not with_it:
                    follower.send_signal(signal.SIGSTOP)
                _paced(engine, requests[start : start + lead])
                start, used_s = start + lead, _cpu_s(follower)
                times[with_it].append(_paced(engine, requests[start : start + stretch]))
                start, cpu_s = start + stretch, cpu_s + _cpu_s(follower) - used_s
            follower.send_signal(signal.SIGCONT)
            _wait(book, engine.log.head)
            judged = _judged(book, hash)
        finally:
            follower.kill()
            follower.wait()
            book.close()
            engine.close()
    extra: dict[str, object] = {"stretches_each": rounds, "events_each": rounds * stretch, "events_per_s": PER_S}
    extra |= {"judged_in_shadow": judged, "follower_cpu_share": round(cpu_s / (rounds * POLL_S), 4)}
    return Measured(*_compared(times), extra=extra | _figures(times))


def _compared(times: dict[bool, list[list[float]]]) -> tuple[float, str, dict[str, float]]:
    """The typical p99 with over that without, in per cent."""
    with_it, without = (np.array([np.percentile(one, 99) for one in times[which]]) for which in (True, False))
    return float(np.median(with_it) / np.median(without) - 1) * 100, "%", {}


def _figures(times: dict[bool, list[list[float]]]) -> dict[str, object]:
    p99 = {which: np.array([np.percentile(one, 99) for one in times[which]]) for which in (True, False)}
    seconds = {which: np.array([_by_second(one) for one in times[which]]) for which in (True, False)}
    found: dict[str, object] = {}
    for name, with_it, without in (
        ("", p99[True], p99[False]),
        ("noise_", p99[False][::2], p99[False][1::2]),
        ("second_", seconds[True], seconds[False]),
    ):
        n = min(len(with_it), len(without))
        low, high = _interval(with_it[:n], without[:n])
        found |= {f"{name}low": round(low, 2), f"{name}high": round(high, 2)}
    found["second"] = round(float(np.median(seconds[True]) / np.median(seconds[False]) - 1) * 100, 2)
    for with_it, name in ((True, "with"), (False, "without")):
        found[f"p99_{name}_ms"] = round(float(np.median(p99[with_it])) * 1e3, 3)
        for percent in (50, 99):
            overall = float(np.percentile(np.concatenate(times[with_it]), percent))
            found[f"overall_p{percent}_{name}_ms"] = round(overall * 1e3, 3)
    return found


def _by_second(stretch: list[float]) -> NDArray[np.float64]:
    """The p99 of each second."""
    whole = len(stretch) // PER_S
    return np.percentile(np.array(stretch[: whole * PER_S]).reshape(whole, PER_S), 99, axis=1)


def _interval(with_it: NDArray[np.float64], without: NDArray[np.float64]) -> tuple[float, float]:
    """95 % of the ratio of medians, in per cent: rounds, which hold one of each, are drawn again."""
    rows = np.random.default_rng(7).integers(0, len(with_it), (DRAWS, len(with_it)))
    axes = tuple(range(1, with_it.ndim + 1))
    ratios = (np.median(with_it[rows], axis=axes) / np.median(without[rows], axis=axes) - 1) * 100
    low, high = np.percentile(ratios, (2.5, 97.5))
    return float(low), float(high)


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
    book = Book(folder / "data")
    _wait(book, 1)
    book.close()
    return follower


def _wait(book: Book, offset: int) -> None:
    """Until the follower has looked at everything before `offset`."""
    until_s = time.monotonic() + CAUGHT_UP_S_MAX
    while _place(book) < offset:
        assert time.monotonic() < until_s, "the follower does not follow"
        time.sleep(0.05)


def _place(book: Book) -> int:
    return int(book.told("", "")["reached"])


def _judged(book: Book, hash: str) -> int:
    """Decisions that the shadow judged."""
    found = book.told(PACK, hash)
    assert not found["problem"], found["problem"]
    return sum(cell["count"] for cell in found["matrix"])


def _cpu_s(process: subprocess.Popen[bytes]) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
