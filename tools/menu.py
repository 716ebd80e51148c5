"""list_optimizations and get_optimization: the menu of domain knowledge."""

from __future__ import annotations

from random import Random
from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult
from pydantic import Field

from ..hardware_adapters.base import HardwareAdapter, Problem, Rewrite, check_source
from ..menus.menu import load_menu
from .bench import Bench, in_thread, reported
from .problems import Offset, Target
from .results import OptionDetail, OptionList, OptionSummary, answer, page
from .targets import LOOKS_ONLY

DEFAULT_LIMIT = 8  # so that an answer stays under 8 KB, its text copy included
MaybeProblem = Annotated[str | None, Field(description="Problem id: only options that can apply to it")]
MaybeSource = Annotated[str | None, Field(description="The kernel's full text; needs `problem` too")]


def register(server: MCPServer, bench: Bench) -> None:
    @server.tool(title="Optimisation menu", annotations=LOOKS_ONLY)
    async def list_optimizations(
        target: Target = None,
        problem: MaybeProblem = None,
        bottlenecks: Annotated[
            list[str] | None, Field(description="Bottleneck ids as profile_kernel returned them, most costly first")
        ] = None,
        source: MaybeSource = None,
        drop: Annotated[
            float, Field(ge=0, le=1, description="Leave out each option with this probability, to vary plans")
        ] = 0.0,
        seed: Annotated[int, Field(description="Of the random choice that `drop` makes")] = 0,
        limit: Annotated[int, Field(ge=1, le=100, description="So many options at once")] = DEFAULT_LIMIT,
        offset: Annotated[int, Field(ge=0, description="Leave out so many: the next_offset of the last call")] = 0,
    ) -> Annotated[CallToolResult, OptionList]:
        """The menu of optimisations known to pay on a target, those that address the given bottlenecks first.

        Use it to choose the next thing to try, after profile_kernel has named the bottlenecks; apply one option at a
        time. Give `problem`, or at least `target`. Not for details: get_optimization has the how, preconditions and an
        example. Returns one entry per option, the rest by id only (a larger limit, or offset=next_offset, shows more);
        with `problem` and `source` also how many ready-made rewrites exist. Takes under 1 s.
        """
        with reported():
            adapter, found = await _place(bench, target, problem)
            menu = load_menu(adapter.target)
            fitting = menu.select(found.family, bottlenecks, found.traits) if found else menu.select(None, bottlenecks)
            drawn = menu.sample(Random(seed), drop, fitting) if fitting else []
            shown, further = drawn[offset : offset + limit], drawn[offset + limit :]
            counts = await in_thread(_count_rewrites, adapter, found, source, [option.id for option in shown])
        options = tuple(
            OptionSummary(
                id=o.id,
                title=o.title,
                when=o.when,
                effect=o.effect,
                addresses=o.addresses(bottlenecks or ()),
                rewrites=count,
            )
            for o, count in zip(shown, counts, strict=True)
        )
        listed = OptionList(
            options=options,
            total=len(fitting),
            further=tuple(option.id for option in further),
            next_offset=offset + limit if further else None,
        )
        return answer(listed)

    @server.tool(title="Optimisation", annotations=LOOKS_ONLY)
    async def get_optimization(
        option: Annotated[str, Field(description="Id from list_optimizations, e.g. double-buffer-a")],
        target: Target = None,
        problem: MaybeProblem = None,
        source: MaybeSource = None,
        variant: Annotated[
            str | None, Field(description="Name of a rewrite: return the source with it applied; needs problem, source")
        ] = None,
        offset: Offset = 0,
    ) -> Annotated[CallToolResult, OptionDetail]:
        """One optimisation in full: how to do it, what must hold, an example, the expected effect.

        Call it before applying an option. Not for choosing one: list_optimizations orders them. Returns the option;
        with `problem` and `source` also the ready-made rewrites that fit a kernel made from a schedule; with `variant`
        as well the rewritten kernel, correct by construction but not yet evaluated, in pages when it is long. Takes
        under 1 s.
        """
        with reported():
            adapter, found = await _place(bench, target, problem)
            entry = load_menu(adapter.target).get(option)
            rewrites: list[Rewrite] = []
            rewritten, following = None, None
            if source is not None:
                found = _needs_problem(found)
                check_source(source)
                rewrites = await in_thread(adapter.rewrites, found, source, option)
            if variant is not None:
                if found is None or source is None:
                    raise ToolError("`variant` names a rewrite of a kernel: pass `problem` and `source` with it")
                whole = await in_thread(adapter.rewrite, found, source, option, variant)
                rewritten, following = page(whole, offset)
        return answer(OptionDetail(option=entry, rewrites=tuple(rewrites), source=rewritten, next_offset=following))


async def _place(bench: Bench, target: str | None, problem: str | None) -> tuple[HardwareAdapter, Problem | None]:
    """The adapter meant, and the problem if one was named. Only one target: no need to name it."""
    if problem is not None:
        return await bench.problem(problem)
    known = bench.adapters()
    if target is None and len(known) == 1:
        return next(iter(known.values())), None
    if target is None:
        raise ToolError(f"which target? Pass `problem`, or `target` as one of: {', '.join(known)}")
    return bench.adapter(target), None


def _needs_problem(problem: Problem | None) -> Problem:
    if problem is None:
        raise ToolError("rewrites depend on the problem's dimensions: pass `problem` together with `source`")
    return problem


def _count_rewrites(
    adapter: HardwareAdapter, problem: Problem | None, source: str | None, options: list[str]
) -> list[int]:
    if source is None:
        return [0] * len(options)
    problem = _needs_problem(problem)
    check_source(source)
    return [len(adapter.rewrites(problem, source, option)) for option in options]
