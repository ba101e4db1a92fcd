"""`processes.timers`: a million pending timers, 200,000 of them found due and fired in order, 1,000 at a time.

Peers hold the same timers in the same process: a heap of tuples (`heapq`, which can neither cancel nor tell what an
owner waits for), a sorted list of tuples beside a dict by serial and one by owner (`sortedcontainers`), and a table of
SQLite in memory with an index on (due, serial) and one on the owner, each thousand read and deleted in one transaction.
All fire the same serials in the same order; that is checked in each round.

The value is for one call a timer (`due`, then `fire` each); `batched_per_cpu_s` is for columns (`due_columns`, then
`fire_many`). Beside it: arming one by one and at once, cancelling, what a request pays while nothing is due, memory.
"""

from __future__ import annotations

import heapq
import sqlite3
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from quanheng.processes.timers import Timers
from quanheng.testing.bench import Measured

PENDING, FIRED, GROUP, ROUNDS = 1_000_000, 200_000, 1_000, 3
DAY_MS, NINE_MS = 86_400_000, 32_400_000
PART, TIMER = 0, 7


class Scheduler(NamedTuple):
    """fire : yields the serials of each group that was due until a moment, taken out"""

    name: str
    arm: Callable[[list[int]], Any]
    fire: Callable[[Any, int], Iterator[Iterable[int]]]


def run(quick: bool = False) -> Measured:
    """Timers fired a CPU second, median of three rounds in turns; seconds of the wall clock beside.

    One thread and no disk: on a core of its own the two are the same, on a machine with other work the wall clock says
    how much of a core was to be had.
    """
    pending, fired = (50_000, 10_000) if quick else (PENDING, FIRED)
    dues = _moments(pending)
    order = np.lexsort((np.arange(pending), dues))[:fired]
    until_ms, expected = dues[order[-1]], order + 1
    wall: dict[str, list[float]] = defaultdict(list)
    cpu: dict[str, list[float]] = defaultdict(list)
    _fired(SCHEDULERS[0], SCHEDULERS[0].arm(dues[:10].tolist()), DAY_MS, 10)  # Compiled, or loaded.
    for _ in range(1 if quick else ROUNDS):
        for one in SCHEDULERS:
            held = one.arm(dues.tolist())
            start, start_cpu = time.perf_counter(), time.process_time()
            serials = _fired(one, held, int(until_ms), fired)
            wall[one.name].append(time.perf_counter() - start)
            cpu[one.name].append(time.process_time() - start_cpu)
            assert np.array_equal(serials, expected), one.name
    rates: dict[str, float] = {name: round(fired / statistics.median(taken)) for name, taken in cpu.items()}
    extra: dict[str, object] = {f"{name}_per_wall_s": round(fired / statistics.median(wall[name])) for name in wall}
    value, batched = rates.pop("each"), rates.pop("batched")
    return Measured(value, "timers/s", rates, {"batched_per_cpu_s": batched, **extra, **_beside(dues)})


def _moments(count: int) -> np.ndarray:
    """Due moments over a day; a tenth at nine in the morning, in one millisecond."""
    rng = np.random.default_rng(6)
    dues = rng.integers(0, DAY_MS, count)
    dues[rng.random(count) < 0.1] = NINE_MS
    return dues


def _fired(one: Scheduler, held: Any, until_ms: int, most: int) -> np.ndarray:
    found: list[int] = []
    for group in one.fire(held, until_ms):
        found.extend(group)
        if len(found) >= most:
            break
    return np.array(found[:most])


def _arm(dues: list[int]) -> Timers:
    timers = Timers()
    timers.arm_many(np.arange(len(dues)), np.full(len(dues), PART), np.full(len(dues), TIMER), dues)
    return timers


def _fire_each(timers: Timers, now_ms: int) -> Iterator[list[int]]:
    while due := timers.due(now_ms, GROUP):
        for one in due:
            timers.fire(one.serial)
        yield [one.serial for one in due]


def _fire_batched(timers: Timers, now_ms: int) -> Iterator[list[int]]:
    while len(due := timers.due_columns(now_ms, GROUP)):
        timers.fire_many(due[:, 0])
        yield due[:, 0].tolist()


def _arm_heap(dues: list[int]) -> list[tuple[int, ...]]:
    heap = [(due_ms, serial, serial - 1, PART, TIMER) for serial, due_ms in enumerate(dues, 1)]
    heapq.heapify(heap)
    return heap


def _fire_heap(heap: list[tuple[int, ...]], now_ms: int) -> Iterator[list[int]]:
    while heap and heap[0][0] <= now_ms:
        group = []
        while heap and heap[0][0] <= now_ms and len(group) < GROUP:
            group.append(heapq.heappop(heap)[1])
        yield group


def _arm_sorted(dues: list[int]) -> tuple[Any, dict[int, tuple[int, ...]], dict[int, list[int]]]:
    from sortedcontainers import SortedList

    rows = [(due_ms, serial, serial - 1, PART, TIMER) for serial, due_ms in enumerate(dues, 1)]
    return SortedList(rows), {row[1]: row for row in rows}, {row[2]: [row[1]] for row in rows}


def _fire_sorted(held: Any, now_ms: int) -> Iterator[list[int]]:
    rows, by_serial, by_owner = held
    while due := [row for row in rows.islice(0, GROUP) if row[0] <= now_ms]:
        for row in due:
            rows.remove(by_serial.pop(row[1]))
            serials = by_owner[row[2]]
            serials.remove(row[1])
            if not serials:
                del by_owner[row[2]]
        yield [row[1] for row in due]


def _arm_table(dues: list[int]) -> sqlite3.Connection:
    table = sqlite3.connect(":memory:", isolation_level=None)
    table.execute("CREATE TABLE timer (serial INTEGER PRIMARY KEY, owner INT, part INT, timer INT, due_ms INT)")
    table.execute("BEGIN")
    rows = ((serial, serial - 1, PART, TIMER, due_ms) for serial, due_ms in enumerate(dues, 1))
    table.executemany("INSERT INTO timer VALUES (?, ?, ?, ?, ?)", rows)
    table.execute("CREATE INDEX by_due ON timer (due_ms, serial)")
    table.execute("CREATE INDEX by_owner ON timer (owner, part)")
    table.execute("COMMIT")
    return table


def _fire_table(table: sqlite3.Connection, now_ms: int) -> Iterator[list[int]]:
    asked = "SELECT serial, owner, part, timer, due_ms FROM timer WHERE due_ms <= ? ORDER BY due_ms, serial LIMIT ?"
    while due := table.execute(asked, (now_ms, GROUP)).fetchall():
        table.execute("BEGIN")
        table.executemany("DELETE FROM timer WHERE serial = ?", [row[:1] for row in due])
        table.execute("COMMIT")
        yield [row[0] for row in due]


SCHEDULERS = (
    Scheduler("each", _arm, _fire_each),
    Scheduler("batched", _arm, _fire_batched),
    Scheduler("heapq", _arm_heap, _fire_heap),
    Scheduler("sortedcontainers", _arm_sorted, _fire_sorted),
    Scheduler("sqlite", _arm_table, _fire_table),
)


def _beside(dues: np.ndarray) -> dict[str, object]:
    """What else is asked of pending timers, by CPU time."""
    count, timers, listed = len(dues), Timers(), dues.tolist()
    start = time.process_time()
    for owner, due_ms in enumerate(listed):
        timers.arm(owner, PART, TIMER, due_ms)
    armed_s = time.process_time() - start
    start = time.process_time()
    at_once = _arm(listed)
    at_once_s = time.process_time() - start
    assert at_once.digest() == timers.digest()
    asked, start = 100_000, time.process_time()
    for _ in range(asked):
        timers.due(-1, GROUP)
    idle_s = time.process_time() - start
    start = time.process_time()
    dumped = timers.dump()
    again = Timers()
    again.load(dumped)
    loaded_s = time.process_time() - start
    assert again.digest() == timers.digest()
    bytes_each = round(timers.nbytes / count, 1)
    start = time.process_time()
    for owner in range(count):
        timers.cancel(owner, PART)
    cancelled_s = time.process_time() - start
    return {
        "armed_per_cpu_s": round(count / armed_s), "armed_at_once_per_cpu_s": round(count / at_once_s),
        "cancelled_per_cpu_s": round(count / cancelled_s), "idle_ns": round(idle_s / asked * 1e9),
        "dumped_and_loaded_cpu_s": round(loaded_s, 2), "bytes_each": bytes_each,
    }  # fmt: skip
