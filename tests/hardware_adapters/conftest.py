from __future__ import annotations

from pathlib import Path

import pytest
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.store import Home


@pytest.fixture
def home(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home of its own for each test, but builds (keyed by their sources) shared by all of them."""
    builds = Home(tmp_path_factory.getbasetemp().parent / "gemsim-home").cache
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "cache").symlink_to(builds)
    return Home(folder)


@pytest.fixture
def gemmini(home: Home) -> GemminiAdapter:
    return GemminiAdapter(home)
