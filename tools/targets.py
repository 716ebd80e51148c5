"""list_targets: what works on this machine."""

from __future__ import annotations

from typing import Annotated

from mcp.server import MCPServer
from mcp.types import CallToolResult, ToolAnnotations

from ..hardware_adapters.base import HardwareAdapter, TargetStatus
from .bench import Bench, in_thread, reported
from .results import TargetList, answer

LOOKS_ONLY = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)


def register(server: MCPServer, bench: Bench) -> None:
    @server.tool(title="Targets and engines", annotations=LOOKS_ONLY)
    async def list_targets() -> Annotated[CallToolResult, TargetList]:
        """Which accelerators (Gemmini) and engines work on this machine, and what would make the others work.

        Start here when you do not know what is available, or after an error that begins with "environment:". Not for
        the problems of a target: list_problems. Returns for every target its operator families and its engines:
        simulator or hardware, available or why not, latencies estimated or measured, how far verified. Takes under 1 s.
        """
        with reported():
            targets = await in_thread(lambda: [target_status(adapter) for adapter in bench.adapters().values()])
        return answer(TargetList(targets=tuple(targets)))


def target_status(adapter: HardwareAdapter) -> TargetStatus:
    return TargetStatus(
        name=adapter.target,
        title=adapter.title,
        engines=tuple(adapter.engines()),
        families=tuple(adapter.families()),
    )
