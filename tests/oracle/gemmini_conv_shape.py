"""Geometry of one loop_conv_ws: sizes of the image, and where its pixels, weights and sums lie."""

from __future__ import annotations

from collections.abc import Iterator

from gemmini_isa import Array, require

_BOUNDS = [
    "batches",
    "pochs",
    "krows",
    "kcols",
    "kchs",
    "orows",
    "ocols",
    "stride",
    "kernel_dim",
    "kernel_dilation",
    "in_row_dim",
    "in_col_dim",
    "in_channels",
]


class ConvShape:
    """`words` are the fields of all commands by name; IllegalCommand if the loop does not fit."""

    def __init__(self, array: Array, words: dict[str, int], half: int, accumulator_half: int) -> None:
        self.array, self.w = array, words
        w, dim = words, array.dim
        w["max_pixels_per_row"] = max(1, w["max_pixels_per_row"])
        require(all(w[name] > 0 for name in _BOUNDS), "loop_conv_ws bound of 0")
        require(3 not in (w["a_spad"], w["b_spad"]), "spad id 3")
        require(not w["input_dilated"] or w["stride"] == 1, "dilated input with a stride")
        require(w["activation"] < 2, "activation of loop_conv_ws")  # RTL and functional model disagree
        whole = not w["trans_input_3120"] or w["batches"] == w["batch_size"]
        require(whole, "trans_input_3120 with some of the batches")  # likewise
        pixels = w["max_pixels_per_row"]
        require(pixels == 1 or pixels * w["kchs"] <= dim, "max_pixels_per_row")
        pads = w["upad"] + w["dpad"] + w["lpad"] + w["rpad"]
        simple = w["krows"] == w["kcols"] == w["kernel_dim"] == 1 and w["stride"] == 2 and pads == 0
        require(simple or not w["downsample"], "downsample")
        self.real_rows, self.rows = self._extent("rows", w["upad"], w["dpad"])
        self.real_cols, self.cols = self._extent("cols", w["lpad"], w["rpad"])
        require(self.real_rows > 0 and self.real_cols > 0, "padding exceeds the image")
        self.in_pixels = self.down(self.rows) * self.down(self.cols)
        self.out_pixels = w["orows"] * w["ocols"]
        self.image = w["batches"] * self.in_pixels  # rows between blocks of channels
        if w["trans_input_3120"]:
            self.image = w["kchs"] * self.in_pixels
        a_rows = -(-w["batches" if w["trans_input_3120"] else "kchs"] // dim) * self.image
        self.weight_block = w["krows"] * w["kcols"] * w["pochs" if w["trans_weight_0132"] else "kchs"]
        b_rows = -(-w["kchs" if w["trans_weight_0132"] else "pochs"] // dim) * self.weight_block
        spad_half = array.scratchpad_rows // 2
        require(a_rows + b_rows <= spad_half, "loop_conv_ws too large for half of the scratchpad")
        c_rows = -(-w["pochs"] // dim) * w["batches"] * self.out_pixels
        require(c_rows <= array.accumulator_rows // 2, "loop_conv_ws too large for half of the accumulator")
        a_half, b_half = (half if w[name] == 0 else w[name] - 1 for name in ("a_spad", "b_spad"))
        self.a0, self.b0 = a_half * spad_half, (b_half + 1) * spad_half - b_rows
        self.c0 = accumulator_half * array.accumulator_rows // 2

    def undilated(self, x: int) -> int:
        return (x + 1) // 2 if self.w["input_dilated"] else x

    def down(self, x: int) -> int:
        return x >> self.w["downsample"]

    def _extent(self, axis: str, before: int, after: int) -> tuple[int, int]:
        """Pixels of the image that are needed along one axis, without and with padding."""
        w = self.w
        kernel = w[f"k{axis}"] + (w["kernel_dilation"] - 1) * (w[f"k{axis}"] - 1)
        full = w[f"o{axis}"] * w["stride"] + kernel - 1
        real = self.undilated(full - before - after)
        padded = real + self.undilated(before) + self.undilated(after) if w["input_dilated"] else full
        return real, padded

    def a_row(self, b: int, ch: int, row: int, col: int) -> int:
        outer, inner = (b, ch) if self.w["trans_input_3120"] else (ch, b)
        pixel = self.down(row) * self.down(self.cols) + self.down(col)
        return self.a0 + outer // self.array.dim * self.image + inner * self.in_pixels + pixel

    def b_row(self, och: int, krow: int, kcol: int, kch: int) -> int:
        w = self.w
        outer, inner, depth = (kch, och, w["pochs"]) if w["trans_weight_0132"] else (och, kch, w["kchs"])
        return self.b0 + outer // self.array.dim * self.weight_block + (krow * w["kcols"] + kcol) * depth + inner

    def c_row(self, b: int, och: int, orow: int, ocol: int) -> int:
        w = self.w
        block = och // self.array.dim * w["batches"] + b
        return self.c0 + block * self.out_pixels + orow * w["ocols"] + ocol

    def output_blocks(self) -> Iterator[tuple[int, int, int, int, int, int]]:
        """batch, row, column, channel, rows, columns of every block of results."""
        w, dim = self.w, self.array.dim
        for b in range(w["batches"]):
            for orow in range(w["orows"]):
                for ocol in range(0, w["ocols"], dim):
                    for och in range(0, w["pochs"], dim):
                        yield b, orow, ocol, och, min(dim, w["ocols"] - ocol), min(dim, w["pochs"] - och)
