"""Prompts that walk an assistant through the method by hand: its own model plans and writes, our tools judge.

The texts are the templates beside this module.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.mcpserver.prompts.base import Message, Prompt
from mcp.types import INVALID_PARAMS, InputRequiredResult
from pydantic import Field

from ...hardware_adapters.base import AdapterError, InvalidSourceError, check_source
from ...menus.menu import load_menu
from ...menus.reference import topics
from ..bench import MAX_ERROR, Bench, in_thread
from ..results import clip

if TYPE_CHECKING:
    from jinja2 import Environment

# What the walk calls; a server without one of these does not offer the prompts.
NEEDS = frozenset(
    {
        "list_targets", "get_problem", "simulate_kernel", "profile_kernel", "list_optimizations", "get_optimization",
        "compare_kernels",
    }
)  # fmt: skip
MAX_NAME_CHARS = 300  # a path or an address; anything longer, or of several lines, is a kernel's text
NEAR_PERCENT = 95  # of the bound: from here on the simulator's own error is as large as what is left

_SOURCE = "The kernel's text, or the file or kernel:// address that holds it"
ProblemArgument = Annotated[str, Field(description="Problem id, e.g. gemmini/gemm-512x512x512")]
Source = Annotated[str, Field(description=_SOURCE)]
Foreign = Annotated[
    str, Field(description="A kernel for another machine or library, or plain code; or the file that holds it")
]


def register(server: MCPServer, bench: Bench) -> None:
    async def optimize_kernel(
        problem: ProblemArgument,
        source: Annotated[str | None, Field(description=f"Where to start; default: the baseline. {_SOURCE}")] = None,
    ) -> str:
        """Make a kernel as fast as its bound allows: profile, choose from the menu, write, simulate, again."""
        return await _render(bench, "optimize_kernel.j2", problem, source)

    async def diagnose_kernel(problem: ProblemArgument, source: Source) -> str:
        """Find out why a kernel fails, or what holds it back, and what to do first; changes nothing."""
        return await _render(bench, "diagnose_kernel.j2", problem, source)

    async def port_kernel(problem: ProblemArgument, source: Foreign) -> str:
        """Bring code written for something else to this target: correct first, then fast."""
        return await _render(bench, "port_kernel.j2", problem, source)

    titles = {optimize_kernel: "Optimise a kernel", diagnose_kernel: "Diagnose a kernel", port_kernel: "Port a kernel"}
    for walk, title in titles.items():
        server.add_prompt(CheckedPrompt.from_function(walk, title=title))


class CheckedPrompt(Prompt):
    """The SDK's own answer to a missing argument is an internal error without a word about it."""

    async def render(self, arguments: dict[str, Any] | None, context: Any) -> list[Message] | InputRequiredResult:
        given = arguments or {}
        missing = [a.name for a in self.arguments or () if a.required and a.name not in given]
        if missing:
            raise MCPError(code=INVALID_PARAMS, message=f"{self.name} needs {' and '.join(missing)}")
        return await super().render(arguments, context)


async def _render(bench: Bench, template: str, problem_id: str, source: str | None) -> str:
    """Raises MCPError (invalid params) for an unknown problem or a text that no compiler should see."""
    try:
        adapter, problem = await bench.problem(problem_id.strip())
        given = (source or "").strip()
        if source is not None and not given and template != "optimize_kernel.j2":
            raise InvalidSourceError("`source` is empty: pass the kernel's text, or the name of the file that holds it")
        if given:
            check_source(given)
    except AdapterError as error:
        raise MCPError(code=INVALID_PARAMS, message=clip(str(error), MAX_ERROR)) from error
    known: dict[str, Any] = {
        "problem": problem,
        "near": NEAR_PERCENT,
        "pitfalls": "pitfalls" in topics(adapter.target),
        "options": len(load_menu(adapter.target).select(problem.family, traits=problem.traits)),
        "kernel": None if _names(given) else given.rstrip("\n"),
        "place": given if _names(given) else None,
    }
    return await in_thread(lambda: _templates().get_template(template).render(known))


def _names(given: str) -> bool:
    """Whether it says where the kernel is. Hosts pass arguments as typed words, so a whole kernel is rare."""
    return bool(given) and len(given) <= MAX_NAME_CHARS and not any(mark in given for mark in "\n{};(")


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
