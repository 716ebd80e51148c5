"""Runs a built candidate on given inputs, in a process of its own, and reads what the emulator says about it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import anyio.to_thread
from pydantic import ValidationError

from ...errors import EngineFailure
from ...host_faults import check_process
from ...process import Finished, Limits, minimal_environment, run
from ...sandbox import Reach
from .build import Program
from .image import Lines
from .report import Fault, Launch, Note, Report, Site, SiteKey
from .rewrite import FILE

SHARED_BYTES = 99 << 10  # per block, opt-in, of compute capability 8.9
MAX_SHARED_BYTES = 256 << 10  # that the runtime has room for: DYNAMIC_AT in runtime/cpusim.h
SCRATCH_BYTES = 32 << 20
MEMORY_BYTES = 8 << 30  # of addresses: what is reserved for shadows is mostly never touched
MAX_REPORT_BYTES = 8 << 20
_REPORT = "report.json"
_COUNTS = ("requests", "sectors", "ideal_sectors", "wavefronts", "ideal_wavefronts", "threads")


class Buffer(NamedTuple):
    """`file` is a name in the job's folder: an input's content, one for all calls or of each call; where an
    output goes, one call after the other."""

    name: str
    bytes: int
    role: Literal["input", "output", "scratch"]
    file: str | None = None


SCRATCH = Buffer("scratch", SCRATCH_BYTES, "scratch")


class Job(NamedTuple):
    """`order`: 0 threads forwards, 1 backwards, 2 shuffled by `seed`. `blocks`: how many of each launch run, evenly
    chosen, None for all. `seconds` of processor time after which no further one is
    drawn, 0 for no limit. `calls`: of launch(), each with buffers elsewhere and outputs full of NaN again."""

    dims: tuple[int, ...]
    buffers: tuple[Buffer, ...]
    order: int = 0
    blocks: int | None = None
    trace: bool = False
    calls: int = 1
    seed: int = 1
    cpu_s: float = 20.0
    seconds: float = 0.0
    shared_bytes: int = SHARED_BYTES


def job_text(job: Job, nonce: str) -> str:
    lines = [
        f"nonce {nonce}",
        f"order {job.order}",
        f"trace {int(job.trace)}",
        f"calls {job.calls}",
        f"seed {job.seed}",
    ]
    lines += [f"seconds {job.seconds}", f"blocks {job.blocks or 0}", f"cpu {job.cpu_s}", f"shared {job.shared_bytes}"]
    lines += [f"dim {size}" for size in job.dims]
    lines += [f"buffer {b.name} {b.bytes} {b.role} {b.file or '-'}" for b in job.buffers]
    return "\n".join(lines) + "\n"


async def emulate(program: Program, job: Job, folder: Path, limits: Limits | None = None) -> Report:
    """Run one job in `folder`, where the inputs' files are; outputs are there afterwards, unless there was a fault.

    What is wrong with the candidate is in the report. Raises EngineFailure when the emulator itself failed.
    """
    nonce = secrets.token_hex(16)
    name = f"job-{nonce[:8]}"
    report = folder / _REPORT

    def write() -> None:
        report.unlink(missing_ok=True)
        (folder / name).write_text(job_text(job, nonce))

    await anyio.to_thread.run_sync(write)
    limits = limits or Limits(wall_s=4 * job.cpu_s + 10, file_bytes=1 << 30, memory_bytes=MEMORY_BYTES)
    command = [program.emulator, name, program.library]
    reach = Reach(read=(program.emulator, program.library), processes=False, tasks=16)
    try:
        finished = await run(command, cwd=folder, env=minimal_environment(folder), limits=limits, reach=reach)
    except OSError as error:
        raise EngineFailure(f"cpusim cannot be started: {error}") from error
    said = await anyio.to_thread.run_sync(_read, report, nonce)
    await anyio.to_thread.run_sync((folder / name).unlink)
    if said is None:
        return _ended(finished, limits.wall_s)
    return await anyio.to_thread.run_sync(_report, said, program.library)


def _read(path: Path, nonce: str) -> dict[str, Any] | None:
    """The report, or None when there is none that the emulator wrote to its end."""
    import json

    try:
        if path.stat().st_size > MAX_REPORT_BYTES:
            return None
        said = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):  # brackets without end are none of its reports
        return None
    return said if isinstance(said, dict) and said.get("nonce") == nonce else None


def _ended(finished: Finished, wall_s: float) -> Report:
    """Of a run without a report. Status 2 is the emulator's own complaint; whatever else is the candidate's doing."""
    check_process("cpusim", finished, wall_s)
    if finished.timed_out:
        return _crash("timeout", "the run was stopped at its time limit")
    if finished.limit is not None:
        return _crash("limit_exceeded", f"the candidate's process ended without a report: {finished.ended_by}")
    if finished.returncode in (2, 3, 126, 127):
        raise EngineFailure(f"cpusim failed: {finished.stderr.strip()[-400:]!r}")
    why = f"signal {-finished.returncode}" if finished.returncode < 0 else f"status {finished.returncode}"
    return _crash("crashed", f"the candidate's process ended with {why}, without a report")


def _crash(kind: str, message: str) -> Report:
    return Report(fault=Fault(kind=kind, message=message), launches=(), sites=(), notes=(), returned=None)


def _report(said: dict[str, Any], library: Path) -> Report:
    lines: Lines | None = None

    def line_of(entry: dict[str, Any]) -> int | None:
        nonlocal lines
        if entry.get("line"):
            return entry["line"]
        lines = lines or Lines(library, FILE)
        return lines.of(entry.get("pc", 0))

    try:
        fault = said["fault"]
        return Report(
            fault=Fault(**{**fault, "line": line_of(fault)}) if fault else None,
            launches=tuple(Launch(**launch) for launch in said["launches"]),
            sites=_merged([{**site, "line": line_of(site)} for site in said["sites"]]),
            notes=tuple(Note(**{**note, "line": line_of(note)}) for note in said["notes"]),
            returned=said["returned"],
            complete=not said["dropped"],
            fills=said["fills"],
            filled_bytes=said["filled_bytes"],
        )
    except (KeyError, TypeError, ValidationError) as error:
        raise EngineFailure(f"cpusim's report does not parse: {str(error)[:400]}") from error


def _merged(sites: Sequence[dict[str, Any]]) -> tuple[Site, ...]:
    """Copies that the compiler made of one access are one site again; in the order of lines."""
    sums: dict[SiteKey, dict[str, int]] = {}
    for site in sites:
        key = SiteKey(site["kernel"], site["line"], site["space"], site["op"], site["bytes"])
        counts = sums.setdefault(key, dict.fromkeys(_COUNTS, 0))
        for name in _COUNTS:
            counts[name] += site[name]
    ordered = sorted(sums.items(), key=lambda item: (item[0].kernel, item[0].line or 0))
    return tuple(Site.model_validate({**key._asdict(), **counts}) for key, counts in ordered)
