"""What `optimize` shows while it works: a live panel on a terminal, a line per event of interest elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..agent.events import SearchEvent

RECENT = 6
LINE_EVERY_S = 10.0
REFRESH_HZ = 4
SPARKS = "▁▂▃▄▅▆▇█"


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
        self._problem = problem
        self._console = console or Console(stderr=True, highlight=False)
        self._clock = clock
        self._began = clock()
        self._doing = "preparing"
        self._event: SearchEvent | None = None
        self._note = ""  # which schedule is replayed first
        self._phase = "first kernel"
        self._seen_at = self._began
        self._recent: list[SearchEvent] = []
        self._bests: list[float] = []
        self._last_line = self._began
        terminal = self._console.is_terminal and not self._console.is_dumb_terminal
        self._live: Live | None = None
        if terminal and not as_json and not os.environ.get("CI"):
            self._live = Live(
                get_renderable=self.panel, console=self._console, refresh_per_second=REFRESH_HZ, transient=True
            )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start(refresh=True)
        else:
            self._console.print(f"{self._problem}: preparing", soft_wrap=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def building(self, what: str) -> None:
        """Said before something is built that later runs find ready."""
        self._doing = f"building {what} (first use)"
        if not self._live:
            self._console.print(f"{self._problem}: {self._doing}", soft_wrap=True)

    def update(self, event: SearchEvent) -> None:
        if event.kind == "candidate":
            self._recent = [*self._recent, event][-RECENT:]
        if event.kind == "started" and event.message:
            self._note = event.message
        if event.kind == "best" and event.best:
            self._bests.append(event.best.latency)
        self._phase = event.phase or self._phase
        self._seen_at = self._clock()
        self._event = event
        if not self._live and (
            event.kind in ("started", "best", "finished")
            or event.phase == "confirm"
            or self._clock() - self._last_line > LINE_EVERY_S
        ):
            self._last_line = self._clock()
            self._console.print(_line(event), soft_wrap=True)

    def panel(self) -> Group:
        """The whole picture at this moment, for the width the terminal has now."""
        event = self._event
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True, min_width=len("evaluations"))
        table.add_column()
        table.add_row("problem", self._problem)
        if event is None:
            table.add_row("now", self._doing)
            table.add_row("time", f"{self._clock() - self._began:.0f} s")
            return Group(table)
        table.add_row("run", event.run_id)
        if self._note:
            table.add_row("reuse", self._note)
        table.add_row("iteration", f"{event.iteration} of {event.iterations}, {self._phase}")
        limit = f" of {event.max_evaluations}" if event.max_evaluations else ""
        table.add_row("evaluations", f"{event.evaluations}{limit}, {event.model_calls} model calls")
        if event.best and event.baseline:
            used = "" if event.best.utilisation is None else f", {event.best.utilisation:.1%} of the bound"
            gain = event.baseline.latency / event.best.latency
            best = f"{event.best.latency:,.0f} {event.best.unit} ({event.best.source}){used}"
            table.add_row("best", Text.assemble((f"{gain:.2f}x", "bold green"), f"  {best}"))
        if len(self._bests) > 1:
            table.add_row("", _spark(self._bests[-40:]))
        since = self._clock() - self._seen_at
        left = "" if event.time_left_s is None else f", {max(0.0, event.time_left_s - since):.0f} s left"
        table.add_row("time", f"{event.elapsed_s + since:.0f} s{left}")
        table.add_row("cost", _cost(event))
        return Group(table, *(_candidate(seen, self._console.width) for seen in self._recent))


def _candidate(event: SearchEvent, width: int) -> Text:
    """One line that fits: the candidate's place in the search is left out first."""
    style = {"passed": "green", "duplicate": "dim"}.get(event.verdict or "", "red")
    latency = f"{event.latency:>11,.0f}" if event.latency else f"{'':>11}"
    text = Text.assemble((f"{event.verdict or '':<13}", style), f"{latency}  {event.option or ''}", no_wrap=True)
    place = f"  {event.candidate}"
    if text.cell_len + len(place) < width:
        text.append(place, "dim")
    text.truncate(max(20, width - 1), overflow="ellipsis")
    return text


def _spark(values: list[float]) -> str:
    """Speed (the inverse of latency) over the improvements so far."""
    speeds = [1 / v for v in values]
    low, high = min(speeds), max(speeds)
    return "".join(SPARKS[round((s - low) / ((high - low) or 1) * (len(SPARKS) - 1))] for s in speeds)


def _cost(event: SearchEvent) -> str:
    if event.cost_usd is None:
        return "price not known"
    left = "" if event.cost_left_usd is None else f", {event.cost_left_usd:.2f} left"
    return f"{event.cost_usd:.2f} USD{left}"


def _line(event: SearchEvent) -> str:
    best = ""
    if event.best and event.baseline:
        best = f"best {event.best.latency:,.0f} {event.best.unit} ({event.baseline.latency / event.best.latency:.2f}x)"
    if event.phase == "confirm":
        return f"[{event.elapsed_s:6.1f} s] confirm: {event.message}"
    if event.kind == "started" and event.message:
        best = event.message
    option = f" by {event.option}" if event.kind == "best" and event.option else ""
    return (
        f"[{event.elapsed_s:6.1f} s] {event.kind}: iteration {event.iteration}/{event.iterations}, "
        f"{event.evaluations} evaluations, {best}{option}, {_cost(event)}"
    ).replace(", ,", ",")
