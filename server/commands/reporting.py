"""report: a run's page as one file, and its plots for papers."""

from __future__ import annotations

from pathlib import Path

from ...agent.runs.journal import Journal
from ...hardware_adapters.base import EnvironmentLackError
from ...hardware_adapters.store import Home, replace
from ..report.following import snapshot
from ..report.page import page
from ..report.profiling import with_profiles
from ..shell import DONE, emit, guarded, tell
from .reading import find_run


def report(run: str, output: Path | None, plots: Path | None, profiles: list[str], as_json: bool) -> int:
    def command() -> int:
        journal = Journal.of(Home())
        found = with_profiles(snapshot(journal, find_run(journal, run)), journal, profiles)
        # Plots alone were asked for, unless a file is named too.
        target = output or (None if plots is not None else Path(f"{found.head.run_id}.html"))
        written: list[Path] = []
        try:
            if target is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
                replace(target, page(found).encode())
                written.append(target)
            if plots is not None:
                from ..report.plots import write_plots

                written += write_plots(found, plots)
        except OSError as error:
            raise EnvironmentLackError(f"cannot write {error.filename!r}: {error.strerror}") from error
        if as_json:
            emit({"run_id": found.head.run_id, "files": [str(path.absolute()) for path in written]})
        else:
            for path in written:
                tell(f"{path}  {path.stat().st_size / 1e6:.2f} MB")
        return DONE

    return guarded(command, as_json)
