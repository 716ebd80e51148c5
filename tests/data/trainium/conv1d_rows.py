"""Depthwise convolution of whole rows: each is loaded once, its taps are shifted slices of one tile."""

import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(x, weights):
    N, C, W = x.shape
    _, F = weights.shape
    V = W - F + 1
    out = nl.ndarray((N, C, V), dtype=x.dtype, buffer=nl.shared_hbm)
    for c in range(0, C, 128):
        rows = min(128, C - c)
        taps = nl.ndarray((rows, F), dtype=nl.float32, buffer=nl.sbuf)
        nisa.dma_copy(dst=taps, src=weights[c : c + rows, 0:F])
        for n in range(N):
            row = nl.ndarray((rows, W), dtype=nl.float32, buffer=nl.sbuf)
            nisa.dma_copy(dst=row, src=x[n, c : c + rows, 0:W])
            total = nl.ndarray((rows, V), dtype=nl.float32, buffer=nl.sbuf)
            nisa.tensor_scalar(dst=total, data=row[:, 0:V], op0=nl.multiply, operand0=taps[:, 0:1])
            for f in range(1, F):
                nisa.scalar_tensor_tensor(
                    dst=total,
                    data=row[:, f : f + V],
                    op0=nl.multiply,
                    operand0=taps[:, f : f + 1],
                    op1=nl.add,
                    operand1=total,
                )
            nisa.dma_copy(dst=out[n, c : c + rows, 0:V], src=total)
    return out
