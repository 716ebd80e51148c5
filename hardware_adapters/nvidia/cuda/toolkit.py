"""The CUDA toolkit as the real engine needs it: runtime libraries, shared objects, the native runner."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.to_thread

from ...base import EngineFailure, EnvironmentLackError
from ...host_faults import check_host
from ...process import Limits, minimal_environment, run
from ...sandbox import Reach, toolchain
from ...store import Home, locked
from ...toolchain import source_digest
from ..nvcc import FLAGS, PROBE, SOURCE_NAME, Compiled, Nvcc, find_nvcc, parse_diagnostics, read_output, require_working

LIMITS = Limits(wall_s=240, file_bytes=256 << 20, memory_bytes=None, processors=4)
RUNNER = Path(__file__).parents[1] / "runner"
RUNNER_FLAGS = ("-O2", "-std=c++17", "-cudart", "shared")
CONTROL, MEMORY = Path("/dev/nvidiactl"), Path("/dev/nvidia-uvm")


class Toolkit(NamedTuple):
    """`root` holds include and lib of the runtime."""

    nvcc: Nvcc
    root: Path

    @property
    def libraries(self) -> list[Path]:
        """Folders that have the runtime's shared library."""
        folders = (self.root / "lib64", self.root / "lib", *sorted(self.root.glob("targets/*/lib")))
        return [folder for folder in folders if any(folder.glob("libcudart.so*"))]

    @property
    def search_path(self) -> str:
        """LD_LIBRARY_PATH of a program that uses the runtime; the driver may be where the user's own says."""
        return ":".join(filter(None, (*map(str, self.libraries), os.environ.get("LD_LIBRARY_PATH"))))

    @property
    def reach(self) -> Reach:
        """For what compiles with it: compiler and runtime may be wheels beside each other."""
        return toolchain(self.nvcc.path, self.root, *self.libraries)

    def links(self, folder: Path) -> list[str]:
        """Where the linker finds the runtime. Wheels have it by its full name alone, which no linker looks for: then
        `folder` receives a link to it."""
        libraries = self.libraries
        named = sorted(path for where in libraries for path in where.glob("libcudart.so*"))
        if named and not any(path.name == "libcudart.so" for path in named):
            (folder / "libcudart.so").symlink_to(named[-1])
            libraries.append(folder)
        return [f"-L{where}" for where in libraries]


def toolkit(environment: Mapping[str, str] | None = None) -> Toolkit:
    """Of the first nvcc that works. Raises EnvironmentLackError."""
    if (nvcc := find_nvcc(environment)) is not None:
        return Toolkit(nvcc, _root(nvcc.path))
    raise EnvironmentLackError(
        "no nvcc: install the CUDA toolkit (12 or newer) and put nvcc on PATH or name its folder in CUDA_HOME"
    )


def _root(nvcc: Path) -> Path:
    """A link on PATH leads into the toolkit, or a script beside it knows the way."""
    for root in (nvcc.resolve().parents[1], nvcc.parents[1], Path("/usr/local/cuda")):
        if (root / "include" / "cuda_runtime.h").is_file():
            return root
    return nvcc.resolve().parents[1]


async def compile_library(kit: Toolkit, architecture: str, source: str, library: Path) -> Compiled:
    """The kernel as a shared object that brings no runtime of its own. Raises OSError when nothing can be started,
    EnvironmentLackError when this nvcc compiles nothing for the device."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="autocomp-nvcc-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        (folder / SOURCE_NAME).write_text(source, encoding="utf-8")
        command = [
            kit.nvcc.path, *FLAGS, "-Xcompiler", "-fPIC", f"-arch={architecture}", "-shared", "-cudart", "shared",
            *kit.links(folder), "-o", library.name, SOURCE_NAME,
        ]  # fmt: skip
        done = await run(command, cwd=folder, env=minimal_environment(folder), limits=LIMITS, reach=kit.reach)
        check_host("nvcc", done, parse_diagnostics(done.stdout + done.stderr), SOURCE_NAME, folder, LIMITS)
        if (folder / library.name).is_file():
            await anyio.to_thread.run_sync(shutil.copyfile, folder / library.name, library)
    made = read_output(done, time.monotonic() - started)
    if made.unexplained and source != PROBE:
        probe = await compile_library(kit, architecture, PROBE, library.with_name("probe.so"))
        require_working(kit.nvcc, architecture, probe)
    return made


async def runner(home: Home, kit: Toolkit, architecture: str) -> Path:
    """The native runner, built at first use. Raises EngineFailure, EnvironmentLackError."""
    key = source_digest(sorted(RUNNER.iterdir()), kit.nvcc.title, str(kit.root), architecture, " ".join(RUNNER_FLAGS))
    program = home.cache / f"cuda-runner-{key}" / "runner"
    if not program.exists():
        async with locked(home.cache / "cuda-runner.lock"):
            if not program.exists():
                await _build(kit, architecture, program)
    await _wake(kit, program)
    return program


async def _wake(kit: Toolkit, program: Path) -> None:
    """After a boot the driver makes some device files at their first use, which no confined program can bring about."""
    if not await anyio.Path(CONTROL).exists() or await anyio.Path(MEMORY).exists():
        return
    with tempfile.TemporaryDirectory(prefix="autocomp-cuda-", ignore_cleanup_errors=True) as scratch:
        environment = minimal_environment(Path(scratch), LD_LIBRARY_PATH=kit.search_path)
        await run([program, "--device"], cwd=Path(scratch), env=environment, limits=LIMITS)


async def _build(kit: Toolkit, architecture: str, program: Path) -> None:
    with tempfile.TemporaryDirectory(
        prefix="build-cuda-", dir=program.parents[1], ignore_cleanup_errors=True
    ) as scratch:
        folder = Path(scratch)
        finished = folder / "finished"
        finished.mkdir()
        command = [
            kit.nvcc.path, *RUNNER_FLAGS, f"-arch={architecture}", *kit.links(folder), RUNNER / "runner.cu", "-o",
            finished / program.name, "-ldl",
        ]  # fmt: skip
        done = await run(command, cwd=folder, env=minimal_environment(folder), limits=LIMITS)
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip())[-1500:]
            raise EngineFailure(f"the runner could not be built with {kit.nvcc.title}: {said}")
        await anyio.Path(finished).rename(program.parent)
