"""The devices that kernels are timed for: machines.yaml, or a file of the user's own in the same form."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..base import EnvironmentLackError

FILE = Path(__file__).with_name("machines.yaml")
REFERENCE = "l40s"
# A name of machines.yaml, or a file with one device's fields in the same form.
VARIABLE = "AUTOCOMP_NVIDIA_DEVICE"
WARP = 32
SECTOR_BYTES = 32


class Machine(BaseModel):
    """Field by field what machines.yaml explains; limits without a number there are the same on all devices."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    compute_capability: str = Field(pattern=r"^\d+\.\d$")
    sms: int = Field(gt=0)
    clock_ghz: float = Field(gt=0)
    fp32_lanes: int = Field(gt=0)
    tf32_tflops: float = Field(gt=0)
    dram_rate: float = Field(gt=0)
    dram_efficiency: float = Field(gt=0, le=1)
    l2_bytes: int = Field(gt=0)
    l2_rate: float = Field(gt=0)
    l1_bytes: int = Field(gt=0)
    lsu_bytes_per_cycle: int = Field(gt=0)
    lsu_lanes: int = Field(gt=0, le=WARP)
    l2_latency_cycles: float = Field(gt=0)
    dram_latency_cycles: float = Field(gt=0)
    launch_ns: float = Field(ge=0)
    registers: int = Field(gt=0)
    warps: int = Field(gt=0)
    blocks: int = Field(gt=0)
    shared_bytes: int = Field(gt=0)
    shared_bytes_per_block: int = Field(gt=0)
    threads_per_block: int = 1024
    registers_per_thread: int = 255
    register_unit: int = 256  # registers are given to a warp in such portions
    warp_unit: int = 4  # and warps to the four parts of an SM
    shared_unit: int = 128
    shared_reserved: int = 1024  # per block, taken by the system

    @property
    def architecture(self) -> str:
        """As nvcc names it, e.g. sm_89."""
        return "sm_" + self.compute_capability.replace(".", "")

    @property
    def fp32_flops_per_ns(self) -> float:
        """Peak of fused multiply-adds, two operations each."""
        return 2 * self.sms * self.fp32_lanes * self.clock_ghz

    @property
    def tf32_flops_per_ns(self) -> float:
        return 1000 * self.tf32_tflops


@lru_cache
def machines() -> dict[str, Machine]:
    data = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {name: Machine.model_validate(fields) for name, fields in data.items()}


def machine() -> Machine:
    """The device that AUTOCOMP_NVIDIA_DEVICE names, the reference device without it. Raises EnvironmentLackError."""
    named = os.environ.get(VARIABLE) or REFERENCE
    return machines()[named] if named in machines() else _own(named)


def _own(named: str) -> Machine:
    try:
        return Machine.model_validate(yaml.safe_load(Path(named).expanduser().read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise EnvironmentLackError(
            f"{VARIABLE}={named!r} is none of {', '.join(machines())}, and no file with the fields of a device: "
            f"{str(error).splitlines()[0]}"
        ) from error
