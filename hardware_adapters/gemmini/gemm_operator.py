"""GEMM as the target judges it: with the data it is checked on, and kernels to begin from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from .emit import emit
from .hardware_loop import hardware_loop_kernel
from .problems import Gemm
from .schedule import baseline_schedule

if TYPE_CHECKING:
    import numpy as np

    from .operators import InputSet

    Array = np.ndarray


class GemmOperator(Gemm):
    """The specification, with its data and its first kernels."""

    __slots__ = ()

    def draw(self, rng: np.random.Generator) -> tuple[InputSet, ...]:
        from .inputs import draw_gemm

        return draw_gemm(self, rng)

    def mistakes(self, inputs: Mapping[str, Array]) -> Iterator[tuple[str, dict[str, Array]]]:
        from .diagnosis import gemm_mistakes

        return ((clause, {"C": result}) for clause, result in gemm_mistakes(self, inputs))

    def baseline(self) -> str:
        return emit(self, baseline_schedule(self))

    def hardware_loop(self) -> str:
        return hardware_loop_kernel(self)
