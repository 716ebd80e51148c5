"""What the tools return, and how it is kept short.

Hosts divert results above about 50 KB to a file, and every byte is paid for by the model that reads it: a result
stays under 8 KB where nothing needs more, and under 40 KB ever (structured content and its text copy together).
Long sources are paged, long lists cut with the number that was left out said in the text.
"""

from __future__ import annotations

import json
from typing import Any

from mcp.types import CallToolResult, TextContent
from pydantic import BaseModel, Field

from ..hardware_adapters.base import (
    DRAWN,
    DRAWN_FIELDS,
    Compilation,
    Evaluation,
    Occupancy,
    Problem,
    ProblemSummary,
    Profile,
    Record,
    Rewrite,
    SandboxStatus,
    TargetStatus,
    Verdict,
)
from ..hardware_adapters.custom.proof import Finding
from ..menus.option import Option

MAX_RESULT_BYTES = 40 * 1024
# A page appears twice in a result (structured content and its text copy) beside at most a few KB of other fields.
MAX_PAGE_BYTES = 15_000
MAX_TEXT = 400
MAX_DIAGNOSTICS = 12
MAX_MISMATCHES = 8
MAX_PROFILE_LINES = 6
MAX_SAMPLES = 16
MAX_OPTIONS_NAMED = 4


class TargetList(Record):
    targets: tuple[TargetStatus, ...] = Field(default=(), description="None where a topic was asked for")
    topics: dict[str, tuple[str, ...]] = Field(
        default={}, description="Per target the names of its topics; `topic` is target/name, e.g. gemmini/guide"
    )
    reference: str | None = Field(default=None, description="The topic that was asked for, as Markdown")
    sandbox: SandboxStatus | None = Field(default=None, description="How kernels are confined here")


class ProblemList(Record):
    problems: tuple[ProblemSummary, ...] = Field(description="Examples, or a suite; any dimensions can be asked for")
    further: dict[str, int] = Field(
        default={}, description="Per target, how many more examples list_problems(target=…) shows"
    )
    suites: dict[str, str] = Field(default={}, description="Named sets of problems and what they are")
    families: dict[str, str] = Field(description="target/family -> pattern of its problem ids")


class ProblemDetail(Record):
    problem: Problem
    baseline: str | None = Field(default=None, description="Source of a straightforward correct kernel to start from")
    next_offset: int | None = Field(
        default=None, description="Set when the baseline goes on: call again with offset=next_offset and append"
    )
    proof: tuple[Finding, ...] = Field(default=(), description="With `own`, the first time: what was checked")


class OptionSummary(Record):
    id: str
    title: str
    when: str = Field(description="The situation in which it pays")
    effect: str
    addresses: int | None = Field(
        default=None, description="Which of the given bottlenecks it is meant for: 0 the first; null: none of them"
    )
    rewrites: int = Field(description="Ready-made rewrites for the given source; 0: apply it by hand")


class OptionList(Record):
    options: tuple[OptionSummary, ...] = Field(description="Those that address the given bottlenecks first")
    total: int = Field(description="Options that fit the problem, before `drop` and `limit` left some out")
    further: tuple[str, ...] = Field(
        default=(), description="Ids of the options after these, in order; get_optimization explains each"
    )
    next_offset: int | None = Field(
        default=None, description="Set when there are further options: call again with offset=next_offset"
    )


class OptionDetail(Record):
    option: Option
    rewrites: tuple[Rewrite, ...] = Field(default=(), description="Ready-made ways to apply it to the given source")
    source: str | None = Field(default=None, description="The rewritten kernel, when a variant was asked for")
    next_offset: int | None = Field(
        default=None, description="Set when the source goes on: call again with offset=next_offset"
    )


class RankedKernel(Record):
    """One of several kernels that were simulated together."""

    sources: tuple[int, ...] = Field(description="Its positions in the list, from 0; several: the same text")
    kernel: str | None = Field(default=None, description="Digest; the text is the resource kernel://DIGEST")
    verdict: Verdict | None = Field(default=None, description="null: not judged in the time that one call has")
    message: str = ""
    latency: float | None = None
    unit: str | None = None
    utilisation: float | None = None
    line: int | None = Field(default=None, description="Of the fault, or of the compiler's first error")


class Simulation(Evaluation):
    """The verdict on one kernel; with `sources`, on the best of them, and the ranking of all."""

    ranking: tuple[RankedKernel, ...] | None = Field(
        default=None,
        description="Only with `sources`: all of them, fastest first, then those that failed; the fields beside it are "
        "those of the first. For the details of another one simulate it alone: the answer is in the cache",
    )


class ProfileResult(Record):
    """Exactly one of the two is set."""

    profile: Profile | None = None
    options: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Bottleneck id -> options of the menu that address it, best first"
    )
    evaluation: Evaluation | None = Field(
        default=None, description="Why the kernel cannot be profiled: it does not pass"
    )


def answer(result: BaseModel, *, terse: bool = False, meta: dict[str, Any] | None = None) -> CallToolResult:
    """The typed result as structured content, with compact JSON as text for hosts that read only that. `terse`: fields
    that have their default are left out. `meta`: for programs, not for models."""
    data = result.model_dump(mode="json", exclude_defaults=terse)
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    if 2 * len(text.encode()) > MAX_RESULT_BYTES:
        # Only reachable through fields no one foresaw to be long: the structured half is what hosts hand on.
        text = text.encode()[:2000].decode(errors="ignore") + " … the whole result is in the structured content"
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=data, _meta=meta)


def page(text: str, offset: int) -> tuple[str, int | None]:
    """The part of `text` from `offset` (characters) that fits a result, and where the next part begins."""
    rest = text[offset:]
    size = len(rest)
    while (bytes_ := len(json.dumps(rest[:size], ensure_ascii=False).encode())) > MAX_PAGE_BYTES:
        size = min(size - 1, size * MAX_PAGE_BYTES // bytes_)
    return rest[:size], offset + size if offset + size < len(text) else None


def clip(text: str, limit: int = MAX_TEXT) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def short_compilation(compilation: Compilation) -> Compilation:
    """Errors first, the first dozen, each clipped: a template of macros can produce megabytes."""
    rank = {"error": 0, "warning": 1, "note": 2}
    ordered = sorted(compilation.diagnostics, key=lambda d: rank[d.severity])
    kept = [d.model_copy(update={"message": clip(d.message)}) for d in ordered[:MAX_DIAGNOSTICS]]
    if len(ordered) > len(kept):
        left = f"… and {len(ordered) - len(kept)} more diagnostics; mend the first errors and compile again"
        kept.append(ordered[-1].model_copy(update={"severity": "note", "message": left, "line": None, "column": None}))
    return compilation.model_copy(update={"diagnostics": tuple(kept)})


def short_evaluation(evaluation: Evaluation) -> Evaluation:
    fault = evaluation.fault
    if fault is not None:
        fault = fault.model_copy(update={"message": clip(fault.message, 600)})
    return evaluation.model_copy(
        update={
            "message": clip(evaluation.message, 1000),
            "compilation": evaluation.compilation and short_compilation(evaluation.compilation),
            "mismatches": evaluation.mismatches[:MAX_MISMATCHES],
            "fault": fault,
        }
    )


def short_profile(profile: Profile) -> Profile:
    lines = [line.model_copy(update={"text": clip(line.text, 120)}) for line in profile.lines[:MAX_PROFILE_LINES]]
    occupancy = tuple(_coarser(entry) for entry in profile.occupancy)
    roofline = profile.roofline and profile.roofline.model_copy(update={"peaks": {}, "memories": {}, "intensities": {}})
    return profile.model_copy(
        update={
            "lines": tuple(lines), "occupancy": occupancy, "activity": (), "spans": (), "roofline": roofline,
        }
    )  # fmt: skip


def drawn(profile: Profile) -> dict[str, Any]:
    """For `_meta` of a result, which models do not read: the fields that `short_profile` thins out, in full."""
    return {DRAWN: profile.model_dump(mode="json", include=set(DRAWN_FIELDS))}


def _coarser(occupancy: Occupancy) -> Occupancy:
    """With at most MAX_SAMPLES intervals; the last, shorter one counts as if it were whole."""
    live, interval = occupancy.live, occupancy.interval
    while len(live) > MAX_SAMPLES:
        live = tuple(round(sum(pair) / len(pair)) for pair in (live[i : i + 2] for i in range(0, len(live), 2)))
        interval *= 2
    return occupancy.model_copy(update={"live": live, "interval": interval})
