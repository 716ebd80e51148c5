# what: partial, reduce, lru_cache, product and math
# problem: trainium/rmsnorm-128x64
import functools
import itertools
import math

import nki
import nki.isa as nisa
import nki.language as nl


@functools.lru_cache
def inverse(columns):
    return 1.0 / columns


tile = functools.partial(nl.ndarray, dtype=nl.float32)


@nki.jit
def solution(x, gain):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    parts = functools.reduce(lambda found, n: [*found, tile((64, 64))], range(2), [])
    for part, (i, _) in zip(parts, itertools.product(range(2), range(1))):
        factor, squares, total = tile((64, 64)), tile((64, 64)), tile((64, 1))
        nisa.dma_copy(dst=part, src=x[i * 64:(i + 1) * 64, :])
        nisa.dma_copy(dst=factor, src=gain.broadcast(0, 64))
        nisa.tensor_tensor(dst=squares, data1=part, data2=part, op=nl.multiply)
        nisa.tensor_reduce(dst=total, op=nl.add, data=squares, axis=1)
        nisa.tensor_scalar(dst=total, data=total, op0=nl.multiply, operand0=inverse(64), op1=nl.add,
                           operand1=math.pow(10, -5))
        nisa.activation(dst=total, op=nl.rsqrt, data=total)
        nisa.scalar_tensor_tensor(
            dst=part, data=part, op0=nl.multiply, operand0=total, op1=nl.multiply, operand1=factor
        )
        nisa.dma_copy(dst=out[i * 64:(i + 1) * 64, :], src=part)
    return out
