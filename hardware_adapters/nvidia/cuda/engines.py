"""The engines for a GPU: whether this machine has what they need, and how far they are to be believed."""

from __future__ import annotations

import shutil
from typing import NamedTuple

from ...base import EngineStatus, EnvironmentLackError
from ..nvcc import only
from .device import Gpu, NoGpuError, gpu
from .toolkit import Toolkit, toolkit

ENGINE, SANITIZER = "cuda", "cuda-sanitizer"
SANITIZE = "compute-sanitizer"
PATIENCE_S = 300.0
# Raised whenever the runner's protocol changes what a result means.
VERSION = "3"
TRUST = {
    ENGINE: "Measured on this machine's GPU by events, caches emptied before each call; median and "
    "interquartile range. This project has not run it on a GPU yet.",
    SANITIZER: "Correctness on small inputs under NVIDIA's compute-sanitizer: memory errors, races, misused barriers. "
    "No latency. This project has not run it on a GPU yet.",
}


class Setup(NamedTuple):
    """What the engine works with on this machine."""

    kit: Toolkit
    gpu: Gpu

    @property
    def title(self) -> str:
        return f"{self.gpu.name}, driver {self.gpu.driver}, {self.kit.nvcc.title}"


def setup(path: str | None = None) -> Setup:
    """`path` replaces PATH. Raises EnvironmentLackError."""
    environment = only(path)
    try:
        return Setup(toolkit(environment), gpu(environment))
    except NoGpuError as error:
        raise EnvironmentLackError(
            f"{error}. Run it on a machine with a GPU and the CUDA toolkit; the engine cpu works everywhere"
        ) from error


def statuses(path: str | None = None) -> list[EngineStatus]:
    try:
        found = setup(path)
        lacks, version = None, f"{VERSION} {found.title}"
    except EnvironmentLackError as error:
        found, lacks, version = None, str(error), None
    sanitizer_lacks = lacks or (None if shutil.which(SANITIZE, path=path) else f"{SANITIZE} is not on PATH")
    reason = found.title if found else ""
    return [
        EngineStatus(
            name=ENGINE, kind="hardware", available=lacks is None, reason=lacks or reason, version=version,
            source="measured", trust=TRUST[ENGINE], patience_s=PATIENCE_S, in_turns=True,
        ),
        EngineStatus(
            name=SANITIZER, kind="hardware", available=sanitizer_lacks is None, reason=sanitizer_lacks or reason,
            version=version, source="measured", trust=TRUST[SANITIZER], patience_s=PATIENCE_S, profiles=False,
            ranks=False,
        ),
    ]  # fmt: skip


def configuration(path: str | None) -> str:
    """What decides results besides the version: the machine itself."""
    try:
        return f"{VERSION} {setup(path).title}"
    except EnvironmentLackError as error:
        return str(error)
