from __future__ import annotations

from pathlib import Path

import pytest
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.store import Home


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache that all tests of all processes share: its entries are keyed by their sources."""
    return Home(tmp_path_factory.getbasetemp().parent / "gemsim-home").cache


@pytest.fixture
def home(tmp_path: Path, builds: Path) -> Home:
    """A home of its own for each test, with the shared builds."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "cache").symlink_to(builds)
    return Home(folder)


@pytest.fixture
def fresh_home(tmp_path: Path, builds: Path) -> Home:
    """A home where nothing was built, but whose compiler has its own run-time library already."""
    folder = tmp_path / "home"
    (folder / "cache").mkdir(parents=True)
    (builds / "zig").mkdir(exist_ok=True)
    (folder / "cache" / "zig").symlink_to(builds / "zig")
    return Home(folder)


@pytest.fixture
def gemmini(home: Home) -> GemminiAdapter:
    return GemminiAdapter(home)
