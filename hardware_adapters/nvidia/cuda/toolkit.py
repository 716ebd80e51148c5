"""The CUDA toolkit of this machine: where it is, and what its compiler says."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from ...base import Diagnostic, EnvironmentLackError
from ...process import Finished, Limits, minimal_environment, run
from ...toolchain import version_of

KERNEL_FILE = "kernel.cu"
FLAGS = ("-O3", "-std=c++17", "-lineinfo", "-Xptxas", "-v,--warn-on-spills", "-Xcompiler", "-fPIC")
COMPILE_LIMITS = Limits(wall_s=120, file_bytes=256 << 20, memory_bytes=8 << 30, processors=4)
MAX_DIAGNOSTICS = 20
MAX_MESSAGE = 500

_RELEASE = re.compile(r"release (\d+\.\d+)")
_SAID = re.compile(
    r"^(?P<file>[^\s(][^(]*)\((?P<line>\d+)\): (?P<severity>error|warning|remark)(?: #[\w-]+)?: (?P<text>.*)$"
)
_HOST = re.compile(
    r"^(?P<file>[^\s:]+):(?P<line>\d+):(?:\d+:)? (?:fatal )?(?P<severity>error|warning|note): (?P<text>.*)$"
)
_PTXAS = re.compile(r"^(?:ptxas|nvlink)\s+(?P<severity>fatal|error|warning)\s*: (?P<text>.*)$")
_ENTRY = re.compile(r"Compiling entry function '(?P<name>[^']+)'")
_SPILLS = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_REGISTERS = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")


class Toolkit(NamedTuple):
    """`root` holds include and lib of the runtime."""

    nvcc: Path
    release: str
    root: Path

    @property
    def title(self) -> str:
        return f"nvcc {self.release}"

    @property
    def libraries(self) -> tuple[Path, ...]:
        """Folders that have the runtime's shared library."""
        folders = (self.root / "lib64", self.root / "lib", *sorted(self.root.glob("targets/*/lib")))
        return tuple(folder for folder in folders if any(folder.glob("libcudart.so*")))


class Entry(NamedTuple):
    """What ptxas says of one kernel; sizes in bytes per thread, shared memory per block."""

    name: str
    registers: int
    shared_bytes: int
    stack_bytes: int
    spill_bytes: int


def toolkit(environment: Mapping[str, str] | None = None) -> Toolkit:
    """CUDACXX, then CUDA_HOME or CUDA_PATH, then PATH, the usual place, and the wheel of nvcc.
    Raises EnvironmentLackError."""
    for nvcc in _candidates(os.environ if environment is None else environment):
        release = _release(nvcc)
        if release is not None:
            return Toolkit(nvcc, release, _root(nvcc))
    raise EnvironmentLackError(
        "no nvcc: install the CUDA toolkit (12 or newer) and put nvcc on PATH or name its folder in CUDA_HOME; "
        "`pip install nvidia-cuda-nvcc nvidia-cuda-runtime nvidia-cuda-crt` has it too"
    )


def _candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    if named := environment.get("CUDACXX"):
        yield Path(shutil.which(named, path=environment.get("PATH")) or named)
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if named := environment.get(variable):
            yield Path(named) / "bin" / "nvcc"
    if found := shutil.which("nvcc", path=environment.get("PATH")):
        yield Path(found)
    yield Path("/usr/local/cuda/bin/nvcc")
    spec = find_spec("nvidia")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        yield from sorted(Path(folder).glob("*/bin/nvcc"), reverse=True)


def _root(nvcc: Path) -> Path:
    """A link on PATH leads into the toolkit, or a script beside it knows the way."""
    for root in (nvcc.resolve().parents[1], nvcc.parents[1], Path("/usr/local/cuda")):
        if (root / "include" / "cuda_runtime.h").is_file():
            return root
    return nvcc.resolve().parents[1]


def _release(nvcc: Path) -> str | None:
    if not nvcc.is_file() or version_of(nvcc, "--version") is None:
        return None
    try:
        return _release_of(nvcc, nvcc.stat().st_mtime_ns)
    except OSError:
        return None


@lru_cache
def _release_of(nvcc: Path, modified_ns: int) -> str | None:
    import subprocess
    import tempfile

    environment = minimal_environment(Path(tempfile.gettempdir()))
    answer = subprocess.run([nvcc, "--version"], capture_output=True, text=True, env=environment, errors="replace")
    found = _RELEASE.search(answer.stdout)
    return found[1] if found else None


async def compile_kernel(
    kit: Toolkit, source: str, folder: Path, architecture: str, *, library: Path | None = None
) -> Finished:
    """The kernel's shared object, or only a look at it (a cubin that is thrown away)."""
    (folder / KERNEL_FILE).write_text(source, encoding="utf-8")
    what = ("-shared", "-cudart", "shared", "-o", library) if library else ("-cubin", "-o", folder / "kernel.cubin")
    command = [kit.nvcc, *FLAGS, f"-arch={architecture}", *what, KERNEL_FILE]
    return await run(command, cwd=folder, env=minimal_environment(folder), limits=COMPILE_LIMITS)


def diagnostics(said: str) -> tuple[Diagnostic, ...]:
    """Errors first. Lines are those of the kernel; in a header there is none."""
    found = []
    for line in said.splitlines():
        match = _SAID.match(line) or _HOST.match(line) or _PTXAS.match(line)
        if match is None:
            continue
        fields = match.groupdict()
        severity = {"fatal": "error", "remark": "note"}.get(fields["severity"], fields["severity"])
        here = Path(fields.get("file") or "").name == KERNEL_FILE
        number = int(fields["line"]) if here else None
        found.append(Diagnostic(severity=severity, message=fields["text"][:MAX_MESSAGE], line=number))  # type: ignore[arg-type]
    found.sort(key=lambda d: ("error", "warning", "note").index(d.severity))
    return tuple(found[:MAX_DIAGNOSTICS])


def entries(said: str) -> tuple[Entry, ...]:
    """From ptxas -v."""
    found: list[Entry] = []
    name, frame = "", (0, 0, 0)
    for line in said.splitlines():
        if entry := _ENTRY.search(line):
            name, frame = entry["name"], (0, 0, 0)
        elif spills := _SPILLS.search(line):
            frame = (int(spills[1]), int(spills[2]), int(spills[3]))
        elif (registers := _REGISTERS.search(line)) and name:
            shared = _SHARED.search(line)
            stack, stores, loads = frame
            found.append(Entry(name, int(registers[1]), int(shared[1]) if shared else 0, stack, stores + loads))
            name = ""
    return tuple(found)
