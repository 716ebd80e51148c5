"""Gemmini's tools over estimated cycles: real problems, the real menu and its rewrites; nothing compiled, nothing run.

Stands where Toolbox expects an MCP client. A kernel is its schedule line and a body that no two schedules share. What
a model spoils is told by a line or two: see `spoilt`.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache, lru_cache
from typing import Any, NamedTuple

from autocomp_mcp.hardware_adapters.base import Compilation, UsageError, kernel_digest
from autocomp_mcp.hardware_adapters.gemmini.families import operator_of
from autocomp_mcp.hardware_adapters.gemmini.operators import describe
from autocomp_mcp.hardware_adapters.gemmini.problems import Gemm
from autocomp_mcp.hardware_adapters.gemmini.rewrites import GEMM
from autocomp_mcp.hardware_adapters.gemmini.schedule import (
    CapacityError,
    Schedule,
    ScheduleError,
    baseline_schedule,
    format_line,
    parse_line,
)
from autocomp_mcp.menus.menu import Menu, load_menu
from gemm_cycles import judged

INCLUDE = '#include "gemmini_api.h"\n'
# What spoils a kernel, for these tools and for a real compiler alike, and the line it comes after (none: the end).
_WAYS = {
    "compile_error": ("static const int compile_error_{} = ;\n", ""),
    "wrong_result": ("#define wrong_result_{}\n#undef mvout\n#define mvout(...) ((void)0)\n", INCLUDE),
    "unused": ("static const int unused_{} = 0;\n", ""),
}
_PATTERNS = {how: re.escape(text.format("NUMBER")).replace("NUMBER", r"\d+") for how, (text, _) in _WAYS.items()}
_SPOILT = re.compile("|".join(f"(?P<{how}>{pattern})" for how, pattern in _PATTERNS.items()))


class Result(NamedTuple):
    """As much of MCP's CallToolResult as Toolbox looks at."""

    structured_content: dict[str, Any]
    is_error: bool = False
    content: tuple[()] = ()


class Refused(NamedTuple):
    class Text(NamedTuple):
        text: str

    content: tuple[Refused.Text, ...]
    structured_content: None = None
    is_error: bool = True


def spoilt(source: str, how: str, number: int) -> str:
    """A kernel that does not compile, computes nonsense, or (`unused`) differs in what changes no machine code."""
    text, after = _WAYS[how]
    before, place, rest = source.partition(after) if after else (source, "", "")
    return before + place + text.format(number) + rest


def unspoilt(source: str) -> str:
    return _SPOILT.sub("", source)


@lru_cache(maxsize=200_000)
def kernel(schedule: Schedule) -> str:
    line = format_line(schedule)
    mark = hashlib.sha256(line.encode()).hexdigest()[:16]
    return f"{line}\n{INCLUDE}void solution(void) {{ schedule_{mark}(); }}\n"


@lru_cache(maxsize=1)
def _menu() -> Menu:
    return load_menu("gemmini")


@cache
def _gemm(problem: str) -> Gemm:
    found = operator_of(problem)
    assert isinstance(found, Gemm)
    return found


@lru_cache(maxsize=100_000)
def rewritten(problem: str, schedule: Schedule, option: str) -> dict[str, tuple[str, Schedule]]:
    """name -> (summary, schedule), as hardware_adapters/gemmini/rewrites.py finds them, without emitting code."""
    gemm, found, seen = _gemm(problem), {}, {schedule}
    for change in GEMM.options[option](gemm, schedule) if option in GEMM.options else ():
        try:
            wanted = GEMM.changed(gemm, schedule, change.fields)
        except ScheduleError:
            continue
        for candidate, note in GEMM.concessions(gemm, wanted, change.fields):
            try:
                GEMM.check(gemm, candidate)
            except CapacityError:
                continue
            except ScheduleError:
                break
            if candidate not in seen and change.name not in found:
                seen.add(candidate)
                found[change.name] = (change.summary + note, candidate)
            break
    return found


class GemmTools:
    """An MCP client with the tools that a search calls; `simulated` counts the kernels it was asked to simulate."""

    def __init__(self) -> None:
        self.simulated = 0
        self._menu = _menu()
        self._lists: dict[tuple[Any, ...], dict[str, Any]] = {}

    async def call_tool(self, name: str, arguments: dict[str, Any], **_: Any) -> Any:
        try:
            return Result(getattr(self, name)(**arguments))
        except UsageError as error:
            return Refused((Refused.Text(str(error)),))

    def get_problem(self, problem: str) -> dict[str, Any]:
        gemm = _gemm(problem)
        baseline = kernel(baseline_schedule(gemm))
        return {"problem": describe(gemm).model_dump(mode="json"), "baseline": baseline, "next_offset": None}

    def list_optimizations(
        self, problem: str, source: str | None = None, bottlenecks: list[str] | None = None, limit: int = 100
    ) -> dict[str, Any]:
        schedule = parse_line(source) if source else None
        key = (problem, schedule, tuple(bottlenecks or ()))
        if key not in self._lists:
            options = self._menu.select("gemm", bottlenecks, _gemm(problem).traits)
            self._lists[key] = {
                "options": [
                    {
                        **{field: getattr(option, field) for field in ("id", "title", "when", "effect")},
                        "addresses": option.addresses(bottlenecks or ()),
                        "rewrites": len(rewritten(problem, schedule, option.id)) if schedule else 0,
                    }
                    for option in options
                ]
            }
        return self._lists[key]

    def get_optimization(
        self, option: str, problem: str, source: str | None = None, variant: str | None = None
    ) -> dict[str, Any]:
        entry = self._menu.get(option)
        known = rewritten(problem, parse_line(source), option) if source else {}
        if variant is not None and variant not in known:
            raise UsageError(f"option {option!r} has no rewrite {variant!r}")
        return {
            "option": entry.model_dump(mode="json"),
            "rewrites": [{"name": name, "summary": summary} for name, (summary, _) in known.items()],
            "source": kernel(known[variant][1]) if variant is not None else None,
        }

    def list_targets(self) -> dict[str, Any]:
        fields = {"kind": "simulator", "available": True, "reason": "", "source": "estimated", "trust": "none"}
        engines = [{**fields, "name": name, "default": name != SLOW} for name in ("gemsim", SLOW)]
        return {"targets": [{"name": "gemmini", "title": "Gemmini", "families": ["gemm"], "engines": engines}]}

    def simulate_kernel(
        self, problem: str, source: str, seed: int = 0, engine: str = "gemsim", **_: Any
    ) -> dict[str, Any]:
        self.simulated += 1
        about = {"problem": problem, "kernel": kernel_digest(source), **_ENGINE, "engine": engine, "seed": seed}
        found = _SPOILT.search(source)
        how = found.lastgroup if found else "unused"
        if how != "unused":
            failed = {"compilation": _compilation(None)} if how == "compile_error" else {}
            return {**about, **failed, "verdict": how, "message": f"{how} as the synthetic model wanted it"}
        said = judged(problem, parse_line(source))
        return {
            **about,
            "verdict": "passed",
            "message": "correct",
            "latency": {"value": said.cycles, "unit": "cycles", "statistic": "estimate of the estimate"},
            "utilisation": said.utilisation,
            "compilation": _compilation(kernel_digest(unspoilt(source))),
        }

    def profile_kernel(self, problem: str, source: str, **_: Any) -> dict[str, Any]:
        said = judged(problem, parse_line(source))
        latency = {"value": said.cycles, "unit": "cycles", "statistic": "estimate of the estimate"}
        found = [{"id": name, "explanation": name, "evidence": {}} for name in said.bottlenecks]
        about = {"problem": problem, "kernel": kernel_digest(source), **_ENGINE, "latency": latency}
        profile = {**about, "utilisation": said.utilisation, "counters": {}, "units": [], "stalls": []}
        return {"profile": {**profile, "bottlenecks": found}, "evaluation": None}


SLOW = "rtl"  # an engine that judges as gemsim does, and would take its time
_ENGINE = {"engine": "gemsim", "engine_version": "estimate", "source": "estimated"}
_CODE = "code" if "code" in Compilation.model_fields else "artifact"


def _compilation(code: str | None) -> dict[str, Any]:
    found = {_CODE: code} if code else {}
    return {"ok": code is not None, "compiler": "none", "seconds": 0.0, **found}
