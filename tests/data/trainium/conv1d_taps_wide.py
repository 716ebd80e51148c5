"""Depthwise convolution, all outputs of a row at once: products for every tap side by side, then one sum over taps.

The filter waits in PSUM, so that a product of it with a row takes one pass of the Vector engine and not two.
"""

import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(x, weights, padding=None):
    N, C, _, W = x.shape
    F = weights.shape[3]
    left, right = padding[1]
    V = W + left + right - F + 1
    out = nl.ndarray((N, C, 1, V), dtype=x.dtype, buffer=nl.shared_hbm)
    for c in range(0, C, 128):
        rows = min(128, C - c)
        taps = nl.ndarray((rows, F), dtype=nl.float32, buffer=nl.sbuf)
        nisa.dma_copy(dst=taps, src=weights[c : c + rows, 0, 0, 0:F])
        near = nl.ndarray((rows, F), dtype=nl.float32, buffer=nl.psum)
        nisa.tensor_copy(dst=near, src=taps)
        for n in range(N):
            row = nl.ndarray((rows, left + W + right), dtype=nl.float32, buffer=nl.sbuf)
            for end in (slice(0, left), slice(left + W, left + W + right)):
                if end.start < end.stop:
                    nisa.memset(dst=row[:, end], value=0.0)
            nisa.dma_copy(dst=row[:, left : left + W], src=x[n, c : c + rows, 0, 0:W])
            products = nl.ndarray((rows, V, F), dtype=nl.float32, buffer=nl.sbuf)
            for f in range(F):
                tap = near[:, f : f + 1].broadcast_to((rows, V))
                nisa.tensor_tensor(dst=products[:, 0:V, f], data1=row[:, f : f + V], data2=tap, op=nl.multiply)
            sums = nl.ndarray((rows, V), dtype=nl.float32, buffer=nl.sbuf)
            nisa.tensor_reduce(dst=sums, op=nl.add, data=products, axis=2)
            nisa.dma_copy(dst=out[n, c : c + rows, 0, 0:V], src=sums)
    return out
