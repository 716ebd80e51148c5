from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.store import Home


@pytest.fixture
def home(tmp_path: Path, make_home: Callable[[Path], Path]) -> Home:
    """A home of its own for each test, with the shared builds."""
    return Home(make_home(tmp_path / "home"))


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
