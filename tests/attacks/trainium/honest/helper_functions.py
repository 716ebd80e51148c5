# what: functions of its own that take and return tiles
# problem: trainium/rmsnorm-200x48
import nki
import nki.isa as nisa
import nki.language as nl


def loaded(source, rows, columns):
    t = nl.ndarray((rows, columns), dtype=nl.float32)
    nisa.dma_copy(dst=t, src=source)
    return t


def normalise(t, factor, rows, C):
    squares = nl.ndarray((rows, C), dtype=nl.float32)
    total = nl.ndarray((rows, 1), dtype=nl.float32)
    nisa.activation_reduce(dst=squares, op=nl.square, data=t, reduce_op=nl.add, reduce_res=total)
    nisa.tensor_scalar(dst=total, data=total, op0=nl.multiply, operand0=1.0 / C, op1=nl.add, operand1=1e-5)
    nisa.activation(dst=total, op=nl.rsqrt, data=total)
    nisa.scalar_tensor_tensor(dst=t, data=t, op0=nl.multiply, operand0=total, op1=nl.multiply, operand1=factor)
    return t


@nki.jit
def solution(x, gain):
    R, C = x.shape
    out = nl.ndarray((R, C), dtype=x.dtype, buffer=nl.shared_hbm)
    for r in range(0, R, 128):
        rows = min(128, R - r)
        factor = loaded(gain.broadcast(0, rows), rows, C)
        nisa.dma_copy(dst=out[r:r + rows, :], src=normalise(loaded(x[r:r + rows], rows, C), factor, rows, C))
    return out
