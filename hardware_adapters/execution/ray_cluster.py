"""The Ray cluster as this process sees it: connecting to it, and which of its nodes could do a job."""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from ..errors import EngineFailure, EnvironmentLackError, UsageError
from .needs import Needs

if TYPE_CHECKING:
    from collections.abc import Mapping

INSTALL = "pip install 'autocomp-mcp[ray]'"
FRESH_S = 2.0  # what is known of the nodes may be so old
REACHES_WITHIN_S = 10.0
NAMESPACE = "autocomp-mcp"


class Cluster:
    """Connects when first asked for; all methods block for as long as the cluster takes to answer. Several threads may
    ask."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._lock = threading.Lock()
        self._nodes: list[Mapping[str, float]] = []
        self._looked = float("-inf")

    def connect(self) -> Any:
        """The module `ray`, connected. Raises EnvironmentLackError, UsageError."""
        try:
            import ray
        except ImportError as error:
            raise EnvironmentLackError(f"the executor 'ray' needs the extra 'ray': {INSTALL}") from error
        with self._lock:
            if not ray.is_initialized():
                self._init(ray)
        return ray

    def _init(self, ray: Any) -> None:
        if self.address.startswith("ray://"):
            raise UsageError(
                f"--ray-address {self.address!r}: Ray's client protocol hands no results over before a task's end; "
                "start this program on a node of the cluster (`ray start --address=HEAD:6379 --num-cpus=0` makes this "
                "machine one that runs nothing) and use --ray-address auto"
            )
        self._reach()
        logging.getLogger("ray").setLevel(logging.ERROR)
        # Nothing of Ray's may get onto stdout, which can belong to a protocol, nor replace our logging. What a node
        # says of a worker that died Ray prints there, whatever it is told; this is the switch that its debugger uses.
        ray._private.worker._worker_logs_enabled = False
        try:
            ray.init(
                address=self.address, namespace=NAMESPACE, log_to_driver=False, configure_logging=False,
                logging_level=logging.ERROR,
            )  # fmt: skip
        except Exception as error:  # ConnectionError, RuntimeError, ValueError: whatever it is, there is no cluster
            raise self._none(error) from error

    def _reach(self) -> None:
        """See that somebody listens at an address: Ray itself would go on trying for many minutes. Raises
        EnvironmentLackError."""
        host, colon, port = self.address.rpartition(":")
        if not colon or not port.isdecimal():
            return  # auto, local: Ray looks at this machine
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=REACHES_WITHIN_S).close()
        except (OSError, OverflowError) as error:
            raise self._none(error) from error

    def _none(self, error: Exception) -> EnvironmentLackError:
        said = str(error).strip().splitlines()
        return EnvironmentLackError(
            f"no Ray cluster at {self.address!r} ({said[0] if said else type(error).__name__}): start one "
            "(`ray start --head` on one machine, `ray start --address=HEAD:6379` on the others), or leave "
            "--executor ray out"
        )

    def nodes(self) -> list[Mapping[str, float]]:
        """What each living node has in all. Raises EnvironmentLackError, EngineFailure."""
        if time.monotonic() - self._looked > FRESH_S:
            ray = self.connect()
            try:
                self._nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            except Exception as error:  # gRPC's own, and Ray's: the head does not answer
                raise EngineFailure(f"the Ray cluster at {self.address!r} does not answer: {error}") from error
            self._looked = time.monotonic()
        return self._nodes

    @property
    def known_nodes(self) -> list[Mapping[str, float]] | None:
        """Without asking; None where what is known is too old."""
        return self._nodes if time.monotonic() - self._looked <= FRESH_S else None

    def processors(self) -> int:
        """As far as is known already."""
        return int(sum(node.get("CPU", 0.0) for node in self._nodes))


def lacking(needs: Needs, nodes: list[Mapping[str, float]]) -> str | None:
    """None where a node could do it; else what is missing, by the names of the resources."""
    amounts = needs.amounts
    if any(all(node.get(name, 0.0) >= amount for name, amount in amounts.items()) for node in nodes):
        return None
    if not nodes:
        return "it has no living node"
    nowhere = [name for name in amounts if max(node.get(name, 0.0) for node in nodes) < amounts[name]]
    if not nowhere:
        together = " and ".join(f"{name} ({amount:g})" for name, amount in amounts.items())
        return f"no single node of it has {together}"
    return "no node of it has " + " or ".join(f"the resource {name!r} ({amounts[name]:g} of it)" for name in nowhere)
