"""Runs CUDA sources in the emulator, for the tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import anyio
import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.nvidia.cpusim.build import Built, build, cxx_compiler
from autocomp_mcp.hardware_adapters.nvidia.cpusim.emulate import SCRATCH, Buffer, Job, emulate
from autocomp_mcp.hardware_adapters.nvidia.cpusim.report import Report
from autocomp_mcp.hardware_adapters.nvidia.cpusim.rewrite import rewrite
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.hardware_adapters.toolchain import Compiler

HEAD = "#include <cuda_runtime.h>\n#include <stdint.h>\n"


class Emulated(NamedTuple):
    """`outputs` is empty when the report has a fault."""

    report: Report
    outputs: dict[str, np.ndarray]


class RunCuda(Protocol):
    def __call__(
        self,
        source: str,
        dims: Sequence[int],
        inputs: Mapping[str, np.ndarray],
        outputs: Mapping[str, tuple[Any, ...]],
        **job: Any,
    ) -> Emulated: ...


@pytest.fixture(scope="session")
def cuda_home(tmp_path_factory: pytest.TempPathFactory, make_home) -> Home:
    return Home(make_home(tmp_path_factory.mktemp("cuda") / "home"))


def _compiler() -> Compiler:
    """$CUDASIM_TEST_CXX, to run these tests with another compiler than users get; a GCC unless it is called clang."""
    named = os.environ.get("CUDASIM_TEST_CXX")
    return Compiler("clang" if "clang" in named else "gcc", (named,), "") if named else cxx_compiler()


@pytest.fixture(scope="session")
def build_cuda(cuda_home: Home):
    def make(source: str) -> Built:
        return anyio.run(lambda: build(cuda_home, rewrite(source), compiler=_compiler()))

    return make


@pytest.fixture
def run_cuda(build_cuda, tmp_path: Path) -> RunCuda:
    """Runs `launch` with these inputs, outputs (name: shape, or (shape, dtype)) and a scratch area."""
    runs = iter(range(1000))

    def run(source, dims, inputs, outputs, **job) -> Emulated:
        folder = tmp_path / f"run{next(runs)}"
        folder.mkdir()
        built = build_cuda(source)
        assert built.program is not None, built.diagnostics
        shapes = {name: spec if isinstance(spec[-1], type) else (spec, np.float32) for name, spec in outputs.items()}
        buffers = []
        for name, array in inputs.items():
            np.ascontiguousarray(array).tofile(folder / name)
            buffers.append(Buffer(name, array.nbytes, "input", name))
        for name, (shape, dtype) in shapes.items():
            buffers.append(Buffer(name, int(np.prod(shape)) * np.dtype(dtype).itemsize, "output", name))
        order = Job(tuple(dims), (*buffers, SCRATCH), **job)
        report = anyio.run(emulate, built.program, order, folder)
        if report.fault is not None:
            return Emulated(report, {})
        found = {
            name: np.fromfile(folder / name, dtype).reshape(order.calls, *shape)
            for name, (shape, dtype) in shapes.items()
        }
        return Emulated(report, {name: values[-1] for name, values in found.items()})

    return run
