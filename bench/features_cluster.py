"""features.cluster: windows of one stream in one and in two partition actors of Ray on this machine, and recovery.

The figure is events a second with two actors; `one_actor` stands beside it. Both are on the machine of the bench, where
the sequencer needs a core too: it shows what spreading costs and gives there, not what many machines give. A partition
is then killed, and the seconds until the group that waits is answered are taken. `through_1` and `through_2` are the
figure with folds that are read through the answer of another, one and two deep: a group takes two and three rounds.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from bench.features_backfill import DAY_MS, plan
from quanheng.cluster.partition import Spec
from quanheng.cluster.ray_field import RayField, join, leave
from quanheng.cluster.spread import SpreadWindows
from quanheng.features.fold import Fold
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureState
from quanheng.kernel.log.headers import encode_headers
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.records import EVENT, NO_CAUSE
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.testing.bench import Measured

GROUP = 4_000
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def stream(count: int) -> Arrays:
    """Seeded payments of 20,000 customers at 5,000 terminals over 40 days."""
    rng = np.random.default_rng(7)
    keys = np.empty((count, 2, 2), np.uint64)
    keys[:, :, 1] = 1
    keys[:, 0, 0], keys[:, 1, 0] = rng.integers(1, 20_000, count), rng.integers(1_000_000, 1_005_000, count)
    numbers = np.stack([rng.integers(100, 100_000, count), rng.integers(0, 2, count)], axis=1)
    return np.ones(count, np.int32), np.sort(rng.integers(0, 40 * DAY_MS, count)), keys, numbers


def run(quick: bool = False) -> Measured:
    """Events a second through two partition actors, every vector read and compared with one process."""
    count = 80_000 if quick else 400_000
    arrays = stream(count)
    plans = {deep: through(deep) for deep in (0, 1, 2)}
    alone = {deep: _alone(compiled, arrays) for deep, compiled in plans.items()}
    join("local")
    try:
        taken = {}
        for deep, partitions in ((0, 1), (0, 2), (1, 2), (2, 2)):
            with tempfile.TemporaryDirectory() as folder:
                taken[deep, partitions] = _spread(Path(folder), plans[deep], arrays, alone[deep][0], partitions)
    finally:
        leave()
    rates = {one: round(count / taken_s) for one, (taken_s, _) in taken.items()}
    extra: dict[str, object] = {
        "one_actor": rates[0, 1], "scaling": round(rates[0, 2] / rates[0, 1], 2),
        "one_process": round(count / alone[0][1]), "recovery_s": round(taken[0, 2][1], 2),
        "recovered_events": count, "group_events": GROUP, "vectors_compared": len(taken) * count,
        "through_1": rates[1, 2], "through_2": rates[2, 2],
        "through_1_one_process": round(count / alone[1][1]), "through_2_one_process": round(count / alone[2][1]),
    }  # fmt: skip
    return Measured(rates[0, 2], "events/s", {}, extra)


def through(deep: int) -> Plan:
    """The twelve aggregates; and beside them what was seen at the customer's terminal before this one (`deep` 1), and
    of the customer who paid there last (2)."""
    twelve, name, days = plan(), "card.payment", 30 * DAY_MS
    here, there = ("customer_id",), ("terminal_id",)
    more = [
        [Fold("before", name, here, "last", "terminal_id", current="out")],
        [
            Fold("before_count", name, there, "count", None, days, through="before"),
            Fold("before_fraud", name, there, "mean", "is_fraud", days, through="before"),
            Fold("neighbour", name, there, "last", "customer_id", current="out", through="before"),
        ],
        [Fold("neighbour_mean", name, here, "mean", "amount_minor", days, through="neighbour")],
    ]
    folds = [fold for folds in more[: deep + 1 if deep else 0] for fold in folds]
    return Plan.compile(twelve.layouts, [*twelve.folds, *folds], twelve.decide, lateness_ms=0)


def _groups(arrays: Arrays) -> list[Arrays]:
    types, times, keys, numbers = arrays
    cuts = [slice(at, at + GROUP) for at in range(0, len(types), GROUP)]
    return [(types[cut], times[cut], keys[cut], numbers[cut]) for cut in cuts]


def _alone(compiled: Plan, arrays: Arrays) -> tuple[list[np.ndarray], float]:
    state = FeatureState(compiled)
    began_s = time.perf_counter()
    rows = [state.run(*group) for group in _groups(arrays)]
    return rows, time.perf_counter() - began_s


def _spread(
    folder: Path, compiled: Plan, arrays: Arrays, expected: list[np.ndarray], partitions: int
) -> tuple[float, float]:
    """Seconds for all groups but the last, and from the loss of a partition until the last group is answered."""
    log = Log.open(SqliteLogStore(folder / "log.db"), "bench")
    spec = Spec.of(compiled, partitions, f"sqlite:{folder / 'log.db'}", str(folder / "snapshots"))
    windows = SpreadWindows(compiled, spec, RayField(), lambda: log.head, seconds=time.perf_counter)
    groups = _groups(arrays)
    for one in windows.figures():  # Actors are up before the clock runs.
        assert one.head == 0
    windows.peek_at(0, *groups[0])
    taken_s = 0.0
    for number, group in enumerate(groups[:-1]):
        began_s = time.perf_counter()
        rows = windows.run_at(number * GROUP, *group)
        taken_s += time.perf_counter() - began_s
        assert (rows == expected[number]).all(), f"group {number} differs from one process"
        _append(log, group)
        if number == len(groups) // 2:
            windows.snapshot()
    windows.written()
    windows.slots[-1].hold.kill()
    began_s = time.perf_counter()
    rows = windows.run_at((len(groups) - 1) * GROUP, *groups[-1])
    recovery_s = time.perf_counter() - began_s
    assert (rows == expected[-1]).all()
    assert len(windows.recoveries) == 1
    windows.close()
    log.close()
    return taken_s, recovery_s


def _append(log: Log, group: Arrays) -> None:
    _, times, keys, numbers = group
    n = len(times)
    tails = np.concatenate([keys.reshape(n, -1).view(np.int64), numbers], axis=1).tobytes()
    log.append(encode_headers(EVENT, 1, times.tolist(), 0, NO_CAUSE, bytes(16 * n), b"", tails, (2, 2), [0] * n), 0)
