"""One job: the kernel on every input set, its outputs to files, and the schedule of the set that takes longest."""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import modules
from .arguments import call
from .dtypes import DTYPES, of_numpy
from .errors import KERNEL_FILE, KernelFault, first_fault, forget
from .machine import Limits, Machine, Program, running
from .nki1 import modules as nki1
from .nki1.programs import Kernel
from .nki1.reorder import reorder
from .nki1.spill import spill
from .nki1.tensor import adopt, fresh
from .programs import SharedMemory, check_programs
from .races import check_loops
from .schedule import schedule
from .spec import Spec, spec_of
from .tensor import HBM, Memory, Tensor, whole
from .timeline import write_timeline

ENTRY = "solution"
Confined = Callable[..., Any]


def run_job(
    job: dict[str, Any], source: str, folder: Path, confined: Confined, globals_of: Callable[..., dict[str, Any]]
) -> dict[str, Any]:
    """The report: faults per input set (None: none), the schedule of the slowest set and which one that is."""
    spec = spec_of(job["machine"])
    limits = Limits(spec.sbuf_bytes, spec.psum_bytes, spec.generation)
    report: dict[str, Any] = {"faults": []}
    first_generation = is_nki1(source)
    slowest = _Slowest(spec, folder / "timeline.json" if job.get("timeline") else None)
    if first_generation:
        globals_of = functools.partial(globals_of, nki1.import_module)
    for number, chosen in enumerate(job["sets"]):
        forget()
        try:
            values = [_values(folder, entry) for entry in chosen["inputs"]]
            machines, outputs = _programs(
                job, limits, source, values, chosen["inputs"], confined, globals_of, first_generation
            )
            report |= slowest.of(number, machines, first_generation)
            for name, array in outputs.items():
                np.ascontiguousarray(array._values).tofile(folder / f"{name}.{number}.out")
            report["outputs"] = [
                {"name": name, "shape": list(array.shape), "dtype": array.dtype.name} for name, array in outputs.items()
            ]
            report["faults"].append(None)
        except KernelFault as fault:
            kept = first_fault() or fault
            report["faults"].append({"kind": kept.kind, "message": kept.message, "line": kept.line})
            break
    return report


class _Slowest:
    """What a call takes with the inputs that need longest. Data can choose what runs (the number of a dynamic range's
    iterations), so every set that does other work than the first is scheduled too."""

    def __init__(self, spec: Spec, timeline: Path | None) -> None:
        self._spec, self._timeline = spec, timeline
        self._first: list[Any] = []  # what each program does with the first set
        self._found: dict[str, Any] = {}
        self._latency_ns = -1.0

    def of(self, number: int, machines: list[Machine], first_generation: bool) -> dict[str, Any]:
        """Of the sets so far: `schedule`, and `slowest`, the number of its set."""
        done = [(list(machine.log), list(machine.allocations)) for machine in machines]
        if self._first == done:
            return self._found
        self._first = self._first or done
        for machine in machines if first_generation else ():
            spill(machine, self._spec)
            reorder(machine, self._spec)
        schedules = [schedule(machine, self._spec) for machine in machines]
        latest = max(range(len(schedules)), key=lambda at: schedules[at].latency_ns)
        chosen, machine = schedules[latest], machines[latest]
        if chosen.latency_ns > self._latency_ns:
            self._latency_ns = chosen.latency_ns
            self._found = {"schedule": chosen.summary(machine), "slowest": number}
            if self._timeline:
                write_timeline(chosen, machine, self._timeline)
        return self._found


def _programs(
    job: dict[str, Any], limits: Limits, source: str, values: list[Any], entries: list[dict[str, Any]],
    confined: Confined, globals_of: Callable[[], Any], first_generation: bool,
) -> tuple[list[Machine], dict[str, Tensor]]:  # fmt: skip
    """Every program of the launch grid in turn, each on a core of its own; what they have in common is HBM."""
    grid = tuple(job.get("grid") or (1,))
    shared = SharedMemory(math.prod(grid))
    machines: list[Machine] = []
    outputs: dict[str, Tensor] = {}
    for number in range(math.prod(grid)):
        machine = Machine(limits, Program(number, grid, shared))
        arguments = [_argument(machine, value, entry) for value, entry in zip(values, entries, strict=True)]
        if first_generation:
            arguments = [adopt(each) if isinstance(each, Tensor) else each for each in arguments]
        outputs = confined(_call, machine, source, arguments, entries, job, globals_of)
        check_loops(machine)
        machines.append(machine)
    check_programs(machines)
    return machines, outputs


def _values(folder: Path, entry: dict[str, Any]) -> Any:
    """Of an argument: the elements of a tensor, a type, or what the job holds itself."""
    if "file" in entry:
        values = np.fromfile(folder / entry["file"], DTYPES[entry["dtype"]]._np).reshape(entry["shape"])
        values.flags.writeable = False
        return values
    return DTYPES[entry["type"]] if "type" in entry else entry["value"]


def _argument(machine: Machine, value: Any, entry: dict[str, Any]) -> Any:
    if isinstance(value, np.ndarray):
        return whole(Memory(machine, entry["name"], "hbm", value, written=True), DTYPES[entry["dtype"]])
    return copy.deepcopy(value) if isinstance(value, (list, dict)) else value


def is_nki1(source: str) -> bool:
    """Whether a kernel imports neuronxcc. One that does not parse is no concern of this."""
    tree = ast.parse(source)
    named = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    named += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return any(name.split(".")[0] == nki1.ROOT for name in named)


def _call(
    machine: Machine, source: str, arguments: list[Any], entries: list[dict[str, Any]], job: dict[str, Any],
    globals_of: Callable[[], Any],
) -> dict[str, Tensor]:  # fmt: skip
    """The outputs by name. Raises KernelFault for whatever the kernel does wrong, caught by it or not."""
    try:
        with running(machine):
            names = globals_of()
            modules.kernels.clear()
            exec(compile(source, KERNEL_FILE, "exec", dont_inherit=True), names)
            entry = _entry(names, job.get("entry", ENTRY))
            if job.get("by_name"):
                returned = entry(**{each["name"]: value for each, value in zip(entries, arguments, strict=True)})
            else:
                given = _output_arguments(machine, entry, arguments, job["outputs"])
                returned = call(entry, [*arguments, *given], job.get("constants", {}))
                returned = given if given and returned is None else returned
        if (hidden := first_fault()) is not None:
            raise hidden
        return _returned(machine, returned, [each for each in arguments if isinstance(each, Tensor)], job["outputs"])
    except KernelFault:
        raise
    except RecursionError as error:
        raise KernelFault("python_error", "the kernel recurses too deeply", None) from error
    except MemoryError as error:
        raise KernelFault("limit_exceeded", "the kernel takes more memory than the simulator may use", None) from error
    except Exception as error:
        if (hidden := first_fault()) is not None:
            raise hidden from error
        raise KernelFault("python_error", _said(error)[:600], _line_of(error)) from error


def _said(error: Exception) -> str:
    """Its class may be the kernel's, and so may what it says."""
    name = type(error).__name__
    try:
        text = f"{name}: {error}"
        if isinstance(error, TypeError) and "unsupported operand type" in text and f"'{Tensor.__name__}'" in text:
            text += "; NKI 2 has no operators on tiles: write nl.add, nl.multiply, ... or an instruction of nisa"
        return text
    except Exception:
        return f"{name}, which cannot be shown"


def _line_of(error: BaseException) -> int | None:
    """The kernel's line from which the error came."""
    line, trace = None, error.__traceback__
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == KERNEL_FILE else line
        trace = trace.tb_next
    return line


def _output_arguments(
    machine: Machine, entry: Any, inputs: list[Any], outputs: list[dict[str, Any]] | None
) -> list[Tensor]:
    """Tensors to write, for a kernel of NKI 1 that takes its outputs after its inputs."""
    if not isinstance(entry, Kernel) or outputs is None:
        return []
    wanted = [p for p in inspect.signature(entry._function).parameters.values() if p.default is p.empty]
    positional = [p for p in wanted if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) != len(inputs) + len(outputs):
        return []
    return [fresh(tuple(each["shape"]), DTYPES[each["dtype"]], "hbm", each["name"], None) for each in outputs]


def _entry(names: dict[str, Any], wanted: str) -> Any:
    if wanted in names and names[wanted] in modules.kernels:
        return names[wanted]
    if wanted in names and modules.kernels and isinstance(modules.kernels[0], Kernel) and callable(names[wanted]):
        return names[wanted]  # NKI 1: a plain function that launches kernels on grids
    if wanted not in names and len(modules.kernels) == 1:
        return modules.kernels[0]
    raise KernelFault("no_entry", f"no function {wanted!r} decorated with @nki.jit", None)


def _returned(
    machine: Machine, returned: Any, inputs: list[Tensor], outputs: list[dict[str, Any]] | None
) -> dict[str, Tensor]:
    """`outputs`: what is due; None takes what comes."""
    found = list(returned) if isinstance(returned, (tuple, list)) else [returned]
    if outputs is None:
        outputs = [
            {"name": f"output{at}", "shape": list(each.shape), "dtype": each.dtype.name}
            if isinstance(each, Tensor)
            else {"name": f"output{at}", "shape": [], "dtype": "a tensor"}
            for at, each in enumerate(found)
        ]
    if len(found) != len(outputs):
        raise KernelFault(
            "wrong_return", f"the kernel returns {len(found)} values; {len(outputs)} outputs are due", None
        )
    values = {}
    for tensor, wanted in zip(found, outputs, strict=True):
        due = f"{wanted['name']}: {wanted['dtype']} {wanted['shape']} in nl.shared_hbm"
        if not isinstance(tensor, Tensor):
            raise KernelFault("wrong_return", f"the kernel returns {type(tensor).__name__}; due is {due}", None)
        if any(tensor._memory is given._memory for given in inputs):
            raise KernelFault("wrong_return", f"the kernel returns its input {tensor!r}; due is a new {due}", None)
        if tensor.buffer not in HBM or list(tensor.shape) != wanted["shape"]:
            raise KernelFault("wrong_return", f"the kernel returns {tensor!r}; due is {due}", None)
        if not tensor._values.flags.c_contiguous:
            raise KernelFault(
                "wrong_return",
                f"the kernel returns a view of {tensor!r} in which the elements lie in another order; due is {due} as "
                "it was written",
                None,
            )
        if tensor.dtype is not DTYPES[wanted["dtype"]] or of_numpy(tensor._values.dtype) is not tensor.dtype:
            raise KernelFault("wrong_return", f"the kernel returns {tensor!r}; due is {due}", None)
        memory = tensor._memory
        machine.allocations[memory.index] = machine.allocations[memory.index]._replace(name=wanted["name"])
        values[wanted["name"]] = tensor
    return values
