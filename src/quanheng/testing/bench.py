"""What a bench function returns, and small helpers to measure fairly on a noisy machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple


class Measured(NamedTuple):
    """One bench result before the runner adds goal, machine and date.

    value : the figure of ours, in `unit`
    peers : the figure of each peer, same unit, measured in the same run
    extra : further figures worth keeping (CPU seconds, latencies, what was checked)
    """

    value: float
    unit: str
    peers: dict[str, float] = {}
    extra: dict[str, object] = {}


def median_seconds(call: Callable[[], object], repeats: int = 5) -> float:
    """Median wall-clock seconds of `repeats` calls."""
    return statistics.median(_seconds(call) for _ in range(repeats))


def interleaved_seconds(calls: dict[str, Callable[[], object]], repeats: int = 5) -> dict[str, float]:
    """Median seconds of each call, the calls taking turns so that noise hits all alike."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            taken[name].append(_seconds(call))
    return {name: statistics.median(values) for name, values in taken.items()}


def looped(call: Callable[[Any], object], given: Iterable[object]) -> Callable[[], object]:
    """A call for each of `given`, its results dropped at once."""

    def loop() -> None:
        for one in given:
            call(one)

    return loop


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
