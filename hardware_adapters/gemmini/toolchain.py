"""From a kernel's C text to an ELF program for the emulated machine."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..base import Compilation, Diagnostic, EngineFailure, EnvironmentLackError, check_source
from ..host_faults import check_host
from ..process import Finished, Limits, minimal_environment, run
from ..sandbox import toolchain
from ..store import Home, locked
from ..toolchain import Compiler, parse_diagnostics, source_digest, version_of, zig_binary
from .debug_info import begins_in_code, code_digest, section_bytes
from .screen import refused_assembly, refused_source

HERE = Path(__file__).parent
GCC = "riscv64-unknown-elf-gcc"
# The flags of the kernels measured on RTL, so that cycle counts can be compared; -g1 adds the table of lines.
FLAGS = ("-O2", "-g1", "-ffast-math", "-fno-builtin", "-ffreestanding", "-mabi=lp64d", "-mcmodel=medany", "-std=gnu17")
GCC_FLAGS = ("-march=rv64gc", "-fno-tree-loop-distribute-patterns", "-fdiagnostics-plain-output")
ZIG_FLAGS = (
    "--target=riscv64-freestanding-none",
    "-mcpu=baseline_rv64",
    "-fno-sanitize=all",
    "-fomit-frame-pointer",
    "-fno-caret-diagnostics",
)
# Without it clang has already assembled `asm` statements when the assembly text comes out: nothing left to screen.
ZIG_ASSEMBLY_FLAGS = ("-fno-integrated-as",)
LINKER_SCRIPT = HERE / "kernel.ld"
ORIGIN = 0x8000_0000  # of the kernel in the emulated machine
_MEMORY = re.compile(r"ORIGIN = 0x[0-9a-f]+, LENGTH = \w+")
LINK_FLAGS = ("-nostdlib", "-static", "-Wl,--gc-sections", "-Wl,-e,solution")
SOURCE_NAME = "kernel.c"
MAX_PROGRAM_BYTES = 8 << 20  # programs are kept
COMPILE_LIMITS = Limits(wall_s=20.0, file_bytes=64 << 20, memory_bytes=4 << 30, output_bytes=256 << 10)
_UNDEFINED = re.compile(r"undefined (?:reference to|symbol:?) [`'\"]?([\w.$]+)")
_LINE_OF_REFERENCE = re.compile(r"kernel\.c:(\d+)")
_STACK_USE = re.compile(r":solution\t(\d+)\t", re.MULTILINE)


class Compiled(NamedTuple):
    """`program` is set exactly when the compilation is ok; `refused` when the text was not compiled on purpose."""

    compilation: Compilation
    program: Path | None = None
    refused: str | None = None


def cross_compiler(path: str | None = None) -> Compiler:
    """riscv64-unknown-elf-gcc where it is on PATH (or on `path`), else the zig wheel. Raises EnvironmentLackError."""
    found = shutil.which(GCC, path=path)
    if found and (version := version_of(Path(found), "-dumpfullversion")):
        return Compiler(GCC, (found,), version)
    zig = zig_binary()
    if zig is not None and (version := version_of(zig, "version")):
        return Compiler("zig cc", (str(zig), "cc"), version)
    raise EnvironmentLackError(
        f"no compiler for RISC-V: install the ziglang wheel (`pip install ziglang`) or put {GCC} on PATH"
    )


def compiler_identity(compiler: Compiler) -> str:
    """Digest of all that decides which machine code comes out of a source: compiler, flags, header, linker script."""
    files = [HERE / name for name in ("gemmini_api.h", "string.h", "runtime.c", "kernel.ld")]
    return source_digest(
        files, compiler.title, " ".join(_assembly_flags(compiler)), " ".join(LINK_FLAGS)
    )  # fmt: skip


def target_flags(compiler: Compiler) -> tuple[str, ...]:
    return (*FLAGS, *(ZIG_FLAGS if compiler.kind == "zig cc" else GCC_FLAGS))


def _assembly_flags(compiler: Compiler) -> tuple[str, ...]:
    return (*target_flags(compiler), *(ZIG_ASSEMBLY_FLAGS if compiler.kind == "zig cc" else ("-fstack-usage",)))


async def compile_kernel(
    home: Home, compiler: Compiler, source: str, defines: Sequence[str] = (), *, origin: int = ORIGIN
) -> Compiled:
    """Compile and link in a private folder, with these macros defined; the program is kept among the home's artefacts.

    origin: where the kernel's 64 MiB begin, for machines that have something else at the usual place.

    What is wrong with the source is in the result. Raises InvalidSourceError, EnvironmentLackError, EngineFailure (the
    compiler itself died).
    """
    check_source(source)
    started = time.monotonic()

    def failed(*diagnostics: Diagnostic, refused: str | None = None) -> Compiled:
        seconds = time.monotonic() - started
        compilation = Compilation(ok=False, compiler=compiler.title, diagnostics=diagnostics, seconds=seconds)
        return Compiled(compilation, refused=refused)

    if refused := refused_source(source):
        return failed(_error(refused), refused=refused)
    runtime = await _runtime(home, compiler)
    with tempfile.TemporaryDirectory(prefix="autocomp-compile-", ignore_cleanup_errors=True) as scratch:
        build = Build(compiler, Path(scratch), build_environment(home, Path(scratch)))
        (build.folder / SOURCE_NAME).write_bytes(source.encode())
        flags = (*_assembly_flags(compiler), *(f"-D{name}" for name in defines))
        first = await build.step(*flags, "-I", HERE, "-Wall", "-S", SOURCE_NAME, "-o", "kernel.s")
        said = parse_diagnostics(first.stderr, SOURCE_NAME)
        if first.returncode != 0:
            check_host(compiler.title, first, said, SOURCE_NAME, build.folder, COMPILE_LIMITS)
            return failed(*(said or _unexplained(first)))
        assembly = (build.folder / "kernel.s").read_text(errors="replace")
        if refused := refused_assembly(assembly):
            return failed(_error(refused), refused=refused)
        script = build.folder / "kernel.ld"
        script.write_text(linker_script(origin))
        second = await build.step(
            *target_flags(compiler), "kernel.s", runtime, *LINK_FLAGS, f"-Wl,-T,{script}", "-o", "kernel.elf"
        )
        if second.returncode != 0:
            explained = _link_errors(second, assembly)
            check_host(compiler.title, second, explained, SOURCE_NAME, build.folder, COMPILE_LIMITS)
            return failed(*said, *(explained or _unexplained(second)))
        program = (build.folder / "kernel.elf").read_bytes()
        if unusable := _unusable(program):
            return failed(*said, _error(unusable))
        facts = _facts(program, assembly, build.folder / "kernel.su")
        code = code_digest(program)
    digest = home.keep(program, ".elf")
    compilation = Compilation(
        ok=True,
        compiler=compiler.title,
        diagnostics=said,
        artifact=digest,
        code=code,
        facts=facts,
        seconds=time.monotonic() - started,
    )
    return Compiled(compilation, home.artifact(digest, ".elf"))


def _unusable(program: bytes) -> str | None:
    """Why a linked program is not kept, or None."""
    if len(program) > MAX_PROGRAM_BYTES:
        return (
            f"the program has {len(program) >> 20} MiB; at most {MAX_PROGRAM_BYTES >> 20} MiB of code and initial "
            "values are taken (variables without initial values take none)"
        )
    if not begins_in_code(program):
        return "`solution` is not a function of this program"
    return None


def linker_script(origin: int) -> str:
    """kernel.ld for another place."""
    text, found = _MEMORY.subn(f"ORIGIN = {origin:#x}, LENGTH = 64M", LINKER_SCRIPT.read_text())
    if found != 1:
        raise ValueError(f"{LINKER_SCRIPT} does not say where the memory begins")
    return text


class Build(NamedTuple):
    compiler: Compiler
    folder: Path
    environment: Mapping[str, str]

    async def step(self, *arguments: str | Path) -> Finished:
        # The private folder's name must not reach the program: equal sources give equal artefacts.
        mapping = f"-fdebug-prefix-map={self.folder}=."
        command = (*self.compiler.command, mapping, *arguments)
        given = (argument for argument in arguments if isinstance(argument, Path))
        cache = Path(self.environment["ZIG_GLOBAL_CACHE_DIR"])
        reach = toolchain(self.compiler.command[0], HERE, *given)._replace(write=(cache,))
        try:
            return await run(command, cwd=self.folder, env=self.environment, limits=COMPILE_LIMITS, reach=reach)
        except OSError as error:
            raise EnvironmentLackError(f"{self.compiler.title} cannot be started: {error}") from error


def build_environment(home: Home, folder: Path) -> dict[str, str]:
    # Zig keeps what it compiles for ever: its cache of kernels is thrown away with the folder.
    caches = {"ZIG_GLOBAL_CACHE_DIR": str(home.zig_cache), "ZIG_LOCAL_CACHE_DIR": str(folder / "zig")}
    return minimal_environment(folder, **caches)


async def _runtime(home: Home, compiler: Compiler) -> Path:
    """runtime.c as an object file, compiled once per compiler and flags."""
    target = home.cache / f"runtime-{compiler_identity(compiler)}.o"
    if target.exists():
        return target
    async with locked(home.cache / "runtime.lock"):
        if target.exists():
            return target
        with tempfile.TemporaryDirectory(
            prefix="build-runtime-", dir=home.cache, ignore_cleanup_errors=True
        ) as scratch:
            build = Build(compiler, Path(scratch), build_environment(home, Path(scratch)))
            result = await build.step(
                *target_flags(compiler), "-ffunction-sections", "-c", HERE / "runtime.c", "-o", "runtime.o"
            )
            if result.returncode != 0:
                raise EnvironmentLackError(f"{compiler.title} does not work: {result.stderr.strip()[-1000:]}")
            (build.folder / "runtime.o").replace(target)
    return target


def _error(message: str, line: int | None = None) -> Diagnostic:
    return Diagnostic(severity="error", message=message, line=line)


def _unexplained(result: Finished) -> tuple[Diagnostic, ...]:
    """A step failed without a word about the kernel: a limit, or a fault of the compiler."""
    if result.timed_out:
        return (_error(f"the compiler was stopped after {COMPILE_LIMITS.wall_s:.0f} s: simplify the source"),)
    if result.limit is not None:
        return (_error(f"the compiler was given up, {result.ended_by}: simplify the source"),)
    text = result.stderr
    if "overflowed by" in text or "will not fit in region" in text:
        return (_error("code and variables do not fit the 64 MiB of memory for the program"),)
    if re.search(r"out of memory|cannot allocate|bad_alloc|File size limit|File too large|No space left", text, re.I):
        return (_error("the compiler ran out of memory or of room for its output: the program is too large"),)
    if result.returncode < 0 or "internal compiler error" in text or "PLEASE submit a bug report" in text:
        return (_error("the compiler crashed on this source: simplify it"),)
    if "Error:" in text or "error:" in text:
        return tuple(_error(line) for line in _last_words(text))
    raise EngineFailure(f"the compiler ended with status {result.returncode} and no message: {text.strip()[-300:]!r}")


def _last_words(text: str) -> list[str]:
    """Messages of assembler and linker without the file names before them."""
    words = [m[1].strip()[:300] for m in re.finditer(r"[Ee]rror: ?(.+)", text)]
    return words[:10]


def _link_errors(result: Finished, assembly: str) -> tuple[Diagnostic, ...]:
    if "a kernel must define" in result.stderr:
        static = re.search(r"^solution:", assembly, re.MULTILINE)
        hint = "it is static" if static else "the entry point must have exactly this name"
        return (_error(f"no function `solution` with external linkage: define `void solution(...)`; {hint}"),)
    found: dict[str, int | None] = {}
    lines = result.stderr.splitlines()
    for number, line in enumerate(lines):
        if match := _UNDEFINED.search(line):
            where = _LINE_OF_REFERENCE.search(" ".join(lines[number : number + 2]))
            found.setdefault(match[1], int(where[1]) if where else None)
    names = [(name, line) for name, line in found.items() if name != "solution"]
    return tuple(
        _error(f"{name} is not defined: there is no C library, and only the macros of gemmini_api.h exist", line)
        for name, line in names[:10]
    )


def _facts(program: bytes, assembly: str, stack_use: Path) -> dict[str, int]:
    facts = section_bytes(program)
    facts["gemmini_instructions"] = len(re.findall(r"^\s*\.insn\s+r\s+(?:0x7b|123),", assembly, re.MULTILINE))
    if stack_use.exists() and (match := _STACK_USE.search(stack_use.read_text(errors="replace"))):
        facts["stack_bytes"] = int(match[1])
    return facts
