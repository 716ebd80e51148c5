"""NVIDIA's compute-sanitizer: memory errors, races and misused barriers, found while a kernel runs on small inputs."""

from __future__ import annotations

import re

from ...base import Fault
from ...simulating import Judgement
from ..nvcc import SOURCE_NAME

# One of them at a time is what the program can do.
TOOLS = ("memcheck", "racecheck", "synccheck")
LOG = "sanitizer.log"
_KINDS = (
    ("Invalid __global__", "out_of_bounds"),
    ("Invalid __shared__", "out_of_bounds"),
    ("Invalid __local__", "out_of_bounds"),
    ("Race reported", "race_shared"),
    ("hazard", "race_shared"),
    ("Barrier error", "divergent_barrier"),
    ("Divergent thread", "divergent_barrier"),
)
_PREFIX = re.compile(r"^=========\s?")
_LINE = re.compile(rf"\bin (?:\S*/)?{re.escape(SOURCE_NAME)}:(\d+)")
_NOISE = (
    "COMPUTE-SANITIZER",
    "ERROR SUMMARY",
    "RACECHECK SUMMARY",
    "Saved host backtrace",
    "Host Frame",
    "Program hit",
)
_CLEAN = {
    "racecheck": re.compile(r"RACECHECK SUMMARY: \d+ hazards? displayed \(0 errors,"),
    **dict.fromkeys(("memcheck", "synccheck"), re.compile(r"ERROR SUMMARY: 0 errors")),
}
MAX_MESSAGE = 300


def command(tool: str) -> tuple[str, ...]:
    # A call that asks for too much and then for less is honest: errors of the API are launch()'s to return.
    more = ("--report-api-errors", "no") if tool == "memcheck" else ()
    return ("compute-sanitizer", "--tool", tool, *more, "--print-limit", "4", "--log-file", LOG)


def clean(log: str, tool: str) -> bool:
    """Whether the tool came to its end and says that it found no error. Without that a log without complaints means
    that it did not work."""
    lines = [_PREFIX.sub("", line) for line in log.splitlines() if line.startswith("=========")]
    return any(_CLEAN[tool].match(line) for line in lines)


def complaint(log: str, tool: str) -> Judgement | None:
    """What is wrong with the kernel by the first error in the log; None where there is none."""
    lines = [_PREFIX.sub("", line) for line in log.splitlines() if line.startswith("=========")]
    for number, line in enumerate(lines):
        kind = next((kind for text, kind in _KINDS if text in line), None)
        if kind is None or line.startswith(_NOISE) or line.startswith("Warning:"):
            continue
        block = [line.strip()]
        for more in lines[number + 1 :]:
            if not more.startswith("  ") or more.strip().startswith(_NOISE):
                break
            block.append(more.strip())
        message = "; ".join(part.removeprefix("Error: ") for part in block)[:MAX_MESSAGE]
        where = _LINE.search(" ".join(block))
        found = Fault(kind=kind, message=message, line=int(where[1]) if where else None)
        at = f" (line {found.line})" if found.line else ""
        return Judgement("crashed", f"compute-sanitizer {tool}: {message}{at}", found)
    return None
