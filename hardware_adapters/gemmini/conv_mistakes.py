"""Recognising well-known mistakes of convolutions from the wrong result they leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .conv import Conv

TILE = 16


def conv_mistakes(conv: Conv, inputs: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    image, weights = inputs["input"], inputs["weights"]
    sums = conv.sums(inputs)
    yield "values wrap around instead of saturating to -128..127", _wrapped(conv, sums)
    if conv.relu:
        yield "ReLU is missing: give RELU to config_st_ext", conv._replace(relu=False).finish(sums)
    if conv.shift:
        yield "the accumulator scale is missing: give it to config_st_ext", conv._replace(shift=0).finish(sums)
    if conv.bias:
        yield "D is not added", conv.finish(sums - inputs["D"])
    if conv.padding:
        yield "the padding is ignored: windows start at y*S, x*S instead of y*S - P, x*S - P", _unpadded(conv, inputs)
        for edges, mode in (("the nearest pixels", "edge"), ("pixels wrapped around", "wrap")):
            clause = f"the padding holds {edges} instead of zeros"
            yield clause, _unpadded(conv, {**inputs, "input": _padded(image, conv.padding, mode)})
    if conv.stride > 1:
        yield "the stride is ignored: neighbouring windows lie one pixel apart", _unstrided(conv, inputs)
    if conv.kernel > 1:
        turned = {"both ways": (0, 1), "top to bottom": (0,), "left to right": (1,)}
        for way, axes in turned.items():
            yield f"the kernel is flipped {way}", conv.reference({**inputs, "weights": np.flip(weights, axes)})
        swapped = np.swapaxes(weights, 0, 1)
        yield "ky and kx are exchanged in the weights", conv.reference({**inputs, "weights": swapped})
        yield from _lost_taps(conv, inputs)
    if conv.channels_in == conv.channels_out:
        swapped = np.swapaxes(weights, 2, 3)
        yield "input and output channels are exchanged in the weights", conv.reference({**inputs, "weights": swapped})
    if conv.channels_in > TILE:
        kept = np.arange(conv.channels_in) < (conv.channels_in - 1) // TILE * TILE
        for which, chosen in (
            (f"after the first {TILE}", np.arange(conv.channels_in) < TILE),
            ("of the last block", kept),
        ):
            fewer = (image * chosen).astype(np.int8)
            yield f"the input channels {which} are left out", conv.reference({**inputs, "input": fewer})


def _lost_taps(conv: Conv, inputs: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Only the last, or all but the last, position of the kernel contributes."""
    bare = conv._replace(bias=False)
    last = np.zeros_like(inputs["weights"])
    last[-1, -1] = inputs["weights"][-1, -1]
    clause = "only the kernel's last position is summed: the accumulate bit (ACCADD) is missing"
    yield clause, bare.reference({**inputs, "weights": last})
    block = (conv.channels_in - 1) // TILE * TILE
    last[:, :, :block] = 0
    yield (
        "only the last product is summed: the accumulate bit (ACCADD) is missing",
        bare.reference({**inputs, "weights": last}),
    )
    for name, place in (("first", 0), ("last", -1)):
        for side, axis in (("row", 0), ("column", 1)):
            cut = inputs["weights"].copy()
            np.moveaxis(cut, axis, 0)[place] = 0
            yield f"the kernel's {name} {side} is left out", conv.reference({**inputs, "weights": cut})


def _padded(image: np.ndarray, padding: int, mode: str) -> np.ndarray:
    width = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    return np.pad(image, width, mode="edge" if mode == "edge" else "wrap")


def _unpadded(conv: Conv, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """The windows of an image that begins where the given one does, zeros behind it."""
    rows, columns = ((size - 1) * conv.stride + conv.kernel for size in (conv.out_height, conv.out_width))
    image = inputs["input"][:, :rows, :columns]
    behind = ((0, 0), (0, rows - image.shape[1]), (0, columns - image.shape[2]), (0, 0))
    bare = conv._replace(height=rows, width=columns, padding=0)
    return bare.reference({**inputs, "input": np.pad(image, behind)})


def _unstrided(conv: Conv, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    dense = conv._replace(stride=1).reference(inputs)
    return dense[:, : conv.out_height, : conv.out_width]


def _wrapped(conv: Conv, sums: np.ndarray) -> np.ndarray:
    """The result without saturation: the low 8 bits of the (shifted, activated) sums."""
    scaled = np.rint(sums / 2.0**conv.shift).astype(np.int64)
    return (np.maximum(scaled, 0) if conv.relu else scaled).astype(np.int8)
