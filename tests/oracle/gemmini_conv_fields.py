"""The fields of loop_conv_ws: six configuration commands and the run."""

from __future__ import annotations

from gemmini_isa import bits

# per configuration command: name -> (register, low bit, width)
FIELDS: list[dict[str, tuple[int, int, int]]] = [
    {
        "batch_size": (1, 0, 16),
        "in_row_dim": (1, 16, 16),
        "in_channels": (1, 32, 16),
        "out_channels": (1, 48, 16),
        "out_row_dim": (2, 0, 16),
        "pool_out_row_dim": (2, 16, 16),
        "out_col_dim": (2, 32, 16),
        "stride": (2, 48, 8),
        "padding": (2, 56, 8),
    },
    {
        "kernel_dim": (1, 48, 16),
        "pool_out_col_dim": (1, 32, 16),
        "pool_size": (1, 16, 16),
        "pool_stride": (1, 8, 8),
        "pool_padding": (1, 0, 8),
        "batches": (2, 48, 16),
        "porows": (2, 32, 16),
        "pocols": (2, 16, 16),
        "pochs": (2, 0, 16),
    },
    {
        "krows": (1, 48, 16),
        "kcols": (1, 32, 16),
        "kchs": (1, 16, 16),
        "lpad": (1, 0, 16),
        "rpad": (2, 48, 16),
        "upad": (2, 32, 16),
        "dpad": (2, 24, 8),
        "plpad": (2, 16, 8),
        "in_col_dim": (2, 0, 16),
    },
    {
        "orows": (1, 48, 16),
        "prpad": (1, 32, 16),
        "pupad": (1, 21, 8),
        "pdpad": (1, 10, 8),
        "kernel_dilation": (1, 0, 8),
        "in_stride": (2, 48, 16),
        "weight_stride": (2, 32, 16),
        "out_stride": (2, 16, 16),
        "ocols": (2, 0, 16),
    },
    {"weights": (1, 0, 64), "output": (2, 0, 64)},
    {"bias": (1, 0, 64), "input": (2, 0, 64)},
]
RUN: dict[str, tuple[int, int, int]] = {
    "no_bias": (1, 0, 1),
    "wrot180": (1, 1, 1),
    "trans_output_1203": (1, 2, 1),
    "trans_weight_1203": (1, 3, 1),
    "trans_weight_0132": (1, 4, 1),
    "trans_input_3120": (1, 5, 1),
    "depthwise": (1, 6, 1),
    "max_pixels_per_row": (1, 8, 8),
    "b_spad": (1, 16, 2),
    "a_spad": (1, 18, 2),
    "no_pool": (2, 0, 1),
    "downsample": (2, 1, 1),
    "input_dilated": (2, 2, 1),
    "activation": (2, 3, 2),
}


def decode(fields: dict[str, tuple[int, int, int]], rs1: int, rs2: int) -> dict[str, int]:
    """The values of one command's fields by name."""
    words = (0, rs1, rs2)
    return {name: bits(words[register], low + width - 1, low) for name, (register, low, width) in fields.items()}
