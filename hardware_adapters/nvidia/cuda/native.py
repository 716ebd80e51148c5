"""The native runner as a process: what it is given, how it is started, what it says."""

from __future__ import annotations

import math
import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.to_thread

from ...base import EngineFailure, EnvironmentLackError
from ...process import Finished, Limits, minimal_environment, run
from ...sandbox import devices
from ...simulating import Judgement
from ..operators import FULL, SCRATCH_BYTES, InputSet, Operator, Right
from . import ncu, sanitizer
from .device import ORDER, VISIBLE
from .engines import SANITIZE, Setup
from .job import Argument, Case, Job, Report, read_report
from .looks import Look, looks

WARMUPS, TRIALS, ROUNDS = 10, 50, 3
FLUSH_BYTES = 512 << 20  # four times the largest L2 there is
FILE_BYTES = 4 << 30
# The driver's, its capabilities', those of Jetson boards and of Windows' subsystem.
DEVICES = ("nvidia*", "nvhost*", "nvmap", "nvgpu*", "dri", "dxg")
PASSED_ON = (VISIBLE, "NVIDIA_VISIBLE_DEVICES")


class Task(NamedTuple):
    """What the runner is to do. `sets`: of the job's cases, in order; `looked`: at its timed calls."""

    operator: Operator
    sets: Sequence[InputSet]
    job: Job
    looked: Sequence[Look] = ()


def task(operator: Operator, sets: Sequence[InputSet], programs: Sequence[Path], mode: str) -> Task:
    """`programs`: shared objects, the kernel's first."""
    import numpy as np

    inputs, outputs = operator.shapes(operator.dims)
    job = Job(
        mode=mode,
        programs=tuple(programs),
        arguments=(*(Argument(name, False, "float32") for name in inputs),
                   *(Argument(name, True, "float32") for name in outputs)),
        cases=tuple(_case(operator, chosen) for chosen in sets),
        scratch=SCRATCH_BYTES,
        flush=0,
        seed=secrets.randbits(63),
    )  # fmt: skip
    if mode != "time":
        return Task(operator, sets, job)
    looked, picks = looks(operator, np.random.default_rng(secrets.randbits(128)), TRIALS * ROUNDS)
    timing = {"warmups": WARMUPS, "trials": TRIALS, "rounds": ROUNDS, "picks": picks, "flush": FLUSH_BYTES}
    return Task(operator, sets, job._replace(**timing), looked)


def _case(operator: Operator, chosen: InputSet) -> Case:
    inputs, outputs = operator.shapes(chosen.dims)
    sizes = tuple(math.prod(shape) for shape in (*inputs.values(), *outputs.values()))
    values = tuple(chosen.inputs[name] for name in inputs)
    return Case(chosen.name, chosen.name.startswith(FULL), tuple(chosen.dims.values()), sizes, values)


class Bench(NamedTuple):
    """The runner and the folder with its job. Who calls a method has the device to himself."""

    setup: Setup
    folder: Path
    program: Path
    timeout_s: float

    async def run(self, given: Task) -> tuple[Report, list[dict[str, Right]]] | Judgement:
        """The reference is worked out on the CPU meanwhile, which does not disturb the device's clock.
        Raises EngineFailure, EnvironmentLackError."""
        expected: list[dict[str, Right]] = []
        finished: Finished | None = None
        failure: EngineFailure | EnvironmentLackError | None = None

        async def compute() -> None:
            for chosen in given.sets:
                expected.append(await anyio.to_thread.run_sync(given.operator.expected, chosen.inputs))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(compute)
            try:
                finished = await (self.profiled() if given.job.mode == "profile" else self.execute())
            except (EngineFailure, EnvironmentLackError) as error:  # raised after the group, which would wrap it
                failure = error
            if finished is None or finished.timed_out:
                tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        assert finished is not None
        if finished.timed_out:
            text = f"stopped after {self.timeout_s:.0f} s on the device: an endless loop, or far too slow"
            return Judgement("timed_out", text)
        return _report(finished), expected

    async def profiled(self) -> Finished:
        """Under Nsight Compute, whose log is in the folder then. Raises EnvironmentLackError, EngineFailure."""
        _require(ncu.PROGRAM, "it comes with the CUDA toolkit, as Nsight Compute")
        metrics, log = set(ncu.METRICS), self.folder / ncu.LOG
        while True:
            finished = await self.execute(ncu.command(name for name in ncu.METRICS if name in metrics))
            said = log.read_text(errors="replace") if log.is_file() else ""
            if unknown := ncu.unknown(said) & metrics:
                metrics -= unknown
                log.unlink()
                continue
            wrong = ncu.complaint(said)
            if not finished.timed_out and (wrong or not said) and not _told(finished):
                words = wrong or finished.stderr.strip()[-400:] or "it said nothing"
                raise EngineFailure(f"{ncu.PROGRAM} ended with status {finished.returncode}: {words}")
            return finished

    async def sanitized(self) -> Judgement | None:
        """What compute-sanitizer finds; None where that is nothing. Raises EnvironmentLackError, EngineFailure."""
        _require(SANITIZE, "it comes with the CUDA toolkit")
        log = self.folder / sanitizer.LOG
        for tool in sanitizer.TOOLS:
            finished = await self.execute(sanitizer.command(tool))
            if finished.timed_out:
                return Judgement("timed_out", f"stopped after {self.timeout_s:.0f} s under compute-sanitizer {tool}")
            if not log.is_file():
                raise EngineFailure(f"compute-sanitizer {tool} wrote no log: {finished.stderr.strip()[-400:]}")
            said = log.read_text(errors="replace")
            if (found := sanitizer.complaint(said, tool)) is not None:
                return found
            if finished.returncode != 0 or not _report(finished).ended or not sanitizer.clean(said, tool):
                words = " / ".join((said + finished.stderr).strip().splitlines()[-3:])[-400:]
                raise EngineFailure(f"compute-sanitizer {tool} ended with status {finished.returncode}: {words}")
            log.unlink()
        return None

    async def execute(self, wrapper: Sequence[str] = ()) -> Finished:
        """`wrapper`: the start of the command line, of a program that watches. Raises EngineFailure."""
        kit = self.setup.kit
        environment = minimal_environment(
            self.folder,
            LD_LIBRARY_PATH=kit.search_path,
            CUDA_CACHE_DISABLE="1",
            NV_COMPUTE_PROFILER_LOCAL_CONNECTION_OVERRIDE="uds",  # ncu's own; the sandbox has no network
            **ORDER,
            **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
        )
        limits = Limits(
            wall_s=self.timeout_s, file_bytes=FILE_BYTES, memory_bytes=None, output_bytes=8 << 20, processors=2
        )
        reach = devices(*DEVICES, read=(self.program, *kit.reach.read), debugging=bool(wrapper))
        try:
            return await run(
                [*wrapper, self.program, "job"], cwd=self.folder, env=environment, limits=limits, reach=reach
            )
        except OSError as error:
            raise EngineFailure(f"the runner cannot be started: {error}") from error


def _require(program: str, comes_with: str) -> None:
    if shutil.which(program) is None:
        raise EnvironmentLackError(f"{program} is not on PATH; {comes_with}")


def _told(finished: Finished) -> bool:
    """Whether the runner came to its end, or says what is wrong with the kernel."""
    report = read_report(_lines(finished))
    return report.ended or report.fault is not None


def _lines(finished: Finished) -> str:
    """The runner's; a program that watches it may say something too."""
    return "\n".join(line for line in finished.stdout.splitlines() if line.startswith("{"))


def _report(finished: Finished) -> Report:
    """Raises EngineFailure where the runner itself could not work."""
    report = read_report(_lines(finished))
    if finished.returncode in (2, 127) or not report.device:
        said = finished.stderr.strip()[-600:] or "it said nothing"
        raise EngineFailure(f"the runner ended with status {finished.returncode}: {said}")
    return report
