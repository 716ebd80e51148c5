"""Named sets of problems: what the literature reports on, so that results can be laid beside each other."""

from __future__ import annotations

from typing import NamedTuple

from .operators import TARGET
from .problems import EXAMPLES as GEMM_EXAMPLES
from .problems import FAMILY, PUBLISHED


class Suite(NamedTuple):
    title: str
    problems: tuple[str, ...]


def _convs(*sizes: str) -> tuple[str, ...]:
    return tuple(f"{TARGET}/conv-{size}" for size in sizes)


SUITES = {
    "autocomp-gemm": Suite(
        "the six GEMM shapes of the Autocomp paper (arXiv 2505.18574)",
        tuple(f"{TARGET}/{FAMILY}-{m}x{n}x{k}" for m, n, k in PUBLISHED),
    ),
    # The published programs take images that are padded already, four at a time, and add a bias.
    "autocomp-conv": Suite(
        "3x3 convolutions of ResNet-50 as Autocomp's released program has them: batch 4, padded beforehand",
        _convs(*(f"{side + 2}x{side + 2}x{c}x{c}-k3-s1-p0-n4-bias" for side, c in ((56, 64), (28, 128), (14, 256)))),
    ),
    "resnet50-conv": Suite(
        "the 23 different convolutions of ResNet-50 (v1.5: the 3x3 ones stride), batch 1",
        _convs(
            "224x224x3x64-k7-s2-p3",
            "56x56x64x64-k1-s1-p0",
            "56x56x64x64-k3-s1-p1",
            "56x56x64x256-k1-s1-p0",
            "56x56x256x64-k1-s1-p0",
            *(
                layer.format(side=side, half=side // 2, c=c, last=2 * c, out=4 * c)
                for side, c in ((56, 128), (28, 256), (14, 512))
                for layer in (
                    "{side}x{side}x{last}x{c}-k1-s1-p0",
                    "{side}x{side}x{c}x{c}-k3-s2-p1",
                    "{half}x{half}x{c}x{out}-k1-s1-p0",
                    "{side}x{side}x{last}x{out}-k1-s2-p0",
                    "{half}x{half}x{out}x{c}-k1-s1-p0",
                    "{half}x{half}x{c}x{c}-k3-s1-p1",
                )
            ),
        ),
    ),
    # The published programs: 5 steps forward, and backward over a horizon of 10; with that of the solver, 9 of each.
    "tinympc": Suite(
        "TinyMPC's passes for a quadrotor (12 states, 4 inputs), float32 on a 4x4 array; uncalibrated cycles",
        tuple(
            f"{TARGET}/tinympc-{which}-12x4x{steps}"
            for which, steps in (("forward", 5), ("forward", 9), ("backward", 9))
        ),
    ),
    "examples": Suite(
        "some of everything",
        (
            *GEMM_EXAMPLES,
            *_convs("14x14x32x32-k3-s1-p1", "28x28x128x128-k3-s1-p1", "56x56x64x256-k1-s2-p0-bias-relu-shift8"),
            f"{TARGET}/tinympc-forward-12x4x9",
        ),
    ),
}
