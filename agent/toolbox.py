"""The tools as typed methods: the only way the agent reaches problems, menus and machines."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import anyio
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
from .answers import BUSY_PATIENCE_S, failure_of, is_usage, reason, retry_after_s, said, text_of
from .errors import EngineLackingError, InfrastructureError, SandboxLackingError, ToolUsageError

if TYPE_CHECKING:
    from mcp import Client

RETRY_DELAYS_S = (0.2, 1.0)
CALL_TIMEOUT_S = 120.0
MAX_PAGES = 64
MAX_OPTIONS = 100  # the most that one call of list_optimizations shows; menus are shorter
UNTOLD_AT_ONCE = 2  # evaluations, of a server that does not say

Begun = Callable[[], None]  # told when a call begins


def told_nobody() -> None:
    """For calls whose beginning nobody asks about."""


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
    """Typed calls over one MCP client (over several: servers/toolbox.py).

    Raises ToolUsageError where a tool refuses its arguments, and InfrastructureError where the server, the engine or
    the connection failed even after retries. A kernel that fails is neither: its Evaluation says so.
    """

    def __init__(
        self,
        client: Client,
        *,
        retry_delays_s: tuple[float, ...] = RETRY_DELAYS_S,
        call_timeout_s: float = CALL_TIMEOUT_S,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._client = client
        self._retry_delays_s = retry_delays_s
        self._call_timeout_s = call_timeout_s
        self._sleep = sleep
        self._machines: dict[str, Machine] = {}  # by target

    @classmethod
    @asynccontextmanager
    async def connect(cls, server: Any, **options: Any) -> AsyncIterator[Self]:
        """`server`: a server object (in memory), a URL, or StdioServerParameters. Raises InfrastructureError, also
        where the server goes away: the SDK then cancels the work inside, and says why when the client is closed."""
        from mcp import Client

        client = Client(server)
        try:
            await client.__aenter__()
        except Exception as error:
            raise InfrastructureError(f"cannot connect to the MCP server {server!r}: {reason(error)}") from error
        failed = False
        try:
            yield cls(client, **options)
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
        result = await self._guarded(f"reference {target}/{topic}", lambda: self._read(f"reference://{target}/{topic}"))
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
        allowed_s = self._call_timeout_s + longer_s
        result = await self._guarded(tool, lambda: self._send(tool, given, allowed_s, begun))
        more = getattr(result, "meta", None) or {}
        if isinstance(result.structured_content, dict):
            return dict(result.structured_content), more
        try:
            return dict(json.loads(text_of(result))), more
        except ValueError as error:
            raise InfrastructureError(f"{tool} returned no structured content: {text_of(result)[:200]!r}") from error

    async def _send(self, tool: str, given: dict[str, Any], within_s: float, begun: Begun) -> Any:
        begun()
        return await self._client.call_tool(tool, given, read_timeout_seconds=within_s)

    async def _read(self, uri: str) -> Any:
        return await self._client.read_resource(uri)

    async def _guarded(self, what: str, call: Callable[[], Awaitable[Any]]) -> Any:
        """Make the call, again after each of the delays while the infrastructure fails, and whenever a busy server
        says."""
        failure = ""
        for delay in (*self._retry_delays_s, None):
            try:
                result = await self._let_in(what, call)
            except Exception as error:
                if is_usage(error):
                    raise ToolUsageError(f"{what}: {reason(error)}") from error
                failure = reason(error)
            else:
                if not getattr(result, "is_error", False):
                    return result
                failure = failure_of(result, what)
                if failure is None:
                    raise ToolUsageError(f"{what}: {said(result, what)}")
            if delay is not None:
                await self._sleep(delay)
        raise InfrastructureError(f"{what} failed {len(self._retry_delays_s) + 1} times; the last: {failure}")

    async def _let_in(self, what: str, call: Callable[[], Awaitable[Any]]) -> Any:
        waited_s = 0.0
        while True:
            result = await call()
            delay_s = retry_after_s(result, what)
            if delay_s is None or waited_s >= BUSY_PATIENCE_S:
                return result
            waited_s += delay_s
            await self._sleep(delay_s)


def _parsed(model: type[Any], data: Mapping[str, Any], tool: str) -> Any:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InfrastructureError(f"{tool} returned a result of another shape: {error}") from error
