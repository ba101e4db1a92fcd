"""features.online.*: one event from Python, twelve handbook aggregates or 120 mixed folds."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from bench.features_backfill import DAY_MS, plan
from bench.features_mixed import mixed
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureState
from quanheng.testing.bench import Measured


class Payments(NamedTuple):
    """Synthetic payments of 5,000 customers at 5,000 terminals, in order of time; as the kernel takes them."""

    types: np.ndarray
    times: np.ndarray
    keys: np.ndarray
    numbers: np.ndarray

    def part(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The arrays of some of them."""
        return self.types[first:last], self.times[first:last], self.keys[first:last], self.numbers[first:last]


def payments(count: int, keys_n: int = 5_000, days: int = 40) -> Payments:
    """So many of them, the same each time."""
    rng = np.random.default_rng(7)
    times = np.sort(rng.integers(0, days * DAY_MS, count))
    keys = rng.integers(1, keys_n, (count, 2, 2)).astype(np.uint64)
    keys[:, :, 1] = 1
    keys[:, 1, 0] += np.uint64(1_000_000_000)
    numbers = np.stack([rng.integers(100, 100_000, count), rng.integers(0, 2, count)], axis=1)
    return Payments(np.ones(count, dtype=np.int32), times, keys, numbers)


def asked_one_by_one(state: FeatureState, given: Payments, first: int) -> np.ndarray:
    """Microseconds of each event from number `first` on, through `one`."""
    count = len(given.times)
    events = [
        (int(given.times[row]), given.keys[row].tobytes(), tuple(given.numbers[row].tolist()))
        for row in range(first, count)
    ]
    taken = np.empty(count - first)
    one, clock = state.one, time.perf_counter_ns
    for place, (at, key, number) in enumerate(events):
        start = clock()
        one(1, at, key, number)
        taken[place] = clock() - start
    return taken[min(1000, len(taken) // 10) :] / 1000


def _measure(folds: Plan, quick: bool) -> tuple[FeatureState, Payments, np.ndarray]:
    count = 100_000 if quick else 400_000
    given = payments(count + 20_000)
    state = FeatureState(folds)
    state.run(*given.part(0, count), read=False)
    return state, given, asked_one_by_one(state, given, count)


def run(quick: bool = False) -> Measured:
    """Median microseconds of one event on a state warmed with 40 days of synthetic payments (5,000 customers)."""
    state, given, taken = _measure(plan(), quick)
    arrays = given.part(len(given.times) - 1, len(given.times))
    by_run = np.empty(5_000)
    for place in range(len(by_run)):
        start = time.perf_counter_ns()
        state.run(*arrays)
        by_run[place] = time.perf_counter_ns() - start
    extra: dict[str, object] = {
        "p99_us": _at(taken, 99),
        "run_with_arrays_p50_us": round(float(np.median(by_run)) / 1000, 3),
        "keys": state.keys,
        "bytes_per_key": round(state.used_bytes / sum(state.keys.values())),
    }
    return Measured(_at(taken, 50), "us", {}, extra)


def p99(quick: bool = False) -> Measured:
    """The same, 99th percentile."""
    return _percentile(plan(), quick, 99)


def mixed_p50(quick: bool = False) -> Measured:
    """120 mixed folds, median."""
    return _percentile(mixed(), quick, 50)


def mixed_p99(quick: bool = False) -> Measured:
    """120 mixed folds, 99th percentile."""
    return _percentile(mixed(), quick, 99)


def _percentile(folds: Plan, quick: bool, percent: float) -> Measured:
    _, _, taken = _measure(folds, quick)
    extra: dict[str, object] = {f"p{name}_us": _at(taken, name) for name in (50, 99, 99.9)}
    extra |= {"max_us": _at(taken, 100), "folds": len(folds.folds), "kinds": len({one.fold for one in folds.folds})}
    return Measured(_at(taken, percent), "us", {}, extra)


def _at(taken: np.ndarray, percent: float) -> float:
    return round(float(np.percentile(taken, percent)), 3)
