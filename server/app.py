"""Builds the MCP server: one function, used by every transport, by the controller (in memory) and by the tests."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp.server import MCPServer

from .. import __version__
from ..tools import completion, kernels, menu, problems, prompts, resources, search, targets
from ..tools.bench import Bench
from ..tools.search import Jobs

INSTRUCTIONS = """\
Makes kernels for tensor accelerators fast. By hand: get_problem (baseline, rules, bound), simulate_kernel \
(correct? how fast?), profile_kernel (the bottleneck), list_optimizations with that bottleneck, get_optimization, \
change ONE thing, simulate_kernel again (sources=[…] ranks several variants); keep what passes and is faster. Or let \
start_search do it and wait with get_search. Latencies marked "estimated" come from a simulator with a stated error, \
never from hardware. How to program a target: resource reference://{target}/guide, e.g. reference://gemmini/guide."""


def build_server(bench: Bench | None = None) -> MCPServer[Jobs]:
    """The server with all tools. State is in the bench's home, so any number of servers may share it."""
    bench = bench or Bench()
    _log_to_stderr()

    @asynccontextmanager
    async def lifespan(server: MCPServer[Jobs]) -> AsyncIterator[Jobs]:
        async with Jobs.running(bench) as jobs:
            yield jobs

    server = MCPServer(
        name="autocomp-mcp",
        title="Autocomp: kernel optimisation for tensor accelerators",
        instructions=INSTRUCTIONS,
        version=__version__,
        lifespan=lifespan,
        log_level="WARNING",
    )
    for room in (targets, problems, menu, kernels, search):
        room.register(server, bench)
    for room in (resources, prompts, completion):
        room.register(server, bench)
    return server


def _log_to_stderr() -> None:
    """Plain lines on stderr before the SDK installs its own coloured, wrapped ones. stdout belongs to the protocol."""
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s: %(message)s")
