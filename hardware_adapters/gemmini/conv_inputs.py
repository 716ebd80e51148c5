"""Data on which a wrong convolution shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .inputs import dense_variance, small, sparse_weights, uniform
from .operators import InputSet

if TYPE_CHECKING:
    from .conv import Conv


def draw_conv(conv: Conv, rng: np.random.Generator) -> tuple[InputSet, ...]:
    """One draw of the three sets, as for GEMM with the weights as a matrix of K*K*Ci rows.

    full     everything uniform over int8, D over ±2^14: signs and saturation.
    sparse   the image uniform over int8, two or three ±1 weights per channel (with a shift more and larger ones): one
             wrong, shifted or missing pixel shows as itself.
    dense    every weight takes part; operands so small that the outputs have a standard deviation of about 40.
    """
    image, weights = (tensor.shape for tensor in conv.tensors[:2])
    picked = sparse_weights(rng, conv.depth, conv.channels_out, conv.shift).reshape(weights)
    variance = dense_variance(conv.depth, conv.shift)
    full = {"input": uniform(rng, -128, 127, image), "weights": uniform(rng, -128, 127, weights)}
    sparse = {"input": uniform(rng, -128, 127, image), "weights": picked}
    dense = {"input": small(rng, variance, image), "weights": small(rng, variance, weights)}
    if conv.bias:
        for inputs, reach in ((full, 1 << 14), (sparse, 64 << conv.shift), (dense, 64 << conv.shift)):
            inputs["D"] = rng.integers(-reach, reach, conv.channels_out, dtype=np.int32, endpoint=True)
    return InputSet("full", True, full), InputSet("sparse", False, sparse), InputSet("dense", False, dense)
