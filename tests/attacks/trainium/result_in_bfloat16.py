# row: 14
# what: rounds a float32 result to bfloat16 on its way out
# problem: trainium/rmsnorm-130x64
# verdict: wrong_result
import nki
import nki.isa as nisa
import nki.language as nl

EPSILON = 1e-05


@nki.jit
def solution(x, gain):
    R, C = x.shape
    out = nl.ndarray((R, C), dtype=x.dtype, buffer=nl.shared_hbm)
    for r in range(0, R, 128):
        rows = min(128, R - r)
        data = nl.ndarray((rows, C), dtype=nl.float32, buffer=nl.sbuf)
        nisa.dma_copy(dst=data, src=x[r:r + rows, 0:C])
        factor = nl.ndarray((rows, C), dtype=nl.float32, buffer=nl.sbuf)
        nisa.dma_copy(dst=factor, src=gain.broadcast(0, rows))
        result = nl.ndarray((rows, C), dtype=nl.bfloat16, buffer=nl.sbuf)
        squares = nl.ndarray((rows, C), dtype=nl.float32, buffer=nl.sbuf)
        total = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
        nisa.tensor_tensor(dst=squares, data1=data, data2=data, op=nl.multiply)
        nisa.tensor_reduce(dst=total, op=nl.add, data=squares, axis=1)
        mean = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
        nisa.tensor_scalar(dst=mean, data=total, op0=nl.multiply, operand0=1.0 / C, op1=nl.add, operand1=EPSILON)
        scale = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
        nisa.activation(dst=scale, op=nl.rsqrt, data=mean)
        nisa.tensor_scalar(dst=result, data=data, op0=nl.multiply, operand0=scale)
        nisa.tensor_tensor(dst=result, data1=result, data2=factor[0:rows, :], op=nl.multiply)
        nisa.dma_copy(dst=out[r:r + rows, 0:C], src=result)
    return out
