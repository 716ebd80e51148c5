# row: 14
# what: loads the rows of a float32 norm as bfloat16
# problem: trainium/layernorm-130x64
# verdict: wrong_result
import nki
import nki.isa as nisa
import nki.language as nl

EPSILON = 1e-5


@nki.jit
def solution(x, gain, shift):
    R, C = x.shape
    out = nl.ndarray((R, C), dtype=x.dtype, buffer=nl.shared_hbm)
    for r in range(0, R, 128):
        rows = min(128, R - r)
        data = nl.ndarray((rows, C), dtype=nl.bfloat16, buffer=nl.sbuf)
        factor = nl.ndarray((rows, C), dtype=nl.float32, buffer=nl.sbuf)
        nisa.dma_copy(dst=data, src=x[r:r + rows, 0:C])
        nisa.dma_copy(dst=factor, src=gain.broadcast(0, rows))
        offset = nl.ndarray((rows, C), dtype=nl.float32, buffer=nl.sbuf)
        nisa.dma_copy(dst=offset, src=shift.broadcast(0, rows))
        total = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
        nisa.tensor_reduce(dst=total, op=nl.add, data=data, axis=1)
        mean = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
        nisa.tensor_scalar(dst=mean, data=total, op0=nl.multiply, operand0=1.0 / C)
        centred = nl.ndarray((rows, C), dtype=nl.float32, buffer=nl.sbuf)
        nisa.tensor_scalar(dst=centred, data=data, op0=nl.subtract, operand0=mean)
        squares = nl.ndarray((rows, C), dtype=nl.float32, buffer=nl.sbuf)
        nisa.tensor_tensor(dst=squares, data1=centred, data2=centred, op=nl.multiply)
        power = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
        nisa.tensor_reduce(dst=power, op=nl.add, data=squares, axis=1)
        variance = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
        nisa.tensor_scalar(dst=variance, data=power, op0=nl.multiply, operand0=1.0 / C, op1=nl.add, operand1=EPSILON)
        scale = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
        nisa.activation(dst=scale, op=nl.rsqrt, data=variance)
        scaled = nl.ndarray((rows, C), dtype=nl.float32, buffer=nl.sbuf)
        nisa.tensor_scalar(dst=scaled, data=centred, op0=nl.multiply, operand0=scale)
        weighted = nl.ndarray((rows, C), dtype=nl.float32, buffer=nl.sbuf)
        nisa.tensor_tensor(dst=weighted, data1=scaled, data2=factor, op=nl.multiply)
        result = nl.ndarray((rows, C), dtype=out.dtype, buffer=nl.sbuf)
        nisa.tensor_tensor(dst=result, data1=weighted, data2=offset, op=nl.add)
        nisa.dma_copy(dst=out[r:r + rows, 0:C], src=result)
    return out
