"""The engines that run whole machines: where they are, how they are started, what their numbers mean."""

from __future__ import annotations

import functools
import hashlib
import os
import shlex
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple

import anyio.to_thread

from ..base import EngineFailure, EngineStatus, LatencySource
from ..process import Limits, minimal_environment, run

SPIKE_VARIABLE = "AUTOCOMP_SPIKE"
LIBRARY_VARIABLE = "AUTOCOMP_LIBGEMMINI"
VERILATOR_VARIABLE = "AUTOCOMP_GEMMINI_VERILATOR"
VERILATOR_ARGUMENTS_VARIABLE = "AUTOCOMP_GEMMINI_VERILATOR_ARGS"
UNISOLATED_VARIABLE = "AUTOCOMP_UNISOLATED"
DOCUMENTATION = "docs/engines.md"

CONSOLE = "console.txt"
DUMP = "memory.hex"
PROGRAM = "program.elf"
_HEAD_BYTES, _TAIL_BYTES = 64 << 10, 1 << 20
_PROBE_S = 20


class Executed(NamedTuple):
    """What one run of a program left behind. `console`: all that was printed, the middle left out when it is long."""

    console: str
    returncode: int
    timed_out: bool


class Availability(NamedTuple):
    available: bool
    reason: str
    version: str | None = None


class WholeMachine(ABC):
    """One engine. Everything about it follows from the environment it is made with."""

    name: ClassVar[str]
    unit: ClassVar[str]
    statistic: ClassVar[str]
    source: ClassVar[LatencySource]
    trust: ClassVar[str]
    patience_s: ClassVar[float]
    dumps_memory: ClassVar[bool]  # else the report is read from the console
    console_while_running: ClassVar[bool] = True  # else nothing is known of a run that had to be stopped
    input_sets: ClassVar[tuple[str, ...]]
    calls: ClassVar[int]

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self.environment = dict(os.environ if environment is None else environment)

    @abstractmethod
    def availability(self) -> Availability:
        """Whether it works here, and if not, the step that would make it so. Quick: asked before every evaluation."""

    @abstractmethod
    async def execute(self, folder: Path, timeout_s: float) -> Executed:
        """Run PROGRAM in `folder`, which is this run's alone. Raises EngineFailure."""

    @property
    def configuration(self) -> str:
        """Settings besides the version that decide its results."""
        return ""

    @property
    def unisolated_is_fine(self) -> bool:
        return self.environment.get(UNISOLATED_VARIABLE) == "1"

    def status(self) -> EngineStatus:
        found = self.availability()
        return EngineStatus(
            name=self.name,
            kind="simulator",
            available=found.available,
            reason=found.reason,
            version=found.version,
            source=self.source,
            trust=self.trust,
            patience_s=self.patience_s,
            profiles=False,
            ranks=self.unit == "cycles",
        )

    def _which(self, name: str) -> Path | None:
        found = shutil.which(name, path=self.environment.get("PATH", os.defpath))
        return Path(found).absolute() if found else None

    def _quiet_environment(self, folder: Path) -> dict[str, str]:
        passed = {k: self.environment[k] for k in ("PATH", "LD_LIBRARY_PATH", "RISCV") if k in self.environment}
        return minimal_environment(folder, **passed)


async def run_logged(command: list[str], *, cwd: Path, env: Mapping[str, str], limits: Limits) -> Executed:
    """Run with everything printed going to a file in `cwd`, so that its end is kept however much it is.

    Raises EngineFailure.
    """
    script = f'exec "$@" >>{CONSOLE} 2>&1'
    try:
        finished = await run(["/bin/sh", "-c", script, "sh", *command], cwd=cwd, env=env, limits=limits)
    except OSError as error:
        raise EngineFailure(f"{command[0]} cannot be started: {error}") from error
    console = await anyio.to_thread.run_sync(read_console_file, cwd / CONSOLE)
    return Executed(console, finished.returncode, finished.timed_out)


def read_console_file(path: Path) -> str:
    """Its beginning and its end."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            data = stream.read(_HEAD_BYTES)
            if size > _HEAD_BYTES + _TAIL_BYTES:
                stream.seek(size - _TAIL_BYTES)
                data += f"\n... {size - _HEAD_BYTES - _TAIL_BYTES} bytes left out ...\n".encode()
            data += stream.read()
    except FileNotFoundError:
        return ""
    return data.decode(errors="replace")


def stamp(*paths: Path) -> str:
    """Identity of installed files by size and date: they may be too large to read before every evaluation."""
    facts = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in paths]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:8]


class Spike(WholeMachine):
    """The RISC-V ISA simulator with libgemmini: what instructions do, not how long they take."""

    name = "spike"
    unit = "instructions"
    statistic = "instructions retired by the first call; not cycles: they say next to nothing about time"
    source = "estimated"
    trust = (
        "Functional: correctness of a second, independent implementation of Gemmini (libgemmini), checked on every "
        "output element. Reports instruction counts, which are not cycles and must not be compared with them."
    )
    patience_s = 60.0
    dumps_memory = True
    input_sets = ("full", "sparse", "dense")
    calls = 2

    def availability(self) -> Availability:
        binary = self._which(self.environment.get(SPIKE_VARIABLE, "spike"))
        if binary is None:
            named = self.environment.get(SPIKE_VARIABLE)
            what = f"{SPIKE_VARIABLE}={named} is not a program" if named else "no `spike` on PATH"
            return Availability(
                False, f"{what}: install the RISC-V ISA simulator, put it on PATH or name it in {SPIKE_VARIABLE}"
            )
        library = self._library(binary)
        if library is None:
            return Availability(
                False,
                f"{binary} is there but libgemmini.so is not: install libgemmini beside it (its lib folder, $RISCV/lib "
                f"or LD_LIBRARY_PATH) or name the file in {LIBRARY_VARIABLE}",
            )
        said = _probe((*self._command(binary, library), "--dump-dts", "none"), stamp(binary, library), self._paths())
        if said is not None:
            return Availability(False, f"{binary} does not start with the Gemmini extension: {said}")
        return Availability(True, f"{binary} with {library}", f"spike+{stamp(binary, library)}")

    async def execute(self, folder: Path, timeout_s: float) -> Executed:
        binary = self._which(self.environment.get(SPIKE_VARIABLE, "spike"))
        library = binary and self._library(binary)
        if binary is None or library is None:
            raise EngineFailure("spike disappeared")
        command = [*self._command(binary, library), f"+signature={DUMP}", "+signature-granularity=8", PROGRAM]
        limits = Limits(wall_s=timeout_s, file_bytes=1 << 30, memory_bytes=8 << 30)
        return await run_logged(command, cwd=folder, env=self._quiet_environment(folder), limits=limits)

    @staticmethod
    def _command(binary: Path, library: Path) -> tuple[str, ...]:
        # The extension is looked up when its option is read: the library has to come first.
        return (str(binary), "--isa=rv64gc", "-m256", f"--extlib={library}", "--extension=gemmini")

    def _paths(self) -> tuple[tuple[str, str], ...]:
        return tuple((k, self.environment[k]) for k in ("PATH", "LD_LIBRARY_PATH") if k in self.environment)

    def _library(self, binary: Path) -> Path | None:
        if named := self.environment.get(LIBRARY_VARIABLE):
            return Path(named).absolute() if Path(named).is_file() else None
        folders = [binary.parent.parent / "lib", binary.resolve().parent.parent / "lib"]
        folders += [Path(self.environment["RISCV"]) / "lib"] if self.environment.get("RISCV") else []
        folders += [Path(f) for f in self.environment.get("LD_LIBRARY_PATH", "").split(":") if f]
        return next((f / "libgemmini.so" for f in folders if (f / "libgemmini.so").is_file()), None)


@functools.cache
def _probe(command: tuple[str, ...], version: str, paths: tuple[tuple[str, str], ...]) -> str | None:
    """None when the command ends well, else its last words; asked once per version of the files."""
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_PROBE_S, stdin=subprocess.DEVNULL,
            env=dict(paths),
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if answer.returncode == 0:
        return None
    words = (answer.stderr or answer.stdout).strip().splitlines()[-3:]
    return " / ".join(words)[:400] or f"it ended with status {answer.returncode}"


class Verilator(WholeMachine):
    """RTL simulation of a Chipyard system with Gemmini: the cycles the hardware would take, minutes per kernel."""

    name = "verilator"
    unit = "cycles"
    statistic = "first call, cold memory system; call and return not counted"
    source = "measured"
    trust = (
        "Cycles counted by the RTL itself; as good as the memory model the simulator was built with. Correctness by "
        "hashes of the whole output, salted per evaluation, and samples, printed by the machine, on one input set. "
        "This project has not run it on RTL yet."
    )
    patience_s = 3600.0
    dumps_memory = False
    input_sets = ("dense",)
    calls = 1
    default_arguments = "+permissive +loadmem={program} +permissive-off {program}"

    def availability(self) -> Availability:
        named = self.environment.get(VERILATOR_VARIABLE)
        if not named:
            return Availability(
                False,
                f"set {VERILATOR_VARIABLE} to the simulator that Verilator made of a Chipyard system with Gemmini "
                f"(16x16 int8); its arguments go into {VERILATOR_ARGUMENTS_VARIABLE}. See {DOCUMENTATION}",
            )
        binary = self._which(named)
        if binary is None:
            return Availability(False, f"{VERILATOR_VARIABLE}={named} is not a program that can be run")
        if "{program}" not in self._arguments:
            return Availability(False, f"{VERILATOR_ARGUMENTS_VARIABLE} does not say where {{program}} goes")
        try:
            version = f"verilator+{stamp(binary, *self._named_files())}"
        except (ValueError, OSError) as error:
            return Availability(False, f"{VERILATOR_ARGUMENTS_VARIABLE} names what cannot be read: {error}")
        return Availability(True, f"{binary} {self._arguments}", version)

    def _named_files(self) -> Iterator[Path]:
        """Of the arguments, or in folders that they name: they describe the DRAM, for example. Raises ValueError,
        OSError."""
        for word in shlex.split(self._arguments):
            path = Path(word.rpartition("=")[2])
            if not path.is_absolute():  # it would be in the run's own folder
                continue
            if path.is_dir():
                yield from sorted(file for file in path.iterdir() if file.is_file())
            elif path.is_file():
                yield path

    @property
    def _arguments(self) -> str:
        return self.environment.get(VERILATOR_ARGUMENTS_VARIABLE) or self.default_arguments

    @property
    def configuration(self) -> str:
        return self._arguments

    async def execute(self, folder: Path, timeout_s: float) -> Executed:
        binary = self._which(self.environment.get(VERILATOR_VARIABLE, ""))
        if binary is None:
            raise EngineFailure("the Verilator simulator disappeared")
        arguments = [word.replace("{program}", PROGRAM) for word in shlex.split(self._arguments)]
        # A simulator built with threads uses several processors, and one of a large system much memory.
        limits = Limits(wall_s=timeout_s, file_bytes=1 << 30, memory_bytes=None, processors=os.cpu_count() or 1)
        return await run_logged(
            [str(binary), *arguments], cwd=folder, env=self._quiet_environment(folder), limits=limits
        )
