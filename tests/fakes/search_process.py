"""A search as a process of its own, to be killed: search_process.py HOME RUN_ID LOG [resume]."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
from autocomp_mcp.agent.controller import resume, search
from autocomp_mcp.agent.models.providers import make_models
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.agent.toolbox import Toolbox
from landscape import PROBLEM, Landscape

SETTINGS = SearchSettings.for_model("offline", iterations=6, plans=3, beam=2, stop_utilisation=1.0, timeout_s=None)


async def main(home: Path, run_id: str, log: Path, again: bool) -> None:
    land = Landscape(delay_s=0.01, log_file=log)
    async with Toolbox.connect(land.server) as toolbox:
        shared = {
            "toolbox": toolbox,
            "models": make_models("offline", toolbox),
            "journal": Journal(home / "autocomp.db"),
            "runs_dir": home / "runs",
        }
        if again:
            status = await resume(run_id, **shared)
        else:
            status = await search(PROBLEM, SETTINGS, run_id=run_id, **shared)
    print(status.model_dump_json())


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4:] == ["resume"])
