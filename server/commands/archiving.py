"""export and import: a run as a folder that another machine can take in."""

from __future__ import annotations

import platform
from pathlib import Path

from ... import __version__
from ...agent.archive import export_run, import_run
from ...agent.runs.journal import Journal
from ...hardware_adapters.store import Home
from ..shell import DONE, emit, guarded, say, tell
from .reading import find_run


def export_(run: str, folder: Path | None, as_json: bool) -> int:
    def command() -> int:
        journal = Journal.of(Home())
        run_id = find_run(journal, run)
        target = folder or Path(run_id)
        versions = {"autocomp-mcp": __version__, "python": platform.python_version()}
        counts = export_run(journal, run_id, target, versions)
        if as_json:
            emit({"run_id": run_id, "folder": str(target.absolute()), **counts})
        else:
            held = ", ".join(f"{count} {name}" for name, count in counts.items())
            tell(f"{target}: run {run_id}, {held}")
            tell(f"elsewhere: autocomp-mcp import {target}")
        return DONE

    return guarded(command, as_json)


def import_(folder: Path, as_json: bool) -> int:
    def command() -> int:
        home = Home()
        journal = Journal.of(home)
        run_id, new = import_run(journal, folder, home.path / "runs")
        row = journal.first_row(run_id)
        # What a resumed run would reach is named here, since somebody else may have written it.
        service = row.settings.get("base_url")
        if service:
            say(f"resumed or continued, its model is asked at {service!r}, with your key: check that you trust it")
        if "replay:" in row.model:
            say(f"resumed or continued, its model reads the file named in {row.model!r}")
        if as_json:
            emit({"run_id": run_id, "imported": new})
        elif new:
            tell(f"imported run {run_id} ({row.problem}); see: autocomp-mcp show {run_id}")
        else:
            tell(f"run {run_id} is here already, with the same content")
        return DONE

    return guarded(command, as_json)
