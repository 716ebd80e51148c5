"""The search: plan, generate, evaluate, select, every evaluation through a tool call."""

from __future__ import annotations

from pathlib import Path

from .events import Listener
from .journal import Journal
from .models.base import Models
from .settings import SearchSettings
from .status import RunStatus
from .toolbox import Toolbox


async def search(
    problem_id: str,
    settings: SearchSettings,
    *,
    toolbox: Toolbox,
    models: Models,
    journal: Journal,
    runs_dir: Path,
    source: str | None = None,
    listener: Listener | None = None,
    run_id: str | None = None,
) -> RunStatus: ...


async def resume(
    run_id: str,
    *,
    toolbox: Toolbox,
    models: Models,
    journal: Journal,
    runs_dir: Path,
    listener: Listener | None = None,
) -> RunStatus: ...
