"""Every attack of the corpus is refused for what it is, every honest kernel passes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
import corpus
import pytest
from autocomp_mcp.hardware_adapters.base import AdapterError, Evaluation
from autocomp_mcp.hardware_adapters.evaluator import evaluate
from autocomp_mcp.hardware_adapters.nvidia.forms import triton_version
from autocomp_mcp.hardware_adapters.store import Home

pytestmark = pytest.mark.trust
SAMPLED = 24
SECONDS = 45.0  # an endless kernel takes all of them
_needs_triton = pytest.mark.skipif(
    triton_version() is None,
    reason="Triton is not installed (pip install 'autocomp-mcp[triton]'): NOTHING of Triton kernels was checked",
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    full = metafunc.config.getoption("--full")
    for name, kernels in (("attack", corpus.attacks()), ("honest", corpus.honest())):
        if name in metafunc.fixturenames:
            chosen = kernels if full else _sample(kernels)
            marked = [pytest.param(each, marks=_needs_triton if each.triton else (), id=each.name) for each in chosen]
            metafunc.parametrize(name, marked)


def _sample(kernels: Sequence[corpus.Kernel]) -> list[corpus.Kernel]:
    """The same ones on each run, so that workers agree and a failure can be seen again. Of those that can be judged
    here: tests/hardware_adapters/nvidia/test_triton.py says that Triton is missing. What takes all it can get (row 21)
    has tests of its own, in tests/hardware_adapters/sandbox."""
    here = [kernel for kernel in kernels if (not kernel.triton or triton_version() is not None) and kernel.row != 21]
    chosen = random.Random(len(here)).sample(here, min(SAMPLED, len(here)))
    return sorted(chosen, key=lambda kernel: kernel.name)


@pytest.fixture
def home(tmp_path: Path, make_home: Callable[[Path], Path]) -> Home:
    return Home(make_home(tmp_path / "home"))


def judged(home: Home, kernel: corpus.Kernel) -> Evaluation | AdapterError:
    """The evaluation, or the error that refused the source before there was one."""

    async def main() -> Evaluation:
        return await evaluate(kernel.problem, kernel.source, engine=kernel.engine, timeout_s=SECONDS, home=home)

    try:
        return anyio.run(main)
    except AdapterError as error:
        return error


def test_the_attack_is_refused(attack: corpus.Kernel, home: Home, score) -> None:
    result = judged(home, attack)
    found, message = _told(result)
    held = found == attack.verdict and (attack.says or "") in message
    score(f"attacks refused, {_kind(attack)}", held)
    assert held, f"{attack.what}: {found}: {message}"


def test_the_honest_kernel_passes(honest: corpus.Kernel, home: Home, score) -> None:
    found, message = _told(judged(home, honest))
    score(f"honest kernels passed, {_kind(honest)}", found == "passed")
    assert found == "passed", f"{honest.what}: {found}: {message}"


def _kind(kernel: corpus.Kernel) -> str:
    return f"{kernel.target} (Triton)" if kernel.triton else kernel.target


def _told(result: Evaluation | AdapterError) -> tuple[str, str]:
    if isinstance(result, AdapterError):
        return type(result).__name__, str(result)
    return result.verdict, result.message
