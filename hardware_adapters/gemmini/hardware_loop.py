"""The vendor's way to a GEMM: Gemmini's own loop command, tile by tile. The reference that kernels are compared with.

Tiles grow as in Gemmini's published tiling rule: one dimension after the other by a block, for as long as half of the
scratchpad and half of the accumulator hold a tile, so that loads of the next overlap with the work on this one.
"""

from __future__ import annotations

from typing import NamedTuple

from .problems import Gemm

DIM = 16
SCRATCHPAD_ROWS = 16384 // 2  # of one of the two halves
ACCUMULATOR_ROWS = 1024 // 2


class Tiling(NamedTuple):
    """Blocks of 16 along M, N and K that one loop command covers."""

    i: int
    j: int
    k: int

    def fits(self) -> bool:
        operands = (self.i * self.k + self.k * self.j) * DIM
        return operands <= SCRATCHPAD_ROWS and self.i * self.j * DIM <= ACCUMULATOR_ROWS


def tiling(gemm: Gemm) -> Tiling:
    """The largest tile that the rule reaches."""
    blocks = tuple(-(-size // DIM) for size in (gemm.m, gemm.n, gemm.k))
    square = int((ACCUMULATOR_ROWS // DIM) ** 0.5)  # as high as wide
    deepest = SCRATCHPAD_ROWS // DIM // 2 // square
    tile = Tiling(min(blocks[0], square), min(blocks[1], square), min(blocks[2], deepest))
    grown = True
    while grown:
        grown = False
        for name, limit in (("j", blocks[1]), ("i", blocks[0]), ("k", blocks[2])):
            larger = tile._replace(**{name: getattr(tile, name) + 1})
            if getattr(larger, name) <= limit and larger.fits():
                tile, grown = larger, True
    return tile


_KERNEL = """\
// {title}: Gemmini's hardware loop, {i} x {j} x {k} blocks of 16 at a time.
#include "gemmini_api.h"

#define TILE_I {i}
#define TILE_J {j}
#define TILE_K {k}
#define LEAST(a, b) ((a) < (b) ? (a) : (b))

enum {{ M = {m}, N = {n}, K = {depth}, I = (M + 15) / 16, J = (N + 15) / 16, L = (K + 15) / 16 }};

void solution(const int8_t *A, const int8_t *B, {d_parameter}int8_t *C) {{
    config_ex(WS, NOACT, 1, 0, 0);
    config_st_ext(N, {activation}, {scale});
    config_ld(K, 1.0f, 16, 0);
    config_ld(N, 1.0f, 16, 1);
{d_config}    for (int i = 0; i < I; i += TILE_I) {{
        int rows = LEAST(TILE_I, I - i), pad_i = i + rows == I ? I * 16 - M : 0;
        for (int j = 0; j < J; j += TILE_J) {{
            int cols = LEAST(TILE_J, J - j), pad_j = j + cols == J ? J * 16 - N : 0;
            for (int k = 0; k < L; k += TILE_K) {{
                int depth = LEAST(TILE_K, L - k), pad_k = k + depth == L ? L * 16 - K : 0;
                gemmini_loop_ws(rows, cols, depth, pad_i, pad_j, pad_k,
                                A + i * 16 * K + k * 16, B + k * 16 * N + j * 16, {d_argument},
                                k + depth == L ? C + i * 16 * N + j * 16 : NULL, K, N, {d_stride}, N,
                                0, 0, 0, 0, {accumulate}, {activation}, 0, 0, 0);
            }}
        }}
    }}
}}
"""


def hardware_loop_kernel(gemm: Gemm) -> str:
    """A kernel that leaves everything but the tiles to the hardware's loop."""
    tile = tiling(gemm)
    matrix = gemm.bias == "biasmat"
    offset = "D + i * 16 * N + j * 16" if matrix else "D + j * 16"
    return _KERNEL.format(
        title=gemm.id,
        i=tile.i,
        j=tile.j,
        k=tile.k,
        m=gemm.m,
        n=gemm.n,
        depth=gemm.k,
        d_parameter="const int32_t *D, " if gemm.bias else "",
        d_config=f"    config_ld({'4 * N' if matrix else '0'}, 1.0f, 16, 2);\n" if gemm.bias else "",
        d_argument=f"k == 0 ? {offset} : NULL" if gemm.bias else "NULL",
        d_stride="N" if matrix else "0",
        accumulate="1" if gemm.bias else "k > 0",  # onto D, or onto the sums of the tile before
        activation="RELU" if gemm.relu else "NOACT",
        scale=f"{2.0**-gemm.shift!r}f",
    )
