"""The embedded simulator: building it, giving it jobs, reading its answers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..base import EngineFailure, Tensor
from ..host_faults import check_process
from ..process import Finished, Limits, minimal_environment, run
from ..store import Home
from ..toolchain import HostProgram, build_host_program, source_digest
from .operators import DEFAULT_CONFIGURATION, tensor_bytes

if TYPE_CHECKING:
    import numpy as np

    from .operators import InputSet

SOURCES = Path(__file__).parent / "simulator"
# Floating point must come out the same on every machine: no fused multiply-add where the program has none.
BUILD_FLAGS = ("-O3", "-flto", "-std=c11", "-ffp-contract=off")
CALLS = (
    2  # of the timed case, cold and warm, and of the first functional one: what a call leaves behind must not matter
)
# A timed call that takes longer is not repeated warm: the caches' state matters little then, and simulating costs most.
WARM_BELOW_CYCLES = 1_000_000
POISON = (0xA5, 0x5A)  # what outputs are filled with before the first call, the second, ...

# Operands of the timed case lie the same way for every kernel, as in the measured corpus: A on a page, every further
# one at the next multiple of a cache line, here with one line between, so that overruns are seen.
BUFFER_BASE = 0x9000_0000
GUARD_BYTES = 64
LINE_BYTES = 64
# Functional cases lie elsewhere, so that a kernel with built-in addresses fails.
MAX_SHIFT_LINES = 1 << 12
# A kernel that misses the caches all the time is slow, not endless; instructions are what simulating costs.
CYCLES_PER_INSTRUCTION = 16
_MAX_ANSWER_BYTES = 4 << 20
_MEMORY_BYTES = 4 << 30


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class SimulatedFault(_Answer):
    kind: str
    message: str
    pc: int
    instruction: str = ""
    call: int


class Call(_Answer):
    cycles: int | None
    instret: int
    commands: int
    counters: dict[str, int] = Field(default_factory=dict)


class Case(_Answer):
    name: str
    status: Literal["ok", "fault"]
    fault: SimulatedFault | None = None
    calls: tuple[Call, ...] = ()


class Answer(_Answer):
    version: str
    cases: tuple[Case, ...]


class BufferTraffic(_Answer):
    """Bytes that the DMA moved into Gemmini from the buffer, and out of it to the buffer."""

    name: str
    bytes_in: int
    bytes_out: int


class Machine(_Answer):
    """Sizes and rates that figures are to be seen against."""

    spad_rows: int
    acc_rows: int
    macs_per_cycle: int
    port_bytes_per_cycle: int
    dram_bytes_per_cycle: float


class RowsLive(_Answer):
    """Average rows live in each interval of the call."""

    interval_cycles: int
    spad: tuple[int, ...]
    acc: tuple[int, ...]


class UnitsBusy(_Answer):
    interval_cycles: int
    percent: dict[str, tuple[int, ...]]


class RawProfile(_Answer):
    """What the simulator writes about the first timed call."""

    cycles: int
    counters: dict[str, int]
    machine: Machine
    occupancy: RowsLive | None = None
    activity: UnitsBusy | None = None
    pc_cycles: tuple[tuple[int, int, int], ...] = ()
    buffers: tuple[BufferTraffic, ...] = ()
    commands: dict[str, int] = Field(default_factory=dict)
    spad_rows_used: int | None = None
    acc_rows_used: int | None = None


class Buffer(NamedTuple):
    name: str
    address: int
    bytes: int
    role: str
    file: str


class JobCase(NamedTuple):
    name: str
    timed: bool
    buffers: tuple[Buffer, ...]
    calls: int = CALLS

    def complete(self, said: Case) -> bool:
        """Whether the simulator made every call it should have made."""
        alone = self.timed and len(said.calls) == 1 and (said.calls[0].cycles or 0) >= WARM_BELOW_CYCLES
        return said.status == "fault" or len(said.calls) == self.calls or alone


class Results(NamedTuple):
    """The answer, and per case and finished call what was left in the outputs, by name, in their tensors' shapes."""

    answer: Answer
    outputs: tuple[tuple[dict[str, np.ndarray], ...], ...]
    profile: RawProfile | None


class TimedOut(Exception):
    """The simulation was stopped at the caller's wall-clock limit."""


@functools.cache
def _package_version() -> str:
    try:
        return version("autocomp-mcp")
    except PackageNotFoundError:
        return "0"


def engine_version() -> str:
    """Changes whenever the simulator could answer differently: package version and digest of its sources."""
    return f"{_package_version()}+{source_digest(source_files(), ' '.join(BUILD_FLAGS))[:8]}"


@functools.cache
def source_files() -> tuple[Path, ...]:
    """Which they are is looked up once; whether one has changed is looked at each time (see source_digest)."""
    return tuple(sorted(path for path in SOURCES.iterdir() if path.suffix in (".c", ".h")))


async def simulator(home: Home, announce: Callable[[], None] | None = None) -> Path:
    """The simulator's program, built at first use, `announce` called before. Raises EnvironmentLackError."""
    return await build_host_program(home, host_program(), announce)


def host_program() -> HostProgram:
    return HostProgram("gemsim", source_files(), (*BUILD_FLAGS, "-I", str(SOURCES)))


def layout(tensors: Sequence[Tensor], base: int, case: str) -> tuple[Buffer, ...]:
    """Place the operands one after the other from `base`, with their files named after case and tensor."""
    buffers, address = [], base
    for tensor in tensors:
        size = tensor_bytes(tensor)
        buffers.append(Buffer(tensor.name, address, size, tensor.role, f"{case}.{tensor.name}"))
        address = -(-(address + size + GUARD_BYTES) // LINE_BYTES) * LINE_BYTES
    return tuple(buffers)


def job_cases(tensors: Sequence[Tensor], sets: Sequence[InputSet], rng: np.random.Generator) -> tuple[JobCase, ...]:
    """One case per input set: the timed one in the canonical layout, the others at random lines."""
    cases: list[JobCase] = []
    for chosen in sets:
        base = BUFFER_BASE if chosen.timed else BUFFER_BASE + LINE_BYTES * int(rng.integers(1, MAX_SHIFT_LINES))
        repeated = chosen.timed or all(case.timed for case in cases)
        cases.append(JobCase(chosen.name, chosen.timed, layout(tensors, base, chosen.name), CALLS if repeated else 1))
    return tuple(cases)


def set_of(case: int, call: int, sets: int) -> int:
    """The input set of a call: the second call of a case is on the next set's data, at the same addresses, so that a
    result kept from the first is of no use."""
    return (case + call) % sets


def job_text(
    cases: Sequence[JobCase],
    limit: int,
    profile: bool,
    timeline: bool,
    configuration: str = DEFAULT_CONFIGURATION,
) -> str:
    """The job in the simulator's language; all paths are names in the job's own folder."""
    lines = ["elf kernel.elf", "entry solution"]
    lines += [f"config {configuration}"] if configuration != DEFAULT_CONFIGURATION else []
    lines += [f"limit-instructions {limit}", f"limit-cycles {limit * CYCLES_PER_INSTRUCTION}"]
    lines += [f"repeat-below {WARM_BELOW_CYCLES}"]
    lines += ["profile profile.json"] if profile else []
    lines += ["timeline timeline.json"] if timeline else []
    for case in cases:
        lines.append(f"case {case.name} {'timed' if case.timed else 'functional'}")
        lines += [f"buffer {b.name} {b.address:#x} {b.bytes} {b.role} {b.file}" for b in case.buffers]
        lines.append(f"calls {case.calls}")
    return "\n".join(lines) + "\n"


async def simulate(
    program: Path,
    kernel: Path,
    tensors: Sequence[Tensor],
    cases: Sequence[JobCase],
    sets: Sequence[InputSet],
    *,
    folder: Path,
    limit: int,
    timeout_s: float,
    profile: bool = False,
    timeline: bool = False,
    configuration: str = DEFAULT_CONFIGURATION,
) -> Results:
    """Run the cases of one evaluation in `folder` (empty, the caller's): the timed ones in one process, the others in
    another beside it, since the timed ones take most of the time.

    Raises TimedOut, and EngineFailure when the simulator itself failed: it died, refused the job, or made no sense.
    """
    jobs = [group for timed in (True, False) if (group := [case for case in cases if case.timed == timed])]

    def write() -> None:
        import numpy as np

        (folder / "kernel.elf").symlink_to(kernel)
        for number, case in enumerate(cases):
            for buffer in case.buffers:
                if buffer.role == "input":
                    given = (sets[set_of(number, call, len(sets))] for call in range(case.calls))
                    data = (np.ascontiguousarray(chosen.inputs[buffer.name]).tobytes() for chosen in given)
                    (folder / buffer.file).write_bytes(b"".join(data))
        for number, group in enumerate(jobs):
            wanted = number == 0
            text = job_text(group, limit, profile and wanted, timeline and wanted, configuration)
            (folder / f"job{number}").write_text(text)

    await anyio.to_thread.run_sync(write)
    limits = Limits(wall_s=timeout_s, memory_bytes=_MEMORY_BYTES, output_bytes=_MAX_ANSWER_BYTES)
    ended: dict[int, Finished | OSError] = {}

    async def run_job(number: int) -> None:
        command = [program, "job", f"job{number}"]
        try:
            ended[number] = await run(command, cwd=folder, env=minimal_environment(folder), limits=limits)
        except OSError as error:
            ended[number] = error

    async with anyio.create_task_group() as tasks:
        for number in range(len(jobs)):
            tasks.start_soon(run_job, number)
    answers = [_ended(ended[number], group, timeout_s) for number, group in enumerate(jobs)]
    said_by_name = {case.name: case for answer in answers for case in answer.cases}
    for case in cases:
        if not case.complete(said_by_name[case.name]):
            raise EngineFailure(f"gemsim made {len(said_by_name[case.name].calls)} calls of case {case.name!r}")
    answer = answers[0].model_copy(update={"cases": tuple(said_by_name[case.name] for case in cases)})
    outputs = tuple(
        _outputs(folder, case, tensors, len(said.calls)) for case, said in zip(cases, answer.cases, strict=True)
    )
    complete = profile and bool(answer.cases[0].calls)
    return Results(answer, outputs, read_profile(folder / "profile.json") if complete else None)


def _ended(finished: Finished | OSError, cases: Sequence[JobCase], wall_s: float) -> Answer:
    """Raises TimedOut and EngineFailure."""
    if isinstance(finished, OSError):
        raise EngineFailure(f"gemsim cannot be started: {finished}") from finished
    check_process("gemsim", finished, wall_s)
    if finished.timed_out:
        raise TimedOut
    return read_answer(finished, [case.name for case in cases])


def read_answer(finished: Finished, cases: Sequence[str]) -> Answer:
    """The simulator's answer to a job with these cases. Raises EngineFailure for anything but a sound one."""
    if finished.returncode != 0:
        raise EngineFailure(f"gemsim ended with status {finished.returncode}: {finished.stderr.strip()[-400:]!r}")
    if finished.truncated:
        raise EngineFailure("gemsim's answer is longer than 4 MiB")
    try:
        answer = Answer.model_validate_json(finished.stdout)
    except ValidationError as error:
        raise EngineFailure(f"gemsim's answer does not parse: {str(error)[:400]}") from error
    if [case.name for case in answer.cases] != list(cases):
        raise EngineFailure(f"gemsim answered for {[case.name for case in answer.cases]}, asked was {list(cases)}")
    for case in answer.cases:
        if (case.status == "fault") != (case.fault is not None):
            raise EngineFailure(f"gemsim's answer for case {case.name!r} contradicts itself")
        if case.fault is not None and case.fault.kind == "host_error":
            raise EngineFailure(f"gemsim failed: {case.fault.message}")
    return answer


def read_profile(path: Path) -> RawProfile:
    """Raises EngineFailure."""
    try:
        return RawProfile.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise EngineFailure(f"gemsim's profile cannot be read: {str(error)[:400]}") from error


def _outputs(folder: Path, case: JobCase, tensors: Sequence[Tensor], calls: int) -> tuple[dict[str, np.ndarray], ...]:
    """Per finished call, the output tensors."""
    import numpy as np

    found: dict[str, np.ndarray] = {}
    for buffer, tensor in zip(case.buffers, tensors, strict=True):
        if buffer.role != "output":
            continue
        try:
            data = np.fromfile(folder / buffer.file, tensor.dtype) if calls else np.empty(0, tensor.dtype)
            found[tensor.name] = data.reshape(calls, *tensor.shape)
        except (OSError, ValueError) as error:
            raise EngineFailure(
                f"gemsim left no complete {tensor.name} for {calls} calls of case {case.name!r}"
            ) from error
    return tuple({name: data[call] for name, data in found.items()} for call in range(calls))
