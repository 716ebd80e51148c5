"""Depthwise convolution, one output at a time: a window of a row times the filter, then the sum of the products."""

import nki
import nki.isa as nisa
import nki.language as nl

TOGETHER = 8  # outputs whose products are all on their way before the first is summed


@nki.jit
def solution(x, weights, padding=None):
    N, C, _, W = x.shape
    F = weights.shape[3]
    left, right = padding[1]
    V = W + left + right - F + 1
    out = nl.ndarray((N, C, 1, V), dtype=x.dtype, buffer=nl.shared_hbm)
    for n in range(N):
        for c in range(0, C, 128):
            rows = min(128, C - c)
            taps = nl.ndarray((rows, F), dtype=nl.float32, buffer=nl.sbuf)
            nisa.dma_copy(dst=taps, src=weights[c : c + rows, 0, 0, 0:F])
            row = nl.ndarray((rows, left + W + right), dtype=nl.float32, buffer=nl.sbuf)
            for end in (slice(0, left), slice(left + W, left + W + right)):
                if end.start < end.stop:
                    nisa.memset(dst=row[:, end], value=0.0)
            nisa.dma_copy(dst=row[:, left : left + W], src=x[n, c : c + rows, 0, 0:W])
            sums = nl.ndarray((rows, V), dtype=nl.float32, buffer=nl.sbuf)
            for first in range(0, V, TOGETHER):
                places = range(first, min(first + TOGETHER, V))
                products = []
                for v in places:
                    product = nl.ndarray((rows, F), dtype=nl.float32, buffer=nl.sbuf)
                    nisa.tensor_tensor(dst=product, data1=row[:, v : v + F], data2=taps, op=nl.multiply)
                    products.append(product)
                for v, product in zip(places, products, strict=True):
                    nisa.tensor_reduce(dst=sums[:, v : v + 1], op=nl.add, data=product, axis=1)
            nisa.dma_copy(dst=out[n, c : c + rows, 0, 0:V], src=sums)
    return out
