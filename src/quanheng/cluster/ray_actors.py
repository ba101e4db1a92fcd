"""What runs on the machines of a Ray cluster: an actor around a partition, and one that decides. Imports Ray."""

from __future__ import annotations

import os
from typing import Any

import ray

from quanheng.cluster.deciding import Asked, Decided, Decider
from quanheng.cluster.partition import Answer, Figures, Partition, Spec, Take


@ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0)
class PartitionActor:
    """One partition. Calls are carried out one after another, in the order the sequencer made them."""

    def __init__(self, spec: Spec, number: int) -> None:
        self._partition = Partition(spec, number)

    def place(self) -> str:
        """The machine it runs on."""
        return str(ray.get_runtime_context().get_node_id())

    def pid(self) -> int:
        """Its process, on that machine."""
        return os.getpid()

    def open(self) -> int:
        """See `Partition.open`."""
        return self._partition.open()

    def follow(self, upto: int | None = None) -> int:
        """See `Partition.follow`."""
        return self._partition.follow(upto)

    def take(self, asked: Take) -> Answer:
        """See `Partition.take`."""
        return self._partition.take(asked)

    def peek(self, asked: Take) -> Answer:
        """See `Partition.peek`."""
        return self._partition.peek(asked)

    def snapshot(self) -> bool:
        """See `Partition.snapshot`."""
        return self._partition.snapshot()

    def written(self) -> int:
        """See `Partition.written`."""
        return self._partition.written()

    def figures(self, digest: bool = False) -> Figures:
        """See `Partition.figures`."""
        return self._partition.figures(digest)


@ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0)
class DeciderActor:
    """Judges events. It keeps nothing but compiled programs."""

    def __init__(self) -> None:
        self._decider = Decider()

    def prepare(self, files: dict[str, dict[str, bytes]], activated: bytes, activation: int) -> int:
        """Compile what an activation put in force; its offset."""
        self._decider.prepare(files, activated, activation)
        return activation

    def judge(self, files: dict[str, dict[str, bytes]], asked: Asked) -> Decided:
        """See `Decider.judge`."""
        return self._decider.judge(files, asked)

    def pid(self) -> int:
        """Its process, on its machine."""
        return os.getpid()


def partition_actor(node: str, spec: Spec, number: int) -> Any:
    """A partition's actor on a machine, on another if that one is gone."""
    return PartitionActor.options(scheduling_strategy=_on(node)).remote(spec, number)  # type: ignore[attr-defined]


def decider_actor(node: str) -> Any:
    """A deciding actor on a machine, on another if that one is gone."""
    return DeciderActor.options(scheduling_strategy=_on(node)).remote()  # type: ignore[attr-defined]


def _on(node: str) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node_id=node, soft=True)
