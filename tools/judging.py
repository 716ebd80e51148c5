"""One kernel of a call judged: from the cache at once, or in one of the bench's slots; its text is kept."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

from mcp.server.mcpserver import Context

from ..hardware_adapters.base import (
    EngineStatus,
    EnvironmentLackError,
    Evaluation,
    HardwareAdapter,
    Problem,
    UsageError,
)
from .bench import Bench, heartbeat, in_thread
from .kernel_store import keep_kernel
from .metering import judging, recalled

HOST_PATIENCE_S = 45.0  # hosts commonly give a call up after a minute


class Request(NamedTuple):
    """How the kernels of a call are to be judged. engine None: the target's default; timeout_s None: what suits it."""

    adapter: HardwareAdapter
    problem: Problem
    engine: str | None
    seed: int
    timeout_s: float | None
    on_device: bool = False

    def patience_s(self, chosen: EngineStatus) -> float:
        """Raises UsageError for hardware: a host may allow simulate_kernel freely, unlike time on a device."""
        if chosen.kind != "simulator" and not self.on_device:
            simulators = ", ".join(status.name for status in self.adapter.engines() if status.kind == "simulator")
            raise UsageError(
                f"engine {chosen.name!r} is hardware, not a simulator: run_kernel runs kernels there (offered by a "
                f"server with --toolsets problems,menu,kernels,search,hardware); simulators here: {simulators}"
            )
        return default_patience_s(chosen) if self.timeout_s is None else self.timeout_s


def default_patience_s(chosen: EngineStatus) -> float:
    """What one kernel may take where the caller does not say: whoever names another engine than the default waits as
    long as that takes."""
    return HOST_PATIENCE_S if chosen.default else chosen.patience_s


def hardware_engine(adapter: HardwareAdapter, engine: str | None) -> str:
    """The engine of this name, else the target's first one that is here; it must be hardware.
    Raises UnknownEngineError, UsageError, EnvironmentLackError."""
    if engine is not None:
        if adapter.engine(engine).kind != "hardware":
            raise UsageError(f"engine {engine!r} is a simulator: simulate_kernel is for it")
        return engine
    known = [status for status in adapter.engines() if status.kind == "hardware"]
    if not known:
        raise UsageError(f"{adapter.target} has no engine that is hardware: simulate_kernel judges its kernels")
    found = next((status.name for status in known if status.available), None)
    if found is None:
        raise EnvironmentLackError("; ".join(f"engine {s.name!r} is not available: {s.reason}" for s in known))
    return found


async def judge(
    bench: Bench, request: Request, source: str, meanwhile: AbstractAsyncContextManager[object]
) -> Evaluation:
    """`meanwhile` is entered while the kernel is worked out. Raises UsageError, EnvironmentLackError, EngineFailure."""
    from ..hardware_adapters.evaluator import Look, look, work_out

    adapter, problem, engine, seed, *_ = request

    def recall() -> tuple[Look, float]:
        looked = look(adapter, problem, source, engine=engine, seed=seed, home=bench.home)
        patience_s = request.patience_s(looked.engine)
        if looked.found is not None:
            keep_kernel(bench.home, looked.found.kernel, source, problem.id)
        return looked, patience_s

    # One visit to the disk for all that a known kernel needs: visits cost more than what they do.
    looked, patience_s = await in_thread(recall)
    if looked.found is not None:
        recalled(looked.found, problem)
        return looked.found
    with judging(problem) as judged:
        async with meanwhile:
            evaluation = judged.evaluation = await work_out(
                adapter, problem, source, looked, seed=seed, timeout_s=patience_s, home=bench.home, slot=bench.slots
            )
    await in_thread(keep_kernel, bench.home, evaluation.kernel, source, problem.id)
    return evaluation


async def judge_against(bench: Bench, request: Request, source: str, against: str, ctx: Context) -> Evaluation:
    """The kernel timed in turns with another, which has to pass alone first: what is wrong with that one must not be
    held against this. Never from the cache. Raises UsageError, EnvironmentLackError, EngineFailure."""
    adapter, problem, engine, seed, *_ = request
    chosen = await in_thread(adapter.engine, engine)
    if not chosen.in_turns:  # before the other kernel takes its time
        await adapter.evaluate_against(problem, source, against, engine=chosen.name)
    other = await judge(bench, request, against, heartbeat(ctx, "running the other kernel"))
    if not other.passed:
        raise UsageError(f"the kernel to time against does not pass itself: {other.verdict}: {other.message}")
    async with heartbeat(ctx, "running both in turns"), bench.slots:
        evaluation = await adapter.evaluate_against(
            problem, source, against, engine=chosen.name, seed=seed, timeout_s=request.patience_s(chosen)
        )
    await in_thread(keep_kernel, bench.home, evaluation.kernel, source, problem.id)
    return evaluation
