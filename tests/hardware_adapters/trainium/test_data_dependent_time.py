"""A kernel whose work depends on its data is as slow as with the inputs that take longest."""

from __future__ import annotations

from pathlib import Path

import anyio
from autocomp_mcp.hardware_adapters.base import Evaluation
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.hardware_adapters.trainium.adapter import TrainiumAdapter

PROBLEM = "trainium/attention-128x64"
MAXIMUM = """\
nisa.tensor_reduce(dst=top, op=nl.maximum, data=scores, axis=1, negate=True)
nisa.tensor_scalar(dst=weights, data=scores, op0=nl.add, operand0=top)
"""
# Keys of the `wide` set are 1 or -1. A dynamic range has an iteration where the first one is.
LOOK = """\
square = nl.ndarray((1, 1), dtype=nl.float32)
nisa.dma_copy(dst=square, src=k[0:1, 0:1])
nisa.tensor_tensor(dst=square, data1=square, data2=square, op=nl.multiply)
flag = nl.ndarray((1, 1), dtype=nl.int32)
nisa.tensor_scalar(dst=flag, data=square, op0=nl.equal, operand0=1.0)
register = nisa.register_alloc(flag)
wide = False
for _ in nl.dynamic_range(register):
    wide = True
if wide:
"""
KERNEL = """\
import nki
import nki.isa as nisa
import nki.language as nl


def turned(tile):
    flipped = nl.ndarray((tile.shape[1], tile.shape[0]), dtype=nl.float32, buffer=nl.psum)
    nisa.nc_transpose(dst=flipped, data=tile)
    kept = nl.ndarray(flipped.shape, dtype=nl.float32)
    nisa.tensor_copy(dst=kept, src=flipped)
    return kept


@nki.jit
def solution(q, k, v):
    D, S = q.shape
    out = nl.ndarray((S, D), dtype=q.dtype, buffer=nl.shared_hbm)
    queries, keys, values = (nl.ndarray((D, S), dtype=q.dtype) for _ in range(3))
    nisa.dma_copy(dst=queries, src=q)
    nisa.dma_copy(dst=keys, src=k)
    nisa.dma_copy(dst=values, src=v)
    products = nl.ndarray((S, S), dtype=nl.float32, buffer=nl.psum)
    nisa.nc_matmul(dst=products, stationary=queries, moving=keys)
    scores, weights = (nl.ndarray((S, S), dtype=nl.float32) for _ in range(2))
    top, total = (nl.ndarray((S, 1), dtype=nl.float32) for _ in range(2))
    nisa.tensor_copy(dst=scores, src=products)
    nisa.tensor_copy(dst=weights, src=scores)
{maximum}
    nisa.activation_reduce(dst=weights, op=nl.exp, data=weights, reduce_op=nl.add, reduce_res=total)
    nisa.reciprocal(dst=total, data=total)
    nisa.tensor_scalar(dst=weights, data=weights, op0=nl.multiply, operand0=total)
    sums = nl.ndarray((S, D), dtype=nl.float32, buffer=nl.psum)
    nisa.nc_matmul(dst=sums, stationary=turned(weights), moving=turned(values))
    result = nl.ndarray((S, D), dtype=q.dtype)
    nisa.tensor_copy(dst=result, src=sums)
    nisa.dma_copy(dst=out, src=result)
    return out
"""


def indented(text: str, by: str = "    ") -> str:
    return "".join(f"{by}{line}" for line in text.splitlines(keepends=True))


def judged(tmp_path: Path, maximum: str) -> Evaluation:
    adapter = TrainiumAdapter(Home(tmp_path / "home"))
    source = KERNEL.format(maximum=indented(maximum))
    return anyio.run(adapter.evaluate, adapter.problem(PROBLEM), source)


def test_the_slowest_inputs_are_timed(tmp_path: Path) -> None:
    honest = judged(tmp_path, MAXIMUM)
    assert honest.passed and "take longest" not in honest.message, honest.message
    sly = judged(tmp_path, LOOK + indented(MAXIMUM))
    assert sly.passed and "the 'wide' inputs take longest" in sly.message, sly.message
    assert honest.latency is not None and sly.latency is not None
    assert sly.latency.value >= honest.latency.value
