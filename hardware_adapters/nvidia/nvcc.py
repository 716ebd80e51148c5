"""The device compiler, where the machine has it: diagnostics, and what ptxas says of each kernel."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from ..base import Diagnostic, EnvironmentLackError
from ..host_faults import check_host
from ..process import Finished, Limits, minimal_environment, run
from ..sandbox import toolchain
from ..toolchain import MAX_DIAGNOSTICS, MAX_MESSAGE_CHARS, version_of
from .merging import merged_loads

SOURCE_NAME, PTX_NAME = "kernel.cu", "kernel.ptx"
USUAL = Path("/usr/local/cuda/bin/nvcc")
FLAGS = ("-O3", "-std=c++17", "-lineinfo", "-Xptxas", "-v,--warn-on-spills")
LIMITS = Limits(wall_s=120.0, memory_bytes=None, file_bytes=64 << 20)
# What every nvcc that works here compiles.
PROBE = """#include <cuda_runtime.h>
__global__ void probe(float *out) { *out = 1.0f; }
extern "C" int launch(void **buffers, const long *, cudaStream_t stream) {
    probe<<<1, 1, 0, stream>>>((float *)buffers[0]);
    return 0;
}
"""
_RELEASE = re.compile(r"release ([\d.]+)")
_SAID = re.compile(r"^(?P<file>[^(\n]+)\((?P<line>\d+)\): (?P<kind>error|warning|remark)\b[^:]*: (?P<text>.*)$")
_ENTRY = re.compile(r"Compiling entry function '([^']+)' for '([^']+)'")
_SPILLS = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?")
_PTXAS = re.compile(r"^ptxas (?:fatal|error)\s*: (.*)$|^(?:nvcc )?(?:fatal)\s*: (.*)$")


class Nvcc(NamedTuple):
    path: Path
    version: str

    @property
    def title(self) -> str:
        return f"nvcc {self.version}"


class KernelFacts(NamedTuple):
    """What ptxas says of one `__global__` function, in bytes and registers per thread. `merged`: by source line, the
    share of its loads from shared memory that are left when neighbours are loaded together (see `merging`)."""

    registers: int
    shared_bytes: int
    stack_bytes: int
    spill_stores: int
    spill_loads: int
    merged: Mapping[int, float] = {}


class Compiled(NamedTuple):
    ok: bool
    diagnostics: tuple[Diagnostic, ...]
    kernels: dict[str, KernelFacts]  # by plain name; of instances of one template the one with the most registers
    seconds: float

    @property
    def unexplained(self) -> bool:
        """It failed, but no line of the kernel is said to be wrong: ptxas and linker say so of kernels, too, but a
        compiler that cannot work says nothing else."""
        return not self.ok and not any(d.severity == "error" and d.line is not None for d in self.diagnostics)


def find_nvcc(environment: Mapping[str, str] | None = None) -> Nvcc | None:
    """Of those that `candidates` finds, the first that works."""
    return next((found for path in candidates(environment) if (found := nvcc_at(path)) is not None), None)


def only(path: str | None) -> dict[str, str] | None:
    """The environment to look in where `path` replaces PATH; None is the process's own."""
    return None if path is None else {"PATH": path}


def candidates(environment: Mapping[str, str] | None = None) -> Iterator[Path]:
    """CUDACXX, then CUDA_HOME or CUDA_PATH, then PATH; and, unless another environment than the process's own is given,
    the toolkit's usual place and the wheel of nvcc."""
    given = os.environ if environment is None else environment
    if named := given.get("CUDACXX"):
        yield Path(shutil.which(named, path=given.get("PATH", "")) or named)
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if named := given.get(variable):
            yield Path(named) / "bin" / "nvcc"
    if found := shutil.which("nvcc", path=given.get("PATH", "")):
        yield Path(found)
    if environment is None:
        yield USUAL
        spec = find_spec("nvidia")
        for folder in (spec.submodule_search_locations or []) if spec else []:
            yield from sorted(Path(folder).glob("*/bin/nvcc"), reverse=True)


def nvcc_at(path: Path) -> Nvcc | None:
    return Nvcc(path, version) if (version := _version(path)) is not None else None


def _version(path: Path) -> str | None:
    if version_of(path, "--version") is None:
        return None
    return _release(path, path.stat().st_mtime_ns)


def _release(path: Path, modified_ns: int) -> str | None:
    key = (str(path), modified_ns)
    if key not in _releases:
        import subprocess

        answer = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, errors="replace",
            env=minimal_environment(Path(tempfile.gettempdir())),
        )  # fmt: skip
        found = _RELEASE.search(answer.stdout)
        _releases[key] = found[1] if found else "unknown"
    return _releases[key]


_releases: dict[tuple[str, int], str] = {}


async def compile_for(nvcc: Nvcc, architecture: str, source: str) -> Compiled:
    """Device code only: the launcher is checked by the compiler that the emulation uses.

    Raises OSError when nothing can be started, EngineFailure when this machine is at fault, EnvironmentLackError when
    this nvcc compiles nothing for the device."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="autocomp-nvcc-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        (folder / SOURCE_NAME).write_text(source, encoding="utf-8")
        command = [nvcc.path, *FLAGS, f"-arch={architecture}", "-keep", "-cubin", "-o", "kernel.cubin", SOURCE_NAME]
        reach = toolchain(nvcc.path)
        done = await run(command, cwd=folder, env=minimal_environment(folder), limits=LIMITS, reach=reach)
        check_host("nvcc", done, parse_diagnostics(done.stdout + done.stderr), SOURCE_NAME, folder, LIMITS)
        intermediate = folder / PTX_NAME
        shares = merged_loads(intermediate.read_text("utf-8", "replace")) if intermediate.is_file() else {}
    merged = {plain_name(name): of_lines for name, of_lines in shares.items()}
    made = read_output(done, time.monotonic() - started)
    kernels = {name: facts._replace(merged=merged.get(name, {})) for name, facts in made.kernels.items()}
    if made.unexplained and source != PROBE:
        require_working(nvcc, architecture, await compile_for(nvcc, architecture, PROBE))
    return made._replace(kernels=kernels)


def require_working(nvcc: Nvcc, architecture: str, probe: Compiled) -> None:
    """`probe`: what became of PROBE. Raises EnvironmentLackError."""
    if not probe.ok:
        raise EnvironmentLackError(
            f"{nvcc.path} ({nvcc.title}) compiles nothing for {architecture} here, "
            f"says {probe.diagnostics[0].message!r}: it takes a toolkit that knows the device, and a C++ compiler "
            "on PATH that the toolkit supports"
        )


def read_output(done: Finished, seconds: float) -> Compiled:
    text = done.stdout + done.stderr
    found = list(parse_diagnostics(text))
    ok = done.returncode == 0 and done.limit is None
    if not ok and not any(d.severity == "error" for d in found):
        said = done.ended_by or next(iter(_fatal(text)), text.strip()[-200:])
        found.insert(0, Diagnostic(severity="error", message=f"nvcc: {said}"[:MAX_MESSAGE_CHARS]))
    return Compiled(ok, tuple(found[:MAX_DIAGNOSTICS]), parse_ptxas(text), seconds)


def parse_diagnostics(text: str) -> tuple[Diagnostic, ...]:
    """What nvcc said of the kernel's file, errors first; what it says of other files names the host."""
    found = []
    for line in text.splitlines():
        match = _SAID.match(line)
        if match is not None and Path(match["file"]).name == SOURCE_NAME and match["kind"] != "remark":
            message = match["text"][:MAX_MESSAGE_CHARS]
            found.append(Diagnostic(severity=match["kind"], message=message, line=int(match["line"])))  # type: ignore[arg-type]
    return tuple(sorted(found, key=lambda d: d.severity != "error"))


def _fatal(text: str) -> list[str]:
    matches = (_PTXAS.match(line) for line in text.splitlines())
    return [(match[1] or match[2]).strip() for match in matches if match]


def parse_ptxas(text: str) -> dict[str, KernelFacts]:
    """Of `-Xptxas -v`."""
    found: dict[str, KernelFacts] = {}
    name, frame = None, (0, 0, 0)
    for line in text.splitlines():
        if (entry := _ENTRY.search(line)) is not None:
            name, frame = plain_name(entry[1]), (0, 0, 0)
        elif name is not None and (spills := _SPILLS.search(line)) is not None:
            frame = (int(spills[1]), int(spills[2]), int(spills[3]))
        elif name is not None and (used := _USED.search(line)) is not None:
            facts = KernelFacts(int(used[1]), int(used[2] or 0), *frame)
            found[name] = max(found.get(name, facts), facts)
            name = None
    return found


def plain_name(mangled: str) -> str:
    """The function's own name within an Itanium symbol: `_Z7productPKf…` and `_ZN5space7productIf…` are `product`."""
    if not mangled.startswith("_Z"):
        return mangled
    rest, name = mangled[2:].removeprefix("N").removeprefix("L"), mangled
    while (match := re.match(r"L?(\d+)", rest)) is not None:
        size, start = int(match[1]), match.end()
        name, rest = rest[start : start + size], rest[start + size :]
        if rest.startswith("I") or not mangled.startswith("_ZN"):
            break
    return name
