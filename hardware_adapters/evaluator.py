"""Evaluation with memory: a kernel that was judged before is answered from the cache."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from functools import partial
from typing import NamedTuple

import anyio.to_thread

from .base import (
    Compilation,
    EngineStatus,
    Evaluation,
    HardwareAdapter,
    Problem,
    check_source,
    kernel_digest,
    kernel_identity,
)
from .eviction import tidy_now_and_then
from .registry import adapter_for
from .store import EvaluationCache, Home


class Look(NamedTuple):
    """What the cache says of a kernel; `found` is marked as cached."""

    engine: EngineStatus
    keys: _Keys
    found: Evaluation | None


def look(adapter: HardwareAdapter, problem: Problem, source: str, *, engine: str | None, seed: int, home: Home) -> Look:
    """Reads the disk, and looks for compilers the first time. Raises InvalidSourceError, UnknownEngineError."""
    check_source(source)
    chosen = adapter.engine(engine)
    keys = _keys(adapter, problem, source, chosen, seed)
    found = _recall(home, keys.kernel, keys.exact)
    return Look(chosen, keys, found.model_copy(update={"cached": True}) if found is not None else None)


async def evaluate(
    problem_id: str,
    source: str,
    *,
    engine: str | None = None,
    seed: int = 0,
    timeout_s: float | None = None,
    home: Home | None = None,
    adapter: HardwareAdapter | None = None,
) -> Evaluation:
    """As HardwareAdapter.evaluate; an answer from the cache has `cached=True`. timeout_s=None: what suits the engine.

    Timeouts are not remembered, nor are failures of the infrastructure (they are exceptions): both may pass next time.
    Raises UsageError, EnvironmentLackError, EngineFailure.
    """
    home = home or Home()
    adapter = adapter or adapter_for(problem_id, home)
    problem = adapter.problem(problem_id)
    ask = partial(look, adapter, problem, source, engine=engine, seed=seed, home=home)
    looked = await anyio.to_thread.run_sync(ask)
    if looked.found is not None:
        return looked.found
    patience_s = looked.engine.patience_s if timeout_s is None else timeout_s
    return await work_out(adapter, problem, source, looked, seed=seed, timeout_s=patience_s, home=home)


async def work_out(
    adapter: HardwareAdapter,
    problem: Problem,
    source: str,
    looked: Look,
    *,
    seed: int,
    timeout_s: float,
    home: Home,
    slot: AbstractAsyncContextManager[object] | None = None,
) -> Evaluation:
    """What `look` did not find; it is remembered. `slot` is entered while the adapter works. Raises as `evaluate`."""
    keys = looked.keys

    async def same_code(compilation: Compilation) -> Evaluation | None:
        if compilation.code is None:
            return None
        known = await anyio.to_thread.run_sync(_recall, home, keys.of_code(compilation.code))
        about = {"kernel": kernel_digest(source), "compilation": compilation, "cached": True}
        return known.model_copy(update=about) if known is not None else None

    async with slot or nullcontext():
        evaluation = await adapter.evaluate(
            problem, source, engine=looked.engine.name, seed=seed, timeout_s=timeout_s, recall=same_code
        )
    if evaluation.verdict != "timed_out" or evaluation.fault is not None:
        wanted = [keys.kernel if evaluation.passed else keys.exact]
        if evaluation.passed and evaluation.compilation is not None and evaluation.compilation.code is not None:
            wanted.append(keys.of_code(evaluation.compilation.code))
        for key in wanted:
            await anyio.to_thread.run_sync(_remember, home, key, evaluation.model_copy(update={"cached": False}))
    await anyio.to_thread.run_sync(tidy_now_and_then, home)
    return evaluation


# A cache that cannot be read or written (disk full, database locked for long) costs time, never a result.


def _recall(home: Home, *keys: str) -> Evaluation | None:
    with suppress(sqlite3.Error):
        return EvaluationCache(home).get(*keys)
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


def _keys(adapter: HardwareAdapter, problem: Problem, source: str, chosen: EngineStatus, seed: int) -> _Keys:
    """Digests of everything an evaluation depends on."""
    conditions = (problem.digest, chosen.name, chosen.version, adapter.configuration(chosen.name), seed)
    kernel = [*conditions, kernel_identity(source, problem.language)]
    text = hashlib.sha256(source.encode()).hexdigest()
    return _Keys(_digest(kernel), _digest([*kernel, text]), conditions)


def _digest(parts: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
