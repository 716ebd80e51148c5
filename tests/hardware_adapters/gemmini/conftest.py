from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.gemmini.gemsim import simulator
from autocomp_mcp.hardware_adapters.store import Home
from riscv_machine import Machine


@pytest.fixture(scope="session")
def gemsim_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulator, built once for all test processes: the cache is keyed by its sources."""
    home = Home(tmp_path_factory.getbasetemp().parent / "gemsim-home")
    return anyio.run(simulator, home)


@pytest.fixture
def machine(gemsim_program: Path, tmp_path: Path) -> Machine:
    return Machine(gemsim_program, tmp_path)
