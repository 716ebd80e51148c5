"""Menu options as mechanical changes of a schedule, for the families that have schedules."""

from __future__ import annotations

from typing import Any

from ...schedules import Kernels, Rewrites
from ..families import operator_of
from ..operators import TARGET
from . import sgemm_moves, softmax_moves, transpose_moves

# The baseline of each is the kernel of its schedule's defaults.
KERNELS: dict[str, Kernels[Any, Any]] = {
    "sgemm": sgemm_moves.KERNELS,
    "softmax": softmax_moves.KERNELS,
    "transpose": transpose_moves.KERNELS,
}
REWRITES = Rewrites(KERNELS, operator_of, f" on {TARGET}")
