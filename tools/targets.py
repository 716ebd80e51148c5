"""list_targets: what works on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

from mcp.server import MCPServer
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import Field

from ..hardware_adapters.base import FACTS, AdapterError, EngineStatus, HardwareAdapter, ServerFacts, TargetStatus
from ..menus.menu import UnknownNameError
from ..menus.reference import reference, topics
from .bench import Bench, in_thread, reported
from .results import TargetList, answer, clip

PATIENCE_S = EngineStatus.model_fields["patience_s"].default
CONDITIONS_DIGITS = 12
MAX_UNUSED = 64  # characters on an engine that this machine lacks; `doctor` has all of them
LOOKS_ONLY = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)


def register(server: MCPServer, bench: Bench) -> None:
    @server.tool(title="Targets and engines", annotations=LOOKS_ONLY)
    async def list_targets(
        topic: Annotated[
            str | None,
            Field(description="Instead: this part of a target's programming reference, e.g. gemmini/guide"),
        ] = None,
    ) -> Annotated[CallToolResult, TargetList]:
        """Which accelerators (Gemmini, Trainium, NVIDIA) and engines work here, and what would make the others work.
        With `topic`, how to program one of them.

        Start here when you do not know what is available, or after an error that begins with "environment:"; read
        topic="gemmini/guide" before you write a kernel, unless you have read the resource reference://gemmini/guide,
        which is the same. Not for the problems of a target: list_problems. Returns for every target its operator
        families, its engines (simulator or hardware, available or why not, latencies estimated or measured, how far
        verified) and the names of its topics; or one topic's text, at most 8 KB. Takes under 1 s.
        """
        with reported():
            if topic is not None:
                return answer(TargetList(reference=await in_thread(lambda: _read(topic))))
            confined = await bench.executor.sandbox()
            targets = await in_thread(lambda: [_brief(target_status(adapter)) for adapter in bench.adapters().values()])
            facts = await in_thread(lambda: _facts(bench, targets))
        listed = TargetList(
            targets=tuple(targets),
            topics={found.name: _topics(found.name) for found in targets},
            sandbox=confined,
        )
        # A dozen engines, most of them with the defaults.
        return answer(listed, terse=True, meta={FACTS: facts.model_dump(mode="json")})


def _topics(target: str) -> tuple[str, ...]:
    try:
        return tuple(topics(target))
    except UnknownNameError:
        return ()  # a target without a reference


def _brief(status: TargetStatus) -> TargetStatus:
    """Of engines that cannot be used here only what they are and, in few words and once, what they need."""
    said: dict[str, str] = {}  # what is lacking -> the first engine that lacks it
    engines: list[EngineStatus] = []
    for engine in status.engines:
        if not engine.available and not engine.default:
            first = said.setdefault(engine.reason, engine.name)
            reason = f"as {first}" if first != engine.name else clip(engine.reason, MAX_UNUSED)
            engine = engine.model_copy(update={"trust": "", "reason": reason, "patience_s": PATIENCE_S})
        engines.append(engine)
    return status.model_copy(update={"engines": tuple(engines)})


def _read(topic: str) -> str:
    """Raises UnknownNameError, which names the topics that there are."""
    target, _, name = topic.removeprefix("reference://").partition("/")
    return reference(target, name or "guide")


def target_status(adapter: HardwareAdapter) -> TargetStatus:
    return TargetStatus(
        name=adapter.target,
        title=adapter.title,
        engines=tuple(adapter.engines()),
        families=tuple(adapter.families()),
    )


def _facts(bench: Bench, targets: Sequence[TargetStatus]) -> ServerFacts:
    conditions: dict[str, str] = {}
    for target in targets:
        for engine in target.engines:
            if engine.available and engine.version is not None:  # else its machine has yet to come
                with suppress(AdapterError):  # it went away meanwhile
                    configuration = bench.adapter(target.name).configuration(engine.name)
                    digest = hashlib.sha256(configuration.encode()).hexdigest()
                    conditions[f"{target.name}/{engine.name}"] = digest[:CONDITIONS_DIGITS]
    return ServerFacts(at_once=bench.executor.at_once(), conditions=conditions)
