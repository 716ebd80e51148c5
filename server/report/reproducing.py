"""The reproducibility box: the command that makes a run again, its seeds, and the versions it was made with."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from ... import __version__
from ...agent.errors import AgentUsageError
from ...agent.runs.history import Entry
from ...agent.runs.status import RunRow
from ...agent.settings import SearchSettings, presets
from ...hardware_adapters.base import AdapterError, kernel_identity, language_of
from .snapshot import Reproduction, Setting

# Settings that have an option of the command line; the others are given with --set.
OPTIONS = {
    "engine": "--engine", "iterations": "--iterations", "plans": "--plans", "codes": "--codes", "beam": "--beam",
    "seed": "--seed", "base_url": "--base-url", "max_cost_usd": "--max-cost", "max_tokens": "--max-tokens",
    "max_evaluations": "--max-evaluations", "timeout_s": "--timeout", "reuse": "--reuse", "confirm": "--confirm",
    "confirm_top": "--confirm-top",
}  # fmt: skip


def reproduction(run: RunRow, entries: Sequence[Entry]) -> Reproduction:
    preset, usual = _nearest(run)
    differing = {name: value for name, value in run.settings.items() if name in usual and usual[name] != value}
    words = ["autocomp-mcp", "optimize", run.problem, "--model", run.model]
    words += ["--preset", preset] if preset else []
    if not _is_baseline(run):
        words += ["--source", f"first{language_of(run.source).suffix}"]
    for name, value in differing.items():
        words += _words(name, value)
    evaluations = [entry.evaluation for entry in entries if entry.evaluation is not None]
    versions = {"autocomp-mcp": f"{__version__} (of this report)"}
    versions |= {found.engine: found.engine_version for found in evaluations}
    compilers = {found.compilation.compiler for found in evaluations if found.compilation is not None}
    if compilers:
        versions["compiler"] = ", ".join(sorted(compilers))
    return Reproduction(
        command=shlex.join(words),
        first_kernel=kernel_identity(run.source),
        seed=int(run.settings.get("seed", 0)),
        evaluation_seeds=tuple(sorted({found.seed for found in evaluations})),
        versions=versions,
        settings=tuple(
            Setting(name=name, value=json.dumps(value), usual=name not in differing)
            for name, value in run.settings.items()
        ),
    )


def _nearest(run: RunRow) -> tuple[str | None, dict[str, Any]]:
    """The preset that the settings differ from least, None for the model's own, and its settings."""
    found: list[tuple[int, str | None, dict[str, Any]]] = []
    for name in (None, *presets()):
        try:
            usual = SearchSettings.for_model(run.model, name).model_dump(mode="json")
        except (AgentUsageError, ValidationError):
            continue
        found.append((sum(usual.get(key) != value for key, value in run.settings.items()), name, usual))
    _, preset, usual = min(found, key=lambda entry: (entry[0], entry[1] is not None))
    return preset, usual


def _words(name: str, value: Any) -> list[str]:
    if name == "batch" and value is True:
        return ["--batch"]
    if name in OPTIONS and value is not None:
        return [OPTIONS[name], str(value)]
    return ["--set", f"{name}={json.dumps(value)}"]


def _is_baseline(run: RunRow) -> bool:
    """Whether the search began with the problem's own kernel; False where this machine does not know the problem."""
    from ...hardware_adapters.registry import adapter_for

    try:
        adapter = adapter_for(run.problem)
        return adapter.baseline(adapter.problem(run.problem)) == run.source
    except AdapterError:
        return False
