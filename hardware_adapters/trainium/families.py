"""The operator families of this target, and which of them an id belongs to."""

from __future__ import annotations

from ..families import Families, Family
from . import attention, batched, causal, conv1d, gemm, layouts, norms, rope, scans, windows
from .operators import TARGET, Operator

FAMILIES: Families[Operator] = Families(
    TARGET,
    {
        gemm.FAMILY: Family(gemm.Gemm.of, gemm.PATTERN),
        norms.RMS: Family(norms.Norm.of, norms.PATTERNS[norms.RMS]),
        norms.LAYER: Family(norms.Norm.of, norms.PATTERNS[norms.LAYER]),
        conv1d.FAMILY: Family(conv1d.Conv1d.of, conv1d.PATTERN),
        scans.MAMBA: Family(scans.Mamba.of, scans.MAMBA_PATTERN),
        scans.CUMSUM: Family(scans.Cumsum.of, scans.CUMSUM_PATTERN),
        attention.PLAIN: Family(attention.Attention.of, attention.PLAIN_PATTERN),
        attention.STABLE_DIFFUSION: Family(attention.Attention.of, attention.SD_PATTERN),
        causal.CSA: Family(causal.Causal.of, causal.CSA_PATTERN),
        causal.MHA: Family(causal.Causal.of, causal.MHA_PATTERN),
        causal.CSA_TILE: Family(causal.CausalTile.of, causal.TILE_PATTERN),
        layouts.TRANSPOSE: Family(layouts.Transpose.of, layouts.TRANSPOSE_PATTERN),
        layouts.FREE: Family(layouts.Transpose.of, layouts.FREE_PATTERN),
        windows.MAXPOOL: Family(windows.Maxpool.of, windows.MAXPOOL_PATTERN),
        windows.CONV2D: Family(windows.Conv2d.of, windows.CONV2D_PATTERN),
        batched.RMS_1D: Family(batched.Norm1d.of, batched.PATTERNS[batched.RMS_1D]),
        batched.LAYER_1D: Family(batched.Norm1d.of, batched.PATTERNS[batched.LAYER_1D]),
        batched.SSM: Family(batched.Ssm.of, batched.SSM_PATTERN),
        rope.FAMILY: Family(rope.Rope.of, rope.PATTERN),
    },
)
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


operator_of = FAMILIES.operator
nearest = FAMILIES.nearest
