"""Evaluation with memory: a kernel that was judged before is answered from the cache."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from typing import NamedTuple

import anyio.to_thread

from .base import (
    Compilation,
    Evaluation,
    HardwareAdapter,
    Problem,
    check_source,
    kernel_digest,
    kernel_identity,
)
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
    slot: AbstractAsyncContextManager[object] | None = None,
) -> Evaluation:
    """As HardwareAdapter.evaluate; an answer from the cache has `cached=True`. timeout_s=None: what suits the engine.
    `slot` is entered for the evaluation itself, not for a look into the cache.

    Timeouts are not remembered, nor are failures of the infrastructure (they are exceptions): both may pass next time.
    Raises UsageError, EnvironmentLackError, EngineFailure.
    """
    home = home or Home()
    adapter = adapter or adapter_for(problem_id, home)
    problem = adapter.problem(problem_id)
    check_source(source)
    slot = slot or nullcontext()
    keys, found = None, None
    if use_cache:
        keys, found = await anyio.to_thread.run_sync(_known, home, adapter, problem, source, engine, seed)
    if found is not None:
        return found.model_copy(update={"cached": True})
    if timeout_s is None:
        timeout_s = (await anyio.to_thread.run_sync(adapter.engine, engine)).patience_s
    if keys is None:
        async with slot:
            return await adapter.evaluate(problem, source, engine=engine, seed=seed, timeout_s=timeout_s)

    async def same_code(compilation: Compilation) -> Evaluation | None:
        if compilation.code is None:
            return None
        known = await anyio.to_thread.run_sync(_recall, home, [keys.of_code(compilation.code)])
        about = {"kernel": kernel_digest(source), "compilation": compilation, "cached": True}
        return known.model_copy(update=about) if known is not None else None

    async with slot:
        evaluation = await adapter.evaluate(
            problem, source, engine=engine, seed=seed, timeout_s=timeout_s, recall=same_code
        )
    if evaluation.verdict != "timed_out" or evaluation.fault is not None:
        wanted = [keys.kernel if evaluation.passed else keys.exact]
        if evaluation.passed and evaluation.compilation is not None and evaluation.compilation.code is not None:
            wanted.append(keys.of_code(evaluation.compilation.code))
        for key in wanted:
            await anyio.to_thread.run_sync(_remember, home, key, evaluation.model_copy(update={"cached": False}))
    return evaluation


# A cache that cannot be read or written (disk full, database locked for long) costs time, never a result.


def _known(
    home: Home, adapter: HardwareAdapter, problem: Problem, source: str, engine: str | None, seed: int
) -> tuple[_Keys, Evaluation | None]:
    keys = _keys(adapter, problem, source, engine, seed)
    return keys, _recall(home, [keys.kernel, keys.exact])


def _recall(home: Home, keys: Sequence[str]) -> Evaluation | None:
    with suppress(sqlite3.Error):
        cache = EvaluationCache(home)
        return next(filter(None, map(cache.get, keys)), None)
    return None


def _remember(home: Home, key: str, evaluation: Evaluation) -> None:
    with suppress(sqlite3.Error):
        EvaluationCache(home).put(key, evaluation)


class _Keys(NamedTuple):
    """Keys of one evaluation: of the kernel, however it is laid out, of the very text, and of the machine code.

    A failure is kept under the exact key only, because it names lines.
    """

    kernel: str
    exact: str
    conditions: tuple[object, ...]  # all that an evaluation depends on besides the kernel

    def of_code(self, code: str) -> str:
        return _digest([*self.conditions, "code", code])


def _keys(adapter: HardwareAdapter, problem: Problem, source: str, engine: str | None, seed: int) -> _Keys:
    """Digests of everything an evaluation depends on. Raises UnknownEngineError."""
    chosen = adapter.engine(engine)
    conditions = (problem.digest, chosen.name, chosen.version, adapter.configuration(chosen.name), seed)
    kernel = [*conditions, kernel_identity(source)]
    text = hashlib.sha256(source.encode()).hexdigest()
    return _Keys(_digest(kernel), _digest([*kernel, text]), conditions)


def _digest(parts: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
