"""The operator families of this target, and which of them an id belongs to."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from ..base import UnknownProblemError
from ..problems import IdPattern, unknown_problem
from . import attention, matrices, planes, rows
from .operators import TARGET, Operator


class Family(NamedTuple):
    pattern: IdPattern
    of: Callable[[str], Operator]  # raises UnknownProblemError


FAMILIES = {
    **{name: Family(matrices.PATTERNS[name], matrices.Gemm.of) for name in (matrices.SGEMM, matrices.FUSED)},
    matrices.GEMV: Family(matrices.PATTERNS[matrices.GEMV], matrices.Gemv.of),
    **{name: Family(pattern, rows.Rows.of) for name, pattern in rows.PATTERNS.items()},
    **{name: Family(planes.PATTERNS[name], planes.Matrix.of) for name in (planes.COLSUM, planes.TRANSPOSE)},
    planes.DWCONV: Family(planes.PATTERNS[planes.DWCONV], planes.DepthwiseConv.of),
    attention.FAMILY: Family(attention.PATTERN, attention.Attention.of),
}
SUITES = {
    "nvidia-examples": (
        "one of every family",
        (
            "sgemm-1024x1024x1024", "gemv-8192x8192", "softmax-4096x4096", "layernorm-4096x4096", "colsum-8192x4096",
            "dwconv3x3-8x64x256x256", "cumsum-4096x4096", "attention-32x1024x64",
            "gemm-scale-leakyrelu-1024x8192x1024", "transpose-4096x4096",
        ),
    ),
}  # fmt: skip
EXAMPLES = "nvidia-examples"


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
