"""loop_conv_ws: the hardware's convolution loop, expanded into the commands it issues."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gemmini_conv_fields import FIELDS, RUN, decode
from gemmini_conv_shape import ConvShape
from gemmini_isa import (
    ACCUMULATE,
    ACCUMULATOR,
    COMPUTE_ACCUMULATED,
    COMPUTE_PRELOADED,
    CONFIG,
    CONV_1,
    CONV_6,
    GARBAGE,
    LOOP_CONV,
    MVIN,
    MVIN2,
    MVIN3,
    MVOUT,
    PRELOAD,
    WS,
    Array,
    Command,
    Operand,
    bits_of,
    require,
)

if TYPE_CHECKING:
    from gemmini_oracle import GemminiOracle

_KEEP_SCALE = 0xFFFFFFFF


@dataclass
class ConvLoop:
    """Registers of loop_conv_ws: like loop_ws two sets in turn, with halves of its own."""

    array: Array
    settings: dict[int, tuple[int, int]] = field(default_factory=dict)
    runs: int = 0
    accumulator_half: int = 0

    def copy(self) -> ConvLoop:
        return replace(self, settings=self.settings.copy())

    def takes(self, funct: int) -> bool:
        return LOOP_CONV <= funct <= CONV_6

    def step(self, command: Command, oracle: GemminiOracle) -> list[Command]:
        if command.funct != LOOP_CONV:
            self.settings[command.funct] = command.rs1, command.rs2
            return []
        require(len(self.settings) == len(FIELDS), "loop_conv_ws without all of its configurations")
        words: dict[str, int] = {}
        for number, fields in enumerate(FIELDS):
            words |= decode(fields, *self.settings[CONV_1 + number])
        words |= decode(RUN, command.rs1, command.rs2)
        require(command.rs1 < 1 << 20 and not command.rs1 >> 7 & 1 and command.rs2 < 32, "loop_conv_ws modes")
        require(
            oracle.execute is not None and oracle.execute.dataflow == WS, "loop_conv_ws in output-stationary dataflow"
        )
        run = _Run(self.array, words, self.runs % 2, self.accumulator_half)
        self.settings = {}
        self.runs += 1
        if words["output"]:
            self.accumulator_half ^= 1
        return list(run.commands())


class _Run(ConvShape):
    """The commands of one run."""

    def commands(self) -> Iterator[Command]:
        w = self.w
        if w["bias"]:
            yield from self.load_bias()
        if w["input"]:
            yield from self.load_input()
        if w["weights"]:
            yield from self.load_weights()
        yield from self.products()
        if w["output"]:
            yield from self.store() if w["no_pool"] else self.store_pooled()

    def _config_load(self, number: int, stride: int, block_stride: int, repeats: int = 1) -> Command:
        require(block_stride < 1 << 16, "block stride of loop_conv_ws")
        return Command(CONFIG, bits_of(1.0) << 32 | block_stride << 16 | repeats << 8 | number << 3 | 1, stride)

    # ------------------------------------------------------------ loads

    def load_bias(self) -> Iterator[Command]:
        w, item = self.w, self.array.sum.itemsize
        yield self._config_load(2, 0, w["batches"] * self.out_pixels)
        for b, orow, ocol, och, rows, cols in self.output_blocks():
            dram = 0 if w["no_bias"] else w["bias"] + och * item
            yield _move(MVIN3, dram, ACCUMULATOR | self.c_row(b, och, orow, ocol), rows, cols)

    def load_input(self) -> Iterator[Command]:
        w, item = self.w, self.array.element.itemsize
        swapped = w["trans_input_3120"]
        stride = (w["batch_size"] if swapped else w["in_stride"]) * item << w["downsample"]
        yield self._config_load(0, stride, self.image, w["max_pixels_per_row"])
        most = self.array.blocks * self.array.dim
        top, left = self.undilated(w["upad"]), self.undilated(w["lpad"])
        for b in range(0, w["batches"], most if swapped else 1):
            for row in range(-top, self.real_rows + self.undilated(w["dpad"]), 1 + w["downsample"]):
                for col, run in self.column_runs(left):
                    for ch in range(0, w["kchs"], 1 if swapped else most):
                        count = min(most, w["batches"] - b if swapped else w["kchs"] - ch)
                        inside = 0 <= row < self.real_rows and 0 <= col < self.real_cols
                        if swapped:
                            element = ((ch * w["in_row_dim"] + row) * w["in_col_dim"] + col) * w["batch_size"] + b
                        else:
                            element = ((b * w["in_row_dim"] + row) * w["in_col_dim"] + col) * w["in_stride"] + ch
                        dram = w["input"] + element * item if inside else 0
                        yield _move(MVIN, dram, self.a_row(b, ch, row + top, col + left), self.down(run), count)

    def column_runs(self, left: int) -> Iterator[tuple[int, int]]:
        """First column and length of what one mvin takes: never across an edge of the image."""
        dim = self.array.dim
        col, end = -left, self.real_cols + self.undilated(self.w["rpad"])
        while col < end:
            if col < 0:
                run = min(-col, dim)
            elif col < self.real_cols:
                run = min(self.real_cols - col, dim << self.w["downsample"])
            else:
                run = min(end - col, dim)
            yield col, run
            col += run

    def load_weights(self) -> Iterator[Command]:
        w, dim, item = self.w, self.array.dim, self.array.element.itemsize
        if w["depthwise"]:
            stride = 1
        elif w["trans_weight_1203"]:
            stride = w["kernel_dim"] ** 2 * w["out_channels"]
        else:
            stride = w["in_channels"] if w["trans_weight_0132"] else w["weight_stride"]
        yield self._config_load(1, stride * item, self.weight_block)
        most, turned = self.array.blocks * dim, w["trans_weight_0132"]
        for och in range(0, w["pochs"], dim if turned else most):
            for krow in range(w["krows"]):
                for kcol in range(w["kcols"]):
                    for kch in range(0, w["kchs"], most if turned else dim):
                        outs, ins = w["pochs"] - och, w["kchs"] - kch
                        rows, cols = (min(dim, outs), min(most, ins)) if turned else (min(dim, ins), min(most, outs))
                        dram = w["weights"] + self.weight(och, krow, kcol, kch) * item
                        yield _move(MVIN2, dram, self.b_row(och, krow, kcol, kch), rows, cols)

    def weight(self, och: int, krow: int, kcol: int, kch: int) -> int:
        w, kernel = self.w, self.w["kernel_dim"]
        if w["depthwise"]:
            return krow * kernel + kcol
        if w["trans_weight_1203"]:
            return ((kch * kernel + krow) * kernel + kcol) * w["out_channels"] + och
        if w["trans_weight_0132"]:
            return ((krow * kernel + kcol) * w["out_channels"] + och) * w["in_channels"] + kch
        return ((krow * kernel + kcol) * w["in_channels"] + kch) * w["weight_stride"] + och

    # ------------------------------------------------------------ products and stores

    def products(self) -> Iterator[Command]:
        w, dim = self.w, self.array.dim
        if w["trans_input_3120"]:
            yield Command(CONFIG, self.rows * self.cols << 16 | 1 << 7, self.out_pixels << 48)
        for och in range(0, w["pochs"], dim):
            for krow in range(w["krows"]):
                for kcol in range(0, w["kcols"], w["max_pixels_per_row"]):
                    for kch in range(0, w["kchs"], dim):
                        fresh = True
                        for b, orow, ocol, rows in self.a_blocks(krow, kcol):
                            yield from self.product((och, krow, kcol, kch), (b, orow, ocol), rows, fresh)
                            fresh = False

    def a_blocks(self, krow: int, kcol: int) -> Iterator[tuple[int, int, int, int]]:
        """batch, output row, output column and rows of the products that share one block of weights."""
        w, dim = self.w, self.array.dim
        swapped, dilated, step = w["trans_input_3120"], w["input_dilated"], w["kernel_dilation"]
        for b in range(0, w["batches"], dim if swapped else 1):
            for orow in range(w["orows"]):
                if dilated and (krow * step + orow - w["upad"]) % 2:
                    continue
                ocol = 0
                while ocol < w["ocols"]:
                    if dilated and (kcol * step + ocol - w["lpad"]) % 2:
                        ocol += 1
                        continue
                    reach = dim << dilated
                    rows = min(dim, w["batches"] - b) if swapped else self.undilated(min(reach, w["ocols"] - ocol))
                    yield b, orow, ocol, rows
                    ocol += 1 if swapped else reach

    def product(self, weight: tuple[int, ...], at: tuple[int, int, int], rows: int, fresh: bool) -> Iterator[Command]:
        w, dim = self.w, self.array.dim
        (och, krow, kcol, kch), (b, orow, ocol) = weight, at
        cols = min(dim, w["pochs"] - och)
        depth = min(w["max_pixels_per_row"], w["kcols"] - kcol) * min(dim, w["kchs"] - kch)
        row = self.undilated(orow * w["stride"] + krow * w["kernel_dilation"])
        col = self.undilated(ocol * w["stride"] + kcol * w["kernel_dilation"])
        turned = (w["krows"] - krow - 1, w["kcols"] - kcol - 1) if w["wrot180"] else (krow, kcol)
        loaded = self.b_row(och, *turned, kch) if fresh else GARBAGE
        c = ACCUMULATOR | ACCUMULATE | self.c_row(b, och, orow, ocol)
        yield Command(PRELOAD, Operand(loaded, depth, cols).word, Operand(c, rows, cols).word)
        funct = COMPUTE_PRELOADED if fresh else COMPUTE_ACCUMULATED
        yield Command(funct, Operand(self.a_row(b, kch, row, col), rows, depth).word, Operand(GARBAGE, rows, cols).word)

    def store(self) -> Iterator[Command]:
        w, item = self.w, self.array.element.itemsize
        for b, orow, ocol, och, rows, cols in self.output_blocks():
            if w["trans_output_1203"]:
                element = ((orow * w["out_col_dim"] + ocol) * w["batch_size"] + b) * w["out_channels"] + och
            else:
                element = ((b * w["out_row_dim"] + orow) * w["out_col_dim"] + ocol) * w["out_stride"] + och
            yield _move(MVOUT, w["output"] + element * item, ACCUMULATOR | self.c_row(b, och, orow, ocol), rows, cols)

    def store_pooled(self) -> Iterator[Command]:
        w, dim, item = self.w, self.array.dim, self.array.element.itemsize
        bytes_ = max(w["ocols"], w["orows"], w["pocols"], w["porows"], w["pool_out_col_dim"])
        twos = max(w["plpad"], w["pupad"], w["pool_size"], w["pool_stride"])
        require(bytes_ < 256 and twos < 4 and min(w["pool_size"], w["pool_stride"]) > 0, "pooling of loop_conv_ws")
        sizes = (
            w["ocols"] << 56 | w["orows"] << 48 | w["pocols"] << 40 | w["porows"] << 32 | w["pool_out_col_dim"] << 24
        )
        windows = w["plpad"] << 10 | w["pupad"] << 8 | w["pool_size"] << 6 | w["pool_stride"] << 4
        relu = bool(w["activation"]) << 2  # one bit in the functional model
        stride = _KEEP_SCALE << 32 | w["out_stride"] * item
        yield Command(CONFIG, sizes | windows | relu | 2, stride)
        for b in range(w["batches"]):
            for och in range(0, w["pochs"], dim):
                element = b * w["pool_out_row_dim"] * w["pool_out_col_dim"] * w["out_stride"] + och
                local = ACCUMULATOR | self.c_row(b, och, 0, 0)
                yield _move(MVOUT, w["output"] + element * item, local, 0, min(dim, w["pochs"] - och))
        yield Command(CONFIG, relu | 2, stride)


def _move(funct: int, dram: int, local: int, rows: int, cols: int) -> Command:
    return Command(funct, dram, Operand(local, rows, cols).word)
