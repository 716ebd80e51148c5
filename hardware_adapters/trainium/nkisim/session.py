"""One job: the kernel on every input set, its outputs to files, and the schedule of the first set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import modules
from .arguments import call
from .dtypes import DTYPES, of_numpy
from .errors import KERNEL_FILE, KernelFault, first_fault, forget
from .machine import Limits, Machine, running
from .schedule import schedule
from .spec import spec_of
from .tensor import Memory, Tensor, whole
from .timeline import write_timeline

ENTRY = "solution"
Confined = Callable[..., Any]


def run_job(
    job: dict[str, Any], source: str, folder: Path, confined: Confined, globals_of: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """The report: faults per input set (None: none), and of the first set the schedule."""
    spec = spec_of(job["machine"])
    report: dict[str, Any] = {"faults": []}
    for number, chosen in enumerate(job["sets"]):
        machine = Machine(Limits(spec.sbuf_bytes, spec.psum_bytes, spec.generation))
        forget()
        try:
            inputs = [_load(machine, folder / entry["file"], entry) for entry in chosen["inputs"]]
            outputs = confined(_call, machine, source, inputs, job, globals_of)
            if number == 0:
                found = schedule(machine, spec)
                report["schedule"] = found.summary(machine)
                if job.get("timeline"):
                    write_timeline(found, machine, folder / "timeline.json")
            for entry, values in zip(job["outputs"], outputs, strict=True):
                np.ascontiguousarray(values).tofile(folder / f"{entry['name']}.{number}.out")
            report["faults"].append(None)
        except KernelFault as fault:
            kept = first_fault() or fault
            report["faults"].append({"kind": kept.kind, "message": kept.message, "line": kept.line})
            break
    return report


def _load(machine: Machine, path: Path, entry: dict[str, Any]) -> Tensor:
    dtype = DTYPES[entry["dtype"]]
    values = np.fromfile(path, dtype._np).reshape(entry["shape"])
    values.flags.writeable = False
    return whole(Memory(machine, entry["name"], "hbm", values, written=True), dtype)


def _call(
    machine: Machine, source: str, inputs: list[Tensor], job: dict[str, Any], globals_of: Callable[[], Any]
) -> list[np.ndarray]:
    """Values of the outputs. Raises KernelFault for whatever the kernel does wrong, caught by it or not."""
    try:
        with running(machine):
            names = globals_of()
            modules.kernels.clear()
            exec(compile(source, KERNEL_FILE, "exec", dont_inherit=True), names)
            returned = call(_entry(names), inputs, job.get("constants", {}))
        if (hidden := first_fault()) is not None:
            raise hidden
        return _returned(machine, returned, inputs, job["outputs"])
    except KernelFault:
        raise
    except RecursionError as error:
        raise KernelFault("python_error", "the kernel recurses too deeply", None) from error
    except MemoryError as error:
        raise KernelFault("limit_exceeded", "the kernel takes more memory than the simulator may use", None) from error
    except Exception as error:
        if (hidden := first_fault()) is not None:
            raise hidden from error
        text = f"{type(error).__name__}: {error}"
        raise KernelFault("python_error", text[:600], _line_of(error)) from error


def _line_of(error: BaseException) -> int | None:
    """The kernel's line from which the error came."""
    line, trace = None, error.__traceback__
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == KERNEL_FILE else line
        trace = trace.tb_next
    return line


def _entry(names: dict[str, Any]) -> Any:
    if ENTRY in names and names[ENTRY] in modules.kernels:
        return names[ENTRY]
    if ENTRY not in names and len(modules.kernels) == 1:
        return modules.kernels[0]
    raise KernelFault("no_entry", f"no function {ENTRY!r} decorated with @nki.jit", None)


def _returned(machine: Machine, returned: Any, inputs: list[Tensor], outputs: list[dict[str, Any]]) -> list[np.ndarray]:
    found = list(returned) if isinstance(returned, (tuple, list)) else [returned]
    if len(found) != len(outputs):
        raise KernelFault(
            "wrong_return", f"the kernel returns {len(found)} values; {len(outputs)} outputs are due", None
        )
    values = []
    for tensor, wanted in zip(found, outputs, strict=True):
        due = f"{wanted['name']}: {wanted['dtype']} {wanted['shape']} in nl.shared_hbm"
        if not isinstance(tensor, Tensor):
            raise KernelFault("wrong_return", f"the kernel returns {type(tensor).__name__}; due is {due}", None)
        if any(tensor._memory is given._memory for given in inputs):
            raise KernelFault("wrong_return", f"the kernel returns its input {tensor!r}; due is a new {due}", None)
        if tensor.buffer not in ("shared_hbm", "hbm") or list(tensor.shape) != wanted["shape"]:
            raise KernelFault("wrong_return", f"the kernel returns {tensor!r}; due is {due}", None)
        if tensor.dtype is not DTYPES[wanted["dtype"]] or of_numpy(tensor._values.dtype) is not tensor.dtype:
            raise KernelFault("wrong_return", f"the kernel returns {tensor!r}; due is {due}", None)
        memory = tensor._memory
        machine.allocations[memory.index] = machine.allocations[memory.index]._replace(name=wanted["name"])
        values.append(tensor._values)
    return values
