"""What a source is, by its text: CUDA, Triton, or KernelBench's module, which is not taken."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from ..base import PYTHON, EnvironmentLackError, InvalidSourceError, UsageError, language_of

EXTRA = "triton"
INSTALL = "pip install 'autocomp-mcp[triton]'"
WRITTEN_FOR = "3.9."
_MODULE = re.compile(r"^class\s+ModelNew\b", re.MULTILINE)


def is_triton(source: str) -> bool:
    """Else it is CUDA. Raises InvalidSourceError for KernelBench's form."""
    if language_of(source) is not PYTHON:
        return False
    if _MODULE.search(source):
        raise InvalidSourceError(
            "KernelBench's form (class ModelNew) is not offered: it runs unconfined Python with torch on a GPU. Hand "
            "in the kernel itself: a .cu file with launch(), or a Triton file with launch() (docs/nvidia.md)"
        )
    return True


def cuda_only(source: str, engine: str) -> None:
    """Raises UsageError for what this engine does not run."""
    if is_triton(source):
        raise UsageError(f"engine {engine!r} runs .cu kernels only: a Triton kernel is judged by engine 'cpu'")


@lru_cache
def triton_version() -> str | None:
    try:
        return version("triton") if find_spec("triton") is not None else None
    except PackageNotFoundError:
        return None


def cuobjdump() -> Path:
    """The one that comes with Triton."""
    found = find_spec("triton")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "backends" / "nvidia" / "bin" / "cuobjdump"


def require_triton() -> str:
    """Triton's version. Raises EnvironmentLackError."""
    found = triton_version()
    if found is None:
        raise EnvironmentLackError(f"Triton kernels need the extra {EXTRA!r} (Linux): {INSTALL}")
    if not found.startswith(WRITTEN_FOR):
        raise EnvironmentLackError(
            f"Triton {found} is installed, but its interpreter is driven as that of {WRITTEN_FOR}x is: {INSTALL}"
        )
    return found
