"""The convolution family: what must be computed. Tensors are NHWC."""

from __future__ import annotations

from typing import NamedTuple


class Conv(NamedTuple):
    """output[n][y][x][co] = sat8(act(round_half_even((sum + D[co]) / 2^shift))), the sum over ky, kx, ci of
    input[n][y*stride + ky - padding][x*stride + kx - padding][ci] * weights[ky][kx][ci][co], zeros outside."""

    height: int  # of the input, without padding
    width: int
    channels_in: int
    channels_out: int
    kernel: int
    stride: int
    padding: int
    batch: int = 1
    bias: bool = False
    relu: bool = False
    shift: int = 0

    @property
    def out_height(self) -> int:
        return (self.height + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def out_width(self) -> int:
        return (self.width + 2 * self.padding - self.kernel) // self.stride + 1
