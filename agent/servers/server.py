"""One of several servers: connected in a task of its own, set aside when it fails, and taken back."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from ..answers import reason
from ..errors import AgentError, AgentUsageError, EngineLackingError, InfrastructureError, SandboxLackingError
from ..toolbox import UNTOLD_AT_ONCE
from .offer import Offer, UnlikeError
from .pace import Kind, Pace

if TYPE_CHECKING:
    from mcp import Client

MOST_AT_ONCE = 56  # `serve --max-calls` is 64, and what is not an evaluation must come through too
LOST = "the connection was lost"
CLOSING_S = 2.0  # a server that does not answer is not told goodbye for longer


class Patience(NamedTuple):
    """Seconds. `connect`, `join`: until a server is reached, and has said what it offers (an own problem proves itself
    meanwhile). A server with calls is looked at every `look` and must answer that within `answer`. `overdue`: calls
    that take no longer are never doubled. `alone`: without any server, until the search is given up. A server that
    failed is tried again after `again`, the double each time up to `at_most`; after `calm` without failure as at first.
    """

    connect: float = 10.0
    join: float = 90.0
    look: float = 5.0
    answer: float = 10.0
    overdue: float = 20.0
    alone: float = 10.0
    again: float = 1.0
    at_most: float = 60.0
    calm: float = 60.0


class Host(NamedTuple):
    """Where a server is. `open`: what the SDK's client connects to, new for each connection."""

    name: str
    open: Callable[[], Any]


Join = Callable[["Client"], Awaitable[Offer]]
Agree = Callable[["Server", Offer], Awaitable[None]]


class Server:
    """`live`: calls may be given to it. `silent`: it does not even answer those that it has. `refused`: why it is left
    out for good. `reason`: why it is not live."""

    def __init__(
        self,
        host: Host,
        patience: Patience,
        changed: Callable[[], None],
        announce: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self.name = host.name
        self.pace = Pace()
        self.offer: Offer | None = None
        self.live = False
        self.silent = False
        self.reason = "not reached yet"
        self.refused: AgentError | None = None
        self.heard = anyio.Event()  # set once it made an offer, or did not
        self.settled = anyio.Event()  # set once that was taken, or not
        self.running = 0  # evaluations that it was given and has not answered
        self.last_answer = clock()
        self._places = float(UNTOLD_AT_ONCE)
        self._not_before = 0.0
        self._open = host.open
        self._patience = patience
        self._changed = changed
        self._announce = announce
        self._clock = clock
        self._client: Client | None = None
        self._calls: set[anyio.CancelScope] = set()
        self._look = anyio.Event()
        self._failures = 0
        self._back_at = 0.0
        self._told = ""  # what was last said of it

    # ------------------------------------------------------------ room

    @property
    def at_once(self) -> int:
        """Evaluations that it said, or showed, to work on at once."""
        said = self.offer.at_once if self.offer is not None else None
        return min(MOST_AT_ONCE, said or UNTOLD_AT_ONCE)

    @property
    def places(self) -> float:
        """As `at_once`, less while it says that it is busy."""
        return min(self._places, float(self.at_once))

    @property
    def free(self) -> bool:
        return self.live and self.running < int(self.places) and self._clock() >= self._not_before

    def busy(self, retry_after_s: float) -> None:
        """It took no more: fewer from now on, and more again as it answers (additive increase, multiplicative
        decrease, as TCP does it)."""
        self._places = max(1.0, min(self.places, float(self.running)) / 2)
        self._not_before = self._clock() + retry_after_s

    def answered(self, kind: Kind, seconds: float | None) -> None:
        """`seconds`: None where they say nothing, as of answers from the cache."""
        self.last_answer = self._clock()
        self._places = min(self.places + 1 / self.places, float(self.at_once))
        if seconds is not None:
            self.pace.note(kind, seconds)

    # ------------------------------------------------------------ calls

    async def ask(self, send: Callable[[Client], Awaitable[Any]]) -> Any:
        """Raises what the SDK raises, and InfrastructureError where the connection is lost meanwhile."""
        client = self._client
        if client is None:
            raise InfrastructureError(self.reason or LOST)
        with anyio.CancelScope() as scope:
            self._calls.add(scope)
            try:
                return await send(client)
            finally:
                self._calls.discard(scope)
        raise InfrastructureError(f"{LOST}: {self.reason}" if self.reason else LOST)

    def set_aside(self, why: str) -> None:
        """No further calls until it was looked at; those that it has go on."""
        self.reason = why
        if not self.live:
            return
        self.live = False
        if self._clock() - self._back_at > self._patience.calm:
            self._failures = 0
        self._failures += 1
        self._look.set()
        self._say("set aside", why)
        self._changed()

    def _take_back(self) -> None:
        self.live, self.silent, self.reason, self._back_at = True, False, "", self._clock()
        if self._told in ("set aside", "not reached"):
            self._say("back")
        self._changed()

    def _leave_out(self, why: AgentError) -> None:
        self.live, self.refused, self.reason = False, why, str(why)
        self._say("left out", str(why))
        self._changed()

    def _say(self, what: str, why: str = "") -> None:
        if what != self._told or what != "not reached":
            self._announce(f"server {self.name} {what}" + (f": {why}" if why else ""))
        self._told = what

    @property
    def _pause_s(self) -> float:
        return min(self._patience.at_most, self._patience.again * 2 ** min(max(0, self._failures - 1), 16))

    # ------------------------------------------------------------ connection

    async def keep(self, join: Join, agree: Agree) -> None:
        """Connect, and again whenever the connection is lost, until it is refused: `join` and `agree` raise why."""
        while self.refused is None:
            lost = await self._connected(join, agree)
            if self.refused is None:
                self._note_loss(lost)
            self.heard.set()
            self.settled.set()
            for scope in list(self._calls):
                scope.cancel()
            if self.refused is None:
                await anyio.sleep(self._pause_s)

    def _note_loss(self, lost: str) -> None:
        if self.live:
            self.set_aside(lost)
            return
        self.reason = lost
        self._failures += 1
        if self.offer is None:
            self._say("not reached", f"{lost}; it is tried again")

    async def _connected(self, join: Join, agree: Agree) -> str:
        """Why the connection ended."""
        from mcp import Client

        why = "no answer"
        with anyio.CancelScope(deadline=anyio.current_time() + self._patience.connect) as trying:
            try:
                async with Client(self._open()) as client:
                    try:
                        trying.deadline = anyio.current_time() + self._patience.join
                        offer = await join(client)
                        trying.deadline = math.inf
                        self.heard.set()
                        await agree(self, offer)
                    except (AgentUsageError, EngineLackingError, SandboxLackingError, UnlikeError) as error:
                        self._leave_out(error)
                        return str(error)
                    except AgentError as error:
                        return str(error)
                    self._begin(client, offer)
                    try:
                        why = await self._watch(client)
                    finally:
                        self._client = None
                        # What is cancelled here would else wait for a server that no longer answers.
                        trying.deadline = anyio.current_time() + CLOSING_S
            except Exception as error:
                return reason(error)
        return why

    def _begin(self, client: Client, offer: Offer) -> None:
        self._client, self.offer = client, offer
        self._places = float(self.at_once)
        self._look = anyio.Event()
        self.settled.set()
        self._take_back()

    async def _watch(self, client: Client) -> str:
        """Look at it as long as it answers or may answer again; why it is to be connected anew."""
        while True:
            with anyio.move_on_after(self._patience.look if self.live else self._pause_s):
                await self._look.wait()
                self._look = anyio.Event()
                continue  # just set aside: look again after a while
            if self.live and not self._calls:
                continue
            answered = False
            with anyio.move_on_after(self._patience.answer):
                try:
                    await client.list_tools(cache_mode="bypass")
                    answered = True
                except Exception as error:
                    return reason(error)
            self.silent = not answered
            if answered and not self.live:
                self._take_back()
            elif not answered and self.live:
                self.set_aside(f"no answer for {self._patience.answer:g} s; its calls go to others")
            elif not answered:
                self._failures += 1
