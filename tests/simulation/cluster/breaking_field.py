"""Machines in this process that break as a seed says: before a call, or after it, when only the answer is lost."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from quanheng.cluster.field import Lost
from quanheng.cluster.partition import Partition, Spec
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.records import EVENT, NO_CAUSE, NONE_16, encode_header
from quanheng.testing.slow_features import Event


class LocalHold:
    """A partition of this process. Its machine may be gone."""

    def __init__(self, field: BreakingField, spec: Spec, number: int, node: str) -> None:
        self.field, self.number, self.node = field, number, node
        self.partition: Partition | None = Partition(spec, number)
        self.asked: list[str] = []

    def ask(self, what: str, *arguments: Any) -> Any:
        field, partition = self.field, self.partition
        self.asked.append(what)
        field.shift()
        if partition is None or self.node not in field.alive:
            return Lost("the machine is gone")
        if field.rng.random() < field.breaks:
            field.broken += 1
            self.kill()
            return Lost("broke before the call")
        answer = getattr(partition, what)(*arguments)
        if what in ("take", "open", "follow") and field.rng.random() < field.breaks:
            field.broken += 1
            self.kill()
            return Lost("broke before the answer")
        return answer

    def kill(self) -> None:
        if self.partition is not None:
            self.partition.close()
        self.partition = None


class BreakingField:
    """breaks : probability of each call that its partition breaks
    shifts : probability of each call that before it nodes have gone or come, between two rounds of a group as well
    """

    def __init__(self, seed: int, nodes: Sequence[str], breaks: float = 0.0, shifts: float = 0.0) -> None:
        self.shifts = shifts
        self.rng, self.alive, self.breaks, self.broken = random.Random(seed), list(nodes), breaks, 0
        self.holds: list[LocalHold] = []

    def shift(self) -> None:
        if self.shifts and self.rng.random() < self.shifts:
            self.alive = self.rng.choice([["a"], ["b"], ["a", "b"], ["a", "b", "c"]])

    def nodes(self) -> Sequence[str]:
        return sorted(self.alive)

    def start(self, spec: Spec, number: int, node: str) -> LocalHold:
        self.holds.append(LocalHold(self, spec, number, node))
        return self.holds[-1]

    def answers(self, tickets: Sequence[Any]) -> list[Any]:
        return list(tickets)


def append_events(log: Log, events: Sequence[Event]) -> None:
    """One group of events as a durable batch."""
    records = []
    for event in events:
        keys = [np.array(key, np.uint64).tobytes() for key in event.keys]
        header = encode_header(
            EVENT, event.code, event.time_ms, 0, NO_CAUSE, NONE_16, NONE_16, NONE_16, keys, event.numbers, 0, False
        )
        records.append(header)
    log.append(records, 0)
