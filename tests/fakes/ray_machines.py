"""Machines of a Ray cluster, all of them this one: nodes with what a test gives them, and a home of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
STORE_BYTES = 100 << 20


@contextmanager
def ray_machines(home: Path, *nodes: dict[str, Any], **environment: str) -> Iterator[Any]:
    """A cluster with a head that runs nothing, and these nodes (`num_cpus`, `num_gpus`, `resources`); its `address` is
    a driver's. Workers keep what they build in `home`. At the end the driver in this process is disconnected."""
    import ray
    from ray.cluster_utils import Cluster

    given = {**ENVIRONMENT, "AUTOCOMP_HOME": str(home), **environment}
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)  # nodes get it from whoever starts them
    cluster = Cluster()
    try:
        cluster.add_node(num_cpus=0, include_dashboard=False, object_store_memory=STORE_BYTES)
        for node in nodes:
            cluster.add_node(object_store_memory=STORE_BYTES, **node)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()
