"""A Ray cluster of two simulated nodes on this machine, one CPU each, for the tests of a module."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

os.environ.update(  # Ray reads them when it is imported: this machine alone, on the loopback address.
    RAY_USAGE_STATS_ENABLED="0", RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0", RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0"
)

NODE = {"num_cpus": 1, "object_store_memory": 100_000_000, "include_dashboard": False, "node_ip_address": "127.0.0.1"}


@contextmanager
def two_nodes() -> Iterator[Any]:
    """The cluster; this process has not joined it."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args=dict(NODE))
    try:
        cluster.add_node(**NODE)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()
