"""The targets this installation knows. Adapters are imported when asked for, never before."""

from __future__ import annotations

import functools
from collections.abc import Callable

from .base import HardwareAdapter, UnknownProblemError
from .problems import unknown_problem


def _gemmini() -> HardwareAdapter:
    from .gemmini.adapter import GemminiAdapter

    return GemminiAdapter()


_TARGETS: dict[str, Callable[[], HardwareAdapter]] = {"gemmini": _gemmini}


@functools.cache
def _adapter(target: str) -> HardwareAdapter:
    return _TARGETS[target]()


def adapters() -> dict[str, HardwareAdapter]:
    """Every adapter by its target's name."""
    return {target: _adapter(target) for target in _TARGETS}


def adapter_for(problem_id: str) -> HardwareAdapter:
    """The adapter that this id belongs to, by the part before the slash. Raises UnknownProblemError."""
    target = problem_id.partition("/")[0]
    if target in _TARGETS:
        return _adapter(target)
    known = adapters().values()
    patterns = [pattern for adapter in known for pattern in adapter.families().values()]
    examples = [problem.id for adapter in known for problem in adapter.problems()]
    error: UnknownProblemError = unknown_problem(problem_id, patterns, examples)
    raise error
