"""The operator families of this target, and which of them an id belongs to."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from ..base import UnknownProblemError
from ..problems import IdPattern, unknown_problem
from . import attention, batched, causal, conv1d, gemm, layouts, norms, rope, scans, windows
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
    layouts.TRANSPOSE: Family(layouts.TRANSPOSE_PATTERN, layouts.Transpose.of),
    layouts.FREE: Family(layouts.FREE_PATTERN, layouts.Transpose.of),
    windows.MAXPOOL: Family(windows.MAXPOOL_PATTERN, windows.Maxpool.of),
    windows.CONV2D: Family(windows.CONV2D_PATTERN, windows.Conv2d.of),
    batched.RMS_1D: Family(batched.PATTERNS[batched.RMS_1D], batched.Norm1d.of),
    batched.LAYER_1D: Family(batched.PATTERNS[batched.LAYER_1D], batched.Norm1d.of),
    batched.SSM: Family(batched.SSM_PATTERN, batched.Ssm.of),
    rope.FAMILY: Family(rope.PATTERN, rope.Rope.of),
}
SUITES = {
    "trainium-published": (
        "published latencies (trn1)",
        (
            "gemm-4096x8192x8192-bf16", "mamba-256x2048x16", "conv1d-8x512x2048x3-same", "attention-4096x128-bf16",
            "sdattention-4096x64",
        ),
    ),
    "trainium-tutorial": (
        "shapes of public tutorial and advanced kernels",
        (
            "rmsnorm1d-512x4096", "layernorm1d-512x4096", "gemm-4096x8192x8192-bf16", "ssm-1x256x2048x16-spread",
            "attention-4096x128-bf16", "sdattention-4096x64",
            "cumsum-2048x2048", "transpose-512x512x512", "maxpool-4096x4096-k3", "rope-128x4096",
            "conv1d-8x512x2048x3-same", "conv2d-16x128x128x128x512-k3-p1", "csa-2048x128", "csatile-16384x128-q64",
            "mha-8x2048x128",
        ),
    ),
    "trainium-examples": (
        "some of every family",
        (
            "gemm-1024x1024x1024-bf16", "rmsnorm-4096x512", "layernorm-1024x1024", "conv1d-8x512x2048x3",
            "mamba-256x2048x16", "cumsum-512x2048", "attention-1024x128-bf16", "sdattention-1024x64", "csa-1024x128",
            "mha-2x512x64", "csatile-4096x128-q16", "transpose-8x512x512", "transpose2d-128x64x32",
            "maxpool-1024x1024-k3", "rope-128x4096", "rmsnorm1d-512x1024",
            "layernorm1d-512x1024", "ssm-2x128x1024x8", "conv2d-1x64x32x32x128-k3-p1",
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
