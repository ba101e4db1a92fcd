"""The machines of a Ray cluster as a field of partitions: joining it, calls with a time limit, what counts as lost."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any

from quanheng.cluster.field import Lost
from quanheng.cluster.partition import Spec
from quanheng.kernel.errors import ConfigurationError, MissingExtra

LOCAL = "local"
OBJECT_STORE_BYTES = 200_000_000
"""Shared memory of a local cluster: groups in flight, nothing that stays."""
CONNECT_S_MAX = 5.0
CALL_S_MAX = 60.0
"""How long a partition may take for a call before it counts as lost."""
OPEN_S_MAX = 3_600.0
"""How long it may take to come up: it folds the log behind its snapshot."""
_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Ray puts an outer address in the place of 127.0.0.1 unless it is told that the cluster is of this machine alone."""


def join(address: str) -> None:
    """Join the Ray cluster at `address` (`HOST:PORT`), or start one on this machine (`local`), on the loopback address.

    Raises
    ------
    MissingExtra : Ray is not installed
    ConfigurationError : there is no cluster at that address
    """
    alone = address == LOCAL or address.startswith(("127.0.0.1:", "localhost:"))
    for name, value in {**_ENVIRONMENT, **(_LOOPBACK if alone else {})}.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise MissingExtra("ray", "cluster", "spreading over machines (--cluster)") from None
    if ray.is_initialized():
        return
    common = {"log_to_driver": False, "logging_level": "error", "namespace": "quanheng"}
    if address == LOCAL:
        ray.init(
            address=LOCAL, include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES,
            _node_ip_address="127.0.0.1", **common,
        )  # fmt: skip
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigurationError(
            "this is no address of a Ray cluster", where="--cluster", found=address, allowed="HOST:PORT, or local",
            cure="Give the address that `ray start --head` told.",
        )  # fmt: skip
    try:
        socket.create_connection((host, int(port)), CONNECT_S_MAX).close()  # Ray itself would try for minutes.
        ray.init(address=address, **common)
    except (OSError, RuntimeError) as error:
        raise ConfigurationError(
            "no Ray cluster answers at this address", where="--cluster", found=f"{address} ({type(error).__name__})",
            allowed="a cluster of the same Ray and Python versions",
            cure="Start one with `ray start --head --port PORT`, or say `--cluster local`.",
        ) from error  # fmt: skip


def leave() -> None:
    """Leave the cluster; one that `join` started is stopped."""
    import ray

    ray.shutdown()


class RayHold:
    """A partition in an actor."""

    def __init__(self, actor: Any, node: str) -> None:
        self.actor, self._asked = actor, node
        self._place = actor.place.remote()
        self._node = ""

    @property
    def node(self) -> str:
        """Where it runs; where it was meant to run while it is coming up or gone."""
        if not self._node:
            import ray

            ready, _ = ray.wait([self._place], timeout=0)
            if ready:
                found = answer(self._place, 1.0)
                self._node = "" if isinstance(found, Lost) else str(found)
        return self._node or self._asked

    def ask(self, what: str, *arguments: Any) -> Any:
        """Call the actor."""
        seconds = OPEN_S_MAX if what in ("open", "follow") else CALL_S_MAX
        return getattr(self.actor, what).remote(*arguments), seconds

    def kill(self) -> None:
        """End the actor now."""
        import ray

        ray.kill(self.actor)


class RayField:
    """Partitions on the live nodes of the cluster this process has joined."""

    def nodes(self) -> Sequence[str]:
        """Ids of the nodes that are alive, in a fixed order."""
        import ray

        return sorted(str(node["NodeID"]) for node in ray.nodes() if node["Alive"])

    def start(self, spec: Spec, number: int, node: str) -> RayHold:
        """A new actor on that node."""
        from quanheng.cluster.ray_actors import partition_actor

        return RayHold(partition_actor(node, spec, number), node)

    def answers(self, tickets: Sequence[tuple[Any, float]]) -> list[Any]:
        """What the actors answered."""
        return [answer(reference, seconds) for reference, seconds in tickets]


def answer(reference: Any, seconds: float) -> Any:
    """What a call answered; `Lost` where the actor or its machine is gone, or silent for so long."""
    import ray
    from ray import exceptions

    gone = (
        exceptions.RayActorError, exceptions.GetTimeoutError, exceptions.WorkerCrashedError,
        exceptions.ObjectLostError, exceptions.NodeDiedError, exceptions.RaySystemError,
    )  # fmt: skip
    try:
        return ray.get(reference, timeout=seconds)
    except exceptions.RayTaskError as error:
        raise error.as_instanceof_cause() from None  # What the partition raised.
    except gone as error:
        return Lost(type(error).__name__)
