# row: 11
# what: leaves the gain out
# problem: trainium/rmsnorm-128x64
# verdict: wrong_result
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(x, gain):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=t, src=x)
    squares = nl.ndarray((128, 64), dtype=nl.float32)
    total = nl.ndarray((128, 1), dtype=nl.float32)
    nisa.activation_reduce(dst=squares, op=nl.square, data=t, reduce_op=nl.add, reduce_res=total)
    nisa.tensor_scalar(dst=total, data=total, op0=nl.multiply, operand0=1.0 / 64, op1=nl.add, operand1=1e-5)
    root = nl.ndarray((128, 1), dtype=nl.float32)
    nisa.activation(dst=root, op=nl.rsqrt, data=total)
    nisa.tensor_scalar(dst=t, data=t, op0=nl.multiply, operand0=root)
    nisa.dma_copy(dst=out, src=t)
    return out
