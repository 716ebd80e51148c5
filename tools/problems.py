"""list_problems and get_problem: what can be optimised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult
from pydantic import Field, WithJsonSchema

from ..hardware_adapters.base import OwnProblem, ProblemSummary
from ..hardware_adapters.custom.definition import parsed
from ..menus.menu import OWN_FAMILIES, UnknownNameError
from .bench import Bench, heartbeat, in_thread, reported
from .results import ProblemDetail, ProblemList, answer, page
from .targets import LOOKS_ONLY

MAX_UNPROVEN = 20  # of those below the problem roots
FEW_EXAMPLES = 4  # of each target, of different families, where no target was asked for
Target = Annotated[str | None, Field(description="Only this target, e.g. gemmini")]
ProblemId = Annotated[str, Field(description="Problem id, e.g. gemmini/gemm-512x512x512 (M x N x K)")]
MaybeProblemId = Annotated[
    str | None,
    Field(description="Problem id, e.g. gemmini/gemm-512x512x512 (M x N x K); or a folder below the problem root"),
]
# Spelt out where it is used, since not every host follows references in arguments; and read by `parsed`, which says
# better than the SDK what is wrong with a field.
_OWN = OwnProblem.model_json_schema()
Own = Annotated[
    dict[str, Any] | None,
    WithJsonSchema({"anyOf": [_OWN, {"type": "null"}]}),
    Field(description="Instead of `problem`: an operator of your own, in no family"),
]
Offset = Annotated[int, Field(ge=0, description="Where to go on in a long source: the next_offset of the last call")]


def register(server: MCPServer, bench: Bench) -> None:
    @server.tool(title="Problems", annotations=LOOKS_ONLY)
    async def list_problems(
        target: Target = None,
        suite: Annotated[str | None, Field(description="Only this suite, one of those that `suites` names")] = None,
    ) -> Annotated[CallToolResult, ProblemList]:
        """Problems that kernels can be written for, suites of them, and the patterns of their ids.

        Use it to find a problem id. Not for sizes of your own: a family takes any dimensions, so fill in its pattern
        instead of searching the list; nor for an operator in no family: get_problem(own=…) takes it in. Returns
        examples (your own first; a few per target, all with `target`), or the problems of one suite; names of suites;
        the pattern of every family. Takes under 0.1 s.
        """
        with reported():
            chosen = [bench.adapter(target)] if target else list(bench.adapters().values())
            suites = {name: what for adapter in chosen for name, what in adapter.suites().items()}
            having = [adapter for adapter in chosen if suite in (None, *adapter.suites())]
            if not having:
                raise UnknownNameError("suite", str(suite), suites)
            further: dict[str, int] = {}
            problems: list[ProblemSummary] = []
            for adapter in having:
                found = adapter.suite(suite) if suite else adapter.problems()
                # Own ones come first in an adapter's list, and are never left out.
                shown = found if suite or target else _few(found)
                problems += shown
                if len(shown) < len(found):
                    further[adapter.target] = len(found) - len(shown)
            if suite is not None:
                suites = {name: what for adapter in having for name, what in adapter.suites().items()}
            if suite is None:
                known = {problem.id for problem in problems}
                own = [p for adapter in having for p in await in_thread(bench.intake().listed, adapter.target)]
                problems = [*[p for p in own if p.id not in known][:MAX_UNPROVEN], *problems]
            families = {
                f"{adapter.target}/{name}": pattern
                for adapter in having
                for name, pattern in adapter.families().items()
            }
        return answer(ProblemList(problems=tuple(problems), further=further, suites=suites, families=families))

    @server.tool(title="Problem", annotations=LOOKS_ONLY)
    async def get_problem(
        ctx: Context,
        problem: MaybeProblemId = None,
        own: Own = None,
        include_baseline: Annotated[bool, Field(description="Also the source of a correct, slow kernel")] = True,
        offset: Offset = 0,
    ) -> Annotated[CallToolResult, ProblemDetail]:
        """Everything needed to write a kernel for one problem: signature, exact semantics, tensors, rules, roofline
        bound, and a correct baseline kernel to start from.

        Read it once before writing or changing a kernel. For an operator that no family has, pass `own`: it is checked
        (its kernel must pass, worthless ones must fail, every input must matter), kept, and usable in all tools by the
        id that comes back. Not for the target's instructions: those are the resource reference://{target}/guide.
        Returns the problem and the baseline, in pages when that is long. Takes under 0.1 s, with `own` 2 to 40 s.
        """
        if (problem is None) == (own is None):
            raise ToolError("pass exactly one of `problem` (an id) and `own` (an operator of your own)")
        with reported():
            if own is not None:
                async with heartbeat(ctx, "checking that the problem proves itself"):
                    _, found, proof = await bench.define(parsed(own))
                return answer(ProblemDetail(problem=found, proof=proof.findings if proof else ()))
            async with heartbeat(ctx, "reading the problem"):
                adapter, found = await bench.problem(problem or "")
            baseline = await in_thread(adapter.baseline, found) if include_baseline else None
        following = None
        if baseline is not None:
            if offset > len(baseline):
                raise ToolError(f"offset {offset} is past the end: the baseline has {len(baseline)} characters")
            baseline, following = page(baseline, offset)
        return answer(ProblemDetail(problem=found, baseline=baseline, next_offset=following))


def _few(problems: Sequence[ProblemSummary]) -> list[ProblemSummary]:
    """The user's own, and the first of some families."""
    own = [problem for problem in problems if problem.family.startswith(OWN_FAMILIES)]
    first = {problem.family: problem for problem in reversed(problems) if problem not in own}
    chosen = [problem for problem in problems if first.get(problem.family) is problem]
    return [*own, *chosen[:FEW_EXAMPLES]]
