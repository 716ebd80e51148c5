"""Evaluation with memory: a kernel that was judged before is answered from the cache."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import anyio.to_thread

from .base import Evaluation, HardwareAdapter, Problem, check_source, kernel_identity
from .registry import adapter_for
from .store import EvaluationCache, Home


async def evaluate(
    problem_id: str,
    source: str,
    *,
    engine: str | None = None,
    seed: int = 0,
    timeout_s: float | None = None,
    home: Home | None = None,
    use_cache: bool = True,
    adapter: HardwareAdapter | None = None,
) -> Evaluation:
    """As HardwareAdapter.evaluate; an answer from the cache has `cached=True`. timeout_s=None: what suits the engine.

    Timeouts are not remembered, nor are failures of the infrastructure (they are exceptions): both may pass next time.
    Raises UsageError, EnvironmentLackError, EngineFailure.
    """
    home = home or Home()
    adapter = adapter or adapter_for(problem_id, home)
    problem = adapter.problem(problem_id)
    check_source(source)
    if timeout_s is None:
        timeout_s = (await anyio.to_thread.run_sync(adapter.engine, engine)).patience_s
    if not use_cache:
        return await adapter.evaluate(problem, source, engine=engine, seed=seed, timeout_s=timeout_s)
    keys = await anyio.to_thread.run_sync(_keys, adapter, problem, source, engine, seed)
    found = await anyio.to_thread.run_sync(_recall, home, keys)
    if found is not None:
        return found.model_copy(update={"cached": True})
    evaluation = await adapter.evaluate(problem, source, engine=engine, seed=seed, timeout_s=timeout_s)
    if evaluation.verdict != "timed_out" or evaluation.fault is not None:
        key = keys.kernel if evaluation.passed else keys.exact
        await anyio.to_thread.run_sync(_remember, home, key, evaluation)
    return evaluation


# A cache that cannot be read or written (disk full, database locked for long) costs time, never a result.


def _recall(home: Home, keys: Sequence[str]) -> Evaluation | None:
    with suppress(sqlite3.Error):
        cache = EvaluationCache(home)
        return next(filter(None, map(cache.get, keys)), None)
    return None


def _remember(home: Home, key: str, evaluation: Evaluation) -> None:
    with suppress(sqlite3.Error):
        EvaluationCache(home).put(key, evaluation)


class _Keys(NamedTuple):
    """Two keys of one evaluation: of the kernel, however it is laid out, and of the very text.

    A failure is kept under the exact key, because it names lines.
    """

    kernel: str
    exact: str


def _keys(adapter: HardwareAdapter, problem: Problem, source: str, engine: str | None, seed: int) -> _Keys:
    """Digests of everything an evaluation depends on. Raises UnknownEngineError."""
    chosen = adapter.engine(engine)
    parts = [
        problem.digest,
        kernel_identity(source),
        chosen.name,
        chosen.version,
        adapter.configuration(chosen.name),
        seed,
    ]
    text = hashlib.sha256(source.encode()).hexdigest()
    return _Keys(_digest(parts), _digest([*parts, text]))


def _digest(parts: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
