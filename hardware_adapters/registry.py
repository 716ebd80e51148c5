"""The targets this installation knows. Adapters are imported when asked for, never before."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from .base import HardwareAdapter
from .execution import Dispatched, Executor, chosen_executor
from .problems import unknown_problem
from .store import Home


def _gemmini(home: Home) -> HardwareAdapter:
    from .gemmini.adapter import GemminiAdapter

    return GemminiAdapter(home)


def _trainium(home: Home) -> HardwareAdapter:
    from .trainium.adapter import TrainiumAdapter

    return TrainiumAdapter(home)


def _nvidia(home: Home) -> HardwareAdapter:
    from .nvidia.adapter import NvidiaAdapter

    return NvidiaAdapter(home)


_TARGETS: dict[str, Callable[[Home], HardwareAdapter]] = {
    "gemmini": _gemmini,
    "trainium": _trainium,
    "nvidia": _nvidia,
}


@functools.cache
def _adapter(target: str, home: Path) -> HardwareAdapter:
    return _TARGETS[target](Home(home))


@functools.cache
def _dispatched(target: str, home: Path, executor: Executor) -> HardwareAdapter:
    return Dispatched(_adapter(target, home), executor, Home(home))


def local_adapter(target: str, home: Home) -> HardwareAdapter:
    """The adapter whose work this very process does, whatever executor is chosen."""
    return _adapter(target, home.path)


def adapters(home: Home | None = None) -> dict[str, HardwareAdapter]:
    """Every adapter by its target's name; they keep builds and artefacts in `home` (default: the user's), and their
    work is done by the chosen executor. Raises UsageError for an executor that does not exist."""
    path, executor = (home or Home()).path, chosen_executor()
    return {target: _dispatched(target, path, executor) for target in _TARGETS}


def adapter_for(problem_id: str, home: Home | None = None) -> HardwareAdapter:
    """The adapter that this id belongs to, by the part before the slash. Raises UnknownProblemError."""
    target = problem_id.partition("/")[0]
    known = adapters(home)
    if target in known:
        return known[target]
    patterns = [pattern for adapter in known.values() for pattern in adapter.families().values()]
    near = next(filter(None, (adapter.nearest(problem_id) for adapter in known.values())), None)
    raise unknown_problem(problem_id, near, patterns)


def trust(problem_id: str, engine: str | None) -> str | None:
    """How far this engine's latencies of this problem can be believed, as it states it; None where this installation
    does not have it."""
    adapter = adapters().get(problem_id.partition("/")[0])
    return adapter.trust(problem_id, engine) if adapter is not None and engine else None
