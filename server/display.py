"""What `optimize` shows while it works: a live panel on a terminal, a line per event of interest elsewhere."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..agent.events import SearchEvent

RECENT = 6
LINE_EVERY_S = 10.0
SPARKS = "▁▂▃▄▅▆▇█"


class Display:
    """A listener of the search. With JSON on stdout, or without a terminal, it prints plain lines to stderr."""

    def __init__(self, problem: str, as_json: bool) -> None:
        self._problem = problem
        self._console = Console(stderr=True, highlight=False)
        plain = as_json or not self._console.is_terminal or os.environ.get("CI") or os.environ.get("TERM") == "dumb"
        self._live = None if plain else Live(console=self._console, refresh_per_second=8, transient=True)
        self._recent: list[Text] = []
        self._bests: list[float] = []
        self._last_line = 0.0

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
            self._live.update(Text(f"{self._problem}: preparing (the first run on a machine builds the simulator)"))
        else:
            self._console.print(f"{self._problem}: preparing", soft_wrap=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def update(self, event: SearchEvent) -> None:
        if event.kind == "candidate":
            self._note(event)
        if event.kind == "best" and event.best:
            self._bests.append(event.best.latency)
        if self._live:
            self._live.update(self._panel(event))
        elif event.kind in ("started", "best", "finished") or time.monotonic() - self._last_line > LINE_EVERY_S:
            self._last_line = time.monotonic()
            self._console.print(_line(event), soft_wrap=True)

    def _note(self, event: SearchEvent) -> None:
        style = {"passed": "green", "duplicate": "dim"}.get(event.verdict or "", "red")
        latency = f"{event.latency:>12,.0f}" if event.latency else f"{'':>12}"
        text = Text.assemble(
            (f"{event.verdict or '':<14}", style), f"{latency}  {event.candidate}  {event.option or ''}"
        )
        text.truncate(max(20, self._console.width - 2), overflow="ellipsis")
        self._recent = [*self._recent, text][-RECENT:]

    def _panel(self, event: SearchEvent) -> Group:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim")
        table.add_column()
        phase = f", {event.phase}" if event.phase else ""
        table.add_row("problem", f"{self._problem}  (run {event.run_id})")
        table.add_row("iteration", f"{event.iteration} of {event.iterations}{phase}")
        limit = f" of {event.max_evaluations}" if event.max_evaluations else ""
        table.add_row("evaluations", f"{event.evaluations}{limit}, {event.model_calls} model calls")
        if event.best and event.baseline:
            used = "" if event.best.utilisation is None else f", {event.best.utilisation:.1%} of the bound"
            gain = event.baseline.latency / event.best.latency
            best = f"{event.best.latency:,.0f} {event.best.unit} ({event.best.source}){used}"
            table.add_row("best", Text.assemble(best, "  ", (f"{gain:.2f}x", "bold green")))
        if len(self._bests) > 1:
            table.add_row("", _spark(self._bests[-40:]))
        table.add_row("time", _time(event))
        table.add_row("cost", _cost(event))
        return Group(table, *self._recent)


def _spark(values: list[float]) -> str:
    """Speed (the inverse of latency) over the improvements so far."""
    speeds = [1 / v for v in values]
    low, high = min(speeds), max(speeds)
    return "".join(SPARKS[round((s - low) / ((high - low) or 1) * (len(SPARKS) - 1))] for s in speeds)


def _time(event: SearchEvent) -> str:
    left = "" if event.time_left_s is None else f", {event.time_left_s:.0f} s left"
    return f"{event.elapsed_s:.0f} s{left}"


def _cost(event: SearchEvent) -> str:
    if event.cost_usd is None:
        return "price not known"
    left = "" if event.cost_left_usd is None else f", {event.cost_left_usd:.2f} left"
    return f"{event.cost_usd:.2f} USD{left}"


def _line(event: SearchEvent) -> str:
    best = ""
    if event.best and event.baseline:
        best = f"best {event.best.latency:,.0f} {event.best.unit} ({event.baseline.latency / event.best.latency:.2f}x)"
    option = f" by {event.option}" if event.kind == "best" and event.option else ""
    return (
        f"[{event.elapsed_s:6.1f} s] {event.kind}: iteration {event.iteration}/{event.iterations}, "
        f"{event.evaluations} evaluations, {best}{option}, {_cost(event)}"
    ).replace(", ,", ",")
