"""The ways in which this machine can confine a program, each as it is really found here."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from autocomp_mcp.hardware_adapters.process import Finished, Limits, minimal_environment, run
from autocomp_mcp.hardware_adapters.sandbox import Reach, Sandbox, interpreter, sandbox, starting
from autocomp_mcp.hardware_adapters.sandbox.layers import MODE_VARIABLE, chosen, mode
from autocomp_mcp.hardware_adapters.store import Home

Confined = Callable[..., Finished]


def use(way: str, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """`way`: own, bubblewrap, or landlock: as on a machine that allows no name spaces. Skips where it is not to be had,
    and says so in a warning, which the summary of a test run shows."""
    monkeypatch.setenv(MODE_VARIABLE, "own" if way == "landlock" else way)
    found = anyio.run(sandbox)
    if way == "landlock":
        errors = {name: error or 1 for name, error in found.found.errors.items()}
        errors |= {name: found.found.errors.get(name, 1) for name in ("filter", "landlock")}
        found = chosen(found.found._replace(errors=errors, bubblewrap=None), mode())
        monkeypatch.setitem(starting._known, (Home().path, mode()), found)
        there = found.found.works("landlock") and found.found.works("filter")
    else:
        there = found.way == way
    if not there:
        why = f"this machine cannot confine programs by {way}: {found.layers}"
        warnings.warn(why, stacklevel=2)
        pytest.skip(why)
    return found


@pytest.fixture(params=["own", "bubblewrap", "landlock"])
def confinement(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    return use(request.param, monkeypatch)


@pytest.fixture(params=["own", "bubblewrap"])
def spaces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    return use(request.param, monkeypatch)


@pytest.fixture
def confined(tmp_path: Path) -> Confined:
    """Runs Python code as a program that is not ours, in `tmp_path / "scratch"`."""
    import sys

    folder = tmp_path / "scratch"
    folder.mkdir()

    def start(code: str, reach: Reach | None = None, **limits: Any) -> Finished:
        async def main() -> Finished:
            settings = Limits(wall_s=20, memory_bytes=1 << 30)._replace(**limits)
            shown = interpreter()
            wanted = (reach or shown)._replace(read=(*shown.read, *(reach.read if reach else ())))
            command = [sys.executable, "-I", "-c", code]
            return await run(command, cwd=folder, env=minimal_environment(folder), limits=settings, reach=wanted)

        return anyio.run(main)

    return start
