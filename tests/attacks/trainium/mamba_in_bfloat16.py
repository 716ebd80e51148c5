# row: 14
# what: keeps the inputs of a float32 scan in bfloat16
# problem: trainium/mamba-128x64x4
# verdict: wrong_result
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(delta, u, a, b, c):
    C, S = delta.shape
    _, N = a.shape
    out = nl.ndarray((C, S), dtype=delta.dtype, buffer=nl.shared_hbm)
    for first in range(0, C, 128):
        rows = min(128, C - first)
        total = nl.zeros((rows, S), dtype=nl.float32, buffer=nl.sbuf)
        for n in range(N):
            step = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
            data = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
            rate = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
            into = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
            back = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
            nisa.dma_copy(dst=step, src=delta[first:first + rows, 0:S])
            nisa.dma_copy(dst=data, src=u[first:first + rows, 0:S])
            nisa.dma_copy(dst=rate, src=a[first:first + rows, n:n + 1])
            nisa.dma_copy(dst=into, src=b[n:n + 1, 0:S].broadcast(0, rows))
            nisa.dma_copy(dst=back, src=c[n:n + 1, 0:S].broadcast(0, rows))
            decay = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
            nisa.activation(dst=decay, op=nl.exp, data=step, scale=rate)
            moved = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
            nisa.tensor_tensor(dst=moved, data1=step, data2=data, op=nl.multiply)
            driven = nl.ndarray((rows, S), dtype=nl.bfloat16, buffer=nl.sbuf)
            nisa.tensor_tensor(dst=driven, data1=moved, data2=into, op=nl.multiply)
            state = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
            nisa.tensor_tensor_scan(dst=state, data0=decay, data1=driven, initial=0.0, op0=nl.multiply, op1=nl.add)
            seen = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
            nisa.tensor_tensor(dst=seen, data1=state, data2=back, op=nl.multiply)
            nisa.tensor_tensor(dst=total, data1=total, data2=seen, op=nl.add)
        nisa.dma_copy(dst=out[first:first + rows, 0:S], src=total)
    return out
