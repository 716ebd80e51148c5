"""A definition's reference, worked out beside the server: a process with limits, inputs and results as .npy files."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread

from ..errors import EngineFailure, InvalidProblemError
from ..host_faults import check_process
from ..process import Finished, Limits, minimal_environment, run
from ..results import Tensor
from ..sandbox import interpreter
from .definition import FLOATS

if TYPE_CHECKING:
    import numpy as np

    from .definition import Definition

    Array = np.ndarray
    Arrays = Mapping[str, Array]

RUNNER = Path(__file__).with_name("reference_runner.py")
WALL_S = 20.0
MEMORY_BYTES = 4 << 30
RESULT_BYTES = 1 << 30  # of one file: int64 or float64 of what is at most 64 MiB as int8
MAX_ANSWER = 64 << 10


async def results(definition: Definition, cases: Sequence[Arrays]) -> list[dict[str, Array]]:
    """The outputs of every case, in the tensors' shapes and types. The reference gets integers as int64 and others as
    float64, so that nothing overflows or is rounded on the way.

    Raises InvalidProblemError where the reference fails, takes too long, or gives what no output can hold.
    """
    with tempfile.TemporaryDirectory(prefix="autocomp-reference-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        await anyio.to_thread.run_sync(_write, definition, cases, folder)
        limits = Limits(wall_s=WALL_S, memory_bytes=MEMORY_BYTES, file_bytes=RESULT_BYTES, output_bytes=64 << 10)
        # Threads of a linear algebra library would each reserve address space, of which there is a limit.
        environment = minimal_environment(folder, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
        try:
            command = [sys.executable, "-I", "-B", RUNNER, _numpy_place()]
            reach = interpreter(RUNNER.parent, _numpy_place())
            finished = await run(command, cwd=folder, env=environment, limits=limits, reach=reach)
        except OSError as error:
            raise EngineFailure(f"Python cannot be started for the reference: {error}") from error
        return await anyio.to_thread.run_sync(_read, definition, len(cases), folder, finished)


def _numpy_place() -> Path:
    import numpy as np

    return Path(np.__file__).parents[1]


def _write(definition: Definition, cases: Sequence[Arrays], folder: Path) -> None:
    import numpy as np

    job = {
        "language": definition.language,
        "text": definition.reference,
        "inputs": [t.name for t in definition.inputs],
        "outputs": [t.name for t in definition.outputs],
        "dims": definition.dims,
        "cases": len(cases),
    }
    (folder / "job.json").write_text(json.dumps(job))
    for number, inputs in enumerate(cases):
        for tensor in definition.inputs:
            values = inputs[tensor.name]
            if tensor.dtype == "bfloat16":  # which NumPy's files do not know
                values = values.astype(np.float32)
            np.save(folder / f"{number}.{tensor.name}.npy", values, allow_pickle=False)


def _read(definition: Definition, cases: int, folder: Path, finished: Finished) -> list[dict[str, Array]]:
    check_process("the reference's process", finished)  # hanging is its author's doing
    if finished.timed_out:
        raise _wrong(definition, f"it was stopped after {WALL_S:.0f} s: an endless loop, or far too slow")
    if finished.limit is not None:
        raise _wrong(definition, finished.ended_by)
    answer = folder / "answer.json"
    try:
        said = json.loads(answer.read_text()) if _is_file(answer) and answer.stat().st_size < MAX_ANSWER else {}
    except ValueError:
        said = {}
    if not isinstance(said, dict) or said.get("done") != cases:
        default = f"it ended with status {finished.returncode}: {finished.stderr.strip()[-300:] or 'no message'}"
        raise _wrong(definition, str(said.get("error") or default) if isinstance(said, dict) else default)
    return [{t.name: _result(definition, t, case, folder) for t in definition.outputs} for case in range(cases)]


def _result(definition: Definition, tensor: Tensor, case: int, folder: Path) -> Array:
    import numpy as np

    path = folder / f"{case}.{tensor.name}.result.npy"
    try:
        if not _is_file(path):
            raise ValueError("there is no such file")
        return fitted(definition, tensor, np.load(path, allow_pickle=False))
    except (OSError, ValueError) as error:
        raise _wrong(definition, f"its result {tensor.name} cannot be read: {str(error)[:200]}") from error


def _is_file(path: Path) -> bool:
    """Not what a link or a pipe of the user's code would lead to."""
    return path.is_file() and not path.is_symlink()


def fitted(definition: Definition, tensor: Tensor, result: Array) -> Array:
    """The result in the tensor's type, float32 for bfloat16. Raises InvalidProblemError for another shape, and for
    values that it cannot hold: rounding and saturation are the reference's own business."""
    import numpy as np

    if result.shape != tensor.shape:
        raise _wrong(definition, f"{tensor.name} comes out with shape {list(result.shape)}, not {list(tensor.shape)}")
    if not np.isfinite(result).all():
        raise _wrong(definition, f"{tensor.name} has values that are infinite or not a number", "ranges")
    if tensor.dtype in FLOATS:
        with np.errstate(over="ignore"):
            narrow = result.astype(np.float32)
        if not np.isfinite(narrow).all():
            raise _wrong(definition, f"{tensor.name} has values beyond float32", "ranges")
        return narrow
    if np.issubdtype(result.dtype, np.floating) and (result != np.rint(result)).any():
        odd = float(result[result != np.rint(result)].flat[0])
        raise _wrong(definition, f"{tensor.name} is {tensor.dtype}, but {odd:g} comes out: round it, e.g. np.rint(…)")
    limits = np.iinfo(tensor.dtype)
    outside = (result < limits.min) | (result > limits.max)
    if outside.any():
        raise _wrong(
            definition,
            f"{tensor.name} is {tensor.dtype}, but {float(result[outside].flat[0]):.0f} comes out: saturate it, "
            f"e.g. np.clip(…, {limits.min}, {limits.max})",
        )
    return result.astype(tensor.dtype)


def _wrong(definition: Definition, what: str, field: str = "reference") -> InvalidProblemError:
    return InvalidProblemError(field if definition.language == "expression" else "reference.py", what)
