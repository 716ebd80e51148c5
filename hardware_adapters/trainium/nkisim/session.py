"""One job: the kernel on every input set, its outputs to files, and the schedule of the first set."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import modules
from .dtypes import DTYPES, of_numpy
from .errors import KERNEL_FILE, KernelFault, first_fault, forget
from .machine import Limits, Machine, running
from .nki1 import modules as nki1
from .nki1.programs import Kernel
from .nki1.reorder import reorder
from .nki1.spill import spill
from .nki1.tensor import adopt, fresh
from .schedule import schedule
from .spec import spec_of
from .tensor import Memory, Tensor, whole
from .timeline import write_timeline

ENTRY = "solution"
Confined = Callable[..., Any]


def run_job(
    job: dict[str, Any], source: str, folder: Path, confined: Confined, globals_of: Callable[..., dict[str, Any]]
) -> dict[str, Any]:
    """The report: faults per input set (None: none), and of the first set the schedule."""
    spec = spec_of(job["machine"])
    report: dict[str, Any] = {"faults": []}
    first_generation = is_nki1(source)
    if first_generation:
        globals_of = functools.partial(globals_of, nki1.import_module)
    for number, chosen in enumerate(job["sets"]):
        machine = Machine(Limits(spec.sbuf_bytes, spec.psum_bytes, spec.generation))
        forget()
        try:
            inputs = [_load(machine, folder / entry["file"], entry) for entry in chosen["inputs"]]
            if first_generation:
                inputs = [adopt(tensor) for tensor in inputs]
            outputs = confined(_call, machine, source, inputs, job["outputs"], globals_of)
            if number == 0:
                if first_generation:
                    spill(machine, spec)
                    reorder(machine, spec)
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


def is_nki1(source: str) -> bool:
    """Whether a kernel imports neuronxcc. One that does not parse is no concern of this."""
    tree = ast.parse(source)
    named = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    named += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return any(name.split(".")[0] == nki1.ROOT for name in named)


def _load(machine: Machine, path: Path, entry: dict[str, Any]) -> Tensor:
    dtype = DTYPES[entry["dtype"]]
    values = np.fromfile(path, dtype._np).reshape(entry["shape"])
    values.flags.writeable = False
    return whole(Memory(machine, entry["name"], "hbm", values, written=True), dtype)


def _call(
    machine: Machine, source: str, inputs: list[Tensor], outputs: list[dict[str, Any]], globals_of: Callable[[], Any]
) -> list[np.ndarray]:
    """Values of the outputs. Raises KernelFault for whatever the kernel does wrong, caught by it or not."""
    try:
        with running(machine):
            names = globals_of()
            modules.kernels.clear()
            exec(compile(source, KERNEL_FILE, "exec", dont_inherit=True), names)
            entry = _entry(names)
            given = _output_arguments(machine, entry, inputs, outputs)
            returned = entry(*inputs, *given)
            returned = given if given and returned is None else returned
        if (hidden := first_fault()) is not None:
            raise hidden
        return _returned(machine, returned, inputs, outputs)
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


def _output_arguments(
    machine: Machine, entry: Any, inputs: list[Tensor], outputs: list[dict[str, Any]]
) -> list[Tensor]:
    """Tensors to write, for a kernel of NKI 1 that takes its outputs after its inputs."""
    if not isinstance(entry, Kernel):
        return []
    wanted = [p for p in inspect.signature(entry._function).parameters.values() if p.default is p.empty]
    positional = [p for p in wanted if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) != len(inputs) + len(outputs):
        return []
    return [fresh(tuple(each["shape"]), DTYPES[each["dtype"]], "hbm", each["name"], None) for each in outputs]


def _entry(names: dict[str, Any]) -> Any:
    if ENTRY in names and names[ENTRY] in modules.kernels:
        return names[ENTRY]
    if ENTRY in names and modules.kernels and isinstance(modules.kernels[0], Kernel) and callable(names[ENTRY]):
        return names[ENTRY]  # NKI 1: a plain function that launches kernels on grids
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
