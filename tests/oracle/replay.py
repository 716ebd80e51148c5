"""Command streams run by gemsim: one kernel, one process for many streams, a fresh machine for each."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from command_streams import INPUT_BYTES, OUTPUT_BYTES, Stream

POISON = 0xA5  # what gemsim fills outputs with before the first call
CASES_PER_JOB = 32


def replay(gemsim: Path, kernel: Path, streams: Sequence[Stream], folder: Path) -> list[np.ndarray | str]:
    """Per stream the output buffer, or the fault's message."""
    results: list[np.ndarray | str] = []
    for first in range(0, len(streams), CASES_PER_JOB):
        results += _job(gemsim, kernel, streams[first : first + CASES_PER_JOB], folder)
    return results


def _job(gemsim: Path, kernel: Path, streams: Sequence[Stream], folder: Path) -> list[np.ndarray | str]:
    job = [f"elf {kernel}", "entry solution"]
    for number, stream in enumerate(streams):
        table = stream.table()
        (folder / f"table{number}").write_bytes(table)
        (folder / f"data{number}").write_bytes(stream.data.tobytes())
        (folder / f"out{number}").unlink(missing_ok=True)
        job += [
            f"case s{number} functional",
            f"buffer table 0x90000000 {len(table)} input table{number}",
            f"buffer data 0x90100000 {INPUT_BYTES} input data{number}",
            f"buffer out 0x90200000 {OUTPUT_BYTES} output out{number}",
            "calls 1",
        ]
    (folder / "job").write_text("\n".join(job) + "\n")
    done = subprocess.run([gemsim, "job", "job"], cwd=folder, capture_output=True, text=True, check=True, timeout=300)
    results: list[np.ndarray | str] = []
    for number, case in enumerate(json.loads(done.stdout)["cases"]):
        if case["status"] == "fault":
            results.append(f"{case['fault']['kind']}: {case['fault']['message']}")
        else:
            results.append(np.fromfile(folder / f"out{number}", np.uint8))
    return results


def difference(stream: Stream, got: np.ndarray | str) -> str | None:
    """What is wrong with gemsim's answer, or None."""
    if isinstance(got, str):
        return got
    expected = stream.expected(POISON)
    wrong = np.flatnonzero(got != expected)
    return f"{len(wrong)} bytes differ, the first at {wrong[0]:#x}" if len(wrong) else None


def first_difference(gemsim: Path, kernel: Path, stream: Stream, folder: Path) -> str:
    """The command after which the two models disagree: what a failing test should say."""
    prefixes = [stream.prefix(length) for length in range(stream.length + 1)]
    for length, (prefix, got) in enumerate(zip(prefixes, replay(gemsim, kernel, prefixes, folder), strict=True)):
        if what := difference(prefix, got):
            command = stream.commands[stream.prologue + length - 1] if length else "the fixed beginning"
            return f"after {length} commands, at {command}: {what}"
    return "no prefix differs"
