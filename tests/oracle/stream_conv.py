"""Random runs of loop_conv_ws."""

from __future__ import annotations

from typing import TYPE_CHECKING

from command_encoding import config_ex, config_st, loop_conv
from gemmini_isa import NONE, RELU

if TYPE_CHECKING:
    from stream_maker import Maker

MODES = [
    "depthwise",
    "wrot180",
    "downsample",
    "input_dilated",
    "max_pixels_per_row",
    "pool",
    "trans_output_1203",
    "trans_weight_1203",
    "trans_weight_0132",
    "trans_input_3120",
]
_ONE_OF = (
    {"downsample", "input_dilated"},
    {"trans_weight_0132", "trans_input_3120", "depthwise", "max_pixels_per_row"},
)
_ONE_OF_WEIGHTS = {"depthwise", "trans_weight_1203", "trans_weight_0132"}


def conv_loop(maker: Maker) -> None:
    """One convolution, or two that share their sums, as when the library splits the input channels."""
    rng = maker.rng
    modes = choose_modes(maker)
    fields = shape(maker, modes)
    fields |= places(maker, fields, modes)
    c_stride = 2 if "input_dilated" in modes else 1
    transposes = {"a_transpose": int("trans_input_3120" in modes), "b_transpose": int("trans_weight_0132" in modes)}
    maker.add(config_ex(a_stride=fields["stride"] >> ("downsample" in modes), c_stride=c_stride, **transposes))
    stride = fields["out_stride"]
    if "trans_output_1203" in modes:
        stride = fields["out_channels"] * fields["batch_size"]
    maker.add(config_st(stride * maker.item, rng.choice([1.0, 1 / 64, 0.01]), rng.choice([NONE, RELU])))
    if rng.random() < 0.25:  # first without a result, then again on top of its sums
        maker.add(*loop_conv(**fields | {"output": 0}))
        fields |= {"bias": 0}
    maker.add(*loop_conv(**fields))
    maker.add(config_ex(), config_st(64, 1.0, NONE))  # what it leaves behind is no good for single commands


def choose_modes(maker: Maker) -> set[str]:
    """None to three that go together."""
    modes: set[str] = set()
    for mode in maker.rng.sample(MODES, maker.rng.choice([0, 1, 1, 1, 2, 3])):
        if all(len(group & (modes | {mode})) < 2 for group in (*_ONE_OF, _ONE_OF_WEIGHTS)):
            modes.add(mode)
    return modes


def shape(maker: Maker, modes: set[str]) -> dict[str, int]:
    rng, dim = maker.rng, maker.dim
    kernel, stride, dilation = rng.randint(1, 3), rng.choice([1, 1, 2]), rng.choice([1, 1, 2])
    kchs, pochs = rng.choice([1, 3, 5, dim, dim + 1, dim + 4]), rng.choice([1, 7, dim, dim + 2])
    if "downsample" in modes:
        kernel, stride, dilation = 1, 2, 1
    elif "input_dilated" in modes:
        stride = 1
    if "depthwise" in modes:
        kchs = pochs = 1
    elif "max_pixels_per_row" in modes:
        kchs, dilation = rng.randint(1, dim // 3), 1
    krows, kcols = (kernel, kernel) if rng.random() < 0.7 else (rng.randint(1, kernel), rng.randint(1, kernel))
    fields = {"kernel_dim": kernel, "krows": krows, "kcols": kcols, "kernel_dilation": dilation, "stride": stride}
    fields |= image(maker, fields, modes)
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
    for mode in modes - {"pool", "max_pixels_per_row"}:
        fields[mode] = 1
    if "max_pixels_per_row" in modes:
        fields["max_pixels_per_row"] = max(1, min(kcols, dim // kchs))
    if "pool" in modes:
        fields |= pool(maker, fields["orows"], fields["ocols"])
    return fields


def image(maker: Maker, f: dict[str, int], modes: set[str]) -> dict[str, int]:
    """Batches, pads, and the sizes of both images."""
    rng = maker.rng
    batches, orows, ocols = rng.randint(1, 2), rng.randint(1, 4), rng.choice([1, 2, 3, 5, maker.dim + 2])
    if "trans_input_3120" in modes:
        batches = rng.choice([1, 2, 3, maker.dim + 1])
    fields = {}
    for outs, kernel, before, after, axis in (
        (orows, f["krows"], "upad", "dpad", "in_row_dim"),
        (ocols, f["kcols"], "lpad", "rpad", "in_col_dim"),
    ):
        reach = kernel + (f["kernel_dilation"] - 1) * (kernel - 1)
        most = 0 if "downsample" in modes else min(2, reach)
        fields |= {before: rng.randint(0, most), after: rng.randint(0, most)}
        real = max(1, outs * f["stride"] + reach - 1 - fields[before] - fields[after])
        fields[axis] = ((real + 1) // 2 if "input_dilated" in modes else real) + rng.randrange(2)
    whole = modes & {"trans_output_1203", "trans_input_3120"}
    fields |= {"batches": batches, "batch_size": batches + (0 if whole else rng.randrange(2))}
    return fields | {"orows": orows, "ocols": ocols, "out_row_dim": orows, "out_col_dim": ocols + rng.randrange(2)}


def pool(maker: Maker, orows: int, ocols: int) -> dict[str, int]:
    rng = maker.rng
    size, stride, pad = rng.randint(1, 3), rng.randint(1, 3), rng.randrange(2)
    porows, pocols = (max(1, (n + 2 * pad - size) // stride + 1) for n in (orows, ocols))
    fields = {"pool_size": size, "pool_stride": stride, "pupad": pad, "plpad": pad, "porows": porows, "pocols": pocols}
    fields |= {"pool_out_row_dim": porows, "pool_out_col_dim": pocols, "no_pool": 0, "activation": rng.randrange(2)}
    return fields


def places(maker: Maker, f: dict[str, int], modes: set[str]) -> dict[str, int]:
    """DRAM addresses with room for every tensor."""
    pixels = f["in_row_dim"] * f["in_col_dim"] * f["batch_size"]
    data = pixels * (f["kchs"] if "trans_input_3120" in modes else f["in_stride"])
    weights = f["kernel_dim"] ** 2 * (f["in_channels"] + 1) * max(f["weight_stride"], f["out_channels"])
    results = f["out_row_dim"] * f["out_col_dim"] * max(f["out_stride"], f["out_channels"])
    if not f["no_pool"]:
        results = f["pool_out_row_dim"] * f["pool_out_col_dim"] * f["out_stride"]
    return {
        "input": maker.source(data * maker.item),
        "weights": maker.source(weights * maker.item),
        "bias": maker.source(maker.wide_item * f["pochs"], maker.wide_item),
        "output": maker.target(results * f["batch_size"] * maker.item),
    }
