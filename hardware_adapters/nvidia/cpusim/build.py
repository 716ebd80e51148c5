"""From the rewritten text to a program: a shared library that the emulator, built once per home, loads and runs."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import anyio

from ...base import Diagnostic, EngineFailure, EnvironmentLackError
from ...host_faults import check_host
from ...process import Limits, minimal_environment, run
from ...sandbox import toolchain
from ...store import Home, locked
from ...toolchain import (
    Compiler,
    HostProgram,
    build_host_program,
    parse_diagnostics,
    source_digest,
    version_of,
    zig_binary,
)
from .image import read_image
from .rewrite import FILE, Translated
from .symbols import ALLOWED, WRAPPED

HERE = Path(__file__).parent
RUNTIME, INCLUDE = HERE / "runtime", HERE / "include"
RUNTIME_FLAGS = ("-O3", "-std=gnu11", "-fno-strict-aliasing", "-rdynamic", "-ldl")
# The thread sanitizer's hooks are what the emulator sees of accesses, so optimisations that change which accesses there
# are stay off, but for those that every compiler makes: -O1. Lines come from the table that -g1 writes.
FLAGS = (
    "-std=gnu++17", "-O1", "-g1", "-fPIC", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics",
    "-fno-stack-protector", "-ffp-contract=off", "-fno-strict-aliasing", "-fno-math-errno",
    "-fno-delete-null-pointer-checks", "-Wno-unknown-pragmas",
)  # fmt: skip
CHECKS = ("-fsanitize=thread", "-fsanitize=alignment", "-fsanitize=bounds")
# nvcc inlines nearly everything. A lambda that is called would keep what it captures on the stack, and the emulator
# take each use of that for local memory: twice the time for a kernel that loads its tiles by one.
INLINED = 20_000
GCC_FLAGS = (
    "--param=tsan-instrument-func-entry-exit=0",
    "--param=tsan-distinguish-volatile=1",
    "-fdiagnostics-plain-output",
    "-finline-functions",
    *(f"--param=max-inline-insns-{kind}={INLINED}" for kind in ("single", "auto")),
    *(f"--param={kind}-growth={INLINED}" for kind in ("inline-unit", "large-function", "large-stack-frame")),
)
CLANG_FLAGS = (
    # Accesses of 32 bytes, which vectorised loops make, have no hook: they would go unseen.
    "-fno-vectorize", "-fno-slp-vectorize",
    *("-finline-functions", "-mllvm", f"-inline-threshold={INLINED}"),
    "-fno-sanitize-trap=all", "-fno-unroll-loops", "-fno-caret-diagnostics", "-Wno-pass-failed", "-Wno-unused-value",
    "-mllvm", "-tsan-instrument-func-entry-exit=0", "-mllvm", "-tsan-distinguish-volatile=1",
    "-mllvm", "-tsan-instrument-read-before-write=1",
)  # fmt: skip
# Nothing is linked in: what a candidate calls is in the emulator that loads it, and is compared with a list before.
LINKER_FLAGS = (*(f"--wrap={name}" for name in ("memcpy", "memmove", "memset", *WRAPPED)), "-znow", "-zrelro")
COMPILE_LIMITS = Limits(wall_s=60.0, file_bytes=64 << 20, memory_bytes=4 << 30, output_bytes=256 << 10)
CAPABILITY = "8.9"
INITIALISERS = 1  # that the hooks' own start-up is


class Program(NamedTuple):
    """A candidate that can be run: `emulator` is the program, `library` what it loads."""

    emulator: Path
    library: Path


class Built(NamedTuple):
    """`program` is None exactly when an error is among the diagnostics. `refused`: what no candidate may do."""

    program: Program | None
    diagnostics: tuple[Diagnostic, ...] = ()
    refused: str | None = None


def cxx_compiler() -> Compiler:
    """The zig wheel's, else $CXX, c++, g++ or clang++. Raises EnvironmentLackError."""
    zig = zig_binary()
    if zig is not None and (version := version_of(zig, "version")):
        return Compiler("zig", (str(zig), "c++"), version)
    for words in (shlex.split(os.environ.get("CXX", "")), ["c++"], ["g++"], ["clang++"]):
        found = shutil.which(words[0]) if words else None
        if found and (version := version_of(Path(found), "--version")):
            return Compiler("clang" if "clang" in version else "gcc", (found, *words[1:]), version)
    raise EnvironmentLackError("no C++ compiler: install the ziglang wheel (`pip install ziglang`) or a C++ compiler")


@cache
def runtime_files() -> tuple[Path, ...]:
    return tuple(sorted(path for path in RUNTIME.iterdir() if path.suffix in (".c", ".h")))


@cache
def _headers() -> tuple[Path, ...]:
    return tuple(sorted(path for path in INCLUDE.rglob("*") if path.is_file()))


def emulator_version() -> str:
    """Digest of all that decides what the emulator answers, apart from compilers."""
    ours = [path for path in HERE.iterdir() if path.suffix == ".py"]
    return source_digest([*runtime_files(), *_headers(), *ours], " ".join(FLAGS))


async def emulator(home: Home, announce: Callable[[], None] | None = None) -> Path:
    """The emulator's program, built at first use, `announce` called before. Raises EnvironmentLackError."""
    return await build_host_program(home, host_program(), announce)


def host_program() -> HostProgram:
    return HostProgram("cpusim", runtime_files(), (*RUNTIME_FLAGS, "-I", str(RUNTIME)))


def _flags(compiler: Compiler, checked: bool, capability: str) -> tuple[str, ...]:
    return (
        *FLAGS,
        f"-DCPUSIM_ARCHITECTURE={capability.replace('.', '')}0",
        *(CHECKS if checked else ()),
        *(GCC_FLAGS if compiler.kind == "gcc" else CLANG_FLAGS),
        "-I",
        str(INCLUDE),
        "-I",
        str(INCLUDE / "provided"),
    )


def _link_flags(compiler: Compiler) -> tuple[str, ...]:
    """For zig its plain linker: the driver would add start files, whose code runs when the library is loaded."""
    if compiler.kind == "zig":
        return ("-shared", *LINKER_FLAGS)
    return ("-shared", "-nostdlib", *(f"-Wl,{flag}" for flag in LINKER_FLAGS))


async def build(
    home: Home,
    translated: Translated,
    *,
    checked: bool = True,
    capability: str = CAPABILITY,
    compiler: Compiler | None = None,
) -> Built:
    """Compile and link the candidate; a text that was built before comes from the home's artefacts.

    Without `checked` accesses are neither checked nor counted: only guard pages, barriers and warps are, at several
    times the speed. `capability`: of the device, e.g. 8.9, which the candidate may ask for. Errors of the source are
    diagnostics with the .cu's lines. Raises EnvironmentLackError (no compiler), EngineFailure.
    """
    compiler = compiler or cxx_compiler()
    program = await emulator(home)
    flags = _flags(compiler, checked, capability)
    key = source_digest((), emulator_version(), compiler.title, " ".join(flags), translated.text)
    kept = home.artifact(key, ".so")
    if home.touched(key, ".so"):
        return Built(Program(program, kept))
    with tempfile.TemporaryDirectory(prefix="autocomp-cuda-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        (folder / "candidate.cpp").write_bytes(translated.text.encode())
        commands = (
            [
                *flags,
                *await _header(home, compiler, flags),
                "-c",
                "candidate.cpp",
                "-o",
                "candidate.o",
            ],
            [*_link_flags(compiler), "candidate.o", "-o", "candidate.so"],
        )
        said: tuple[Diagnostic, ...] = ()
        for command in commands:
            finished = await _step(home, compiler, command, folder)
            said = said or parse_diagnostics(finished.stderr, FILE)
            check_host(compiler.title, finished, said, FILE, folder, COMPILE_LIMITS)
            if finished.limit is not None:
                text = "took too long" if finished.timed_out else f"was given up, {finished.ended_by}"
                return Built(None, (Diagnostic(severity="error", message=f"the compiler {text}"),))
            if finished.returncode != 0:
                return Built(None, said if _has_error(said) else (*said, _unexplained(finished.stderr)))
        library = folder / "candidate.so"
        if refused := _refused(library):
            return Built(None, (Diagnostic(severity="error", message=refused),), refused)
        home.keep(library.read_bytes(), ".so", key)
    return Built(Program(program, kept), said)


async def _header(home: Home, compiler: Compiler, compile_flags: Sequence[str]) -> tuple[str, ...]:
    """Flags that bring in the emulator's header, translated once per home: parsing it takes longer than a kernel."""
    key = source_digest(_headers(), compiler.title, " ".join(compiler.command), " ".join(compile_flags))
    gcc = compiler.kind == "gcc"
    made = home.cache / f"cpusim-header-{key}" / ("cpusim.hpp.gch" if gcc else "cpusim.pch")
    flags = ("-include", str(made.with_suffix(""))) if gcc else ("-include-pch", str(made))
    if made.exists():
        return flags
    async with locked(home.cache / "cpusim-header.lock"):
        if made.exists():
            return flags
        with tempfile.TemporaryDirectory(prefix="build-header-", dir=home.cache, ignore_cleanup_errors=True) as scratch:
            finished_folder = Path(scratch) / "finished"
            finished_folder.mkdir()
            command = [
                *compile_flags,
                "-x",
                "c++-header",
                str(INCLUDE / "cpusim.hpp"),
                "-o",
                str(finished_folder / made.name),
            ]
            finished = await _step(home, compiler, command, Path(scratch))
            if finished.returncode != 0:  # a compiler that cannot: each candidate parses the header itself
                return ("-include", "cpusim.hpp")
            await anyio.Path(finished_folder).rename(made.parent)
    return flags


async def _step(home: Home, compiler: Compiler, arguments: Sequence[str], folder: Path):
    caches = {"ZIG_GLOBAL_CACHE_DIR": str(home.zig_cache), "ZIG_LOCAL_CACHE_DIR": str(folder / "zig")}
    binary, *words = compiler.command
    if compiler.kind == "zig" and "-shared" in arguments:
        words = ["ld.lld"]
    command = [binary, *words, *arguments]
    reach = toolchain(binary, INCLUDE, home.cache)._replace(write=(home.zig_cache,))
    environment = minimal_environment(folder, **caches)
    try:
        return await run(command, cwd=folder, env=environment, limits=COMPILE_LIMITS, reach=reach)
    except OSError as error:
        raise EngineFailure(f"{compiler.title} cannot be started: {error}") from error


def _has_error(diagnostics: Sequence[Diagnostic]) -> bool:
    return any(diagnostic.severity == "error" for diagnostic in diagnostics)


def _unexplained(stderr: str) -> Diagnostic:
    lines = [line for line in stderr.splitlines() if "error" in line or "undefined" in line] or stderr.splitlines()[-1:]
    return Diagnostic(severity="error", message=(lines[0] if lines else "the compiler failed without a word")[:300])


def _refused(library: Path) -> str | None:
    """What the candidate calls of the host, or does before it is asked to."""
    image = read_image(library)
    foreign = sorted(image.undefined - ALLOWED)
    if foreign:
        return f"functions that no candidate may call: {', '.join(foreign)[:200]}"
    if image.initialisers > INITIALISERS:
        return "variables whose initial values are computed by code: nothing of a candidate runs before launch()"
    return None
