"""One evaluation on nkisim: screen, simulate in a process of its own beside the reference, judge."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import anyio.to_thread

from ..base import EngineFailure, Evaluation, Fault, InvalidProblemError, Problem, Recall, kernel_digest
from ..host_faults import check_process
from ..process import Finished, Limits, minimal_environment, run
from ..sandbox import Reach, check_required, interpreter
from ..simulating import Judgement, compile_error, deliver, generator
from .judge import judge
from .machines import ENGINES, machines
from .operators import InputSet, Operator, encoded, inputs_of, numpy_type, outputs_of
from .rules import folder_digest
from .screen import screen

if TYPE_CHECKING:
    import numpy as np

RUNNER = "autocomp_mcp.hardware_adapters.trainium.nkisim.runner"
MEMORY_BYTES = 4 << 30
FILE_BYTES = 1 << 30
NKI_NAMES = {"bool": "bool_"}  # element types that NumPy calls otherwise
OUT_OF_TIME = -24  # SIGXCPU


class Run(NamedTuple):
    """`schedule`: what the simulator says of the timed set; None unless the kernel ran to its end."""

    evaluation: Evaluation
    schedule: dict[str, Any] | None = None


@lru_cache
def engine_version() -> str:
    """Changes with every change of the simulator, of its machines or of what judges beside it."""
    return f"1+{folder_digest('nkisim')[:8]}"


async def evaluate_on_nkisim(
    problem: Problem,
    operator: Operator,
    source: str,
    engine: str,
    seed: int,
    timeout_s: float,
    *,
    timeline: Path | None = None,
    recall: Recall | None = None,
) -> Run:
    """`timeline` is a file to write. Raises EngineFailure, EnvironmentLackError, InvalidProblemError."""
    await check_required()
    digest = kernel_digest(source)
    screened = await anyio.to_thread.run_sync(screen, source)
    sets: tuple[InputSet, ...] = ()

    def concluded(judged: Judgement, **seconds: float) -> Evaluation:
        return Evaluation(
            problem=problem.id,
            kernel=digest,
            engine=engine,
            engine_version=engine_version(),
            source="estimated",
            compilation=screened.compilation,
            input_sets=tuple(chosen.name for chosen in sets),
            seed=seed,
            seconds={"compile": screened.compilation.seconds, **seconds},
            **judged._asdict(),
        )

    if screened.refused:
        return Run(concluded(Judgement("rejected", screened.refused)))
    if not screened.compilation.ok:
        return Run(concluded(compile_error(screened.compilation.diagnostics[0])))
    if recall is not None and (known := await recall(screened.compilation)) is not None:
        return Run(known)
    rng = generator(problem.digest, digest, seed)
    sets = await anyio.to_thread.run_sync(operator.sets, rng)
    started = time.monotonic()
    expected: list[dict[str, np.ndarray]] = []
    finished: Finished | None = None
    failure: OSError | EngineFailure | None = None
    unusable: InvalidProblemError | None = None

    async def compute() -> None:
        nonlocal unusable
        try:
            expected.extend(await operator.results(sets))
        except InvalidProblemError as error:  # raised after the group, which would wrap it
            unusable = error

    with tempfile.TemporaryDirectory(prefix="autocomp-nkisim-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        await anyio.to_thread.run_sync(_prepare, folder, operator, engine, sets, source, timeline is not None)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(compute)
            limits = Limits(wall_s=timeout_s, file_bytes=FILE_BYTES, memory_bytes=MEMORY_BYTES, output_bytes=1 << 16)
            environment = minimal_environment(folder, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
            command = [sys.executable, "-I", "-m", RUNNER, folder]
            try:
                finished = await run(command, cwd=folder, env=environment, limits=limits, reach=_reach())
            except (OSError, EngineFailure) as error:  # raised after the group, which would wrap it
                failure = error
            if finished is None or finished.timed_out:
                tasks.cancel_scope.cancel()
        if unusable is not None:
            raise unusable
        seconds = {"simulate": time.monotonic() - started}
        if finished is None:
            raise EngineFailure(f"nkisim cannot be started: {failure}")
        if finished.limit not in (None, "wall", "cpu"):
            fault = Fault(kind="limit_exceeded", message=f"the simulation did not end: {finished.ended_by}")
            return Run(concluded(Judgement("crashed", fault.message, fault), **seconds))
        check_process("nkisim", finished, timeout_s)
        if finished.timed_out or finished.returncode == OUT_OF_TIME:
            text = f"stopped after {timeout_s:.0f} s of simulating: an endless loop, or far too many instructions"
            return Run(concluded(Judgement("timed_out", text), **seconds))
        report = await anyio.to_thread.run_sync(_report, folder, finished.returncode, finished.stderr)
        outputs = await anyio.to_thread.run_sync(_outputs, folder, operator, len(sets), report)
        if timeline is not None and (folder / "timeline.json").is_file():
            await anyio.to_thread.run_sync(lambda: deliver((folder / "timeline.json").read_bytes(), timeline))
    checked = time.monotonic()
    judged = await anyio.to_thread.run_sync(judge, operator, engine, sets, expected, outputs, report, source)
    evaluation = concluded(judged, **seconds, check=time.monotonic() - checked)
    return Run(evaluation, report.get("schedule"))


def _reach() -> Reach:
    import ml_dtypes
    import numpy as np

    return interpreter(*(Path(str(package.__file__)).parents[1] for package in (np, ml_dtypes)))


def _prepare(
    folder: Path, operator: Operator, engine: str, sets: tuple[InputSet, ...], source: str, timeline: bool
) -> None:
    """Everything the simulator's process is given. The expected results are not among it."""
    jobs = []
    for number, chosen in enumerate(sets):
        entries = []
        for tensor in inputs_of(operator):
            file = f"{tensor.name}.{number}.in"
            chosen.inputs[tensor.name].tofile(folder / file)
            kind = NKI_NAMES.get(tensor.dtype, tensor.dtype)
            entries.append({"name": tensor.name, "file": file, "dtype": kind, "shape": list(tensor.shape)})
        jobs.append({"inputs": entries})
    job = {
        "machine": machines()[ENGINES[engine]].job,
        "sets": jobs,
        "outputs": [{"name": t.name, "dtype": t.dtype, "shape": list(t.shape)} for t in outputs_of(operator)],
        "constants": {name: encoded(value) for name, value in operator.constants.items()},
        "timeline": timeline,
    }
    (folder / "job.json").write_text(json.dumps(job))
    (folder / "kernel.py").write_text(source, encoding="utf-8")


def _report(folder: Path, returncode: int, stderr: str) -> dict[str, Any]:
    path = folder / "report.json"
    if returncode == 0 and path.is_file():
        # Names and messages are the kernel's: half a character in them could be neither kept nor sent.
        text = json.dumps(json.loads(path.read_text()), ensure_ascii=False)
        return json.loads(text.encode(errors="replace"))
    if "MemoryError" in stderr or returncode in (-11, -6):
        message = f"the simulator ran out of its {MEMORY_BYTES >> 30} GiB of memory, or was brought down by the kernel"
        return {"faults": [{"kind": "limit_exceeded", "message": message, "line": None}]}
    raise EngineFailure(f"nkisim ended with status {returncode}: {stderr.strip()[-600:] or 'it said nothing'}")


def _outputs(folder: Path, operator: Operator, count: int, report: dict[str, Any]) -> list[dict[str, np.ndarray]]:
    """Of the sets that ran to their end."""
    import numpy as np

    found = []
    for number, fault in enumerate(report["faults"][:count]):
        if fault is None:
            found.append(
                {
                    t.name: np.fromfile(folder / f"{t.name}.{number}.out", numpy_type(t.dtype)).reshape(t.shape)
                    for t in outputs_of(operator)
                }
            )
    return found
