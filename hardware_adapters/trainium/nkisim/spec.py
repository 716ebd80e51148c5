"""A machine's numbers; they come from machines.yaml through the job."""

from __future__ import annotations

from typing import Any, NamedTuple


class Spec(NamedTuple):
    """Sizes in bytes (memories: of each partition), clocks in GHz, rates in bytes per ns."""

    title: str
    generation: int
    clocks_ghz: dict[str, float]
    sbuf_bytes: int
    psum_bytes: int
    dma_engines: int
    dma_rate: float
    dma_latency_ns: float
    dma_run_overhead_bytes: int
    dma_run_min_bytes: int
    result_latency_cycles: float
    access_cycles: float
    shared_port: tuple[str, ...]


def spec_of(data: dict[str, Any]) -> Spec:
    return Spec(**{**data, "shared_port": tuple(data["shared_port"])})
