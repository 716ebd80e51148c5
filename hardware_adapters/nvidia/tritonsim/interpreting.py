"""A job of interpretation: `launch` is called on every input set; outputs go to files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.ma
import triton.language as tl  # pyright: ignore[reportMissingImports]

from . import interpreter
from .addressed import Addressed
from .calling import arguments_of
from .errors import described
from .hazards import Hazards
from .keeping import Keeping
from .memory import Buffer, Memory

# At the shape of the id: larger outputs would take too much memory, 36 bytes for every element.
MAX_FOLLOWED = 1 << 26
POISON = 0xFFFFFFFF  # of outputs, as ../judge.py knows it: arithmetic makes other NaN


def _tensor(buffer: Buffer) -> Addressed:
    return Addressed(buffer.start, buffer.shape, tl.float32)


interpreter.install()
# Triton imports more when it first sees a tensor: then nothing can be imported any more.
interpreter.interpreter._implicit_cvt(_tensor(Buffer("first", "input", (1,))))


def run_job(
    job: dict[str, Any], folder: Path, guard: Callable[..., Any], load: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Ends with the first set that fails."""
    try:
        names = load()
        launch, keeping = names["launch"], Keeping(names)
    except Exception as error:
        return {"sets": [_failed(error)]}
    report: dict[str, Any] = {"sets": []}
    for number, chosen in enumerate(job["sets"]):
        made = _set(number, chosen, job["scratch"], folder, guard, launch, keeping)
        report["sets"].append(made)
        if made["fault"] is not None:
            break
    return report


def _failed(error: BaseException, **more: Any) -> dict[str, Any]:
    kind, message, line = described(error)
    return {"fault": {"kind": kind, "message": message, "line": line}, "launches": [], **more}


def _set(
    number: int,
    chosen: dict[str, Any],
    scratch: int,
    folder: Path,
    guard: Callable[..., Any],
    launch: Any,
    keeping: Keeping,
) -> dict[str, Any]:
    buffers = [Buffer(name, "input", shape) for name, shape in chosen["inputs"].items()]
    for buffer in buffers:
        buffer.values[:] = np.fromfile(folder / f"{buffer.name}.{number}.in", np.float32)
    outputs = [Buffer(name, "output", shape) for name, shape in chosen["outputs"].items()]
    area = Buffer("scratch", "scratch", (scratch,))
    every = [*buffers, *outputs, area]
    tensors = [_tensor(buffer) for buffer in every]
    followed = chosen["programs"] is None or sum(buffer.values.size for buffer in outputs) <= MAX_FOLLOWED
    hazards = Hazards() if followed else None
    launches: list[dict[str, Any]] = []
    started = ""
    for call in range(chosen["calls"]):
        for buffer in outputs:
            buffer.values.view(np.uint32)[:] = POISON
        if call and chosen["then"]:
            for buffer in buffers:
                buffer.values[:] = np.fromfile(folder / f"{buffer.name}.{number}.then", np.float32)
        given = [buffer.values.tobytes() for buffer in buffers] if chosen["programs"] is None else []
        if call == 0:
            area.values[:] = np.nan
        now = interpreter.session = interpreter.Session(
            Memory(every), hazards, programs=chosen["programs"], seconds=chosen["seconds"], seed=chosen["seed"]
        )
        try:
            with np.errstate(all="ignore"):
                guard(launch, *arguments_of(launch, tensors[:-1], tensors[-1]))
            keeping.check()
        except Exception as error:
            return _failed(error, call=call + 1)
        launches, started = now.launches, now.started.digest
        if not all(buffer.intact() for buffer in every) or any(
            buffer.values.tobytes() != was for buffer, was in zip(buffers, given, strict=False)
        ):
            message = "memory beside the tensors, or an input, was changed"
            return {"fault": {"kind": "illegal_address", "message": message, "line": None}, "launches": []}
        for buffer in outputs:
            buffer.values.tofile(folder / f"{buffer.name}.{number}.{call}.out")
    return {"fault": None, "launches": launches, "started": started}
