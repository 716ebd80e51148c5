"""The file a search leaves behind: its best kernel under a comment that says what it is and how far to believe it."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from ...hardware_adapters.base import PYTHON, language_of
from .candidate import Candidate
from .confirmation import Confirmation

# First line of kernels that carry their schedule; rewrites look for it there.
SCHEDULE = re.compile(r"\A(?://|#) (?:\w+ )?schedule: .*")
_BLOCK = re.compile(r"/\* problem:  .*\n(?: \* [a-z-]+: .*\n)* \* run:      .*\n \*/\n")
_HEADERS = {
    ".c": _BLOCK,
    ".cu": _BLOCK,
    ".py": re.compile(r"# problem:  .*\n(?:# [a-z-]+: .*\n)*# run:      .*\n"),
}


def best_name(source: str) -> str:
    """The name of the file, by the kernel's language."""
    return f"best{language_of(source).suffix}"


def write_best(path: Path, text: str) -> None:
    """Replaced as a whole: a reader never sees half a kernel. Raises OSError, and leaves no part of it then."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(text.encode())  # no line end is changed
        fresh.replace(path)
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise


def headed(best: Candidate, root: Candidate | None, run_id: str, confirmed: Confirmation | None = None) -> str | None:
    """The kernel's source under its header, in place of an earlier one; None for a kernel that did not pass.

    `root`: the kernel the search started from. The header is a comment, so this is the same kernel as before.
    """
    result = best.evaluation
    if result is None or not best.passed or result.latency is None:
        return None
    latency = result.latency
    used = "" if result.utilisation is None else f", {result.utilisation:.1%} of the bound"
    speedup = f"{root.latency / best.latency:.2f}x over the first kernel" if root and root.passed else "unknown"
    figures = {
        "problem": result.problem,
        "latency": f"{latency.value:.10g} {latency.unit} ({result.source}; {latency.statistic}){used}",
        "engine": f"{result.engine} {result.engine_version}",
        "speed-up": speedup,
        "confirmed": confirmed.figure if confirmed else None,
        "run": f"{run_id}, candidate {best.id}",
    }
    python = language_of(best.source) is PYTHON
    sign = "#" if python else " *"
    lines = [f"{sign} {name + ':':<9} {_inside(text)}\n" for name, text in figures.items() if text is not None]
    header = "".join(lines) if python else "/" + "".join(lines)[1:] + " */\n"
    first, _, rest = best.source.partition("\n")
    if SCHEDULE.match(first) and not first.endswith("\\"):  # a comment that the next line belongs to
        return f"{first}\n{header}{_bare(rest)}"
    return header + _bare(best.source)


def _bare(source: str) -> str:
    """Without the header of an earlier run that started from its file."""
    found = _HEADERS[language_of(source).suffix].match(source)
    return source[found.end() :] if found else source


def _inside(text: str) -> str:
    """What a server said, on one line of a comment that it cannot end."""
    return " ".join(text.split()).replace("*/", "* /")
