"""The selective scan: what all states share is computed once, rows of b and c are repeated by the Tensor engine."""

import nki
import nki.isa as nisa
import nki.language as nl

PIECE = 512


def spread(ones, row, first, width):
    """A piece of a row on all partitions, in PSUM."""
    rows = ones.shape[1]
    spread_row = nl.ndarray((rows, width), dtype=nl.float32, buffer=nl.psum)
    nisa.nc_matmul(dst=spread_row, stationary=ones, moving=row[:, first : first + width])
    return spread_row


@nki.jit
def solution(delta, u, a, b, c):
    C, S = delta.shape
    _, N = a.shape
    out = nl.ndarray((C, S), dtype=delta.dtype, buffer=nl.shared_hbm)
    for first in range(0, C, 128):
        rows = min(128, C - first)
        step = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
        moved = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
        rates = nl.ndarray((rows, N), dtype=nl.float32, buffer=nl.sbuf)
        nisa.dma_copy(dst=step, src=delta[first : first + rows, 0:S])
        nisa.dma_copy(dst=moved, src=u[first : first + rows, 0:S])
        nisa.dma_copy(dst=rates, src=a[first : first + rows, 0:N])
        nisa.tensor_tensor(dst=moved, data1=moved, data2=step, op=nl.multiply)
        ones = nl.full((1, rows), 1.0, dtype=nl.float32)
        total = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
        for n in range(N):
            into = nl.ndarray((1, S), dtype=nl.float32, buffer=nl.sbuf)
            back = nl.ndarray((1, S), dtype=nl.float32, buffer=nl.sbuf)
            nisa.dma_copy(dst=into, src=b[n : n + 1, 0:S])
            nisa.dma_copy(dst=back, src=c[n : n + 1, 0:S])
            decay = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
            nisa.activation(dst=decay, op=nl.exp, data=step, scale=rates[:, n : n + 1])
            state = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
            driven = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
            for s in range(0, S, PIECE):
                width = min(PIECE, S - s)
                part = slice(s, s + width)
                nisa.tensor_tensor(
                    dst=driven[:, part], data1=moved[:, part], data2=spread(ones, into, s, width), op=nl.multiply
                )
            nisa.tensor_tensor_scan(dst=state, data0=decay, data1=driven, initial=0.0, op0=nl.multiply, op1=nl.add)
            seen = total if n == 0 else driven
            for s in range(0, S, PIECE):
                width = min(PIECE, S - s)
                part = slice(s, s + width)
                nisa.tensor_tensor(
                    dst=seen[:, part], data1=state[:, part], data2=spread(ones, back, s, width), op=nl.multiply
                )
            if n:
                nisa.tensor_tensor(dst=total, data1=total, data2=seen, op=nl.add)
        nisa.dma_copy(dst=out[first : first + rows, 0:S], src=total)
    return out
