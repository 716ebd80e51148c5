"""Calls given to servers: each to the one expected to end it first, and to another when that one fails or stalls."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskGroup

from ..answers import BUSY_PATIENCE_S, failure_of, is_usage, reason, retry_after_s, said
from ..calls import Begun, told_nobody
from ..each import beside
from ..errors import AgentError, InfrastructureError, ToolUsageError
from .pace import Kind, finish_s
from .roster import Roster
from .server import Server

if TYPE_CHECKING:
    from mcp import Client

# Tools that take a place on the machine; the others are answered at once.
EVALUATIONS = ("simulate_kernel", "run_kernel", "profile_kernel", "compile_kernel", "compare_kernels")
LEAST_ATTEMPTS = 3  # failures of the infrastructure, wherever, before a call is given up
TICK_S = 0.25
FORGOTTEN_S = 60.0  # after so long without an answer a server's pace is no longer believed
UNKNOWN_S = 1.0  # a call is taken to last, as long as none has ended anywhere


class _Call:
    """`failed`: where it failed; `attempts`: where it is under way, and since when."""

    tasks: TaskGroup

    def __init__(self, kind: Kind, what: str, send: Callable[[Client], Awaitable[Any]], begun: Begun) -> None:
        self.kind = kind
        self.what = what
        self.send = send
        self.begun = begun
        self.takes_place = kind.tool in EVALUATIONS
        self.attempts: dict[Server, float] = {}
        self.failed: list[tuple[Server, str]] = []
        self.nowhere_since: float | None = None
        self.busy_since: float | None = None
        self.ended = False
        self.result: Any = None
        self.error: Exception | None = None

    def end(self, result: Any = None, error: Exception | None = None) -> None:
        if not self.ended:
            self.ended, self.result, self.error = True, result, error
            self.tasks.cancel_scope.cancel()


class Dispatcher:
    """Calls to any of several servers. One returns once, whatever became of its attempts."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._clock = roster.clock
        self._waiting: dict[_Call, None] = {}  # in the order of asking
        self._calls: set[_Call] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The roster has joined."""
        self._roster.changed = self._assign
        async with beside() as tasks:
            tasks.start_soon(self._tick)
            yield

    async def call_tool(self, tool: str, arguments: dict[str, Any], within_s: float, begun: Begun) -> Any:
        """Raises InfrastructureError with every failure, ToolUsageError for what no server would take."""
        engine = arguments.get("engine") or self._roster.default_engine if tool in EVALUATIONS else None
        return await self._call(
            Kind(tool, engine), tool, lambda client: client.call_tool(tool, arguments, within_s), begun
        )

    async def read_resource(self, uri: str) -> Any:
        return await self._call(Kind("read_resource"), uri, lambda client: client.read_resource(uri), told_nobody)

    async def _call(self, kind: Kind, what: str, send: Callable[[Client], Awaitable[Any]], begun: Begun) -> Any:
        call = _Call(kind, what, send, begun)
        try:
            async with anyio.create_task_group() as call.tasks:
                self._calls.add(call)
                self._enqueue(call)
                await anyio.sleep_forever()  # until `end`
        finally:
            self._calls.discard(call)
            self._waiting.pop(call, None)
        if call.error is not None:
            raise call.error
        return call.result

    def _enqueue(self, call: _Call) -> None:
        self._waiting.setdefault(call)
        self._assign()

    def _assign(self) -> None:
        """Give waiting calls, in their order, to servers. One that another server is expected to end sooner, though it
        has no room yet, goes on waiting for that."""
        held: Counter[Server] = Counter()
        room = any(server.free for server in self._roster.servers)
        for call in list(self._waiting):
            server = self._chosen(call, held) if room or not call.takes_place else None
            if server is None:
                continue
            if call.takes_place and not server.free:
                held[server] += 1
                continue
            del self._waiting[call]
            call.attempts[server] = self._clock()
            server.running += call.takes_place
            room = any(server.free for server in self._roster.servers)
            call.tasks.start_soon(self._attempt, call, server)

    def _chosen(self, call: _Call, held: Counter[Server]) -> Server | None:
        """Where it is expected to end first."""
        able = [s for s in self._roster.live if s not in call.attempts and self._roster.can(s, call.kind.engine)]
        failed = {server for server, _ in call.failed}
        able = [server for server in able if server not in failed] or able
        if not able or not call.takes_place:
            return able[0] if able else None
        return min(able, key=lambda s: finish_s(self._mean_s(s, call.kind), s.running + held[s], s.places))

    def _mean_s(self, server: Server, kind: Kind) -> float:
        """Of a server that nothing is known of, or nothing of late, as of the quickest: so it is tried."""
        means = [mean for other in self._roster.live if (mean := other.pace.mean_s(kind)) is not None]
        own = server.pace.mean_s(kind)
        quickest = min(means, default=UNKNOWN_S)
        if own is None:
            return quickest
        idle_s = self._clock() - server.last_answer if not server.running else 0.0
        return quickest if idle_s > max(FORGOTTEN_S, 5 * own) else own

    async def _attempt(self, call: _Call, server: Server) -> None:
        began = self._clock()
        call.begun()
        try:
            result = await server.ask(call.send)
        except Exception as error:
            self._over(call, server)
            if is_usage(error):
                call.end(error=ToolUsageError(f"{call.what}: {reason(error)}"))
            else:
                self._failed(call, server, str(error) if isinstance(error, AgentError) else reason(error))
        except BaseException:  # given up: another server was quicker, or nobody wants it any more
            server.pace.note_at_least(call.kind, self._clock() - began)
            self._over(call, server)
            raise
        else:
            self._over(call, server)
            self._answered(call, server, result, self._clock() - began)
        self._assign()

    def _over(self, call: _Call, server: Server) -> None:
        if call.attempts.pop(server, None) is not None:
            server.running -= call.takes_place

    def _answered(self, call: _Call, server: Server, result: Any, seconds: float) -> None:
        later_s = retry_after_s(result, call.what)
        failure = failure_of(result, call.what)
        if later_s is not None and self._still_patient(call):
            server.busy(later_s)
            if not call.attempts:
                self._enqueue(call)
        elif failure is not None:
            self._failed(call, server, failure)
        else:
            content = getattr(result, "structured_content", None)
            cached = isinstance(content, dict) and bool(content.get("cached"))
            server.answered(call.kind, None if cached else seconds)
            if getattr(result, "is_error", False):
                call.end(error=ToolUsageError(f"{call.what}: {said(result, call.what)}"))
            else:
                call.end(result)

    def _still_patient(self, call: _Call) -> bool:
        call.busy_since = call.busy_since or self._clock()
        return self._clock() - call.busy_since < BUSY_PATIENCE_S

    def _failed(self, call: _Call, server: Server, why: str) -> None:
        call.failed.append((server, why))
        server.set_aside(why)
        if call.attempts:
            return
        if len(call.failed) >= max(LEAST_ATTEMPTS, len(self._roster.servers)):
            each = "; ".join(f"{server.name}: {why}" for server, why in call.failed)
            call.end(error=InfrastructureError(f"{call.what} failed {len(call.failed)} times: {each}"))
        else:
            self._enqueue(call)

    # ------------------------------------------------------------ time

    async def _tick(self) -> None:
        while True:
            await anyio.sleep(TICK_S)
            for call in list(self._calls):
                if not call.ended:
                    self._look_at(call)
            self._assign()

    def _look_at(self, call: _Call) -> None:
        """Ask for a second attempt where the first is with a server that stalls, or takes far too long; give the call
        up where no server is left."""
        now = self._clock()
        if any(not server.silent for server in call.attempts):
            call.nowhere_since = None
            if call not in self._waiting and self._overdue(call, now):
                self._waiting[call] = None
            return
        if any(self._roster.can(server, call.kind.engine) for server in self._roster.live):
            call.nowhere_since = None
            self._waiting.setdefault(call)
            return
        call.nowhere_since = call.nowhere_since or now
        if now - call.nowhere_since > self._roster.patience.alone:
            call.end(error=InfrastructureError(f"{call.what}: no server is left: {self._roster.reasons}"))

    def _overdue(self, call: _Call, now: float) -> bool:
        """Whether its only attempt takes far longer than such calls do, and another server has nothing better to do."""
        if len(call.attempts) != 1 or any(other.takes_place for other in self._waiting):
            return False
        ((server, began),) = call.attempts.items()
        idle = [s for s in self._roster.live if s is not server and s.free and self._roster.can(s, call.kind.engine)]
        known = server.pace.overdue_s(call.kind)
        if known is None:
            known = max((d for s in idle if (d := s.pace.overdue_s(call.kind)) is not None), default=None)
        return bool(idle) and known is not None and now - began > max(self._roster.patience.overdue, known)
