"""Commands that docs/gemmini_semantics.md refuses, each after a legal beginning. For the default configuration."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from command_encoding import config_ex, config_ld, config_norm, config_st, local, loop_conv, loop_ws, set_stat_id
from command_streams import Stream
from gemmini_isa import (
    ACCUMULATE,
    ACCUMULATOR,
    COMPUTE_ACCUMULATED,
    COMPUTE_PRELOADED,
    CONFIG,
    DEFAULT,
    FULL_WIDTH,
    GARBAGE,
    IGELU,
    LAYERNORM,
    MEAN,
    MVIN,
    MVIN2,
    MVIN3,
    MVOUT,
    NORM_SHIFT,
    OS,
    PRELOAD,
    VARIANCE,
    WS,
    Command,
)
from gemmini_store import Pooling
from stream_layout import INPUT, INPUT_BYTES, OUTPUT

_SUMS = ACCUMULATOR  # rows 0 to 63 of both memories are written at the beginning, and nothing else
_NOTHING = local(GARBAGE, 16, 16)
_BEGINNING = [
    *(config_ex(), config_ld(0, 64), config_ld(1, 64), config_ld(2, 256), config_st(64)),
    Command(MVIN, INPUT, local(0, 64, 16)),
    Command(MVIN3, INPUT, local(_SUMS, 64, 16)),
]
_LOOP = {"bounds": (1, 1, 1), "pads": (0, 0, 0), "pointers": (INPUT, INPUT, 0, OUTPUT), "strides": (16, 16, 16, 16)}
_ONES = """
    batch_size in_row_dim in_channels out_channels out_row_dim out_col_dim stride kernel_dim batches pochs krows kcols
    kchs in_col_dim orows kernel_dilation in_stride weight_stride out_stride ocols no_pool
"""
_CONV = dict.fromkeys(_ONES.split(), 1) | {"weights": INPUT, "input": INPUT, "bias": INPUT, "output": OUTPUT}


class Refused(NamedTuple):
    feature: str | None  # of the streams' features; None for the plain set
    commands: list[Command]
    bare: bool = False  # without the legal beginning

    def stream(self) -> Stream:
        commands = self.commands if self.bare else [*_BEGINNING, *self.commands]
        return Stream(commands, np.ones(INPUT_BYTES, np.uint8), 0, 0, DEFAULT)


def _loop(**changed: object) -> list[Command]:
    return loop_ws(**(_LOOP | changed))  # pyright: ignore[reportArgumentType]


def _conv(**changed: int) -> list[Command]:
    return loop_conv(**(_CONV | changed))


def _mvin(address: int, cols: int, rows: int, dram: int = INPUT) -> Command:
    return Command(MVIN, dram, local(address, cols, rows))


def _mvout(address: int, cols: int = 16, rows: int = 1) -> Command:
    return Command(MVOUT, OUTPUT, local(address, cols, rows))


def _product(b: int, c: int, a: int, d: int = _NOTHING, funct: int = COMPUTE_PRELOADED) -> list[Command]:
    return [Command(PRELOAD, b, c), Command(funct, a, d)]


_TILE, _TO = local(0, 16, 16), local(_SUMS, 16, 16)
_LAYERNORM = config_st(64, 1.0, LAYERNORM)

REFUSED: dict[str, Refused] = {
    "unset config_ld": Refused(None, [_mvin(0, 16, 16)], bare=True),
    "unset config_st": Refused(None, [config_ld(0, 16), _mvin(0, 16, 16), _mvout(0)], bare=True),
    "unset config_ex": Refused(None, _product(_NOTHING, _TO, _NOTHING), bare=True),
    "config_ld id 3": Refused(None, [config_ld(3, 16)]),
    "mvin of no rows": Refused(None, [_mvin(0, 16, 0)]),
    "mvin of 17 rows": Refused(None, [config_ld(0, 64, block_stride=17), _mvin(0, 16, 17)]),
    "mvin of no columns": Refused(None, [_mvin(0, 0, 16)]),
    "mvin of 65 columns": Refused(None, [_mvin(0, 65, 16)]),
    "mvin beyond the scratchpad": Refused(None, [_mvin(16384 - 8, 16, 9)]),
    "mvin block beyond the scratchpad": Refused(None, [_mvin(16384 - 16, 17, 16)]),
    "mvin beyond the accumulator": Refused(None, [Command(MVIN3, INPUT, local(_SUMS + 1024, 16, 1))]),
    "mvin flags on a scratchpad address": Refused(None, [_mvin(ACCUMULATE, 16, 16)]),
    "mvin block stride below rows": Refused(None, [config_ld(0, 64, block_stride=15), _mvin(0, 16, 16)]),
    "mvin adds to an unwritten row": Refused(None, [Command(MVIN3, 0, local(_SUMS + 64 | ACCUMULATE, 16, 1))]),
    "mvout of an unwritten row": Refused(None, [_mvout(64)]),
    "mvout of unwritten sums": Refused(None, [_mvout(_SUMS + 63, rows=2)]),
    "mvout of 65 columns": Refused(None, [_mvout(0, 65)]),
    "mvout of no columns": Refused(None, [_mvout(0, 0)]),
    "mvout of 17 rows": Refused(None, [_mvout(0, 16, 17)]),
    "full-width mvout of two blocks": Refused(None, [_mvout(_SUMS | FULL_WIDTH, 17)]),
    "compute without preload": Refused(None, [Command(COMPUTE_PRELOADED, _TILE, _NOTHING)]),
    "compute twice": Refused(None, [*_product(_TILE, _TO, _TILE), Command(COMPUTE_ACCUMULATED, _TILE, _NOTHING)]),
    "compute_accumulated first": Refused(None, _product(_TILE, _TO, _TILE, funct=COMPUTE_ACCUMULATED)),
    "no A": Refused(None, _product(_TILE, _TO, _NOTHING)),
    "more rows of C than of A with kept weights": Refused(
        None, [*_product(_TILE, _TO, _TILE), *_product(_NOTHING, _TO, local(0, 16, 8), funct=COMPUTE_ACCUMULATED)]
    ),
    "A unwritten": Refused(None, _product(_TILE, _TO, local(49, 16, 16))),
    "B unwritten": Refused(None, _product(local(49, 16, 16), _TO, _TILE)),
    "A of 17 columns": Refused(None, _product(_TILE, _TO, local(0, 17, 16))),
    "C of 17 rows": Refused(None, _product(_TILE, local(_SUMS, 16, 17), _TILE)),
    "A in the accumulator": Refused(None, _product(_TILE, _TO, _TO)),
    "B in the accumulator": Refused(None, _product(_TO, _TO, _TILE)),
    "C adds to an unwritten row": Refused(None, _product(_TILE, local(_SUMS + 60 | ACCUMULATE, 16, 16), _TILE)),
    "C beyond the accumulator": Refused(None, _product(_TILE, local(_SUMS + 1020, 16, 16), _TILE)),
    "both transposes in WS": Refused("transposes", [config_ex(WS, a_transpose=1, b_transpose=1)]),
    "B transpose alone in OS": Refused("os", [config_ex(OS, b_transpose=1)]),
    "shift of 32": Refused("shift", [config_ex(WS, shift=32)]),
    "weights of another dataflow": Refused(
        "os",
        [*_product(_TILE, _TO, _TILE), config_ex(OS), *_product(_TILE, _TO, _TILE, _TILE, COMPUTE_ACCUMULATED)],
    ),
    "sums read out already": Refused(
        "os",
        [
            config_ex(OS),
            *_product(_TILE, _TO, _TILE, _TILE),
            *_product(_NOTHING, _TO, _TILE, _TILE, COMPUTE_ACCUMULATED),
        ],
    ),
    "C stride in OS": Refused("os", [config_ex(OS, c_stride=2), *_product(_TILE, local(_SUMS, 16, 8), _TILE, _TILE)]),
    "shift into the accumulator": Refused("os", [config_ex(OS, shift=1), *_product(_TILE, _TO, _TILE, _TILE)]),
    "repeats wider than a row": Refused("loads", [config_ld(0, 16, repeats=5), _mvin(16, 4, 4)]),
    "repeats into the accumulator": Refused("loads", [config_ld(0, 16, repeats=2), _mvin(_SUMS, 4, 4)]),
    "pool size without stride": Refused("pooling", [config_st(64, 1.0, 0, Pooling(size=2))]),
    "pooling of full-width rows": Refused(
        "pooling",
        [
            config_st(64, 1.0, 0, Pooling(1, 1, out_dim=1, porows=1, pocols=1, orows=1, ocols=1)),
            _mvout(_SUMS | FULL_WIDTH),
        ],
    ),
    "pooling window of 0": Refused(
        "pooling",
        [config_st(64, 1.0, 0, Pooling(1, 0, out_dim=1, porows=1, pocols=1, orows=1, ocols=1)), _mvout(_SUMS)],
    ),
    "stat id 4": Refused("norm", [set_stat_id(4)]),
    "igelu without constants": Refused("norm", [config_st(64, 1.0, IGELU), _mvout(_SUMS)]),
    "layernorm without a mean": Refused("norm", [_LAYERNORM, _mvout(_SUMS)]),
    "variance without a mean": Refused("norm", [_LAYERNORM, _mvout(_SUMS | VARIANCE << NORM_SHIFT)]),
    "full-width layernorm": Refused(
        "norm", [_LAYERNORM, _mvout(_SUMS | MEAN << NORM_SHIFT), _mvout(_SUMS | FULL_WIDTH)]
    ),
    "softmax with igelu": Refused("norm", [config_st(64, 1.0, IGELU), config_norm(1, 1, softmax=True)]),
    "loop_ws without bounds": Refused("loop_ws", _loop()[1:]),
    "loop_ws twice": Refused("loop_ws", [*_loop(), _loop()[-1]]),
    "loop_ws of no blocks": Refused("loop_ws", _loop(bounds=(1, 0, 1))),
    "loop_ws pad of a block": Refused("loop_ws", _loop(pads=(16, 0, 0))),
    "loop_ws beyond half of the accumulator": Refused("loop_ws", _loop(bounds=(1, 33, 1))),
    "loop_ws beyond half of the scratchpad": Refused("loop_ws", _loop(bounds=(1, 1, 257))),
    "loop_ws spad id 3": Refused("loop_ws", _loop(a_spad=3)),
    "loop_ws both transposes": Refused("loop_ws", _loop(a_transpose=1, b_transpose=1)),
    "loop_ws block stride": Refused("loop_ws", [config_ld(0, 16, block_stride=17), *_loop()]),
    "loop_ws low D not shrunk": Refused("loop_ws", _loop(pointers=(INPUT, INPUT, INPUT, OUTPUT), low_d=1)),
    "loop_ws in OS": Refused("loop_ws", [config_ex(OS), *_loop()]),
    "residual add not shrunk": Refused("loop_ws", _loop(residual_add=1)),
    "loop_conv_ws without bias command": Refused("loop_conv", [c for n, c in enumerate(_conv()) if n != 5]),
    "loop_conv_ws of no kernel": Refused("loop_conv", _conv(krows=0)),
    "loop_conv_ws spad id 3": Refused("loop_conv", _conv(b_spad=3)),
    "loop_conv_ws beyond half of the accumulator": Refused("loop_conv", _conv(pochs=16 * 33, orows=4, ocols=4)),
    "loop_conv_ws dilated with stride": Refused("loop_conv", _conv(input_dilated=1, stride=2)),
    "loop_conv_ws downsample with stride 1": Refused("loop_conv", _conv(downsample=1)),
    "loop_conv_ws pixels beyond a row": Refused("loop_conv", _conv(max_pixels_per_row=3, kchs=6, in_channels=6)),
    "loop_conv_ws activation 2": Refused("loop_conv", _conv(activation=2)),
    "loop_conv_ws some of the batches": Refused("loop_conv", _conv(trans_input_3120=1, batch_size=2)),
    "loop_conv_ws pool stride of 4": Refused("loop_conv", _conv(no_pool=0, pool_size=1, pool_stride=4)),
    "unknown command": Refused(None, [Command(23, 0, 0)]),
    "unknown command above": Refused(None, [Command(22, 0, 0)]),
    "mvin2 of unmapped DRAM": Refused(None, [Command(MVIN2, 8, local(0, 16, 16))]),
    "strides before config_ex": Refused("shift", [Command(CONFIG, 1 << 16 | 1 << 7, 1 << 48)], bare=True),
}
