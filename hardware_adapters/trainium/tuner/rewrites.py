"""Menu options as mechanical changes of a schedule, for the families that have schedules."""

from __future__ import annotations

from typing import Any

from ...schedules import Kernels, Rewrites
from ..families import operator_of
from ..operators import TARGET
from . import conv1d_moves, gemm_moves, rmsnorm_moves

# The baseline of each is the kernel of its schedule's defaults.
KERNELS: dict[str, Kernels[Any, Any]] = {
    "gemm": gemm_moves.KERNELS,
    "rmsnorm": rmsnorm_moves.KERNELS,
    "conv1d": conv1d_moves.KERNELS,
}
REWRITES = Rewrites(KERNELS, operator_of, f" on {TARGET}")
