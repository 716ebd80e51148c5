"""The operator families of this target, and which of them an id belongs to."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from ..base import UnknownProblemError
from ..problems import IdPattern, unknown_problem
from . import attention, causal, conv1d, gemm, norms, scans
from .operators import TARGET, Operator


class Family(NamedTuple):
    pattern: IdPattern
    of: Callable[[str], Operator]  # raises UnknownProblemError


FAMILIES = {
    gemm.FAMILY: Family(gemm.PATTERN, gemm.Gemm.of),
    norms.RMS: Family(norms.PATTERNS[norms.RMS], norms.Norm.of),
    norms.LAYER: Family(norms.PATTERNS[norms.LAYER], norms.Norm.of),
    conv1d.FAMILY: Family(conv1d.PATTERN, conv1d.Conv1d.of),
    scans.MAMBA: Family(scans.MAMBA_PATTERN, scans.Mamba.of),
    scans.CUMSUM: Family(scans.CUMSUM_PATTERN, scans.Cumsum.of),
    attention.PLAIN: Family(attention.PLAIN_PATTERN, attention.Attention.of),
    attention.STABLE_DIFFUSION: Family(attention.SD_PATTERN, attention.Attention.of),
    causal.CSA: Family(causal.CSA_PATTERN, causal.Causal.of),
    causal.MHA: Family(causal.MHA_PATTERN, causal.Causal.of),
    causal.CSA_TILE: Family(causal.TILE_PATTERN, causal.CausalTile.of),
}
SUITES = {
    "trainium-published": (
        "published shapes (trn1)",
        ("gemm-4096x8192x8192-bf16", "mamba-256x2048x16", "conv1d-8x512x2048x3"),
    ),
    "trainium-examples": (
        "some of every family",
        (
            "gemm-1024x1024x1024-bf16", "rmsnorm-4096x512", "layernorm-1024x1024",
            "conv1d-8x512x2048x3", "mamba-256x2048x16", "cumsum-512x2048",
        ),
    ),
}  # fmt: skip
EXAMPLES = "trainium-examples"


def operator_of(problem_id: str) -> Operator:
    """Raises UnknownProblemError, with the nearest id of any family in its text."""
    for family in FAMILIES.values():
        if problem_id.startswith(f"{TARGET}/{family.pattern.name}-"):
            return family.of(problem_id)
    raise unknown_problem(problem_id, nearest(problem_id), [family.pattern.text for family in FAMILIES.values()])


def nearest(problem_id: str) -> str | None:
    """The valid id that was probably meant: of those that the families propose, the one most like the text given."""
    return max(_proposals(problem_id), key=lambda near: _likeness(problem_id, near), default=None)


def _proposals(problem_id: str) -> Iterator[str]:
    for family in FAMILIES.values():
        with suppress(UnknownProblemError):
            if near := family.pattern.nearest(problem_id):
                yield family.of(near).id


def _likeness(given: str, near: str) -> float:
    return difflib.SequenceMatcher(None, given.lower(), near).ratio()
