"""features.hotkey, .memory.perkey, .recover, .backfill.wide: what live state costs where it hurts."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.features_backfill import DAY_MS, plan
from bench.features_mixed import mixed
from bench.features_online import Payments, asked_one_by_one, payments
from quanheng.features.bounded import BoundedState, Memory
from quanheng.features.state import FeatureState
from quanheng.testing.bench import Measured


def hotkey(quick: bool = False) -> Measured:
    """99th percentile of an event of one key that has 10 million events in its window (12 folds, all of one key).

    The events before are folded as a group; then each is timed alone, in order; then late ones, by how many rows lie
    behind their place; then the growth of the ring, which copies it.
    """
    held = 300_000 if quick else 10_000_000
    asked = 20_000 if quick else 100_000
    count = held + asked
    times = np.linspace(0, 29 * DAY_MS, count).astype(np.int64)
    given = Payments(
        np.ones(count, dtype=np.int32), times, np.ones((count, 2, 2), dtype=np.uint64),
        np.stack([np.arange(count) % 99_991 + 100, np.arange(count) % 2], axis=1),
    )  # fmt: skip
    state = FeatureState(plan_late())
    state.run(*given.part(0, held), read=False)
    taken = asked_one_by_one(state, given, held)
    extra: dict[str, object] = {"rows": held, "arena_mb": round(state.used_bytes / 2**20)}
    extra |= {f"p{name}_us": round(float(np.percentile(taken, name)), 3) for name in (50, 99.9, 99.99, 100)}
    extra["mean_us"] = round(float(taken.mean()), 3)
    key, newest = given.keys[0].tobytes(), int(times[-1])
    for behind in (10, 1_000, 100_000):
        late = []
        for _ in range(50 if behind < 100_000 else 10):
            at, start = int(times[-behind]), time.perf_counter()
            state.one(1, at, key, (500, 0))
            late.append((time.perf_counter() - start) * 1e6)
            state.one(1, newest, key, (500, 0))
        extra[f"late_{behind}_rows_us"] = round(statistics.median(late), 1)
    extra["growth_ms"] = _growth_ms(state, given, newest)
    return Measured(round(float(np.percentile(taken, 99)), 3), "us", {}, extra)


def plan_late():  # type: ignore[no-untyped-def]
    """The twelve handbook aggregates with a lateness of 30 days."""
    from quanheng.features.plan import Plan

    twelve = plan()
    return Plan.compile(twelve.layouts, twelve.folds, twelve.decide, lateness_ms=30 * DAY_MS)


def _growth_ms(state: FeatureState, given: Payments, newest: int) -> float:
    """Longest single call until the ring of the key has doubled."""
    key, longest, before = given.keys[0].tobytes(), 0.0, state.used_bytes
    while state.used_bytes < before + before // 2:
        types, times, keys, numbers = given.part(0, 4_000)
        state.run(types, np.full_like(times, newest), keys, numbers, read=False)
        start = time.perf_counter()
        state.one(1, newest, key, (500, 0))
        longest = max(longest, time.perf_counter() - start)
        if state.used_bytes > before:
            break
    return round(longest * 1000, 1)


def per_key(quick: bool = False) -> Measured:
    """Bytes per key (a customer and a terminal are two) with 10 events each: measured, and as the page computes."""
    keys_n = 2_000 if quick else 50_000
    extra: dict[str, object] = {}
    for events in (1, 10, 100):
        if quick and events == 100:
            continue
        state = FeatureState(plan())
        base = state.used_bytes
        rows = np.tile(np.arange(1, keys_n + 1), events)
        keys = np.ones((len(rows), 2, 2), dtype=np.uint64)
        keys[:, 0, 0], keys[:, 1, 0] = rows, rows
        times = np.arange(len(rows), dtype=np.int64) * (20 * DAY_MS // len(rows))
        numbers = np.stack([rows % 1000, rows % 2], axis=1).astype(np.int64)
        state.run(np.ones(len(rows), dtype=np.int32), times, keys, numbers, read=False)
        extra[f"measured_{events}"] = round((state.used_bytes - base) / (2 * keys_n))
        extra[f"computed_{events}"] = _computed(keys_n, events)
        if events == 10:
            extra |= _on_disk(state.used_bytes // 4, (np.ones(len(rows), dtype=np.int32), times, keys, numbers))
    return Measured(float(str(extra["measured_10"])), "B", {}, extra)


def _on_disk(bytes_max: int, given: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]) -> dict[str, object]:
    """The same events within a bound: keys on disk, bytes of the record of each, and how often keys were read back."""
    with tempfile.TemporaryDirectory() as folder:
        bounded = BoundedState(plan(), Memory(bytes_max, Path(folder)))
        bounded.run(*given, read=False)
        each = round(bounded.cold_bytes / bounded.cold_keys)
        return {"cold_keys": bounded.cold_keys, "cold_bytes": each, "cold_reads": bounded.returned}


def _computed(keys_n: int, events: int) -> int:
    """By the formulas of docs/reference/features.md, without the blocks that were outgrown: they serve other keys."""
    slots = 0
    for bounds in (4, 4):  # Both tables: one summed value; 4 boundaries (0, 1, 7, 30 days; 7, 8, 14, 37 days).
        slots += -(-(64 + 8 * bounds * 3) // 64) * 64 + max(4, 1 << (events - 1).bit_length()) * 8 * 2
    entries = 1 << (keys_n * 3 // 2).bit_length()
    return round(slots / 2 + 32 * entries / keys_n)


def recover(quick: bool = False) -> Measured:
    """Events a second until state stands again: the load of a dump through a snapshot file, then a tail of 10 %."""
    from quanheng.features.bounded import Here
    from quanheng.kernel.snapshot import Snapshots

    count = 100_000 if quick else 2_000_000
    given, cut = payments(count, keys_n=20_000), count * 9 // 10
    state = FeatureState(plan())
    state.run(*given.part(0, cut), read=False)
    with tempfile.TemporaryDirectory() as folder:
        snapshots = Snapshots(Path(folder))
        snapshots.write(cut, "bench", state.parts())
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
        state.run(*given.part(cut, count), read=False)
        seconds, bound = [], Memory(64 << 20, Path(folder) / "cold")
        for memory in (None, None, None, bound):
            start = time.perf_counter()
            found = snapshots.newest()
            assert found is not None
            again = Here(memory).load(plan(), {name: np.asarray(part) for name, part in found.parts.items()})
            again.run(*given.part(cut, count), read=False)
            seconds.append(time.perf_counter() - start)
            assert again.digest() == state.digest(), "the recovered state differs"
        cold = again.cold_keys if isinstance(again, BoundedState) else 0
    extra: dict[str, object] = {"snapshot_mb": round(size / 2**20, 1), "seconds": round(min(seconds[:3]), 3)}
    extra |= {"bounded_64mb_seconds": round(seconds[3], 3), "bounded_cold_keys": cold, "events": count}
    return Measured(count / statistics.median(seconds[:3]), "events/s", {}, extra)


def wide(quick: bool = False) -> Measured:
    """Events a second of a history through 120 mixed folds, every vector read."""
    count, folds = (20_000 if quick else 500_000), mixed()
    given = payments(count)
    out = np.empty((len(folds.folds), count)).T
    seconds = []
    for _ in range(1 if quick else 3):
        state, start = FeatureState(folds, 1 << 24), time.perf_counter()
        for first in range(0, count, 1 << 17):
            last = min(first + (1 << 17), count)
            state.run_floats(*given.part(first, last), out=out[first:last])
        seconds.append(time.perf_counter() - start)
    rate = count / statistics.median(seconds)
    extra: dict[str, object] = {"folds": len(folds.folds), "values_per_s": round(rate * len(folds.folds))}
    extra |= {"events": count, "kinds": sorted({one.fold for one in folds.folds})}
    return Measured(rate, "events/s", {}, extra)
