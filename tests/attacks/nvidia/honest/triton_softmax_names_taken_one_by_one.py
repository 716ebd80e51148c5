# what: takes names out of the modules one by one, with types
# problem: nvidia/softmax-64x128
from __future__ import annotations

from typing import Optional

import triton.language as tl
from triton import jit, next_power_of_2
from triton.language import constexpr


@jit
def rows(x, out, columns, BLOCK: constexpr):
    at = tl.arange(0, BLOCK)
    values = tl.load(x + tl.program_id(0) * columns + at, mask=at < columns, other=-float("inf"))
    powers = tl.exp(values - tl.max(values, axis=0))
    tl.store(out + tl.program_id(0) * columns + at, powers / tl.sum(powers, axis=0), mask=at < columns)


def width(columns: int, least: Optional[int] = None) -> int:
    return max(next_power_of_2(columns), 16 if least is None else least)


def launch(x, out):
    rows[x.shape[0],](x, out, x.shape[1], BLOCK=width(x.size(1)))
