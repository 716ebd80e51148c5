"""Makes a machine with stand-ins of AWS's software, found as the real ones are: a Python, a profiler, a device."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

FAKES = Path(__file__).parent
APIS = {"nki": FAKES / "neuron_sdk" / "nki", "neuronxcc": FAKES / "neuron_sdk" / "neuronxcc"}
# `-I -c text` and `-I file arguments`, with the stand-ins importable, as in an environment that has the SDK.
_PYTHON = """\
import runpy, sys
sys.path.insert(0, {folder!r})
arguments = sys.argv[2:]
if arguments[0] == "-c":
    exec(arguments[1])
else:
    sys.argv = arguments
    runpy.run_path(arguments[0], run_name="__main__")
"""


def machine(
    folder: Path, *, apis: tuple[str, ...] = ("nki", "neuronxcc"), profiler: str | None = "neuron-explorer",
    device: bool = True, **behaviour: str,
) -> dict[str, str]:  # fmt: skip
    """The environment of a machine that has what is named, and nothing else."""
    packages = folder / "packages"
    packages.mkdir(parents=True)
    for name in apis:
        (packages / name).symlink_to(APIS[name])
    text = shlex.quote(_PYTHON.format(folder=str(packages)))
    python = _executable(folder / "venv" / "bin" / "python", f'exec {sys.executable} -c {text} "$@"')
    environment = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "AUTOCOMP_NEURON_PYTHON": str(python)}
    (folder / "bin").mkdir()
    if profiler:
        _executable(folder / "bin" / profiler, f'exec {sys.executable} {FAKES / "neuron_profiler.py"} "$@"')
    if device:
        (folder / "neuron0").touch()
    environment["AUTOCOMP_NEURON_DEVICE"] = str(folder / "neuron0")
    environment["NEURON_PLATFORM_TARGET_OVERRIDE"] = "trn2"
    return environment | {
        "NEURON_STAND_IN": behaviour.get("profiling", "right"),
        "NKI_STAND_IN": behaviour.get("nki", "right"),
    }


def _executable(path: Path, command: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)
    return path
