"""Evaluations are remembered under what judged them: every module that decides is part of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from autocomp_mcp.hardware_adapters import toolchain
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.hardware_adapters.trainium.adapter import TrainiumAdapter
from autocomp_mcp.hardware_adapters.trainium.embedded import engine_version
from autocomp_mcp.hardware_adapters.trainium.rules import rules_digest

ADAPTER = TrainiumAdapter(Home(Path("unused")), environment={})


def forget() -> None:
    for remembered in (rules_digest, engine_version, toolchain._digest):
        remembered.cache_clear()


def version(engine: str) -> str:
    forget()
    remembered = ADAPTER.configuration(engine)
    return remembered if engine == "neuron" else f"{remembered} {ADAPTER.engine(engine).version}"


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Makes files of a name read as if they had one more space."""
    read = Path.read_bytes

    def change(name: str) -> None:
        monkeypatch.setattr(Path, "read_bytes", lambda self: read(self) + b" " * (self.name == name))

    yield change
    monkeypatch.undo()
    forget()


NKISIM = ("schedule.py", "machines.yaml", "judge.py", "screen.py", "scans.py", "simulating.py")
NEURON = ("runner.py", "judge.py", "screen.py", "operators.py", "reference.py")


@pytest.mark.parametrize(
    ("engine", "name"), [*(("nkisim", name) for name in NKISIM), *(("neuron", name) for name in NEURON)]
)
def test_what_decides_changes_what_evaluations_are_remembered_under(
    changed: Callable[[str], None], engine: str, name: str
) -> None:
    before = version(engine)
    assert version(engine) == before
    changed(name)
    assert version(engine) != before


def test_the_tuner_decides_nothing(changed: Callable[[str], None]) -> None:
    before = version("nkisim")
    changed("gemm_emit.py")
    assert version("nkisim") == before
