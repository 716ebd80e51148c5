"""The GPU of this machine: whether there is one, and its properties as the estimates and bounds need them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...toolchain import version_of
from ..machines import Machine, machines

# Per SM and cycle: float32 lanes, and dense TF32 operations (7.x has none: half of its rate for halves); the CUDA
# programming guide's table of arithmetic throughput, and peak rates of the data sheets divided by SMs and boost clock.
_LANES = {"7.0": 64, "7.5": 64, "8.0": 64}
_TF32 = {
    "7.0": 512, "7.5": 512, "8.0": 1024, "8.6": 512, "8.7": 1024, "8.9": 512, "9.0": 2048, "10.0": 4096, "10.3": 4096,
    "12.0": 512,
}  # fmt: skip
LANES, TF32 = 128, 4096  # of devices that are not known yet: nothing is refused as too fast by mistake
# CUDA counts devices as the driver's tool does, not by speed.
ORDER = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
VISIBLE = "CUDA_VISIBLE_DEVICES"
_NAMED = re.compile(r"\d+|GPU-[0-9a-fA-F-]{36}")
QUERY = ("--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader")


class Gpu(NamedTuple):
    """As the driver's own tool names it."""

    name: str
    compute_capability: str
    driver: str

    @property
    def architecture(self) -> str:
        return "sm_" + self.compute_capability.replace(".", "")


class NoGpuError(Exception):
    """Says what was looked for."""


def gpu(environment: Mapping[str, str] | None = None) -> Gpu:
    """The one that a program runs on which takes the first that it sees: the first of CUDA_VISIBLE_DEVICES, or of all.
    Raises NoGpuError."""
    path = (os.environ if environment is None else environment).get("PATH")
    smi = shutil.which("nvidia-smi", path=path)
    if smi is None:
        raise NoGpuError("no NVIDIA GPU: nvidia-smi, which comes with the driver, is not on PATH")
    named = os.environ.get(VISIBLE, "").partition(",")[0].strip()
    line = version_of(Path(smi), *QUERY, *(("-i", named) if _NAMED.fullmatch(named) else ()))
    fields = [field.strip() for field in (line or "").split(",")]
    if len(fields) != 3 or not all(fields) or not fields[1].replace(".", "").isdigit():
        raise NoGpuError(f"no NVIDIA GPU: nvidia-smi says {line or 'nothing'!r}")
    return Gpu(*fields)


def machine_of(device: Mapping[str, Any]) -> Machine:
    """From what the runner asks the driver for; what it cannot tell is taken from the most similar device known."""
    capability = f"{device['major']}.{device['minor']}"
    known = list(machines().values())
    like = next((m for m in known if m.compute_capability == capability), known[0])
    clock = (device["clock_khz"] or like.clock_ghz * 1e6) / 1e6
    sms = device["multiprocessors"]
    rate = 2 * device["memory_khz"] * device["memory_bits"] / 8 / 1e6  # two transfers a clock
    return like.model_copy(
        update={
            "title": device["name"],
            "compute_capability": capability,
            "sms": sms,
            "clock_ghz": clock,
            "fp32_lanes": _LANES.get(capability, LANES),
            "tf32_tflops": sms * clock * _TF32.get(capability, TF32) / 1000,
            "dram_rate": rate or like.dram_rate,
            "l2_bytes": device["l2_bytes"] or like.l2_bytes,
            "registers": device["registers_per_multiprocessor"],
            "warps": device["threads_per_multiprocessor"] // 32,
            "blocks": device["blocks_per_multiprocessor"],
            "shared_bytes": device["shared_per_multiprocessor"],
            "shared_bytes_per_block": device["shared_per_block"],
        }
    )
