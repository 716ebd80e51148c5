"""Convolution kernels that need no schedule: the simple one that a search starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conv import Conv

HEAD = """\
// {title}
#include "gemmini_api.h"

#define LEAST(a, b) ((a) < (b) ? (a) : (b))

enum {{ N = {batch}, H = {height}, W = {width}, CI = {channels_in}, CO = {channels_out}, K = {kernel}, S = {stride}, \
P = {padding}, OH = {out_height}, OW = {out_width} }};

void solution(const int8_t *input, const int8_t *weights, {d_parameter}int8_t *output) {{
    config_ex(WS, NOACT, {a_stride}, 0, 0);
    config_st_ext(CO, {activation}, {scale});
"""
_NAIVE = """\
    config_ld(S * CI, 1.0f, 16, 0);
    config_ld(CO, 1.0f, 16, 1);
{d_config}    for (int n = 0; n < N; n++)
        for (int y = 0; y < OH; y++)
            for (int x = 0; x < OW; x += 16)
                for (int co = 0; co < CO; co += 16) {{
                    int pixels = LEAST(16, OW - x), channels = LEAST(16, CO - co);
                    uint32_t sum = {first_sum};
{d_load}                    for (int ky = 0; ky < K; ky++) {{
                        int row = y * S + ky - P;
{skip}                        for (int kx = 0; kx < K; kx++)
                            for (int ci = 0; ci < CI; ci += 16) {{
                                int depth = LEAST(16, CI - ci), column = x * S + kx - P;
{load}                                mvin2(weights + ((ky * K + kx) * CI + ci) * CO + co, FILTER, channels, depth);
                                preload(FILTER, sum, channels, depth, channels, pixels);
                                compute_preloaded(IMAGE, NONE, depth, pixels, channels, pixels);
                                sum = ACCADD;
                            }}
                    }}
                    mvout(output + ((n * OH + y) * OW + x) * CO + co, ACC, channels, pixels);
                }}
}}
"""
_SKIP = """\
                        if (row < 0 || row >= H) continue;  // nothing but padding
"""
_LOAD = """\
                                mvin(input + ((n * H + row) * W + column) * CI + ci, IMAGE, depth, pixels);
"""
_PADDED_LOAD = """\
                                int from = column < 0 ? LEAST(pixels, (S - 1 - column) / S) : 0;
                                int to = column < W ? LEAST(pixels, (W - 1 - column) / S + 1) : 0;
                                if (from > 0) mvin(NULL, IMAGE, depth, from);
                                if (to > from)
                                    mvin(input + ((n * H + row) * W + column + from * S) * CI + ci,
                                         IMAGE + from, depth, to - from);
                                if (pixels > to) mvin(NULL, IMAGE + to, depth, pixels - to);
"""


def naive_kernel(conv: Conv) -> str:
    """One tile of 16 output pixels of a row and 16 channels after the other; every product's operands are loaded."""
    text = HEAD.replace("\n\nenum", "\n#define IMAGE 0      // rows of the scratchpad\n#define FILTER 4096\n\nenum")
    return (text + _NAIVE).format(
        **parameters(conv),
        a_stride="1",
        title=f"{conv.id}: 16 pixels x 16 channels at a time, everything loaded where it is used.",
        d_config="    config_ld(0, 1.0f, 16, 2);\n" if conv.bias else "",
        d_load="                    mvin3(D + co, ACC, channels, pixels);\n" if conv.bias else "",
        first_sum="ACCADD" if conv.bias else "ACC",
        skip=_SKIP if conv.padding else "",
        load=_PADDED_LOAD if conv.padding else _LOAD,
    )


def parameters(conv: Conv) -> dict[str, object]:
    """What every kernel's head says of its problem."""
    return {
        **conv._asdict(),
        "out_height": conv.out_height,
        "out_width": conv.out_width,
        "d_parameter": "const int32_t *D, " if conv.bias else "",
        "activation": "RELU" if conv.relu else "NOACT",
        "scale": f"{2.0**-conv.shift!r}f",
    }
