"""compile_kernel, simulate_kernel and profile_kernel: what the machine says about a kernel."""

from __future__ import annotations

from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import Field

from ..hardware_adapters.base import Compilation, Evaluation, Profile, UsageError
from ..menus.menu import load_menu
from .bench import Bench, heartbeat, in_thread, reported
from .problems import ProblemId
from .records import keep_kernel
from .results import MAX_OPTIONS_NAMED, ProfileResult, answer, short_compilation, short_evaluation, short_profile

Source = Annotated[str, Field(description="The kernel's full text, at most 512 KiB")]
Engine = Annotated[str | None, Field(description="Engine name from list_targets; default: the target's simulator")]
HOST_PATIENCE_S = 45.0  # hosts commonly give a call up after a minute
MAX_TIMEOUT_S = 7200.0  # RTL simulation of a large kernel
# Kernels run inside a simulated machine: nothing outside the cache of results changes.
RUNS_HERE = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)


def register(server: MCPServer, bench: Bench) -> None:
    @server.tool(title="Compile a kernel", annotations=RUNS_HERE)
    async def compile_kernel(
        problem: ProblemId, source: Source, ctx: Context
    ) -> Annotated[CallToolResult, Compilation]:
        """Compile a kernel without running it: errors and warnings with line numbers, and static facts (code size).

        For a quick look at compiler messages. Not needed before simulate_kernel, which compiles too and returns the
        same diagnostics. A kernel that does not compile is a normal result with ok=false. About 0.1 to 0.5 s; the very
        first call on a machine may take a few seconds.
        """
        with reported():
            adapter = bench.adapter_for(problem)
            found = adapter.problem(problem)
            async with heartbeat(ctx, "compiling"), bench.slots:
                compilation = await adapter.compile(found, source)
        return answer(short_compilation(compilation))

    @server.tool(title="Simulate a kernel", annotations=RUNS_HERE)
    async def simulate_kernel(
        problem: ProblemId,
        source: Source,
        ctx: Context,
        engine: Engine = None,
        seed: Annotated[int, Field(ge=0, description="Varies the input data")] = 0,
        timeout_s: Annotated[
            float | None,
            Field(gt=0, le=MAX_TIMEOUT_S, description="Give up after so many seconds; default: what suits the engine"),
        ] = None,
    ) -> Annotated[CallToolResult, Evaluation]:
        """Is this kernel correct, and how fast? Compiles it, runs it on several input sets in the simulator, compares
        every output element, and estimates the latency.

        The main tool: call it after every change. `verdict` is passed, compile_error, wrong_result, crashed, timed_out
        or rejected; anything but passed is a normal result whose `message`, `fault`, `mismatches` and diagnostics say
        what to mend. Latency is an estimate with a stated error, and comes with utilisation against the roofline bound.
        To learn *why* it is slow, use profile_kernel. About 0.2 to 2 s; large problems up to 45 s, RTL engines
        minutes to an hour. Same kernel again: answered from the cache.
        """
        with reported():
            allowed_s = await in_thread(_patience_s, bench, problem, engine)
            if timeout_s is not None:
                allowed_s = timeout_s
            async with heartbeat(ctx, "compiling and simulating"):
                evaluation = await bench.evaluate(problem, source, engine=engine, seed=seed, timeout_s=allowed_s)
            await in_thread(keep_kernel, bench.home, evaluation.kernel, source)
        return answer(short_evaluation(evaluation))

    @server.tool(title="Profile a kernel", annotations=RUNS_HERE)
    async def profile_kernel(
        problem: ProblemId, source: Source, ctx: Context, engine: Engine = None
    ) -> Annotated[CallToolResult, ProfileResult]:
        """Why is this kernel as slow as it is? Busy time per unit, stall cycles by cause, traffic and reuse per tensor,
        place on the roofline, occupancy of the local memories over time, the most costly source lines, and the
        bottlenecks, computed by fixed rules, each with the options that address it.

        Use it on a kernel that passes, then give the bottleneck ids to list_optimizations. A kernel that does not pass
        comes back as `evaluation` instead of `profile`. Counters that are not known are null, never 0. About 0.3 to
        3 s.
        """
        with reported():
            adapter = bench.adapter_for(problem)
            found = adapter.problem(problem)
            async with heartbeat(ctx, "profiling"), bench.slots:
                result = await adapter.profile(found, source, engine=engine, timeout_s=45.0)
        if isinstance(result, Profile):
            menu = load_menu(adapter.target)
            options = menu.addressing([found.id for found in result.bottlenecks], found.family)
            named = {bottleneck: ids[:MAX_OPTIONS_NAMED] for bottleneck, ids in options.items()}
            return answer(ProfileResult(profile=short_profile(result), options=named))
        return answer(ProfileResult(evaluation=short_evaluation(result)))


def _patience_s(bench: Bench, problem: str, engine: str | None) -> float:
    """How long an evaluation may take where the caller does not say. simulate_kernel runs simulators only: a host may
    allow it freely, unlike time on a device. Raises UnknownEngineError, UsageError."""
    adapter = bench.adapter_for(problem)
    chosen = adapter.engine(engine)
    if chosen.kind != "simulator":
        simulators = ", ".join(status.name for status in adapter.engines() if status.kind == "simulator")
        raise UsageError(f"engine {engine!r} is hardware, not a simulator; simulators here: {simulators}")
    return HOST_PATIENCE_S if chosen.default else chosen.patience_s
