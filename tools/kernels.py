"""Tools that compile, simulate, run, profile and compare kernels: what the machine says about them."""

from __future__ import annotations

from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import Field

from ..agent.each import each
from ..hardware_adapters.base import Compilation, Evaluation, HardwareAdapter, Problem, Profile
from ..menus.menu import load_menu
from .bench import Bench, heartbeat, in_thread, reported
from .comparison import Comparison, compare
from .judging import Request, default_patience_s, hardware_engine, judge, judge_against
from .kernel_store import kernel_text
from .problems import ProblemId
from .ranking import MAX_SOURCES, rank
from .results import (
    MAX_OPTIONS_NAMED,
    ProfileResult,
    Simulation,
    answer,
    drawn,
    short_compilation,
    short_evaluation,
    short_profile,
)

Source = Annotated[str, Field(description="The kernel's full text, at most 512 KiB")]
MaybeSource = Annotated[str | None, Field(description="The kernel's full text, at most 512 KiB")]
_KERNEL = "Its full text, or the digest or kernel:// address of one that was simulated before"
Engine = Annotated[str | None, Field(description="Engine name from list_targets; default: the target's simulator")]
MAX_TIMEOUT_S = 7200.0  # RTL simulation of a large kernel
# Kernels run inside a simulated machine: nothing outside the cache of results changes.
RUNS_HERE = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)

RUNS_ON_DEVICE = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)


def register(server: MCPServer, bench: Bench) -> None:
    @server.tool(title="Compile a kernel", annotations=RUNS_HERE)
    async def compile_kernel(
        problem: ProblemId, source: Source, ctx: Context
    ) -> Annotated[CallToolResult, Compilation]:
        """Compile a kernel without running it: errors and warnings with line numbers, and static facts (code size).

        For a quick look at compiler messages. Not needed before simulate_kernel, which compiles too and gives the same
        diagnostics. Returns ok=false with diagnostics for a kernel that does not compile: that is a normal result.
        Takes 0.1 to 0.5 s; the very first call on a machine a few seconds.
        """
        with reported():
            adapter, found = await bench.problem(problem)
            async with heartbeat(ctx, "compiling"), bench.slots:
                compilation = await adapter.compile(found, source)
        return answer(short_compilation(compilation))

    @server.tool(title="Simulate kernels", annotations=RUNS_HERE)
    async def simulate_kernel(
        problem: ProblemId,
        ctx: Context,
        source: MaybeSource = None,
        sources: Annotated[
            list[str] | None,
            Field(
                min_length=1, max_length=MAX_SOURCES, description="Instead of `source`: several kernels, to be ranked"
            ),
        ] = None,
        engine: Engine = None,
        seed: Annotated[int, Field(ge=0, description="Varies the input data")] = 0,
        timeout_s: Annotated[
            float | None,
            Field(gt=0, le=MAX_TIMEOUT_S, description="Per kernel, in seconds; default: what suits the engine"),
        ] = None,
    ) -> Annotated[CallToolResult, Simulation]:
        """Is this kernel correct, and how fast? Compiles it, runs it on several input sets in the simulator, compares
        every output element, and estimates the latency. With `sources`, judges up to 8 variants side by side and ranks
        them.

        The main tool: call it after every change. Not for learning *why* a kernel is slow (profile_kernel), or slower
        than another (compare_kernels). Returns a `verdict`: passed, compile_error, wrong_result, crashed, timed_out or
        rejected; anything but passed is a normal result whose `message`, `fault`, `mismatches` and diagnostics say what
        to mend. Latency is an estimate with a stated error, beside utilisation against the roofline bound. Takes 0.2 to
        2 s a kernel for Gemmini, 1 to 15 s for NVIDIA; the default engine is stopped after 45 s unless timeout_s is
        larger. RTL engines take minutes to an hour. The same kernel again is answered from the cache.
        """
        if (source is None) == (sources is None):
            raise ToolError("pass exactly one of `source` (one kernel's text) and `sources` (a list of up to 8)")
        with reported():
            adapter, found = await bench.problem(problem)
            request = Request(adapter, found, engine, seed, timeout_s)
            if sources is not None:
                return answer(await rank(bench, ctx, request, sources))
            evaluation = await judge(bench, request, source or "", heartbeat(ctx, "compiling and simulating"))
        return answer(short_evaluation(evaluation))

    @server.tool(title="Run a kernel on hardware", annotations=RUNS_ON_DEVICE)
    async def run_kernel(
        problem: ProblemId,
        source: Source,
        ctx: Context,
        engine: Annotated[
            str | None, Field(description="A hardware engine of list_targets; default: the target's first one here")
        ] = None,
        seed: Annotated[int, Field(ge=0, description="Varies the input data")] = 0,
        timeout_s: Annotated[
            float | None, Field(gt=0, le=MAX_TIMEOUT_S, description="In seconds; default: what suits the engine")
        ] = None,
        against: Annotated[
            str | None,
            Field(description=f"Another kernel to time in turns with it, where the engine has in_turns. {_KERNEL}"),
        ] = None,
    ) -> Annotated[CallToolResult, Evaluation]:
        """Run a kernel on the real device: compiles it with the vendor's tools, checks every output element on several
        input sets, and measures the latency over repeated executions after warm-ups.

        For a kernel that passes simulate_kernel, where the machine has the device (list_targets says so, and what is
        missing otherwise). Not for trying variants: that is what the simulator is for. Returns the same verdicts as
        simulate_kernel; the latency has source "measured", its statistic and spread. With `against`, `beside` has the
        ratio of both latencies and whether it is above the noise. Takes 60 s or more, one kernel at a time; the same
        kernel again is answered from the cache, unless `against` asks for new measurements.
        """
        with reported():
            adapter, found = await bench.problem(problem)
            chosen = await in_thread(hardware_engine, adapter, engine)
            request = Request(adapter, found, chosen, seed, timeout_s, on_device=True)
            beside = against and await in_thread(kernel_text, bench.home, against)
            if beside:
                evaluation = await judge_against(bench, request, source, beside, ctx)
            else:
                evaluation = await judge(bench, request, source, heartbeat(ctx, "compiling and running"))
        return answer(short_evaluation(evaluation))

    @server.tool(title="Profile a kernel", annotations=RUNS_HERE)
    async def profile_kernel(
        problem: ProblemId, source: Source, ctx: Context, engine: Engine = None
    ) -> Annotated[CallToolResult, ProfileResult]:
        """Why is this kernel as slow as it is? Use it on a kernel that passes, then give the bottleneck ids to
        list_optimizations.

        Not for checking a kernel: simulate_kernel does that, for several at once. Returns busy time per unit, stall
        cycles by cause, traffic and reuse per tensor, place on the roofline, occupancy of the local memories over time,
        the most costly source lines, and the bottlenecks, computed by fixed rules, each with the options that address
        it; of a kernel that does not pass its `evaluation` instead. Counters that are not known are null, never 0.
        Takes 0.3 to 3 s, large problems up to 45 s.
        """
        with reported():
            adapter, found = await bench.problem(problem)
            async with heartbeat(ctx, "profiling"):
                result = await _profile(bench, adapter, found, source, engine)
        if isinstance(result, Profile):
            menu = load_menu(adapter.target)
            options = menu.addressing([b.id for b in result.bottlenecks], found.family, found.traits)
            named = {bottleneck: ids[:MAX_OPTIONS_NAMED] for bottleneck, ids in options.items()}
            return answer(ProfileResult(profile=short_profile(result), options=named), meta=drawn(result))
        return answer(ProfileResult(evaluation=short_evaluation(result)))

    @server.tool(title="Compare two kernels", annotations=RUNS_HERE)
    async def compare_kernels(
        problem: ProblemId,
        a: Annotated[str, Field(description=f"The one to compare with. {_KERNEL}")],
        b: Annotated[str, Field(description=f"The other, e.g. the changed one. {_KERNEL}")],
        ctx: Context,
        engine: Engine = None,
    ) -> Annotated[CallToolResult, Comparison]:
        """Why is one kernel slower than the other? Profiles both and accounts for the difference in latency by cause.

        Use it when a change did not bring what it should, or to learn what a better kernel does differently. Not for
        finding the fastest of several: simulate_kernel with `sources` ranks them. Returns the causes (work of the main
        unit and stalls, which together fill every cycle) with their cycles and the counters that explain them, the
        changes in unit times, traffic and commands, and a summary in words; of a kernel that does not pass its verdict.
        Takes 0.6 to 6 s, large problems up to 45 s.
        """
        with reported():
            adapter, found = await bench.problem(problem)
            texts = [await in_thread(kernel_text, bench.home, given) for given in (a, b)]
            async with heartbeat(ctx, "profiling both"):
                first, second = await each(
                    texts, lambda text: _profile(bench, adapter, found, text, engine), stop_at_failure=True
                )
        return answer(compare(first, second, adapter.causes()))


async def _profile(
    bench: Bench, adapter: HardwareAdapter, problem: Problem, source: str, engine: str | None
) -> Profile | Evaluation:
    chosen = await in_thread(adapter.engine, engine)
    async with bench.slots:
        return await adapter.profile(problem, source, engine=engine, timeout_s=default_patience_s(chosen))
