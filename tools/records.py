"""What the resources say: problems, menus and runs as texts of at most 8 KB, the rest by offset."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from ..agent.errors import NeverBegunError, UnknownRunError
from ..agent.runs.history import history
from ..agent.runs.journal import Journal
from ..agent.runs.status import RunStatus
from ..hardware_adapters.base import HardwareAdapter, Problem
from ..menus.menu import UnknownNameError, load_menu
from .results import clip

if TYPE_CHECKING:
    from ..hardware_adapters.store import Home

MAX_RECORD_BYTES = 8 * 1024
MARK_BYTES = 200  # what is said at the end of a part about the next one
MAX_STEPS = 24
BEST = "best"


class OffsetError(ValueError):
    """An offset that is no number, or past the end."""


class Part(NamedTuple):
    text: str
    start: int
    end: int
    total: int

    @property
    def whole(self) -> bool:
        return self.start == 0 and self.end == self.total


def part(text: str, offset: str | int) -> Part:
    """What fits a resource, from `offset` (characters) on; ends with a line where there is one. Raises OffsetError."""
    start = offset if isinstance(offset, int) else int(offset) if re.fullmatch(r"[0-9]{1,9}", offset, re.ASCII) else -1
    if start < 0 or (start and start >= len(text)):
        raise OffsetError(f"offset {clip(str(offset), 40)!r} is no place in this text of {len(text)} characters")
    fitting = text[start : start + MAX_RECORD_BYTES].encode()
    if len(fitting) > MAX_RECORD_BYTES - MARK_BYTES:
        fitting = fitting[: MAX_RECORD_BYTES - MARK_BYTES]
    shown = fitting.decode(errors="ignore")
    if start + len(shown) < len(text) and (line := shown.rfind("\n")) > 0:
        shown = shown[: line + 1]
    return Part(shown, start, start + len(shown), len(text))


def problem_text(adapter: HardwareAdapter, problem: Problem) -> str:
    """Markdown: all that is needed to write a kernel; the baseline in full, however long."""
    work, bound = problem.work, problem.bound
    macs = "MACs not known" if work.macs is None else f"{work.macs:,} MACs"
    least = f"{bound.value:,.0f} {bound.unit} ({bound.reason})" if bound else "not known, so there is no utilisation"
    tensors = [f"- {t.role} `{t.name}`: {t.dtype} {list(t.shape)}" for t in problem.tensors]
    return "\n".join(
        [
            f"# {problem.id}",
            "",
            problem.title,
            "",
            f"    {problem.signature}",
            "",
            problem.semantics,
            "",
            *tensors,
            "",
            f"Inputs: {problem.inputs}",
            f"Tolerance: {problem.tolerance}",
            f"Work: {macs}, {work.bytes_in:,} bytes in, {work.bytes_out:,} bytes out.",
            f"Bound: {least}.",
            "",
            "## Rules",
            "",
            *(f"- {rule}" for rule in problem.rules),
            "",
            *_first_kernel(problem, adapter),
        ]
    )


def _first_kernel(problem: Problem, adapter: HardwareAdapter) -> list[str]:
    if (source := adapter.baseline(problem)) is None:
        return ["No kernel came with this problem.", ""]
    return [
        "## A correct, slow kernel to start from", "", f"```{problem.language}", source.rstrip("\n"), "```", "",
    ]  # fmt: skip


def menu_text(target: str) -> str:
    """Markdown: bottlenecks, then every option with its triggers. Raises UnknownNameError."""
    menu = load_menu(target)
    lines = [
        f"# Optimisations for {target}",
        "",
        "get_optimization(option=ID) tells how one is done; list_optimizations(bottlenecks=[…]) puts first what fits a "
        "profile.",
        "",
        "## Bottlenecks",
        "",
        *(f"- `{name}`: {what}" for name, what in menu.bottlenecks.items()),
        "",
        "## Options",
    ]
    for option in menu.options:
        against = f" (against {', '.join(option.triggers)})" if option.triggers else ""
        lines += ["", f"`{option.id}`: {option.title}{against}. When: {option.when} Effect: {option.effect}"]
    return "\n".join(lines) + "\n"


def run_record(status: RunStatus) -> str:
    """JSON of a run's status, with addresses of its kernels instead of their texts."""
    plans = 160
    steps = status.lineage[-MAX_STEPS:]
    while True:
        data = status.model_dump(mode="json", exclude={"best_source", "lineage", "confirmations"})
        data["lineage"] = [
            {
                **step.model_dump(mode="json"),
                "plan": step.plan and clip(step.plan, plans),
                "kernel": f"kernel://{status.run_id}/{step.candidate}",
            }
            for step in steps
        ]
        data["steps_left_out"] = len(status.lineage) - len(steps)
        data["confirmations"] = [
            {**found.model_dump(mode="json"), "message": clip(found.message, plans)}
            for found in status.confirmations[:4]
        ]
        data["best_kernel"] = f"kernel://{status.run_id}/{BEST}" if status.best else None
        text = json.dumps(data, ensure_ascii=False, indent=1)
        if len(text.encode()) <= MAX_RECORD_BYTES or not steps:
            return text
        steps = steps[1:]


@contextmanager
def open_journal(home: Home) -> Iterator[Journal]:
    """A connection of its own: resources and completions are asked for outside any search."""
    with closing(Journal.of(home)) as opened:
        yield opened


def checked_run(opened: Journal, run_id: str) -> str:
    """The id itself. Raises NeverBegunError, and UnknownNameError with ids near to it or the newest ones."""
    try:
        return opened.first_row(run_id).run_id
    except NeverBegunError:
        raise
    except UnknownRunError as error:
        known = opened.run_ids()
        near = difflib.get_close_matches(run_id[:100], known, 3, 0.5) or known[:3]
        raise UnknownNameError("run", clip(run_id, 60), near) from error


def candidates(opened: Journal, run_id: str) -> list[str]:
    return [entry.candidate for entry in history(opened.events(run_id))]
