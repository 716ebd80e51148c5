"""The operator families of this target, and which of them an id belongs to."""

from __future__ import annotations

from ..families import Families, Family
from . import attention, matrices, planes, rows
from .operators import TARGET, Operator

FAMILIES: Families[Operator] = Families(
    TARGET,
    {
        **{name: Family(matrices.Gemm.of, matrices.PATTERNS[name]) for name in (matrices.SGEMM, matrices.FUSED)},
        matrices.GEMV: Family(matrices.Gemv.of, matrices.PATTERNS[matrices.GEMV]),
        **{name: Family(rows.Rows.of, pattern) for name, pattern in rows.PATTERNS.items()},
        **{name: Family(planes.Matrix.of, planes.PATTERNS[name]) for name in (planes.COLSUM, planes.TRANSPOSE)},
        planes.DWCONV: Family(planes.DepthwiseConv.of, planes.PATTERNS[planes.DWCONV]),
        attention.FAMILY: Family(attention.Attention.of, attention.PATTERN),
    },
)
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


operator_of = FAMILIES.operator
nearest = FAMILIES.nearest
