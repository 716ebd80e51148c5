"""What of AWS's software this machine has: an interpreter with NKI, the profiler, a device."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...process import minimal_environment

PYTHON_VARIABLE = "AUTOCOMP_NEURON_PYTHON"
PROFILER_VARIABLE = "AUTOCOMP_NEURON_PROFILER"
DEVICE_VARIABLE = "AUTOCOMP_NEURON_DEVICE"
PLATFORM_VARIABLE = "NEURON_PLATFORM_TARGET_OVERRIDE"  # the SDK's own
TOOLS = Path("/opt/aws/neuron/bin")  # where the package aws-neuronx-tools puts them
VENVS = Path("/opt"), "aws_neuronx_venv_*/bin/python"  # of Neuron's machine images
PROFILERS = ("neuron-explorer", "neuron-profile")  # the second is the older one, with the same subcommands
INSTANCE = Path("/sys/devices/virtual/dmi/id/product_name")  # on EC2: trn1.2xlarge and the like
_PROBE_S = 120  # the SDK's Python may lie on a disk that is read for the first time
_PROBE = """\
import importlib.metadata, importlib.util, json
def has(name):
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
found = {"nki": has("nki"), "neuronxcc": has("neuronxcc.nki"), "numpy": has("numpy"), "ml_dtypes": has("ml_dtypes")}
if found["nki"]:
    try:
        import nki
        found["simulate"] = hasattr(nki, "simulate")
    except Exception as error:
        found["nki"], found["why"] = False, f"{type(error).__name__}: {error}"
if found["neuronxcc"]:
    try:
        import neuronxcc.nki
        found["simulate_kernel"] = hasattr(neuronxcc.nki, "simulate_kernel")
    except Exception as error:
        found["neuronxcc"], found["why"] = False, f"{type(error).__name__}: {error}"
found["versions"] = {name: version(name) for name in ("nki", "neuronx-cc")}
print(json.dumps(found))
"""


class Availability(NamedTuple):
    available: bool
    reason: str
    version: str | None = None


class Sdk(NamedTuple):
    """An interpreter, and what it can import: API -> whether its simulator is there too."""

    python: Path
    apis: Mapping[str, bool]
    versions: Mapping[str, str]

    @property
    def version(self) -> str:
        return " ".join(f"{name} {number}" for name, number in sorted(self.versions.items())) or "version unknown"


class Machine:
    """Everything follows from the environment it is made with."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self.environment = dict(os.environ if environment is None else environment)

    def sdk(self) -> Sdk | str:
        """The first interpreter that has NKI, or why there is none and what to do."""
        why = ""
        named = self.environment.get(PYTHON_VARIABLE)
        candidates = [named] if named else [sys.executable, *sorted(map(str, VENVS[0].glob(VENVS[1])), reverse=True)]
        for python in candidates:
            path = Path(python)
            if not os.access(path, os.X_OK) or path.is_dir():
                why = f"{PYTHON_VARIABLE}={python} is not a program"
                continue
            found = _probe(str(path), _stamp(path), tuple(sorted(self._passed().items())))
            if isinstance(found, str):
                why = found
                continue
            apis = {name: bool(found.get(simulate)) for name, simulate in _SIMULATORS.items() if found[name]}
            if apis and found["numpy"]:
                return Sdk(path, apis, {name: number for name, number in found["versions"].items() if number})
            why = found.get("why") or f"{path} has neither nki nor neuronxcc.nki"
        return (
            f"{why}: install AWS's `nki` wheel or the Neuron SDK from AWS's own package index (on PyPI these names are "
            f"empty packages), and name the Python that has it in {PYTHON_VARIABLE}"
        )

    def profiler(self) -> Path | None:
        named = self.environment.get(PROFILER_VARIABLE)
        path = f"{self.environment.get('PATH', os.defpath)}:{TOOLS}"
        for name in [named] if named else PROFILERS:
            if found := shutil.which(name, path=path):
                return Path(found).absolute()
        return None

    def device(self) -> Path | None:
        path = Path(self.environment.get(DEVICE_VARIABLE, "/dev/neuron0"))
        return path if path.exists() else None

    def platform(self) -> str | None:
        """trn1, trn2, ...; None where neither the SDK's variable nor the instance says."""
        said = self.environment.get(PLATFORM_VARIABLE, "")
        if not said:
            try:
                said = INSTANCE.read_text()
            except OSError:
                return None
        family = said.strip().partition(".")[0].lower()
        return family[:4] if family.startswith("trn") else None

    def quiet_environment(self, folder: Path) -> dict[str, str]:
        """What the SDK needs, and nothing else of ours: no key, no home."""
        passed = self._passed()
        passed["PATH"] = f"{passed.get('PATH', os.defpath)}:{TOOLS}"
        return minimal_environment(folder, **passed)

    def _passed(self) -> dict[str, str]:
        names = ("PATH", "LD_LIBRARY_PATH")
        return {k: v for k, v in self.environment.items() if k in names or k.startswith(("NEURON_", "NKI_"))}


_SIMULATORS = {"nki": "simulate", "neuronxcc": "simulate_kernel"}


def _stamp(path: Path) -> str:
    """An environment that packages were installed into has other dates."""
    folders = [path, path.parent, *sorted(path.parent.parent.glob("lib/python3*/site-packages"))]
    return repr([(str(p), p.stat().st_mtime_ns) for p in folders])


@functools.cache
def _probe(python: str, stamp: str, environment: tuple[tuple[str, str], ...]) -> dict[str, Any] | str:
    """What the interpreter says of itself, or why it says nothing; asked once per state of its files."""
    try:
        answer = subprocess.run(
            [python, "-I", "-c", _PROBE], capture_output=True, text=True, errors="replace", timeout=_PROBE_S,
            stdin=subprocess.DEVNULL, env=dict(environment),
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{python} does not start: {error}"
    lines = answer.stdout.strip().splitlines()
    if answer.returncode or not lines or not lines[-1].startswith("{"):
        words = (answer.stderr or answer.stdout).strip().splitlines()[-1:]
        return f"{python} cannot tell what it has: {' '.join(words)[:300] or f'status {answer.returncode}'}"
    return json.loads(lines[-1])
