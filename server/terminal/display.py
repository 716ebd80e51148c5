"""What `optimize` shows while it works: a live panel on a terminal, a line per event of interest elsewhere."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

from rich.console import Console, ConsoleRenderable, Group, RenderHook
from rich.control import Control
from rich.live import Live
from rich.text import Text

from ...agent.runs.events import SearchEvent
from ...agent.runs.progress import PHASES
from ..inert import inert
from .charts import characters
from .panel import RECENT, Seen, cost, picture

LINE_EVERY_S = 10.0
REFRESH_HZ = 4


class Display:
    """A listener of the search. With JSON on stdout, or without a terminal, it prints plain lines to stderr.

    The panel is drawn by a timer and not by events, so that its clock moves while a model or a simulator takes long.
    """

    def __init__(
        self,
        problem: str,
        as_json: bool,
        *,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._chars = characters(self._console.file)
        self._clock = clock
        self._began = clock()
        self._seen = Seen(problem)
        self._seen_at = self._began
        self._last_line = self._began
        self._live: Live | None = None
        if not as_json and not os.environ.get("CI") and sys.stdout.isatty() and _draws(self._console):
            self._live = Live(
                get_renderable=self.panel, console=self._console, refresh_per_second=REFRESH_HZ, transient=True
            )
            self._anew = _Anew(self._console)

    def __enter__(self) -> Self:
        if self._live:
            self._live.start(refresh=True)
            self._console.push_render_hook(self._anew)
            self._continued = _Continued(self._anew)
            self._console.show_cursor(True)  # rich hides it; a shell that gets the terminal back, or a kill, finds it
        else:
            self._say(f"{self._seen.problem}: preparing")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._continued.end()
            self._console.pop_render_hook()
            self._live.stop()

    def building(self, what: str) -> None:
        """Said before something is built that later runs find ready."""
        self._seen.doing = f"building {what} (first use)"
        if not self._live:
            self._say(f"{self._seen.problem}: {self._seen.doing}")

    def note(self, text: str) -> None:
        """Something that the figures do not show; above the panel where there is one."""
        self._say(f"{self._seen.problem}: {text}")

    def update(self, event: SearchEvent) -> None:
        seen = self._seen
        if event.kind == "candidate":
            seen.recent = [*seen.recent, event][-RECENT:]
            if event.best:
                seen.bests.append(event.best.latency)
        if event.kind == "started" and event.message:
            seen.note = event.message
        if event.phase == "confirm":
            seen.confirming = event.message or ""
        seen.phase = event.phase or seen.phase
        seen.most_works = max(seen.most_works, len(event.works))
        self._seen_at = self._clock()
        seen.event = event
        if not self._live and (
            event.kind in ("started", "best", "finished")
            or event.phase == "confirm"
            or self._clock() - self._last_line > LINE_EVERY_S
        ):
            self._last_line = self._clock()
            self._say(_line(event))

    def panel(self) -> Group:
        """The whole picture at this moment, for the size the terminal has now."""
        now, size = self._clock(), self._console.size
        return Group(
            *picture(self._seen, now - self._began, now - self._seen_at, size.width, size.height - 1, self._chars)
        )

    def _say(self, line: str) -> None:
        self._console.print(Text(inert(line)), soft_wrap=True)


def _draws(console: Console) -> bool:
    return console.is_terminal and not console.is_dumb_terminal


class _Anew(RenderHook):
    """Where the terminal became smaller, it has broken the lines of the panel, or lost some; where it was the shell's,
    others wrote below: nobody knows how many rows up the panel began. The screen is cleared then, and drawn anew."""

    def __init__(self, console: Console) -> None:
        self._size = console.size
        self._console = console
        self.taken = False  # by the shell

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        before, self._size = self._size, self._console.size
        if self._size.width >= before.width and self._size.height >= before.height and not self.taken:
            return renderables
        self.taken = False
        return [*renderables[:1], Control.clear(), Control.home(), *renderables[1:]]


class _Continued:
    """Ctrl-Z stops this process and its simulators alike, by the system's own means: a handler here could wait for a
    child that is stopped. When they go on, others have written on the screen."""

    def __init__(self, anew: _Anew) -> None:
        self._anew = anew
        self._before = None
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGCONT, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._anew.taken = True

    def end(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGCONT, self._before)


def _line(event: SearchEvent) -> str:
    parts = [f"iteration {event.iteration}/{event.iterations}"]
    if event.kind == "started" and event.message:
        parts.append(event.message)
    if event.phase == "confirm":
        return f"[{event.elapsed_s:6.1f} s] confirm: {event.message}"
    if event.kind == "work":
        tallies = [(phase, event.tallies[phase]) for phase in PHASES if phase in event.tallies]
        parts += [f"{phase} {tally.done}/{tally.expected}" for phase, tally in tallies if tally.expected]
        parts += [f"{len(event.works)} in flight"]
    parts.append(f"{event.evaluations} evaluations")
    if event.best and event.baseline:
        gain = event.baseline.latency / event.best.latency
        option = f" by {event.option}" if event.kind == "best" and event.option else ""
        parts.append(f"best {event.best.latency:,.0f} {event.best.unit} ({event.best.source}, {gain:.2f}x){option}")
    kind = "at work" if event.kind == "work" else event.kind
    return f"[{event.elapsed_s:6.1f} s] {kind}: {', '.join([*parts, *cost(event)])}"
