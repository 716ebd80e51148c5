"""Kernels that were simulated here or are in a run, by their digests and addresses."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from ..hardware_adapters.base import UsageError
from ..menus.menu import UnknownNameError
from .records import BEST, candidates, checked_run, open_journal
from .results import clip

if TYPE_CHECKING:
    from ..hardware_adapters.store import Home

KERNEL_SUFFIX = ".kernel"
PROBLEM_SUFFIX = ".problem"
_ADDRESS = re.compile(
    r"(?:kernel://)?(?P<digest>[0-9a-f]{16,64})|kernel://(?P<run>[^/\s]{1,64})/(?P<candidate>[^/\s]{1,64})", re.ASCII
)
_DIGEST = re.compile(r"[0-9a-f]{16,64}", re.ASCII)


def candidate_source(home: Home, run_id: str, candidate: str) -> str:
    """A kernel of a run; `best` is the fastest so far. Raises UnknownNameError."""
    with open_journal(home) as opened:
        checked_run(opened, run_id)
        if candidate == BEST:
            best = opened.status(run_id).best_source
            if best is None:
                raise UnknownNameError(f"kernel of run {run_id}", BEST, candidates(opened, run_id))
            return best
        source = opened.source(run_id, candidate)
        if source is None:
            raise UnknownNameError("candidate", clip(candidate, 60), [BEST, *candidates(opened, run_id)])
        return source


class KeptKernel(NamedTuple):
    source: str
    problem: str | None  # that it was simulated for first; None where an earlier version kept it


def keep_kernel(home: Home, digest: str, source: str, problem: str) -> None:
    """So that kernel://{digest} finds what was simulated by hand. A full disk costs that, never the result."""
    with suppress(OSError):
        home.keep(source.encode(), KERNEL_SUFFIX, digest)
        home.keep(problem.encode(), PROBLEM_SUFFIX, digest)


def kernel(home: Home, digest: str) -> KeptKernel:
    """One that was simulated here, or is in a run. Raises UnknownKernelError."""
    if _DIGEST.fullmatch(digest):
        kept, about = home.artifact(digest, KERNEL_SUFFIX), home.artifact(digest, PROBLEM_SUFFIX)
        if home.touched(digest, KERNEL_SUFFIX) and kept.is_file():
            home.touched(digest, PROBLEM_SUFFIX)
            problem = about.read_text(encoding="utf-8") if about.is_file() else None
            return KeptKernel(kept.read_text(encoding="utf-8"), problem)
        with open_journal(home) as opened:
            found = opened.find_kernel(digest)
        if found is not None:
            return KeptKernel(*found)
    raise UnknownKernelError(clip(digest, 60))


def kernel_text(home: Home, given: str) -> str:
    """The text itself, or what a digest or a kernel:// address stands for. Raises UnknownNameError, UsageError."""
    address = _ADDRESS.fullmatch(given.strip())
    if address is None:
        return given
    if address["run"]:
        return candidate_source(home, address["run"], address["candidate"])
    return kernel(home, address["digest"]).source


class UnknownKernelError(UsageError):
    def __init__(self, digest: str) -> None:
        super().__init__(
            f"unknown kernel {digest!r}: kernels simulated on this machine, and those of its runs, are known by the "
            "digest that simulate_kernel returns as `kernel`; one of a run also as kernel://RUN/CANDIDATE"
        )
