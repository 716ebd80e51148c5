from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.gemmini.gemsim import simulator
from autocomp_mcp.hardware_adapters.gemmini.toolchain import compile_kernel, cross_compiler
from autocomp_mcp.hardware_adapters.store import Home
from riscv_machine import Machine, Outcome, RunKernel


@pytest.fixture(scope="session")
def gemsim_program(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]) -> Path:
    """The simulator's program, in the shared builds."""
    return anyio.run(simulator, Home(make_home(tmp_path_factory.mktemp("gemsim") / "home")))


@pytest.fixture
def machine(gemsim_program: Path, tmp_path: Path) -> Machine:
    return Machine(gemsim_program, tmp_path)


@pytest.fixture(scope="session")
def compiler_home(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]) -> Home:
    return Home(make_home(tmp_path_factory.mktemp("compiler") / "home"))


@pytest.fixture
def run_kernel(machine: Machine, compiler_home: Home) -> RunKernel:
    def run(body: str, *data: np.ndarray, head: str = "", mode: str = "functional", config: str = "") -> Outcome:
        source = f'{head}\n#include "gemmini_api.h"\nvoid solution(const int8_t *in, int8_t *out) {{\n{body}\n}}\n'
        compiled = anyio.run(compile_kernel, compiler_home, cross_compiler(), source)
        assert compiled.program is not None, compiled.compilation.diagnostics
        extra = [f"config {config}"] if config else []
        text = b"".join(array.tobytes() for array in data) or bytes(4096)
        return machine.run(compiled.program.read_bytes(), text, out_bytes=16384, mode=mode, extra=extra)

    return run
