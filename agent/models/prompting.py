"""Prompts out of templates; the same for every provider of language models."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ...hardware_adapters.base import Problem
from ..toolbox import OptionDetail
from .base import CodeRequest, PlanRequest
from .feedback import MAX_SOURCE, bare_source, block, diagnosis, examples, failure, lineage, tried


@lru_cache(maxsize=1)
def _templates() -> Environment:
    folder = Path(__file__).parents[1] / "prompts"
    env = Environment(loader=FileSystemLoader(folder), undefined=StrictUndefined, trim_blocks=True, autoescape=False)
    env.globals.update(block=block, max_source=MAX_SOURCE)
    return env


def _render(template: str, **values: Any) -> str:
    return _templates().get_template(template).render(**values).strip()


def system_text(problem: Problem, references: list[tuple[str, str]]) -> str:
    """What never changes within a run: byte-identical for every call, so that the provider caches it."""
    return _render("system.j2", problem=problem, references=references)


def parent_text(request: PlanRequest | CodeRequest) -> str:
    """The same for all calls about one parent."""
    return _render("parent.j2", source=bare_source(request.parent.source))


def plan_text(request: PlanRequest) -> str:
    return _render("plan.j2", **_situation(request))


def code_text(request: CodeRequest, option: OptionDetail | None) -> str:
    direct = request.direct
    return _render(
        "generate.j2",
        **(_situation(direct) if direct else {}),
        direct=direct,
        language=request.problem.language,
        plan=request.plan,
        option=option.option if option else None,
        failed_source=request.failed_source,
        failure=failure(request.failure) if request.failure else "",
        code=request.code,
        codes=request.codes,
        edits=request.edits,
        complaint=request.complaint,
    )


def _situation(request: PlanRequest) -> dict[str, Any]:
    """What a choice from the menu is based on."""
    return {
        "request": request,
        "diagnosis": diagnosis(request.profile, request.parent.evaluation, request.feedback),
        "lineage": lineage((step.plan, step.ratio) for step in request.ancestors),
        "examples": examples((known.problem, known.plan, known.ratio, known.diff) for known in request.examples),
        "tried": tried(request.tried),
    }
