from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.gemmini.gemsim import simulator
from autocomp_mcp.hardware_adapters.store import Home
from riscv_machine import Machine


@pytest.fixture(scope="session")
def gemsim_program(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]) -> Path:
    """The simulator's program, in the shared builds."""
    return anyio.run(simulator, Home(make_home(tmp_path_factory.mktemp("gemsim") / "home")))


@pytest.fixture
def machine(gemsim_program: Path, tmp_path: Path) -> Machine:
    return Machine(gemsim_program, tmp_path)
