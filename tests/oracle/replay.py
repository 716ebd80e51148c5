"""Command streams run by gemsim: one kernel, one process for many streams, a fresh machine for each."""

from __future__ import annotations

import json
import random
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from command_streams import FEATURES, INPUT_BYTES, OUTPUT_BYTES, Stream, make_stream
from gemmini_isa import ARRAYS, DEFAULT, Array

# What gemsim can run. A feature (command_streams.FEATURES) or configuration that it learns is added here, and only
# here: the differential tests draw their streams from these.
SIMULATED_FEATURES: frozenset[str] = frozenset(FEATURES)
SIMULATED_ARRAYS: tuple[Array, ...] = ARRAYS

CASES_PER_JOB = 32

REPLAY = """
#include <stdint.h>
#define ISSUE(f) case f: asm volatile(".insn r 0x7b, 3, " #f ", x0, %0, %1" ::"r"(a), "r"(b)); break;
static uint64_t place(uint64_t a, const int8_t *in, int8_t *out) {
  return a >> 40 == 1 ? (uint64_t)in + (uint32_t)a : a >> 40 == 2 ? (uint64_t)out + (uint32_t)a : a;
}
void solution(const uint64_t *program, const int8_t *in, int8_t *out) {
  for (uint64_t n = *program++; n; n--, program += 3) {
    uint64_t f = program[0], a = program[1], b = program[2], unused;
    if (f == 1 || f == 2 || f == 3 || f == 14) a = place(a, in, out);
    if (f == 10 || f == 11 || f == 20 || f == 21) a = place(a, in, out), b = place(b, in, out);
    switch (f) {
      ISSUE(0) ISSUE(1) ISSUE(2) ISSUE(3) ISSUE(4) ISSUE(5) ISSUE(6) ISSUE(7) ISSUE(8) ISSUE(9) ISSUE(10) ISSUE(11)
      ISSUE(12) ISSUE(13) ISSUE(14) ISSUE(15) ISSUE(16) ISSUE(17) ISSUE(18) ISSUE(19) ISSUE(20) ISSUE(21)
      ISSUE(22) ISSUE(23)
      case 126: asm volatile(".insn r 0x7b, 7, 126, %0, %1, %2" : "=r"(unused) : "r"(a), "r"(b)); break;
    }
  }
}
"""


def simulated_stream(seed: int, length: int) -> Stream:
    """A plain stream, one with one feature, or one with all, for one of the configurations: whatever gemsim can run."""
    rng = random.Random(seed)
    features = rng.choice([[], *([name] for name in sorted(SIMULATED_FEATURES)), sorted(SIMULATED_FEATURES)])
    return make_stream(seed, length, features, rng.choice(SIMULATED_ARRAYS))


def replay(gemsim: Path, kernel: Path, streams: Sequence[Stream], folder: Path) -> list[np.ndarray | str]:
    """Per stream the output buffer, or the fault's message."""
    results: dict[int, np.ndarray | str] = {}
    for array in dict.fromkeys(stream.array for stream in streams):  # one configuration per job
        numbers = [n for n, stream in enumerate(streams) if stream.array == array]
        for first in range(0, len(numbers), CASES_PER_JOB):
            some = numbers[first : first + CASES_PER_JOB]
            results |= zip(some, _job(gemsim, kernel, [streams[n] for n in some], array, folder), strict=True)
    return [results[n] for n in range(len(streams))]


def _job(gemsim: Path, kernel: Path, streams: Sequence[Stream], array: Array, parent: Path) -> list[np.ndarray | str]:
    with tempfile.TemporaryDirectory(dir=parent) as name:  # new files: truncating old ones waits for the disk
        folder = Path(name)
        job = [f"elf {kernel}", "entry solution"]
        if array != DEFAULT:
            job.append(f"config {array.name}")
        for number, stream in enumerate(streams):
            table = stream.table()
            (folder / f"table{number}").write_bytes(table)
            (folder / f"data{number}").write_bytes(stream.data.tobytes())
            job += [
                f"case s{number} functional",
                f"buffer table 0x90000000 {len(table)} input table{number}",
                f"buffer data 0x90100000 {INPUT_BYTES} input data{number}",
                f"buffer out 0x90200000 {OUTPUT_BYTES} output out{number}",
                "calls 1",
            ]
        (folder / "job").write_text("\n".join(job) + "\n")
        done = subprocess.run(
            [gemsim, "job", "job"], cwd=folder, capture_output=True, text=True, check=True, timeout=300
        )
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
    expected = stream.expected()
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
