"""Random runs of loop_conv_ws."""

from __future__ import annotations

from typing import TYPE_CHECKING

from command_encoding import config_ex, config_st, loop_conv
from gemmini_isa import NONE, RELU

if TYPE_CHECKING:
    from command_streams import Maker

VARIANTS = (
    "plain plain pool pool pixels depthwise wrot180 downsample input_dilated"
    " trans_output_1203 trans_weight_1203 trans_weight_0132 trans_input_3120"
).split()


def conv_loop(maker: Maker) -> None:
    """One convolution, or two that share their sums: each over half of the kernel's rows would be the library's split."""
    rng = maker.rng
    variant = rng.choice(VARIANTS)
    fields = shape(maker, variant)
    fields |= places(maker, fields, variant)
    c_stride = 2 if variant == "input_dilated" else 1
    transposes = {"a_transpose": int(variant == "trans_input_3120"), "b_transpose": int(variant == "trans_weight_0132")}
    maker.add(config_ex(a_stride=fields["stride"] >> (variant == "downsample"), c_stride=c_stride, **transposes))
    stride = fields["out_channels"] if variant == "trans_output_1203" else fields["out_stride"]
    if variant == "trans_output_1203":
        stride *= fields["batch_size"]
    maker.add(config_st(stride, rng.choice([1.0, 1 / 64, 0.01]), rng.choice([NONE, RELU])))
    if rng.random() < 0.25:  # first without a result, then again on top of its sums
        maker.add(*loop_conv(**fields | {"output": 0}))
        fields |= {"bias": 0}
    maker.add(*loop_conv(**fields))
    maker.add(config_ex(), config_st(64, 1.0, NONE))  # what it leaves behind is no good for single commands


def shape(maker: Maker, variant: str) -> dict[str, int]:
    rng = maker.rng
    kernel, stride, dilation = rng.randint(1, 3), rng.choice([1, 1, 2]), rng.choice([1, 1, 2])
    kchs, pochs = rng.choice([1, 3, 5, 16, 17, 20]), rng.choice([1, 7, 16, 18])
    if variant == "downsample":
        kernel, stride, dilation = 1, 2, 1
    elif variant == "input_dilated":
        stride, dilation = 1, 1
    elif variant == "depthwise":
        kchs = pochs = 1
    elif variant == "pixels":
        kchs, dilation = rng.randint(1, 5), 1
    batches, orows, ocols = rng.randint(1, 2), rng.randint(1, 4), rng.choice([1, 2, 3, 5, 18])
    reach = kernel + (dilation - 1) * (kernel - 1)
    pads = [0] * 4 if variant == "downsample" else [rng.randint(0, min(2, reach)) for _ in range(4)]
    fields = dict(zip(("upad", "dpad", "lpad", "rpad"), pads, strict=True))
    needed = []
    for outs, before, after in ((orows, *pads[:2]), (ocols, *pads[2:])):
        real = max(1, outs * stride + reach - 1 - before - after)
        needed.append((real + 1) // 2 if variant == "input_dilated" else real)
    fields |= {"in_row_dim": needed[0] + rng.randrange(2), "in_col_dim": needed[1] + rng.randrange(2)}
    fields |= {"kernel_dim": kernel, "krows": kernel, "kcols": kernel, "kernel_dilation": dilation, "stride": stride}
    fields |= {"batches": batches, "batch_size": batches + (0 if variant == "trans_output_1203" else rng.randrange(2))}
    fields |= {"orows": orows, "ocols": ocols, "out_row_dim": orows, "out_col_dim": ocols + rng.randrange(2)}
    fields |= {
        "kchs": kchs,
        "in_channels": kchs + rng.randrange(3),
        "pochs": pochs,
        "out_channels": pochs + rng.randrange(3),
    }
    extra = rng.choice([0, 0, 4])
    fields |= {"in_stride": fields["in_channels"] + extra, "out_stride": fields["out_channels"] + extra}
    fields |= {"weight_stride": fields["out_channels"], "no_pool": 1, "no_bias": int(rng.random() < 0.3)}
    fields |= {"a_spad": rng.choice([0, 0, 0, 1, 2]), "b_spad": rng.choice([0, 0, 0, 1, 2])}
    if variant == "pixels":
        fields["max_pixels_per_row"] = max(1, min(kernel, 16 // kchs))
    elif variant == "pool":
        fields |= pool(maker, orows, ocols)
    elif variant != "plain":
        fields[variant] = 1
    return fields


def pool(maker: Maker, orows: int, ocols: int) -> dict[str, int]:
    rng = maker.rng
    size, stride, pad = rng.randint(1, 3), rng.randint(1, 3), rng.randrange(2)
    porows, pocols = (max(1, (n + 2 * pad - size) // stride + 1) for n in (orows, ocols))
    fields = {"pool_size": size, "pool_stride": stride, "pupad": pad, "plpad": pad, "porows": porows, "pocols": pocols}
    fields |= {"pool_out_row_dim": porows, "pool_out_col_dim": pocols, "no_pool": 0, "activation": rng.randrange(2)}
    return fields


def places(maker: Maker, f: dict[str, int], variant: str) -> dict[str, int]:
    """DRAM addresses with room for every tensor."""
    image = f["in_row_dim"] * f["in_col_dim"]
    if variant == "trans_input_3120":
        data = image * f["kchs"] * f["batch_size"]
    else:
        data = image * f["batches"] * f["in_stride"]
    weights = f["kernel_dim"] ** 2 * (f["in_channels"] + 1) * max(f["weight_stride"], f["out_channels"])
    pixels = f["out_row_dim"] * f["out_col_dim"] * max(f["out_stride"], f["out_channels"])
    if not f["no_pool"]:
        pixels = f["pool_out_row_dim"] * f["pool_out_col_dim"] * f["out_stride"]
    return {
        "input": maker.source(data),
        "weights": maker.source(weights),
        "bias": maker.source(4 * f["pochs"], 4),
        "output": maker.target(pixels * f["batch_size"]),
    }
