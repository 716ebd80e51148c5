"""Convolution as the target judges it: with the data it is checked on, and kernels to begin from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from .conv import Conv
from .conv_emit import emit
from .conv_loop import loop_kernel
from .conv_schedule import baseline_schedule

if TYPE_CHECKING:
    import numpy as np

    from .operators import InputSet

    Array = np.ndarray


class ConvOperator(Conv):
    """The specification, with its data and its first kernels."""

    __slots__ = ()

    def draw(self, rng: np.random.Generator) -> tuple[InputSet, ...]:
        from .conv_inputs import draw_conv

        return draw_conv(self, rng)

    def mistakes(self, inputs: Mapping[str, Array]) -> Iterator[tuple[str, dict[str, Array]]]:
        from .conv_mistakes import conv_mistakes

        return ((clause, {"output": result}) for clause, result in conv_mistakes(self, inputs))

    def baseline(self) -> str:
        return emit(self, baseline_schedule(self))

    def hardware_loop(self) -> str:
        return loop_kernel(self)
