"""The two processes of a Triton kernel: jobs for the interpreter and for the compiler, and what their reports say."""

from __future__ import annotations

import json
import math
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..base import EngineFailure, Fault
from ..host_faults import check_process
from ..process import Finished, Limits, minimal_environment, run
from ..sandbox import interpreter
from .counts import LaunchCounts, Site
from .forms import cuobjdump
from .nvcc import KernelFacts
from .operators import SCRATCH_BYTES, InputSet, Operator
from .uncertainty import AMOUNTS, covariance

if TYPE_CHECKING:
    import numpy as np

RUNNER = "autocomp_mcp.hardware_adapters.nvidia.tritonsim.runner"
MEMORY_BYTES = 8 << 30  # of addresses: Triton's own library takes several
FILE_BYTES = 1 << 30
OUT_OF_TIME = -signal.SIGXCPU
CRASHED = (-11, -6, -7, -8)
MOST_PROGRAMS = 12  # of a launch at the shape of the id
COUNTING_S = 2.0  # what they may take, once one of them has run
CALLS = 2  # of launch with the first set, one after the other: what a call leaves behind must not matter


class Interpreted(NamedTuple):
    """Of one input set. `outputs`: of each call."""

    outputs: tuple[dict[str, np.ndarray], ...] = ()
    launches: tuple[dict[str, Any], ...] = ()
    fault: Fault | None = None
    started: str = ""


class CompiledTriton(NamedTuple):
    """`kernels`, `shared`: by name; `error`: (message, line) of what the device's compiler refuses; `started`: by
    shape, what is equal for equal launches, here and where they are interpreted."""

    kernels: dict[str, KernelFacts]
    shared: dict[str, int]
    error: tuple[str, int | None] | None = None
    started: tuple[str, ...] = ()


class TimedOut(Exception):
    """The process was stopped at its limit."""


async def interpret(
    folder: Path,
    source: str,
    operator: Operator,
    sets: Sequence[InputSet],
    whole: InputSet | None,
    timeout_s: float,
    *,
    seed: int,
    programs: int = MOST_PROGRAMS,
    counting_s: float = COUNTING_S,
) -> list[Interpreted]:
    """`sets`: run in full; `whole`: some programs of it, drawn by `seed` and counted. Fewer answers than sets: the last
    one has a fault. Raises TimedOut, and EngineFailure for a process that was killed or hung."""
    every = [*sets, *([whole] if whole is not None else [])]
    entries = []
    data = folder / "interpret"
    data.mkdir()
    for number, chosen in enumerate(every):
        inputs, outputs = operator.shapes(chosen.dims)
        for name, values in chosen.inputs.items():
            values.tofile(data / f"{name}.{number}.in")
        twice = number == 0 and chosen is not whole
        for name, values in (chosen.then or {}).items() if twice else ():
            values.tofile(data / f"{name}.{number}.then")
        entries.append(
            {
                "inputs": inputs,
                "outputs": outputs,
                "programs": programs if chosen is whole else None,
                "seconds": counting_s,
                "seed": seed,
                "calls": CALLS if twice else 1,
                "then": twice and chosen.then is not None,
            }
        )
    report = await _run(folder, source, {"mode": "interpret", "sets": entries}, timeout_s, processors=1)
    found = []
    for number, (said, chosen, entry) in enumerate(zip(report["sets"], every, entries, strict=False)):
        if said["fault"] is not None:
            found.append(Interpreted(fault=Fault(**said["fault"], call=said.get("call"))))
            break
        outputs = tuple(_outputs(data, operator, chosen, number, call) for call in range(entry["calls"]))
        found.append(Interpreted(outputs, tuple(said["launches"]), started=said["started"]))
    return found


async def compile_for(
    folder: Path,
    source: str,
    operator: Operator,
    shapes: Sequence[Mapping[str, int]],
    architecture: str,
    timeout_s: float,
) -> CompiledTriton:
    """The first of `shapes` is that of the id. Raises TimedOut, EngineFailure."""
    entries = []
    for dims in shapes:
        inputs, outputs = operator.shapes(dims)
        entries.append({"name": "x".join(map(str, dims.values())), "tensors": [*inputs.values(), *outputs.values()]})
    job = {
        "mode": "compile", "shapes": entries, "capability": int(architecture.removeprefix("sm_")),
        "cuobjdump": str(cuobjdump()),
    }  # fmt: skip
    report = await _run(folder, source, job, timeout_s, processors=4)
    kernels: dict[str, KernelFacts] = {}
    shared: dict[str, int] = {}
    for made in report["kernels"]:
        if made["full"] and made["registers"] is not None:
            facts = KernelFacts(made["registers"], 0, made["stack"], made["local"] or 0, 0)
            name = made["kernel"]
            kernels[name] = max(kernels.get(name, facts), facts)
            shared[name] = max(shared.get(name, 0), made["shared"])
    error = None
    if report["error"] is not None:
        said = report["error"]
        error = (said["message"] + (f" (shape {said['shape']})" if said["shape"] else ""), said["line"])
    return CompiledTriton(kernels, shared, error, tuple(report.get("launched", ())))


async def _run(parent: Path, source: str, job: dict[str, Any], timeout_s: float, *, processors: int) -> dict[str, Any]:
    folder = parent / job["mode"]  # each process has one of its own
    folder.mkdir(exist_ok=True)
    (folder / "job.json").write_text(json.dumps({**job, "scratch": SCRATCH_BYTES // 4}))
    (folder / "kernel.py").write_text(source, encoding="utf-8")
    environment = minimal_environment(folder, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", TRITON_HOME=str(folder))
    limits = Limits(
        wall_s=timeout_s, file_bytes=FILE_BYTES, memory_bytes=MEMORY_BYTES, output_bytes=1 << 16, processors=processors
    )
    try:
        reach = interpreter()._replace(processes=job["mode"] == "compile")  # which runs ptxas
        command = [sys.executable, "-I", "-m", RUNNER, folder]
        finished = await run(command, cwd=folder, env=environment, limits=limits, reach=reach)
    except OSError as error:
        raise EngineFailure(f"the process for Triton cannot be started: {error}") from error
    check_process("the process for Triton", finished, timeout_s)
    if finished.timed_out or finished.returncode == OUT_OF_TIME:
        raise TimedOut
    return _report(folder, finished)


def _report(folder: Path, finished: Finished) -> dict[str, Any]:
    path = folder / "report.json"
    if finished.returncode == 0 and path.is_file():
        return json.loads(path.read_text())
    if "MemoryError" in finished.stderr or finished.returncode in CRASHED:
        message = f"ran out of {MEMORY_BYTES >> 30} GiB of memory, or brought Triton down"
        fault = {"kind": "limit_exceeded", "message": message, "line": None}
        return {"sets": [{"fault": fault}], "error": {**fault, "shape": None}, "kernels": []}
    said = finished.stderr.strip()[-600:] or "it said nothing"
    raise EngineFailure(f"the process for Triton ended with status {finished.returncode}: {said}")


def _outputs(folder: Path, operator: Operator, chosen: InputSet, number: int, call: int) -> dict[str, np.ndarray]:
    import numpy as np

    _, outputs = operator.shapes(chosen.dims)
    return {
        name: np.fromfile(folder / f"{name}.{number}.{call}.out", np.float32).reshape(shape)
        for name, shape in outputs.items()
    }


def counts(launches: Sequence[Mapping[str, Any]], shared: Mapping[str, int]) -> tuple[LaunchCounts, ...]:
    """Of launches at the shape of the id."""
    return tuple(
        LaunchCounts(
            kernel=said["kernel"],
            line=said["line"],
            grid=tuple(said["grid"]),
            block=(said["threads"], 1, 1),
            static_shared=0,
            dynamic_shared=shared.get(said["kernel"], 0),
            blocks_run=said["run"],
            barriers=said["barriers"],
            block_read_sectors=said["block_sectors"][0],
            block_write_sectors=said["block_sectors"][1],
            unique_read_sectors=said["unique_sectors"][0],
            unique_write_sectors=said["unique_sectors"][1],
            operand_sectors=said["operand_sectors"],
            covariance=_of_what_is_written(said),
            sites=tuple(
                Site(line, said["kernel"], "global", op, width, requests, sectors, ideal, 0, 0, threads)
                for line, op, width, requests, sectors, ideal, threads in said["sites"]
            ),
        )
        for said in launches
        if math.prod(said["grid"])
    )


def _of_what_is_written(said: Mapping[str, Any]) -> tuple[tuple[float, ...], ...]:
    """The covariance where nothing else is known of how programs differ."""
    amount = AMOUNTS.index("written sectors")
    work = [0.0] * len(AMOUNTS)
    differences = [0.0] * (len(AMOUNTS) * (len(AMOUNTS) + 1) // 2)
    work[amount] = said["block_sectors"][1]
    differences[amount * (amount + 3) // 2] = said["stored_differences"]
    return covariance(work, differences, said["run"], math.prod(said["grid"]))


def seconds_of_all(launches: Sequence[Mapping[str, Any]]) -> float:
    """What interpreting every program would take, by those that ran."""
    return sum(said["seconds"] * math.prod(said["grid"]) / max(1, said["run"]) for said in launches)


def dot_flops(launches: Sequence[Mapping[str, Any]]) -> int:
    """What tl.dot multiplies and adds in all programs."""
    return round(sum(said["dot_flops"] * math.prod(said["grid"]) / max(1, said["run"]) for said in launches))
