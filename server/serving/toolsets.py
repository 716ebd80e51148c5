"""Which tools a server offers: sets of them by name, single ones left out, or only those that change nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...menus.menu import UnknownNameError

TOOLSETS = {
    "problems": ("list_targets", "list_problems", "get_problem"),
    "menu": ("list_optimizations", "get_optimization"),
    "kernels": ("compile_kernel", "simulate_kernel", "profile_kernel", "compare_kernels"),
    "search": ("start_search", "get_search", "cancel_search"),
    "hardware": ("run_kernel",),
}
ON_REQUEST = frozenset({"hardware"})  # few machines have a device, and every tool costs a model's attention
TOOLS = tuple(tool for tools in TOOLSETS.values() for tool in tools)
# They spend time or money beyond the call itself, or stop what somebody else may wait for.
CHANGING = frozenset({"run_kernel", "start_search", "cancel_search"})
_SENTENCES = (
    (
        {"get_problem", "simulate_kernel", "profile_kernel", "list_optimizations", "get_optimization"},
        "By hand: get_problem (baseline, rules, bound), simulate_kernel (correct? how fast?), profile_kernel (the "
        "bottleneck), list_optimizations with that bottleneck, get_optimization, change ONE thing, simulate_kernel "
        "again (sources=[…] ranks several variants); keep what passes and is faster.",
    ),
    ({"get_problem"}, "An operator that no family has: get_problem(own={…}) checks it and gives it an id."),
    ({"start_search", "get_search"}, "Let start_search do the whole work, and wait with get_search."),
    (
        {"simulate_kernel"},
        'Latencies marked "estimated" come from a simulator with a stated error, never from hardware.',
    ),
)


class NoToolLeftError(ValueError):
    """Every tool was left out."""


class Selection(NamedTuple):
    """What `serve` was told. `toolsets=None`: all of them."""

    toolsets: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    read_only: bool = False

    @classmethod
    def of(cls, toolsets: str | None, exclude: Iterable[str], read_only: bool) -> Selection:
        """From the command line's words: names joined by commas."""
        left_out = tuple(name for words in exclude for name in _words(words))
        usual = tuple(name for name in TOOLSETS if name not in ON_REQUEST)
        return cls(usual if toolsets is None else _words(toolsets), left_out, read_only)

    def tools(self) -> tuple[str, ...]:
        """The names of the tools to offer. `read_only` overrides whatever else was asked for.
        Raises UnknownNameError, NoToolLeftError."""
        chosen = tuple(TOOLSETS) if self.toolsets is None else self.toolsets
        for name in chosen:
            if name not in TOOLSETS:
                raise UnknownNameError("toolset", name, TOOLSETS)
        for name in self.exclude:
            if name not in TOOLS:
                raise UnknownNameError("tool", name, TOOLS)
        wanted = {tool for name in chosen for tool in TOOLSETS[name]} - set(self.exclude)
        if self.read_only:
            wanted -= CHANGING
        if not wanted:
            raise NoToolLeftError(f"no tool is left to offer; toolsets: {', '.join(TOOLSETS)}")
        return tuple(tool for tool in TOOLS if tool in wanted)


def instructions(tools: Iterable[str]) -> str:
    """What a host tells its model about this server; nothing about tools that it does not have."""
    offered = set(tools)
    return " ".join(
        [
            "Makes kernels for tensor accelerators fast.",
            *(sentence for needed, sentence in _SENTENCES if needed <= offered),
            "How to program a target: resource reference://{target}/guide, e.g. reference://gemmini/guide"
            + (
                '; where resources cannot be read, list_targets(topic="gemmini/guide").'
                if "list_targets" in offered
                else "."
            ),
        ]
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
