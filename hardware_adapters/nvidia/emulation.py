"""The target's side of the emulator: jobs from input sets, counts and outputs from reports."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio.to_thread

from ..base import Diagnostic, Fault
from ..process import Limits
from ..store import Home
from .counts import LaunchCounts, Site
from .cpusim.build import Program, cxx_compiler, emulator, emulator_version
from .cpusim.build import build as build_program
from .cpusim.emulate import MAX_SHARED_BYTES, MEMORY_BYTES, SCRATCH, Buffer, Job
from .cpusim.emulate import emulate as run_job
from .cpusim.report import Report
from .cpusim.rewrite import Unsupported, rewrite
from .machines import Machine
from .operators import InputSet, Operator
from .uncertainty import covariance

if TYPE_CHECKING:
    import numpy as np

CPU_S = 3600.0  # the emulator's own clock never speaks first: our limit is the caller's
FILE_BYTES = 2 << 30


class Built(NamedTuple):
    """`program` is None where `unsupported` names what the emulator does not do, `refused` what no kernel may do, or
    where diagnostics have an error."""

    program: Program | None
    compiler: str
    diagnostics: tuple[Diagnostic, ...] = ()
    unsupported: str | None = None
    refused: str | None = None


class Outcome(NamedTuple):
    """`outputs`: of the last call, and of those before it in `earlier`. `complete`: all launches and places of access
    are in it. `fills`: cudaMemsetAsync and its like, `filled_bytes` what these move."""

    launches: tuple[LaunchCounts, ...] = ()
    outputs: dict[str, np.ndarray] = {}  # noqa: RUF012 - never changed
    earlier: tuple[dict[str, np.ndarray], ...] = ()
    fault: Fault | None = None
    returned: int | None = None
    timed_out: bool = False
    complete: bool = True
    fills: int = 0
    filled_bytes: int = 0


def host_compiler_title() -> str:
    """Raises EnvironmentLackError."""
    return cxx_compiler().title.replace("zig ", "zig c++ ", 1)


def simulator_digest() -> str:
    return emulator_version()


async def prepare(home: Home, announce: Callable[[str], None]) -> None:
    await emulator(home, lambda: announce("the emulator"))


async def build(home: Home, device: Machine, source: str, *, checked: bool = True) -> Built:
    """For `device`, whose compute capability kernels may ask for. Without `checked` for what runs long: nothing is
    counted, and little but bounds is checked. Raises EnvironmentLackError (no C++ compiler), EngineFailure."""
    compiler = host_compiler_title()
    try:
        translated = await anyio.to_thread.run_sync(rewrite, source)
    except Unsupported as error:
        where = f"line {error.line}: " if error.line else ""
        text = f"{where}{error.message} ({error.kind.replace('_', ' ')}): the cpu engine does not run this"
        return Built(None, compiler, (Diagnostic(severity="error", message=text, line=error.line),), text)
    made = await build_program(home, translated, checked=checked, capability=device.compute_capability)
    return Built(made.program, compiler, made.diagnostics, refused=made.refused)


async def emulate(
    built: Built,
    device: Machine,
    operator: Operator,
    chosen: InputSet,
    folder: Path,
    *,
    order: int,
    blocks: int | None,
    seconds: float = 0.0,
    trace: bool,
    calls: int,
    seed: int,
    timeout_s: float,
) -> Outcome:
    """Run `launch` on the set: `blocks` of each launch, drawn by `seed`, or all; no further ones after
    `seconds` of processor time, 0 for no such limit. Raises EngineFailure."""
    assert built.program is not None
    inputs, outputs = operator.shapes(chosen.dims)
    buffers = [Buffer(name, 4 * math.prod(shape), "input", f"{name}.in") for name, shape in inputs.items()]
    buffers += [Buffer(name, 4 * math.prod(shape), "output", f"{name}.out") for name, shape in outputs.items()]
    job = Job(
        tuple(chosen.dims.values()), (*buffers, SCRATCH), order=order, blocks=blocks, trace=trace, calls=calls,
        seed=seed, cpu_s=CPU_S, seconds=seconds, shared_bytes=min(device.shared_bytes_per_block, MAX_SHARED_BYTES),
    )  # fmt: skip

    def write() -> None:
        for name, values in chosen.inputs.items():
            with (folder / f"{name}.in").open("wb") as stream:
                values.tofile(stream)
                if calls > 1 and chosen.then is not None:
                    chosen.then[name].tofile(stream)

    await anyio.to_thread.run_sync(write)
    limits = Limits(wall_s=timeout_s, file_bytes=FILE_BYTES, memory_bytes=MEMORY_BYTES)
    report = await run_job(built.program, job, folder, limits)
    if report.fault is not None:
        return Outcome(fault=_fault(report), timed_out=report.fault.kind == "timeout")
    if report.returned:  # the calls after it were not made
        return Outcome(returned=report.returned)
    found = await anyio.to_thread.run_sync(_outputs, folder, outputs, calls)
    return Outcome(
        _launches(report), found[-1], tuple(found[:-1]), returned=report.returned, complete=report.complete,
        fills=report.fills, filled_bytes=report.filled_bytes,
    )  # fmt: skip


def _fault(report: Report) -> Fault:
    said = report.fault
    assert said is not None
    message = said.message
    if said.kernel is not None:
        where = [f"in {said.kernel}"]
        where += [f"{name} {tuple(place)}" for name, place in (("block", said.block), ("thread", said.thread)) if place]
        message += f" ({', '.join(where)})"
    return Fault(kind=said.kind, message=message, line=said.line)


def _outputs(folder: Path, shapes: dict[str, tuple[int, ...]], calls: int) -> list[dict[str, np.ndarray]]:
    import numpy as np

    read = {name: np.fromfile(folder / f"{name}.out", np.float32).reshape(calls, *s) for name, s in shapes.items()}
    return [{name: values[call] for name, values in read.items()} for call in range(calls)]


def _launches(report: Report) -> tuple[LaunchCounts, ...]:
    """Accesses are reported by kernel: several launches of one kernel share them by the blocks that ran."""
    run: dict[str, int] = {}
    for launch in report.launches:
        run[launch.kernel] = run.get(launch.kernel, 0) + launch.blocks_run
    return tuple(
        LaunchCounts(
            kernel=launch.kernel,
            line=launch.line or None,
            grid=launch.grid,
            block=launch.block,
            static_shared=launch.static_bytes,
            dynamic_shared=launch.dynamic_bytes,
            blocks_run=launch.blocks_run,
            barriers=launch.barriers,
            block_read_sectors=launch.block_read_sectors,
            block_write_sectors=launch.block_write_sectors,
            unique_read_sectors=launch.unique_read_sectors,
            unique_write_sectors=launch.unique_write_sectors,
            operand_sectors=launch.operand_sectors,
            covariance=covariance(launch.work, launch.differences, launch.blocks_run, launch.blocks),
            sites=tuple(
                Site(
                    site.line or 0, site.kernel, site.space, site.op, site.bytes,
                    *(
                        round(count * launch.blocks_run / run[launch.kernel])
                        for count in (
                            site.requests, site.sectors, site.ideal_sectors, site.wavefronts, site.ideal_wavefronts,
                            site.threads,
                        )
                    ),
                )
                for site in report.sites
                if site.kernel == launch.kernel
            ),
        )
        for launch in report.launches
    )  # fmt: skip
