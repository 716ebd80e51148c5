"""Runs an NKI kernel in this process: the simulator's session without the process around it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from autocomp_mcp.hardware_adapters.trainium.machines import machines
from autocomp_mcp.hardware_adapters.trainium.nkisim.modules import kernel_globals
from autocomp_mcp.hardware_adapters.trainium.nkisim.session import run_job
from autocomp_mcp.hardware_adapters.trainium.operators import numpy_type

HEAD = "import nki\nimport nki.isa as nisa\nimport nki.language as nl\n\n\n@nki.jit\ndef solution({names}):\n"


def kernel(body: str, names: str = "x") -> str:
    """A kernel's text from the lines of its body."""
    return HEAD.format(names=names) + "".join(f"    {line}\n" for line in body.strip("\n").split("\n"))


def run_kernel(
    source: str,
    inputs: Mapping[str, np.ndarray],
    outputs: Sequence[tuple[str, Sequence[int], str]],
    machine: str = "trn2",
    grid: Sequence[int] = (1,),
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The report, and outputs by name (none after a fault). `outputs`: name, shape, type."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        entries = []
        for name, values in inputs.items():
            values.tofile(folder / f"{name}.in")
            entries.append(
                {"name": name, "file": f"{name}.in", "dtype": values.dtype.name, "shape": list(values.shape)}
            )
        job = {
            "machine": machines()[machine].job,
            "sets": [{"inputs": entries}],
            "outputs": [{"name": name, "shape": list(shape), "dtype": dtype} for name, shape, dtype in outputs],
            "grid": list(grid),
        }
        report = run_job(job, source, folder, lambda call, *arguments: call(*arguments), kernel_globals)
        if report["faults"][0] is not None:
            return report, {}
        found = {
            name: np.fromfile(folder / f"{name}.0.out", numpy_type(dtype)).reshape(shape)
            for name, shape, dtype in outputs
        }
        return report, found


def fault_of(
    body: str, names: str = "x", shape: tuple[int, ...] = (128, 512), grid: Sequence[int] = (1,)
) -> dict[str, Any]:
    """What is wrong with a kernel of one float32 input and one output of its shape."""
    rng = np.random.default_rng(1)
    values = {name.strip(): rng.standard_normal(shape).astype(np.float32) for name in names.split(",")}
    report, _ = run_kernel(kernel(body, names), values, [("out", shape, "float32")], grid=grid)
    assert report["faults"][0] is not None, "the kernel was let pass"
    return report["faults"][0]
