"""features.online.p50: one event, the twelve handbook aggregates, called from Python."""

from __future__ import annotations

import time

import numpy as np

from bench.features_backfill import DAY_MS, plan
from quanheng.features.state import FeatureState
from quanheng.testing.bench import Measured


def run(quick: bool = False) -> Measured:
    """Median microseconds of one event on a state warmed with 40 days of synthetic payments (5,000 customers)."""
    rng = np.random.default_rng(7)
    count, asked = (100_000 if quick else 400_000), 20_000
    times = np.sort(rng.integers(0, 40 * DAY_MS, count + asked))
    keys = rng.integers(1, 5_000, (count + asked, 2, 2)).astype(np.uint64)
    keys[:, :, 1] = 1
    keys[:, 1, 0] += np.uint64(1_000_000)
    numbers = np.stack([rng.integers(100, 100_000, count + asked), rng.integers(0, 2, count + asked)], axis=1)
    state = FeatureState(plan())
    state.run(np.ones(count, dtype=np.int32), times[:count], keys[:count], numbers[:count], read=False)
    events = [
        (1, int(times[row]), keys[row].tobytes(), tuple(numbers[row].tolist())) for row in range(count, count + asked)
    ]
    taken = np.empty(asked)
    one, clock = state.one, time.perf_counter_ns
    for place, (code, at, key, number) in enumerate(events):
        start = clock()
        one(code, at, key, number)
        taken[place] = clock() - start
    taken = taken[1000:] / 1000
    arrays = (np.ones(1, dtype=np.int32), times[-1:], keys[-1:], numbers[-1:])
    by_run = np.empty(5_000)
    for place in range(len(by_run)):
        start = clock()
        state.run(*arrays)
        by_run[place] = clock() - start
    extra = {
        "p99_us": round(float(np.percentile(taken, 99)), 3),
        "run_with_arrays_p50_us": round(float(np.median(by_run)) / 1000, 3),
        "keys": state.keys,
        "bytes_per_key": round(state.used_bytes / sum(state.keys.values())),
    }
    return Measured(round(float(np.median(taken)), 3), "us", {}, extra)
