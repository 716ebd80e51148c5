"""A run's result, and what a search would cost, for the terminal's width."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence

from rich.text import Text

from ...agent.estimate import Estimate
from ...agent.runs.status import RunStatus
from ...hardware_adapters.registry import trust
from ...hardware_adapters.store import Home
from .figures import LABEL, MIN_COLUMNS, mark_text, tokens_line, wrapped
from .steps import headline, lineage_lines

NO_TERMINAL_COLUMNS = 120
MAX_MESSAGE = 120


def best_path(status: RunStatus, home: Home | None) -> str | None:
    from ...hardware_adapters.base import LANGUAGES

    folder = home and home.path / "runs" / status.run_id
    paths = [folder / f"best{language.suffix}" for language in LANGUAGES] if folder else []
    return next((str(path) for path in paths if path.exists()), None)


def columns() -> int:
    return max(shutil.get_terminal_size((NO_TERMINAL_COLUMNS, 24)).columns, MIN_COLUMNS)


def summary_lines(status: RunStatus, home: Home, steps: Sequence[Text | str] | None = None) -> list[Text | str]:
    """A run's result for the terminal's width (120 without one): words are never broken. `steps`: the way to its best
    kernel in more detail than a line per step; its headline stands above then."""
    width = columns()

    def entry(label: str, text: str) -> list[str]:
        return wrapped(f"{label:<{LABEL}}{text}", width)

    lines: list[Text | str] = [*wrapped(f"{status.problem}  run {status.run_id}", width)]
    if steps is not None and (said := headline(status)):
        lines += [Text(line, "bold") for line in wrapped(said, width)]
    ended = "" if status.stop_reason == status.state else f": {status.stop_reason or 'not ended'}"
    lines += wrapped(f"{status.state}{ended}", width)
    if status.continues:
        lines += wrapped(f"continues run {status.continues}, from its best kernel", width)
    if status.baseline is None or (status.best is None and not status.confirmations):
        return [*lines, "no kernel passed its evaluation", *entry("spent", _spent(status))]
    shown = lineage_lines(status, width) if steps is None else steps
    lines += ["", *shown, ""] if status.lineage else [""]
    lines += entry("baseline", mark_text(status.baseline))
    lines += entry("best", mark_text(status.best) if status.best else "none")
    if status.best and (believed := trust(status.problem, status.engine)):
        lines += entry("", believed)
    if status.speedup is not None:
        lines += entry("speed-up", f"{status.speedup:.2f}x")
    for label, text in _confirmations(status):
        lines += entry(label, text)
    lines += entry("spent", _spent(status))
    if status.tokens.total:
        lines += entry("", tokens_line(status.tokens))
    if status.reused:
        lines += entry("reused", f"the schedule of run {status.reused} (--reuse none goes without)")
    if path := best_path(status, home):
        lines.append(f"{'kernel':<{LABEL}}{path}")
    more = "--source" if steps is None else "--source | --plans | --changes | --candidates"
    return [*lines, *entry("more", f"autocomp-mcp show {status.run_id} {more}")]


def _spent(status: RunStatus) -> str:
    cost = "price not known" if status.cost_usd is None else f"{status.cost_usd:.2f} USD"
    calls = f"{status.evaluations} evaluations, {status.model_calls} model calls"
    return f"{calls}, {cost}, {status.wall_s:.0f} s"


def estimate_lines(found: Estimate) -> list[str]:
    lines = [
        f"expected   {found.plan_calls:,} plans and {found.code_calls:,} codes; at most {found.most_calls:,} calls, "
        "repairs and repeated questions included"
    ]
    for model in found.models:
        lines.append(f"{model.model}: {model.plans:,.0f} plans, {model.codes:,.0f} codes, {tokens_line(model.tokens)}")
        lines.append(f"{'':<{LABEL}}{_usd(model.cost_usd)}; without the cache {_usd(model.uncached_usd)}")
    return [*lines, f"cost       {_usd(found.cost_usd)}; without the cache {_usd(found.uncached_usd)}"]


def _usd(cost: float | None) -> str:
    return "price not known" if cost is None else f"{cost:.2f} USD"


def _confirmations(status: RunStatus) -> Iterator[tuple[str, str]]:
    """Each kernel that another engine judged too: what the search's engine said, and what that one says."""
    for found in status.confirmations:
        before = f"{found.candidate:<12} {found.searched_latency:,.0f} {found.searched_unit} on {status.engine}"
        message = textwrap.shorten(found.message, MAX_MESSAGE, placeholder=" …")
        said = found.figure if found.passed else f"{found.verdict} on {found.engine}: {message}"
        yield "confirmed" if found.passed else "refused", f"{before}; {said}{'  <- best' if found.best else ''}"
