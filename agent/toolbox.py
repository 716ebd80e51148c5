"""The tools as typed methods: the only way the agent reaches problems, menus and machines."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from pydantic import Field, ValidationError

from ..hardware_adapters.base import (
    DRAWN,
    DRAWN_FIELDS,
    FACTS,
    EngineStatus,
    Evaluation,
    Problem,
    Profile,
    Record,
    Rewrite,
    SandboxStatus,
    ServerFacts,
    TargetStatus,
)
from ..menus.option import Option
from .answers import reason, text_of
from .calls import Begun, Calls, ClientCalls, told_nobody
from .errors import EngineLackingError, InfrastructureError, SandboxLackingError, ToolUsageError

CALL_TIMEOUT_S = 120.0
MAX_PAGES = 64
MAX_OPTIONS = 100  # the most that one call of list_optimizations shows; menus are shorter
UNTOLD_AT_ONCE = 2  # evaluations, of a server that does not say


class ProblemDetail(Record):
    problem: Problem
    baseline: str | None = None


class OptionSummary(Record):
    id: str
    title: str
    when: str
    effect: str
    addresses: int | None = Field(default=None, description="Which of the given bottlenecks it is for, 0 the first")
    rewrites: int = Field(default=0, description="Ready-made rewrites for the given source")


class OptionDetail(Record):
    option: Option
    rewrites: tuple[Rewrite, ...] = ()
    source: str | None = None


class ProfileOutcome(Record):
    """A profile, or the evaluation that says why there is none."""

    profile: Profile | None = None
    evaluation: Evaluation | None = None


class Machine(NamedTuple):
    """What a server has for a target."""

    target: str
    engines: dict[str, EngineStatus]
    sandbox: SandboxStatus | None
    facts: ServerFacts

    def check_engine(self, engine: str) -> None:
        """Raises ToolUsageError for an engine that is not known here, EngineLackingError for one that is lacking."""
        status = self.engines.get(engine)
        if status is None:
            raise ToolUsageError(f"unknown engine {engine!r}: {self.target} has {', '.join(self.engines) or 'none'}")
        if not status.available:
            raise EngineLackingError(engine, status.reason)

    def check_sandbox(self) -> None:
        """Raises SandboxLackingError unless it is known to have every layer."""
        missing = self.sandbox.missing if self.sandbox is not None else ("all of it: the server does not say",)
        if missing:
            raise SandboxLackingError(missing)


class Toolbox:
    """Typed calls of one server (of several: servers/toolbox.py).

    Raises as Calls does. A kernel that fails is no error: its Evaluation says so.
    """

    def __init__(self, calls: Calls, *, call_timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._calls = calls
        self._call_timeout_s = call_timeout_s
        self._machines: dict[str, Machine] = {}  # by target

    @staticmethod
    @asynccontextmanager
    async def connect(server: Any, *, call_timeout_s: float = CALL_TIMEOUT_S, **options: Any) -> AsyncIterator[Toolbox]:
        """`server`: a server object (in memory), a URL, or StdioServerParameters; `options`: as ClientCalls has them.
        Raises InfrastructureError, also where the server goes away: the SDK then cancels the work inside, and says why
        when the client is closed."""
        from mcp import Client

        client = Client(server)
        try:
            await client.__aenter__()
        except Exception as error:
            raise InfrastructureError(f"cannot connect to the MCP server {server!r}: {reason(error)}") from error
        failed = False
        try:
            yield Toolbox(ClientCalls(client, **options), call_timeout_s=call_timeout_s)
        except Exception:
            failed = True
            raise
        finally:
            try:
                await client.__aexit__(None, None, None)
            except Exception as error:
                if not failed:
                    raise InfrastructureError(f"lost the MCP server {server!r}: {reason(error)}") from error

    # ------------------------------------------------------------ tools

    async def get_problem(self, problem: str) -> ProblemDetail:
        pages = await self._pages("get_problem", {"problem": problem}, "baseline")
        return _parsed(ProblemDetail, pages, "get_problem")

    async def define_problem(self, own: Mapping[str, Any]) -> None:
        """Have the server take in a problem of the user's own, which then has an id there."""
        await self._call("get_problem", {"own": dict(own)})

    async def list_optimizations(
        self,
        problem: str,
        *,
        source: str | None = None,
        bottlenecks: tuple[str, ...] = (),
    ) -> tuple[OptionSummary, ...]:
        """All that fit, those that address the bottlenecks first."""
        arguments = {"problem": problem, "source": source, "bottlenecks": list(bottlenecks) or None}
        data = await self._call("list_optimizations", {**arguments, "limit": MAX_OPTIONS})
        return tuple(_parsed(OptionSummary, entry, "list_optimizations") for entry in data.get("options", ()))

    async def get_optimization(
        self, option: str, problem: str, *, source: str | None = None, variant: str | None = None
    ) -> OptionDetail:
        arguments = {"option": option, "problem": problem, "source": source, "variant": variant}
        return _parsed(OptionDetail, await self._pages("get_optimization", arguments, "source"), "get_optimization")

    async def simulate(
        self,
        problem: str,
        source: str,
        *,
        engine: str | None = None,
        seed: int = 0,
        timeout_s: float | None = None,
        against: str | None = None,
        begun: Begun = told_nobody,
    ) -> Evaluation:
        """`against`: another kernel to be timed in turns with it, on an engine that can (`in_turns`)."""
        arguments = {"problem": problem, "source": source, "engine": engine, "seed": seed}
        if timeout_s is not None:
            arguments["timeout_s"] = timeout_s
        tool = "simulate_kernel"
        chosen = await self._chosen(problem, engine)
        if chosen is not None and chosen.kind == "hardware":
            tool, arguments["against"] = "run_kernel", against
        longer_s = timeout_s or (chosen.patience_s if chosen is not None else 0.0)
        data, _ = await self._answer(tool, arguments, longer_s=longer_s, begun=begun)
        return _parsed(Evaluation, data, tool)

    async def _chosen(self, problem: str, engine: str | None) -> EngineStatus | None:
        """None for the default engine, and for one that the server does not know."""
        return (await self.engines(problem.partition("/")[0])).get(engine) if engine is not None else None

    async def machine(self, target: str) -> Machine:
        """What the server has for this target, which it is asked once; nothing where it does not say."""
        if target not in self._machines:
            try:
                data, more = await self._answer("list_targets", {})
            except ToolUsageError:  # a server without this tool
                data, more = {}, {}
            targets = [_parsed(TargetStatus, entry, "list_targets") for entry in data.get("targets", ())]
            self._machines[target] = Machine(
                target=target,
                engines={status.name: status for found in targets if found.name == target for status in found.engines},
                sandbox=_parsed(SandboxStatus, data["sandbox"], "list_targets") if data.get("sandbox") else None,
                facts=_parsed(ServerFacts, more.get(FACTS, {}), "list_targets"),
            )
        return self._machines[target]

    def room(self, machine: Machine) -> int:
        """Evaluations that are best under way at once."""
        return machine.facts.at_once or UNTOLD_AT_ONCE

    async def engines(self, target: str) -> dict[str, EngineStatus]:
        return (await self.machine(target)).engines

    async def profile(
        self, problem: str, source: str, *, engine: str | None = None, begun: Begun = told_nobody
    ) -> ProfileOutcome:
        """Whole, where the server says in `_meta` what it leaves out for models."""
        given = {"problem": problem, "source": source, "engine": engine}
        chosen = await self._chosen(problem, engine)
        longer_s = chosen.patience_s if chosen is not None else 0.0
        data, more = await self._answer("profile_kernel", given, longer_s=longer_s, begun=begun)
        left_out = more.get(DRAWN)
        if isinstance(data.get("profile"), dict) and isinstance(left_out, dict):
            data["profile"] = data["profile"] | {name: left_out[name] for name in DRAWN_FIELDS if name in left_out}
        return _parsed(ProfileOutcome, data, "profile_kernel")

    async def reference(self, target: str, topic: str) -> str:
        """A page of the target's programming reference, Markdown."""
        result = await self._calls.read_resource(f"reference://{target}/{topic}")
        return "\n".join(part.text for part in result.contents if hasattr(part, "text"))

    # ------------------------------------------------------------ calls

    async def _pages(self, tool: str, arguments: Mapping[str, Any], field: str) -> dict[str, Any]:
        """A result whose `field` may come in pages, put together."""
        whole = await self._call(tool, arguments)
        following = whole.get("next_offset")
        for _ in range(MAX_PAGES):
            if not following:
                return whole
            part = await self._call(tool, {**arguments, "offset": following})
            whole[field] = (whole.get(field) or "") + (part.get(field) or "")
            following = part.get("next_offset")
        raise InfrastructureError(f"{tool} keeps returning further pages of {field!r}")

    async def _call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return (await self._answer(tool, arguments))[0]

    async def _answer(
        self, tool: str, arguments: Mapping[str, Any], *, longer_s: float = 0.0, begun: Begun = told_nobody
    ) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """Structured content and `_meta`. `longer_s`: time that the call may take besides what any call may. `begun` is
        called when the server has it, which is at once where there is but one."""
        given = {name: value for name, value in arguments.items() if value is not None}
        result = await self._calls.call_tool(tool, given, self._call_timeout_s + longer_s, begun)
        more = getattr(result, "meta", None) or {}
        if isinstance(result.structured_content, dict):
            return dict(result.structured_content), more
        try:
            return dict(json.loads(text_of(result))), more
        except ValueError as error:
            raise InfrastructureError(f"{tool} returned no structured content: {text_of(result)[:200]!r}") from error


def _parsed(model: type[Any], data: Mapping[str, Any], tool: str) -> Any:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InfrastructureError(f"{tool} returned a result of another shape: {error}") from error
