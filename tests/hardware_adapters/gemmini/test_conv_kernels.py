"""Convolution kernels, run: the simple one and the hardware loop are right for any sizes, wrong ones are explained."""

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import Evaluation
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.gemmini.conv import Conv
from autocomp_mcp.hardware_adapters.gemmini.conv_kernels import naive_kernel
from autocomp_mcp.hardware_adapters.gemmini.conv_loop import Tiling, downsampled, tiling, whole
from hypothesis import assume, given
from hypothesis import strategies as st

SIZES = (
    "1x1x1x1-k3-s1-p1",  # one pixel and its padding
    "3x40x1x1-k3-s4-p2",
    "7x5x20x18-k3-s2-p1-n2-bias-relu-shift5",
    "40x9x3x17-k7-s2-p3",  # several pixels in a row of the array
    "14x14x64x48-k1-s2-p0",  # loaded every second pixel
    "7x7x5x5-k1-s2-p0-bias",
    "9x33x40x33-k4-s3-p3-shift4",
    "6x6x130x70-k3-s1-p1-n3-relu",
    "2x2x1500x20-k2-s1-p1",  # several tiles along the sum
    "9x9x8x8-k9-s1-p4",
)


def judged(gemmini: GemminiAdapter, problem_id: str, source: str) -> Evaluation:
    return anyio.run(lambda: gemmini.evaluate(gemmini.problem(problem_id), source))


@pytest.mark.parametrize("sizes", SIZES)
def test_the_baseline_and_the_hardware_loop_are_right(gemmini: GemminiAdapter, sizes: str) -> None:
    problem = gemmini.problem(f"gemmini/conv-{sizes}")
    simple = naive_kernel(Conv.of(problem.id))
    for source in (gemmini.baseline(problem), simple, gemmini.reference_kernel(problem)):
        assert source is not None
        result = judged(gemmini, problem.id, source)
        assert result.passed, f"{result.message}\n{source}"
        assert result.compilation is not None
        assert not result.compilation.diagnostics


@given(st.integers(1, 200), st.integers(1, 700), st.integers(1, 700), st.sampled_from([1, 2, 3, 7]), st.integers(1, 3))
def test_tiles_fit_and_cannot_grow(side: int, channels_in: int, channels_out: int, kernel: int, stride: int) -> None:
    conv = Conv(side, side, channels_in, channels_out, kernel, stride, kernel // 2)
    assume(conv.refused() is None)
    tile = tiling(conv)
    assert tile.fits(conv)
    for name in Tiling._fields:
        larger = tile._replace(**{name: getattr(tile, name) + 1})
        assert getattr(tile, name) == getattr(whole(conv), name) or not larger.fits(conv)


@pytest.mark.parametrize(
    ("sizes", "tile"),
    [  # what the library arrives at
        ("56x56x64x64-k3-s1-p1", (1, 22, 23, 16, 3, 3, 64)),
        ("7x7x16x16-k3-s1-p1", (1, 7, 7, 16, 3, 3, 16)),
    ],
)
def test_the_rule_gives_the_librarys_tiles(sizes: str, tile: tuple[int, ...]) -> None:
    assert tiling(Conv.of(f"gemmini/conv-{sizes}")) == tile


def test_only_1x1_kernels_on_even_images_skip_pixels() -> None:
    assert downsampled(Conv(8, 8, 4, 4, 1, 2, 0))
    assert not any(map(downsampled, (Conv(8, 7, 4, 4, 1, 2, 0), Conv(8, 8, 4, 4, 1, 1, 0), Conv(8, 8, 4, 4, 3, 2, 0))))


PADDED = "gemmini/conv-12x12x32x32-k3-s2-p1-bias-relu-shift3"
WRONG = {
    "padding": ("row = y * S + ky - P;", "row = LEAST(H - 1, y * S + ky);", "elements of output are wrong"),
    "kernel flipped": ("((ky * K + kx) * CI", "(((K - 1 - ky) * K + K - 1 - kx) * CI", "is flipped both ways"),
    "kernel turned": ("((ky * K + kx) * CI", "((kx * K + ky) * CI", "ky and kx are exchanged"),
    "last row of the kernel": ("ky < K;", "ky < K - 1;", "the kernel's last row is left out"),
    "first column": ("int kx = 0;", "int kx = 1;", "the kernel's first column is left out"),
    "last channels": ("ci < CI;", "ci < CI - 16;", "the input channels after the first 16 are left out"),
    "accumulate": ("sum = ACCADD;\n   ", "sum = ACC;\n   ", "(ACCADD) is missing"),
    "bias": ("mvin3(D + co,", "mvin3(NULL,", "D is not added"),
    "relu": ("RELU", "NOACT", "ReLU is missing"),
    "scale": ("0.125f", "1.0f", "the accumulator scale is missing"),
    "channels never written": ("co < CO;", "co < CO - 16;", "never written ([0..0][0..5][0..5][16..31])"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_kernel_is_refused_and_explained(gemmini: GemminiAdapter, name: str) -> None:
    old, new, reason = WRONG[name]
    source = naive_kernel(Conv.of(PADDED))
    assert old in source
    result = judged(gemmini, PADDED, source.replace(old, new))
    assert result.verdict == "wrong_result", result.message
    assert reason.replace("[0..0]", "[0]") in result.message


UNPADDED = """
#include <stdint.h>
enum { H = 6, W = 7, CI = 3, CO = 4, K = 3, OH = %d, OW = %d };
void solution(const int8_t input[1][H][W][CI], const int8_t weights[K][K][CI][CO], int8_t output[1][OH][OW][CO]) {
  for (int y = 0; y < OH; y++)
    for (int x = 0; x < OW; x++)
      for (int co = 0; co < CO; co++) {
        int sum = 0;
        for (int ky = 0; ky < K; ky++)
          for (int kx = 0; kx < K; kx++)
            for (int ci = 0; ci < CI; ci++) {
              int row = y * %s + ky, column = x * %s + kx;
              if (row < H && column < W) sum += input[0][row][column][ci] * weights[ky][kx][ci][co];
            }
        output[0][y][x][co] = sum > 127 ? 127 : sum < -128 ? -128 : sum;
      }
}
"""


@pytest.mark.parametrize(
    ("sizes", "out", "reason"),
    [
        ("6x7x3x4-k3-s1-p1", (6, 7), "the padding is ignored"),
        ("6x7x3x4-k3-s2-p0", (2, 3), "the stride is ignored"),
    ],
)
def test_padding_and_stride_left_out_are_named(
    gemmini: GemminiAdapter, sizes: str, out: tuple[int, int], reason: str
) -> None:
    result = judged(gemmini, f"gemmini/conv-{sizes}", UNPADDED % (*out, "1", "1"))
    assert result.verdict == "wrong_result"
    assert reason in result.message


def test_a_kernel_need_not_use_the_accelerator(gemmini: GemminiAdapter) -> None:
    assert judged(gemmini, "gemmini/conv-6x7x3x4-k3-s2-p0", UNPADDED % (2, 3, "2", "2")).passed
