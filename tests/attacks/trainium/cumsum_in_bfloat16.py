# row: 14
# what: adds up float32 numbers that it rounds to bfloat16
# problem: trainium/cumsum-129x260
# verdict: wrong_result
import nki
import nki.isa as nisa
import nki.language as nl

WIDTH = 128


@nki.jit
def solution(x):
    R, C = x.shape
    out = nl.ndarray((R, C), dtype=x.dtype, buffer=nl.shared_hbm)
    for r in range(0, R, 128):
        rows = min(128, R - r)
        carry = nl.zeros((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
        for c in range(0, C, WIDTH):
            width = min(WIDTH, C - c)
            data = nl.ndarray((rows, width), dtype=nl.bfloat16, buffer=nl.sbuf)
            nisa.dma_copy(dst=data, src=x[r:r + rows, c:c + width])
            ones = nl.ndarray((rows, width), dtype=nl.float32, buffer=nl.sbuf)
            nisa.memset(dst=ones, value=1.0)
            sums = nl.ndarray((rows, width), dtype=nl.float32, buffer=nl.sbuf)
            nisa.tensor_tensor_scan(dst=sums, data0=ones, data1=data, initial=carry, op0=nl.multiply, op1=nl.add)
            nisa.tensor_copy(dst=carry, src=sums[:, width - 1:width])
            nisa.dma_copy(dst=out[r:r + rows, c:c + width], src=sums)
    return out
