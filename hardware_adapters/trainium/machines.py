"""The cores that kernels are timed for: machines.yaml, checked when it is read."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

FILE = Path(__file__).with_name("machines.yaml")
DEFAULT = "trn2"
# Engine of this target -> machine.
ENGINES = {"nkisim": "trn2", "nkisim-trn1": "trn1", "nkisim-trn3": "trn3"}
PE_EDGE = 128


class Machine(BaseModel):
    """Field by field what machines.yaml explains."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    generation: int
    clocks_ghz: dict[str, float]
    exponentials_per_cycle: dict[str, float]
    sbuf_bytes: int = Field(gt=0)
    psum_bytes: int = Field(gt=0)
    dma_engines: int = Field(gt=0)
    dma_rate: float = Field(gt=0)
    dma_latency_ns: float
    dma_run_overhead_bytes: int
    dma_run_min_bytes: int
    result_latency_cycles: float
    access_cycles: float
    shared_port: tuple[str, ...]

    @property
    def job(self) -> dict[str, Any]:
        """As the simulator takes it."""
        return self.model_dump(mode="json", exclude={"exponentials_per_cycle"})

    def macs_per_ns(self, dtype: str) -> float:
        """Peak of the Tensor engine."""
        return PE_EDGE * PE_EDGE * self.clocks_ghz["pe"] / (4 if dtype == "float32" else 1)

    @property
    def exponentials_per_ns(self) -> float:
        """Of a partition, by all engines that can make them; of those that share a port one at a time."""
        rates = {engine: count * self.clocks_ghz[engine] for engine, count in self.exponentials_per_cycle.items()}
        apart = sum(rate for engine, rate in rates.items() if engine not in self.shared_port)
        return apart + max((rates.get(engine, 0.0) for engine in self.shared_port), default=0.0)


@lru_cache
def machines() -> dict[str, Machine]:
    data = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {name: Machine.model_validate(fields) for name, fields in data.items()}
