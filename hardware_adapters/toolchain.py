"""Compilers on this machine: finding them, reading what they say, and building our own host programs with them."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import anyio

from .base import Diagnostic, EnvironmentLackError
from .process import Limits, minimal_environment, run
from .store import Home, locked

MAX_DIAGNOSTICS = 30
MAX_MESSAGE_CHARS = 300
BUILD_LIMITS = Limits(wall_s=300.0, memory_bytes=None)
PREBUILT_VARIABLE = "AUTOCOMP_PREBUILT"
# x86-64-v3 by its definition (https://gitlab.com/x86-psABIs/x86-64-ABI), in the words of /proc/cpuinfo.
_V3_FEATURES = frozenset(("avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"))
FAMILIES = {"x86_64": ("x86_64_v3", "baseline")}
_DIAGNOSTIC = re.compile(
    r"^(?P<file>[^:\n]+):(?P<line>\d+):(?:(?P<column>\d+):)? "
    r"(?P<severity>fatal error|error|warning|note): (?P<text>.*)$"
)


class Compiler(NamedTuple):
    """A C compiler driver: `command` is what goes before the flags."""

    kind: str
    command: tuple[str, ...]
    version: str

    @property
    def title(self) -> str:
        return f"{self.kind} {self.version}"


def parse_diagnostics(text: str, file: str) -> tuple[Diagnostic, ...]:
    """What gcc, clang or a linker said about `file`; lines about anything else are dropped, they may quote host files.

    At most MAX_DIAGNOSTICS, errors before warnings before notes, each message cut to MAX_MESSAGE_CHARS.
    """
    found = []
    for line in text.splitlines():
        match = _DIAGNOSTIC.match(line)
        if match is None or Path(match["file"]).name != file:
            continue
        severity = match["severity"].removeprefix("fatal ")
        column = int(match["column"]) if match["column"] else None
        found.append(
            Diagnostic(severity=severity, message=_cut(match["text"]), line=int(match["line"]), column=column)  # type: ignore[arg-type]
        )
    found.sort(key=lambda d: ("error", "warning", "note").index(d.severity))
    return tuple(found[:MAX_DIAGNOSTICS])


def _cut(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE_CHARS else text[: MAX_MESSAGE_CHARS - 1] + "…"


def zig_binary() -> Path | None:
    """The compiler inside the `ziglang` wheel, or None when the wheel is not installed."""
    spec = find_spec("ziglang")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for name in ("zig", "zig.exe"):
            path = Path(folder) / name
            if path.is_file() and os.access(path, os.X_OK):
                return path
    return None


@functools.cache
def _first_line(command: tuple[str, ...], modified_ns: int) -> str:
    """First line that `command` prints; asked once per version of the binary. Raises OSError, SubprocessError."""
    named = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}  # where a driver may be
    answer = subprocess.run(
        command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, errors="replace", check=True,
        env=minimal_environment(Path(tempfile.gettempdir()), **named),
    )  # fmt: skip
    return answer.stdout.partition("\n")[0].strip()


def version_of(binary: Path, *arguments: str) -> str | None:
    """The first line that it prints, None where it does not run: that may pass, so only answers are remembered."""
    try:
        return _first_line((str(binary), *arguments), binary.stat().st_mtime_ns)
    except (OSError, subprocess.SubprocessError):
        return None


def host_compiler() -> Compiler:
    """The C compiler for programs that run here: the zig wheel, else $CC, else `cc`.

    Zig first, because it is a dependency of this package: the same compiler on every machine, whatever is installed.
    Raises EnvironmentLackError.
    """
    zig = zig_binary()
    if zig is not None and (version := version_of(zig, "version")):
        return Compiler("zig", (str(zig), "cc"), version)
    for words in (shlex.split(os.environ.get("CC", "")), ["cc"], ["gcc"], ["clang"]):
        found = shutil.which(words[0]) if words else None
        if found and (version := version_of(Path(found), "--version")):
            return Compiler("cc", (found, *words[1:]), version)
    raise EnvironmentLackError(
        "no C compiler for building the simulator: install the ziglang wheel (`pip install ziglang`) or a C compiler"
    )


def source_digest(files: Sequence[Path], *more: str) -> str:
    """SHA-256 over names and contents of the files and the further texts, 16 hex digits."""
    found = tuple((path, (status := path.stat()).st_mtime_ns, status.st_size) for path in sorted(files, key=str))
    return _digest(found, more)


@functools.lru_cache(maxsize=64)
def _digest(files: tuple[tuple[Path, int, int], ...], more: tuple[str, ...]) -> str:
    """Asked several times in each evaluation; times and sizes say whether the files are still the same."""
    digest = hashlib.sha256()
    for path, _, _ in files:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    for text in more:
        digest.update(f"{len(text.encode())}\n{text}".encode())
    return digest.hexdigest()[:16]


class HostProgram(NamedTuple):
    """A program of ours in C. Headers among the sources count for its identity."""

    name: str
    sources: Sequence[Path]
    flags: Sequence[str]


async def build_host_program(
    home: Home, wanted: HostProgram, announce: Callable[[], None] | None = None, *, processors: str | None = None
) -> Path:
    """The program, from where it was built beforehand (prebuilt.py), else from the cache when it is there.

    Built once per sources, flags, compiler and platform, under a lock and renamed into place: safe for any number of
    processes at once, and a killed build leaves nothing behind that looks finished. `announce` is called before a
    build, ours or that of another process we wait for. `processors`: a family of them, by the compiler's name; None
    for the one of this machine. Raises EnvironmentLackError with the compiler's words when it cannot be built.
    """
    name, sources, flags = wanted
    compiler = host_compiler()
    if processors is None:
        if (before := prebuilt(wanted, compiler)) is not None:
            return before
        folder = home.cache / f"{name}-{program_key(wanted, compiler, _processor())}"
    else:
        folder = home.cache / f"{name}-{program_key(wanted, compiler, processors)}"
        flags = (*flags, f"-mcpu={processors}")
    program = folder / name
    if program.exists():
        return program
    if announce is not None:
        announce()
    async with locked(home.cache / f"{name}.lock"):
        if not program.exists():
            await _build(program, compiler, sources, flags)
    return program


def prebuilt(wanted: HostProgram, compiler: Compiler) -> Path | None:
    """Where it is, if it was built beforehand for processors like this one, from just these sources."""
    folder = os.environ.get(PREBUILT_VARIABLE)
    if not folder:
        return None
    for family in _families_here():
        program = Path(folder) / f"{wanted.name}-{program_key(wanted, compiler, family)}" / wanted.name
        if program.exists():
            return program
    return None


def processor_families() -> tuple[str, ...]:
    """By zig's names, the fastest first; the last is all of this architecture."""
    return FAMILIES.get(os.uname().machine, ("baseline",))


@functools.cache
def _families_here() -> tuple[str, ...]:
    """Those that this machine's processor belongs to."""
    has = frozenset(_features().split())
    return tuple(family for family in processor_families() if family != "x86_64_v3" or has >= _V3_FEATURES)


def program_key(wanted: HostProgram, compiler: Compiler, processors: str) -> str:
    words = (compiler.title, " ".join(compiler.command), " ".join(wanted.flags), processors)
    return source_digest(wanted.sources, *words)


@functools.cache
def _processor() -> str:
    """What the compiler may have optimised for: a home on a shared disk serves machines that differ."""
    return " ".join(filter(None, [sys.platform, os.uname().machine, _features()]))


def _features() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith("flags")), "")


async def _build(program: Path, compiler: Compiler, sources: Sequence[Path], flags: Sequence[str]) -> None:
    cache = program.parents[1]
    prefix = f"build-{program.name}-"
    for abandoned in cache.glob(f"{prefix}*"):  # of a killed build: we hold the lock, nobody is working there
        shutil.rmtree(abandoned, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=cache, ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        finished = folder / "finished"
        finished.mkdir()
        zig_cache = {"ZIG_GLOBAL_CACHE_DIR": str(cache / "zig"), "ZIG_LOCAL_CACHE_DIR": str(folder / "zig")}
        units = [str(path) for path in sorted(sources) if path.suffix == ".c"]
        command = [*compiler.command, *flags, *units, "-o", str(finished / program.name), "-lm"]
        result = await run(command, cwd=folder, env=minimal_environment(folder, **zig_cache), limits=BUILD_LIMITS)
        if result.returncode != 0:
            said = result.stderr.strip()[-2000:] or f"it ended with status {result.returncode}"
            raise EnvironmentLackError(f"{program.name} could not be built with {compiler.title}: {said}")
        if not program.parent.exists():
            await anyio.Path(finished).rename(program.parent)
