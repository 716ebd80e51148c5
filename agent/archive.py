"""A run as a folder, to be kept or taken to another machine.

`run.json` and `journal.jsonl` are the run, and all that an import reads; the rest is the same for people: `best.c`,
`kernels/CANDIDATE.c`, `profiles/KERNEL.json`. What a folder says is data: no name from it becomes a path before it was
checked to be a plain one, and nothing in it is executed.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..hardware_adapters.base import InvalidSourceError, check_source, language_of
from .archive_lines import PROFILE, ArchiveError, check_event, check_run, parsed
from .errors import AgentError, AgentUsageError
from .runs.best_kernel import best_name, headed, write_best
from .runs.candidate import ROOT, Candidate, candidates_of
from .runs.journal import Journal
from .runs.status import RunRow, RunStatus, derive

FORMAT = 1
RUN, EVENTS = "run.json", "journal.jsonl"
MAX_LINE_BYTES = 16 * 2**20


def export_run(journal: Journal, run_id: str, folder: Path, versions: dict[str, str]) -> dict[str, int]:
    """Write everything of a run to `folder`, which must not exist yet; it appears when it is complete.

    Returns how many events, kernels and profiles it holds. `versions`: of this program, by name. A process killed in
    the middle leaves a folder `.NAME.part-PID` beside, which may be deleted. Raises UnknownRunError,
    AgentUsageError when the folder is there, and AgentError when the folder cannot be written.
    """
    row, status = journal.first_row(run_id), journal.status(run_id)
    events = journal.events(run_id, sources=True)  # after the status: of a live run they know all that it speaks of
    folder = folder.absolute()
    if os.path.lexists(folder):
        raise AgentUsageError(f"{str(folder)!r} exists already; name another folder with -o")
    part = folder.with_name(f".{folder.name}.part-{os.getpid()}")
    try:
        part.mkdir(parents=True)
        counts = _write(part, row, events, status, versions)
        part.rename(folder)
    except OSError as error:
        raise AgentError(f"cannot write {str(folder)!r}: {error.strerror}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return counts


def _write(
    part: Path, row: RunRow, events: list[dict[str, Any]], status: RunStatus, versions: dict[str, str]
) -> dict[str, int]:
    candidates, profiles = {found.id: found for found in candidates_of(events)}, 0
    for name in ("kernels", "profiles"):
        (part / name).mkdir()
    for candidate in candidates.values():
        _file(part / "kernels" / f"{candidate.id}{language_of(candidate.source).suffix}", candidate.source)
    for event in events:
        if event["kind"] == "profile" and (found := PROFILE.fullmatch(event["key"] or "")):
            _file(part / "profiles" / f"{found[1]}.json", json.dumps(event["data"], indent=1) + "\n")
            profiles += 1
    best = best_text(status, candidates)
    if best is not None:
        _file(part / best_name(best), best)
    engines = {c.evaluation.engine: c.evaluation.engine_version for c in candidates.values() if c.evaluation}
    run = {
        "format": FORMAT,
        **row.model_dump(exclude={"source"}),
        "created_utc": f"{datetime.fromtimestamp(row.created, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "versions": versions | engines,
        "events": len(events),
        "status": status.model_dump(mode="json", exclude={"best_source"}),
        "source": row.source,
    }
    _file(part / RUN, json.dumps(run, indent=1) + "\n")
    _file(part / EVENTS, "".join(json.dumps(event) + "\n" for event in events))
    return {"events": len(events), "kernels": len(candidates), "profiles": profiles}


def best_text(status: RunStatus, candidates: dict[str, Candidate]) -> str | None:
    """The run's best kernel under its header; None while no kernel passed."""
    if status.best is None or status.best.candidate not in candidates:
        return None
    best = candidates[status.best.candidate]
    if best.duplicate_of in candidates:  # the same kernel, evaluated under another id
        best = best.model_copy(update={"evaluation": candidates[best.duplicate_of].evaluation})
    confirmed = next((found for found in status.confirmations if found.candidate == best.id), None)
    return headed(best, candidates.get(ROOT), status.run_id, confirmed)


def import_run(journal: Journal, folder: Path, runs_dir: Path) -> tuple[str, bool]:
    """Take an exported run into this journal, all of it or nothing. Returns its id, and False if it was here already.

    Raises ArchiveError, with file and line, for what does not hold, and AgentUsageError when another run has the id.
    """
    run, expected = _run(folder / RUN)
    events = list(_events(folder / EVENTS))
    if len(events) != expected:
        raise ArchiveError(folder / EVENTS, None, f"has {len(events)} events where {RUN} says {expected}: cut short?")
    try:
        status = derive(run, events, alive=False, now=run.created)
        best = best_text(status, {found.id: found for found in candidates_of(events)})
    except (KeyError, TypeError, ValueError, AssertionError, AttributeError) as error:
        raise ArchiveError(folder / EVENTS, None, f"does not tell of one run: {error!r}") from error
    new = journal.adopt(run, events)
    path = runs_dir / run.run_id / best_name(best or "")
    if best is not None and not path.exists():
        write_best(path, best)
    return run.run_id, new


def _run(path: Path) -> tuple[RunRow, int]:
    text = b"".join(_lines(path, whole=True))
    data = parsed(path, None, text)
    found = data.get("format")
    if found != FORMAT:
        raise ArchiveError(path, None, f"has format {found!r}; this version reads {FORMAT}")
    events = data.get("events")
    if not isinstance(events, int):
        raise ArchiveError(path, None, "does not say how many events the run has")
    run = check_run(path, data)
    try:
        check_source(run.source)
    except InvalidSourceError as error:
        raise ArchiveError(path, None, f"source: {error}") from error
    return run, events


def _events(path: Path) -> Iterator[dict[str, Any]]:
    keys: set[str] = set()
    candidates: dict[str, Candidate] = {}
    for number, line in enumerate(_lines(path), 1):
        event = check_event(path, number, parsed(path, number, line), candidates)
        key = event["key"]
        if key is not None and key in keys:
            raise ArchiveError(path, number, f"key {key!r} for the second time")
        if key is not None:
            keys.add(key)
        yield event


def _lines(path: Path, whole: bool = False) -> Iterator[bytes]:
    """Of a plain file only: a link or a pipe in the folder is refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ArchiveError(path, None, "is not a plain file")
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES or (whole and number > MAX_LINE_BYTES):
                    raise ArchiveError(path, number, f"is longer than {MAX_LINE_BYTES} bytes")
                yield line
    except OSError as error:
        raise ArchiveError(path, None, f"cannot be read: {error.strerror}") from error


def _file(path: Path, text: str) -> None:
    path.write_bytes(text.encode())  # no line end is changed
