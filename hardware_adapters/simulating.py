"""What the embedded simulators share, whatever their target: the verdict, randomness, the disk, the timeline's file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .errors import EngineFailure, EnvironmentLackError
from .results import Diagnostic, Fault, Latency, Mismatch, Verdict

if TYPE_CHECKING:
    import numpy as np

# What elements that are not a number may come from.
LOST = "never written, or computed from such memory, or an overflow (inf - inf, inf / inf)"


class Judgement(NamedTuple):
    """What a verdict says of a kernel; the fields are those of an Evaluation."""

    verdict: Verdict
    message: str
    fault: Fault | None = None
    mismatches: tuple[Mismatch, ...] = ()
    wrong_elements: int | None = None
    latency: Latency | None = None
    warm_latency: Latency | None = None
    utilisation: float | None = None
    counters: dict[str, int | None] = {}  # noqa: RUF012 - never changed


def compile_error(first: Diagnostic) -> Judgement:
    """Of a kernel that the compiler refuses, `first` among its errors."""
    where = f"line {first.line}: " if first.line else ""
    return Judgement("compile_error", f"the kernel does not compile: {where}{first.message}")


def generator(problem_digest: str, kernel_digest: str, seed: int) -> np.random.Generator:
    """Randomness of one evaluation: no two kernels see the same data, so no result can be carried over."""
    import numpy as np

    text = f"{problem_digest} {kernel_digest} {seed}"
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))


@contextmanager
def disk_is_infrastructure() -> Iterator[None]:
    """A full disk or a folder that vanished is no kernel's fault. Raises EngineFailure."""
    try:
        yield
    except OSError as error:
        raise EngineFailure(f"the file system failed: {error}") from error


def deliver(timeline: bytes, wanted: Path) -> None:
    """Write a timeline to where the caller wants it. Raises EnvironmentLackError."""
    try:
        wanted.write_bytes(timeline)
    except OSError as error:
        raise EnvironmentLackError(f"the timeline cannot be written to {wanted}: {error.strerror}") from error
